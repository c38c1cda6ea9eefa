//! What was found once stays found: every target over its whole corpus.

use std::{fs, path::PathBuf};

use remit_fuzz::TARGETS;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn everything_holds_for_the_corpora() {
    for (name, target) in TARGETS {
        let mut files: Vec<_> = fs::read_dir(corpus().join(name))
            .unwrap_or_else(|error| panic!("corpus/{name}: {error}"))
            .map(|file| file.expect("a readable folder").path())
            .collect();
        files.sort();
        assert!(files.len() > 1, "corpus/{name} is empty");
        for file in files {
            let bytes = fs::read(&file).expect("a readable file");
            let held = std::panic::catch_unwind(|| target(&bytes));
            assert!(held.is_ok(), "{name} does not hold for {}", file.display());
        }
    }
}

#[test]
fn every_target_has_a_file_and_a_corpus_and_nothing_else_has_one() {
    let names = |folder: PathBuf, extension: &str| {
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut names: Vec<String> = files
            .map(|file| file.expect("a readable folder").file_name().into_string().expect("a plain name"))
            .filter_map(|name| name.strip_suffix(extension).map(str::to_owned))
            .collect();
        names.sort();
        names
    };
    let mut targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(names(folder.join("targets/fuzz_targets"), ".rs"), targets);
    assert_eq!(names(corpus(), ""), targets);
}
