//! Revisions of the policy.

use remit_records::{AddedRevision, NewRevision, SignedRevision};

use crate::support::{Store, assert_broken, close, race, several};

fn revision<'a>(number: u32, previous: Option<&'a str>, hash: &'a str) -> NewRevision<'a> {
    NewRevision { number, previous, hash, content: "name = \"policy\"\n", author: "ana", note: "" }
}

fn not_next(number: u32, previous: Option<&str>) -> AddedRevision {
    AddedRevision::NotNext { number, previous: previous.map(str::to_owned) }
}

pub async fn a_revision_follows_the_newest_or_is_not_added(store: &Store) {
    let records = store.open().await;
    assert!(records.revisions().await.unwrap().is_empty());
    for odd in [revision(2, None, "h2"), revision(0, None, "h0"), revision(1, Some("h0"), "h1")] {
        assert_eq!(records.add_revision(&odd).await.unwrap(), not_next(1, None));
    }
    assert_eq!(records.add_revision(&revision(1, None, "h1")).await.unwrap(), AddedRevision::Added);
    assert_eq!(records.add_revision(&revision(1, None, "h1")).await.unwrap(), AddedRevision::Already);
    let taken = AddedRevision::Taken { hash: "h1".to_owned() };
    assert_eq!(records.add_revision(&revision(1, None, "other")).await.unwrap(), taken);
    for odd in [revision(2, None, "h2"), revision(2, Some("h0"), "h2"), revision(3, Some("h1"), "h3")] {
        assert_eq!(records.add_revision(&odd).await.unwrap(), not_next(2, Some("h1")));
    }
    let second = NewRevision { content: "ü", note: "stricter", ..revision(2, Some("h1"), "h2") };
    assert_eq!(records.add_revision(&second).await.unwrap(), AddedRevision::Added);

    let all = records.revisions().await.unwrap();
    assert_eq!(all.iter().map(|it| (it.number, it.hash.as_str())).collect::<Vec<_>>(), [(1, "h1"), (2, "h2")]);
    let row = &all[1];
    assert_eq!((row.previous.as_deref(), row.content.as_str()), (Some("h1"), "ü"));
    assert_eq!((row.author.as_str(), row.note.as_str(), row.signatures.len()), ("ana", "stricter", 0));
    assert_broken(records.add_revision(&NewRevision { content: "", ..second }).await, "content: 0 bytes");
    records.close().await;
}

pub async fn signatures_stand_beside_a_revision_as_they_came(store: &Store) {
    let records = store.open().await;
    assert_eq!(records.sign_revision(1, "ana", "s1").await.unwrap(), SignedRevision::NoRevision);
    records.add_revision(&revision(1, None, "h1")).await.unwrap();
    assert_eq!(records.sign_revision(1, "ana", "s1").await.unwrap(), SignedRevision::Now);
    assert_eq!(records.sign_revision(1, "ana", "s1").await.unwrap(), SignedRevision::Already);
    assert_eq!(records.sign_revision(1, "bo", "s2").await.unwrap(), SignedRevision::Now);
    // A bad one does not keep a good one out.
    assert_eq!(records.sign_revision(1, "bo", "s3").await.unwrap(), SignedRevision::Now);
    let mut signatures = records.revisions().await.unwrap().remove(0).signatures;
    signatures.sort();
    let expected = [("ana", "s1"), ("bo", "s2"), ("bo", "s3")];
    assert_eq!(signatures, expected.map(|(who, what)| (who.to_owned(), what.to_owned())));
    records.close().await;
}

pub async fn of_a_hundred_at_once_one_is_the_next_revision(store: &Store) {
    let stores = several(store).await;
    let answers =
        race(
            &stores,
            |records, n| async move { records.add_revision(&revision(1, None, &format!("h{n}"))).await.unwrap() },
        )
        .await;
    assert_eq!(answers.iter().filter(|answer| **answer == AddedRevision::Added).count(), 1);
    let hash = stores[0].revisions().await.unwrap().remove(0).hash;
    assert_eq!(answers.iter().filter(|answer| **answer == AddedRevision::Taken { hash: hash.clone() }).count(), 99);
    close(stores).await;
}
