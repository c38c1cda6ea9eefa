//! Says how a payout would go as things are.

use std::time::Duration;

use remit_dfns::{Error, Stage, WalletAssets};
use remit_domain::{Offer, Outcome, PayoutRequest, Progress, policy::Verdict};
use remit_records::PayoutRow;
use remit_workflows::contract::{
    Approvals, Check, CheckPayout, Checking, Found, PayoutCheck, QuotePayout, Quoted, Ruling, Standing,
};

use crate::{
    Activities, NoAnswer, checks,
    decide_payout::{At, look, on_record, ruling},
    quote_payout::quote_payout,
    read_payout::read,
};

/// Asks the policy, the lists, the records and the provider, and changes nothing: no row is written, nothing is
/// reserved, nothing is signed. What cannot be found out is said as that, beside the rest.
pub(crate) async fn check_payout(all: &Activities, input: CheckPayout) -> Result<Checking, NoAnswer> {
    let row = all.records.newest_attempt(input.key.as_str()).await?;
    let (request, standing) = match (input.request, &row) {
        (None, None) => return Ok(Checking::NotStarted),
        (Some(request), None) => (request, Standing::New),
        (Some(request), Some(row)) if row.digest != request.digest() => (request, Standing::Conflict),
        (given, Some(row)) => {
            let Some(request) = on_record(row)?.or(given) else { return Ok(Checking::NotStarted) };
            (request, standing(row))
        }
    };
    let mut check = PayoutCheck { key: request.key(), request, standing, ruling: None, offers: vec![], checks: vec![] };
    // Only of a payout that waits for Confirm is it known where the tokens would go.
    let address = match &check.standing {
        Standing::New | Standing::UnderWay { payout: None } => None,
        Standing::UnderWay { payout: Some(payout) } => address(all, payout).await,
        Standing::Over { .. } => return Ok(Checking::Checked { check: Box::new(check) }),
        Standing::Conflict => {
            let says = "the id was used before for another request: nothing would be started";
            check.checks.push(Check::new("id", Found::Bad, says));
            return Ok(Checking::Checked { check: Box::new(check) });
        }
    };
    let PayoutCheck { key, request, offers, checks, .. } = &mut check;
    match quote_payout(all, QuotePayout { request: request.clone() }).await {
        Ok(Quoted::Offers { offers: quoted }) => {
            checks.push(quote(&quoted));
            checks.extend(guards(request, &quoted));
            *offers = quoted;
        }
        Ok(Quoted::Refused { reason }) => {
            checks.push(Check::new("quote", Found::Bad, format!("the provider does not quote this: {reason}")));
        }
        Err(no_answer) => checks.push(Check::new("quote", Found::NotKnown, no_answer.why())),
    }
    let assets = match all.dfns.wallet_assets(request.wallet_id.as_str()).await {
        Ok(assets) => assets,
        Err(error) => {
            let known =
                matches!(&error, Error::Refused { stage: Stage::Call, refusal } if matches!(refusal.status, 400 | 404));
            let found = if known { Found::Bad } else { Found::NotKnown };
            checks.push(Check::new("wallet", found, NoAnswer::from(error).why()));
            return Ok(Checking::Checked { check: Box::new(check) });
        }
    };
    let in_flight = all.records.in_flight(request.wallet_id.as_str(), &request.asset.label(), key.as_str()).await?;
    let (ruled, of_transfer) = futures::join!(
        forecast(all, request, &assets, address.as_deref(), offers.clone()),
        checks::of_transfer(&all.dfns, request, &assets, address.as_deref(), in_flight),
    );
    match ruled {
        Ok(ruling) => {
            checks.push(policy(&ruling));
            check.ruling = Some(ruling);
        }
        Err(no_answer) => checks.push(Check::new("policy", Found::NotKnown, no_answer.why())),
    }
    check.checks.extend(of_transfer);
    Ok(Checking::Checked { check: Box::new(check) })
}

fn standing(row: &PayoutRow) -> Standing {
    let outcome: Option<Outcome> = row.outcome.clone().and_then(|outcome| serde_json::from_value(outcome).ok());
    match outcome {
        Some(outcome) => Standing::Over { outcome: Box::new(outcome) },
        None => Standing::UnderWay { payout: row.payout.clone() },
    }
}

async fn address(all: &Activities, payout: &str) -> Option<String> {
    let view = read(all, payout).await.ok()?;
    view.deposit_address.filter(|_| view.progress == Progress::AwaitingConfirmation)
}

/// The decision there would be: at the start, or before Confirm where the address is known. What is decided next may
/// see other figures, as nobody is held up.
async fn forecast(
    all: &Activities,
    request: &PayoutRequest,
    assets: &WalletAssets,
    address: Option<&str>,
    offers: Vec<Offer>,
) -> Result<Ruling, NoAnswer> {
    let at = match address {
        None => At::Forecast { offers },
        Some(address) => At::Confirm { address, offers },
    };
    let (key, digest) = (request.key(), request.digest());
    let looked = look(all, request, assets, at).await?;
    let counted = all.records.count(&looked.deciding(&key, &digest)).await?;
    let (decision, _) = looked.decide(&counted);
    ruling(all, &looked, &key, &digest, &decision, Duration::ZERO).await
}

fn policy(ruling: &Ruling) -> Check {
    let revision = format!("revision {}", ruling.revision);
    let (found, says) = match (ruling.verdict, &ruling.approvals) {
        (Verdict::Allowed, _) => (Found::Good, format!("{revision} allows it")),
        (Verdict::NeedsApproval, Approvals::Denied { order }) => (Found::Bad, format!("{revision}: denied by {order}")),
        (Verdict::NeedsApproval, Approvals::Met) => (Found::Good, format!("{revision} allows it: approved")),
        (Verdict::NeedsApproval, missing @ Approvals::Missing { .. }) => {
            (Found::Good, format!("{revision} allows it with the approval of {missing}: {}", ruling.why()))
        }
        (Verdict::Blocked, _) => (Found::Bad, format!("{revision} forbids it: {}", ruling.why())),
    };
    Check::new("policy", found, says)
}

fn quote(offers: &[Offer]) -> Check {
    match offers.first() {
        Some(best) => {
            let says = format!("{} for the beneficiary, {} of fees", best.receives, best.fees);
            Check::new("quote", Found::Good, says)
        }
        None => Check::new("quote", Found::NotKnown, "served, but nothing is offered just now"),
    }
}

/// What the request itself demands of the quote.
fn guards(request: &PayoutRequest, offers: &[Offer]) -> Option<Check> {
    let breaches: Vec<String> = request.guards.as_ref()?.check(offers).iter().map(ToString::to_string).collect();
    Some(match breaches.is_empty() {
        true => Check::new("guards", Found::Good, "the quote keeps them"),
        false => Check::new("guards", Found::Bad, breaches.join("; ")),
    })
}
