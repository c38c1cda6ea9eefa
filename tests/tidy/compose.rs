//! `docker-compose.yml`: complete, watched over, and without a secret in it.

use crate::{none, tree::root};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fs};

const SECRET_NAMES: &[&str] = &["PASSWORD", "PASSWD", "PWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE_KEY"];

type Found = Vec<String>;

fn parse(text: &str) -> Value {
    // As YAML merges `<<` only where the target is asked for by name, the tree is read as plain JSON.
    serde_saphyr::from_str(text).expect("docker-compose.yml is YAML")
}

fn services(compose: &Value) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
    compose["services"].as_object().into_iter().flatten().filter_map(|(name, it)| Some((name, it.as_object()?)))
}

/// Service → the condition on which others wait for it, for each that waits.
fn dependencies(compose: &Value) -> Vec<(&str, String, String)> {
    let mut all = vec![];
    for (name, service) in services(compose) {
        match service.get("depends_on") {
            Some(Value::Object(on)) => all.extend(on.iter().map(|(target, how)| {
                (name.as_str(), target.clone(), how["condition"].as_str().unwrap_or_default().to_owned())
            })),
            Some(Value::Array(on)) => all.extend(
                on.iter().filter_map(Value::as_str).map(|target| (name.as_str(), target.to_owned(), String::new())),
            ),
            _ => {}
        }
    }
    all
}

fn incomplete(compose: &Value) -> Found {
    let awaited = dependencies(compose);
    let ends = |name: &str| awaited.iter().any(|(_, to, how)| to == name && how == "service_completed_successfully");
    let mut found = vec![];
    for (name, service) in services(compose) {
        if !service.contains_key("image") && !service.contains_key("build") {
            found.push(format!("{name} has neither image nor build"));
        }
        if !service.contains_key("restart") {
            found.push(format!("{name} has no restart policy"));
        }
        // A service that ends is watched by whoever waits for its end.
        if !ends(name) && service.get("healthcheck").is_none_or(|check| check["test"].is_null()) {
            found.push(format!("{name} has no health check"));
        }
        let image = service.get("image").and_then(Value::as_str).unwrap_or("local:built");
        if image.ends_with(":latest") || !image.contains(':') {
            found.push(format!("{name} runs {image}, whatever that is by then"));
        }
    }
    found
}

fn dangling(compose: &Value) -> Found {
    let mut found = vec![];
    for (name, target, condition) in dependencies(compose) {
        let Some(target_service) = compose["services"].get(&target) else {
            found.push(format!("{name} depends on {target}, which is not there"));
            continue;
        };
        if condition == "service_healthy" && target_service["healthcheck"].is_null() {
            found.push(format!("{name} waits for the health of {target}, which has no health check"));
        }
        if condition.is_empty() {
            found.push(format!("{name} does not say what it waits for in {target}"));
        }
    }
    for (name, service) in services(compose) {
        for kind in ["networks", "configs", "secrets", "volumes"] {
            let declared: BTreeSet<&String> = compose[kind].as_object().into_iter().flat_map(Map::keys).collect();
            let used = service.get(kind).and_then(Value::as_array).into_iter().flatten();
            let used = used.filter_map(|it| it.as_str().or_else(|| it["source"].as_str()));
            // `name:/path` is a volume, `./path:/path` a folder.
            let used = used.filter_map(|it| it.split(':').next()).filter(|it| !it.starts_with(['.', '/', '~']));
            found.extend(
                used.filter(|it| !declared.contains(&(*it).to_owned()))
                    .map(|it| format!("{name} uses {it}, which is not among the {kind}")),
            );
        }
    }
    found
}

fn environment(service: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match service.get("environment") {
        Some(Value::Object(map)) => map.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .map(text)
            .filter_map(|it| it.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())))
            .collect(),
        _ => vec![],
    }
}

/// A secret comes as `${NAME:?message}`, without a default; a file with one is named by its place in the container.
fn secrets(compose: &Value) -> Found {
    let required = |value: &str| value.starts_with("${") && value.contains(":?") && value.ends_with('}');
    let mut found = vec![];
    for (name, service) in services(compose) {
        for (variable, value) in environment(service) {
            let secret = SECRET_NAMES.iter().any(|word| variable.to_uppercase().contains(word));
            let named_file = variable.ends_with("_FILE") && value.starts_with("/run/secrets/");
            if secret && !required(&value) && !named_file {
                found.push(format!("{name}: {variable} is not ${{…:?…}}"));
            }
            let user = value.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(user, _)| user);
            if let Some((_, password)) = user.and_then(|user| user.split_once(':'))
                && !required(password)
            {
                found.push(format!("{name}: {variable} holds a password"));
            }
        }
    }
    found
}

/// Search attributes that workers ask for (`SEARCH_…: &str = "…"`) and that nothing registers as `name:Type`.
fn unregistered(names: &str, compose: &str) -> Found {
    let constants = names.lines().filter(|line| line.contains("const SEARCH_"));
    let attributes = constants.filter_map(|line| line.split('"').nth(1));
    attributes.filter(|name| !compose.contains(&format!(" {name}:"))).map(str::to_owned).collect()
}

#[test]
fn every_search_attribute_is_registered_by_the_compose_file() {
    let names = fs::read_to_string(root().join("workflows/src/names.rs")).expect("names.rs");
    let compose = fs::read_to_string(root().join("docker-compose.yml")).expect("docker-compose.yml");
    assert!(!unregistered(&names, "").is_empty(), "no search attribute was found in names.rs");
    none("search attributes that docker-compose.yml does not register:", unregistered(&names, &compose));
}

#[test]
fn a_search_attribute_that_nobody_registers_is_found() {
    let names = "pub const SEARCH_A: &str = \"RemitA\";\npub const SEARCH_B: &str = \"RemitB\";\npub const OTHER: &str = \"Other\";";
    assert_eq!(unregistered(names, "for pair in RemitA:Keyword RemitBoth:Int; do"), ["RemitB"]);
}

#[test]
fn the_compose_file_is_complete_and_holds_no_secret() {
    let compose = parse(&fs::read_to_string(root().join("docker-compose.yml")).expect("docker-compose.yml"));
    let names: BTreeSet<&str> = services(&compose).map(|(name, _)| name.as_str()).collect();
    for expected in ["postgres", "temporal", "temporal-ui", "worker", "relay", "sandbox"] {
        assert!(names.contains(expected), "{expected} is missing among {names:?}");
    }
    let worker = compose["services"]["worker"].as_object().expect("a worker");
    assert!(worker.contains_key("restart"), "merge keys are not resolved: {worker:?}");
    none("incomplete:", incomplete(&compose));
    none("dangling:", dangling(&compose));
    none("secrets:", secrets(&compose));
}

/// The order of a JSON object's members depends on how serde_json is built.
fn sorted(mut found: Found) -> Found {
    found.sort();
    found
}

#[test]
fn a_service_that_is_incomplete_is_found() {
    let compose = parse("services:\n  a: {}\n  b: { image: x, restart: always, healthcheck: { test: [CMD, true] } }\n");
    assert_eq!(
        sorted(incomplete(&compose)),
        [
            "a has neither image nor build",
            "a has no health check",
            "a has no restart policy",
            "b runs x, whatever that is by then"
        ]
    );
    let ends = "services:\n  a: { image: 'x:1', restart: on-failure }\n  b: { image: 'x:1', restart: always, \
                healthcheck: { test: [CMD, true] }, depends_on: { a: { condition: service_completed_successfully } } }\n";
    assert_eq!(incomplete(&parse(ends)), Found::new());
}

#[test]
fn what_is_named_and_not_there_is_found() {
    let compose = parse(
        "services:\n  a: { depends_on: [b, d], networks: [net], volumes: ['v:/x', './c:/c'], configs: [{ source: c }], secrets: [s] }\n  \
         d: { depends_on: { a: { condition: service_healthy } } }\nnetworks: { other: }\n",
    );
    assert_eq!(
        sorted(dangling(&compose)),
        [
            "a depends on b, which is not there",
            "a does not say what it waits for in d",
            "a uses c, which is not among the configs",
            "a uses net, which is not among the networks",
            "a uses s, which is not among the secrets",
            "a uses v, which is not among the volumes",
            "d waits for the health of a, which has no health check",
        ]
    );
}

#[test]
fn a_secret_is_found_in_a_variable_and_in_a_url() {
    let compose = parse(
        "services:\n  a:\n    environment:\n      DB_PASSWORD: hunter2\n      API_TOKEN: ${API_TOKEN:-abc}\n      \
         URL: postgres://me:hunter2@db/x\n      GOOD_SECRET: ${GOOD_SECRET:?set it}\n      \
         GOOD_URL: postgres://me:${DB:?set it}@db/x\n      PRIVATE_KEY_FILE: /run/secrets/key\n      PORT: 5432\n  \
         b:\n    environment: [SQL_PWD=hunter2]\n",
    );
    assert_eq!(
        sorted(secrets(&compose)),
        [
            "a: API_TOKEN is not ${…:?…}",
            "a: DB_PASSWORD is not ${…:?…}",
            "a: URL holds a password",
            "b: SQL_PWD is not ${…:?…}"
        ]
    );
}
