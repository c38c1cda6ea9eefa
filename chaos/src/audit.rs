//! Compares all books after a run: what the starters asked and were told, the records, what the workflows returned, and
//! the provider's ledger and chain.
//!
//! Shares no code and no rule with the system it looks at. It takes plain values, knows the few words that an outcome
//! says about money, checks signatures and hashes by itself, and counts the rest; what it cannot read is a violation.

mod approvals;
mod chain;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    attackers::NAME,
    books::{Books, Run},
    script::{Payout, amount},
    starter::Step,
};

/// What must hold. Each violation names which did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// At most one create is accepted for an attempt.
    CreatedOnce,
    /// At most one Confirm is accepted for an attempt.
    ConfirmedOnce,
    /// At most one transfer is made for an attempt, and at most one attempt is paid.
    PaidOnce,
    /// What moved is the whole amount, to the address that the provider gave.
    RightTransfer,
    /// Nobody is paid who was called off, denied or forbidden.
    NotForbidden,
    /// What is at the provider is what was asked, field by field.
    WhatWasAsked,
    /// Nothing that was answered as started is missing, and everything ends.
    NothingLost,
    /// Everything ends as its script allows, and asks for a person only where it may.
    Explained,
    /// Records, outcome and ledger agree.
    BooksAgree,
    /// No window holds more than its limit.
    NotOverspent,
    /// No reservation is left open; what is spent is what was sent, to the unit.
    Reservations,
    /// What needed an approval had a valid one before it was confirmed.
    Approved,
    /// The audit record is one chain, and says what was done before it was done.
    Chain,
    /// What left each wallet is what the outcomes say, to the unit.
    Wallets,
    /// Nothing is there that nobody asked for.
    NoStrangers,
    /// The same id with another body is a conflict.
    Conflicts,
    /// No forged webhook is taken.
    NotForged,
    /// A book can be read.
    Readable,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// Which payout, where it is one.
    pub key: String,
    /// In words.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}: {}", self.rule, self.key, self.what)
    }
}

/// What the audit found.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// Attempts by how they ended.
    pub endings: BTreeMap<String, usize>,
    /// What moved in each wallet by the balance, by the outcomes, and their difference, all in units.
    pub wallets: Vec<Moved>,
    /// Units by which the balances and the outcomes differ, all wallets together.
    pub difference: u128,
    /// What the capped window holds and what was sent within it, in millionths of a US dollar.
    pub capped: (u128, u128),
    /// Records in the audit chain.
    pub chain: usize,
    /// What does not hold.
    pub violations: Vec<Violation>,
}

impl Findings {
    /// How many violations of a rule there are.
    pub fn of(&self, rule: Rule) -> usize {
        self.violations.iter().filter(|violation| violation.rule == rule).count()
    }
}

/// What moved out of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// Which wallet.
    pub wallet: String,
    /// By its balance.
    pub by_balance: String,
    /// By the outcomes.
    pub by_outcome: u128,
}

/// Collects what is wrong.
pub(crate) struct Wrong(Vec<Violation>);

impl Wrong {
    fn add(&mut self, rule: Rule, key: &str, what: impl std::fmt::Display) {
        self.0.push(Violation { rule, key: key.to_owned(), what: what.to_string() });
    }

    fn unless(&mut self, holds: bool, rule: Rule, key: &str, what: impl FnOnce() -> String) {
        if !holds {
            self.add(rule, key, what());
        }
    }
}

/// All that is known of one attempt, from all books.
struct Attempt<'a> {
    key: String,
    payout: &'a Payout,
    /// Its row in the records.
    row: &'a Value,
    /// The ledger's line of it, and its payouts and transfers there.
    line: Option<&'a Value>,
    there: Vec<&'a Value>,
    transfers: Vec<&'a Value>,
    run: Option<&'a Run>,
}

impl Attempt<'_> {
    fn count(&self, field: &str, wrong: &mut Wrong) -> u64 {
        let Some(line) = self.line else { return 0 };
        line[field].as_u64().unwrap_or_else(|| {
            wrong.add(Rule::Readable, &self.key, format!("{field} in {line}"));
            0
        })
    }

    /// What its confirmed transfers moved.
    fn moved(&self, wrong: &mut Wrong) -> u128 {
        let Some(line) = self.line else { return 0 };
        number(line, "moved").unwrap_or_else(|| {
            wrong.add(Rule::Readable, &self.key, format!("moved in {line}"));
            0
        })
    }

    fn outcome(&self) -> Option<&Value> {
        Some(&self.row["outcome"]).filter(|outcome| outcome.is_object())
    }
}

/// Compares the books.
pub fn audit(books: &Books) -> Findings {
    let mut found = Findings::default();
    let mut wrong = Wrong(vec![]);
    let attempts = attempts(books, &mut wrong);
    for attempt in &attempts {
        once(attempt, &mut wrong);
        as_asked(attempt, books, &mut wrong);
        let ended = ended(attempt, &mut wrong);
        *found.endings.entry(ended).or_default() += 1;
        reserved(attempt, books, &mut wrong);
        approvals::check(books, attempt, &mut wrong);
    }
    for payout in &books.plan.payouts {
        told(payout, books, &mut wrong);
        paid_once(payout, &attempts, &mut wrong);
    }
    for (key, says) in &books.doubts {
        wrong.add(Rule::Explained, key, format!("it asked for a person: {says}"));
    }
    strangers(books, &attempts, &mut wrong);
    found.capped = window(books, &attempts, &mut wrong);
    found.chain = chain::check(books, &attempts, &mut wrong);
    wallets(books, &attempts, &mut found, &mut wrong);
    addresses(books, &attempts, &mut wrong);
    wrong.unless(books.forged_accepted == 0, Rule::NotForged, "-", || {
        format!("{} forged webhooks were accepted", books.forged_accepted)
    });
    found.violations = wrong.0;
    found
}

/// All attempts on record, in the order of the plan.
fn attempts<'a>(books: &'a Books, wrong: &mut Wrong) -> Vec<Attempt<'a>> {
    let mut rows: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for row in &books.records.payouts {
        rows.entry(text(row, "base")).or_default().push(row);
    }
    let lines: BTreeMap<&str, &Value> =
        list(&books.ledger, "byExternalId").map(|it| (text(it, "externalId"), it)).collect();
    let mut all = vec![];
    for payout in &books.plan.payouts {
        let mut mine = rows.remove(payout.key.as_str()).unwrap_or_default();
        mine.sort_by_key(|row| row["attempt"].as_u64());
        wrong.unless(!mine.is_empty(), Rule::NothingLost, &payout.key, || "is not in the records".to_owned());
        wrong.unless(mine.is_empty() || mine.len() == payout.may_end.len(), Rule::Explained, &payout.key, || {
            format!("has {} attempts, and {} are foreseen", mine.len(), payout.may_end.len())
        });
        for row in mine {
            let key = text(row, "key").to_owned();
            let there: Vec<&Value> =
                list(&books.ledger, "payouts").filter(|it| text(it, "externalId") == key).collect();
            let ids: Vec<&str> = there.iter().map(|it| text(it, "id")).collect();
            let transfers = list(&books.ledger, "transfers").filter(|it| ids.contains(&text(it, "payoutId"))).collect();
            let run = books.runs.get(&format!("payout-{key}"));
            all.push(Attempt { line: lines.get(key.as_str()).copied(), key, payout, row, there, transfers, run });
        }
    }
    all
}

/// Created, confirmed and transferred at most once, and nothing but the whole amount.
fn once(it: &Attempt<'_>, wrong: &mut Wrong) {
    let key = it.key.as_str();
    let counts = [
        (Rule::CreatedOnce, "created", "createsAccepted"),
        (Rule::ConfirmedOnce, "confirmed", "confirmsAccepted"),
        (Rule::PaidOnce, "transferred", "transfers"),
    ];
    for (rule, what, field) in counts {
        let times = it.count(field, wrong);
        wrong.unless(times <= 1, rule, key, || format!("{what} {times} times"));
    }
    let (confirms, transfers) = (it.count("confirmsAccepted", wrong), it.count("transfers", wrong));
    wrong.unless(transfers <= confirms, Rule::NotForbidden, key, || "transferred without a Confirm".to_owned());
    wrong.unless(it.transfers.len() as u64 == transfers, Rule::BooksAgree, key, || {
        format!("{transfers} transfers are counted and {} are there", it.transfers.len())
    });
    let (moved, asked) = (it.moved(wrong), amount(it.payout));
    wrong.unless(moved == 0 || moved == asked, Rule::RightTransfer, key, || {
        format!("{moved} units moved, {asked} were asked for")
    });
    for transfer in &it.transfers {
        wrong.unless(number(transfer, "amount") == Some(asked), Rule::RightTransfer, key, || {
            format!("a transfer of {}, {asked} were asked for", transfer["amount"])
        });
        wrong.unless(transfer["walletId"] == it.payout.request["walletId"], Rule::RightTransfer, key, || {
            format!("a transfer from {}", transfer["walletId"])
        });
    }
}

/// What the provider has is what the starters asked, field by field, as they wrote it down.
fn as_asked(it: &Attempt<'_>, books: &Books, wrong: &mut Wrong) {
    let key = it.key.as_str();
    let mut asked = books
        .starters
        .iter()
        .filter(|line| line.key == it.payout.key && line.step != Step::Conflict)
        .filter_map(|line| line.asked.as_ref());
    let Some(asked) = asked.next() else {
        return wrong.add(Rule::NoStrangers, key, "no starter asked for it");
    };
    let there = books.payouts.iter().filter(|payout| text(payout, "externalId") == key);
    for payout in there {
        let data = &payout["data"];
        let (checked, given) = (text(it.row, "gateAddress"), text(data, "depositAddress"));
        let right = it.transfers.is_empty() || checked.eq_ignore_ascii_case(given);
        wrong.unless(right, Rule::RightTransfer, key, || format!("went to {given:?}, and {checked:?} was checked"));
        let destination = &asked["destination"];
        let fields = [
            ("walletId", &payout["walletId"], &asked["walletId"]),
            ("asset.kind", &payout["asset"]["kind"], &asked["asset"]["kind"]),
            ("asset.contract", &payout["asset"]["contract"], &asked["asset"]["contract"]),
            ("asset.mint", &payout["asset"]["mint"], &asked["asset"]["mint"]),
            ("asset.amount", &payout["asset"]["amount"], &asked["amount"]),
            ("provider", &payout["provider"], &destination["provider"]),
            ("fiatCurrency", &payout["fiatCurrency"], &destination["currency"]),
            ("country", &data["country"], &destination["country"]),
            ("account", &data["borderlessAccountId"], &destination["accountId"]),
            ("instructions", &data["paymentInstructionsId"], &destination["instructionsId"]),
            ("purpose", &data["paymentPurpose"], &destination["purpose"]),
        ];
        for (field, is, should) in fields {
            let same = match (is.as_str(), should.as_str()) {
                (Some(is), Some(should)) => is.eq_ignore_ascii_case(should),
                _not_both_text => is == should,
            };
            wrong.unless(same, Rule::WhatWasAsked, key, || format!("{field} is {is}, {should} was asked for"));
        }
    }
}

/// It has ended as its script allows, and records, run and ledger say the same of it. Gives the ending.
fn ended(it: &Attempt<'_>, wrong: &mut Wrong) -> String {
    let key = it.key.as_str();
    let Some(outcome) = it.outcome() else {
        let last = it.run.map(|run| run.last.as_str()).unwrap_or_default();
        wrong.add(Rule::NothingLost, key, format!("has not ended; its history ends with {last}"));
        return "not ended".to_owned();
    };
    let (ending, money) = (text(outcome, "ending"), text(outcome, "money"));
    let ended = format!("{ending}/{money}");
    let attempt = it.row["attempt"].as_u64().and_then(|nr| usize::try_from(nr).ok()).unwrap_or_default();
    let may = attempt.checked_sub(1).and_then(|nr| it.payout.may_end.get(nr));
    wrong.unless(may.is_some_and(|may| may.contains(&ended)), Rule::Explained, key, || {
        format!("ended as {ended}, {:?} may end as {may:?}: {}", it.payout.script, text(outcome, "reason"))
    });
    match it.run {
        Some(Run { result: Some(result), .. }) => {
            wrong.unless(result == outcome, Rule::BooksAgree, key, || {
                format!("the run returned {result}, and on record is {outcome}")
            });
        }
        Some(run) => wrong.add(Rule::NothingLost, key, format!("its run returned nothing; it ends with {}", run.last)),
        None => wrong.add(Rule::NothingLost, key, "has no run"),
    }
    let id = it.there.first().map(|it| text(it, "id"));
    // Called off while nobody knew whether the create had come through: the closed gate alone says that it never pays.
    let given_up = text(it.row, "gate") == "closed" && it.count("confirmsAccepted", wrong) == 0;
    for (book, named) in [("its outcome", &outcome["payout"]), ("the records", &it.row["payout"])] {
        let unknown = named.is_null() && given_up;
        wrong.unless(named.as_str() == id || unknown, Rule::BooksAgree, key, || {
            format!("{book} name payout {named}, the ledger has {id:?}")
        });
    }
    let gate = text(it.row, "gate");
    let confirms = it.count("confirmsAccepted", wrong);
    wrong.unless(gate != "open", Rule::BooksAgree, key, || "ended with an open gate".to_owned());
    wrong.unless(confirms == 0 || gate == "confirming", Rule::NotForbidden, key, || {
        format!("confirmed at the provider with the gate {gate}")
    });
    let forbidden = ["Blocked", "Denied", "Canceled"].contains(&ending);
    wrong.unless(!forbidden || confirms == 0, Rule::NotForbidden, key, || format!("{ending}, and yet confirmed"));
    money_agrees(it, &ended, money, wrong);
    ended
}

/// What an outcome says of the money must be what the ledger says.
fn money_agrees(it: &Attempt<'_>, ended: &str, money: &str, wrong: &mut Wrong) {
    let key = it.key.as_str();
    let bank = it.there.first().is_some_and(|it| text(it, "status") == "Completed");
    wrong.unless(bank == (money == "paid"), Rule::BooksAgree, key, || {
        format!("{ended}, and the bank {} the money", if bank { "has" } else { "does not have" })
    });
    let moved = (it.count("transfersConfirmed", wrong), it.count("transfersOpen", wrong));
    let should = match money {
        "paid" | "withProvider" => (1, 0),
        "untouched" => (0, 0),
        other => return wrong.add(Rule::Explained, key, format!("its outcome says {other:?} of the money")),
    };
    wrong.unless(moved == should, Rule::BooksAgree, key, || {
        format!("{ended}, with {moved:?} transfers confirmed and open")
    });
}

/// What it holds of the limits is settled, and as spent exactly when its tokens were sent to the network.
fn reserved(it: &Attempt<'_>, books: &Books, wrong: &mut Wrong) {
    let key = it.key.as_str();
    let sent = it.transfers.iter().any(|transfer| transfer["txHash"].is_string());
    let Some(row) = books.records.reservations.iter().find(|row| text(row, "key") == key) else {
        return wrong.unless(!sent, Rule::Reservations, key, || "tokens were sent and nothing was reserved".to_owned());
    };
    let state = text(row, "state");
    wrong.unless(state != "open", Rule::Reservations, key, || "its reservation is left open".to_owned());
    wrong.unless(sent || state != "spent", Rule::Reservations, key, || {
        "counts as spent, and nothing was sent".to_owned()
    });
    wrong.unless(!sent || state != "released", Rule::Reservations, key, || {
        "its reservation was released, and its tokens were sent".to_owned()
    });
    wrong.unless(number(row, "amount") == Some(amount(it.payout)), Rule::Reservations, key, || {
        format!("reserves {}, {} were asked for", row["amount"], amount(it.payout))
    });
}

/// What the starters were told, and whether it is so.
fn told(payout: &Payout, books: &Books, wrong: &mut Wrong) {
    let key = payout.key.as_str();
    let answers = |step: Step| {
        let lines = books.starters.iter().filter(move |line| line.key == payout.key && line.step == step);
        lines.filter_map(|line| line.answer.as_deref()).filter(|answer| *answer != "none")
    };
    wrong.unless(answers(Step::Start).next().is_some(), Rule::NothingLost, key, || {
        "no starter was told that it is started".to_owned()
    });
    for answer in answers(Step::Start).chain(answers(Step::Again)) {
        wrong.unless(["new", "existing"].contains(&answer), Rule::Explained, key, || {
            format!("a start was answered: {answer}")
        });
    }
    for answer in answers(Step::Conflict) {
        wrong.unless(answer == "conflict", Rule::Conflicts, key, || {
            format!("started with another body, and the answer was {answer}")
        });
    }
    let conflicts = answers(Step::Conflict).count();
    wrong.unless(!payout.conflicting || conflicts > 0, Rule::Conflicts, key, || {
        "the other body was never answered".to_owned()
    });
}

/// Of all attempts at a payout at most one is paid.
fn paid_once(payout: &Payout, attempts: &[Attempt<'_>], wrong: &mut Wrong) {
    let paid: Vec<&str> = attempts
        .iter()
        .filter(|it| it.payout.key == payout.key && it.transfers.iter().any(|it| text(it, "status") == "Confirmed"))
        .map(|it| it.key.as_str())
        .collect();
    wrong.unless(paid.len() <= 1, Rule::PaidOnce, &payout.key, || format!("paid by {paid:?}"));
}

/// Nothing is in the ledger that nobody asked for, and nothing invented has become a payout.
fn strangers(books: &Books, attempts: &[Attempt<'_>], wrong: &mut Wrong) {
    let known: BTreeSet<&str> = attempts.iter().map(|it| it.key.as_str()).collect();
    for line in list(&books.ledger, "byExternalId") {
        let key = text(line, "externalId");
        wrong.unless(known.contains(key), Rule::NoStrangers, key, || {
            "is in the ledger, and nobody asked for it".to_owned()
        });
    }
    for row in &books.records.payouts {
        let key = text(row, "key");
        let invented = key.starts_with(NAME) && row["payout"].is_null() && row["outcome"]["ending"] != "Completed";
        wrong.unless(known.contains(key) || invented, Rule::NoStrangers, key, || "is in the records".to_owned());
    }
    for event in &books.records.events {
        let forged = text(event, "eventId").contains(NAME) || text(event, "body").contains(NAME);
        wrong.unless(!forged, Rule::NotForged, text(event, "key"), || {
            format!("event {} is in the inbox", event["eventId"])
        });
    }
}

/// What was sent in the window whose limit binds. One token is one dollar, and a unit a millionth of it.
fn window(books: &Books, attempts: &[Attempt<'_>], wrong: &mut Wrong) -> (u128, u128) {
    let limit = books.plan.capped_usd * 1_000_000;
    let mut spent = 0;
    for it in attempts.iter().filter(|it| it.payout.program == "capped") {
        let sent = it.transfers.iter().filter(|transfer| transfer["txHash"].is_string());
        spent += sent.filter_map(|transfer| number(transfer, "amount")).sum::<u128>();
    }
    wrong.unless(spent <= limit, Rule::NotOverspent, "-", || format!("{spent} were sent in a window of {limit}"));
    (limit, spent)
}

/// What left each wallet by its balance is what left by the outcomes, to the unit. Fees are paid in other coins. And the
/// provider made and lost no unit.
fn wallets(books: &Books, attempts: &[Attempt<'_>], found: &mut Findings, wrong: &mut Wrong) {
    let mut left: BTreeMap<&str, u128> = BTreeMap::new();
    for it in attempts {
        let money = it.outcome().map(|outcome| text(outcome, "money")).unwrap_or_default();
        let sum = left.entry(text(&it.payout.request, "walletId")).or_default();
        if ["paid", "withProvider"].contains(&money) {
            *sum += amount(it.payout);
        }
    }
    for (wallet, by_outcome) in left {
        let asset = |row: &Value| !text(row, "asset").starts_with("native");
        let row = list(&books.ledger, "balances").find(|row| text(row, "walletId") == wallet && asset(row));
        let moved = row.and_then(|row| text(row, "moved").parse::<i128>().ok());
        let by_balance = moved.map(|moved| moved.checked_neg().and_then(|it| u128::try_from(it).ok()));
        let by_balance = by_balance.flatten();
        wrong.unless(by_balance == Some(by_outcome), Rule::Wallets, wallet, || {
            format!("moved {moved:?} units by its balance; the outcomes say that {by_outcome} left")
        });
        found.difference += by_balance.map_or(by_outcome, |it| it.abs_diff(by_outcome));
        let by_balance = by_balance.map_or_else(|| "?".to_owned(), |it| it.to_string());
        found.wallets.push(Moved { wallet: wallet.to_owned(), by_balance, by_outcome });
    }
    for sum in list(&books.ledger, "sums") {
        wrong.unless(sum["opening"] == sum["current"], Rule::Wallets, "-", || {
            format!("the ledger does not add up: {sum}")
        });
    }
}

/// What arrived on the chain arrived at the addresses that the provider gave, each the amount of its payout.
fn addresses(books: &Books, attempts: &[Attempt<'_>], wrong: &mut Wrong) {
    let mut given: BTreeMap<String, u128> = BTreeMap::new();
    for payout in &books.payouts {
        let (key, address) = (text(payout, "externalId"), text(&payout["data"], "depositAddress"));
        let Some(it) = attempts.iter().find(|it| it.key == key) else { continue };
        let arrived = it.transfers.iter().filter(|transfer| text(transfer, "status") == "Confirmed");
        let arrived: u128 = arrived.filter_map(|transfer| number(transfer, "amount")).sum();
        if arrived > 0 {
            *given.entry(address.to_ascii_lowercase()).or_default() += arrived;
        }
    }
    for row in list(&books.ledger, "balances") {
        // Our own wallets, and where the network's fees go.
        if !row["walletId"].is_null() || text(row, "asset").starts_with("native") {
            continue;
        }
        let address = text(row, "address").to_ascii_lowercase();
        let arrived = text(row, "moved").parse::<i128>().ok().and_then(|it| u128::try_from(it).ok());
        let should = given.remove(&address).unwrap_or_default();
        wrong.unless(arrived == Some(should), Rule::RightTransfer, &address, || {
            format!("{} units arrived there, {should} should have", row["moved"])
        });
    }
    for (address, should) in given {
        wrong.add(Rule::RightTransfer, &address, format!("nothing arrived there, {should} should have"));
    }
}

fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn number(value: &Value, field: &str) -> Option<u128> {
    value[field].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests;
