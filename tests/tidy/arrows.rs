//! What depends on what.

use crate::{none, tree::root};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

/// Crate → the crates of this workspace that it may depend on. Who is not named here may not exist.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("remit-domain", &[]),
    ("remit-dfns", &[]),
    ("remit-keys", &[]),
    ("remit-codec", &[]),
    ("remit-screening", &[]),
    ("remit-sandbox", &[]),
    ("remit-records", &["remit-domain"]),
    ("remit-workflows", &["remit-domain"]),
    (
        "remit-activities",
        &["remit-workflows", "remit-domain", "remit-dfns", "remit-records", "remit-keys", "remit-screening"],
    ),
    ("remit-worker", &["remit-workflows", "remit-activities", "remit-records", "remit-keys"]),
    ("remit-client", &["remit-workflows", "remit-domain", "remit-keys", "remit-codec"]),
    ("remit-relay", &["remit-client", "remit-dfns", "remit-records"]),
    ("remit", &["*"]),
    ("remit-tests", &["*", "remit"]),
    ("remit-bench", &["*", "remit", "remit-tests"]),
    ("remit-chaos", &["*", "remit"]),
    ("remit-fuzz", &["remit-dfns", "remit-domain", "remit-keys", "remit-screening", "remit-workflows"]),
];

/// What would let a workflow do IO, or drag the worker into the crate that must be deterministic.
const NOT_IN_WORKFLOWS: &[&str] = &[
    "axum",
    "hyper",
    "hyper-util",
    "reqwest",
    "ring",
    "rustls",
    "sqlx",
    "sqlx-core",
    "temporalio-client",
    "temporalio-common",
    "temporalio-sdk",
    "temporalio-sdk-core",
];

/// TLS and signatures come from rustls with ring.
const NOWHERE: &[&str] = &["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"];

type Graph = BTreeMap<String, BTreeSet<String>>;

fn wrong_arrows(graph: &Graph, allowed: &[(&str, &[&str])]) -> Vec<String> {
    let mut wrong = vec![];
    for (from, to) in graph {
        let Some((_, may)) = allowed.iter().find(|(name, _)| name == from) else {
            wrong.push(format!("{from} is new: say what it may depend on, in tests/tidy/arrows.rs and in the design"));
            continue;
        };
        // Everybody but those that stand above all others.
        let top = ["remit", "remit-tests", "remit-bench", "remit-chaos"];
        let any = |to: &str| may.contains(&"*") && !top.contains(&to);
        wrong.extend(
            to.iter().filter(|to| !may.contains(&to.as_str()) && !any(to)).map(|to| format!("{from} depends on {to}")),
        );
    }
    wrong
}

/// Normal and build dependencies between crates of this workspace, from `cargo metadata --no-deps`.
fn graph(metadata: &Value) -> Graph {
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let ours: BTreeSet<String> = packages().map(name).collect();
    packages()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let normal = dependencies.filter(|dependency| dependency["kind"] != "dev").map(name);
            (name(package), normal.filter(|dependency| ours.contains(dependency)).collect())
        })
        .collect()
}

/// `cargo tree --prefix none` starts each line with a name.
fn named_in_tree<'a>(tree: &str, names: &[&'a str]) -> Vec<&'a str> {
    let found: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    names.iter().copied().filter(|name| found.contains(name)).collect()
}

fn named_in_lock<'a>(lock: &str, names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| lock.lines().any(|line| line == format!("name = \"{name}\""))).collect()
}

fn cargo(args: &[&str]) -> String {
    let run = Command::new(env!("CARGO")).args(args).args(["--offline", "--locked"]).current_dir(root()).output();
    let run = run.expect("cargo runs");
    assert!(run.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("cargo writes UTF-8")
}

fn texts<T: FromIterator<String>>(of: &[&str]) -> T {
    of.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn arrows_point_the_way_they_are_drawn() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let graph = graph(&serde_json::from_str(&metadata).expect("JSON"));
    for (name, _) in MAY_DEPEND_ON {
        assert!(graph.contains_key(*name), "{name} is gone: take it out of tests/tidy/arrows.rs");
    }
    none("dependencies that are not drawn:", wrong_arrows(&graph, MAY_DEPEND_ON));
}

#[test]
fn workflows_are_built_from_nothing_that_does_io() {
    let tree = cargo(&["tree", "--package", "remit-workflows", "--edges", "normal", "--prefix", "none"]);
    assert_eq!(named_in_tree(&tree, &["temporalio-workflow"]).len(), 1, "not the tree of a workflow crate: {tree}");
    none("crates in the tree of remit-workflows:", texts(&named_in_tree(&tree, NOT_IN_WORKFLOWS)));
}

#[test]
fn no_crate_brings_openssl() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    assert_eq!(named_in_lock(&lock, &["rustls"]), ["rustls"], "not the lock file of this workspace");
    none("crates in Cargo.lock:", texts(&named_in_lock(&lock, NOWHERE)));
}

#[test]
fn a_wrong_arrow_is_found() {
    let allowed: &[(&str, &[&str])] = &[("low", &[]), ("high", &["low"]), ("remit", &["*"])];
    let graph = |from: &str, to: &str| Graph::from([(from.to_owned(), texts(&[to]))]);
    assert_eq!(wrong_arrows(&graph("low", "high"), allowed), ["low depends on high"]);
    assert_eq!(wrong_arrows(&graph("remit", "remit-tests"), allowed), ["remit depends on remit-tests"]);
    assert_eq!(wrong_arrows(&graph("stranger", "low"), allowed).len(), 1);
    assert!(wrong_arrows(&graph("high", "low"), allowed).is_empty());
    assert!(wrong_arrows(&graph("remit", "low"), allowed).is_empty());
}

#[test]
fn the_graph_has_normal_and_build_dependencies_on_our_crates_only() {
    let metadata = serde_json::json!({"packages": [
        {"name": "a", "dependencies": [
            {"name": "b", "kind": null}, {"name": "c", "kind": "build"}, {"name": "d", "kind": "dev"}, {"name": "serde", "kind": null}]},
        {"name": "b", "dependencies": []}, {"name": "c", "dependencies": []}, {"name": "d", "dependencies": []},
    ]});
    assert_eq!(graph(&metadata)["a"], texts::<BTreeSet<_>>(&["b", "c"]));
}

#[test]
fn a_crate_is_found_by_its_whole_name() {
    let tree = "remit-workflows v0.1.0 (/src)\nreqwest v0.13.5\nhyper-rustls v0.27.0\nserde v1.0.0 (*)";
    assert_eq!(named_in_tree(tree, &["reqwest", "rustls", "hyper"]), ["reqwest"]);
    let lock = "[[package]]\nname = \"openssl-probe\"\nversion = \"0.2.0\"\n\n[[package]]\nname = \"native-tls\"\n";
    assert_eq!(named_in_lock(lock, &["openssl", "native-tls"]), ["native-tls"]);
}
