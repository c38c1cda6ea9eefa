//! Compares all books after a run: the other side's ledger, what the runs returned, and the records.
//!
//! Shares no rule and no type with the system it looks at. It takes plain values, knows the few words that an outcome
//! says about money, and counts the rest itself; a word it does not know is a violation.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

/// The ending of a payout that a person has to look at. What it says of the money is no last word.
const IN_DOUBT: &str = "NeedsPerson";

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The business id, which is the key too.
    pub key: String,
    /// Which wallet pays.
    pub wallet: String,
    /// With which token, as the ledger names it: `erc20:0x…`.
    pub asset: String,
    /// How much of it, in its smallest unit.
    pub amount: u128,
    /// Nothing but the faults stands in its way, so it has to be paid.
    pub must_be_paid: bool,
}

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// Events in its history.
    pub events: usize,
    /// Workflow tasks that failed, each with its cause.
    pub failed_tasks: Vec<String>,
    /// What it returned, or why it returned nothing.
    pub left: Result<Value, String>,
    /// It waits for a person.
    pub in_doubt: bool,
}

/// What the records say of a payout.
#[derive(Clone, Debug)]
pub struct OnRecord {
    /// `open`, `confirming` or `closed`.
    pub gate: String,
    /// The provider's id.
    pub payout: Option<String>,
    /// How it ended.
    pub outcome: Option<Value>,
}

/// All books of a run.
#[derive(Clone, Debug)]
pub struct Books {
    /// What was asked for.
    pub asked: Vec<Asked>,
    /// The runs, by key.
    pub runs: BTreeMap<String, Run>,
    /// The records, by key.
    pub records: BTreeMap<String, OnRecord>,
    /// The ledger of the whole organisation, as the sandbox writes it.
    pub ledger: Value,
}

/// What the audit found.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Payouts by the ending they name; those without a result are not among them.
    pub endings: BTreeMap<String, usize>,
    /// Payouts by what their outcome says of the money.
    pub money: BTreeMap<String, usize>,
    /// Payouts that wait for a person, or ended as if they did.
    pub in_doubt: usize,
    /// The tokens that left, by wallet and token.
    pub moved: Vec<Moved>,
    /// Everything that does not agree. Empty is what is wanted.
    pub violations: Vec<String>,
}

/// Tokens that left a wallet, by three counts that must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// The wallet.
    pub wallet: String,
    /// The token.
    pub asset: String,
    /// By the wallet's balance in the ledger.
    pub by_balance: String,
    /// By the payouts whose outcome says that the tokens left.
    pub by_outcome: String,
    /// By the ledger's transfers, for payouts whose outcome does not say.
    pub not_said: String,
}

/// What the ledger says under one external id.
#[derive(Clone, Debug, Default)]
struct Line {
    creates: u64,
    confirms: u64,
    transfers: u64,
    open: u64,
    confirmed: u64,
    moved: u128,
    /// The payouts under it: id, whether the bank has the money.
    payouts: Vec<(String, bool)>,
}

/// Compares all books.
pub fn audit(books: &Books) -> Findings {
    let mut found = Findings::default();
    let lines = lines(&books.ledger, &mut found.violations);
    let keys: BTreeSet<&str> = books.asked.iter().map(|asked| asked.key.as_str()).collect();
    for stranger in lines.keys().filter(|key| !keys.contains(key.as_str())) {
        found.violations.push(format!("{stranger:?} is in the ledger and was never asked for"));
    }
    let mut sums: BTreeMap<(&str, &str), (u128, u128)> = BTreeMap::new();
    for asked in &books.asked {
        let key = asked.key.as_str();
        let line = lines.get(key).cloned().unwrap_or_default();
        let mut wrong = Wrong { key, all: &mut found.violations };
        once(asked, &line, &mut wrong);
        let sum = sums.entry((&asked.wallet, &asked.asset)).or_default();
        let Some(run) = books.runs.get(key) else {
            wrong.add("has no run");
            sum.1 += line.moved;
            continue;
        };
        found.in_doubt += usize::from(run.in_doubt);
        match &run.left {
            Ok(outcome) => {
                for (counts, field) in [(&mut found.endings, "ending"), (&mut found.money, "money")] {
                    *counts.entry(text(outcome, field).to_owned()).or_default() += 1;
                }
                if text(outcome, "ending") == IN_DOUBT {
                    found.in_doubt += 1;
                    wrong.add(format!("ended in doubt: {}", text(outcome, "reason")));
                    sum.1 += line.moved;
                    continue;
                }
                match claims(asked, outcome, &line, &mut wrong) {
                    Left::Yes => sum.0 += asked.amount,
                    Left::No => {}
                    Left::NotSaid => sum.1 += line.moved,
                }
                recorded(books.records.get(key), outcome, &line, &mut wrong);
            }
            Err(why) => {
                wrong.add(why);
                sum.1 += line.moved;
            }
        }
    }
    found.moved = balances(&books.ledger, sums, &mut found.violations);
    conserved(&books.ledger, &mut found.violations);
    found
}

/// Collects what is wrong with one payout.
struct Wrong<'a> {
    key: &'a str,
    all: &'a mut Vec<String>,
}

impl Wrong<'_> {
    fn add(&mut self, what: impl std::fmt::Display) {
        self.all.push(format!("{}: {what}", self.key));
    }

    fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(what());
        }
    }
}

/// Created, confirmed and transferred at most once, and nothing but the whole amount.
fn once(asked: &Asked, line: &Line, wrong: &mut Wrong<'_>) {
    let counts = [("created", line.creates), ("confirmed", line.confirms), ("transferred", line.transfers)];
    for (what, times) in counts {
        wrong.unless(times <= 1, || format!("{what} {times} times"));
    }
    wrong.unless(line.creates == line.payouts.len() as u64, || {
        format!("{} creates were accepted and {} payouts are there", line.creates, line.payouts.len())
    });
    wrong.unless(line.transfers <= line.confirms, || "transferred without a Confirm".to_owned());
    wrong.unless(line.moved == 0 || line.moved == asked.amount, || {
        format!("{} units moved, {} were asked for", line.moved, asked.amount)
    });
}

/// Whether an outcome says that the tokens left the wallet.
enum Left {
    Yes,
    No,
    NotSaid,
}

/// What an outcome says of the money must be what the ledger says.
fn claims(asked: &Asked, outcome: &Value, line: &Line, wrong: &mut Wrong<'_>) -> Left {
    wrong.unless(text(outcome, "key") == asked.key, || format!("its outcome is that of {}", text(outcome, "key")));
    let (id, disbursed) = line.payouts.first().map_or(("", false), |(id, disbursed)| (id.as_str(), *disbursed));
    let named = text(outcome, "payout");
    wrong.unless(named == id, || format!("its outcome names payout {named:?}, the ledger has {id:?}"));
    let (ending, money) = (text(outcome, "ending"), text(outcome, "money"));
    let reason = text(outcome, "reason");
    wrong.unless((ending == "Completed") == (money == "paid"), || format!("{ending} with the money {money}"));
    wrong.unless(!asked.must_be_paid || money == "paid", || {
        format!("nothing stood in its way and it is {ending}, {money}: {reason}")
    });
    wrong.unless(disbursed == (money == "paid"), || {
        let bank = if disbursed { "has" } else { "does not have" };
        format!("the outcome says {money} ({ending}: {reason}), and the bank {bank} the money")
    });
    let moved = (line.confirmed, line.open);
    match money {
        "paid" => {
            wrong.unless(moved == (1, 0), || format!("paid with {moved:?} transfers confirmed and open"));
            Left::Yes
        }
        "withProvider" => {
            wrong.unless(moved == (1, 0), || format!("with the provider, with {moved:?} transfers confirmed and open"));
            Left::Yes
        }
        "untouched" => {
            wrong.unless(moved == (0, 0), || format!("untouched, with {moved:?} transfers confirmed and open"));
            Left::No
        }
        "unknown" => Left::NotSaid,
        other => {
            wrong.add(format!("its outcome says {other:?} of the money, which this auditor does not know"));
            Left::NotSaid
        }
    }
}

/// The records agree with the run and the ledger.
fn recorded(row: Option<&OnRecord>, outcome: &Value, line: &Line, wrong: &mut Wrong<'_>) {
    let Some(row) = row else { return wrong.add("is not in the records") };
    wrong.unless(row.outcome.as_ref() == Some(outcome), || {
        format!("the run returned {outcome} and on record is {:?}", row.outcome)
    });
    let id = line.payouts.first().map(|(id, _)| id);
    wrong.unless(row.payout.as_ref() == id, || format!("on record is payout {:?}, the ledger has {id:?}", row.payout));
    wrong.unless(row.gate != "open", || "ended with an open gate".to_owned());
    wrong.unless(line.confirms == 0 || row.gate == "confirming", || {
        format!("confirmed at the provider with the gate {}", row.gate)
    });
}

/// The ledger's lines by external id.
fn lines(ledger: &Value, violations: &mut Vec<String>) -> BTreeMap<String, Line> {
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for line in rows(ledger, "byExternalId") {
        let mut number = |field: &str| {
            line[field].as_u64().unwrap_or_else(|| {
                violations.push(format!("the ledger cannot be read: {field} in {line}"));
                0
            })
        };
        let read = Line {
            creates: number("createsAccepted"),
            confirms: number("confirmsAccepted"),
            transfers: number("transfers"),
            open: number("transfersOpen"),
            confirmed: number("transfersConfirmed"),
            moved: text(line, "moved").parse().unwrap_or_else(|_| {
                violations.push(format!("the ledger cannot be read: moved in {line}"));
                0
            }),
            payouts: vec![],
        };
        lines.insert(text(line, "externalId").to_owned(), read);
    }
    for payout in rows(ledger, "payouts") {
        let line = lines.entry(text(payout, "externalId").to_owned()).or_default();
        line.payouts.push((text(payout, "id").to_owned(), text(payout, "status") == "Completed"));
    }
    lines
}

/// What left each wallet by its balance is what left by the outcomes, to the unit. Fees are paid in other coins.
fn balances(ledger: &Value, sums: BTreeMap<(&str, &str), (u128, u128)>, violations: &mut Vec<String>) -> Vec<Moved> {
    let mut all = vec![];
    for ((wallet, asset), (left, not_said)) in sums {
        let row = rows(ledger, "balances").find(|row| text(row, "walletId") == wallet && text(row, "asset") == asset);
        let moved = row.and_then(|row| text(row, "moved").parse::<i128>().ok());
        let expected = i128::try_from(left.saturating_add(not_said)).ok().and_then(i128::checked_neg);
        if moved.is_none() || moved != expected {
            violations.push(format!(
                "wallet {wallet} moved {moved:?} units of {asset}; the outcomes say that {left} left, and {not_said} \
                 moved for payouts whose outcome does not say"
            ));
        }
        all.push(Moved {
            wallet: wallet.to_owned(),
            asset: asset.to_owned(),
            by_balance: moved.map_or_else(|| "?".to_owned(), |moved| moved.unsigned_abs().to_string()),
            by_outcome: left.to_string(),
            not_said: not_said.to_string(),
        });
    }
    all
}

/// The other side made and lost no unit.
fn conserved(ledger: &Value, violations: &mut Vec<String>) {
    for sum in rows(ledger, "sums") {
        if sum["opening"] != sum["current"] {
            violations.push(format!("the ledger does not add up: {sum}"));
        }
    }
}

fn rows<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
