//! Lists that are files: in force, changed, broken, gone.

use std::{fs, time::Duration};

use remit_screening::{FileList, Kind, List as _, import_sdn};

use crate::support::{DENYLIST, eager, fixture, hits, subject, threshold};

#[tokio::test]
async fn evidence_says_which_denylist_was_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("denylist.toml");
    fs::write(&path, DENYLIST).expect("written");
    let list = FileList::denylist(&path, threshold(90));
    let answer = list.screen(&subject(&[], &["acct-7", "acct-8"], &["Jane Roe"])).await.expect("an answer");
    assert_eq!(hits(&answer), [("mule-3", "acct-7", 100)]);
    assert_eq!((answer.hits[0].list.as_str(), answer.hits[0].matched), ("denylist", Kind::Account));
    let [version] = &answer.lists[..] else { panic!("one list: {:?}", answer.lists) };
    assert_eq!((version.name.as_str(), version.version.as_str(), version.entries), ("denylist", "1", 1));
    assert_eq!(version.sha256.as_deref().map(str::len), Some(64));
}

#[tokio::test]
async fn a_list_that_was_replaced_is_in_force_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("denylist.toml");
    fs::write(&path, DENYLIST).expect("written");
    let list = eager(FileList::denylist(&path, threshold(90)));
    let subject = subject(&[], &["acct-8"], &[]);
    assert!(list.screen(&subject).await.expect("an answer").is_clear());
    fs::write(&path, DENYLIST.replace("\"1\"", "\"2.0\"").replace("acct-7", "acct-8")).expect("written");
    let answer = list.screen(&subject).await.expect("an answer");
    assert_eq!((hits(&answer).len(), answer.lists[0].version.as_str()), (1, "2.0"));
}

#[tokio::test]
async fn a_list_that_was_broken_gives_no_answer_until_it_is_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("denylist.toml");
    let list = eager(FileList::denylist(&path, threshold(90)));
    let subject = subject(&[], &["acct-7"], &[]);

    let silent = list.screen(&subject).await.expect_err("there is no file yet");
    assert_eq!(silent.list, "denylist");
    assert!(silent.why.contains("denylist.toml: "), "{silent}");
    for text in [DENYLIST, "version = \"2\"\n[[entry]]\nid = 7\n", DENYLIST] {
        fs::write(&path, text).expect("written");
        match list.screen(&subject).await {
            Ok(answer) => assert_eq!((text, hits(&answer).len()), (DENYLIST, 1)),
            Err(silent) => assert!(text != DENYLIST && silent.why.contains("line 3: "), "{silent}"),
        }
    }
    fs::remove_file(&path).expect("removed");
    list.screen(&subject).await.expect_err("the file is gone");
}

#[tokio::test]
async fn a_file_is_looked_at_only_now_and_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("denylist.toml");
    fs::write(&path, DENYLIST).expect("written");
    let list = FileList::denylist(&path, threshold(90)).look_every(Duration::from_secs(3600));
    let first = list.in_force().await.expect("in force");
    fs::remove_file(&path).expect("removed");
    assert_eq!(list.in_force().await.expect("in force"), first);
}

#[tokio::test]
async fn an_imported_list_that_was_cut_gives_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sdn.list");
    import_sdn(&fixture(), &path).expect("imported");
    let whole = fs::read(&path).expect("a list");
    let list = eager(FileList::sdn(&path, threshold(90)));
    let subject = subject(&["0x1"], &[], &[]);
    assert!(list.screen(&subject).await.expect("an answer").is_clear());
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    let silent = list.screen(&subject).await.expect_err("cut");
    assert!(silent.why.contains("is cut off"), "{silent}");
}

#[tokio::test]
async fn the_xml_in_place_of_the_imported_list_gives_no_answer() {
    let list = FileList::sdn(fixture(), threshold(90));
    let silent = list.screen(&subject(&["0x1"], &[], &[])).await.expect_err("not imported");
    assert!(silent.why.contains("expected a line of an imported list"), "{silent}");
}
