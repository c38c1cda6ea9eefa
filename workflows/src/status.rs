//! Where a payout is, for people and programs: the answer of the `status` query and the text in the Web UI.

use std::time::SystemTime;

use remit_domain::{Decided, Offer, Outcome, PayoutKey, PayoutRequest, PayoutView, Stage};
use serde::{Deserialize, Serialize};

use crate::contract::Ruling;

/// Answer of the `status` query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The payout's key.
    pub key: PayoutKey,
    /// What was asked.
    pub request: PayoutRequest,
    /// Digest of what was asked.
    pub digest: String,
    /// Where it is.
    pub stage: Stage,
    /// In words.
    pub says: String,
    /// Whom or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Until when, RFC 3339 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What the beneficiary gets, as quoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Offer>,
    /// The last reading at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<PayoutView>,
    /// What the policy decided last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
    /// Who holds it back, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Decided>,
    /// Set when something takes longer than it should, or is in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What happened when, oldest first.
    pub timeline: Vec<Moment>,
}

/// One line of a payout's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// RFC 3339 UTC, workflow time.
    pub at: String,
    /// What happened.
    pub what: String,
}

/// More lines than a payout can honestly have.
const TIMELINE: usize = 100;

impl Status {
    pub(crate) fn new(request: PayoutRequest) -> Self {
        Self {
            key: request.key(),
            digest: request.digest(),
            request,
            stage: Stage::Requested,
            says: "accepted; its id is being claimed".into(),
            waits_for: None,
            until: None,
            quoted: None,
            read: None,
            ruling: None,
            hold: None,
            attention: None,
            outcome: None,
            timeline: Vec::new(),
        }
    }

    /// Lines in it say which payout and run they speak of, what the policy has decided, and who asked: the same that
    /// lines of activities say.
    pub(crate) fn span(&self, run_id: &str) -> tracing::Span {
        let ruling = self.ruling.as_ref();
        tracing::info_span!(
            "payout",
            payout.key = self.key.as_str(),
            run.id = run_id,
            policy.revision = ruling.map(|ruling| ruling.revision),
            decision = ruling.map(|ruling| ruling.verdict.as_str()),
            actor = self.request.signed.as_ref().map_or("unsigned", |signed| signed.by.as_str()),
        )
    }

    pub(crate) fn note(&mut self, now: SystemTime, what: impl Into<String>) {
        if self.timeline.len() < TIMELINE {
            self.timeline.push(Moment { at: rfc3339(now), what: what.into() });
        }
    }

    /// Markdown for the Web UI: what is so, what it waits for, what to do.
    pub(crate) fn details(&self) -> String {
        let mut text = format!("**{}** · {}\n\n", self.stage.as_str(), plain(&self.says));
        if self.stage == Stage::NeedsPerson {
            text += "**A person must look.** Nothing is confirmed meanwhile. Then: `remit payout resolve`.\n\n";
        }
        if let Some(ruling) = self.ruling.as_ref().filter(|_| self.stage == Stage::AwaitingApproval) {
            text += &format!(
                "**Approvals wanted**: {}. Then: `remit approval approve` or `remit approval deny`.\n\n",
                plain(&ruling.approvals.to_string())
            );
        }
        if let Some(hold) = &self.hold {
            text += &format!("Held back by {}. To let it go on: `remit payout release`.\n\n", plain(&hold.to_string()));
        }
        if let Some(attention) = &self.attention {
            text += &format!("**Attention**: {}\n\n", plain(attention));
        }
        if let Some(who) = &self.waits_for {
            let until = self.until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
            text += &format!("Waits for {who}{until}.\n\n");
        }
        text += &format!("| | |\n|---|---|\n| asked | {} |\n", self.request.summary());
        let mut row = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                text += &format!("| {name} | {value} |\n");
            }
        };
        row("quoted", self.quoted.as_ref().map(|o| format!("{} after {} fees (no price is held)", o.receives, o.fees)));
        row("policy", self.ruling.as_ref().map(policy));
        row("wallet", Some(format!("`{}`", self.request.wallet_id.as_str())));
        if let Some(read) = &self.read {
            row("at the provider", Some(format!("`{}`: {}", read.payout, read.progress.describe())));
            row("deposit address", read.deposit_address.as_ref().map(|a| format!("`{a}`")));
            row("transfer", read.transfer.as_ref().map(|t| format!("`{t}`")));
            row("transaction", read.transaction_hash.as_ref().map(|h| format!("`{h}`")));
        }
        if !self.timeline.is_empty() {
            text += "\n";
            for moment in &self.timeline {
                text += &format!("- {} {}\n", moment.at, plain(&moment.what));
            }
        }
        text
    }
}

fn policy(ruling: &Ruling) -> String {
    let why = if ruling.reasons.is_empty() { "no rule triggered".to_owned() } else { ruling.why() };
    let usd = ruling.usd.map(|usd| format!(", {usd}")).unwrap_or_default();
    format!("revision {}: {}{usd} ({})", ruling.revision, ruling.verdict.as_str(), plain(&why))
}

/// Words of providers and people, kept from being taken for Markdown: no links, no images, no headings, one line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => plain.push(' '),
            '[' | ']' | '<' | '>' | '!' | '`' | '*' | '#' | '|' | '\\' => plain.extend(['\\', c]),
            c => plain.push(c),
        }
    }
    plain
}

/// RFC 3339 in UTC, whole seconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "(no time)".into(), |t| t.strftime("%FT%TZ").to_string())
}
