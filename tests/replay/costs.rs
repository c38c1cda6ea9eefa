//! What each branch costs, counted from the recorded histories, stands in the documents and stays within the limits.

use std::fs;

use anyhow::{Result, ensure};
use remit_tests::{Cost, recorded};
use remit_worker::history;

use crate::FILES;

/// For the main path.
const MAIN_PATH: Cost = Cost { events: 52, actions: 13 };
/// For the main path under a policy.
const UNDER_POLICY: Cost = Cost { events: 70, actions: 16 };
/// For every other branch: that with an approval and a hold at the provider.
const ANY: Cost = Cost { events: 105, actions: 24 };

#[test]
fn every_branch_stays_within_its_cost_and_the_documents_say_what_it_is() -> Result<()> {
    let mut table = "| Branch | Events | Actions |\n|---|---|---|\n".to_owned();
    let mut over = Vec::new();
    for file in FILES.iter() {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let cost = Cost::of(&history::read(&fs::read(file)?)?.events);
        let most = match name.as_ref() {
            "completed-by-nudge" => MAIN_PATH,
            "policy-completed-by-nudge" => UNDER_POLICY,
            _ => ANY,
        };
        if cost.events > most.events || cost.actions > most.actions {
            over.push(format!("{name}: {cost:?}, at most {most:?}"));
        }
        table += &format!("| `{name}` | {} | {} |\n", cost.events, cost.actions);
    }
    ensure!(over.is_empty(), "{}", over.join("\n"));
    let page = fs::read_to_string(recorded::folder().join("../../docs/performance.md"))?;
    ensure!(page.contains(&table), "docs/performance.md should hold this table:\n{table}");
    Ok(())
}
