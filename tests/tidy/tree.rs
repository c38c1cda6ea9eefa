//! The files of the repository: what git tracks or would track.

use ignore::WalkBuilder;
use std::{fs, path::Path, sync::LazyLock};

/// A file of the repository.
pub struct SourceFile {
    /// From the root, with `/`.
    pub path: String,
    /// Bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent")
}

/// All text files that `.gitignore` does not name, whether this is a clone or an unpacked archive.
pub fn files() -> &'static [SourceFile] {
    static FILES: LazyLock<Vec<SourceFile>> = LazyLock::new(|| {
        let walk = WalkBuilder::new(root())
            .hidden(false)
            .parents(false)
            .require_git(false)
            .git_global(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        let mut files: Vec<_> = walk
            .map(|entry| entry.expect("a readable folder"))
            .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
            .map(|entry| (entry.path().to_owned(), fs::read(entry.path()).expect("a readable file")))
            // Pictures hold any bytes; text holds no NUL.
            .filter(|(_, bytes)| !bytes.contains(&0))
            .map(|(path, bytes)| SourceFile {
                path: path.strip_prefix(root()).expect("inside the root").display().to_string(),
                text: String::from_utf8_lossy(&bytes).into_owned(),
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    });
    &FILES
}

/// The Rust files among them.
pub fn rust_files() -> impl Iterator<Item = &'static SourceFile> {
    files().iter().filter(|file| file.path.ends_with(".rs"))
}

#[test]
fn the_walk_sees_sources_and_hidden_files_and_no_build_output() {
    let has = |path: &str| files().iter().any(|file| file.path == path);
    assert!(has("src/lib.rs") && has(".ci/run") && has("tests/tidy/tree.rs"));
    assert!(!files().iter().any(|file| file.path.starts_with("target/") || file.path.contains("node_modules/")));
    assert!(!files().iter().any(|file| file.path.starts_with(".git/")));
}
