//! The echo check: what the provider says it was asked for must be what we asked, in every field.

use serde::{Deserialize, Serialize};

use crate::{Asked, Asset, Destination, PayoutKey, PayoutRequest, Requester};

/// One field that came back other than it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// What we asked for.
    pub asked: String,
    /// What the provider says.
    pub read: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: asked {:?}, the provider says {:?}", self.field, self.asked, self.read)
    }
}

/// Every field that differs between what we asked and what the provider says. Empty means: the same payout.
pub fn echo_check(request: &PayoutRequest, key: &PayoutKey, read: &Asked) -> Vec<Difference> {
    let Destination::Bank(bank) = &request.destination;
    let amount = request.amount.to_string();
    let asset_read = read.asset.as_ref().map_or_else(|| "a token of an unknown kind".to_owned(), Asset::label);
    let requester = match &read.requester {
        Requester::Us => "us".to_owned(),
        Requester::Other { id } => id.clone(),
        Requester::NotSaid => "nobody".to_owned(),
    };
    let external_id = read.external_id.clone().unwrap_or_default();
    let fields = [
        ("externalId", key.as_str(), external_id.as_str()),
        ("walletId", request.wallet_id.as_str(), &read.wallet_id),
        ("amount", &amount, &read.amount),
        ("provider", &bank.provider, &read.provider),
        ("accountId", &bank.account_id, &read.account_id),
        ("instructionsId", &bank.instructions_id, &read.instructions_id),
        ("currency", &bank.currency, &read.currency),
        ("country", &bank.country, &read.country),
        ("purpose", bank.purpose.as_str(), &read.purpose),
        ("requester", "us", &requester),
    ];
    let mut differences: Vec<Difference> = fields
        .into_iter()
        .filter(|(_, asked, read)| asked != read)
        .map(|(field, asked, read)| difference(field, asked, read))
        .collect();
    if !read.asset.as_ref().is_some_and(|asset| same_asset(asset, &request.asset)) {
        differences.push(difference("asset", &request.asset.label(), &asset_read));
    }
    differences
}

/// EVM addresses are the same in any case; Solana's are not.
fn same_asset(a: &Asset, b: &Asset) -> bool {
    match (a, b) {
        (Asset::Erc20 { contract: a }, Asset::Erc20 { contract: b }) => a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    }
}

fn difference(field: &str, asked: &str, read: &str) -> Difference {
    Difference { field: field.into(), asked: asked.into(), read: read.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request() -> PayoutRequest {
        PayoutRequest::parse(&json!({
            "externalId": "po-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k",
            "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"}, "amount": "1000",
            "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                            "currency": "BRL", "country": "BR", "purpose": "other"}
        }))
        .unwrap()
    }

    fn echo() -> Asked {
        Asked {
            external_id: Some("po-1".into()),
            wallet_id: "wa-5pfuu-9euek-h0odgb6snva8ph3k".into(),
            asset: Some(Asset::Erc20 { contract: "0x3C499c542cEF5E3811e1192ce70d8cC03d5c3359".into() }),
            amount: "1000".into(),
            provider: "Borderless".into(),
            account_id: "acc-1".into(),
            instructions_id: "pi-1".into(),
            currency: "BRL".into(),
            country: "BR".into(),
            purpose: "other".into(),
            requester: Requester::Us,
        }
    }

    #[test]
    fn a_true_echo_has_no_difference() {
        assert_eq!(echo_check(&request(), &request().key(), &echo()), []);
    }

    #[test]
    fn every_single_field_that_differs_is_found() {
        type Change = (&'static str, fn(&mut Asked));
        let changes: &[Change] = &[
            ("externalId", |a| a.external_id = Some("po-2".into())),
            ("externalId", |a| a.external_id = None),
            ("walletId", |a| a.wallet_id.push('x')),
            ("asset", |a| a.asset = None),
            ("asset", |a| a.asset = Some(Asset::Spl { mint: "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359".into() })),
            ("amount", |a| a.amount = "1001".into()),
            ("amount", |a| a.amount = "01000".into()),
            ("provider", |a| a.provider = "borderless".into()),
            ("accountId", |a| a.account_id = "acc-2".into()),
            ("instructionsId", |a| a.instructions_id = "pi-2".into()),
            ("currency", |a| a.currency = "USD".into()),
            ("country", |a| a.country = "US".into()),
            ("purpose", |a| a.purpose = "education".into()),
            ("requester", |a| a.requester = Requester::NotSaid),
            ("requester", |a| a.requester = Requester::Other { id: "us-x".into() }),
        ];
        for (field, change) in changes {
            let mut read = echo();
            change(&mut read);
            let found = echo_check(&request(), &request().key(), &read);
            assert_eq!(found.iter().map(|d| d.field.as_str()).collect::<Vec<_>>(), [*field]);
        }
    }

    #[test]
    fn a_difference_says_what_was_asked_and_what_came_back() {
        let differences = echo_check(&request(), &request().key(), &Asked { amount: "999".into(), ..echo() });
        let said: Vec<String> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["amount: asked \"1000\", the provider says \"999\""]);
    }
}
