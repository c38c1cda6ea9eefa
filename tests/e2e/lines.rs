//! What a worker says about a payout while it runs: one search for its id answers why.

use anyhow::{Context, Result};
use remit::dev::{Begin, Options};
use remit_domain::Ending;
use serde_json::{Value, json};

use crate::harness::{People, Process, STANDARD, World, quick, until};

#[tokio::test(flavor = "multi_thread")]
async fn every_line_about_a_payout_says_run_and_once_decided_revision_decision_and_actor() -> Result<()> {
    let people = People::new(&["ana", "ben"])?;
    let policy = people.policy(STANDARD);
    let world = World::with(Options { cadence: quick(), policy, worker: Begin::Later, ..Options::default() }).await?;
    let log = world.system.env_file().with_file_name("worker.log");
    let args = ["worker", "--admin", "127.0.0.1:0", "--log", "json"];
    let worker = Process::logged(&args, world.system.environment(), &log)?;

    // One that is approved and whose create and confirm go wrong at first, and one that the policy blocks.
    for on in ["POST /payouts", "POST /payouts/*/action"] {
        world.fault(json!({"kind": "status", "on": on, "status": 503, "times": 2})).await?;
    }
    world.start("told", "1600000000").await?;
    world.awaiting_approval("told").await?;
    world.decide(&people, "ana", "told", "treasury", true).await?;
    world.start("blocked", "9000000000").await?;
    assert_eq!(world.outcome("blocked").await?.ending, Ending::Blocked);
    assert_eq!(world.outcome("told").await?.ending, Ending::Completed);
    worker.finish().await?;

    let text = std::fs::read_to_string(&log)?;
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    for id in ["told", "blocked"] {
        let run = world.system.client().describe(id).await?.run.run_id;
        let about: Vec<&Value> = lines.iter().filter(|line| line.to_string().contains(&format!("\"{id}\""))).collect();
        let of_activities = |line: &&&Value| line["span"]["name"] == "activity";
        assert!(about.iter().filter(of_activities).count() >= 3, "{about:#?}");
        let mut decided = false;
        for line in about {
            let said = |field: &str| {
                let said = line.get(field).unwrap_or(&line["span"][field]);
                said.is_string().then(|| said.to_string()).or_else(|| said.as_u64().map(|number| number.to_string()))
            };
            assert_eq!(said("payout.key"), Some(format!("{id:?}")), "{line:#}");
            assert_eq!(said("run.id"), Some(format!("{run:?}")), "{line:#}");
            decided |= line["message"].as_str().is_some_and(|text| text.contains("about payout"));
            if decided {
                for field in ["policy.revision", "decision", "actor"] {
                    assert!(said(field).is_some(), "{field} is missing in {line:#}");
                }
            }
        }
        assert!(decided, "nobody said what was decided about {id}");
    }
    // Errors as well, and nothing that activities say is outside of a payout but what concerns all.
    let no_answer = |line: &&Value| line["message"].as_str().is_some_and(|text| text.starts_with("no answer"));
    let failed = lines.iter().find(no_answer).context("nothing went wrong")?;
    assert_eq!(failed["span"]["payout.key"], "told", "{failed:#}");
    let ours = |line: &&Value| line["target"].as_str().is_some_and(|target| target.starts_with("remit_activities"));
    for line in lines.iter().filter(ours).filter(|line| line.get("span").is_none()) {
        assert!(line["message"].as_str().is_some_and(|text| text.contains("is in force")), "{line:#}");
    }

    // And the same is shown.
    let shown = until("the payout to be shown", async || {
        let (exit, shown, _) = world.command(&["payout", "show", "told"]).await?;
        Ok((exit == Some(0)).then_some(shown))
    });
    let worker = world.worker_process()?;
    let shown = shown.await?;
    let run = world.system.client().describe("told").await?.run.run_id;
    for part in [&format!("run         {run}"), "asked by    unsigned", "revision 1: needsApproval", "ana approves"] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
    worker.kill()?;
    world.end().await
}
