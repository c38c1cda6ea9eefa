//! Temporal, as the doctor sees it: there, of a good version, with our namespace and search attributes.

use std::collections::HashMap;

use remit_client::{Patience, PayoutClient, connect};
use remit_workflows::search;
use temporalio_client::{Client, NamespacedClient, tonic::IntoRequest};
use temporalio_common::protos::temporal::api::{
    enums::v1::IndexedValueType, operatorservice::v1::ListSearchAttributesRequest,
    workflowservice::v1::GetSystemInfoRequest,
};

use super::Finding;
use crate::{
    settings::Settings,
    temporal::{identity, options},
};

pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let options = match options(settings) {
        Ok(options) => options,
        Err(failure) => {
            let todo = "correct REMIT_CODEC_KEYS_FILE";
            return vec![Finding::fail("codec keys", format!("{:#}", failure.error), todo)];
        }
    };
    // Where it is said to be; when that cannot be told, connecting says why.
    let address = options.resolve().map(|target| target.connection.target.to_string()).unwrap_or_default();
    let client = match connect(&options, &identity("doctor"), None, Patience::Once).await {
        Ok(client) => client,
        Err(error) => {
            return vec![Finding::fail("Temporal", error.to_string(), "start Temporal, or correct TEMPORAL_ADDRESS")];
        }
    };
    let mut findings = vec![server(&client, &address).await];
    match PayoutClient::new(client.clone()).reachable().await {
        Ok(()) => findings.push(Finding::ok("Temporal namespace", format!("{:?}", client.namespace()))),
        Err(error) => {
            let todo = "create the namespace, or name another in TEMPORAL_NAMESPACE";
            findings.push(Finding::fail("Temporal namespace", error.to_string(), todo));
            return findings;
        }
    }
    findings.push(search_attributes(&client).await);
    findings
}

async fn server(client: &Client, address: &str) -> Finding {
    let asked = GetSystemInfoRequest::default().into_request();
    match client.connection().workflow_service().get_system_info(asked).await {
        Ok(info) => Finding::ok("Temporal", format!("{address}, server {}", info.into_inner().server_version)),
        Err(status) => Finding::fail("Temporal", status.message().to_owned(), "check the address and the credentials"),
    }
}

async fn search_attributes(client: &Client) -> Finding {
    let asked = ListSearchAttributesRequest { namespace: client.namespace() }.into_request();
    match client.connection().operator_service().list_search_attributes(asked).await {
        Ok(there) => judge(&there.into_inner().custom_attributes),
        Err(status) => Finding::warn(
            "search attributes",
            format!("the server does not say: {}", status.message()),
            format!("make sure that these are registered, each of type Keyword: {}", search::ALL.join(", ")),
        ),
    }
}

fn judge(there: &HashMap<String, i32>) -> Finding {
    let keyword = IndexedValueType::Keyword as i32;
    let wrong: Vec<&str> =
        search::ALL.into_iter().filter(|name| there.get(*name).is_some_and(|kind| *kind != keyword)).collect();
    let missing: Vec<&str> = search::ALL.into_iter().filter(|name| !there.contains_key(*name)).collect();
    if !wrong.is_empty() {
        let found = format!("of another type than Keyword: {}", wrong.join(", "));
        return Finding::fail(
            "search attributes",
            found,
            "remove them from the namespace; a worker registers them anew",
        );
    }
    if !missing.is_empty() {
        let found = format!("not registered: {}", missing.join(", "));
        let todo = "a worker that starts registers them; in Temporal Cloud add them first, each of type Keyword";
        return Finding::warn("search attributes", found, todo);
    }
    Finding::ok("search attributes", "all registered")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn missing_search_attributes_are_a_warning_and_those_of_another_type_a_failure() {
        let keyword = IndexedValueType::Keyword as i32;
        let mut there: HashMap<String, i32> = search::ALL.iter().map(|name| ((*name).to_owned(), keyword)).collect();
        assert_eq!(judge(&there).verdict, Verdict::Ok);
        there.remove(search::ALL[1]);
        let missing = judge(&there);
        assert_eq!(missing.verdict, Verdict::Warn);
        assert!(missing.found.contains(search::ALL[1]), "{}", missing.found);
        there.insert(search::ALL[0].to_owned(), IndexedValueType::Text as i32);
        let wrong = judge(&there);
        assert_eq!(wrong.verdict, Verdict::Fail);
        assert!(wrong.found.contains(search::ALL[0]) && !wrong.found.contains(search::ALL[1]), "{}", wrong.found);
    }
}
