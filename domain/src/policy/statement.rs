//! What keys sign. A statement has one text and a text one statement, so that a signature counts for exactly one thing.

use std::fmt::Write as _;

use jiff::Timestamp;

/// What a key signs. The text is what [`Statement::text`] gives, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// A starter wants a payout.
    Start {
        /// Temporal's namespace.
        namespace: String,
        /// The caller's id of the payout.
        external_id: String,
        /// The digest of the request.
        digest: String,
        /// The starter's name in the policy.
        starter: String,
    },
    /// A person approves a payout, or denies it.
    Approval {
        /// Temporal's namespace.
        namespace: String,
        /// The key of the payout.
        key: String,
        /// Which attempt at it.
        attempt: u32,
        /// The digest of the request.
        digest: String,
        /// The hash of the policy's revision that asked.
        revision: String,
        /// For which group.
        group: String,
        /// Yes or no.
        value: ApprovalValue,
        /// The person's name in the policy.
        by: String,
        /// Why.
        why: String,
        /// From when on it counts no more.
        expires: Timestamp,
    },
    /// A person orders something that lets money go on.
    Order {
        /// Temporal's namespace.
        namespace: String,
        /// The key of the payout.
        key: String,
        /// `release`, `resolve` or `retry`.
        order: String,
        /// What exactly; may be empty.
        what: String,
        /// The person's name in the policy.
        by: String,
        /// Why.
        why: String,
        /// From when on it counts no more.
        expires: Timestamp,
    },
    /// A publisher puts a revision of the policy in force.
    Revision {
        /// Its number.
        number: u32,
        /// The hash of the one before; empty for the first.
        previous: String,
        /// SHA-256 of the file, in hex.
        content: String,
        /// Who wrote it.
        author: String,
        /// What changes.
        note: String,
    },
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalValue {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

impl ApprovalValue {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Approve, Self::Deny].into_iter().find(|value| value.as_str() == word)
    }
}

const START: &str = "remit.start.v1";
const APPROVAL: &str = "remit.approval.v1";
const ORDER: &str = "remit.order.v1";
const REVISION: &str = "remit.policy.v1";

impl Statement {
    /// The text that is signed: a first line that says of what kind it is, then one `name: value` a line, in an order
    /// that never changes, each line ended by a newline. In values a backslash is written `\\`, and what cannot be seen
    /// or would break or turn a line is written `\u{…}` with its code in hex.
    pub fn text(&self) -> String {
        match self {
            Self::Start { namespace, external_id, digest, starter } => lines(
                START,
                &[("namespace", namespace), ("external id", external_id), ("digest", digest), ("starter", starter)],
            ),
            Self::Approval { namespace, key, attempt, digest, revision, group, value, by, why, expires } => lines(
                APPROVAL,
                &[
                    ("namespace", namespace),
                    ("payout", key),
                    ("attempt", &attempt.to_string()),
                    ("digest", digest),
                    ("policy", revision),
                    ("group", group),
                    ("value", value.as_str()),
                    ("by", by),
                    ("why", why),
                    ("expires", &expires.to_string()),
                ],
            ),
            Self::Order { namespace, key, order, what, by, why, expires } => lines(
                ORDER,
                &[
                    ("namespace", namespace),
                    ("payout", key),
                    ("order", order),
                    ("what", what),
                    ("by", by),
                    ("why", why),
                    ("expires", &expires.to_string()),
                ],
            ),
            Self::Revision { number, previous, content, author, note } => lines(
                REVISION,
                &[
                    ("number", &number.to_string()),
                    ("previous", previous),
                    ("content", content),
                    ("author", author),
                    ("note", note),
                ],
            ),
        }
    }

    /// Reads a statement's text.
    ///
    /// # Errors
    /// What was expected. Another form of the same statement is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut all = text.split('\n');
        let tag = all.next().unwrap_or_default();
        let mut field = |name: &str| -> Result<String, String> {
            let line = all.next().unwrap_or_default();
            let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).and_then(plain);
            value.ok_or_else(|| format!("expected a line \"{name}: …\", got {line:?}"))
        };
        let statement = match tag {
            START => Self::Start {
                namespace: field("namespace")?,
                external_id: field("external id")?,
                digest: field("digest")?,
                starter: field("starter")?,
            },
            APPROVAL => Self::Approval {
                namespace: field("namespace")?,
                key: field("payout")?,
                attempt: number("attempt", &field("attempt")?)?,
                digest: field("digest")?,
                revision: field("policy")?,
                group: field("group")?,
                value: ApprovalValue::parse(&field("value")?).ok_or("value: expected \"approve\" or \"deny\"")?,
                by: field("by")?,
                why: field("why")?,
                expires: time(&field("expires")?)?,
            },
            ORDER => Self::Order {
                namespace: field("namespace")?,
                key: field("payout")?,
                order: field("order")?,
                what: field("what")?,
                by: field("by")?,
                why: field("why")?,
                expires: time(&field("expires")?)?,
            },
            REVISION => Self::Revision {
                number: number("number", &field("number")?)?,
                previous: field("previous")?,
                content: field("content")?,
                author: field("author")?,
                note: field("note")?,
            },
            _ => return Err(format!("expected a first line such as {APPROVAL:?}, got {tag:?}")),
        };
        // One form only: a number with a zero in front, or a line too many, is signed by nobody.
        if statement.text() == text {
            Ok(statement)
        } else {
            Err("expected exactly the lines of such a statement".into())
        }
    }
}

fn lines(tag: &str, fields: &[(&str, &str)]) -> String {
    let mut text = format!("{tag}\n");
    for (name, value) in fields {
        text.push_str(name);
        text.push_str(": ");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if is_hidden(c) => {
                    // Writing to a string does not fail.
                    let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        text.push('\n');
    }
    text
}

/// What cannot be seen, ends a line or changes its direction. A fixed list: what was signed must read the same for ever.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// The value that is written like this.
fn plain(written: &str) -> Option<String> {
    let mut value = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('\\') {
        value.push_str(before);
        rest = if let Some(after) = after.strip_prefix('\\') {
            value.push('\\');
            after
        } else {
            let (hex, after) = after.strip_prefix("u{")?.split_once('}')?;
            value.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
            after
        };
    }
    value.push_str(rest);
    Some(value)
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| format!("expires: expected a time such as 2026-11-30T12:00:00Z, got {text:?}"))
}

fn number(name: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{name}: expected a whole number, got {text:?}"))
}
