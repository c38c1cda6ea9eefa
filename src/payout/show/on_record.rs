//! What the records hold of a payout's permission: every decision, every approval, what is reserved.

use std::{path::Path, time::Duration};

use remit_domain::policy::{Decision, Statement};
use remit_records::{ApprovalRow, DecisionRow, Error, Options, Records, Reservation};
use serde_json::{Value, json};

use crate::{out, settings::Settings};

/// What is on record.
pub(super) struct OnRecord {
    decisions: Vec<DecisionRow>,
    approvals: Vec<ApprovalRow>,
    reservation: Option<Reservation>,
}

/// A payout is shown without its records rather than late.
const PATIENCE: Duration = Duration::from_secs(5);

impl OnRecord {
    /// None where the records are not within reach, or hold no decision about it.
    pub(super) async fn read(settings: &Settings, key: &str) -> Option<Self> {
        let url = settings.records_url().ok()?;
        // Opening would make it.
        if url.strip_prefix("sqlite://").is_some_and(|file| !Path::new(file).exists()) {
            return None;
        }
        match Self::read_from(url, key).await {
            Ok(on_record) => Some(on_record).filter(|it| !it.decisions.is_empty()),
            Err(error) => {
                out::note(format_args!("(without what is on record of it: {error})"));
                None
            }
        }
    }

    async fn read_from(url: String, key: &str) -> Result<Self, Error> {
        let records = Records::open_with(Options { patience: PATIENCE, ..Options::new(url) }).await?;
        let on_record = Self {
            decisions: records.decisions(key).await?,
            approvals: records.approvals(key).await?,
            reservation: records.reservation(key).await?,
        };
        records.close().await;
        Ok(on_record)
    }

    /// For people.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec!["decisions".to_owned()];
        for row in &self.decisions {
            let decision = &row.decision;
            let worth = decision.usd.map(|usd| format!(", worth {usd}")).unwrap_or_default();
            let (at, verdict) = (row.at.strftime("%FT%TZ"), decision.verdict.as_str());
            lines.push(format!("  {at}  revision {}: {verdict}{worth}", decision.revision));
            lines.extend(said(decision));
        }
        if !self.approvals.is_empty() {
            lines.push("approvals given".to_owned());
            lines.extend(self.approvals.iter().map(given));
        }
        lines.extend(self.reservation.as_ref().map(reserved));
        lines
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let decision =
            |row: &DecisionRow| json!({"at": row.at.to_string(), "decision": row.decision, "facts": row.facts});
        let approval = |row: &ApprovalRow| {
            json!({
                "person": row.person, "group": row.group, "value": row.value, "statement": row.statement,
                "signature": row.signature, "receivedAt": row.received_at.to_string(),
                "void": row.void.as_ref().map(|void| json!({"at": void.at.to_string(), "why": void.why})),
            })
        };
        json!({
            "decisions": self.decisions.iter().map(decision).collect::<Vec<_>>(),
            "approvals": self.approvals.iter().map(approval).collect::<Vec<_>>(),
            "reservation": self.reservation.as_ref().map(|it| json!({
                "state": it.state.as_str(), "usd": it.usd, "takenAt": it.taken_at.to_string(),
                "spentAt": it.spent_at.map(|at| at.to_string()), "why": it.why,
            })),
        })
    }
}

/// Every rule that looked, those that triggered marked.
fn said(decision: &Decision) -> impl Iterator<Item = String> {
    decision.spoke.iter().map(|spoke| {
        let mark = if spoke.triggered { '!' } else { '·' };
        format!("    {mark} {} ({}): {}", spoke.rule, spoke.action, spoke.says)
    })
}

fn given(row: &ApprovalRow) -> String {
    let does = if row.value == "approve" { "approves" } else { "denies" };
    let why = match Statement::parse(&row.statement) {
        Ok(Statement::Approval { why, .. }) => format!(": {why}"),
        Ok(_) | Err(_) => String::new(),
    };
    let void = row.void.as_ref().map(|void| format!(" (counts no more: {})", void.why)).unwrap_or_default();
    let at = row.received_at.strftime("%FT%TZ");
    format!("  {at}  {} {does} for {}{why}{void}", row.person, row.group)
}

fn reserved(it: &Reservation) -> String {
    let worth = it.usd.map_or_else(|| "of unknown worth".to_owned(), |usd| usd.to_string());
    let since = it.spent_at.map_or_else(
        || format!(", taken {}", it.taken_at.strftime("%FT%TZ")),
        |at| format!(", spent {}", at.strftime("%FT%TZ")),
    );
    format!("reserved    {worth}, {}{since}", it.state.as_str())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use remit_records::Void;

    use super::*;

    #[test]
    fn every_decision_tells_what_each_rule_said_and_every_approval_who_and_why() {
        let at = Timestamp::UNIX_EPOCH;
        let decision = json!({
            "revision": 3, "revisionHash": "h", "verdict": "needsApproval", "usd": 12_000_000_000_u64, "price": null,
            "wanted": [],
            "spoke": [
                {"rule": "large", "triggered": true, "action": "requestApproval", "code": "c", "says": "above"},
                {"rule": "a-day", "triggered": false, "action": "block", "code": "c", "says": "within"},
            ],
        });
        let statement = "remit.approval.v1\nnamespace: n\npayout: a\nattempt: 1\ndigest: d\npolicy: h\ngroup: treasury\n\
                         value: approve\nby: ana\nwhy: checked\nexpires: 2027-01-15T08:00:00Z\n";
        let on_record = OnRecord {
            decisions: vec![DecisionRow {
                key: "a".into(),
                seq: 1,
                at,
                decision: serde_json::from_value(decision).expect("a decision"),
                facts: Value::Null,
            }],
            approvals: vec![ApprovalRow {
                person: "ana".into(),
                group: "treasury".into(),
                nr: 1,
                value: "approve".into(),
                statement: statement.into(),
                signature: "s".into(),
                revision: "h".into(),
                received_at: at,
                void: Some(Void { at, why: "the key was replaced".into() }),
            }],
            reservation: None,
        };
        assert_eq!(
            on_record.lines(),
            [
                "decisions",
                "  1970-01-01T00:00:00Z  revision 3: needsApproval, worth 12,000.00 USD",
                "    ! large (requestApproval): above",
                "    · a-day (block): within",
                "approvals given",
                "  1970-01-01T00:00:00Z  ana approves for treasury: checked (counts no more: the key was replaced)",
            ]
        );
        assert_eq!(on_record.json()["decisions"][0]["decision"]["verdict"], "needsApproval");
    }
}
