//! The SDN list in our normal form: lines of JSON between a header and a trailer that holds count and hash.
//!
//! Written by [`import_sdn`](crate::import_sdn), read when it is first asked for. A file that lost a line, a byte or its
//! end does not fit its trailer and is refused.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::{
    Kind, ListVersion,
    file_list::{ListError, Loaded},
    index::{Found, Index},
};

pub(crate) const NAME: &str = "ofac-sdn";

/// Of this form, whatever the list: another form gets another number.
const FORM: u32 = 1;

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(crate) enum Line {
    /// The first.
    Header { form: u32, list: String, imported_at: Timestamp },
    /// One for each entry of the list.
    Entry(Entry),
    /// The last. `sha256` is of all lines before it.
    Trailer { published: String, entries: u64, source_sha256: String, sha256: String },
}

/// Somebody on the list.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Entry {
    /// `uid` of the entry.
    pub(crate) id: String,
    /// Its name, and other names of good quality.
    pub(crate) names: Vec<String>,
    /// Other names of low quality (`weak`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) weak_names: Vec<String>,
    /// Digital currency addresses, of every currency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<String>,
}

/// Writes a list beside the one that may be in force, and puts it in its place when it is whole.
pub(crate) struct Writer {
    file: BufWriter<NamedTempFile>,
    hash: Sha256,
    entries: u64,
    imported_at: Timestamp,
}

impl Writer {
    pub(crate) fn new(into: &Path, imported_at: Timestamp) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".sdn-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // The list is public, and who imports it is seldom who screens with it.
            builder.permissions(std::fs::Permissions::from_mode(0o644));
        }
        let file = BufWriter::new(builder.tempfile_in(folder(into))?);
        let mut writer = Self { file, hash: Sha256::new(), entries: 0, imported_at };
        writer.line(&Line::Header { form: FORM, list: NAME.to_owned(), imported_at })?;
        Ok(writer)
    }

    pub(crate) fn entry(&mut self, entry: Entry) -> io::Result<()> {
        self.entries += 1;
        self.line(&Line::Entry(entry))
    }

    /// How many entries were written.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// Ends the file and moves it to its place: a crash leaves the old list or the new one.
    pub(crate) fn finish(mut self, into: &Path, published: String, source_sha256: String) -> io::Result<ListVersion> {
        let sha256 = hex(&self.hash.clone().finalize());
        let version = version(published.clone(), source_sha256.clone(), self.entries, self.imported_at);
        self.line(&Line::Trailer { published, entries: self.entries, source_sha256, sha256 })?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(into)?;
        // The new name is on disk once its folder is.
        #[cfg(unix)]
        File::open(folder(into))?.sync_all()?;
        Ok(version)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.hash.update(&bytes);
        self.file.write_all(&bytes)
    }
}

/// Reads a list that [`Writer`] wrote.
pub(crate) fn read(path: &Path) -> Result<Loaded, ListError> {
    let refused = |why: &str| ListError::refused(path)(why.to_owned());
    let mut file = BufReader::new(File::open(path).map_err(ListError::file(path))?);
    let (mut bytes, mut number, mut hash) = (vec![], 0_u64, Sha256::new());
    let mut next = |hash: &mut Sha256| -> Result<Option<Line>, ListError> {
        hash.update(&bytes);
        bytes.clear();
        number += 1;
        if file.read_until(b'\n', &mut bytes).map_err(ListError::file(path))? == 0 {
            return Ok(None);
        }
        if !bytes.ends_with(b"\n") {
            return Err(refused(&format!("line {number} is cut off")));
        }
        let line = serde_json::from_slice(&bytes);
        line.map(Some).map_err(|error| refused(&format!("line {number}: expected a line of an imported list: {error}")))
    };

    let Some(Line::Header { form: FORM, imported_at, .. }) = next(&mut hash)? else {
        return Err(refused(
            "expected the header of an imported SDN list; is this the XML itself, or of another version?",
        ));
    };
    let (mut index, mut read) = (Index::default(), 0_u64);
    let (published, entries, source_sha256, sha256, hashed) = loop {
        match next(&mut hash)? {
            Some(Line::Entry(entry)) => {
                read += 1;
                add(&mut index, &entry);
            }
            Some(Line::Trailer { published, entries, source_sha256, sha256 }) => {
                break (published, entries, source_sha256, sha256, hex(&hash.clone().finalize()));
            }
            Some(Line::Header { .. }) => return Err(refused("expected entries after the header, got another header")),
            None => return Err(refused(&format!("expected a trailer at the end, got none after {read} entries"))),
        }
    };
    if entries != read {
        return Err(refused(&format!("expected {entries} entries, got {read}")));
    }
    if sha256 != hashed {
        return Err(refused("it was changed since it was imported: its hash is another one"));
    }
    if next(&mut hash)?.is_some() {
        return Err(refused("expected nothing after the trailer"));
    }
    Ok(Loaded { index, version: version(published, source_sha256, entries, imported_at) })
}

fn add(index: &mut Index, entry: &Entry) {
    for (texts, kind, found) in [
        (&entry.names, Kind::Name, Found::ByLikeness),
        (&entry.weak_names, Kind::Name, Found::ByEquality),
        (&entry.addresses, Kind::Address, Found::ByEquality),
    ] {
        for text in texts {
            // A name without letters and digits names nobody who could be found by it; its entry has others.
            let _ = index.add(&entry.id, kind, text, found);
        }
    }
}

fn version(published: String, source_sha256: String, entries: u64, imported_at: Timestamp) -> ListVersion {
    ListVersion {
        name: NAME.to_owned(),
        version: published,
        sha256: Some(source_sha256),
        entries,
        imported_at,
        kinds: vec![Kind::Address, Kind::Name],
    }
}

fn folder(of: &Path) -> &Path {
    of.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A list of two, and the text of its file.
    fn written(folder: &Path) -> (std::path::PathBuf, String) {
        let path = folder.join("sdn.list");
        let mut writer = Writer::new(&path, "2026-11-26T08:00:00Z".parse().expect("a time")).expect("a writer");
        for (id, name) in [("36", "AEROCARIBBEAN AIRLINES"), ("306", "BANCO NACIONAL DE CUBA")] {
            let entry = Entry { id: id.into(), names: vec![name.into()], ..Entry::default() };
            writer.entry(entry).expect("written");
        }
        writer.finish(&path, "2026-11-25".into(), "ab".into()).expect("written");
        let text = fs::read_to_string(&path).expect("a file");
        (path, text)
    }

    fn refused(path: &Path, text: impl AsRef<[u8]>) -> String {
        fs::write(path, text).expect("written");
        read(path).err().expect("refused").to_string()
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, text) = written(folder.path());
        assert_eq!(text.lines().count(), 4);
        assert_eq!(text.lines().nth(1), Some(r#"{"entry":{"id":"36","names":["AEROCARIBBEAN AIRLINES"]}}"#));
        let version = read(&path).expect("a list").version;
        assert_eq!((version.name.as_str(), version.version.as_str(), version.entries), (NAME, "2026-11-25", 2));
        assert_eq!(version.sha256.as_deref(), Some("ab"));
        assert_eq!(version.imported_at.to_string(), "2026-11-26T08:00:00Z");
    }

    #[test]
    fn a_list_cut_anywhere_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, text) = written(folder.path());
        for end in 0..text.len() {
            refused(&path, &text[..end]);
        }
        assert!(refused(&path, &text[..text.len() - 1]).contains("line 4 is cut off"));
        let lines: Vec<&str> = text.lines().collect();
        assert!(refused(&path, [lines[0], lines[1], ""].join("\n")).contains("expected a trailer at the end"));
    }

    #[test]
    fn a_list_that_was_changed_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, text) = written(folder.path());
        let lines: Vec<&str> = text.lines().collect();
        for (changed, says) in [
            (text.replace("CUBA", "CUBB"), "its hash is another one"),
            ([lines[0], lines[1], lines[3], ""].join("\n"), "expected 2 entries, got 1"),
            ([lines[0], lines[2], lines[1], lines[3], ""].join("\n"), "its hash is another one"),
            (text.replace("08:00", "09:00"), "its hash is another one"),
            (format!("{text}{}\n", lines[1]), "expected nothing after the trailer"),
            (text.replace("\"form\":1", "\"form\":2"), "expected the header"),
            (lines[1..].join("\n"), "expected the header"),
            (text.replace("\"names\"", "\"nom\""), "line 2: expected a line of an imported list"),
            ("<sdnList/>\n".to_owned(), "line 1: expected a line of an imported list"),
            (String::new(), "expected the header"),
        ] {
            let refused = refused(&path, &changed);
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn what_was_begun_and_not_finished_leaves_no_trace() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, before) = written(folder.path());
        drop(Writer::new(&path, Timestamp::UNIX_EPOCH).expect("a writer"));
        assert_eq!(fs::read_to_string(&path).expect("a file"), before);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
