//! Import of the SDN list of the US Treasury, from the XML that it publishes.
//!
//! The file is `SDN.XML` of <https://sanctionslistservice.ofac.treas.gov> ("sdnList" schema, one `sdnEntry` for each
//! party; not `SDN_ADVANCED.XML` or `SDN_ENHANCED.XML`, which have other schemas). Elements are told by their names
//! without the namespace, which has changed once: `http://tempuri.org/sdnList.xsd` until 2024.
//!
//! Read as a stream: one entry is in memory at a time.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use jiff::{Timestamp, civil::Date};
use quick_xml::{XmlVersion, escape::resolve_xml_entity, events::Event, reader::Reader};
use sha2::{Digest as _, Sha256};

use crate::{
    ListVersion,
    file_list::ListError,
    sdn::{Entry, Writer, hex},
};

/// Addresses are ids of a type that begins so: `Digital Currency Address - XBT`, and one for every other currency.
const ADDRESS: &str = "Digital Currency Address";

/// Imports the SDN list from the XML that the Treasury publishes, into the file that
/// [`FileList::sdn`](crate::FileList::sdn) reads. Says what is in force then.
///
/// Kept are the uid of each entry, its names, other names (those of low quality apart), and digital currency addresses.
/// The list that was there is replaced at once and whole, or not at all.
///
/// # Errors
/// [`ListError::Refused`] when the XML is not the whole list: it ends early, is another file, or has not as many entries
/// as its `Record_Count` says. [`ListError::File`] when a file cannot be read or written. The list that was there stays.
pub fn import_sdn(xml: &Path, into: &Path) -> Result<ListVersion, ListError> {
    let file = File::open(xml).map_err(ListError::file(xml))?;
    let mut source = BufReader::new(Hashing { inner: file, hash: Sha256::new() });
    let mut writer = Writer::new(into, Timestamp::now()).map_err(ListError::file(into))?;
    let published = stream(&mut source, &mut writer).map_err(|error| match error {
        Wrong::Xml { at, why } => ListError::refused(xml)(format!("byte {at}: {why}")),
        Wrong::List(why) => ListError::refused(xml)(why),
        Wrong::Write(error) => ListError::file(into)(error),
    })?;
    let source_sha256 = hex(&source.into_inner().hash.finalize());
    writer.finish(into, published, source_sha256).map_err(ListError::file(into))
}

enum Wrong {
    Xml { at: u64, why: String },
    List(String),
    Write(io::Error),
}

/// What was read of the list so far.
#[derive(Default)]
struct Reading {
    published: Option<String>,
    record_count: Option<u64>,
    uids: HashSet<String>,
    entry: Entry,
    name: Parts,
    aka: Aka,
    id: Id,
}

/// The two parts of a name.
#[derive(Default)]
struct Parts {
    first: String,
    last: String,
}

impl Parts {
    fn whole(self) -> String {
        format!("{} {}", self.first, self.last).trim().to_owned()
    }
}

/// Another name.
#[derive(Default)]
struct Aka {
    category: String,
    name: Parts,
}

/// A document, an address, …
#[derive(Default)]
struct Id {
    kind: String,
    number: String,
}

/// Reads the XML to its end, writes the entries, and says when the list was published.
fn stream(source: impl BufRead, writer: &mut Writer) -> Result<String, Wrong> {
    let mut xml = Reader::from_reader(source);
    let (mut buffer, mut path, mut text) = (vec![], Vec::<String>::new(), String::new());
    let (mut reading, mut whole) = (Reading::default(), false);
    loop {
        buffer.clear();
        let event = xml.read_event_into(&mut buffer);
        let at = xml.buffer_position();
        let wrong = |why: String| Wrong::Xml { at, why };
        match event.map_err(|error| wrong(format!("expected XML: {error}")))? {
            Event::Start(element) => {
                let name = element.local_name().as_ref().to_owned();
                if path.is_empty() && (whole || name != "sdnList") {
                    return Err(wrong(format!("expected one <sdnList>, got <{name}>: is this another list?")));
                }
                path.push(name);
                text.clear();
            }
            Event::End(_) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                reading.end(&names, text.trim(), writer)?;
                text.clear();
                path.pop();
                whole = path.is_empty();
            }
            Event::Text(part) => text.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(part) => text.push_str(&part.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().map_err(|error| wrong(error.to_string()))?;
                match (character, resolve_xml_entity(&reference)) {
                    (Some(character), _) => text.push(character),
                    (None, Some(known)) => text.push_str(known),
                    (None, None) => return Err(wrong(format!("expected no entity of its own, got &{};", &*reference))),
                }
            }
            Event::DocType(_) => return Err(wrong("expected no document type".to_owned())),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
        if path.is_empty() && !text.trim().is_empty() {
            return Err(wrong("expected nothing around <sdnList>, got text".to_owned()));
        }
    }
    if !whole {
        let within = path.last().map_or(String::new(), |name| format!(" within <{name}>"));
        return Err(Wrong::List(format!("it ends{within} before </sdnList>: it was cut off, or is another file")));
    }
    reading.check(writer.entries())
}

impl Reading {
    /// An element ended; `path` leads to it, and `text` is what it holds.
    fn end(&mut self, path: &[&str], text: &str, writer: &mut Writer) -> Result<(), Wrong> {
        let take = || text.to_owned();
        match path {
            ["sdnList", "publshInformation", "Publish_Date"] => self.published = Some(take()),
            ["sdnList", "publshInformation", "Record_Count"] => {
                let count =
                    text.parse().map_err(|_| Wrong::List(format!("Record_Count: expected a number, got {text:?}")))?;
                self.record_count = Some(count);
            }
            ["sdnList", "sdnEntry", "uid"] => self.entry.id = take(),
            ["sdnList", "sdnEntry", "firstName"] => self.name.first = take(),
            ["sdnList", "sdnEntry", "lastName"] => self.name.last = take(),
            ["sdnList", "sdnEntry", "akaList", "aka", "category"] => self.aka.category = take(),
            ["sdnList", "sdnEntry", "akaList", "aka", "firstName"] => self.aka.name.first = take(),
            ["sdnList", "sdnEntry", "akaList", "aka", "lastName"] => self.aka.name.last = take(),
            ["sdnList", "sdnEntry", "akaList", "aka"] => {
                let Aka { category, name } = std::mem::take(&mut self.aka);
                // A category that is new to us is a good one: better one hit too many.
                let names = if category == "weak" { &mut self.entry.weak_names } else { &mut self.entry.names };
                names.extend(Some(name.whole()).filter(|name| !name.is_empty()));
            }
            ["sdnList", "sdnEntry", "idList", "id", "idType"] => self.id.kind = take(),
            ["sdnList", "sdnEntry", "idList", "id", "idNumber"] => self.id.number = take(),
            ["sdnList", "sdnEntry", "idList", "id"] => {
                let Id { kind, number } = std::mem::take(&mut self.id);
                if kind.starts_with(ADDRESS) {
                    if number.is_empty() {
                        return Err(Wrong::List(format!("uid {}: expected an address, got none", self.entry.id)));
                    }
                    self.entry.addresses.push(number);
                }
            }
            ["sdnList", "sdnEntry"] => {
                let mut entry = std::mem::take(&mut self.entry);
                let name = std::mem::take(&mut self.name).whole();
                if entry.id.is_empty() || name.is_empty() {
                    return Err(Wrong::List(format!(
                        "expected uid and name of each entry, got {:?}, {name:?}",
                        entry.id
                    )));
                }
                if !self.uids.insert(entry.id.clone()) {
                    return Err(Wrong::List(format!("uid {} is there twice", entry.id)));
                }
                entry.names.insert(0, name);
                writer.entry(entry).map_err(Wrong::Write)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// At the end: whether this was the whole list, and when it was published.
    fn check(self, entries: u64) -> Result<String, Wrong> {
        let missing = |field| Wrong::List(format!("expected a {field} in publshInformation, got none"));
        let expected = self.record_count.ok_or_else(|| missing("Record_Count"))?;
        let published = self.published.filter(|date| !date.is_empty()).ok_or_else(|| missing("Publish_Date"))?;
        if expected != entries || entries == 0 {
            return Err(Wrong::List(format!(
                "Record_Count: expected {expected} entries and more than none, got {entries}"
            )));
        }
        // As the Treasury writes it, month first; kept as it is should that change.
        Ok(Date::strptime("%m/%d/%Y", &published).map_or(published, |date| date.to_string()))
    }
}

/// Hashes what passes.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
