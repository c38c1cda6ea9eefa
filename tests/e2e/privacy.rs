//! Names of people and secrets of ours are planted, and then looked for wherever something is written: histories,
//! summaries, search attributes, logs, metrics, errors, and what commands print.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
};

use anyhow::{Context, Result, ensure};
use prost::Message as _;
use remit::dev::{Begin, Options};
use remit_client::StartError;
use remit_codec::{Codec, CodecKeys, Plain};
use remit_domain::{Ending, PayoutRequest};
use remit_workflows::names;
use serde_json::{Value, json};
use temporalio_client::{UntypedWorkflow, WorkflowStartOptions};
use temporalio_common::{
    data_converters::RawValue,
    protos::temporal::api::{common::v1::Payload, history::v1::History},
};

use crate::harness::{Process, World, quick, until};

const PAID: &str = "Quirina Vexlumbra";
const LISTED: &str = "Oswaldo Pfirzenbach";
const MISSPELLED: &str = "Thaddeus Wimplegoot";

fn named(world: &World, id: &str, name: &str) -> Result<PayoutRequest> {
    let mut json = serde_json::to_value(world.request(id, "100000000")?)?;
    json["destination"]["beneficiaryName"] = json!(name);
    Ok(PayoutRequest::parse(&json)?)
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Starts a payout as any program in any language would: the input as it is.
async fn start_raw(world: &World, id: &str, input: &Value) -> Result<()> {
    let metadata = [("encoding".to_owned(), b"json/plain".to_vec())].into();
    let payload = Payload { metadata, data: input.to_string().into_bytes(), ..Payload::default() };
    let options = WorkflowStartOptions::new(names::QUEUE, format!("payout-{id}")).build();
    let kind = UntypedWorkflow::new(names::PAYOUT);
    world.system.client().temporal().start_workflow(kind, RawValue::new(vec![payload]), options).await?;
    Ok(())
}

/// Everything that Temporal keeps of a run: its history, and what is listed of it.
async fn kept(world: &World, id: &str) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for event in world.history(id).await? {
        all.extend(event.encode_to_vec());
    }
    let described = world.handle(&format!("payout-{id}")).describe(Default::default()).await?;
    all.extend(described.raw().encode_to_vec());
    Ok(all)
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// What nobody but its owner may read, by what it is: from the settings and the files they name.
fn secrets(environment: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (name, value) in environment {
        match name.as_str() {
            "DFNS_TOKEN" => all.push((name.clone(), value.clone())),
            name if name.ends_with("_FILE") && !value.is_empty() => {
                let text = fs::read_to_string(value).with_context(|| format!("{name}={value}"))?;
                let lines = text.lines().filter(|line| line.len() > 20 && !line.starts_with("-----"));
                let keys = lines.map(|line| line.strip_prefix("planted=").unwrap_or(line));
                all.extend(keys.map(|key| (name.to_owned(), key.to_owned())));
            }
            _ => {}
        }
    }
    ensure!(all.len() >= 5, "not all secrets were found: {:?}", all.iter().map(|(name, _)| name).collect::<Vec<_>>());
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_secrets_are_written_nowhere_in_clear() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (ok, line) = Process::output(&["codec", "key", "planted"])?;
    ensure!(ok, "no codec key");
    let keys = folder.path().join("codec-keys");
    fs::write(&keys, &line)?;
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600))?;
    let denylist = folder.path().join("denylist.toml");
    let entry =
        format!("version = \"1\"\n[[entry]]\nid = \"d-1\"\nkind = \"name\"\nvalue = \"{LISTED}\"\nreason = \"x\"\n");
    fs::write(&denylist, entry)?;

    let codec = Codec::new(CodecKeys::parse(&line).map_err(anyhow::Error::msg)?, Plain::Refuse);
    let (worker, relay) = (Begin::Later, Begin::Later);
    let options = Options { cadence: quick(), codec: Some(codec), worker, relay, ..Options::default() };
    let world = World::with(options).await?;
    let mut environment = world.system.environment().to_vec();
    let public =
        environment.iter().find(|(name, _)| name == "REMIT_RELAY_PUBLIC_URL").context("the relay's address")?;
    let listen =
        public.1.trim_start_matches("http://").trim_end_matches('/').split('/').next().unwrap_or_default().to_owned();
    let settings = [
        ("REMIT_CODEC_KEYS_FILE", keys.to_string_lossy()),
        ("REMIT_CODEC_PLAIN", "refuse".into()),
        ("REMIT_SCREENING_DENYLIST", denylist.to_string_lossy()),
        ("RUST_LOG", "debug,remit=trace,h2=info,hyper=info".into()),
    ];
    environment.extend(settings.map(|(name, value)| (name.to_owned(), value.into_owned())));
    let (worker_admin, relay_admin) = (free_port()?, free_port()?);
    let logs = [folder.path().join("worker.log"), folder.path().join("relay.log")];
    let worker = Process::logged(&["worker", "--admin", &worker_admin.to_string()], &environment, &logs[0])?;
    let relay = ["relay", "--listen", &listen, "--admin", &relay_admin.to_string()];
    let relay = Process::logged(&relay, &environment, &logs[1])?;
    let metrics = async |admin: SocketAddr| -> Result<String> {
        until("an answer of /metrics", async || {
            Ok(reqwest::get(format!("http://{admin}/metrics")).await.ok().filter(|it| it.status().is_success()))
        })
        .await?
        .text()
        .await
        .map_err(Into::into)
    };
    metrics(relay_admin).await?;

    // Paid; forbidden, because the name is listed; refused, because the field is misspelled or not readable.
    let client = world.system.client();
    client.start(&named(&world, "paid", PAID)?).await?;
    client.start(&named(&world, "listed", LISTED)?).await?;
    let mut misspelled = serde_json::to_value(world.request("misspelled", "100000000")?)?;
    misspelled["destination"]["benificiaryName"] = json!(MISSPELLED);
    let refused = client.start_json(&misspelled).await.expect_err("refused");
    assert!(matches!(refused, StartError::Invalid(_)));
    assert!(!refused.to_string().contains(MISSPELLED), "{refused}");
    start_raw(&world, "misspelled", &misspelled).await?;
    let conflict = client.start(&named(&world, "paid", LISTED)?).await.expect_err("a conflict").to_string();
    assert_eq!(world.outcome("paid").await?.ending, Ending::Completed);
    let blocked = world.outcome("listed").await?;
    assert_eq!(blocked.ending, Ending::Blocked, "{}", blocked.reason);
    assert!(blocked.reason.contains("d-1"), "{}", blocked.reason);
    // What the keys open is replayed, before a deploy.
    let recorded = History { events: world.history("paid").await? };
    let file = folder.path().join("paid.binpb");
    fs::write(&file, recorded.encode_to_vec())?;
    let replay = ["replay", "--prefixes", &file.to_string_lossy()];
    let quiet: Vec<_> = environment.iter().filter(|(name, _)| name != "RUST_LOG").cloned().collect();
    let (code, said) = Process::run(&replay, &quiet)?;
    assert_eq!(code, Some(0), "{said}");
    let show = Process::run(&["payout", "show", "listed"], &quiet)?.1;
    let audit = Process::run(&["audit", "show", "listed"], &quiet)?.1;

    let mut places = vec![
        ("metrics of the worker".to_owned(), metrics(worker_admin).await?.into_bytes()),
        ("metrics of the relay".to_owned(), metrics(relay_admin).await?.into_bytes()),
        ("a conflict".to_owned(), conflict.into_bytes()),
        ("the outcome".to_owned(), blocked.reason.into_bytes()),
        ("remit payout show".to_owned(), show.into_bytes()),
        ("remit audit show".to_owned(), audit.into_bytes()),
    ];
    for id in ["paid", "listed"] {
        places.push((format!("what Temporal keeps of {id}"), kept(&world, id).await?));
    }
    worker.finish().await?;
    relay.finish().await?;
    for log in &logs {
        let text = fs::read(log)?;
        ensure!(holds(&text, "payout"), "nothing was logged to {}", log.display());
        places.push((log.display().to_string(), text));
    }
    let mut planted = secrets(&environment)?;
    planted.extend([PAID, LISTED, MISSPELLED].map(|name| ("a name".to_owned(), name.to_owned())));
    for (place, text) in &places {
        for (what, needle) in &planted {
            let shown_to_its_owner = place == "remit payout show" && needle == LISTED;
            ensure!(shown_to_its_owner || !holds(text, needle), "{what} is written in clear: {place}");
        }
    }
    // That they would have been found: what is meant to be there is.
    let (_, of_paid) = places.iter().find(|(place, _)| place.ends_with("of paid")).context("kept")?;
    ensure!(holds(of_paid, "payout-paid") && holds(of_paid, "binary/encrypted"), "nothing was looked at");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_codec_keys_a_start_that_names_somebody_is_refused() -> Result<()> {
    let world = World::new().await?;
    let request = named(&world, "in-clear", PAID)?;
    let refused = world.system.client().start(&request).await.expect_err("refused");
    assert!(matches!(refused, StartError::NameInClear), "{refused}");
    assert!(refused.to_string().contains("REMIT_CODEC_KEYS_FILE") && !refused.to_string().contains(PAID), "{refused}");

    // Nothing of it was sent, and whoever sends it all the same is refused by the worker.
    start_raw(&world, "in-clear", &serde_json::to_value(&request)?).await?;
    let failed = world.system.client().wait("in-clear").await.expect_err("refused").to_string();
    assert!(failed.contains("destination.beneficiaryName") && !failed.contains(PAID), "{failed}");
    assert!(world.system.records().payout("in-clear").await?.is_none(), "nothing is claimed");
    world.end().await
}
