//! The XML of the SDN list: taken whole or not at all, and everybody on it is found.

use std::time::Duration;

use remit_screening::{FileList, List as _, Subject, Threshold, import_sdn};
use serde_json::Value;

use crate::{choice, file, wait};

/// The bytes of the XML.
pub fn sdn_xml(data: &[u8]) {
    let (xml, list) = (file("sdn.xml", data), file("sdn.list", b"the list before"));
    let Ok(version) = import_sdn(&xml, &list) else {
        let before = std::fs::read(&list).expect("the list that was there stays");
        assert_eq!(before, b"the list before");
        return;
    };
    assert!(version.entries > 0, "a list of nobody");
    let lines = std::fs::read_to_string(&list).expect("the list that was written");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len() as u64, version.entries + 2, "a header, the entries, a trailer");

    // Cut anywhere before its end it is no list. (In a note, what looks like its end need not be.)
    let has = |part: &[u8]| data.windows(part.len()).skip(1).any(|it| it == part);
    if !has(b"<!--") && !has(b"<?") {
        let end = data.windows(2).rposition(|part| part == b"</").expect("a list that ends");
        let cut = file("cut.xml", &data[..choice(data, "cut", end + 1)]);
        assert!(import_sdn(&cut, &file("cut.list", b"")).is_err(), "a list that was cut off was taken");
    }

    let threshold = Threshold::new(100).expect("a threshold");
    let list = FileList::sdn(&list, threshold).look_every(Duration::ZERO);
    assert_eq!(wait(list.in_force()), Ok(vec![version]), "what was written is in force");
    for entry in lines.iter().filter_map(|line| line.get("entry")) {
        let texts = |field: &str| -> Vec<String> {
            let texts = entry[field].as_array().into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        let addresses = texts("addresses");
        let subject = Subject { addresses: addresses.clone(), ..Subject::default() };
        let answer = wait(list.screen(&subject)).expect("it was in force just now");
        assert_eq!(addresses.is_empty(), answer.is_clear(), "{entry} is not found by its addresses");
        for name in texts("names").into_iter().chain(texts("weakNames")).filter(|name| names_somebody(name)) {
            let subject = Subject { names: vec![name.clone()], ..Subject::default() };
            let answer = wait(list.screen(&subject)).expect("it was in force just now");
            assert!(answer.hits.iter().any(|hit| entry["id"] == *hit.entry), "{entry} is not found as {name:?}");
        }
    }
}

/// Whether there is a letter or a digit that any alphabet agrees on.
fn names_somebody(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_alphanumeric())
}
