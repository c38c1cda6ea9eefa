//! Approvals of people.

use remit_records::{AddedApproval, NewApproval};

use crate::support::{Store, assert_broken, claim, close, race, several};

fn approval<'a>(key: &'a str, person: &'a str, value: &'a str) -> NewApproval<'a> {
    NewApproval { key, person, group: "treasury", value, statement: "text\n", signature: "c2ln", revision: "hash-1" }
}

fn already(value: &str) -> AddedApproval {
    AddedApproval::Already { value: value.to_owned() }
}

pub async fn the_first_word_of_a_person_for_a_group_stands(store: &Store) {
    let records = store.open().await;
    assert_eq!(records.add_approval(&approval("inv-1", "ana", "approve")).await.unwrap(), AddedApproval::NotClaimed);
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    assert!(records.approvals("inv-1").await.unwrap().is_empty());
    assert_eq!(records.add_approval(&approval("inv-1", "ana", "approve")).await.unwrap(), AddedApproval::Added);
    assert_eq!(records.add_approval(&approval("inv-1", "ana", "approve")).await.unwrap(), already("approve"));
    assert_eq!(records.add_approval(&approval("inv-1", "ana", "deny")).await.unwrap(), already("approve"));
    let other = NewApproval { group: "risk", ..approval("inv-1", "ana", "deny") };
    assert_eq!(records.add_approval(&other).await.unwrap(), AddedApproval::Added);
    assert_eq!(records.add_approval(&approval("inv-1", "bo", "approve")).await.unwrap(), AddedApproval::Added);

    let on_record = records.approvals("inv-1").await.unwrap();
    let mut words: Vec<_> =
        on_record.iter().map(|it| (it.person.as_str(), it.group.as_str(), it.value.as_str())).collect();
    words.sort();
    assert_eq!(words, [("ana", "risk", "deny"), ("ana", "treasury", "approve"), ("bo", "treasury", "approve")]);
    let first = &on_record[0];
    assert_eq!(
        (first.statement.as_str(), first.signature.as_str(), first.revision.as_str()),
        ("text\n", "c2ln", "hash-1")
    );
    assert!(on_record.iter().all(|it| it.void.is_none() && it.nr == 1));
    records.close().await;
}

pub async fn whoever_is_made_void_may_decide_anew(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    for person in ["ana", "bo"] {
        records.add_approval(&approval("inv-1", person, "approve")).await.unwrap();
    }
    assert_eq!(records.void_approvals_of("inv-1", "ana", "it has expired").await.unwrap(), 1);
    assert_eq!(records.void_approvals_of("inv-1", "ana", "it has expired").await.unwrap(), 0);
    assert_eq!(records.add_approval(&approval("inv-1", "ana", "deny")).await.unwrap(), AddedApproval::Added);
    assert_eq!(records.add_approval(&approval("inv-1", "ana", "approve")).await.unwrap(), already("deny"));
    assert_eq!(records.void_approvals("inv-1", "the policy has changed").await.unwrap(), 2);
    let on_record = records.approvals("inv-1").await.unwrap();
    let mut voids: Vec<_> = on_record
        .iter()
        .map(|it| (it.person.as_str(), it.nr, it.void.as_ref().map(|void| void.why.as_str())))
        .collect();
    voids.sort();
    let changed = Some("the policy has changed");
    assert_eq!(voids, [("ana", 1, Some("it has expired")), ("ana", 2, changed), ("bo", 1, changed)]);
    assert_eq!(records.void_approvals("inv-2", "nobody").await.unwrap(), 0);
    records.close().await;
}

pub async fn a_hundred_words_of_one_person_at_once_are_one(store: &Store) {
    let stores = several(store).await;
    stores[0].claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    let answers = race(&stores, |records, n| async move {
        let value = if n % 2 == 0 { "approve" } else { "deny" };
        records.add_approval(&approval("inv-1", "ana", value)).await.unwrap()
    })
    .await;
    assert_eq!(answers.iter().filter(|answer| **answer == AddedApproval::Added).count(), 1);
    let stands = already(&stores[0].approvals("inv-1").await.unwrap()[0].value);
    assert_eq!(answers.iter().filter(|answer| **answer == stands).count(), 99);
    close(stores).await;
}

pub async fn an_approval_that_cannot_be_kept_is_refused_by_name(store: &Store) {
    let records = store.open().await;
    records.claim(&claim("inv-1", "d1", "inv-1")).await.unwrap();
    let good = approval("inv-1", "ana", "approve");
    assert_broken(records.add_approval(&NewApproval { value: "maybe", ..good }).await, "expected approve or deny");
    assert_broken(records.add_approval(&NewApproval { person: "", ..good }).await, "person: 0 bytes");
    assert_broken(records.add_approval(&NewApproval { statement: "a\0", ..good }).await, "statement: 2 bytes");
    assert_broken(records.void_approvals("inv-1", "").await, "why: 0 bytes");
    assert!(records.approvals("inv-1").await.unwrap().is_empty());
    records.close().await;
}
