//! Statements that are signed, and signatures and keys: one text for each statement, one statement for each text.

use remit_domain::policy::{ApprovalValue, Statement};
use remit_keys::{PublicKey, Signature};

use crate::now;

/// The text of a statement; or, between NULs, the values of one.
pub fn statement(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(statement) = Statement::parse(text) {
        assert_eq!(statement.text(), text, "another text of the same statement");
    }
    if let Ok(key) = text.parse::<PublicKey>() {
        assert_eq!(key.to_string().parse().ok(), Some(key), "read as it was written");
    }
    if let Ok(signature) = text.parse::<Signature>() {
        assert_eq!(signature.to_string(), text, "another text of the same signature");
    }

    let mut values = text.split('\0').chain(std::iter::repeat("")).map(str::to_owned);
    let mut value = || values.next().unwrap_or_default();
    let number = u32::try_from(data.len()).unwrap_or_default();
    let statements = [
        Statement::Start { namespace: value(), external_id: value(), digest: value(), starter: value() },
        Statement::Revision { number, previous: value(), content: value(), author: value(), note: value() },
        Statement::Order {
            namespace: value(),
            key: value(),
            order: value(),
            what: value(),
            by: value(),
            why: value(),
            expires: now(),
        },
        Statement::Approval {
            namespace: value(),
            key: value(),
            attempt: number,
            digest: value(),
            revision: value(),
            group: value(),
            value: if number.is_multiple_of(2) { ApprovalValue::Approve } else { ApprovalValue::Deny },
            by: value(),
            why: value(),
            expires: now(),
        },
    ];
    for statement in statements {
        let text = statement.text();
        assert!(text.ends_with('\n') && !text.contains('\r') && !text.contains('\0'), "{text:?}");
        assert_eq!(Statement::parse(&text).as_ref(), Ok(&statement), "{text:?}");
        assert!(Statement::parse(&text[..text.len() - 1]).is_err(), "a text that was cut off: {text:?}");
    }
}
