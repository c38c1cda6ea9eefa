//! Each thing that must hold, broken once in books that are otherwise right.

use serde_json::json;

use super::*;

const AMOUNT: u128 = 1_000;

fn asked(key: &str, must_be_paid: bool) -> Asked {
    Asked { key: key.into(), wallet: "wa-1".into(), asset: "erc20:0x1".into(), amount: AMOUNT, must_be_paid }
}

fn line(key: &str, confirms: u64, confirmed: u64) -> Value {
    json!({"externalId": key, "createsAccepted": 1, "confirmsAccepted": confirms, "transfers": confirms,
           "transfersOpen": 0, "transfersConfirmed": confirmed,
           "moved": (AMOUNT * u128::from(confirmed)).to_string()})
}

fn outcome(key: &str, ending: &str, money: &str) -> Value {
    json!({"key": key, "ending": ending, "money": money, "reason": "because", "payout": format!("pyt-{key}")})
}

/// One paid, one failed before anything moved, one with the provider, one whose transfer nobody knows.
fn books() -> Books {
    let all = [
        ("paid", "Completed", "paid", 1, 1, "Completed"),
        ("early", "Failed", "untouched", 0, 0, "Failed"),
        ("late", "Failed", "withProvider", 1, 1, "Failed"),
        ("reverted", "Failed", "unknown", 1, 0, "Failed"),
    ];
    let of = |(key, ending, money, ..): &(&str, &str, &str, u64, u64, &str)| outcome(key, ending, money);
    Books {
        asked: all.iter().map(|(key, ..)| asked(key, *key == "paid")).collect(),
        runs: all
            .iter()
            .map(|it| (it.0.to_owned(), Run { events: 40, failed_tasks: vec![], left: Ok(of(it)), in_doubt: false }))
            .collect(),
        records: all
            .iter()
            .map(|it| {
                let gate = if it.3 == 0 { "closed" } else { "confirming" };
                let row = OnRecord { gate: gate.into(), payout: Some(format!("pyt-{}", it.0)), outcome: Some(of(it)) };
                (it.0.to_owned(), row)
            })
            .collect(),
        ledger: json!({
            "byExternalId": all.iter().map(|it| line(it.0, it.3, it.4)).collect::<Vec<_>>(),
            "payouts": all.iter().map(|it| json!({"id": format!("pyt-{}", it.0), "externalId": it.0, "status": it.5}))
                .collect::<Vec<_>>(),
            "balances": [
                {"walletId": "wa-1", "asset": "erc20:0x1", "moved": "-2000"},
                {"walletId": "wa-1", "asset": "native:pol", "moved": "-3"},
            ],
            "sums": [{"asset": "erc20:0x1", "opening": "5000", "current": "5000"}],
        }),
    }
}

/// What is found when this is changed.
fn found(change: impl FnOnce(&mut Books)) -> Vec<String> {
    let mut books = books();
    change(&mut books);
    audit(&books).violations
}

/// Changes what the run returned and what is on record of it alike.
fn says(books: &mut Books, key: &str, change: impl Fn(&mut Value)) {
    if let Some(Run { left: Ok(outcome), .. }) = books.runs.get_mut(key) {
        change(outcome);
    }
    change(books.records.get_mut(key).and_then(|row| row.outcome.as_mut()).expect("it is on record"));
}

#[test]
fn books_that_agree_have_no_violation() {
    let findings = audit(&books());
    assert_eq!(findings.violations, Vec::<String>::new());
    assert_eq!(findings.endings, BTreeMap::from([("Completed".into(), 1), ("Failed".into(), 3)]));
    assert_eq!(findings.money["unknown"], 1);
    let moved = &findings.moved[0];
    assert_eq!((moved.by_balance.as_str(), moved.by_outcome.as_str(), moved.not_said.as_str()), ("2000", "2000", "0"));
}

#[test]
fn a_payout_that_happened_twice_is_found() {
    for (field, word) in
        [("createsAccepted", "created 2"), ("confirmsAccepted", "confirmed 2"), ("transfers", "transferred 2")]
    {
        let found = found(|books| books.ledger["byExternalId"][0][field] = json!(2));
        assert!(found.iter().any(|line| line.starts_with("paid: ") && line.contains(word)), "{field}: {found:?}");
    }
    let twice = found(|books| {
        books.ledger["byExternalId"][0]["transfersConfirmed"] = json!(2);
        books.ledger["byExternalId"][0]["moved"] = json!("2000");
        books.ledger["balances"][0]["moved"] = json!("-3000");
    });
    assert!(twice.iter().any(|line| line.contains("2000 units moved, 1000 were asked for")), "{twice:?}");
    assert!(twice.iter().any(|line| line.starts_with("wallet wa-1 moved")), "{twice:?}");
}

#[test]
fn a_payout_that_is_lost_is_found() {
    let open = found(|books| books.runs.get_mut("early").expect("a run").left = Err("it did not end in time".into()));
    assert_eq!(open, ["early: it did not end in time"]);
    let unknown_to_the_records = found(|books| {
        books.records.remove("early");
    });
    assert_eq!(unknown_to_the_records, ["early: is not in the records"]);
    let never_begun = found(|books| {
        books.runs.remove("early");
    });
    assert_eq!(never_begun, ["early: has no run"]);
    let doubt = audit(&{
        let mut books = books();
        let run = books.runs.get_mut("early").expect("a run");
        (run.left, run.in_doubt) = (Err("it waits for a person: why".into()), true);
        books
    });
    assert_eq!((doubt.in_doubt, doubt.violations), (1, vec!["early: it waits for a person: why".to_owned()]));
    let ended = audit(&{
        let mut books = books();
        says(&mut books, "late", |outcome| outcome["ending"] = json!("NeedsPerson"));
        books
    });
    assert_eq!((ended.in_doubt, ended.violations), (1, vec!["late: ended in doubt: because".to_owned()]));
    assert_eq!((ended.moved[0].by_outcome.as_str(), ended.moved[0].not_said.as_str()), ("1000", "1000"));
}

#[test]
fn an_outcome_that_says_something_else_of_the_money_than_the_ledger_is_found() {
    let cases = [
        ("paid", "Failed", "withProvider"),
        ("paid", "Canceled", "untouched"),
        ("early", "Completed", "paid"),
        ("early", "Failed", "withProvider"),
        ("late", "Completed", "paid"),
        ("late", "Failed", "untouched"),
        ("early", "Completed", "untouched"),
        ("late", "Failed", "elsewhere"),
    ];
    for (key, ending, money) in cases {
        let found = found(|books| {
            says(books, key, |outcome| (outcome["ending"], outcome["money"]) = (json!(ending), json!(money)));
        });
        assert!(found.iter().any(|line| line.starts_with(&format!("{key}: "))), "{key} {ending} {money}: {found:?}");
    }
}

#[test]
fn a_transfer_that_may_still_pay_is_not_untouched() {
    let found = found(|books| {
        says(books, "reverted", |outcome| outcome["money"] = json!("untouched"));
        books.ledger["byExternalId"][3]["transfersOpen"] = json!(1);
    });
    assert_eq!(found, ["reverted: untouched, with (0, 1) transfers confirmed and open"]);
}

#[test]
fn a_payout_that_had_to_be_paid_and_was_not_is_found() {
    let found = found(|books| books.asked[1].must_be_paid = true);
    assert_eq!(found, ["early: nothing stood in its way and it is Failed, untouched: because"]);
}

#[test]
fn one_unit_that_left_unexplained_is_found() {
    let one = found(|books| books.ledger["balances"][0]["moved"] = json!("-2001"));
    assert_eq!(one.len(), 1, "{one:?}");
    assert!(one[0].contains("moved Some(-2001)") && one[0].contains("2000 left"), "{one:?}");
    let gone = found(|books| books.ledger["balances"] = json!([]));
    assert_eq!(gone.len(), 1, "{gone:?}");
    let made = found(|books| books.ledger["sums"][0]["current"] = json!("5001"));
    assert!(made.len() == 1 && made[0].contains("does not add up"), "{made:?}");
}

#[test]
fn what_nobody_asked_for_is_found() {
    let found = found(|books| {
        let stranger = json!({"id": "pyt-x", "externalId": "stranger", "status": "Completed"});
        books.ledger["payouts"].as_array_mut().expect("a list").push(stranger);
    });
    assert_eq!(found, ["\"stranger\" is in the ledger and was never asked for"]);
}

#[test]
fn records_that_disagree_are_found() {
    type Change = fn(&mut OnRecord);
    let changes: [(&str, Change); 4] = [
        ("returned", |row| row.outcome = None),
        ("on record is payout", |row| row.payout = Some("pyt-other".into())),
        ("open gate", |row| row.gate = "open".into()),
        ("with the gate closed", |row| row.gate = "closed".into()),
    ];
    for (word, change) in changes {
        let found = found(|books| change(books.records.get_mut("paid").expect("on record")));
        assert!(found.iter().any(|line| line.starts_with("paid: ") && line.contains(word)), "{word}: {found:?}");
    }
    let other = found(|books| says(books, "paid", |outcome| outcome["key"] = json!("early")));
    assert_eq!(other, ["paid: its outcome is that of early"]);
}

#[test]
fn a_ledger_that_cannot_be_read_is_not_taken_for_a_clean_one() {
    let found = found(|books| books.ledger["byExternalId"][1]["confirmsAccepted"] = json!("many"));
    assert!(found.iter().any(|line| line.contains("cannot be read: confirmsAccepted")), "{found:?}");
}
