//! What may stand where in Rust code. Works on tokens, so comments and strings never look like code.

use crate::{
    none,
    tree::{SourceFile, rust_files},
};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Crates that handle money.
const MONEY: &[&str] = &["domain/src/", "workflows/src/", "activities/src/", "records/src/", "dfns/src/"];
const FLOATS: &[&str] = &["f32", "f64", "as_f64", "to_f32", "to_f64", "from_f32", "from_f64", "from_f64_retain"];

const RETRY_DECISIONS: &[&str] = &["non_retryable", "next_retry_delay"];
/// The one file that decides which errors of an activity are retried.
const DECIDES_RETRIES: &str = "activities/src/failure.rs";
/// Fails a run whose input is refused, so that no starter's retry policy repeats it: no activity, and no choice.
const REFUSES_INPUT: &str = "workflows/src/refusal.rs";
/// Waits for the provider by being retried; may do so as long as its opening says so and names `failure.rs`.
const POLLS: &str = "activities/src/poll";

/// Words that only Dfns says (its words that are plain English, such as `Failed`, cannot be told apart from ours).
const PROVIDER_WORDS: &[&str] = &[
    "AwaitingPayoutInstructions",
    "AwaitingPayoutConfirmation",
    "SubmittingPayoutTransfer",
    "PendingPolicyApproval",
    "DepositProcessing",
    "DisbursementPending",
    "executionStatus",
    "payout.action.required",
    "wallet.transfer.",
    "Wallets:Sign",
    "autoRejectTimeout",
    "approvalGroups",
    "X-DFNS-",
    "x-dfns-",
];
const SPEAKS_PROVIDER: &[&str] = &[
    "dfns/",
    "sandbox/",
    "activities/src/translate.rs",
    "activities/src/translate_policy.rs",
    "tests/",
    "chaos/",
    "fuzz/",
    // What is written without our product, to be compared with it.
    "bench/src/bare_worker.rs",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ident,
    Literal,
    Punct,
}

/// A token and where it stands.
#[derive(Clone)]
struct Token {
    text: String,
    kind: Kind,
    line: usize,
    inside: Inside,
}

#[derive(Clone, Copy, Default)]
struct Inside {
    attribute: Attribute,
    /// An item under `#[cfg(test)]`.
    test: Yes,
    /// An item under `#[activity_definitions]`, whose macro wants bodies that nobody runs.
    contract: Yes,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Yes {
    #[default]
    No,
    Yes,
}

/// Which attribute a token is part of.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Attribute {
    #[default]
    None,
    Ignore,
    Other,
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let stream: TokenStream = text.parse().map_err(|error| format!("not Rust: {error}"))?;
    let mut found = vec![];
    flatten(stream, Inside::default(), &mut found);
    Ok(found)
}

fn flatten(stream: TokenStream, outside: Inside, found: &mut Vec<Token>) {
    let mut inside = outside;
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        let (text, kind) = match tree {
            TokenTree::Punct(hash) if hash.as_char() == '#' => {
                trees.next_if(|next| matches!(next, TokenTree::Punct(bang) if bang.as_char() == '!'));
                let Some(TokenTree::Group(attribute)) =
                    trees.next_if(|next| matches!(next, TokenTree::Group(g) if g.delimiter() == Delimiter::Bracket))
                else {
                    continue;
                };
                let words = idents(attribute.stream());
                let has = |word: &str| words.iter().any(|other| other == word);
                match words.first().map(String::as_str) {
                    Some("doc") => continue,
                    Some("cfg") if has("test") && !has("not") => inside.test = Yes::Yes,
                    Some("test") | Some("tokio") => inside.test = Yes::Yes,
                    Some("activity_definitions") => inside.contract = Yes::Yes,
                    _ => {}
                }
                let ignores =
                    words.first().is_some_and(|word| word == "ignore" || (word == "cfg_attr" && has("ignore")));
                let attribute_kind = if ignores { Attribute::Ignore } else { Attribute::Other };
                flatten(attribute.stream(), Inside { attribute: attribute_kind, ..inside }, found);
                continue;
            }
            TokenTree::Group(group) => {
                flatten(group.stream(), inside, found);
                // The item that an attribute was for ends with its braces.
                if group.delimiter() == Delimiter::Brace {
                    inside = outside;
                }
                continue;
            }
            TokenTree::Punct(punct) => {
                if punct.as_char() == ';' {
                    inside = outside;
                }
                (punct.as_char().to_string(), Kind::Punct)
            }
            TokenTree::Ident(ident) => (ident.to_string(), Kind::Ident),
            TokenTree::Literal(literal) => (literal.to_string(), Kind::Literal),
        };
        found.push(Token { text, kind, line, inside });
    }
}

fn idents(stream: TokenStream) -> Vec<String> {
    let mut found = vec![];
    flatten(stream, Inside::default(), &mut found);
    found.into_iter().filter(|token| token.kind == Kind::Ident).map(|token| token.text).collect()
}

fn opens_with_its_purpose(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.contains("@generated") || first.strip_prefix("//! ").is_some_and(|purpose| !purpose.trim().is_empty())
}

fn floats(tokens: &[Token]) -> Vec<&Token> {
    let is_float = |token: &Token| match token.kind {
        Kind::Ident => FLOATS.contains(&token.text.as_str()),
        // Without a suffix `1.5` may be a factor of a backoff; a float that meets money names its type somewhere.
        Kind::Literal => {
            token.text.starts_with(|c: char| c.is_ascii_digit())
                && !token.text.starts_with("0x")
                && (token.text.ends_with("f32") || token.text.ends_with("f64"))
        }
        Kind::Punct => false,
    };
    // `_: f64` throws one away, as a serde visitor must when it meets one.
    let thrown_away = |at: usize| at >= 2 && tokens[at - 2].text == "_" && tokens[at - 1].text == ":";
    (0..tokens.len()).filter(|at| is_float(&tokens[*at]) && !thrown_away(*at)).map(|at| &tokens[at]).collect()
}

fn ignored_tests(tokens: &[Token]) -> Vec<&Token> {
    tokens.iter().filter(|token| token.text == "ignore" && token.inside.attribute == Attribute::Ignore).collect()
}

fn unfinished(tokens: &[Token]) -> Vec<&Token> {
    let calls =
        tokens.windows(2).filter(|pair| pair[0].kind == Kind::Ident && pair[1].text == "!").map(|pair| &pair[0]);
    calls
        .filter(|name| name.text == "todo" || (name.text == "unimplemented" && name.inside.contract == Yes::No))
        .collect()
}

fn may_decide_retries(path: &str, text: &str) -> bool {
    let mut opening = text.lines().take_while(|line| line.starts_with("//!"));
    path == DECIDES_RETRIES
        || path == REFUSES_INPUT
        || (path.starts_with(POLLS) && opening.any(|line| line.contains("failure.rs")))
}

fn retry_decisions(tokens: &[Token]) -> Vec<&Token> {
    let decides = |token: &&Token| {
        token.kind == Kind::Ident && RETRY_DECISIONS.contains(&token.text.as_str()) && token.inside.test == Yes::No
    };
    tokens.iter().filter(decides).collect()
}

fn provider_words(tokens: &[Token]) -> Vec<&Token> {
    let says = |token: &&Token| {
        token.kind != Kind::Punct
            && token.inside.test == Yes::No
            && PROVIDER_WORDS.iter().any(|word| token.text.contains(word))
    };
    tokens.iter().filter(says).collect()
}

/// `path:line: token` for what a rule finds in the files it is for.
fn search(files: impl Iterator<Item = &'static SourceFile>, rule: fn(&[Token]) -> Vec<&Token>) -> Vec<String> {
    let mut all = vec![];
    for file in files {
        match tokens(&file.text) {
            Ok(tokens) => {
                all.extend(rule(&tokens).iter().map(|token| format!("{}:{}: {}", file.path, token.line, token.text)));
            }
            Err(error) => all.push(format!("{}: {error}", file.path)),
        }
    }
    all
}

fn under(file: &SourceFile, places: &[&str]) -> bool {
    places.iter().any(|place| file.path.starts_with(place))
}

/// Files that hold tests alone: `tests.rs`, and what is in a folder `tests`.
fn is_test(file: &SourceFile) -> bool {
    file.path.ends_with("/tests.rs") || file.path.split('/').any(|folder| folder == "tests")
}

#[test]
fn every_module_opens_with_its_purpose() {
    let silent = rust_files().filter(|file| !opens_with_its_purpose(&file.text)).map(|file| file.path.clone());
    none("files whose first line is not `//! …`:", silent.collect());
}

#[test]
fn no_binary_float_comes_near_money() {
    none("binary floats:", search(rust_files().filter(|file| under(file, MONEY)), floats));
}

#[test]
fn no_test_is_ignored() {
    none("ignored tests:", search(rust_files(), ignored_tests));
}

#[test]
fn nothing_is_left_for_later() {
    none("unfinished code:", search(rust_files(), unfinished));
}

#[test]
fn one_file_decides_what_is_retried() {
    let others = rust_files().filter(|file| !may_decide_retries(&file.path, &file.text) && !is_test(file));
    none(&format!("retry decisions outside {DECIDES_RETRIES}:"), search(others, retry_decisions));
}

#[test]
fn the_providers_words_stay_with_those_who_speak_to_it() {
    let others = rust_files().filter(|file| !under(file, SPEAKS_PROVIDER) && !is_test(file));
    none("words of Dfns:", search(others, provider_words));
}

/// What a rule finds in a piece of code, for the tests below.
fn found(code: &str, rule: fn(&[Token]) -> Vec<&Token>) -> Vec<String> {
    let tokens = tokens(code).expect("it is Rust");
    rule(&tokens).iter().map(|token| format!("{}:{}", token.line, token.text)).collect()
}

#[test]
fn a_module_without_a_purpose_is_found() {
    assert!(opens_with_its_purpose("//! Moves money.\n"));
    assert!(opens_with_its_purpose("// @generated by a tool\n"));
    for silent in ["", "//!\n", "//!   \n", "// Moves money.\n", "use std::fs;\n//! Too late.\n"] {
        assert!(!opens_with_its_purpose(silent), "{silent:?}");
    }
}

#[test]
fn a_float_is_found_and_a_word_about_floats_is_not() {
    assert_eq!(found("fn a(x: f64) {}\nlet y = x as f32;", floats), ["1:f64", "2:f32"]);
    assert_eq!(found("let a = 1.5f32; let b = 2f64;", floats), ["1:1.5f32", "1:2f64"]);
    assert_eq!(found("value.as_f64()", floats), ["1:as_f64"]);
    assert_eq!(found("fn visit_f64(self, value: f64) {}", floats), ["1:f64"]);
    assert!(found("fn visit_f64(self, _: f64) {}", floats).is_empty());
    assert!(
        found("// no f64\n/// nor f32\nfn a() { let b = \"f64 1.5\"; c.0.1; 0xf64; 15; d.as_secs_f64() }", floats)
            .is_empty()
    );
}

#[test]
fn an_ignored_test_is_found() {
    assert_eq!(found("#[test]\n#[ignore]\nfn a() {}", ignored_tests), ["2:ignore"]);
    assert_eq!(found("#[ignore = \"slow\"]\nfn a() {}", ignored_tests), ["1:ignore"]);
    assert_eq!(found("#[cfg_attr(unix, ignore)]\nfn a() {}", ignored_tests), ["1:ignore"]);
    assert!(found("// #[ignore]\nfn ignore() { ignore(); }", ignored_tests).is_empty());
}

#[test]
fn unfinished_code_is_found_outside_the_contract() {
    assert_eq!(found("fn a() { todo!() }", unfinished), ["1:todo"]);
    assert_eq!(found("fn a() {\n unimplemented!() }", unfinished), ["2:unimplemented"]);
    let contract = "#[activity_definitions]\nimpl A { pub fn b(_: C) -> D { unimplemented!() } }\n";
    assert!(found(contract, unfinished).is_empty());
    assert_eq!(found(&format!("{contract}fn e() {{ unimplemented!() }}"), unfinished), ["3:unimplemented"]);
    assert!(found("// todo!()\nlet a = \"todo!\"; todo(b);", unfinished).is_empty());
}

#[test]
fn a_retry_decision_is_found_outside_tests() {
    assert_eq!(found("Failure::non_retryable(e)", retry_decisions), ["1:non_retryable"]);
    assert_eq!(found("a.next_retry_delay(b)", retry_decisions), ["1:next_retry_delay"]);
    assert!(found("#[cfg(test)]\nmod tests { fn a() { b.non_retryable } }", retry_decisions).is_empty());
    assert!(found("#[tokio::test]\nasync fn a() { b.non_retryable }", retry_decisions).is_empty());
    assert_eq!(found("#[cfg(test)]\nuse a;\nfn b() { c.non_retryable }", retry_decisions), ["3:non_retryable"]);
    assert_eq!(found("#[cfg(not(test))]\nfn b() { c.non_retryable }", retry_decisions), ["2:non_retryable"]);
}

#[test]
fn a_poll_decides_on_its_retries_when_it_says_so() {
    assert!(may_decide_retries("activities/src/failure.rs", ""));
    assert!(may_decide_retries(
        "activities/src/poll.rs",
        "//! Waits.\n//! Its retry is no failure: the exception to failure.rs.\n"
    ));
    assert!(!may_decide_retries("activities/src/poll.rs", "//! Waits.\nuse a; // failure.rs\n"));
    assert!(!may_decide_retries("worker/src/run.rs", "//! See failure.rs.\n"));
}

#[test]
fn a_word_of_the_provider_is_found_in_names_and_strings() {
    assert_eq!(found("Status::AwaitingPayoutConfirmation", provider_words), ["1:AwaitingPayoutConfirmation"]);
    assert_eq!(found("if status == \"DepositProcessing\" {}", provider_words), ["1:\"DepositProcessing\""]);
    assert!(found("/// Until DepositProcessing.\nfn settling() {} // DisbursementPending", provider_words).is_empty());
    assert!(found("Status::Failed; WorkflowExecutionStatus::Running", provider_words).is_empty());
}
