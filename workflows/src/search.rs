//! Search attributes: few, typed, nothing about people. In clear on the server, always.

use std::collections::BTreeSet;

use remit_domain::{PayoutRequest, Stage, TRANSITIONS};
use temporalio_common::{SearchAttributeUpdate, search_attributes::SearchAttributeKey};

use crate::names;

/// Where the payout is.
pub const STAGE: SearchAttributeKey<String> = SearchAttributeKey::keyword(names::SEARCH_STAGE);
/// The caller's program.
pub const PROGRAM: SearchAttributeKey<String> = SearchAttributeKey::keyword(names::SEARCH_PROGRAM);
/// The paying wallet.
pub const WALLET: SearchAttributeKey<String> = SearchAttributeKey::keyword(names::SEARCH_WALLET);
/// The token.
pub const ASSET: SearchAttributeKey<String> = SearchAttributeKey::keyword(names::SEARCH_ASSET);
/// Whom the payout waits for.
pub const WAITS_FOR: SearchAttributeKey<String> = SearchAttributeKey::keyword(names::SEARCH_WAITS_FOR);

/// Whom a payout waits for that waits for nobody in particular. An attribute cannot be taken away again: the server
/// refuses the SDK's way of unsetting one.
pub const NOBODY: &str = "nobody";
/// Whom a payout in doubt waits for.
pub const A_PERSON: &str = "a person";
/// Whom a held transfer waits for.
pub const PROVIDER_APPROVAL: &str = "provider approval";
/// Whom a payout waits for that the policy lets go on only with people's approval.
pub const AN_APPROVAL: &str = "an approval";
/// Whom a payout that was held back waits for.
pub const A_RELEASE: &str = "a release";

/// All names, each of type Keyword: what a server must know before a worker is ready.
pub const ALL: [&str; 5] =
    [names::SEARCH_STAGE, names::SEARCH_PROGRAM, names::SEARCH_WALLET, names::SEARCH_ASSET, names::SEARCH_WAITS_FOR];

/// What a payout carries from its start on (free at start, an Action later).
pub fn at_start(request: &PayoutRequest) -> Vec<SearchAttributeUpdate> {
    let mut all = vec![
        STAGE.value_set(Stage::Requested.as_str().to_owned()),
        WALLET.value_set(request.wallet_id.as_str().to_owned()),
        ASSET.value_set(request.asset.label()),
    ];
    if let Some(program) = &request.program {
        all.push(PROGRAM.value_set(program.as_str().to_owned()));
    }
    all
}

/// Where a payout that goes on can be: every stage that another one follows.
pub fn open_stages() -> BTreeSet<Stage> {
    TRANSITIONS.iter().map(|(from, _, _)| *from).collect()
}
