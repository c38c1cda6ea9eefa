//! Tests that a page names as proof exist.

use std::collections::BTreeSet;

use crate::{
    none,
    tree::{SourceFile, files, rust_files},
};

/// Pages that name tests, each as a word in backticks.
const PAGES: &[&str] = &["docs/threat-model.md", "SECURITY.md"];

/// Words in backticks that are the names of tests: lower case, and so many words that nothing else is called so.
fn named(page: &SourceFile) -> impl Iterator<Item = &str> {
    let fact = |word: &&str| {
        let plain = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        plain && word.matches('_').count() >= 4
    };
    page.text.split('`').skip(1).step_by(2).filter(fact)
}

fn missing(page: &SourceFile, sources: &[&str]) -> Vec<String> {
    let lines = sources.iter().flat_map(|text| text.lines());
    let functions: BTreeSet<&str> = lines
        .filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "))
        .filter_map(|rest| rest.split('(').next())
        .collect();
    named(page).filter(|name| !functions.contains(name)).map(|name| format!("{}: {name}", page.path)).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let sources: Vec<&str> = rust_files().map(|file| file.text.as_str()).collect();
    let pages: Vec<&SourceFile> = files().iter().filter(|file| PAGES.contains(&file.path.as_str())).collect();
    assert_eq!(pages.len(), PAGES.len());
    none("these tests do not exist", pages.iter().flat_map(|page| missing(page, &sources)).collect());
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    let text = "shown by `a_test_that_is_not_there` and `a_test_that_is_there_too`, in `docs/x.md` with `short_name`";
    let page = SourceFile { path: "page.md".into(), text: text.into() };
    let source = "    async fn a_test_that_is_there_too() -> Result<()> {";
    assert_eq!(missing(&page, &[source]), ["page.md: a_test_that_is_not_there"]);
}
