//! Each thing that must hold, broken once in books that are otherwise right.

use remit_client::Signer;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    books::Tables,
    people,
    script::{Plan, Script},
    starter::Line,
};

const AMOUNT: u128 = 1_000_000;
const TOKEN: &str = "erc20:0x1";

/// One payout: its key, script, program, and for each attempt ending, money, and how far it got at the provider.
struct Story(&'static str, Script, &'static str, &'static [(&'static str, &'static str, Far)]);

#[derive(Clone, Copy, PartialEq)]
enum Far {
    Nowhere,
    Created,
    Reverted,
    WithProvider,
    Paid,
}

const STORIES: [Story; 7] = [
    Story("paid", Script::Pays, "usual", &[("Completed", "paid", Far::Paid)]),
    Story("early", Script::FailsEarly, "usual", &[("Failed", "untouched", Far::Created)]),
    Story("late", Script::BankRefuses, "usual", &[("Failed", "withProvider", Far::WithProvider)]),
    Story("large", Script::Approved, "large", &[("Completed", "paid", Far::Paid)]),
    Story("capped", Script::Capped, "capped", &[("Completed", "paid", Far::Paid)]),
    Story("blocked", Script::Forbidden, "forbidden", &[("Blocked", "untouched", Far::Nowhere)]),
    Story(
        "again",
        Script::SecondAttempt,
        "usual",
        &[("Canceled", "untouched", Far::Created), ("Completed", "paid", Far::Paid)],
    ),
];

fn request(key: &str, program: &str) -> Value {
    json!({"externalId": key, "walletId": "wa-1", "asset": {"kind": "Erc20", "contract": "0x1"},
           "amount": AMOUNT.to_string(), "program": program,
           "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                           "currency": "BRL", "country": "BR", "purpose": "salary payment"}})
}

fn signed(person: &str, payout: &str, value: &str) -> Value {
    let statement = format!(
        "remit.approval.v1\nnamespace: default\npayout: {payout}\nattempt: 1\ndigest: d-{payout}\npolicy: r1\n\
         group: treasury\nvalue: {value}\nby: {person}\nwhy: x\nexpires: 2030-01-01T00:00:00Z\n"
    );
    let Signer { key, .. } = people::signer(person).expect("a key");
    let signature = key.sign(statement.as_bytes()).to_string();
    json!({"key": payout, "person": person, "group": "treasury", "nr": 1, "value": value, "at": 100,
           "statement": statement, "signature": signature})
}

/// One chain of these records.
fn chained(records: Vec<(String, &str)>) -> Vec<Value> {
    let mut previous = "0".repeat(64);
    let mut all = vec![];
    for (seq, (key, kind)) in (1_u64..).zip(records) {
        let mut hash = Sha256::new();
        hash.update(b"remit.audit.v1\n");
        hash.update((previous.len() as u64).to_be_bytes());
        hash.update(&previous);
        hash.update(seq.to_be_bytes());
        hash.update(7_i64.to_be_bytes());
        hash.update((kind.len() as u64).to_be_bytes());
        hash.update(kind);
        hash.update([1]);
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(&key);
        hash.update(2_u64.to_be_bytes());
        hash.update("{}");
        let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        all.push(
            json!({"seq": seq, "at": 7, "kind": kind, "key": key, "body": "{}", "previous": previous, "hash": hash}),
        );
        previous = hash;
    }
    all
}

fn books() -> Books {
    let mut plan = Plan { seed: 1, kills: 0, lasts_ms: 0, clock_offset_ms: 0, capped_usd: 1, payouts: vec![] };
    let (mut tables, mut runs, mut starters) = (Tables::default(), BTreeMap::new(), vec![]);
    let (mut lines, mut there, mut transfers, mut shown, mut balances) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut moved, mut audit) = (0_i128, vec![]);
    for Story(base, script, program, attempts) in STORIES {
        plan.payouts.push(Payout {
            key: base.to_owned(),
            script,
            may_end: attempts.iter().map(|(ending, money, _)| vec![format!("{ending}/{money}")]).collect(),
            program: program.to_owned(),
            request: request(base, program),
            at_ms: 0,
            raced: false,
            conflicting: base == "paid",
            faults: vec![],
        });
        let mut line = |step, asked, answer: Option<&str>| {
            let (starter, key, answer) = ("a".to_owned(), base.to_owned(), answer.map(str::to_owned));
            starters.push(Line { at_ms: 1, starter, key, step, asked, answer });
        };
        line(Step::Start, Some(request(base, program)), None);
        line(Step::Start, None, Some("new"));
        line(Step::Again, None, Some("existing"));
        if base == "paid" {
            line(Step::Conflict, None, Some("conflict"));
        }
        for (number, (ending, money, far)) in (1..).zip(attempts) {
            let key = if number == 1 { base.to_owned() } else { format!("{base}-retry-1") };
            let created = *far != Far::Nowhere;
            let confirmed = [Far::Reverted, Far::WithProvider, Far::Paid].contains(far);
            let arrived = [Far::WithProvider, Far::Paid].contains(far);
            let id = created.then(|| format!("pyt-{key}"));
            let outcome = json!({"key": key, "ending": ending, "money": money, "reason": "because", "payout": id});
            let gate = if confirmed { "confirming" } else { "closed" };
            tables.payouts.push(json!({"key": key, "base": base, "attempt": number, "digest": format!("d-{key}"),
                                       "payout": id, "gate": gate, "gateMovedAt": 200,
                                       "gateAddress": confirmed.then(|| format!("0x{key}")), "outcome": outcome}));
            audit.push((key.clone(), if number == 1 { "payout.claimed" } else { "attempt.opened" }));
            audit.push((key.clone(), "payout.decided"));
            if created {
                audit.push((key.clone(), "create.intended"));
                let status = if *far == Far::Paid { "Completed" } else { "Failed" };
                let asset = json!({"kind": "Erc20", "contract": "0x1", "amount": AMOUNT.to_string()});
                there.push(json!({"id": id, "externalId": key, "status": status}));
                shown.push(json!({"id": id, "externalId": key, "walletId": "wa-1", "provider": "Borderless",
                                  "fiatCurrency": "BRL", "asset": asset,
                                  "data": {"country": "BR", "borderlessAccountId": "acc-1",
                                           "paymentInstructionsId": "pi-1", "paymentPurpose": "salary payment",
                                           "depositAddress": format!("0x{key}")}}));
                lines.push(json!({"externalId": key, "createsAccepted": 1, "confirmsAccepted": u8::from(confirmed),
                                  "transfers": u8::from(confirmed), "transfersOpen": 0,
                                  "transfersConfirmed": u8::from(arrived),
                                  "moved": (AMOUNT * u128::from(arrived)).to_string()}));
            }
            if confirmed {
                audit.extend([(key.clone(), "gate.taken"), (key.clone(), "confirm.intended")]);
                let status = if arrived { "Confirmed" } else { "Failed" };
                transfers
                    .push(json!({"id": format!("xfr-{key}"), "payoutId": id, "walletId": "wa-1", "status": status,
                                      "amount": AMOUNT.to_string(), "txHash": "0xabc"}));
            }
            if arrived {
                moved += AMOUNT as i128;
                let address = format!("0x{key}");
                balances
                    .push(json!({"address": address, "asset": TOKEN, "moved": AMOUNT.to_string(), "walletId": null}));
            }
            audit.push((key.clone(), "payout.finished"));
            let state = if confirmed { "spent" } else { "released" };
            tables.reservations.push(json!({"key": key, "amount": AMOUNT.to_string(), "state": state}));
            let run = Run { result: Some(outcome), last: "WORKFLOW_EXECUTION_COMPLETED".to_owned(), ..Run::default() };
            runs.insert(format!("payout-{key}"), run);
        }
    }
    tables.approvals.push(signed("ana", "large", "approve"));
    tables.revisions.push(json!({"number": 1, "hash": "r1"}));
    tables.audit = chained(audit);
    let newest = tables.audit.last().expect("records");
    tables.head.push(json!({"seq": tables.audit.len(), "hash": newest["hash"]}));
    balances.push(json!({"address": "0xours", "walletId": "wa-1", "asset": TOKEN, "moved": (-moved).to_string()}));
    balances.push(json!({"address": "0xours", "walletId": "wa-1", "asset": "native:pol", "moved": "-3"}));
    let key = people::signer("ana").expect("a key").key.public();
    let hex: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Books {
        plan,
        namespace: "default".to_owned(),
        people: [("ana".to_owned(), hex)].into(),
        starters,
        records: tables,
        runs,
        ledger: json!({"byExternalId": lines, "payouts": there, "transfers": transfers, "balances": balances,
                       "sums": [{"asset": TOKEN, "opening": "5", "current": "5"}]}),
        payouts: shown,
        events: vec![],
        requests: vec![],
        blows: vec![],
        forged_accepted: 0,
        doubts: vec![],
        woken: BTreeSet::new(),
        settled: vec![],
    }
}

/// The rules that are broken when this is changed, and what is said of it.
fn broken(change: impl FnOnce(&mut Books)) -> (BTreeSet<Rule>, String) {
    let mut books = books();
    change(&mut books);
    let violations = audit(&books).violations;
    let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
    (violations.iter().map(|it| it.rule).collect(), said.join("\n"))
}

/// Exactly these rules are broken, and this payout is named.
#[track_caller]
fn breaks(rules: &[Rule], key: &str, change: impl FnOnce(&mut Books)) {
    let (found, said) = broken(change);
    assert_eq!(found, rules.iter().copied().collect(), "{said}");
    assert!(said.contains(key), "{key}: {said}");
}

fn row<'a>(rows: &'a mut [Value], field: &str, key: &str) -> &'a mut Value {
    rows.iter_mut().find(|row| text(row, field) == key).expect("it is there")
}

fn ledger<'a>(books: &'a mut Books, table: &str, field: &str, key: &str) -> &'a mut Value {
    row(books.ledger[table].as_array_mut().expect("a table"), field, key)
}

/// Changes what the run returned and what is on record of it alike.
fn says(books: &mut Books, key: &str, ending: &str, money: &str) {
    let on_record = &mut row(&mut books.records.payouts, "key", key)["outcome"];
    (on_record["ending"], on_record["money"]) = (json!(ending), json!(money));
    books.runs.get_mut(&format!("payout-{key}")).expect("a run").result = Some(on_record.clone());
}

#[test]
fn books_that_agree_have_no_violation() {
    let findings = audit(&books());
    assert_eq!(findings.violations, vec![]);
    assert_eq!(findings.endings["Completed/paid"], 4);
    assert_eq!((findings.difference, findings.capped), (0, (AMOUNT, AMOUNT)));
    assert_eq!(findings.wallets[0].by_balance, "5000000");
}

#[test]
fn a_second_create_is_found() {
    breaks(&[Rule::CreatedOnce], "early", |books| {
        ledger(books, "byExternalId", "externalId", "early")["createsAccepted"] = json!(2);
    });
}

#[test]
fn a_second_confirm_is_found() {
    breaks(&[Rule::ConfirmedOnce], "paid", |books| {
        ledger(books, "byExternalId", "externalId", "paid")["confirmsAccepted"] = json!(2);
    });
}

#[test]
fn a_second_transfer_is_found() {
    let (found, said) = broken(|books| {
        let line = ledger(books, "byExternalId", "externalId", "paid");
        (line["transfers"], line["confirmsAccepted"]) = (json!(2), json!(2));
        (line["transfersConfirmed"], line["moved"]) = (json!(2), json!("2000000"));
        let again = ledger(books, "transfers", "payoutId", "pyt-paid").clone();
        books.ledger["transfers"].as_array_mut().expect("a table").push(again);
        ledger(books, "balances", "address", "0xours")["moved"] = json!("-6000000");
        ledger(books, "balances", "address", "0xpaid")["moved"] = json!("2000000");
    });
    for rule in [Rule::PaidOnce, Rule::ConfirmedOnce, Rule::RightTransfer, Rule::Wallets] {
        assert!(found.contains(&rule), "{rule:?}: {said}");
    }
}

#[test]
fn two_attempts_that_are_both_paid_are_found() {
    let (found, said) = broken(|books| {
        let transfer = json!({"id": "x", "payoutId": "pyt-again", "walletId": "wa-1", "status": "Confirmed",
                              "amount": AMOUNT.to_string(), "txHash": "0x1"});
        books.ledger["transfers"].as_array_mut().expect("a table").push(transfer);
    });
    assert!(found.contains(&Rule::PaidOnce), "{said}");
    assert!(said.contains("paid by [\"again\", \"again-retry-1\"]"), "{said}");
}

#[test]
fn another_amount_or_address_is_found() {
    breaks(&[Rule::RightTransfer], "paid", |books| {
        ledger(books, "transfers", "payoutId", "pyt-late")["amount"] = json!("999999");
        ledger(books, "byExternalId", "externalId", "paid")["moved"] = json!("999999");
    });
    breaks(&[Rule::RightTransfer], "0xelsewhere", |books| {
        ledger(books, "balances", "address", "0xlate")["address"] = json!("0xelsewhere");
    });
    breaks(&[Rule::RightTransfer], "was checked", |books| {
        row(&mut books.records.payouts, "key", "late")["gateAddress"] = json!("0xother");
    });
    breaks(&[Rule::RightTransfer], "late", |books| {
        ledger(books, "transfers", "payoutId", "pyt-late")["walletId"] = json!("wa-2");
    });
}

#[test]
fn every_field_that_is_not_what_was_asked_is_found() {
    for field in ["walletId", "provider", "fiatCurrency"] {
        breaks(&[Rule::WhatWasAsked], "paid", |books| {
            row(&mut books.payouts, "externalId", "paid")[field] = json!("x")
        });
    }
    for field in ["country", "borderlessAccountId", "paymentInstructionsId", "paymentPurpose"] {
        breaks(&[Rule::WhatWasAsked], field_says(field), |books| {
            row(&mut books.payouts, "externalId", "paid")["data"][field] = json!("x");
        });
    }
    for field in ["kind", "contract", "amount"] {
        breaks(&[Rule::WhatWasAsked], "paid", |books| {
            row(&mut books.payouts, "externalId", "paid")["asset"][field] = json!("7");
        });
    }
}

fn field_says(_field: &str) -> &'static str {
    "was asked for"
}

#[test]
fn who_must_not_be_paid_and_was_confirmed_is_found() {
    let (found, said) = broken(|books| says(books, "paid", "Canceled", "untouched"));
    assert!(found.contains(&Rule::NotForbidden) && found.contains(&Rule::BooksAgree), "{said}");
    breaks(&[Rule::NotForbidden], "gate closed", |books| {
        row(&mut books.records.payouts, "key", "paid")["gate"] = json!("closed");
    });
}

#[test]
fn a_lost_payout_is_found() {
    breaks(&[Rule::NothingLost, Rule::Chain], "early", |books| {
        row(&mut books.records.payouts, "key", "early")["outcome"] = Value::Null;
        books.records.audit.clear();
        books.records.head.clear();
    });
    let (found, said) = broken(|books| books.records.payouts.retain(|row| row["key"] != "paid"));
    assert!(found.contains(&Rule::NothingLost) && said.contains("paid: is not in the records"), "{said}");
    breaks(&[Rule::NothingLost], "early", |books| {
        books.runs.remove("payout-early");
    });
    breaks(&[Rule::NothingLost], "early", |books| books.runs.get_mut("payout-early").expect("a run").result = None);
    breaks(&[Rule::NothingLost], "early: no starter was told", |books| {
        books.starters.retain(|line| line.key != "early" || line.answer.is_none());
    });
}

#[test]
fn an_ending_that_no_script_allows_is_found() {
    breaks(&[Rule::Explained], "early", |books| says(books, "early", "Expired", "untouched"));
    breaks(&[Rule::Explained], "again", |books| books.plan.payouts[6].may_end.truncate(1));
    breaks(&[Rule::Explained], "it asked for a person", |books| books.doubts.push(("early".into(), "why".into())));
    breaks(&[Rule::Explained], "a start was answered: refused", |books| {
        let answer = books.starters.iter_mut().find(|line| line.key == "early" && line.answer.is_some());
        answer.expect("an answer").answer = Some("refused".into());
    });
}

#[test]
fn an_outcome_that_the_ledger_or_the_run_contradicts_is_found() {
    let (found, said) = broken(|books| says(books, "early", "Completed", "paid"));
    assert!(found.contains(&Rule::BooksAgree) && found.contains(&Rule::Wallets), "{said}");
    breaks(&[Rule::BooksAgree], "early", |books| {
        books.runs.get_mut("payout-early").expect("a run").result = Some(json!({"ending": "Completed"}));
    });
    breaks(&[Rule::BooksAgree], "paid", |books| {
        row(&mut books.records.payouts, "key", "paid")["payout"] = json!("pyt-x")
    });
    breaks(&[Rule::BooksAgree], "open gate", |books| {
        row(&mut books.records.payouts, "key", "early")["gate"] = json!("open");
    });
    breaks(&[Rule::BooksAgree], "early", |books| {
        ledger(books, "byExternalId", "externalId", "early")["transfersOpen"] = json!(1);
    });
}

#[test]
fn what_was_never_known_to_be_created_may_be_nameless_only_while_it_cannot_pay() {
    let nameless = |books: &mut Books, key: &str| {
        let on_record = row(&mut books.records.payouts, "key", key);
        (on_record["payout"], on_record["outcome"]["payout"]) = (Value::Null, Value::Null);
        let outcome = on_record["outcome"].clone();
        books.runs.get_mut(&format!("payout-{key}")).expect("a run").result = Some(outcome);
    };
    let (found, said) = broken(|books| nameless(books, "early"));
    assert!(found.is_empty(), "{said}");
    breaks(&[Rule::BooksAgree], "paid", |books| nameless(books, "paid"));
}

#[test]
fn one_unit_above_a_limit_is_found() {
    breaks(&[Rule::NotOverspent, Rule::RightTransfer], "1000001 were sent in a window of 1000000", |books| {
        ledger(books, "transfers", "payoutId", "pyt-capped")["amount"] = json!("1000001");
    });
}

#[test]
fn reservations_that_do_not_fit_are_found() {
    let change = |key: &'static str, state: &'static str, words: &str| {
        breaks(&[Rule::Reservations], words, |books| {
            row(&mut books.records.reservations, "key", key)["state"] = json!(state);
        });
    };
    change("early", "open", "left open");
    change("early", "spent", "nothing was sent");
    change("paid", "released", "was released, and its tokens were sent");
    breaks(&[Rule::Reservations], "nothing was reserved", |books| {
        books.records.reservations.retain(|row| row["key"] != "paid");
    });
    breaks(&[Rule::Reservations], "reserves", |books| {
        row(&mut books.records.reservations, "key", "early")["amount"] = json!("1");
    });
}

#[test]
fn an_approval_that_is_missing_late_or_not_signed_is_found() {
    breaks(&[Rule::Approved], "large", |books| books.records.approvals.clear());
    breaks(&[Rule::Approved], "large", |books| books.records.approvals[0]["at"] = json!(201));
    breaks(&[Rule::Approved], "large", |books| books.records.approvals[0] = signed("ana", "paid", "approve"));
    breaks(&[Rule::Approved], "large", |books| books.records.approvals[0] = signed("ben", "large", "approve"));
    breaks(&[Rule::Approved], "large", |books| books.records.approvals[0] = signed("ana", "large", "deny"));
    breaks(&[Rule::Approved], "large", |books| {
        let statement = text(&books.records.approvals[0], "statement").replace("why: x", "why: y");
        books.records.approvals[0]["statement"] = json!(statement);
    });
    breaks(&[Rule::Approved], "large", |books| books.records.revisions.clear());
}

#[test]
fn an_audit_record_that_was_changed_cut_or_says_too_little_is_found() {
    breaks(&[Rule::Chain], "was changed", |books| books.records.audit[2]["body"] = json!("{\"a\":1}"));
    breaks(&[Rule::Chain], "the head of the audit record", |books| {
        books.records.audit.pop();
    });
    breaks(&[Rule::Chain], "does not go on", |books| {
        books.records.audit.remove(3);
    });
    breaks(&[Rule::Chain], "has no create.intended of it", |books| {
        let kept = books.records.audit.iter().filter(|it| it["kind"] != "create.intended" || it["key"] != "early");
        let kinds = [
            "payout.claimed",
            "attempt.opened",
            "payout.decided",
            "create.intended",
            "gate.taken",
            "confirm.intended",
            "payout.finished",
        ];
        let known = |it: &Value| kinds.into_iter().find(|kind| it["kind"] == *kind).expect("a known kind");
        let records = kept.map(|it| (text(it, "key").to_owned(), known(it))).collect();
        books.records.audit = chained(records);
        let newest = books.records.audit.last().expect("records")["hash"].clone();
        books.records.head = vec![json!({"seq": books.records.audit.len(), "hash": newest})];
    });
}

#[test]
fn one_unit_that_left_unexplained_is_found() {
    breaks(&[Rule::Wallets], "wa-1", |books| {
        ledger(books, "balances", "address", "0xours")["moved"] = json!("-5000001");
    });
    breaks(&[Rule::Wallets], "does not add up", |books| books.ledger["sums"][0]["current"] = json!("6"));
}

#[test]
fn what_nobody_asked_for_is_found() {
    breaks(&[Rule::NoStrangers], "stranger", |books| {
        let line = json!({"externalId": "stranger", "createsAccepted": 1});
        books.ledger["byExternalId"].as_array_mut().expect("a table").push(line);
    });
    breaks(&[Rule::NoStrangers], "stranger", |books| books.records.payouts.push(json!({"key": "stranger"})));
    // An invented start may be claimed, and may end; it may not be created.
    let (found, said) = broken(|books| {
        books.records.payouts.push(json!({"key": "mallory-1", "payout": null, "outcome": {"ending": "Blocked"}}));
    });
    assert!(found.is_empty(), "{said}");
    breaks(&[Rule::NoStrangers], "mallory-1", |books| {
        books.records.payouts.push(json!({"key": "mallory-1", "payout": "pyt-m"}));
    });
    breaks(&[Rule::NoStrangers], "early", |books| {
        books.starters.retain(|line| line.key != "early" || line.asked.is_none());
    });
}

#[test]
fn another_body_that_was_started_is_found() {
    for answer in ["new", "existing"] {
        breaks(&[Rule::Conflicts], "paid", |books| {
            let line = books.starters.iter_mut().find(|line| line.step == Step::Conflict);
            line.expect("a line").answer = Some(answer.to_owned());
        });
    }
    breaks(&[Rule::Conflicts], "never answered", |books| books.starters.retain(|line| line.step != Step::Conflict));
}

#[test]
fn a_forged_webhook_that_was_taken_is_found() {
    breaks(&[Rule::NotForged], "1 forged webhooks", |books| books.forged_accepted = 1);
    breaks(&[Rule::NotForged], "inbox", |books| books.records.events.push(json!({"eventId": "whe-mallory-3"})));
}

#[test]
fn a_ledger_that_cannot_be_read_is_not_taken_for_a_clean_one() {
    let (found, said) = broken(|books| {
        ledger(books, "byExternalId", "externalId", "early")["confirmsAccepted"] = json!("many");
    });
    assert!(found.contains(&Rule::Readable), "{said}");
}
