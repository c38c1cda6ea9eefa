//! The import of the SDN list, and what is found on it.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use remit_screening::{FileList, Kind, List as _, ListError, import_sdn};

use crate::support::{fixture, hits, subject, threshold};

/// Imports this XML and says why it is refused.
fn refused(xml: impl AsRef<[u8]>) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, into) = (folder.path().join("sdn.xml"), folder.path().join("sdn.list"));
    fs::write(&from, xml).expect("written");
    let refused = import_sdn(&from, &into).expect_err("refused");
    assert!(matches!(refused, ListError::Refused { .. }), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left behind");
    refused.to_string()
}

fn sample() -> String {
    fs::read_to_string(fixture()).expect("the fixture")
}

#[tokio::test]
async fn names_other_names_and_addresses_of_every_currency_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("sdn.list");
    let imported = import_sdn(&fixture(), &into).expect("imported");
    assert_eq!((imported.version.as_str(), imported.entries), ("2026-11-25", 4));
    assert_eq!(imported.sha256.as_deref().map(str::len), Some(64));
    assert_eq!(imported.kinds, [Kind::Address, Kind::Name]);

    let list = FileList::sdn(&into, threshold(90));
    assert_eq!(list.in_force().await.expect("in force"), std::slice::from_ref(&imported));
    for (subject, expected) in [
        (
            subject(&["0x000000000000000000000000000000000000DEAD"], &[], &[]),
            ("9001", "0x000000000000000000000000000000000000dEaD", 100),
        ),
        (
            subject(&["1BoatSLRHtKNngkdXEeobR76b53LETtpyT"], &[], &[]),
            ("9001", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", 100),
        ),
        (
            subject(&["TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf"], &[], &[]),
            ("9002", "TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf", 100),
        ),
        (subject(&[], &[], &["Beispielov, Ivan Petrovich"]), ("9001", "Ivan Petrovich BEISPIELOV", 100)),
        (subject(&[], &[], &["iwan beispielow"]), ("9001", "Iwan BEISPIELOW", 100)),
        (subject(&[], &[], &["Vanya"]), ("9001", "VANYA", 100)),
        (subject(&[], &[], &["Smith & Sons (Example) Ltd."]), ("9002", "SMITH & SONS EXAMPLE LTD", 100)),
        (subject(&[], &[], &["Example Caribean Airlines"]), ("36", "EXAMPLE CARIBBEAN AIRLINES", 99)),
    ] {
        let answer = list.screen(&subject).await.expect("an answer");
        assert_eq!(hits(&answer), [expected]);
        assert_eq!(answer.lists, std::slice::from_ref(&imported));
    }
    for clear in [subject(&[], &[], &["Vanya Example"]), subject(&["123456789"], &["123456789"], &["Jane Roe"])] {
        assert!(list.screen(&clear).await.expect("an answer").is_clear(), "{clear:?}");
    }
}

#[test]
fn the_older_namespace_is_read_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, into) = (folder.path().join("sdn.xml"), folder.path().join("sdn.list"));
    let older = "http://tempuri.org/sdnList.xsd";
    let newer = "https://sanctionslistservice.ofac.treas.gov/api/PublicationPreview/exports/XML";
    fs::write(&from, format!("\u{feff}{}", sample().replace(newer, older).replace('\n', "\r\n"))).expect("written");
    assert_eq!(import_sdn(&from, &into).expect("imported").entries, 4);
}

#[test]
fn a_list_cut_in_half_is_refused() {
    let sample = sample();
    for end in (0..sample.trim_end().len()).step_by(97) {
        refused(&sample[..end]);
    }
    let middle = sample.find("<title>").expect("a title");
    assert!(refused(&sample[..middle]).contains("it ends within <sdnEntry> before </sdnList>"));
    // Cut and mended: whole XML, but entries are missing.
    let end = sample.find("<uid>9002").expect("the third entry");
    let mended = format!("{}</sdnList>", &sample[..sample[..end].rfind("<sdnEntry>").expect("its beginning")]);
    assert!(refused(mended).contains("Record_Count: expected 4 entries and more than none, got 2"));
}

#[test]
fn what_is_not_the_list_is_refused() {
    let sample = sample();
    let twice = sample.replace("<uid>9002</uid>", "<uid>36</uid>");
    for (xml, says) in [
        (String::new(), "before </sdnList>"),
        ("not XML".to_owned(), "got text"),
        ("{\"sdnList\": []}".to_owned(), "got text"),
        ("<html><body>503</body></html>".to_owned(), "expected one <sdnList>, got <html>"),
        ("<Sanctions xmlns=\"x\"></Sanctions>".to_owned(), "expected one <sdnList>, got <Sanctions>"),
        (sample.replace("<Record_Count>4</Record_Count>", ""), "expected a Record_Count"),
        (sample.replace("<Record_Count>4", "<Record_Count>5"), "expected 5 entries"),
        (sample.replace("<Record_Count>4", "<Record_Count>four"), "expected a number, got \"four\""),
        (sample.replace("<Publish_Date>11/25/2026</Publish_Date>", ""), "expected a Publish_Date"),
        (sample.replace("<uid>9002</uid>", ""), "expected uid and name of each entry"),
        (sample.replace("<lastName>EXAMPLE STAR</lastName>", ""), "expected uid and name of each entry"),
        (twice, "uid 36 is there twice"),
        (sample.replace("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", ""), "uid 9001: expected an address, got none"),
        (sample.replace("</akaList>", "</akalist>"), "expected XML"),
        (sample.replace("&amp;", "&own;"), "expected no entity of its own, got &own;"),
        (sample.replace("<sdnList", "<!DOCTYPE sdnList [<!ENTITY own \"x\">]><sdnList"), "expected no document type"),
        (format!("{sample}<sdnList></sdnList>"), "expected one <sdnList>"),
    ] {
        let refused = refused(xml);
        assert!(refused.contains(says), "{says}: {refused}");
    }
}

#[test]
fn a_list_that_is_refused_leaves_the_one_before_in_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, into) = (folder.path().join("sdn.xml"), folder.path().join("sdn.list"));
    import_sdn(&fixture(), &into).expect("imported");
    let before = fs::read(&into).expect("a list");
    fs::write(&from, &sample()[..500]).expect("written");
    import_sdn(&from, &into).expect_err("refused");
    assert_eq!(fs::read(&into).expect("a list"), before);
}

#[test]
fn a_file_that_is_missing_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = import_sdn(&folder.path().join("none.xml"), &folder.path().join("sdn.list")).expect_err("refused");
    assert!(matches!(refused, ListError::File { path, .. } if path.ends_with("none.xml")));
    let refused = import_sdn(&fixture(), &folder.path().join("none").join("sdn.list")).expect_err("refused");
    assert!(matches!(refused, ListError::File { path, .. } if path.ends_with("sdn.list")));
}

#[cfg(unix)]
#[test]
fn others_may_read_an_imported_list() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("sdn.list");
    import_sdn(&fixture(), &into).expect("imported");
    assert_eq!(fs::metadata(&into).expect("a file").permissions().mode() & 0o444, 0o444);
}

/// A name of three words that no other number gives, from parts of which names are made.
fn made_up_name(number: usize) -> String {
    const PARTS: [&str; 16] =
        ["AB", "RAH", "IM", "OV", "MIR", "ZA", "KHAN", "DE", "LA", "GAR", "CIA", "PET", "RO", "VIC", "SUL", "TAN"];
    let part = |at: u32| PARTS[number * 7919 % 1_048_576 / 16_usize.pow(at) % 16];
    format!("{}{} {}{}{} {number:05}", part(0), part(1), part(2), part(3), part(4))
}

fn write_big_list(path: &Path, entries: usize) {
    let mut xml = BufWriter::new(File::create(path).expect("a file"));
    writeln!(
        xml,
        "<?xml version=\"1.0\" standalone=\"yes\"?>\n<sdnList xmlns=\"http://tempuri.org/sdnList.xsd\"><publshInformation>\
         <Publish_Date>11/25/2026</Publish_Date><Record_Count>{entries}</Record_Count></publshInformation>"
    )
    .expect("written");
    for number in 0..entries {
        let name = made_up_name(number);
        writeln!(
            xml,
            "<sdnEntry><uid>{number}</uid><firstName>{name}</firstName><lastName>O&apos;EXAMPLE</lastName>\
             <sdnType>Individual</sdnType><programList><program>SDGT</program></programList>\
             <idList><id><uid>1</uid><idType>Digital Currency Address - ETH</idType><idNumber>0x{number:040x}</idNumber></id>\
             </idList><akaList><aka><uid>2</uid><type>a.k.a.</type><category>strong</category><lastName>{name} BIS</lastName>\
             </aka></akaList><addressList><address><uid>3</uid><city>Springfield</city></address></addressList></sdnEntry>"
        )
        .expect("written");
    }
    writeln!(xml, "</sdnList>").expect("written");
    xml.flush().expect("written");
}

#[tokio::test]
async fn a_list_of_twenty_thousand_is_imported_and_searched() {
    let folder = tempfile::tempdir().expect("a folder");
    let (from, into) = (folder.path().join("sdn.xml"), folder.path().join("sdn.list"));
    write_big_list(&from, 20_000);
    let imported = import_sdn(&from, &into).expect("imported");
    assert_eq!(imported.entries, 20_000);

    let list = FileList::sdn(&into, threshold(90));
    list.in_force().await.expect("in force");
    let started = std::time::Instant::now();
    let name = format!("O'Example, {}", made_up_name(12_345));
    let answer = list.screen(&subject(&["0x00000000000000000000000000000000000004D2"], &[], &[&name])).await;
    let answer = answer.expect("an answer");
    println!("searched in {:?}", started.elapsed());
    let equal: Vec<_> = answer.hits.iter().filter(|hit| hit.score == 100).map(|hit| hit.entry.as_str()).collect();
    assert_eq!(equal, ["1234", "12345"]);
    let nobody = subject(&["0x00000000000000000000000000000000DEADBEEF"], &[], &["Quentin Wolfgang Xylophone"]);
    assert!(list.screen(&nobody).await.expect("an answer").is_clear());
}
