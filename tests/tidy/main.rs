//! House rules that can be checked, checked: what may depend on what, and what may stand where.
//!
//! Each rule is a pure function with a test on a small made-up input that breaks it, and a test on the repository.

mod arrows;
mod compose;
mod documents;
mod rust;
mod text;
mod tree;

/// Fails with the whole list, so that one run shows all there is to mend.
#[track_caller]
fn none(rule: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rule}\n  {}", found.join("\n  "));
}
