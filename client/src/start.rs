//! Starts a payout, once: a repeated start finds the first one, another body under the same id is a conflict.

use remit_domain::{PayoutKey, PayoutRequest};
use remit_workflows::{Payout, names, search};
use serde_json::Value;
use temporalio_client::{
    NamespacedClient, WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStartOptions,
    errors::WorkflowStartError, tonic::IntoRequest,
};
use temporalio_common::{
    data_converters::{RawValue, SerializationContextData, WorkflowSerializationContext},
    protos::temporal::api::{
        common::v1::{Payload, WorkflowExecution},
        history::v1::history_event::Attributes,
        workflowservice::v1::GetWorkflowExecutionHistoryRequest,
    },
    search_attributes::SearchAttributes,
};

use crate::{PayoutClient, StartError, Unavailable, errors::RunFailure};

/// A payout that runs, or has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The payout's key, for ever.
    pub key: PayoutKey,
    /// Its workflow.
    pub workflow_id: String,
    /// The run of it that was started or found.
    pub run_id: String,
    /// Whether this call started it.
    pub how: How,
    /// Whether the id is claimed for this request in the records.
    pub claimed: Claimed,
}

/// Whether a call started a payout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// This call started it.
    New,
    /// It was there already, with the same body.
    Existing,
}

/// Whether a payout's id is claimed for its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is: nothing else can ever be paid under this id.
    Yes,
    /// Not within the time this call waits: no worker is there, or the records are away. It will be, or the run
    /// will fail as a conflict.
    NotYet,
}

impl PayoutClient {
    /// Starts a payout, or finds the one that the same request started before. Waits up to three seconds for the
    /// payout to claim its id, so that a conflict only the records know of is an error here.
    ///
    /// # Errors
    /// [`StartError::Conflict`] when the id belongs to another request, [`StartError::Refused`] when the payout
    /// refuses its input; otherwise there was no answer, and the same call may be made again.
    pub async fn start(&self, request: &PayoutRequest) -> Result<Started, StartError> {
        if self.leaves_a_name(request).await {
            return Err(StartError::NameInClear);
        }
        let key = request.key();
        let workflow_id = key.workflow_id();
        let options = WorkflowStartOptions::new(names::QUEUE, workflow_id.clone())
            .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicateFailedOnly)
            .id_conflict_policy(WorkflowIdConflictPolicy::Fail)
            .search_attributes(SearchAttributes::new(search::at_start(request)))
            .static_summary(request.summary())
            .build();
        let input = RawValue::from_value(request, self.temporal.data_converter().payload_converter());
        let (run_id, how) = match self.temporal.start_workflow(Payout::run, input, options).await {
            Ok(run) => (run.run_id().unwrap_or_default().to_owned(), How::New),
            Err(WorkflowStartError::AlreadyStarted { run_id, .. }) => {
                let run_id = run_id.unwrap_or_default();
                self.compare(request, &workflow_id, &run_id).await?;
                (run_id, How::Existing)
            }
            Err(WorkflowStartError::Rpc(status)) => return Err(Unavailable::because(attempt(&key), &status).into()),
            Err(error) => return Err(Unavailable::new(attempt(&key), error.to_string()).into()),
        };
        let claimed = self.watch_claim(&workflow_id, &run_id).await.map_err(|failure| match failure {
            RunFailure::Conflict(_) => StartError::Conflict { key: key.clone(), differs: vec![] },
            RunFailure::Refused(why) => StartError::Refused { why },
            RunFailure::Terminated(how) => Unavailable::new(attempt(&key), format!("its run was {how}")).into(),
        })?;
        Ok(Started { key, workflow_id, run_id, how, claimed })
    }

    /// As [`PayoutClient::start`], for a request in JSON.
    ///
    /// # Errors
    /// [`StartError::Invalid`] with everything that is wrong with the request; otherwise as [`PayoutClient::start`].
    pub async fn start_json(&self, request: &Value) -> Result<Started, StartError> {
        self.start(&PayoutRequest::parse(request)?).await
    }

    /// Compares with what the run that holds the id was started with.
    async fn compare(&self, request: &PayoutRequest, workflow_id: &str, run_id: &str) -> Result<(), StartError> {
        let unreadable = |why: String| StartError::Unreadable { workflow_id: workflow_id.to_owned(), why };
        let payloads = self.input_of(workflow_id, run_id).await?;
        let context = SerializationContextData::Workflow(WorkflowSerializationContext::new());
        let decoded = self.temporal.data_converter().codec().decode(&context, payloads);
        let payloads = decoded.await.map_err(|error| unreadable(error.to_string()))?;
        let there = read_request(&payloads).map_err(unreadable)?;
        if there.digest() == request.digest() {
            return Ok(());
        }
        Err(StartError::Conflict { key: request.key(), differs: differing_fields(&there, request) })
    }

    async fn input_of(&self, workflow_id: &str, run_id: &str) -> Result<Vec<Payload>, Unavailable> {
        let first_event = GetWorkflowExecutionHistoryRequest {
            namespace: self.temporal.namespace(),
            execution: Some(WorkflowExecution { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() }),
            maximum_page_size: 1,
            ..Default::default()
        };
        let history = self
            .temporal
            .connection()
            .workflow_service()
            .get_workflow_execution_history(first_event.into_request())
            .await
            .map_err(|status| Unavailable::because(format!("compare with {workflow_id}"), &status))?;
        let first = history.into_inner().history.and_then(|history| history.events.into_iter().next());
        let Some(Attributes::WorkflowExecutionStartedEventAttributes(started)) = first.and_then(|e| e.attributes)
        else {
            return Ok(vec![]);
        };
        Ok(started.input.map(|input| input.payloads).unwrap_or_default())
    }
}

fn attempt(key: &PayoutKey) -> String {
    format!("start payout {key}")
}

fn read_request(payloads: &[Payload]) -> Result<PayoutRequest, String> {
    let [payload] = payloads else { return Err(format!("expected one input, found {}", payloads.len())) };
    let encoding = payload.metadata.get("encoding").map(Vec::as_slice).unwrap_or_default();
    if encoding != b"json/plain" {
        return Err(format!("expected json/plain, found {:?}", String::from_utf8_lossy(encoding)));
    }
    let json: Value = serde_json::from_slice(&payload.data).map_err(|error| format!("not JSON: {error}"))?;
    PayoutRequest::parse(&json).map_err(|refusal| refusal.to_string())
}

/// The names of the top-level fields that are not the same in both.
fn differing_fields(one: &PayoutRequest, other: &PayoutRequest) -> Vec<String> {
    let (Ok(Value::Object(one)), Ok(Value::Object(other))) = (serde_json::to_value(one), serde_json::to_value(other))
    else {
        return vec![];
    };
    let mut names: Vec<String> =
        one.keys().chain(other.keys()).filter(|name| one.get(*name) != other.get(*name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(change: impl FnOnce(&mut Value)) -> PayoutRequest {
        let mut json = json!({
            "externalId": "invoice-1", "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k",
            "asset": { "kind": "Erc20", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359" },
            "amount": "1000000000",
            "destination": {
                "kind": "Bank", "provider": "Borderless", "accountId": "acc-1", "instructionsId": "pi-1",
                "currency": "BRL", "country": "BR", "purpose": "salary payment",
            },
        });
        change(&mut json);
        PayoutRequest::parse(&json).expect("a request")
    }

    fn payload(encoding: &str, data: &[u8]) -> Payload {
        let metadata = [("encoding".to_owned(), encoding.as_bytes().to_vec())].into();
        Payload { metadata, data: data.to_vec(), ..Default::default() }
    }

    #[test]
    fn a_conflict_names_the_top_level_fields_that_differ_and_no_others() {
        let base = request(|_| {});
        let other = request(|json| {
            json["amount"] = json!("5");
            json["destination"]["country"] = json!("US");
            json["program"] = json!("payroll");
        });
        assert_eq!(differing_fields(&base, &other), ["amount", "destination", "program"]);
        assert_eq!(differing_fields(&other, &base), ["amount", "destination", "program"]);
        assert!(differing_fields(&base, &request(|_| {})).is_empty());
    }

    #[test]
    fn the_input_of_a_run_is_read_as_the_same_request() {
        let request = request(|_| {});
        let data = serde_json::to_vec(&request).expect("JSON");
        let read = read_request(&[payload("json/plain", &data)]).expect("readable");
        assert_eq!(read.digest(), request.digest());
    }

    #[test]
    fn an_input_that_is_no_request_says_why() {
        let one = |encoding, data| read_request(&[payload(encoding, data)]).expect_err("no request");
        assert!(one("binary/encrypted", b"{}").contains("binary/encrypted"));
        assert!(one("json/plain", b"{").contains("not JSON"));
        assert!(one("json/plain", b"{}").contains("externalId"));
        assert!(read_request(&[]).expect_err("no request").contains("found 0"));
    }
}
