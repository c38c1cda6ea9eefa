//! What keys sign. A statement has one text and a text one statement, so that a signature counts for exactly one thing.

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
        /// Until when it counts, whole seconds.
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
        /// Until when it counts, whole seconds.
        expires: Timestamp,
    },
    /// A publisher signs a revision of the policy.
    Policy {
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
}

impl Statement {
    /// The text that is signed: a first line that says of what kind it is, then one `name: value` a line, in an order
    /// that never changes. Control characters in values become spaces.
    pub fn text(&self) -> String {
        let attempt;
        let number;
        let (tag, fields): (&str, Vec<(&str, String)>) = match self {
            Self::Start { namespace, external_id, digest, starter } => (
                "remit.start.v1",
                vec![
                    ("namespace", namespace.clone()),
                    ("external id", external_id.clone()),
                    ("digest", digest.clone()),
                    ("starter", starter.clone()),
                ],
            ),
            Self::Approval { namespace, key, attempt: n, digest, revision, group, value, by, why, expires } => {
                attempt = n.to_string();
                (
                    "remit.approval.v1",
                    vec![
                        ("namespace", namespace.clone()),
                        ("payout", key.clone()),
                        ("attempt", attempt),
                        ("digest", digest.clone()),
                        ("policy", revision.clone()),
                        ("group", group.clone()),
                        ("value", value.as_str().to_owned()),
                        ("by", by.clone()),
                        ("why", why.clone()),
                        ("expires", seconds(*expires)),
                    ],
                )
            }
            Self::Order { namespace, key, order, what, by, why, expires } => (
                "remit.order.v1",
                vec![
                    ("namespace", namespace.clone()),
                    ("payout", key.clone()),
                    ("order", order.clone()),
                    ("what", what.clone()),
                    ("by", by.clone()),
                    ("why", why.clone()),
                    ("expires", seconds(*expires)),
                ],
            ),
            Self::Policy { number: n, previous, content, author, note } => {
                number = n.to_string();
                (
                    "remit.policy.v1",
                    vec![
                        ("number", number),
                        ("previous", previous.clone()),
                        ("content", content.clone()),
                        ("author", author.clone()),
                        ("note", note.clone()),
                    ],
                )
            }
        };
        let mut text = format!("{tag}\n");
        for (name, value) in fields {
            let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            text += &format!("{name}: {value}\n");
        }
        text
    }

    /// Reads a statement's text.
    ///
    /// # Errors
    /// What was expected: another form of the same statement is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let tag = lines.next().unwrap_or_default();
        let mut field = |name: &str| -> Result<String, String> {
            let line = lines.next().unwrap_or_default();
            line.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix(": "))
                .map(str::to_owned)
                .ok_or_else(|| format!("expected a line \"{name}: …\""))
        };
        let statement = match tag {
            "remit.start.v1" => Self::Start {
                namespace: field("namespace")?,
                external_id: field("external id")?,
                digest: field("digest")?,
                starter: field("starter")?,
            },
            "remit.approval.v1" => Self::Approval {
                namespace: field("namespace")?,
                key: field("payout")?,
                attempt: number(&field("attempt")?)?,
                digest: field("digest")?,
                revision: field("policy")?,
                group: field("group")?,
                value: match field("value")?.as_str() {
                    "approve" => ApprovalValue::Approve,
                    "deny" => ApprovalValue::Deny,
                    _ => return Err("value: expected \"approve\" or \"deny\"".into()),
                },
                by: field("by")?,
                why: field("why")?,
                expires: timestamp(&field("expires")?)?,
            },
            "remit.order.v1" => Self::Order {
                namespace: field("namespace")?,
                key: field("payout")?,
                order: field("order")?,
                what: field("what")?,
                by: field("by")?,
                why: field("why")?,
                expires: timestamp(&field("expires")?)?,
            },
            "remit.policy.v1" => Self::Policy {
                number: number(&field("number")?)?,
                previous: field("previous")?,
                content: field("content")?,
                author: field("author")?,
                note: field("note")?,
            },
            _ => return Err("expected a first line such as \"remit.approval.v1\"".into()),
        };
        if statement.text() == text {
            Ok(statement)
        } else {
            Err("expected exactly the lines of such a statement".into())
        }
    }
}

fn seconds(at: Timestamp) -> String {
    at.strftime("%FT%TZ").to_string()
}

fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "expires: expected a time such as 2026-11-30T12:00:00Z".into())
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text:?}: expected a whole number"))
}
