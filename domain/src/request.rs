//! What a caller asks for: read from plain JSON that any language can write, refused with the field, the value and
//! what was expected.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    Amount, Asset, Attempt, BeneficiaryName, ExternalId, Guards, OnBreach, PayoutKey, Program, Purpose, Source,
    WalletId,
};

/// One payout, checked. Whoever holds one holds valid fields: the only way in is [`PayoutRequest::parse`].
///
/// The JSON form is durable: it is a workflow's input, and its digest is kept for ever. Fields are only added, and
/// only with a default that is left out when written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PayoutRequest {
    /// The caller's own id for this payout. The same id is the same payout, for ever.
    pub external_id: ExternalId,
    /// The wallet that pays. Its network decides on which chain.
    pub wallet_id: WalletId,
    /// The token that is paid with.
    pub asset: Asset,
    /// How much of it, in its smallest unit.
    pub amount: Amount,
    /// Who gets it.
    pub destination: Destination,
    /// What the payout belongs to in the caller's books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// What the quote may not exceed or fall short of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guards: Option<Guards>,
    /// Which attempt at this payout; more than 1 only where an operator has opened it. Not part of the digest: every
    /// attempt pays the same request.
    #[serde(skip_serializing_if = "Attempt::is_first")]
    pub attempt: Attempt,
    /// How it was asked for.
    #[serde(skip_serializing_if = "Source::is_usual")]
    pub source: Source,
    /// Who signed it. Not part of the digest, which is what is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<SignedStart>,
}

/// The signature of a starter that the policy knows, over the start's start statement (`policy::Statement`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct SignedStart {
    /// The starter's name in the policy.
    pub by: String,
    /// Ed25519, base64.
    pub signature: String,
}

/// Reads what [`PayoutRequest::parse`] reads, so that no unchecked request exists, not even one from a history.
impl<'de> serde::Deserialize<'de> for PayoutRequest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// Who gets the money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind")]
pub enum Destination {
    /// A bank account known to a payout provider.
    Bank(BankDestination),
}

/// A bank account, by the ids under which the payout provider knows its owner and the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BankDestination {
    /// The provider that turns tokens into bank money. Today: `Borderless`.
    pub provider: String,
    /// The account holder, as the provider knows it.
    pub account_id: String,
    /// The bank account, as the provider knows it.
    pub instructions_id: String,
    /// What the bank pays out, ISO 4217.
    pub currency: String,
    /// Where the bank is, ISO 3166-1 alpha-2.
    pub country: String,
    /// Why the money is sent.
    pub purpose: Purpose,
    /// Whose account it is, for screening. The provider is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beneficiary_name: Option<BeneficiaryName>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct FieldError {
    /// The field, as a path: `destination.country`.
    pub field: String,
    /// What stood there, or that nothing did.
    pub value: String,
    /// What should have stood there.
    pub expected: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is not accepted; expected {}", self.field, self.value, self.expected)
    }
}

/// Why a request was refused: everything that is wrong with it, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub Vec<FieldError>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(FieldError::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

impl std::error::Error for Refusal {}

impl PayoutRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// Everything that is wrong: missing and unknown fields, wrong types, values outside what is accepted.
    pub fn parse(json: &Value) -> Result<Self, Refusal> {
        let mut errors = Vec::new();
        let Some(mut all) = Fields::open(json, "", &mut errors) else { return Err(Refusal(errors)) };
        let external_id = all.text("externalId", &mut errors, ExternalId::parse);
        let wallet_id = all.text("walletId", &mut errors, WalletId::parse);
        let asset = all.object("asset", &mut errors, asset);
        let amount = all.text("amount", &mut errors, Amount::parse);
        let destination = all.object("destination", &mut errors, destination);
        let program = all.optional_text("program", &mut errors, Program::parse);
        let guards = all.optional_object("guards", &mut errors, guards);
        let attempt = all.attempt(&mut errors);
        let source = all.optional_text("source", &mut errors, Source::parse).unwrap_or_default();
        let signed = all.optional_object("signed", &mut errors, signed);
        all.close(&mut errors);
        match (external_id, wallet_id, asset, amount, destination) {
            (Some(external_id), Some(wallet_id), Some(asset), Some(amount), Some(destination)) if errors.is_empty() => {
                Ok(Self {
                    external_id,
                    wallet_id,
                    asset,
                    amount,
                    destination,
                    program,
                    guards,
                    attempt,
                    source,
                    signed,
                })
            }
            _ => Err(Refusal(errors)),
        }
    }

    /// The key this attempt at the payout has for ever.
    pub fn key(&self) -> PayoutKey {
        self.base_key().attempt(self.attempt)
    }

    /// The key of the payout's first attempt.
    pub fn base_key(&self) -> PayoutKey {
        PayoutKey::of(&self.external_id)
    }

    /// SHA-256 over the request, in hex: two requests are the same exactly when their digests are.
    ///
    /// Taken over the checked form, so that the order of fields, spaces and the case of a contract address make no
    /// difference, with a tag in front so that it can never be taken for a digest of something else.
    pub fn digest(&self) -> String {
        let first = Self { attempt: Attempt::FIRST, signed: None, ..self.clone() };
        let json = serde_json::to_vec(&first).unwrap_or_default(); // a struct of strings always serialises
        let hash = Sha256::new().chain_update(b"remit.payout.v1\n").chain_update(&json).finalize();
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether it says who is paid, which is personal data.
    pub fn carries_a_name(&self) -> bool {
        let Destination::Bank(bank) = &self.destination;
        bank.beneficiary_name.is_some()
    }

    /// One line for people: `1000000000 of Erc20:0x3c49… to a bank account in BR, paid out in BRL`.
    pub fn summary(&self) -> String {
        let Destination::Bank(bank) = &self.destination;
        format!(
            "{} units of {} to a bank account in {}, paid out in {} by {}",
            self.amount,
            self.asset.label(),
            bank.country,
            bank.currency,
            bank.provider
        )
    }
}

fn asset(fields: &mut Fields<'_>, errors: &mut Vec<FieldError>) -> Option<Asset> {
    const KINDS: &str =
        "one of \"Erc20\", \"Spl\", \"Spl2022\" (payouts are made in tokens; native coins cannot be paid out)";
    let kind = fields.text("kind", errors, |kind| match kind {
        "Erc20" | "Spl" | "Spl2022" => Ok(kind.to_owned()),
        _ => Err(KINDS),
    });
    match kind.as_deref() {
        Some("Erc20") => fields.text("contract", errors, Asset::evm_address).map(|contract| Asset::Erc20 { contract }),
        Some("Spl") => fields.text("mint", errors, Asset::solana_address).map(|mint| Asset::Spl { mint }),
        Some(_) => fields.text("mint", errors, Asset::solana_address).map(|mint| Asset::Spl2022 { mint }),
        None => {
            fields.forget_the_rest();
            None
        }
    }
}

fn destination(fields: &mut Fields<'_>, errors: &mut Vec<FieldError>) -> Option<Destination> {
    fields.text("kind", errors, |kind| if kind == "Bank" { Ok(()) } else { Err("\"Bank\"") });
    let provider =
        fields.text("provider", errors, |p| if p == "Borderless" { Ok(p.to_owned()) } else { Err("\"Borderless\"") });
    let account_id = fields.text("accountId", errors, opaque);
    let instructions_id = fields.text("instructionsId", errors, opaque);
    let currency = fields.text("currency", errors, currency);
    let country = fields.text("country", errors, country);
    let purpose = fields.text("purpose", errors, |text| {
        Purpose::parse(text)
            .ok_or("one of the payment purposes, e.g. \"salary payment\" (`remit payout start --help` lists them)")
    });
    let beneficiary_name = fields.optional_name("beneficiaryName", errors);
    Some(Destination::Bank(BankDestination {
        provider: provider?,
        account_id: account_id?,
        instructions_id: instructions_id?,
        currency: currency?,
        country: country?,
        purpose: purpose?,
        beneficiary_name,
    }))
}

/// # Errors
/// What was expected, when the text is no ISO 4217 code.
pub(crate) fn currency(code: &str) -> Result<String, &'static str> {
    let upper = code.bytes().all(|b| b.is_ascii_uppercase());
    iso_currency::Currency::from_code(code)
        .filter(|_| upper)
        .map(|c| c.code().to_owned())
        .ok_or("an ISO 4217 currency code in capitals, e.g. \"BRL\"")
}

/// # Errors
/// What was expected, when the text is no ISO 3166-1 alpha-2 code.
pub(crate) fn country(code: &str) -> Result<String, &'static str> {
    let upper = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    rust_iso3166::from_alpha2(code)
        .filter(|_| upper)
        .map(|c| c.alpha2.to_owned())
        .ok_or("an ISO 3166-1 country code of two capitals, e.g. \"BR\"")
}

fn guards(fields: &mut Fields<'_>, errors: &mut Vec<FieldError>) -> Option<Guards> {
    let before = errors.len();
    let fees_at_most = fields.optional_text("feesAtMost", errors, Guards::amount);
    let fees_at_most_bps = fields.optional_number("feesAtMostBps", errors, 10_000, "basis points, 0 to 10000");
    let receives_at_least = fields.optional_text("receivesAtLeast", errors, Guards::amount);
    let quote_at_most_seconds =
        fields.optional_number("quoteAtMostSeconds", errors, 86_400, "seconds, 1 to 86400").filter(|s| *s > 0);
    let on_breach = fields.optional_text("onBreach", errors, OnBreach::parse).unwrap_or_default();
    let guards = Guards { fees_at_most, fees_at_most_bps, receives_at_least, quote_at_most_seconds, on_breach };
    if guards.are_none() && errors.len() == before {
        let expected = "at least one of feesAtMost, feesAtMostBps, receivesAtLeast, quoteAtMostSeconds";
        errors.push(wrong(fields.path, Some(&Value::Object(Default::default())), expected));
    }
    (errors.len() == before).then_some(guards)
}

fn signed(fields: &mut Fields<'_>, errors: &mut Vec<FieldError>) -> Option<SignedStart> {
    let by = fields.text("by", errors, |name| {
        let fits =
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits { Ok(name.to_owned()) } else { Err("the starter's name in the policy, such as \"payroll\"") }
    });
    let signature = fields.text("signature", errors, |text| {
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        let fits = text.len() == 88 && text.bytes().all(base64);
        if fits { Ok(text.to_owned()) } else { Err("an Ed25519 signature in base64, 88 characters") }
    });
    Some(SignedStart { by: by?, signature: signature? })
}

/// An id that only the provider understands.
fn opaque(text: &str) -> Result<String, &'static str> {
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err("the provider's id: 1 to 128 visible ASCII characters") }
}

/// The fields of one JSON object, taken one by one; what is left over at the end is unknown.
struct Fields<'a> {
    path: &'a str,
    left: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Fields<'a> {
    fn open(json: &'a Value, path: &'a str, errors: &mut Vec<FieldError>) -> Option<Self> {
        let Value::Object(object) = json else {
            let field = if path.is_empty() { "(the whole request)" } else { path };
            errors.push(wrong(field, Some(json), "a JSON object"));
            return None;
        };
        Some(Self { path, left: object.iter().map(|(name, value)| (name.as_str(), value)).collect() })
    }

    fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.path) }
    }

    fn text<T>(
        &mut self,
        field: &str,
        errors: &mut Vec<FieldError>,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let value = self.left.remove(field);
        let parsed = match value {
            Some(Value::String(text)) => parse(text),
            _ => Err("a string"),
        };
        parsed.map_err(|expected| errors.push(wrong(&self.name(field), value, expected))).ok()
    }

    fn optional_text<T>(
        &mut self,
        field: &str,
        errors: &mut Vec<FieldError>,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        if matches!(self.left.get(field), None | Some(Value::Null)) {
            self.left.remove(field);
            return None;
        }
        self.text(field, errors, parse)
    }

    /// A name is personal data: the error does not repeat it.
    fn optional_name(&mut self, field: &str, errors: &mut Vec<FieldError>) -> Option<BeneficiaryName> {
        let value = self.left.remove(field).filter(|value| !value.is_null())?;
        let parsed = value.as_str().ok_or("a string").and_then(BeneficiaryName::parse);
        parsed.map_err(|expected| errors.push(not_shown(&self.name(field), expected))).ok()
    }

    fn object<T>(
        &mut self,
        field: &str,
        errors: &mut Vec<FieldError>,
        read: impl FnOnce(&mut Fields<'_>, &mut Vec<FieldError>) -> Option<T>,
    ) -> Option<T> {
        let name = self.name(field);
        let Some(value) = self.left.remove(field) else {
            errors.push(wrong(&name, None, "a JSON object"));
            return None;
        };
        let mut inner = Fields::open(value, &name, errors)?;
        let read = read(&mut inner, errors);
        inner.close(errors);
        read
    }

    fn optional_object<T>(
        &mut self,
        field: &str,
        errors: &mut Vec<FieldError>,
        read: impl FnOnce(&mut Fields<'_>, &mut Vec<FieldError>) -> Option<T>,
    ) -> Option<T> {
        if matches!(self.left.get(field), None | Some(Value::Null)) {
            self.left.remove(field);
            return None;
        }
        self.object(field, errors, read)
    }

    fn optional_number(&mut self, field: &str, errors: &mut Vec<FieldError>, most: u32, expected: &str) -> Option<u32> {
        let value = self.left.remove(field).filter(|value| !value.is_null())?;
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= most);
        if number.is_none() {
            errors.push(wrong(&self.name(field), Some(value), &format!("a whole number of {expected}")));
        }
        number
    }

    fn attempt(&mut self, errors: &mut Vec<FieldError>) -> Attempt {
        let number = self.optional_number("attempt", errors, Attempt::MOST, "attempts, 1 to 100").unwrap_or(1);
        Attempt::try_from(number).unwrap_or_else(|expected| {
            errors.push(wrong(&self.name("attempt"), Some(&Value::from(number)), expected));
            Attempt::FIRST
        })
    }

    /// For when an error is on record already and what else is here cannot be judged.
    fn forget_the_rest(&mut self) {
        self.left.clear();
    }

    fn close(self, errors: &mut Vec<FieldError>) {
        // Its value may be anything, a name under a misspelled field too.
        for field in self.left.keys() {
            errors.push(not_shown(&self.name(field), "no such field (is the name spelt right?)"));
        }
    }
}

/// For a value that may say who somebody is.
fn not_shown(field: &str, expected: &str) -> FieldError {
    FieldError {
        field: field.to_owned(),
        value: "what stands there (not shown)".to_owned(),
        expected: expected.to_owned(),
    }
}

fn wrong(field: &str, value: Option<&Value>, expected: &str) -> FieldError {
    let value = match value {
        None => "nothing".to_owned(),
        Some(value) => {
            let text = value.to_string();
            match text.char_indices().nth(80) {
                Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
                None => text,
            }
        }
    };
    FieldError { field: field.to_owned(), value, expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "externalId": "invoice-2026-0001",
            "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k",
            "asset": {"kind": "Erc20", "contract": "0x3C499c542cEF5E3811e1192ce70d8cC03d5c3359"},
            "amount": "1000000000",
            "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                            "currency": "BRL", "country": "BR", "purpose": "salary payment"}
        })
    }

    fn errors_of(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut json = good();
        change(&mut json);
        match PayoutRequest::parse(&json) {
            Ok(_) => vec![],
            Err(Refusal(errors)) => errors.iter().map(|e| format!("{} {}", e.field, e.value)).collect(),
        }
    }

    #[test]
    fn a_good_request_reads_and_writes_the_same_json() {
        let request = PayoutRequest::parse(&good()).unwrap();
        let again = PayoutRequest::parse(&serde_json::to_value(&request).unwrap()).unwrap();
        assert_eq!(request, again);
        insta::assert_json_snapshot!(request);
        insta::assert_snapshot!(request.digest());
    }

    #[test]
    fn each_bad_field_is_named_with_its_value() {
        type Case = (fn(&mut Value), &'static str);
        let cases: &[Case] = &[
            (|j| j["amount"] = json!("12.5"), "amount \"12.5\""),
            (|j| j["amount"] = json!(1000), "amount 1000"),
            (|j| j["externalId"] = json!(""), "externalId \"\""),
            (|j| j["walletId"] = json!("my wallet"), "walletId \"my wallet\""),
            (|j| j["asset"] = json!({"kind": "Native"}), "asset.kind \"Native\""),
            (|j| j["asset"]["contract"] = json!("0x12"), "asset.contract \"0x12\""),
            (|j| j["asset"]["mint"] = json!("x"), "asset.mint what stands there (not shown)"),
            (|j| j["destination"]["country"] = json!("usa"), "destination.country \"usa\""),
            (|j| j["destination"]["country"] = json!("br"), "destination.country \"br\""),
            (|j| j["destination"]["currency"] = json!("XYZ"), "destination.currency \"XYZ\""),
            (|j| j["destination"]["purpose"] = json!("fun"), "destination.purpose \"fun\""),
            (|j| j["destination"]["provider"] = json!("Bank of Me"), "destination.provider \"Bank of Me\""),
            (|j| j["destination"]["accountId"] = json!("a b"), "destination.accountId \"a b\""),
            (|j| j["program"] = json!("pay roll"), "program \"pay roll\""),
            (|j| j["memo"] = json!("hi"), "memo what stands there (not shown)"),
            (
                |j| j["destination"]["beneficiaryName"] = json!(" Jane Example"),
                "destination.beneficiaryName what stands there (not shown)",
            ),
            (
                |j| j["destination"]["beneficiaryNme"] = json!("Jane Example"),
                "destination.beneficiaryNme what stands there (not shown)",
            ),
            (|j| j["attempt"] = json!(0), "attempt 0"),
            (|j| j["attempt"] = json!(101), "attempt 101"),
            (|j| j["attempt"] = json!("2"), "attempt \"2\""),
            (|j| j["guards"] = json!({}), "guards {}"),
            (|j| j["guards"] = json!({"onBreach": "ask"}), "guards {}"),
            (|j| j["guards"] = json!({"feesAtMost": 12.5}), "guards.feesAtMost 12.5"),
            (|j| j["guards"] = json!({"feesAtMost": "-1"}), "guards.feesAtMost \"-1\""),
            (|j| j["guards"] = json!({"feesAtMostBps": 10_001}), "guards.feesAtMostBps 10001"),
            (|j| j["guards"] = json!({"receivesAtLeast": "1", "onBreach": "pay"}), "guards.onBreach \"pay\""),
            (
                |j| j["guards"] = json!({"receivesAtLeast": "1", "slippage": 1}),
                "guards.slippage what stands there (not shown)",
            ),
            (|j| j["source"] = json!("fax"), "source \"fax\""),
            (|j| j["signed"] = json!({"by": "a b", "signature": "A".repeat(88)}), "signed.by \"a b\""),
            (|j| j["signed"] = json!({"by": "payroll", "signature": "AAAA"}), "signed.signature \"AAAA\""),
            (|j| *j = json!([1]), "(the whole request) [1]"),
            (
                |j| {
                    j.as_object_mut().unwrap().remove("amount");
                },
                "amount nothing",
            ),
        ];
        for (change, expected) in cases {
            assert_eq!(errors_of(change), [*expected]);
        }
        let long = errors_of(|j| j["externalId"] = json!("x".repeat(300)));
        assert!(long[0].starts_with("externalId \"xxx") && long[0].ends_with("(302 bytes)"), "{long:?}");
    }

    #[test]
    fn a_search_attribute_never_exceeds_what_the_server_takes() {
        let mut json = good();
        json["program"] = json!("p".repeat(64));
        let request = PayoutRequest::parse(&json).unwrap();
        for value in [request.wallet_id.as_str(), &request.asset.label(), "p".repeat(64).as_str()] {
            assert!(value.len() <= 255);
        }
        json["program"] = json!("p".repeat(65));
        assert!(PayoutRequest::parse(&json).is_err());
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let errors = errors_of(|j| {
            j["amount"] = json!("1.0");
            j["destination"]["country"] = json!("usa");
        });
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn the_digest_ignores_spelling_but_no_fact() {
        let base = PayoutRequest::parse(&good()).unwrap().digest();
        let mut same = good();
        same["asset"]["contract"] = json!("0x3c499c542cef5e3811e1192ce70d8cc03d5c3359");
        same["program"] = Value::Null;
        same["guards"] = Value::Null;
        // Another attempt pays the same request, under another key.
        same["attempt"] = json!(2);
        same["source"] = json!("api");
        // What is signed is the digest.
        same["signed"] = json!({"by": "payroll", "signature": "A".repeat(88)});
        assert_eq!(PayoutRequest::parse(&same).unwrap().digest(), base);
        type Change = fn(&mut Value);
        let changes: &[Change] = &[
            |j| j["amount"] = json!("1000000001"),
            |j| j["externalId"] = json!("invoice-2026-0002"),
            |j| j["destination"]["instructionsId"] = json!("pi-2"),
            |j| j["destination"]["accountId"] = json!("acc-2"),
            |j| j["destination"]["purpose"] = json!("other"),
            |j| j["destination"]["beneficiaryName"] = json!("Jane Example"),
            |j| j["program"] = json!("payroll"),
            |j| j["guards"] = json!({"feesAtMost": "25"}),
            |j| j["source"] = json!("file"),
        ];
        for change in changes {
            let mut other = good();
            change(&mut other);
            assert_ne!(PayoutRequest::parse(&other).unwrap().digest(), base);
        }
    }
}
