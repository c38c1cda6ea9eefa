//! What may not stand in any file: paths of somebody's machine, notes to oneself, keys.

use crate::{
    none,
    tree::{SourceFile, files},
};

// In pieces, so that this file does not break the rules that it states.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot"), concat!("/wo", "rk"), concat!("/ho", "me"), concat!("/Use", "rs")];
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
const KEY_BEGINS: &str = concat!("-----BE", "GIN ");
const KEY_ENDS: &str = concat!("PRIVATE", " KEY-----");
/// Published test vectors of signatures, whose keys open nothing.
const MAY_HOLD_KEYS: &str = "dfns/fixtures/dfns-signing-vectors.json";
/// Written by programs; their hashes may spell anything.
const GENERATED: &[&str] = &["Cargo.lock", "go.sum", "package-lock.json"];

/// `/x` and `/x/…` where a path begins, not within one: `https://example.com/x/` is somebody else's.
fn machine_paths(line: &str) -> bool {
    MACHINE_PATHS.iter().any(|path| {
        line.match_indices(path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + path.len()..].chars().next();
            let starts = before.is_none_or(|c| !c.is_alphanumeric() && !"/._-~}".contains(c));
            starts && after.is_none_or(|c| c == '/' || (!c.is_alphanumeric() && c != '-' && c != '_'))
        })
    })
}

fn notes(line: &str) -> bool {
    // In quotes it is a value: ISO 4217 has a code of three such letters, for "no currency".
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '"');
    words
        .filter(|word| !(word.starts_with('"') && word.ends_with('"')))
        .any(|word| NOTES.contains(&word.trim_matches('"')))
}

/// The header of a PEM private key, and what follows looks like the key: an error message may name the header.
fn private_key(text: &str) -> bool {
    text.split(KEY_BEGINS).skip(1).any(|rest| {
        let Some((kind, body)) = rest.split_once(KEY_ENDS) else { return false };
        let body = body.trim_start_matches(|c: char| c.is_whitespace() || "\\nr,\"'".contains(c));
        let base64 = body.chars().take_while(|c| c.is_ascii_alphanumeric() || "+/=".contains(*c)).count();
        kind.len() < 20 && (base64 >= 16 || body.starts_with("Proc-Type"))
    })
}

fn search<'a>(files: impl Iterator<Item = &'a SourceFile>, rule: fn(&str) -> bool) -> Vec<String> {
    let lines =
        files.flat_map(|file| file.text.lines().enumerate().map(move |(number, line)| (file, number + 1, line)));
    lines
        .filter(|(_, _, line)| rule(line))
        .map(|(file, number, line)| {
            format!("{}:{number}: {}", file.path, line.trim().chars().take(120).collect::<String>())
        })
        .collect()
}

fn written_by_people() -> impl Iterator<Item = &'static SourceFile> {
    files().iter().filter(|file| !GENERATED.iter().any(|name| file.path.ends_with(name)))
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    none("paths of a machine:", search(files().iter(), machine_paths));
}

#[test]
fn no_file_holds_a_note_to_oneself() {
    none("notes to oneself (finish it, or open an issue):", search(written_by_people(), notes));
}

#[test]
fn no_file_holds_a_private_key() {
    let others = files().iter().filter(|file| file.path != MAY_HOLD_KEYS);
    none("private keys:", others.filter(|file| private_key(&file.text)).map(|file| file.path.clone()).collect());
}

#[test]
fn a_path_of_a_machine_is_found() {
    let [root, work, home, users] = [0, 1, 2, 3].map(|index| MACHINE_PATHS[index]);
    for line in [
        format!("see {root}/.cache"),
        format!("\"{work}/main/src\""),
        format!("path={home}/me/x"),
        format!("({users}/me)"),
        format!("cd {root}"),
        format!("file://{home}/me"),
    ] {
        assert_eq!(machine_paths(&line), !line.starts_with("file:"), "{line}");
    }
    for line in [
        format!("https://example.com{home}/page"),
        format!("${{HOME}}{work}/x"),
        format!("{root}s of trust"),
        format!("{work}flows/src"),
        format!(".{root}/x"),
        "the roots of work at home".to_owned(),
    ] {
        assert!(!machine_paths(&line), "{line}");
    }
}

#[test]
fn a_note_to_oneself_is_found() {
    for note in NOTES {
        assert!(notes(&format!("// {note}: later")) && notes(note) && notes(&format!("({note})")), "{note}");
        assert!(!notes(&format!("a{note}b {note}{note} {note}_a")), "{note}");
    }
    assert!(notes(&format!("\"{} later\"", NOTES[0])));
    assert!(!notes(&format!("quote(\"{}\")", NOTES[2])));
    assert!(!notes("a to-do list"));
}

#[test]
fn a_private_key_is_found_whatever_its_kind_and_wrapping() {
    let body = "MC4CAQAwBQYDK2VwBCIEIA";
    for kind in ["", "EC ", "RSA ", "ENCRYPTED "] {
        for newline in ["\n", "\\n", "\r\n", "\",\n    \""] {
            assert!(private_key(&format!("key = \"{KEY_BEGINS}{kind}{KEY_ENDS}{newline}{body}")), "{kind}{newline:?}");
        }
    }
    assert!(private_key(&format!("{KEY_BEGINS}RSA {KEY_ENDS}\nProc-Type: 4,ENCRYPTED\n")));
    assert!(!private_key(&format!("expected a PEM ({KEY_BEGINS}{KEY_ENDS}): it was not one")));
    assert!(!private_key(&format!("{KEY_BEGINS}PUBLIC KEY-----\n{body}")));
}

#[test]
fn what_is_found_is_named_by_file_and_line() {
    let file = SourceFile { path: "a/b.md".into(), text: format!("fine\n  {}: later\n", NOTES[0]) };
    assert_eq!(search([&file].into_iter(), notes), [format!("a/b.md:2: {}: later", NOTES[0])]);
}
