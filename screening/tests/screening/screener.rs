//! All lists together: hits win, silence is never "clear".

use std::fs;

use remit_screening::{Answer, Hit, Kind, List, Screener, Settings, import_sdn};

use crate::support::{DENYLIST, Fixed, fixture, hits, subject};

fn screener(lists: impl IntoIterator<Item = Fixed>) -> Screener {
    Screener::new(lists.into_iter().map(|list| Box::new(list) as Box<dyn List>).collect())
}

fn found(score: u8) -> Answer {
    let hit = Hit { list: "b".into(), entry: "1".into(), matched: Kind::Name, listed: "LISTED".into(), score };
    Answer { hits: vec![hit], ..Answer::default() }
}

#[tokio::test]
async fn every_list_is_asked_and_the_best_hit_comes_first() {
    let screener = screener([Fixed("a", Ok(found(91))), Fixed("b", Ok(found(99))), Fixed("c", Ok(Answer::default()))]);
    assert_eq!(screener.names(), ["a", "b", "c"]);
    let answer = screener.screen(&subject(&[], &["x"], &[])).await.expect("an answer");
    assert_eq!(answer.hits.iter().map(|hit| hit.score).collect::<Vec<_>>(), [99, 91]);
    assert!(!answer.is_clear());
}

#[tokio::test]
async fn one_list_without_an_answer_is_no_answer() {
    let screener = screener([Fixed("a", Ok(Answer::default())), Fixed("b", Err("late")), Fixed("c", Err("gone"))]);
    let none = screener.screen(&subject(&[], &["x"], &[])).await.expect_err("no answer");
    assert_eq!(none.to_string(), "not screened: b: late; c: gone");
    assert_eq!(screener.in_force().await.expect_err("not in force"), none);
}

#[tokio::test]
async fn a_hit_is_an_answer_though_another_list_is_silent() {
    let screener = screener([Fixed("a", Err("late")), Fixed("b", Ok(found(99)))]);
    let answer = screener.screen(&subject(&[], &["x"], &[])).await.expect("an answer");
    assert_eq!((hits(&answer), answer.silent[0].to_string()), (vec![("1", "LISTED", 99)], "a: late".to_owned()));
    let json = serde_json::to_value(&answer).expect("JSON");
    assert_eq!(json["silent"], serde_json::json!([{"list": "a", "why": "late"}]));
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_no_answer() {
    let screener = screener([Fixed("a", Ok(Answer::default()))]);
    for (subject, why) in [
        (subject(&[], &[], &[]), "the subject is empty"),
        (subject(&[" "], &[], &[]), "an empty address or account id"),
        (subject(&["0x1"], &[""], &[]), "an empty address or account id"),
        (subject(&["0x1"], &[], &["Jane", "--"]), "a name without a letter or a digit"),
    ] {
        let none = screener.screen(&subject).await.expect_err("no answer").to_string();
        assert!(none.contains(why), "{none}");
    }
}

#[tokio::test]
async fn settings_name_the_lists() {
    let folder = tempfile::tempdir().expect("a folder");
    let [denylist, sdn] = ["denylist.toml", "sdn.list"].map(|name| folder.path().join(name));
    fs::write(&denylist, DENYLIST).expect("written");
    import_sdn(&fixture(), &sdn).expect("imported");
    let text = format!("denylist = {{ path = {denylist:?} }}\nsdn = {{ path = {sdn:?} }}");
    let screener = Screener::from_settings(&toml::from_str::<Settings>(&text).expect("settings")).expect("lists");
    let versions = screener.in_force().await.expect("in force");
    assert_eq!(versions.iter().map(|version| version.name.as_str()).collect::<Vec<_>>(), ["denylist", "ofac-sdn"]);

    let someone = subject(&["1BoatSLRHtKNngkdXEeobR76b53LETtpyT"], &["acct-7"], &["Jane Roe"]);
    let answer = screener.screen(&someone).await.expect("an answer");
    let found: Vec<_> = answer.hits.iter().map(|hit| (hit.list.as_str(), hit.entry.as_str())).collect();
    assert_eq!(found, [("denylist", "mule-3"), ("ofac-sdn", "9001")]);
    assert_eq!(answer.lists, versions);

    fs::write(&denylist, "version = ").expect("written");
    let broken = Screener::from_settings(&toml::from_str::<Settings>(&text).expect("settings")).expect("lists");
    let answer = broken.screen(&someone).await.expect("a hit is an answer");
    assert_eq!((answer.hits.len(), answer.silent[0].list.as_str()), (1, "denylist"));
    broken.screen(&subject(&[], &["acct-1"], &["Jane Roe"])).await.expect_err("no hit, and not every answer");
}

#[tokio::test]
async fn the_names_of_the_subject_are_in_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let sdn = folder.path().join("sdn.list");
    import_sdn(&fixture(), &sdn).expect("imported");
    let text = format!("sdn = {{ path = {sdn:?} }}");
    let screener = Screener::from_settings(&toml::from_str::<Settings>(&text).expect("settings")).expect("lists");
    let subject = subject(&[], &[], &["Iwan Beispielo"]);
    let answer = screener.screen(&subject).await.expect("an answer");
    assert_eq!(hits(&answer)[0].0, "9001");
    for text in [serde_json::to_string(&answer).expect("JSON"), format!("{answer:?}{subject:?}{screener:?}")] {
        assert!(!text.contains("Beispielo"), "{text}");
    }
}
