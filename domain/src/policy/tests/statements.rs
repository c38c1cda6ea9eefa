//! What keys sign.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::{ApprovalValue, Statement};

fn approval(why: &str) -> Statement {
    Statement::Approval {
        namespace: "default".into(),
        key: "inv-1".into(),
        attempt: 1,
        digest: "d1".into(),
        revision: "r1".into(),
        group: "treasury".into(),
        value: ApprovalValue::Approve,
        by: "ana".into(),
        why: why.into(),
        expires: "2026-11-30T12:00:00Z".parse().unwrap(),
    }
}

fn others() -> [Statement; 3] {
    [
        Statement::Start {
            namespace: "default".into(),
            external_id: "invoice 1".into(),
            digest: "d1".into(),
            starter: "payroll".into(),
        },
        Statement::Order {
            namespace: "default".into(),
            key: "inv-1".into(),
            order: "resolve".into(),
            what: "giveUp returned".into(),
            by: "ana".into(),
            why: "the provider sent it back".into(),
            expires: "2026-11-30T12:00:00.5Z".parse().unwrap(),
        },
        Statement::Revision {
            number: 2,
            previous: "h1".into(),
            content: "c2".into(),
            author: "ana".into(),
            note: "a higher limit\nfor December".into(),
        },
    ]
}

#[test]
fn the_texts_are_these_for_ever() {
    let mut all = approval("I know them").text();
    for statement in others() {
        all += &statement.text();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_text_in_any_other_form_is_no_statement() {
    let good = approval("ok").text();
    assert_eq!(Statement::parse(&good), Ok(approval("ok")));
    for (from, to) in [
        ("attempt: 1", "attempt: 01"),
        ("attempt: 1", "attempt: +1"),
        ("attempt: 1", "attempt: 4294967296"),
        ("value: approve", "value: Approve"),
        ("value: approve", "value: perhaps"),
        ("12:00:00Z", "12:00:00+00:00"),
        ("12:00:00Z", "12:00:00.000Z"),
        ("2026-11-30T", "2026-11-30 "),
        ("why: ok\n", "why: ok\r\n"),
        ("why: ok", "why:  ok\u{202e}"),
        ("why: ok", "why: \\u{6f}k"),
        ("why: ok", "why: ok\\"),
        ("why: ok", "why: ok\\u{110000}"),
        ("by: ana\n", ""),
        ("by: ana\n", "by: ana\nby: ben\n"),
        ("remit.approval.v1", "remit.approval.v2"),
        ("remit.approval.v1", "remit.order.v1"),
    ] {
        assert!(good.contains(from), "{from}");
        assert!(Statement::parse(&good.replacen(from, to, 1)).is_err(), "{to:?}");
    }
    assert!(Statement::parse(&good[..good.len() - 1]).is_err(), "without its last newline");
    assert!(Statement::parse(&format!("{good}\n")).is_err(), "with one too many");
    assert!(Statement::parse("").is_err());
}

/// One value for every place where a text may stand.
fn made(kind: usize, texts: &[String; 8], number: u32, deny: bool, seconds: i64, nanos: i32) -> Statement {
    let t = |n: usize| texts[n].clone();
    let expires = Timestamp::new(seconds, nanos).unwrap();
    match kind {
        0 => Statement::Start { namespace: t(0), external_id: t(1), digest: t(2), starter: t(3) },
        1 => Statement::Approval {
            namespace: t(0),
            key: t(1),
            attempt: number,
            digest: t(2),
            revision: t(3),
            group: t(4),
            value: if deny { ApprovalValue::Deny } else { ApprovalValue::Approve },
            by: t(5),
            why: t(6),
            expires,
        },
        2 => Statement::Order { namespace: t(0), key: t(1), order: t(2), what: t(3), by: t(4), why: t(5), expires },
        _ => Statement::Revision { number, previous: t(0), content: t(1), author: t(2), note: t(3) },
    }
}

/// Texts that would be taken for one another if values could break lines.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ab:\\\\\n\r\u{202e}u{}6f ]{0,6}",
        Just("a\nby: ben".to_owned()),
        Just("a\\nby: ben".to_owned()),
        Just(String::new()),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    let texts = proptest::array::uniform8(value());
    (0usize..4, texts, 0u32..3, any::<bool>(), 0i64..4_000_000_000, prop_oneof![Just(0), 0i32..1_000_000_000])
        .prop_map(|(kind, texts, number, deny, seconds, nanos)| made(kind, &texts, number, deny, seconds, nanos))
}

proptest! {
    #[test]
    fn a_statement_has_one_text_and_a_text_one_statement(one in statement(), two in statement()) {
        prop_assert_eq!(Statement::parse(&one.text()), Ok(one.clone()));
        prop_assert_eq!(one == two, one.text() == two.text());
        let hidden = |c: char| c != '\n' && c.is_control();
        prop_assert!(!one.text().contains(hidden));
    }
}

#[test]
fn no_two_of_all_statements_of_few_words_share_a_text() {
    let words = ["", "a", "a\n", "a\\n", "\\", "\\\\", "\\u{a}", ": ", "a\nwhy: b", "b"];
    let mut texts = BTreeMap::new();
    let mut made_so_far = 0;
    for kind in 0..4 {
        for first in words {
            for second in words {
                for third in words {
                    let word = |n: usize| [first, second, third][n % 3].to_owned();
                    let statement = made(kind, &std::array::from_fn(word), 1, false, 0, 0);
                    if let Some(other) = texts.insert(statement.text(), statement.clone()) {
                        assert_eq!(other, statement);
                    }
                    made_so_far += 1;
                }
            }
        }
    }
    assert_eq!((made_so_far, texts.len()), (4000, 4000));
}
