//! Permission names, current and legacy: two spellings of one thing.

/// Every permission the sandbox checks, by its current name.
pub(crate) const ALL: &[&str] = &[
    "Payouts:Create",
    "Payouts:Read",
    "Payouts:Update",
    "Wallets:Read",
    "Wallets:Transfers:Create",
    "Wallets:Transfers:Read",
    "Wallets:Transfers:Abort",
    "Wallets:Transactions:Create",
    "Policies:Create",
    "Policies:Read",
    "Policies:Update",
    "Policies:Delete",
    "Policies:Evaluations:Read",
    "Policies:Evaluations:Vote",
    "Webhooks:Create",
    "Webhooks:Read",
    "Webhooks:Update",
    "Webhooks:Delete",
    "Webhooks:Ping",
    "Webhooks:Events:Read",
];

/// What the paying service account gets by default: everything but policies, so that it can
/// neither write the rules nor approve its own payments.
pub(crate) fn payer() -> Vec<String> {
    named(|name| !name.starts_with("Policies:") || name == "Policies:Evaluations:Read" || name == "Policies:Read")
}

/// What the read-only service account gets by default.
pub(crate) fn reader() -> Vec<String> {
    named(|name| name.ends_with(":Read"))
}

/// Everything.
pub(crate) fn all() -> Vec<String> {
    named(|_| true)
}

fn named(keep: impl Fn(&str) -> bool) -> Vec<String> {
    ALL.iter().filter(|name| keep(name)).map(|name| (*name).to_owned()).collect()
}

/// The current name of a permission that may be given by its legacy one.
pub(crate) fn current(name: &str) -> &str {
    match name {
        "Payouts:Write" => "Payouts:Update",
        "Policies:Approvals:Read" => "Policies:Evaluations:Read",
        "Policies:Approvals:Approve" => "Policies:Evaluations:Vote",
        "Policies:Archive" => "Policies:Delete",
        other => other,
    }
}
