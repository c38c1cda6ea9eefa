//! Asks the provider what the beneficiary would get.

use remit_dfns::{Error, Stage};
use remit_workflows::contract::{QuotePayout, Quoted};

use crate::{Activities, NoAnswer, translate};

/// Changes nothing and locks nothing. A refusal (the corridor is not served, the wallet is unknown) is an answer.
/// Source: Dfns OpenAPI 1.807, `POST /payouts/quote`.
pub(crate) async fn quote_payout(all: &Activities, input: QuotePayout) -> Result<Quoted, NoAnswer> {
    match all.dfns.quote(&translate::quote_request(&input.request)).await {
        Ok(quote) => Ok(Quoted::Offers { offers: translate::offers(quote) }),
        Err(Error::Refused { stage: Stage::Call, refusal })
            if matches!(refusal.status, 400 | 404 | 409 | 412 | 422) =>
        {
            Ok(Quoted::Refused { reason: refusal.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}
