//! Decides by the policy in force whether a payout may go on, and reserves what it is worth.

use std::{sync::Arc, time::Duration};

use remit_dfns::{Error, Stage, WalletAssets};
use remit_domain::{
    Decided, Destination, Offer, PayoutKey, PayoutRequest,
    policy::{
        ApprovalOf, Approved, Decision, Facts, Initiator, Question, Screened, Spoke, Statement, Tally, Traits, Verdict,
        When, decide, may_approve, tally,
    },
};
use remit_keys::verified;
use remit_records::{ApprovalRow, Counted, DecideAnswer, Deciding as OnRecord, PayoutRow, Ruling as Ruled};
use remit_screening::{Hit, ListVersion, Subject};
use remit_workflows::contract::{Approvals, DecidePayout, Deciding, MissingApproval, Ruling};

use crate::{Activities, NoAnswer, policy::InForce, trace, translate};

/// What is looked at beside the request: at the start nothing more, before Confirm where the tokens go and what the
/// beneficiary gets.
pub(crate) enum At<'a> {
    Start,
    /// Before the start, for somebody who wants to know: what the quote says is looked at already.
    Forecast {
        offers: Vec<Offer>,
    },
    Confirm {
        address: &'a str,
        offers: Vec<Offer>,
    },
}

/// Everything is looked up first; then, in one transaction, the limits are counted, the policy decides and the
/// reservation is taken. Twice: it decides again, and reserves once.
pub(crate) async fn decide_payout(all: &Activities, input: DecidePayout) -> Result<Deciding, NoAnswer> {
    let key = input.key.as_str();
    let row = all.records.payout(key).await?;
    let Some(row) = row.filter(|row| row.digest == input.digest) else {
        return Err(NoAnswer::NotAllowed { why: format!("payout {key} is not claimed for this request") });
    };
    if let Some(why) = &input.void {
        all.records.void_approvals(key, why).await?;
    }
    let request = on_record(&row)?.unwrap_or(input.request);
    let assets = match all.dfns.wallet_assets(request.wallet_id.as_str()).await {
        Ok(assets) => assets,
        Err(Error::Refused { stage: Stage::Call, refusal }) if matches!(refusal.status, 400 | 404) => {
            let reason = format!("the provider does not know the wallet, nothing was created: {refusal}");
            return Ok(Deciding::Unpayable { reason });
        }
        Err(error) => return Err(error.into()),
    };
    let (_, ruling) = rule(all, &input.key, &input.digest, &request, &assets, At::Start).await?;
    Ok(Deciding::Ruled { ruling })
}

/// The request as it was claimed. None in rows older than requests are kept.
pub(crate) fn on_record(row: &PayoutRow) -> Result<Option<PayoutRequest>, NoAnswer> {
    let Some(json) = &row.request else { return Ok(None) };
    let unreadable = |why: String| NoAnswer::Records { why: format!("the request on record of {}: {why}", row.key) };
    let mut request = PayoutRequest::parse(json).map_err(|refusal| unreadable(refusal.to_string()))?;
    request.attempt = row.attempt.try_into().map_err(|expected: &str| unreadable(expected.to_owned()))?;
    Ok(Some(request))
}

/// Decides, and says how far the approvals are that are wanted.
pub(crate) async fn rule(
    all: &Activities,
    key: &PayoutKey,
    digest: &str,
    request: &PayoutRequest,
    assets: &WalletAssets,
    at: At<'_>,
) -> Result<(Decision, Ruling), NoAnswer> {
    let looked = look(all, request, assets, at).await?;
    let decided = all
        .records
        .decide_payout(&looked.deciding(key, digest), |counted| {
            let (decision, facts) = looked.decide(counted);
            Ruled { decision, facts: serde_json::to_value(&facts).unwrap_or_default() }
        })
        .await?;
    let decided = match decided {
        DecideAnswer::Decided(decided) => decided,
        DecideAnswer::Finished => return not_allowed(key, "has ended"),
        DecideAnswer::NotClaimed => return not_allowed(key, "is not claimed"),
        DecideAnswer::Conflict => return not_allowed(key, "is claimed for another request"),
    };
    let decision = decided.decision;
    all.metrics.decision(decision.verdict.as_str());
    trace::decided(&decision, &looked.initiator);
    tracing::info!(
        policy.revision = decision.revision,
        decision = decision.verdict.as_str(),
        "Policy revision {} about payout {key}: {}",
        decision.revision,
        decision.verdict.as_str()
    );
    let ruling = ruling(all, &looked, key, digest, &decision, decided.age).await?;
    Ok((decision, ruling))
}

/// Everything that a decision looks at but what is counted.
pub(crate) struct Looked<'a> {
    in_force: Arc<InForce>,
    request: &'a PayoutRequest,
    assets: &'a WalletAssets,
    traits: Traits,
    asset: String,
    amount: String,
    questions: Vec<Question>,
    initiator: Initiator,
    screened: Screened,
    offers: Vec<Offer>,
    when: When,
}

pub(crate) async fn look<'a>(
    all: &Activities,
    request: &'a PayoutRequest,
    assets: &'a WalletAssets,
    at: At<'_>,
) -> Result<Looked<'a>, NoAnswer> {
    let in_force = all.policies.in_force(&all.records).await?;
    let traits = Traits::of(request, &assets.network);
    let (address, offers, when) = match at {
        At::Start => (None, vec![], When::Start),
        At::Forecast { offers } => (None, offers, When::Start),
        At::Confirm { address, offers } => (Some(address), offers, When::BeforeConfirm),
    };
    Ok(Looked {
        initiator: initiator(&all.policies.settings.namespace, &in_force, request),
        screened: screen(all, request, address).await?,
        questions: in_force.policy.questions(&traits),
        asset: request.asset.label(),
        amount: request.amount.to_string(),
        in_force,
        request,
        assets,
        traits,
        offers,
        when,
    })
}

impl Looked<'_> {
    /// What has to be counted for it.
    pub(crate) fn deciding<'a>(&'a self, key: &'a PayoutKey, digest: &'a str) -> OnRecord<'a> {
        OnRecord {
            key: key.as_str(),
            digest,
            traits: &self.traits,
            asset: &self.asset,
            amount: &self.amount,
            questions: &self.questions,
        }
    }

    /// What the policy says.
    pub(crate) fn decide(&self, counted: &Counted) -> (Decision, Facts) {
        let facts = Facts {
            now: counted.now,
            when: self.when,
            traits: self.traits.clone(),
            price: translate::price(self.assets, &self.request.asset, counted.now),
            initiator: self.initiator.clone(),
            screened: self.screened.clone(),
            offers: self.offers.clone(),
            sums: counted.sums.clone(),
            past: counted.past.clone(),
        };
        (decide(&self.in_force.policy, &self.in_force.id, self.request, &facts), facts)
    }
}

/// A decision that has stood for `age`, as far as a run needs it, with the approvals that are on record.
pub(crate) async fn ruling(
    all: &Activities,
    looked: &Looked<'_>,
    key: &PayoutKey,
    digest: &str,
    decision: &Decision,
    age: Duration,
) -> Result<Ruling, NoAnswer> {
    let approvals = match decision.verdict {
        Verdict::NeedsApproval => how_far(all, &looked.in_force, key, digest, looked.request, decision).await?,
        Verdict::Allowed | Verdict::Blocked => Approvals::Met,
    };
    let timeout = decision.wanted.iter().map(|wanted| wanted.timeout_seconds).min().unwrap_or_default();
    let since = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
    Ok(Ruling {
        verdict: decision.verdict,
        revision: decision.revision,
        revision_hash: decision.revision_hash.clone(),
        usd: decision.usd,
        reasons: decision.spoke.iter().filter(|spoke| spoke.triggered).map(said).collect(),
        wanted: decision.wanted.clone(),
        approvals,
        wait_seconds: timeout.saturating_sub(since),
    })
}

fn not_allowed<T>(key: &PayoutKey, why: &str) -> Result<T, NoAnswer> {
    Err(NoAnswer::NotAllowed { why: format!("payout {key} {why}: nothing is decided about it") })
}

fn said(spoke: &Spoke) -> String {
    format!("{}: {}", spoke.rule, spoke.says)
}

/// Who asked for a payout, as far as a signature proves it.
pub(crate) fn initiator(namespace: &str, in_force: &InForce, request: &PayoutRequest) -> Initiator {
    let Some(signed) = &request.signed else { return Initiator::Unsigned };
    let Some(starter) = in_force.policy.starter(&signed.by) else {
        return Initiator::Unproven { why: format!("the policy knows no starter {:?}", signed.by) };
    };
    let statement = Statement::Start {
        namespace: namespace.to_owned(),
        external_id: request.external_id.as_str().to_owned(),
        digest: request.digest(),
        starter: signed.by.clone(),
    };
    if verified(&starter.key, &statement.text(), &signed.signature) {
        Initiator::Starter { name: signed.by.clone() }
    } else {
        Initiator::Unproven { why: format!("the signature is not that of starter {:?}", signed.by) }
    }
}

/// Asks all lists. One that does not answer is no finding: the payout waits.
async fn screen(all: &Activities, request: &PayoutRequest, address: Option<&str>) -> Result<Screened, NoAnswer> {
    let Destination::Bank(bank) = &request.destination;
    let subject = Subject {
        addresses: address.map(str::to_owned).into_iter().collect(),
        account_ids: vec![bank.account_id.clone(), bank.instructions_id.clone()],
        names: bank.beneficiary_name.iter().map(|name| name.as_str().to_owned()).collect(),
    };
    let answer =
        all.screener.screen(&subject).await.map_err(|no_answer| NoAnswer::Screening { why: no_answer.to_string() })?;
    // What stands on a list may be a name: the entry's id says enough, and is kept for ever.
    let list = |list: &ListVersion| {
        let hash = list.sha256.as_deref().map(|hash| format!(" sha256:{hash}")).unwrap_or_default();
        format!("{} {}, {} entries{hash}", list.name, list.version, list.entries)
    };
    let hit = |hit: &Hit| format!("{} entry {} ({:?}, {} of 100 alike)", hit.list, hit.entry, hit.matched, hit.score);
    Ok(Screened { lists: answer.lists.iter().map(list).collect(), hits: answer.hits.iter().map(hit).collect() })
}

/// Whether an approval on record counts now. The error says why not.
pub(crate) fn counts(in_force: &InForce, of: &ApprovalOf<'_>, row: &ApprovalRow) -> Result<Approved, String> {
    let statement = Statement::parse(&row.statement).map_err(|error| error.to_string())?;
    let approved = may_approve(&in_force.policy, of, &statement)?;
    if verified(&approved.key, &row.statement, &row.signature) {
        Ok(approved)
    } else {
        Err(format!("the signature is not that of {}", row.person))
    }
}

/// How far the approvals are that this decision wants, verified anew from the records: a key that was taken away since
/// voids what it signed.
pub(crate) async fn how_far(
    all: &Activities,
    in_force: &InForce,
    key: &PayoutKey,
    digest: &str,
    request: &PayoutRequest,
    decision: &Decision,
) -> Result<Approvals, NoAnswer> {
    let namespace = &all.policies.settings.namespace;
    let initiator = initiator(namespace, in_force, request);
    let on_record = all.records.approvals(key.as_str()).await?;
    let now = all.records.now().await?;
    let of = ApprovalOf {
        namespace,
        key: key.as_str(),
        attempt: request.attempt.number(),
        digest,
        initiator: &initiator,
        revisions: &in_force.hashes,
        now,
    };
    let approved: Vec<Approved> = on_record
        .iter()
        .filter(|row| row.void.is_none())
        .filter_map(|row| {
            let not = |why: &String| {
                tracing::warn!("An approval on record of payout {key} does not count: {why}");
            };
            counts(in_force, &of, row).inspect_err(not).ok()
        })
        .collect();
    Ok(match tally(&decision.wanted, &approved) {
        Tally::Met => Approvals::Met,
        Tally::Denied { by, why } => Approvals::Denied { order: Decided { by, why } },
        Tally::Missing(missing) => Approvals::Missing {
            missing: missing
                .into_iter()
                .map(|it| MissingApproval { group: it.group, quorum: it.quorum, have: it.have })
                .collect(),
        },
    })
}

/// How long a statement may count at the most, from when it comes: longer ones are refused, so that none lies about.
pub(crate) const COUNTS_AT_MOST: Duration = Duration::from_secs(31 * 24 * 3600);
