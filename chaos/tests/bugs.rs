//! The planted bugs fit the tree as it is: each patch of `chaos/bugs` still applies.

use std::{fs, path::Path, process::Command};

#[test]
fn every_planted_bug_still_applies_to_the_tree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it lies in the workspace");
    let patches: Vec<_> = fs::read_dir(root.join("chaos/bugs"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    assert_eq!(patches.len(), 5, "{patches:?}");
    for patch in patches {
        let check = Command::new("git").args(["apply", "--check"]).arg(&patch).current_dir(root).output();
        let check = check.expect("git runs");
        let why = String::from_utf8_lossy(&check.stderr);
        assert!(check.status.success(), "{} does not apply, make it anew: {why}", patch.display());
    }
}
