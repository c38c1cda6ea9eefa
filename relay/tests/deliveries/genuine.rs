//! Whatever is genuine is taken, whatever it looks like, and kept byte by byte.

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use remit_relay::{KINDS, Limits};
use tokio::runtime::Runtime;

use crate::support::{Relay, SECRET, sign};

/// JSON that nobody told us of, as text: of any depth up to four, with numbers that fit no integer of ours.
fn anything() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        "-?[1-9][0-9]{19,77}",
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?",
        any::<String>().prop_map(|it| serde_json::Value::from(it).to_string()),
        Just("\"\\u0000\\ud83d\\udcb8\\/\"".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(" ,\n"))),
            vec(inner, 0..4)
                .prop_map(|all| object(all.into_iter().enumerate().map(|(n, it)| (format!("field{n}"), it)))),
        ]
    })
}

fn object(fields: impl IntoIterator<Item = (String, String)>) -> String {
    let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("\t\"{name}\" :{value}")).collect();
    format!("{{{}\r\n}}", fields.join(", "))
}

fn kind() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(KINDS.to_vec()).prop_map(|kind| kind.as_str().to_owned()),
        "[a-z]{1,12}(\\.[a-z]{1,12}){0,4}",
        any::<String>().prop_filter("some text", |text| !text.is_empty()),
    ]
}

/// An event about the payout with this number, but for the time of its delivery: kind, and fields in any order.
#[derive(Clone, Debug)]
struct Event {
    kind: String,
    inside: Vec<(String, String)>,
    around: Vec<(String, String)>,
    place: usize,
}

fn event() -> impl Strategy<Value = Event> {
    let strange = |prefix: &'static str| {
        vec(anything(), 0..5).prop_map(move |all| {
            all.into_iter().enumerate().map(|(n, it)| (format!("{prefix}{n}"), it)).collect::<Vec<_>>()
        })
    };
    (kind(), strange("newInside"), strange("new"), any::<prop::sample::Index>())
        .prop_map(|(kind, inside, around, place)| Event { kind, inside, around, place: place.index(6) })
}

impl Event {
    fn text(&self, n: usize) -> String {
        let mut payout = self.inside.clone();
        payout.insert(self.place.min(payout.len()), ("id".to_owned(), format!("\"pyt-{n}\"")));
        let mut data = self.inside.clone();
        data.insert(self.place.min(data.len()), ("payout".to_owned(), object(payout)));
        data.push(("transferRequest".to_owned(), object([("id".to_owned(), format!("\"xfr-{n}\""))])));
        data.push(("approval".to_owned(), object([("id".to_owned(), format!("\"ap-{n}\""))])));
        let mut fields = vec![
            ("id".to_owned(), format!("\"whe-{n}\"")),
            ("data".to_owned(), object(data)),
            ("timestampSent".to_owned(), jiff::Timestamp::now().as_second().to_string()),
            ("kind".to_owned(), serde_json::Value::from(self.kind.as_str()).to_string()),
        ];
        fields.rotate_left(self.place % 4);
        fields.splice(self.place % 4..self.place % 4, self.around.clone());
        format!(" {}\n", object(fields))
    }
}

#[test]
fn any_genuine_event_is_taken_and_kept_as_it_came() {
    let runtime = Runtime::new().expect("a runtime");
    let relay = runtime.block_on(Relay::patient(Limits::default()));
    let number = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let held = runner.run(&event(), |event| {
        let n = number.replace(number.get() + 1);
        let body = event.text(n);
        runtime.block_on(async {
            let status = relay.deliver(body.clone(), Some(sign(SECRET, body.as_bytes()))).await;
            prop_assert_eq!(status, 200, "{}", body);
            let newest = relay.inbox().await.into_iter().find(|kept| kept.event_id == format!("whe-{n}"));
            prop_assert!(newest.is_some(), "not kept: {}", body);
            let kept = relay.records.event(&newest.expect("found").what).await.expect("the inbox answers");
            let bytes = kept.and_then(|kept| kept.body);
            prop_assert_eq!(bytes.as_deref(), Some(body.as_bytes()));
            Ok(())
        })
    });
    held.unwrap_or_else(|why| panic!("{why}"));
    runtime.block_on(async {
        // Nothing that ran beside it has fallen over.
        assert_eq!(relay.ask("/livez").await.0, 200);
        assert_eq!(relay.ask("/readyz").await.0, 200);
        relay.end().await;
    });
}
