//! What a policy file may say, and how it is refused when it says something else.

use jiff::civil::Weekday;

use super::{
    super::{Action, Dimension, Kind, MicroUsd, Policy, PolicyError, Sign, content_hash},
    key, policy, with_rules,
};

/// Two people, a group, a starter, and three rules. Its lines are counted in the tests below.
const GOOD: &str = r#"name = "good"
unsigned_starts = "block"
[people.ana]
key = "ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
[people.ben]
key = "ed25519:AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICE="
[groups.treasury]
people = ["ana", "ben"]
[starters.payroll]
key = "ed25519:BAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiM="
programs = ["payroll"]
[orders]
groups = ["treasury"]
unsigned = "refuse"
[[rule]]
name = "large"
filter.program = ["payroll"]
filter.currency = ["BRL"]
kind = "TransactionAmountLimit"
limit = "10_000 USD"
action = "RequestApproval"
approvals = [{ group = "treasury", quorum = 2 }]
timeout = "4h"
[[rule]]
name = "hours"
kind = "BusinessHours"
zone = "America/Sao_Paulo"
from = "09:00"
to = "18:00"
action = "Flag"
[[rule]]
name = "a-day"
kind = "TransactionAmountVelocity"
limit = "0.000001 USD"
window = "24h"
per = ["counterparty", "asset"]
action = "Block"
"#;

fn told(errors: &[PolicyError]) -> String {
    errors.iter().map(|error| format!("{error}\n")).collect()
}

#[test]
fn a_good_file_is_read_as_it_is_meant() {
    let policy = Policy::read(GOOD).unwrap_or_else(|errors| panic!("{}", told(&errors)));
    assert!(!policy.unsigned_starts && !policy.allows_unsigned_orders() && !policy.looks_at_quotes());
    assert_eq!(policy.person_key("ana"), Some("ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="));
    assert!(policy.person_key("eve").is_none() && policy.starter("ana").is_none());
    let starter = policy.starter("payroll").unwrap();
    assert!(starter.may_start("payroll") && !starter.may_start("") && !starter.may_start("refunds"));
    let [large, hours, day] = policy.rules.as_slice() else { panic!("{:?}", policy.rules) };
    assert_eq!(large.kind, Kind::TransactionAmountLimit { limit: MicroUsd(10_000_000_000) });
    let approvals = vec![("treasury".to_owned(), 2)];
    assert_eq!(large.action, Action::RequestApproval { approvals, timeout_seconds: 4 * 3600 });
    let Kind::BusinessHours { days, from, to, .. } = &hours.kind else { panic!("{:?}", hours.kind) };
    assert_eq!((days.first(), days.len(), *from, *to), (Some(&Weekday::Monday), 5, 540, 1080));
    let Kind::TransactionAmountVelocity { limit, window_seconds, per } = &day.kind else { panic!("{:?}", day.kind) };
    assert_eq!((*limit, *window_seconds), (MicroUsd(1), 86_400));
    assert!(per.contains(&Dimension::Counterparty) && per.contains(&Dimension::Asset) && per.len() == 2);
    assert_eq!(policy.warnings(), []);
    let lax = GOOD.replace("unsigned_starts = \"block\"", "unsigned_starts = \"allow\"");
    let lax = Policy::read(&lax.replace("unsigned = \"refuse\"", "unsigned = \"allow\"")).expect("a policy");
    assert!(lax.unsigned_starts && lax.allows_unsigned_orders());
}

#[test]
fn what_may_be_left_out_is_the_stricter_one() {
    let policy = Policy::read("name = \"empty\"").unwrap();
    assert!(!policy.unsigned_starts && !policy.allows_unsigned_orders() && policy.orders.groups.is_empty());
    assert!(policy.rules.is_empty());
}

#[test]
fn each_mistake_is_refused_with_its_line_and_what_was_expected() {
    let ana = "ed25519:AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
    let ben = "ed25519:AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICE=";
    let whole_key_of_ben = format!("key = \"{ben}\"");
    let most = format!("\"{}.775807 USD\"", 9_223_372_036_854u64);
    assert!(Policy::read(&GOOD.replace("\"10_000 USD\"", &most)).is_ok(), "the most that 64 bits hold");
    let too_much = most.replace("775807", "775808");
    let cases: Vec<(&str, &str, usize, &str)> = vec![
        // Unknown keys, everywhere.
        ("name = \"good\"", "name = \"good\"\ncolour = 1", 2, "no such field in a policy"),
        ("[groups.treasury]", "[group.treasury]", 7, "no such field in a policy"),
        ("[people.ben]", "[people.ben]\nrole = \"boss\"", 6, "no such field of a person"),
        ("[groups.treasury]", "[groups.treasury]\nquorum = 1", 8, "no such field of a group"),
        ("[starters.payroll]", "[starters.payroll]\nprogram = \"x\"", 10, "no such field of a starter"),
        ("unsigned = \"refuse\"", "unsinged = \"refuse\"", 14, "no such field under [orders]"),
        (
            "timeout = \"4h\"",
            "timeout = \"4h\"\nwindow = \"4h\"",
            24,
            "no such field in a rule of this kind and action",
        ),
        (
            "action = \"Flag\"",
            "action = \"Flag\"\ntimeout = \"4h\"",
            31,
            "no such field in a rule of this kind and action",
        ),
        ("quorum = 2", "quorum = 2, of = 3", 22, "no such field in an approval"),
        // Filters.
        ("filter.program = [\"payroll\"]", "filter.program = []", 17, "the list is empty"),
        ("filter.program = [\"payroll\"]", "filter.program = [\"a\", \"b\", \"a\"]", 17, "twice"),
        ("filter.program = [\"payroll\"]", "filter.program = \"payroll\"", 17, "a list of"),
        ("filter.program = [\"payroll\"]", "filter.program = [\"pay roll\"]", 17, "programs such as"),
        ("filter.program = [\"payroll\"]", "filter.program = [1]", 17, "1 is not accepted"),
        ("filter.program = [\"payroll\"]", "filter.weather = [\"rain\"]", 17, "nothing is filtered by \"weather\""),
        ("filter.currency = [\"BRL\"]", "filter.currency = [\"brl\"]", 18, "ISO 4217"),
        ("filter.currency = [\"BRL\"]", "filter.country = [\"Brazil\"]", 18, "ISO 3166"),
        ("filter.currency = [\"BRL\"]", "filter.purpose = [\"fun\"]", 18, "payment purposes"),
        ("filter.currency = [\"BRL\"]", "filter.source = [\"fax\"]", 18, "schedule"),
        ("filter.currency = [\"BRL\"]", "filter.wallet = [\"mine\"]", 18, "wallets such as"),
        ("filter.currency = [\"BRL\"]", "filter.asset = [\"USDC\"]", 18, "tokens such as"),
        ("filter.currency = [\"BRL\"]", "filter.chain = [\"polygon\"]", 18, "networks"),
        ("filter.currency = [\"BRL\"]", "filter.counterparty = [\"acc-1\"]", 18, "provider, account and instructions"),
        // The same token in two ways of writing it.
        (
            "filter.currency = [\"BRL\"]",
            "filter.asset = [\"Erc20:0x3c499c542cef5e3811e1192ce70d8cc03d5c3359\", \"Erc20:0x3C499c542cEF5E3811e1192ce70d8cC03d5c3359\"]",
            18,
            "twice",
        ),
        // Limits.
        ("\"10_000 USD\"", "\"10000\"", 20, "with its currency"),
        ("\"10_000 USD\"", "10000", 20, "with its currency"),
        ("\"10_000 USD\"", "\"10000 EUR\"", 20, "USD is the only one"),
        ("\"10_000 USD\"", "\"10,000 USD\"", 20, "with its currency"),
        ("\"10_000 USD\"", "\"1_0000 USD\"", 20, "with its currency"),
        ("\"10_000 USD\"", "\"10.0000001 USD\"", 20, "six decimals"),
        ("\"10_000 USD\"", "\"10. USD\"", 20, "six decimals"),
        ("\"10_000 USD\"", "\".5 USD\"", 20, "six decimals"),
        ("\"10_000 USD\"", "\"-1 USD\"", 20, "with its currency"),
        ("\"10_000 USD\"", "\"+1 USD\"", 20, "with its currency"),
        ("\"10_000 USD\"", "\"1e4 USD\"", 20, "with its currency"),
        ("\"10_000 USD\"", &too_much, 20, "nine trillion"),
        ("\"10_000 USD\"", "\"99999999999999999999999 USD\"", 20, "nine trillion"),
        ("limit = \"10_000 USD\"\n", "", 15, "limit: it is missing"),
        // Windows and waits.
        ("window = \"24h\"", "window = \"0h\"", 35, "more than zero"),
        ("window = \"24h\"", "window = \"367d\"", 35, "at most 366d"),
        ("window = \"24h\"", "window = \"24\"", 35, "a time such as"),
        ("window = \"24h\"", "window = 24", 35, "a time such as"),
        ("window = \"24h\"", "window = \"99999999999d\"", 35, "a time such as"),
        ("window = \"24h\"\n", "", 31, "window: it is missing"),
        ("timeout = \"4h\"", "timeout = \"0s\"", 23, "more than zero"),
        ("timeout = \"4h\"", "timeout = \"31d\"", 23, "at most 30d"),
        ("timeout = \"4h\"\n", "", 15, "timeout: it is missing"),
        ("[\"counterparty\", \"asset\"]", "[\"weather\"]", 36, "chain, asset"),
        ("[\"counterparty\", \"asset\"]", "[]", 36, "the list is empty"),
        // Approvals.
        ("quorum = 2", "quorum = 3", 22, "larger than group \"treasury\"; expected at most 2"),
        ("quorum = 2", "quorum = 0", 22, "asks nobody"),
        ("quorum = 2", "quorum = \"all\"", 22, "1 or more"),
        ("quorum = 2", "quorum = -1", 22, "1 or more"),
        ("group = \"treasury\"", "group = \"board\"", 22, "there is no group \"board\""),
        ("[{ group = \"treasury\", quorum = 2 }]", "[]", 22, "[] is not accepted"),
        ("quorum = 2 }", "quorum = 1 }, { group = \"treasury\", quorum = 1 }", 22, "stands there twice"),
        ("approvals = [{ group = \"treasury\", quorum = 2 }]\n", "", 15, "approvals: it is missing"),
        // People, groups, starters, orders.
        (&whole_key_of_ben, "dfns_user = \"us-1\"", 5, "people.ben.key: it is missing"),
        (&whole_key_of_ben, "key = \"secret\"", 6, "a public key"),
        (ben, ana, 6, "it is the key of ana too"),
        (ben, "ed25519:AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICF=", 6, "a public key"),
        (ben, "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 6, "a public key"),
        ("[\"ana\", \"ben\"]", "[]", 8, "the list is empty"),
        ("[\"ana\", \"ben\"]", "[\"ana\", \"ben\", \"eve\"]", 8, "under [people]"),
        ("[\"ana\", \"ben\"]", "[\"ana\", \"ben\", \"ana\"]", 8, "twice"),
        ("[people.ben]", "[people.\"ben \"]", 5, "the name is not accepted"),
        ("programs = [\"payroll\"]", "programs = [\"*\", \"payroll\"]", 11, "\"*\" alone"),
        ("programs = [\"payroll\"]\n", "", 9, "programs: it is missing"),
        ("groups = [\"treasury\"]", "groups = [\"board\"]", 13, "under [groups]"),
        ("unsigned = \"refuse\"", "unsigned = \"perhaps\"", 14, "\"refuse\" or \"allow\""),
        ("unsigned_starts = \"block\"", "unsigned_starts = true", 2, "\"block\" or \"allow\""),
        ("name = \"good\"", "name = \" \"", 1, "what the policy is called"),
        ("name = \"good\"\n", "", 1, "name: it is missing"),
        // Rules.
        ("name = \"hours\"", "name = \"large\"", 25, "is the name of a rule above"),
        ("name = \"hours\"", "name = \"(no rule)\"", 25, "letters, digits"),
        ("name = \"hours\"\n", "", 24, "rule.name: it is missing"),
        ("kind = \"BusinessHours\"", "kind = \"Wish\"", 26, "AlwaysTrigger"),
        ("kind = \"BusinessHours\"\n", "", 24, "kind: it is missing"),
        ("action = \"Flag\"", "action = \"Pay\"", 30, "\"Block\" or \"RequestApproval\" or \"Flag\""),
        ("action = \"Flag\"\n", "", 24, "action: it is missing"),
        ("America/Sao_Paulo", "Moon/Base", 27, "a time zone"),
        ("to = \"18:00\"", "to = \"09:00\"", 29, "after \"from\""),
        ("to = \"18:00\"", "to = \"24:01\"", 29, "a time of day"),
        ("to = \"18:00\"", "to = \"6pm\"", 29, "a time of day"),
        ("from = \"09:00\"", "from = \"9:00\"", 28, "a time of day"),
        ("action = \"Flag\"", "days = [\"monday\"]\naction = \"Flag\"", 30, "mon, tue"),
        // No TOML.
        ("[orders]", "[orders", 12, "no TOML"),
        ("timeout = \"4h\"", "timeout = \"4h\"\ntimeout = \"5h\"", 24, "no TOML"),
        ("[orders]", "[people.ana]", 12, "no TOML"),
        ("[[rule]]", "[rule]", 24, "no TOML"),
    ];
    for (from, to, line, says) in cases {
        assert!(GOOD.contains(from), "{from}");
        let errors = Policy::read(&GOOD.replacen(from, to, 1)).expect_err(to);
        let found = errors.iter().any(|error| error.line == line && error.to_string().contains(says));
        assert!(found, "{to:?}: expected line {line} to say {says:?}, got\n{}", told(&errors));
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file() {
    let bad = r#"colour = "red"
unsigned_starts = "maybe"
[people.ana]
[people.ben]
key = "secret"
[groups.nobody]
people = []
[[rule]]
name = "one"
filter.country = ["br", "BR", "BR"]
kind = "TransactionAmountLimit"
limit = "10000"
action = "RequestApproval"
approvals = [{ group = "board", quorum = 0 }]
timeout = "0h"
[[rule]]
name = "one"
kind = "FeeLimit"
fees_at_most = "25 BRL"
fees_at_most_bps = 10001
action = "Block"
[[rule]]
kind = "Wish"
action = "Hope"
"#;
    insta::assert_snapshot!(told(&Policy::read(bad).unwrap_err()));
}

#[test]
fn an_amount_in_a_currency_is_for_payouts_in_it() {
    let fee = |filter: &str| {
        let rule = "[[rule]]\nname = \"fee\"\nkind = \"FeeLimit\"\nfees_at_most = \"25.00 BRL\"\naction = \"Block\"\n";
        Policy::read(&with_rules(&format!("{rule}{filter}")))
    };
    assert!(fee("filter.currency = [\"BRL\"]").is_ok_and(|policy| policy.looks_at_quotes()));
    assert!(fee("").is_err() && fee("filter.currency = [\"EUR\"]").is_err());
    assert!(fee("filter.currency = [\"BRL\", \"EUR\"]").is_err());
    for (one_usd, good) in [
        ("\"5.40 BRL\"", true),
        ("\"0 BRL\"", false),
        ("\"5.40\"", false),
        ("\"5.123456789 BRL\"", false),
        ("\"5.40 EUR\"", false),
        ("5", false),
    ] {
        let rule = format!(
            "[[rule]]\nname = \"rate\"\nfilter.currency = [\"BRL\"]\nkind = \"SlippageLimit\"\none_usd = {one_usd}\n\
             slippage_at_most_bps = 50\naction = \"Block\"\n"
        );
        assert_eq!(Policy::read(&with_rules(&rule)).is_ok(), good, "{one_usd}");
    }
}

#[test]
fn approvals_that_nobody_counts_twice_for_must_be_possible() {
    let asks = |approvals: &str| {
        let rule =
            "[[rule]]\nname = \"all\"\nkind = \"AlwaysTrigger\"\naction = \"RequestApproval\"\ntimeout = \"1h\"\n";
        Policy::read(&with_rules(&format!("{rule}approvals = [{approvals}]\n")))
    };
    // Treasury is ana, ben and cleo; compliance is ben and dora: four people.
    let of = |treasury: u32, compliance: u32| {
        asks(&format!(
            "{{ group = \"treasury\", quorum = {treasury} }}, {{ group = \"compliance\", quorum = {compliance} }}"
        ))
    };
    assert!(of(2, 2).is_ok() && of(3, 1).is_ok());
    let errors = of(3, 2).unwrap_err();
    assert!(errors[0].problem.contains("too few people"), "{errors:?}");
}

#[test]
fn an_anomaly_is_advice_unless_the_rule_says_otherwise() {
    let policy = policy("[[rule]]\nname = \"odd\"\nkind = \"Anomaly\"\n");
    assert_eq!(policy.rules[0].action, Action::Flag);
    assert_eq!(policy.rules[0].kind, Kind::Anomaly { signs: Sign::ALL.into() });
    assert!(Policy::read(&with_rules("[[rule]]\nname = \"odd\"\nkind = \"Anomaly\"\nsigns = []\n")).is_err());
}

#[test]
fn a_person_may_start_payouts_with_the_key_they_have_and_no_two_starters_share_one() {
    let text = with_rules("");
    assert!(Policy::read(&text).is_ok(), "cleo and cleos have one key");
    let shared = Policy::read(&text.replace(&key(50), &key(3))).unwrap_err();
    assert!(shared.iter().any(|error| error.problem.contains("it is the key of")), "{shared:?}");
}

#[test]
fn what_nobody_can_have_meant_is_warned_of() {
    let rules = r#"
[[rule]]
name = "stop"
filter.country = ["BR", "AR"]
kind = "AlwaysTrigger"
action = "Block"
[[rule]]
name = "behind"
filter.country = ["BR"]
filter.program = ["payroll"]
kind = "TransactionAmountVelocity"
limit = "1 USD"
window = "1h"
per = ["country"]
action = "Flag"
[[rule]]
name = "first"
kind = "NewBeneficiary"
cooling_off = "1d"
action = "Block"
[[rule]]
name = "hit"
kind = "Screening"
action = "Flag"
[[rule]]
name = "fees"
kind = "FeeLimit"
fees_at_most_bps = 10000
action = "Block"
[[rule]]
name = "always open"
kind = "BusinessHours"
zone = "UTC"
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = "00:00"
to = "24:00"
action = "Block"
[[rule]]
name = "odd"
kind = "Anomaly"
"#;
    let all = policy(rules).warnings();
    let nobody = Policy::read(&with_rules(rules).replace("[\"*\"]", "[\"refunds\"]")).unwrap().warnings();
    let told = |all: &[super::super::PolicyWarning]| all.iter().map(|it| format!("{it}\n")).collect::<String>();
    let empty = Policy::read("name = \"empty\"").unwrap().warnings();
    insta::assert_snapshot!(format!("{}\n{}\n{}", told(&all), told(&nobody), told(&empty)));
}

#[test]
fn the_hash_of_a_file_is_that_of_its_bytes() {
    assert_eq!(content_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

proptest::proptest! {
    /// Whatever a file holds: it is read or refused, and every error has a line of the file.
    #[test]
    fn no_file_stops_the_reader(
        cut in 0usize..900, put in proptest::prelude::any::<String>(), gone in 0usize..40
    ) {
        let at = |n: usize| (0..=n.min(GOOD.len())).rev().find(|n| GOOD.is_char_boundary(*n)).unwrap_or(0);
        let text = format!("{}{put}{}", &GOOD[..at(cut)], &GOOD[at(cut + gone)..]);
        if let Err(errors) = Policy::read(&text) {
            let lines = text.matches('\n').count() + 1;
            proptest::prop_assert!(!errors.is_empty());
            proptest::prop_assert!(errors.iter().all(|error| (1..=lines).contains(&error.line)), "{:?}", errors);
        }
    }
}
