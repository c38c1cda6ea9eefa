//! Dfns, as the doctor sees it: there, with the same time, and letting us do what we must. By harmless calls alone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use remit_dfns::{
    Dfns, Error, EventKind, ListPayouts, PageQuery, PayoutAction, PayoutAsset, Provider, QuoteRequest, Stage,
    SubscriptionStatus,
};

use super::{Finding, Verdict, chain, unusable};
use crate::settings::Settings;

/// Ids that nobody has.
const NO_WALLET: &str = "wa-00000-00000-0000000000000000";
const NO_PAYOUT: &str = "pyt-00000-00000-0000000000000000";
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
    findings.extend(permissions(&dfns).await);
    findings.push(webhook(&dfns).await);
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
    const CHECK: &str = "signing";
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
    fn a_clock_that_is_minutes_off_fails() {
        let ago = |seconds| Some(Timestamp::now() - SignedDuration::from_secs(seconds));
        assert_eq!(clock(ago(1)).verdict, Verdict::Ok);
        assert_eq!(clock(ago(60)).verdict, Verdict::Warn);
        assert_eq!(clock(ago(-600)).verdict, Verdict::Fail);
        assert_eq!(clock(None).verdict, Verdict::Warn);
    }
}
