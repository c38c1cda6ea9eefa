//! `remit policy preview`: recent payouts, decided again by another policy.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use remit_domain::{
    PayoutRequest,
    policy::{Decision, Facts, Policy, Question, RevisionId, Sum, Verdict, decide},
};
use remit_records::{DecisionRow, PayoutFilter, Records, RevisionRow};
use serde_json::{Value, json};

use super::{check::Checked, check::many, records};
use crate::{
    exit::{Exit, Failure, Outcome},
    out,
    settings::{Period, Settings},
    table::Look,
};

/// Flags of `remit policy preview`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit policy preview policy.toml
  remit policy preview policy.toml --since 30d --limit 5000
  remit policy preview policy.toml --json | jq '.otherwise[] | select(.wouldBe == \"blocked\") | .payout'

Takes what is on record of each recent decision (worth, what was paid before, screening, who started it) and decides again
by this file: shows the payouts that would have been decided otherwise. What the file counts and no policy counted
before, it counts from the decisions on record; fees are those that were known. Changes nothing.
Exit codes: 0 compared, even when nothing differs · 2 the file cannot be read as a policy · 1 anything else.")]
pub struct Args {
    /// The policy to try
    file: PathBuf,
    /// How far back, such as 36h or 30d
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: Period,
    /// At most so many payouts, the newest
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// More than this are not looked at, not even to count what was paid before.
const MOST: usize = 20_000;
/// How many are read at once.
const AT_ONCE: usize = 8;

/// Compares.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let checked = Checked::file(&args.file)?;
    let policy = checked.policy.as_ref().map_err(|_| {
        Failure::new(Exit::Usage, format!("the file cannot be read as a policy:\n{}", checked.lines().join("\n")))
    })?;
    let records = records(settings).await?;
    let since = records.now().await?.checked_sub(args.since.duration()).unwrap_or(Timestamp::MIN);
    let revisions = records.revisions().await?;
    let window = policies_window(policy);
    let past = read(&records, since, window, args.limit).await?;
    let requests = requests(&records, past.iter().filter(|it| it.at >= since).take(args.limit)).await?;
    records.close().await;
    let compared = compare(policy, &old_policies(&revisions), &past, &requests);
    tell(&args, since, &compared)
}

/// The longest time that a rule counts back.
fn policies_window(policy: &Policy) -> Duration {
    use remit_domain::policy::Kind;
    let seconds = policy.rules.iter().map(|rule| match rule.kind {
        Kind::TransactionAmountVelocity { window_seconds, .. }
        | Kind::TransactionCountVelocity { window_seconds, .. } => window_seconds,
        Kind::AlwaysTrigger
        | Kind::TransactionAmountLimit { .. }
        | Kind::TransactionRecipientWhitelist { .. }
        | Kind::NewBeneficiary { .. }
        | Kind::FeeLimit { .. }
        | Kind::SlippageLimit { .. }
        | Kind::BusinessHours { .. }
        | Kind::Screening
        | Kind::Anomaly { .. } => 0,
    });
    Duration::from_secs(seconds.max().unwrap_or_default().into())
}

/// What the rules that triggered said, in one line.
fn why(decision: &Decision) -> String {
    let triggered = decision.spoke.iter().filter(|it| it.triggered);
    let said: Vec<String> = triggered.map(|it| format!("{}: {}", it.rule, it.says)).collect();
    if said.is_empty() { "no rule triggered".into() } else { said.join("; ") }
}

/// A decision on record, with the facts that it looked at.
#[derive(Clone, Debug)]
struct Past {
    key: String,
    at: Timestamp,
    decision: Decision,
    facts: Facts,
}

impl Past {
    /// None when this build does not understand the facts.
    fn of(row: DecisionRow) -> Option<Self> {
        let facts = serde_json::from_value(row.facts).ok()?;
        Some(Self { key: row.key, at: row.at, decision: row.decision, facts })
    }
}

/// The newest decision of each payout that was asked for since then, and as far before as a rule counts back; newest
/// first.
async fn read(records: &Records, since: Timestamp, window: Duration, limit: usize) -> Result<Vec<Past>, Failure> {
    let counted_from = since.checked_sub(window).unwrap_or(Timestamp::MIN);
    let mut all: Vec<Past> = Vec::new();
    let mut place = None;
    loop {
        let filter = PayoutFilter { after: place.as_ref(), limit: 500, ..PayoutFilter::default() };
        let page = records.payouts(&filter).await?;
        let enough = page.items.iter().any(|item| item.claimed_at < counted_from);
        let keys = page.items.into_iter().filter(|item| item.claimed_at >= counted_from).map(|item| item.key);
        let rows = futures::stream::iter(keys).map(|key| async move { records.decision(&key).await }).buffered(AT_ONCE);
        let rows: Vec<Option<DecisionRow>> = rows.try_collect().await?;
        all.extend(rows.into_iter().flatten().filter_map(Past::of));
        let shown = all.iter().filter(|past| past.at >= since).count() >= limit;
        if enough || (shown && window.is_zero()) {
            break;
        }
        if all.len() >= MOST {
            out::note(format_args!("payouts before the newest {MOST} are not looked at and not counted"));
            break;
        }
        let Some(next) = page.next else { break };
        place = Some(next);
    }
    all.sort_by_key(|past| std::cmp::Reverse(past.at));
    Ok(all)
}

/// What was asked for, by key.
async fn requests(
    records: &Records,
    of: impl Iterator<Item = &Past>,
) -> Result<BTreeMap<String, PayoutRequest>, Failure> {
    let keys: Vec<String> = of.map(|past| past.key.clone()).collect();
    let rows = futures::stream::iter(keys).map(|key| async move { records.payout(&key).await }).buffered(AT_ONCE);
    let rows: Vec<_> = rows.try_collect().await?;
    let request = |row: remit_records::PayoutRow| Some((row.key, PayoutRequest::parse(&row.request?).ok()?));
    Ok(rows.into_iter().flatten().filter_map(request).collect())
}

/// Policies that decided before, by the number of their revision: they say which questions the facts answer.
fn old_policies(revisions: &[RevisionRow]) -> BTreeMap<u32, Policy> {
    let policy = |row: &RevisionRow| Some((row.number, Policy::read(&row.content).ok()?));
    revisions.iter().filter_map(policy).collect()
}

/// A payout that would be decided otherwise.
#[derive(Debug)]
struct Otherwise {
    key: String,
    at: Timestamp,
    was: Decision,
    now: Decision,
}

/// What came of it.
#[derive(Debug, Default)]
struct Compared {
    same: usize,
    /// How many for which something had to be counted anew.
    recounted: usize,
    otherwise: Vec<Otherwise>,
}

fn compare(
    policy: &Policy,
    old: &BTreeMap<u32, Policy>,
    past: &[Past],
    requests: &BTreeMap<String, PayoutRequest>,
) -> Compared {
    let id = RevisionId { number: 0, hash: String::new() };
    let mut compared = Compared::default();
    for (n, one) in past.iter().enumerate() {
        let Some(request) = requests.get(&one.key) else { continue };
        let asked = policy.questions(&one.facts.traits);
        let answered: BTreeMap<Question, Sum> = old
            .get(&one.decision.revision)
            .map(|old| old.questions(&one.facts.traits).into_iter().zip(one.facts.sums.iter().copied()).collect())
            .unwrap_or_default();
        compared.recounted += usize::from(asked.iter().any(|question| !answered.contains_key(question)));
        let before = &past[n + 1..];
        let sums = asked
            .iter()
            .map(|question| answered.get(question).copied().unwrap_or_else(|| count(question, one, before)));
        let facts = Facts { sums: sums.collect(), ..one.facts.clone() };
        let now = decide(policy, &id, request, &facts);
        if (now.verdict, wants(&now)) == (one.decision.verdict, wants(&one.decision)) {
            compared.same += 1;
        } else {
            compared.otherwise.push(Otherwise { key: one.key.clone(), at: one.at, was: one.decision.clone(), now });
        }
    }
    compared
}

/// Whose approval, and how many.
fn wants(decision: &Decision) -> BTreeSet<(&str, u32)> {
    decision.wanted.iter().map(|wanted| (wanted.group.as_str(), wanted.quorum)).collect()
}

/// The answer to a question that was not asked then, from what was decided before.
fn count(question: &Question, one: &Past, before: &[Past]) -> Sum {
    let from = one.at.checked_sub(Duration::from_secs(question.window_seconds.into())).unwrap_or(Timestamp::MIN);
    let counts = |past: &&Past| {
        past.at > from
            && past.decision.verdict != Verdict::Blocked
            && question.of.iter().all(|(dimension, values)| values.contains(past.facts.traits.get(*dimension)))
    };
    before.iter().filter(counts).fold(Sum::default(), |sum, past| Sum {
        usd: sum.usd + past.decision.usd.map_or(0, |usd| u128::from(usd.0)),
        count: sum.count + 1,
        unpriced: sum.unpriced + u64::from(past.decision.usd.is_none()),
    })
}

fn tell(args: &Args, since: Timestamp, compared: &Compared) -> Outcome {
    if args.json {
        out::json(&json!({
            "since": since.to_string(), "decided": compared.same + compared.otherwise.len(), "same": compared.same,
            "countedAnew": compared.recounted,
            "otherwise": compared.otherwise.iter().map(json_of).collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::Done);
    }
    if !compared.otherwise.is_empty() {
        let header = ["payout", "decided", "worth", "was", "would be", "why"];
        let rows: Vec<Vec<String>> = compared.otherwise.iter().map(row).collect();
        out::line(Look::of_stdout().table(&header, &rows))?;
    }
    out::note(summary(compared));
    Ok(Exit::Done)
}

fn summary(compared: &Compared) -> String {
    let decided = compared.same + compared.otherwise.len();
    if decided == 0 {
        return "nothing was decided in that time".into();
    }
    let mut text = format!("{}: {} as before", many(decided, "payout"), compared.same);
    for verdict in [Verdict::Blocked, Verdict::NeedsApproval, Verdict::Allowed] {
        let count = compared.otherwise.iter().filter(|it| it.now.verdict == verdict).count();
        let word = match verdict {
            Verdict::Blocked => "blocked instead",
            Verdict::NeedsApproval => "to be approved otherwise",
            Verdict::Allowed => "allowed instead",
        };
        if count > 0 {
            text += &format!(", {count} {word}");
        }
    }
    if compared.recounted > 0 {
        text += &format!(" (for {} of them something was counted anew)", compared.recounted);
    }
    text
}

/// `needsApproval (2 of treasury)`.
fn verdict(decision: &Decision) -> String {
    let wanted: Vec<String> = wants(decision).iter().map(|(group, quorum)| format!("{quorum} of {group}")).collect();
    match wanted.as_slice() {
        [] => decision.verdict.as_str().to_owned(),
        wanted => format!("{} ({})", decision.verdict.as_str(), wanted.join(" and ")),
    }
}

fn row(it: &Otherwise) -> Vec<String> {
    vec![
        it.key.clone(),
        it.at.strftime("%FT%TZ").to_string(),
        it.now.usd.map(|usd| usd.to_string()).unwrap_or_default(),
        verdict(&it.was),
        verdict(&it.now),
        why(&it.now),
    ]
}

fn json_of(it: &Otherwise) -> Value {
    json!({
        "payout": it.key, "decidedAt": it.at.to_string(), "revision": it.was.revision, "was": it.was.verdict,
        "wouldBe": it.now.verdict, "wanted": it.now.wanted, "why": why(&it.now), "usd": it.now.usd,
    })
}

#[cfg(test)]
mod tests {
    use remit_domain::policy::{Initiator, MicroUsd, Price, Screened, Traits, When};

    use super::*;

    fn policy(rule: &str) -> Policy {
        let text = format!(
            "name = \"p\"\nunsigned_starts = \"allow\"\n[people.ana]\n\
             key = \"ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\"\n\
             [groups.treasury]\npeople = [\"ana\"]\n[[rule]]\nname = \"it\"\n{rule}\n"
        );
        Policy::read(&text).expect("a policy")
    }

    const LARGE: &str = "kind = \"TransactionAmountLimit\"\nlimit = \"100 USD\"\naction = \"Block\"";
    const A_DAY: &str =
        "kind = \"TransactionAmountVelocity\"\nlimit = \"100 USD\"\nwindow = \"24h\"\naction = \"Block\"";

    /// Payouts of these dollars, an hour after each other, decided by this policy as revision 1; newest first.
    fn decided(policy: &Policy, dollars: &[u64], sums: &[Sum]) -> (Vec<Past>, BTreeMap<String, PayoutRequest>) {
        let mut requests = BTreeMap::new();
        let mut all: Vec<Past> = Vec::new();
        for (n, usd) in dollars.iter().enumerate() {
            let json = json!({
                "externalId": format!("p-{n}"), "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k",
                "amount": (usd * 1_000_000).to_string(),
                "asset": {"kind": "Erc20", "contract": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"},
                "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1",
                                "instructionsId": "pi-1", "currency": "BRL", "country": "BR", "purpose": "other"},
            });
            let request = PayoutRequest::parse(&json).expect("a request");
            let at = Timestamp::from_second(3600 * n as i64).expect("a time");
            let price = Price { usd: MicroUsd(1_000_000), decimals: 6, source: "test".into(), at };
            let facts = Facts {
                now: at,
                when: When::Start,
                traits: Traits::of(&request, "Ethereum"),
                price: Some(price),
                initiator: Initiator::Unsigned,
                screened: Screened::default(),
                offers: vec![],
                sums: sums.to_vec(),
                past: Default::default(),
            };
            let decision = decide(policy, &RevisionId { number: 1, hash: "h".into() }, &request, &facts);
            all.insert(0, Past { key: format!("p-{n}"), at, decision, facts });
            requests.insert(format!("p-{n}"), request);
        }
        (all, requests)
    }

    fn otherwise(new: &Policy, old: Policy, dollars: &[u64], sums: &[Sum]) -> (Compared, Vec<String>) {
        let (past, requests) = decided(&old, dollars, sums);
        let compared = compare(new, &[(1, old)].into(), &past, &requests);
        let keys = compared.otherwise.iter().map(|it| it.key.clone()).collect();
        (compared, keys)
    }

    #[test]
    fn a_limit_that_is_lower_shows_who_would_have_been_blocked() {
        let lower = policy(&LARGE.replace("100 USD", "50 USD"));
        let (compared, keys) = otherwise(&lower, policy(LARGE), &[40, 60, 200], &[]);
        assert_eq!((keys, compared.same, compared.recounted), (vec!["p-1".to_owned()], 2, 0));
        assert_eq!(summary(&compared), "3 payouts: 2 as before, 1 blocked instead");
        assert!(row(&compared.otherwise[0])[5].contains("60.00 USD is above the limit of 50.00 USD"));
    }

    #[test]
    fn an_approval_of_others_is_another_decision() {
        let ask = "kind = \"TransactionAmountLimit\"\nlimit = \"50 USD\"\naction = \"RequestApproval\"\n\
                   approvals = [{ group = \"treasury\", quorum = 1 }]\ntimeout = \"4h\"";
        let (compared, keys) = otherwise(&policy(ask), policy(LARGE), &[60], &[]);
        assert_eq!(keys, ["p-0"]);
        assert_eq!(verdict(&compared.otherwise[0].now), "needsApproval (1 of treasury)");
    }

    #[test]
    fn what_was_counted_then_is_taken_from_the_record_when_only_the_limit_changes() {
        let spent = Sum { usd: 70_000_000, count: 1, unpriced: 0 };
        let higher = policy(&A_DAY.replace("100 USD", "120 USD"));
        let (compared, keys) = otherwise(&higher, policy(A_DAY), &[40], &[spent]);
        assert_eq!((keys, compared.recounted), (vec!["p-0".to_owned()], 0));
    }

    #[test]
    fn what_was_not_counted_then_is_counted_from_the_decisions_before() {
        let (compared, keys) = otherwise(&policy(A_DAY), policy(LARGE), &[60, 40, 1, 101], &[]);
        // 60 and 40 fit the day, one more does not; the last was blocked then and is now.
        assert_eq!((keys, compared.recounted), (vec!["p-2".to_owned()], 4));
        let hour = A_DAY.replace("24h", "90m");
        assert!(otherwise(&policy(&hour), policy(LARGE), &[60, 40, 1], &[]).1.is_empty());
    }
}
