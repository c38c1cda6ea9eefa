//! A Watchman server: what it is asked, what its answers mean, and that everything else is no answer.

use std::time::Duration;

use remit_screening::{Kind, List as _, SettingsError, Watchman, WatchmanSettings};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::support::{Server, hits, subject};

const LIST_INFO: &str = r#"{"lists":{"us_csl":442,"us_ofac":17646},"listHashes":{"us_ofac":"0629aa"},
    "startedAt":"2026-11-26T07:59:00Z","endedAt":"2026-11-26T08:00:00Z","version":"v0.56.0"}"#;

const MADURO: &str = r#"{"query":{"name":"nicolas maduro"},"entities":[
    {"name":"Nicolas MADURO MOROS","entityType":"person","sourceList":"us_ofac","sourceID":"22790",
     "person":{"name":"Nicolas MADURO MOROS","altNames":null},"cryptoAddresses":null,"match":0.9444444444444444},
    {"name":"Somebody ELSE","entityType":"person","sourceList":"us_csl","sourceID":"1","match":0.5}]}"#;

fn watchman(url: &str) -> Watchman {
    Watchman::new(WatchmanSettings { timeout: Duration::from_secs(10), ..WatchmanSettings::new(url) })
        .expect("settings")
}

/// A server that has loaded its lists and answers each search so.
async fn searching(status: u16, search: &'static str) -> Server {
    Server::start(move |path| match path {
        "/v2/listinfo" => (200, LIST_INFO.to_owned()),
        _ => (status, search.to_owned()),
    })
    .await
}

#[tokio::test]
async fn names_are_asked_for_and_hits_carry_the_lists_text() {
    let server = searching(200, MADURO).await;
    let watchman = watchman(&server.url);
    let answer = watchman.screen(&subject(&["0x1"], &["acct-7"], &["Nicolás Maduro & Co"])).await.expect("an answer");
    assert_eq!(hits(&answer), [("22790", "Nicolas MADURO MOROS", 94)]);
    assert_eq!((answer.hits[0].list.as_str(), answer.hits[0].matched), ("watchman:us_ofac", Kind::Name));
    assert_eq!(server.asked(), ["/v2/listinfo", "/v2/search?name=Nicol%C3%A1s+Maduro+%26+Co&minMatch=0.80&limit=100"]);

    let versions = watchman.in_force().await.expect("in force");
    assert_eq!(answer.lists, versions);
    let [csl, ofac] = &versions[..] else { panic!("two lists: {versions:?}") };
    assert_eq!((csl.name.as_str(), csl.entries, csl.sha256.as_deref()), ("watchman:us_csl", 442, None));
    assert_eq!((ofac.name.as_str(), ofac.entries, ofac.sha256.as_deref()), ("watchman:us_ofac", 17646, Some("0629aa")));
    assert_eq!((ofac.version.as_str(), ofac.imported_at.to_string().as_str()), ("v0.56.0", "2026-11-26T08:00:00Z"));
    assert_eq!(ofac.kinds, [Kind::Name]);
}

#[tokio::test]
async fn nothing_found_on_loaded_lists_is_clear() {
    for none in [r#"{"entities":[]}"#, r#"{"entities":null}"#] {
        let server = searching(200, none).await;
        let answer = watchman(&server.url).screen(&subject(&[], &[], &["Jane Roe"])).await.expect("an answer");
        assert!(answer.is_clear());
    }
}

#[tokio::test]
async fn addresses_are_asked_for_where_settings_say_so() {
    const FOUND: &str = r#"{"entities":[
        {"name":"LISTED","sourceList":"us_ofac","sourceID":"7","match":0.31,
         "cryptoAddresses":[{"currency":"XBT","address":"1x"},{"currency":"ETH","address":"0xAB"}]},
        {"name":"OTHER","sourceList":"us_ofac","sourceID":"8","match":0.3,"cryptoAddresses":[{"currency":"ETH","address":"0xAC"}]}]}"#;
    let server = searching(200, FOUND).await;
    let settings = WatchmanSettings { addresses: true, ..WatchmanSettings::new(format!("{}/base/", server.url)) };
    // The lists are asked for below the base too, which this server does not know.
    assert!(Watchman::new(settings).expect("settings").screen(&subject(&["0xab"], &[], &[])).await.is_err());

    let settings = WatchmanSettings { addresses: true, ..WatchmanSettings::new(&server.url) };
    let watchman = Watchman::new(settings).expect("settings");
    let answer = watchman.screen(&subject(&["0xab"], &[], &[])).await.expect("an answer");
    assert_eq!((hits(&answer), answer.hits[0].matched), (vec![("7", "0xAB", 100)], Kind::Address));
    assert_eq!(answer.lists[0].kinds, [Kind::Address, Kind::Name]);
    let asked = server.asked();
    assert!(asked.contains(&"/v2/search?cryptoAddress=%3A0xab&limit=100".to_owned()), "{asked:?}");
    assert!(asked.contains(&"/base/v2/search?cryptoAddress=%3A0xab&limit=100".to_owned()), "{asked:?}");

    let silent = watchman.screen(&subject(&["bitcoincash:q1"], &[], &[])).await.expect_err("cannot be asked for");
    assert!(silent.why.contains("colon"), "{silent}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_never_clear() {
    for (status, search, why) in [
        (500, "", "with status 500"),
        (400, r#"{"error":"Jane Roe"}"#, "with status 400"),
        (204, "", "with status 204"),
        (302, "", "with status 302"),
        (200, "", "cannot be read"),
        (200, "<html>", "cannot be read"),
        (200, "{}", "cannot be read"),
        (200, r#"{"error":"Jane Roe"}"#, "cannot be read"),
        (200, r#"{"entities":"Jane Roe"}"#, "cannot be read"),
        (200, r#"{"entities":[{"name":"A","sourceList":"l","sourceID":"1"}]}"#, "cannot be read"),
        (200, r#"{"entities":[{"name":"A","sourceList":"l","sourceID":"1","match":"Jane Roe"}]}"#, "cannot be read"),
        (200, r#"{"entities":[{"name":"A","sourceList":"l","sourceID":"1","match":7}]}"#, "not between 0 and 1"),
        (200, r#"{"entities":[]"#, "cannot be read"),
        (200, r#"{"SDNs":null,"altNames":null}"#, "cannot be read"),
    ] {
        let server = searching(status, search).await;
        let silent = watchman(&server.url).screen(&subject(&[], &[], &["Jane Roe"])).await.expect_err(search);
        assert!(silent.list == "watchman" && silent.why.contains(why), "{silent}");
        assert!(!silent.to_string().contains("Jane") && !format!("{silent:?}").contains("Jane"), "{silent}");
    }
}

#[tokio::test]
async fn a_server_without_its_lists_is_never_clear() {
    for (info, why) in [
        (
            r#"{"lists":null,"listHashes":null,"endedAt":"0001-01-01T00:00:00Z","version":"v"}"#,
            "has not loaded us_ofac",
        ),
        (r#"{"lists":{"us_ofac":0},"endedAt":"2026-11-26T08:00:00Z","version":"v"}"#, "has not loaded us_ofac"),
        (r#"{"lists":{"us_csl":5},"endedAt":"2026-11-26T08:00:00Z","version":"v"}"#, "has not loaded us_ofac"),
        (r#"{"lists":{"us_ofac":5},"version":"v"}"#, "cannot be read"),
        ("{}", "cannot be read"),
    ] {
        let server = Server::start(move |path| match path {
            "/v2/listinfo" => (200, info.to_owned()),
            _ => (200, r#"{"entities":null}"#.to_owned()),
        })
        .await;
        let silent = watchman(&server.url).screen(&subject(&[], &[], &["Jane Roe"])).await.expect_err(info);
        assert!(silent.why.contains(why), "{silent}");
    }
}

#[tokio::test]
async fn a_late_answer_is_no_answer() {
    let server = searching(0, "").await;
    let settings = WatchmanSettings { timeout: Duration::from_millis(50), ..WatchmanSettings::new(&server.url) };
    let watchman = Watchman::new(settings).expect("settings");
    let silent = watchman.screen(&subject(&[], &[], &["Jane Roe"])).await.expect_err("late");
    assert_eq!(silent.why, "it did not answer within 50ms");
}

#[tokio::test]
async fn a_server_that_is_not_there_or_hangs_up_is_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let hangs_up = tokio::spawn(async move {
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"lists\":"] {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let _ = socket.read(&mut [0; 4096]).await;
            socket.write_all(answer.as_bytes()).await.expect("sent");
        }
    });
    for _ in 0..2 {
        let silent = watchman(&url).in_force().await.expect_err("hung up");
        assert_eq!(silent.why, "the answer to /v2/listinfo broke off");
    }
    hangs_up.await.expect("both answered");
    let silent = watchman(&url).screen(&subject(&[], &[], &["Jane Roe"])).await.expect_err("nobody there");
    assert_eq!(silent.to_string(), "watchman: it cannot be reached");
}

#[test]
fn an_address_that_is_none_is_refused() {
    for url in ["", "watchman:8084", "ftp://watchman", "http://watchman?x=1", "http://watchman#x"] {
        let refused = Watchman::new(WatchmanSettings::new(url)).expect_err(url);
        assert!(matches!(&refused, SettingsError::Watchman(why) if why.starts_with("url: expected ")), "{refused}");
    }
    let settings = WatchmanSettings { timeout: Duration::ZERO, ..WatchmanSettings::new("http://watchman") };
    assert!(Watchman::new(settings).expect_err("refused").to_string().contains("more than 0 s"));
}
