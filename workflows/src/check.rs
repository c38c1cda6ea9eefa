//! Says how a payout would go as things are: a short run that asks the policy, the records and the provider, and changes
//! nothing.

use remit_domain::{ExternalId, PayoutKey, PayoutRequest};
use serde::{Deserialize, Serialize};
use temporalio_common::data_converters::RawValue;
use temporalio_macros::{workflow, workflow_methods};
use temporalio_workflow::{WorkflowCancellationToken, WorkflowContext, WorkflowContextView, WorkflowResult};

use crate::{
    contract::{CheckPayout, Checking, PayoutActivities},
    names,
    options::{self, Urgency},
    refusal,
};

/// Somebody waits for the answer.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Input of the workflow `payout_check`: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CheckOrder {
    /// A payout that has been started, by the caller's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// One that has not, as it would be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<PayoutRequest>,
}

/// The workflow that checks.
#[workflow]
pub struct PayoutCheckRun {
    input: Result<CheckPayout, String>,
}

#[workflow_methods]
impl PayoutCheckRun {
    #[init]
    fn new(_: &WorkflowContextView, input: RawValue) -> Self {
        Self { input: read(&input) }
    }

    /// Looks, and says.
    #[run(name = names::PAYOUT_CHECK)]
    pub async fn run(ctx: &mut WorkflowContext<Self>) -> WorkflowResult<Checking> {
        let input = ctx.state(|wf| wf.input.clone()).map_err(refusal::refused)?;
        let scope = WorkflowCancellationToken::new();
        let options = options::provider("say how it would go", Urgency::Begin, ANSWER_WITHIN, &scope);
        let checking = ctx.execute_activity(PayoutActivities::check_payout, input, options).await;
        checking.map_err(|error| refusal::no_answer(&error))
    }
}

fn read(raw: &RawValue) -> Result<CheckPayout, String> {
    const EXPECTED: &str = "expected one JSON object with either externalId or request";
    let [payload] = raw.payloads.as_slice() else { return Err(EXPECTED.into()) };
    let order = serde_json::from_slice(&payload.data).map_err(|error| format!("{EXPECTED}: {error}"))?;
    match order {
        CheckOrder { external_id: Some(id), request: None } => {
            let id = ExternalId::parse(&id)
                .map_err(|expected| format!("externalId: {id:?} is not accepted; expected {expected}"))?;
            Ok(CheckPayout { key: PayoutKey::of(&id), request: None })
        }
        CheckOrder { external_id: None, request: Some(request) } => {
            Ok(CheckPayout { key: request.base_key(), request: Some(request) })
        }
        CheckOrder { .. } => Err(EXPECTED.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use temporalio_common::data_converters::PayloadConverter;

    use super::*;

    fn read_json(input: Value) -> Result<CheckPayout, String> {
        read(&RawValue::from_value(&input, &PayloadConverter::serde_json()))
    }

    fn request() -> Value {
        json!({
            "externalId": "inv-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "amount": "1",
            "asset": {"kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359"},
            "destination": {"kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                            "currency": "BRL", "country": "BR", "purpose": "salary payment"},
        })
    }

    #[test]
    fn a_payout_is_named_or_described_and_never_both() {
        let named = read_json(json!({"externalId": "inv-1"})).expect("a name");
        let described = read_json(json!({"request": request()})).expect("a request");
        assert_eq!((named.key, named.request.is_some()), (described.key, false));
        assert!(described.request.is_some());
        for wrong in
            [json!({}), json!({"externalId": "inv-1", "request": request()}), json!({"id": "inv-1"}), json!([])]
        {
            assert!(read_json(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
