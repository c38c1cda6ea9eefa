//! Precedence, refusals and the example file.

use std::collections::HashMap;

use secrecy::ExposeSecret;

use super::*;

fn load(flags: &Flags, env: &[(&str, &str)], file: &str) -> Result<Settings, String> {
    let env: HashMap<String, String> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let file = (!file.is_empty()).then_some((Path::new("remit.toml"), file));
    Settings::from_parts(flags, &|name| env.get(name).cloned(), file).map_err(|error| error.to_string())
}

/// The example with its commented settings switched on.
fn example() -> String {
    let text = include_str!("../../remit.example.toml");
    let is_setting = |line: &str| {
        line.split_once(" = ").is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let lines = text.lines().map(|line| line.strip_prefix("# ").filter(|line| is_setting(line)).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "[records]\nurl = \"sqlite://file\"\n[log]\nformat = \"json\"\n[poll]\nfirst = \"7s\"\n";
    let flags = Flags { records_url: Some("sqlite://flag".into()), ..Flags::default() };
    let env = [("REMIT_RECORDS_URL", "sqlite://env"), ("REMIT_LOG", "human")];

    let all = load(&flags, &env, file).expect("settings");
    assert_eq!(all.records.url.as_deref(), Some("sqlite://flag"));
    assert_eq!(all.log.format, Some(LogFormat::Human));
    assert_eq!(all.cadence().first.as_secs(), 7);

    let without_flag = load(&Flags::default(), &env, file).expect("settings");
    assert_eq!(without_flag.records_url().expect("a URL"), "sqlite://env");
    let file_alone = load(&Flags::default(), &[], file).expect("settings");
    assert_eq!(file_alone.records_url().expect("a URL"), "sqlite://file");
    let nothing = load(&Flags::default(), &[], "").expect("settings");
    assert_eq!(nothing.dfns.base_url(), "https://api.dfns.io");
    assert_eq!(nothing.cadence(), PollCadence::default());
}

#[test]
fn the_environments_secret_takes_the_files_place_even_under_its_other_name() {
    let file =
        "[dfns]\ntoken_file = \"/nowhere/token\"\nprivate_key = \"k\"\ncredential_id = \"c\"\nuser_id = \"us-1\"\n";
    let all = load(&Flags::default(), &[("DFNS_TOKEN", "from-env")], file).expect("settings");
    assert_eq!(all.dfns.access().expect("complete").settings.token.expose_secret(), "from-env");
}

#[test]
fn everything_that_is_missing_is_said_at_once_and_where_to_set_it() {
    let all = load(&Flags::default(), &[("DFNS_CREDENTIAL_ID", "c")], "").expect("settings");
    let missing = all.dfns.access().expect_err("incomplete").to_string();
    for name in ["DFNS_TOKEN ", "DFNS_PRIVATE_KEY_FILE ", "DFNS_USER_ID ", "dfns.token_file", "remit.toml", "remit dev"]
    {
        assert!(missing.contains(name), "{name} is not in: {missing}");
    }
    assert!(!missing.contains("DFNS_CREDENTIAL_ID"), "{missing}");
    let webhook = all.dfns.webhook_secrets().expect_err("none").to_string();
    assert!(webhook.contains("DFNS_WEBHOOK_SECRET"), "{webhook}");
}

#[test]
fn an_unknown_key_is_refused_by_name_and_line_and_no_value_is_quoted() {
    let refused = load(&Flags::default(), &[], "[dfns]\ntokn = \"hunter2\"\n").expect_err("unknown key");
    assert!(refused.starts_with("remit.toml, line 2: ") && refused.contains("tokn"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    let refused = load(&Flags::default(), &[], "[dfsn]\n").expect_err("unknown section");
    assert!(refused.contains("dfsn"), "{refused}");
    let refused = load(&Flags::default(), &[], "[dfns]\ntoken = 12345\n").expect_err("not a text");
    assert!(!refused.contains("12345"), "{refused}");
}

#[test]
fn a_value_that_is_not_understood_names_its_variable_and_what_was_expected() {
    let cases = [
        ("REMIT_POLL_FIRST", "30", "such as \"30s\""),
        ("REMIT_POLL_FIRST", "-1s", "more than zero"),
        ("REMIT_POLL_MAX", "soon", "such as \"30s\""),
        ("REMIT_LOG", "yaml", "\"human\" or \"json\""),
        ("DFNS_PLAIN_HTTP", "yes", "loopback"),
        ("REMIT_PROVIDER_CALLS_PER_SECOND", "many", "digit"),
        ("REMIT_WORKER_SHARDS", "all", "digit"),
        ("REMIT_DEPLOYMENT", "pay:outs", "letters, digits"),
        ("REMIT_BUILD_ID", "two words", "letters, digits"),
        ("REMIT_RELAY_LISTEN", "here", "address"),
    ];
    for (variable, value, expected) in cases {
        let refused = load(&Flags::default(), &[(variable, value)], "").expect_err(variable);
        assert!(refused.starts_with(variable) && refused.contains(expected), "{refused}");
        assert!(refused.contains(&format!("{value:?}")), "{refused}");
    }
}

#[test]
fn durations_are_read_in_words_and_in_iso_8601() {
    for (text, seconds) in [("30s", 30), ("2h", 7200), ("1h 30m", 5400), ("90 minutes", 5400), ("PT2H", 7200)] {
        let period: Period = text.parse().expect(text);
        assert_eq!(period.duration().as_secs(), seconds, "{text}");
    }
    for text in ["", "30", "0s", "-5m", "soon"] {
        assert!(text.parse::<Period>().is_err(), "{text:?}");
    }
}

#[test]
fn secrets_come_from_files_and_several_webhook_secrets_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file.to_string_lossy().into_owned()
    };
    let (token, key, secrets) = (write("t", "tok\n"), write("k", "pem\n"), write("s", "whs-1\n\n whs-2 \n"));
    let env = [
        ("DFNS_TOKEN_FILE", token.as_str()),
        ("DFNS_PRIVATE_KEY_FILE", &key),
        ("DFNS_WEBHOOK_SECRET_FILE", &secrets),
        ("DFNS_CREDENTIAL_ID", "c"),
        ("DFNS_USER_ID", "us-1"),
    ];
    let all = load(&Flags::default(), &env, "").expect("settings");
    let access = all.dfns.access().expect("complete");
    assert_eq!(access.settings.token.expose_secret(), "tok");
    assert_eq!(access.settings.private_key_pem.expose_secret(), "pem");
    let texts = |all: &Settings| -> Vec<String> {
        let secrets = all.dfns.webhook_secrets().expect("some");
        secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect()
    };
    assert_eq!(texts(&all), ["whs-1", "whs-2"]);
    let all = load(&Flags::default(), &[("DFNS_WEBHOOK_SECRET", "whs-3, whs-4,")], "").expect("settings");
    assert_eq!(texts(&all), ["whs-3", "whs-4"]);

    let both = [&[("DFNS_TOKEN", "x")][..], &env].concat();
    let refused = load(&Flags::default(), &both, "").expect("settings").dfns.access().expect_err("both");
    assert!(refused.to_string().contains("one of them"), "{refused}");
    let gone = [&env[..], &[("DFNS_TOKEN_FILE", "/nowhere/token")]].concat();
    let refused = load(&Flags::default(), &gone, "").expect("settings").dfns.access().expect_err("no file");
    assert!(refused.to_string().contains("/nowhere/token"), "{refused}");
}

#[test]
fn a_file_that_others_can_read_is_noticed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("key.pem");
    std::fs::write(&file, "pem").expect("written");
    for (mode, seen) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("mode");
        assert_eq!(values::others_can_read(&file), seen, "{mode:o}");
    }
}

#[test]
fn printing_settings_shows_no_secret() {
    let env = [("DFNS_TOKEN", "hunter2"), ("DFNS_PRIVATE_KEY", "hunter2"), ("DFNS_WEBHOOK_SECRET", "hunter2")];
    let all = load(&Flags::default(), &env, "").expect("settings");
    assert!(!format!("{all:?}").contains("hunter2"));
}

#[test]
fn the_example_file_is_read_as_it_stands_and_with_every_setting_switched_on() {
    let text = include_str!("../../remit.example.toml");
    load(&Flags::default(), &[], text).expect("the example as it stands");
    load(&Flags::default(), &[], &example()).expect("the example with everything on");
}

#[test]
fn the_example_file_shows_every_setting_with_its_variable() {
    let table: toml::Table = example().parse().expect("the example is TOML");
    for (key, variable) in Settings::keys() {
        let (section, name) = key.split_once('.').expect("section and name");
        assert!(table.get(section).and_then(|section| section.get(name)).is_some(), "{key} is not in the example");
        assert!(example().contains(variable), "{variable} is not in the example");
    }
    let known: Vec<&str> = Settings::keys().iter().map(|(key, _)| *key).collect();
    for (section, settings) in &table {
        for name in settings.as_table().into_iter().flat_map(toml::Table::keys) {
            assert!(known.contains(&format!("{section}.{name}").as_str()), "{section}.{name} is no setting");
        }
    }
}
