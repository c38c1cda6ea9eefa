//! Dfns, as the doctor sees it: there, with the same time, and letting us do what we must. By harmless calls alone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use remit_activities::translate_policy::{LONGEST_MINUTES, Weakness, weaknesses};
use remit_dfns::{
    DecisionValue, Dfns, Error, EventKind, ListEvents, ListPayouts, PageQuery, PayoutAction, PayoutAsset, Provider,
    QuoteRequest, Stage, SubscriptionStatus,
};
use serde_json::json;

use super::{Finding, Verdict, chain, unusable};
use crate::{policy::dfns::active_policies, settings::Settings};

/// Ids that nobody has.
const NO_WALLET: &str = "wa-00000-00000-0000000000000000";
const NO_PAYOUT: &str = "pyt-00000-00000-0000000000000000";
const NO_TRANSFER: &str = "xfr-00000-00000-0000000000000000";
const NO_POLICY: &str = "plc-00000-00000-0000000000000000";
const NO_APPROVAL: &str = "ap-00000-00000-0000000000000000";
const NO_WEBHOOK: &str = "wh-00000-00000-0000000000000000";
const NOBODY: &str = "0x0000000000000000000000000000000000000000";
/// A payout's own deadlines have two minutes of margin, webhooks five minutes of tolerance.
const CLOCK_WARN: SignedDuration = SignedDuration::from_secs(30);
const CLOCK_FAIL: SignedDuration = SignedDuration::from_secs(240);

pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let base = settings.dfns.base_url();
    let access = match settings.dfns.access() {
        Ok(access) => access,
        Err(error) => return vec![unusable("Dfns settings", &error)],
    };
    let dfns = match Dfns::new(access.settings) {
        Ok(dfns) => dfns,
        Err(error) => return vec![Finding::fail("Dfns settings", chain(&error), "correct the setting")],
    };
    let mut findings = match date_of(base).await {
        Ok(date) => vec![Finding::ok("Dfns", base.to_owned()), clock(date)],
        Err(why) => {
            let todo = "check DFNS_BASE_URL, and that this machine may reach it";
            return vec![Finding::fail("Dfns", format!("{base} does not answer: {why}"), todo)];
        }
    };
    let permissions = permissions(&dfns).await;
    let may_sign = permissions.iter().any(|it| it.check == SIGNING && it.verdict == Verdict::Ok);
    findings.extend(permissions);
    if may_sign {
        findings.extend(temptations(&dfns).await);
    }
    findings.extend(policies(&dfns, &access.user_id).await);
    findings.push(webhook(&dfns).await);
    findings.push(events(&dfns).await);
    findings
}

/// Any answer will do: each has a date. `None` when this one has not.
async fn date_of(base: &str) -> Result<Option<Timestamp>, String> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).user_agent("remit-doctor");
    // As for the calls that count: proxies of the environment are not for this machine.
    let host = reqwest::Url::parse(base).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let client = if here { client.no_proxy() } else { client };
    let client = client.build().map_err(|error| chain(&error))?;
    let answer = client.get(base).send().await.map_err(|error| chain(&error))?;
    let date = answer.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    Ok(date.and_then(|date| DateTimeParser::new().parse_timestamp(date).ok()))
}

fn clock(theirs: Option<Timestamp>) -> Finding {
    const CHECK: &str = "clock";
    let Some(theirs) = theirs else {
        return Finding::warn(
            CHECK,
            "Dfns does not say what time it is",
            "compare this machine's clock by other means",
        );
    };
    let apart = Timestamp::now().duration_since(theirs).abs();
    let found = format!("{} s apart from Dfns's", apart.as_secs());
    let todo = "set this machine's clock by NTP: webhooks more than five minutes off are refused";
    if apart >= CLOCK_FAIL {
        Finding::fail(CHECK, found, todo)
    } else if apart >= CLOCK_WARN {
        Finding::warn(CHECK, found, todo)
    } else {
        Finding::ok(CHECK, found)
    }
}

/// One harmless call for each permission a worker needs.
async fn permissions(dfns: &Dfns) -> Vec<Finding> {
    let one = PageQuery { limit: Some(1), ..PageQuery::default() };
    let reads = dfns.list_payouts(&ListPayouts { limit: Some(1), ..ListPayouts::default() }).await.map(drop);
    let token = match &reads {
        Err(Error::Refused { refusal, .. }) if refusal.status == 401 => Some(Finding::fail(
            "token",
            refusal.to_string(),
            "make a new token for the service account, in this region, and set DFNS_TOKEN",
        )),
        Ok(()) | Err(_) => None,
    };
    if let Some(token) = token {
        return vec![token];
    }
    let quote = QuoteRequest {
        wallet_id: NO_WALLET.to_owned(),
        asset: PayoutAsset::Erc20 { amount: "1000000".to_owned(), contract: format!("0x{}", "00".repeat(20)) },
        fiat_currency: "USD".to_owned(),
        provider: Provider::from("Borderless"),
        country: "US".to_owned(),
    };
    vec![
        Finding::ok("token", "accepted"),
        permission("Payouts:Read", reads),
        permission("Payouts:Create", dfns.quote(&quote).await.map(drop)),
        permission("Wallets:Read", dfns.wallets(&one).await.map(drop)),
        permission("Wallets:Transfers:Read", dfns.transfer(NO_WALLET, NO_TRANSFER).await.map(drop)),
        signing(dfns.payout_action(NO_PAYOUT, &PayoutAction::Cancel).await),
    ]
}

/// Dfns checks permissions first: whatever else it says of a thing that does not exist, we may ask.
fn permission(name: &'static str, answer: Result<(), Error>) -> Finding {
    match answer {
        Ok(()) => Finding::ok(name, "allowed"),
        Err(Error::Refused { refusal, .. }) => match refusal.status {
            400 | 404 | 412 | 422 => Finding::ok(name, "allowed"),
            401 | 403 => Finding::fail(name, refusal.to_string(), "give the service account this permission in Dfns"),
            _ => Finding::warn(name, refusal.to_string(), "try again later"),
        },
        Err(error) => Finding::warn(name, chain(&error), "try again later"),
    }
}

/// Signs a call about a payout that does not exist: past the signature and the permission, Dfns does not find it.
fn signing(answer: Result<(), Error>) -> Finding {
    const CHECK: &str = SIGNING;
    const KEY: &str = "check DFNS_CREDENTIAL_ID, and that the private key is the one Dfns knows under it";
    match answer {
        Err(Error::Unsigned { reason }) => Finding::fail(CHECK, reason, KEY),
        Err(Error::Refused { stage: Stage::Signing, refusal }) if refusal.status < 429 => {
            Finding::fail(CHECK, refusal.to_string(), KEY)
        }
        Err(Error::Refused { stage: Stage::Call, refusal }) if refusal.status == 403 => {
            let speaks_of_signature = refusal.message.to_lowercase().contains("signature");
            let todo = if speaks_of_signature { KEY } else { "give the service account Payouts:Update in Dfns" };
            Finding::fail(CHECK, refusal.to_string(), todo)
        }
        answer => match permission(CHECK, answer) {
            Finding { verdict: Verdict::Ok, .. } => {
                Finding::ok(CHECK, "signature accepted, Payouts:Update allowed (about a payout that does not exist)")
            }
            finding => finding,
        },
    }
}

const SIGNING: &str = "signing";

/// Permissions that the account which pays should not have: with them it could go round what holds it. Each is tried on
/// a thing that does not exist.
async fn temptations(dfns: &Dfns) -> Vec<Finding> {
    let transfer = json!({"kind": "Native", "to": NOBODY, "amount": "1"}).to_string();
    let vote = dfns.decide_approval(NO_APPROVAL, DecisionValue::Denied, None).await.map(drop);
    vec![
        temptation("Policies:Evaluations:Vote", "it could approve what it pays", vote),
        temptation("Policies:Delete", "it could take down the policies at Dfns", dfns.delete_policy(NO_POLICY).await),
        temptation(
            "Wallets:Transfers:Create",
            "it could send tokens anywhere, and payouts do not need it",
            dfns.create_transfer(NO_WALLET, transfer.into()).await.map(drop),
        ),
    ]
}

fn temptation(name: &'static str, so: &str, answer: Result<(), Error>) -> Finding {
    match answer {
        Err(Error::Refused { refusal, .. }) if matches!(refusal.status, 401 | 403) => {
            Finding::ok(name, "not allowed, as it should be")
        }
        Ok(()) => Finding::warn(name, format!("allowed: {so}"), "take it away from the service account in Dfns"),
        Err(Error::Refused { refusal, .. }) if matches!(refusal.status, 400 | 404 | 412 | 422) => {
            Finding::warn(name, format!("allowed: {so}"), "take it away from the service account in Dfns")
        }
        Err(error) => Finding::warn(name, chain(&error), "try again later"),
    }
}

/// What Dfns's own policies leave open. `us`: the account that pays.
async fn policies(dfns: &Dfns, us: &str) -> Vec<Finding> {
    const CHECK: &str = "policies at Dfns";
    match active_policies(dfns).await {
        Ok(there) if there.is_empty() => {
            vec![Finding::warn(
                CHECK,
                "none: custody stops nothing by itself",
                "`remit policy plan --dfns` shows what it could",
            )]
        }
        Ok(there) => match weaknesses(&there, us).as_slice() {
            [] => vec![Finding::ok(CHECK, format!("{} active", there.len()))],
            found => found.iter().map(|weakness| weak(CHECK, weakness, us)).collect(),
        },
        Err(Error::Refused { refusal, .. }) if refusal.status == 403 => {
            vec![Finding::warn(CHECK, "cannot be looked at", "give the service account Policies:Read in Dfns")]
        }
        Err(error) => vec![Finding::warn(CHECK, chain(&error), "try again later")],
    }
}

fn weak(check: &'static str, weakness: &Weakness, us: &str) -> Finding {
    match weakness {
        Weakness::PayerApproves { policy } => Finding::fail(
            check,
            format!("{policy:?} names {us} as an approver, and that is the account that pays"),
            "take it out of the policy's approvers",
        ),
        Weakness::NoTimeout { policy, minutes } => {
            let when = minutes.map_or("never gives up".to_owned(), |minutes| format!("gives up after {minutes} min"));
            Finding::warn(
                check,
                format!("{policy:?} asks for an approval and {when}; a payout expires after 240"),
                format!(
                    "have it reject by itself after {LONGEST_MINUTES} min or less: later the tokens could go for nothing"
                ),
            )
        }
    }
}

async fn webhook(dfns: &Dfns) -> Finding {
    const CHECK: &str = "webhook";
    let todo =
        "subscribe the relay's address (`remit webhook subscribe`); until then payouts are found by polling alone";
    match dfns.webhooks(&PageQuery::default()).await {
        Ok(page) => {
            let wanted = |kind: &EventKind| matches!(kind, EventKind::All | EventKind::PayoutActionRequired);
            let mut ours = page.items.iter().filter(|it| it.events.iter().any(wanted));
            match ours.find(|it| it.status == SubscriptionStatus::Enabled) {
                Some(subscription) => Finding::ok(CHECK, format!("{} → {}", subscription.id, subscription.url)),
                None => Finding::warn(CHECK, "no enabled webhook tells of payouts", todo),
            }
        }
        Err(Error::Refused { refusal, .. }) if refusal.status == 403 => Finding::warn(
            CHECK,
            "cannot be looked at",
            "give the service account Webhooks:Read in Dfns, if it should look after its webhook",
        ),
        Err(error) => Finding::warn(CHECK, chain(&error), todo),
    }
}

/// What a relay needs to find deliveries that failed.
async fn events(dfns: &Dfns) -> Finding {
    const CHECK: &str = "Webhooks:Events:Read";
    match permission(CHECK, dfns.webhook_events(NO_WEBHOOK, &ListEvents::default()).await.map(drop)) {
        Finding { verdict: Verdict::Fail, found, .. } => {
            let todo = "give it to the account that the relay runs as, or `remit webhook gaps` finds nothing";
            Finding::warn(CHECK, found, todo)
        }
        finding => finding,
    }
}

#[cfg(test)]
mod tests {
    use remit_dfns::{RateLimit, Refusal};

    use super::*;

    fn refused(stage: Stage, status: u16, message: &str) -> Error {
        let (message, rate) = (message.to_owned(), RateLimit::default());
        let refusal = Refusal { status, id: None, message, details: None, retry_after: None, rate };
        Error::Refused { stage, refusal }
    }

    #[test]
    fn a_thing_that_does_not_exist_proves_the_permission_and_a_403_its_absence() {
        assert_eq!(permission("Payouts:Create", Err(refused(Stage::Call, 404, "not found"))).verdict, Verdict::Ok);
        assert_eq!(
            permission("Payouts:Create", Err(refused(Stage::Call, 403, "not authorized"))).verdict,
            Verdict::Fail
        );
        assert_eq!(permission("Payouts:Create", Err(refused(Stage::Call, 500, "oops"))).verdict, Verdict::Warn);
    }

    #[test]
    fn a_refused_signature_is_told_apart_from_a_missing_permission() {
        assert_eq!(signing(Err(refused(Stage::Call, 404, "no such payout"))).verdict, Verdict::Ok);
        let todo = |answer| signing(answer).todo.unwrap_or_default();
        assert!(todo(Err(refused(Stage::Signing, 401, "Unable to verify signature"))).contains("DFNS_CREDENTIAL_ID"));
        let missing = "user action signature is missing or invalid";
        assert!(todo(Err(refused(Stage::Call, 403, missing))).contains("DFNS_CREDENTIAL_ID"));
        assert!(todo(Err(refused(Stage::Call, 403, "not authorized (Payouts:Update)"))).contains("Payouts:Update"));
    }

    #[test]
    fn a_permission_that_the_payer_should_not_have_is_a_warning() {
        let verdict = |status| temptation("Policies:Delete", "x", Err(refused(Stage::Call, status, "no"))).verdict;
        assert_eq!((verdict(403), verdict(404), verdict(500)), (Verdict::Ok, Verdict::Warn, Verdict::Warn));
    }

    #[test]
    fn a_payer_that_approves_fails_and_an_approval_without_end_is_a_warning() {
        let payer = weak("policies at Dfns", &Weakness::PayerApproves { policy: "large".into() }, "us-1");
        assert_eq!(payer.verdict, Verdict::Fail);
        let endless = weak("policies at Dfns", &Weakness::NoTimeout { policy: "large".into(), minutes: None }, "us-1");
        assert_eq!(endless.verdict, Verdict::Warn);
        assert!(endless.found.contains("never gives up"), "{}", endless.found);
    }

    #[test]
    fn a_clock_that_is_minutes_off_fails() {
        let ago = |seconds| Some(Timestamp::now() - SignedDuration::from_secs(seconds));
        assert_eq!(clock(ago(1)).verdict, Verdict::Ok);
        assert_eq!(clock(ago(60)).verdict, Verdict::Warn);
        assert_eq!(clock(ago(-600)).verdict, Verdict::Fail);
        assert_eq!(clock(None).verdict, Verdict::Warn);
    }
}
