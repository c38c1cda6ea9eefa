//! Makes sure that the server knows our search attributes: an unregistered one fails workflow tasks, for ever.

use std::{collections::HashMap, time::Duration};

use remit_workflows::search;
use temporalio_client::{
    Client, NamespacedClient,
    tonic::{Code, IntoRequest, Status},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::IndexedValueType,
    operatorservice::v1::{AddSearchAttributesRequest, ListSearchAttributesRequest},
};

/// Why the server's search attributes are not what this build needs.
#[derive(Debug, thiserror::Error)]
pub enum SearchAttributesError {
    /// One has another type, which nobody can change.
    #[error(
        "search attribute {name} of namespace {namespace:?} has type {found}; expected Keyword. A type cannot be changed: use another namespace"
    )]
    OtherType {
        /// The attribute.
        name: String,
        /// Where.
        namespace: String,
        /// Its type there.
        found: String,
    },
    /// Some are missing and cannot be added by us.
    #[error(
        "search attributes are missing in namespace {namespace:?} and could not be added: {why}. Register them as Keyword: {}. On Temporal Cloud, the same names in the namespace's settings, or `tcld namespace search-attributes add`",
        commands(.names, .namespace)
    )]
    Missing {
        /// The attributes.
        names: Vec<String>,
        /// Where.
        namespace: String,
        /// What the server said.
        why: String,
    },
    /// There is no such namespace.
    #[error(
        "Temporal has no namespace {namespace:?}; create it with `temporal operator namespace create --namespace {namespace}`"
    )]
    NoNamespace {
        /// Its name.
        namespace: String,
    },
    /// The server did not answer. Asking again may help.
    #[error("the search attributes of namespace {namespace:?} cannot be looked at: {why}")]
    Away {
        /// Where.
        namespace: String,
        /// What stood in the way.
        why: String,
    },
}

/// The server's own caches take a while to know of a new attribute.
const READ_BACK_TRIES: u32 = 40;
const READ_BACK_EVERY: Duration = Duration::from_millis(250);

/// Adds the search attributes that are missing, then reads all back and compares their types: asked to add one that
/// exists, the server says yes even when the type differs.
///
/// # Errors
/// When one has another type, or is missing and the server does not let us add it, as on Temporal Cloud.
pub async fn ensure_search_attributes(client: &Client) -> Result<(), SearchAttributesError> {
    let namespace = client.namespace();
    let missing = missing(&namespace, &list(client, &namespace).await?)?;
    if missing.is_empty() {
        return Ok(());
    }
    let refused = |why: &str| SearchAttributesError::Missing {
        names: missing.clone(),
        namespace: namespace.clone(),
        why: why.to_owned(),
    };
    let keyword = IndexedValueType::Keyword as i32;
    let request = AddSearchAttributesRequest {
        namespace: namespace.clone(),
        search_attributes: missing.iter().map(|name| (name.clone(), keyword)).collect(),
    };
    tracing::info!(namespace, "Registering search attributes {}", missing.join(", "));
    match client.connection().operator_service().add_search_attributes(request.into_request()).await {
        Ok(_) => {}
        // Another worker was faster.
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) if is_away(&status) => return Err(away(&namespace, &status)),
        Err(status) => return Err(refused(status.message())),
    }
    for _ in 0..READ_BACK_TRIES {
        if self::missing(&namespace, &list(client, &namespace).await?)?.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(READ_BACK_EVERY).await;
    }
    Err(refused("the server took them, and does not list them"))
}

async fn list(client: &Client, namespace: &str) -> Result<HashMap<String, i32>, SearchAttributesError> {
    let request = ListSearchAttributesRequest { namespace: namespace.to_owned() };
    match client.connection().operator_service().list_search_attributes(request.into_request()).await {
        Ok(answer) => Ok(answer.into_inner().custom_attributes),
        Err(status) if status.code() == Code::NotFound => {
            Err(SearchAttributesError::NoNamespace { namespace: namespace.to_owned() })
        }
        Err(status) => Err(away(namespace, &status)),
    }
}

/// Which of ours are not there.
fn missing(namespace: &str, there: &HashMap<String, i32>) -> Result<Vec<String>, SearchAttributesError> {
    let mut missing = vec![];
    for name in search::ALL {
        match there.get(name) {
            None => missing.push(name.to_owned()),
            Some(found) if *found == IndexedValueType::Keyword as i32 => {}
            Some(found) => {
                return Err(SearchAttributesError::OtherType {
                    name: name.to_owned(),
                    namespace: namespace.to_owned(),
                    found: IndexedValueType::try_from(*found).map_or_else(|_| found.to_string(), |t| format!("{t:?}")),
                });
            }
        }
    }
    Ok(missing)
}

fn is_away(status: &Status) -> bool {
    [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled, Code::ResourceExhausted].contains(&status.code())
}

fn away(namespace: &str, status: &Status) -> SearchAttributesError {
    SearchAttributesError::Away { namespace: namespace.to_owned(), why: status.message().to_owned() }
}

fn commands(names: &[String], namespace: &str) -> String {
    let flags: Vec<String> = names.iter().map(|name| format!("--name {name} --type Keyword")).collect();
    format!("`temporal operator search-attribute create --namespace {namespace} {}`", flags.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(names: &[&str], of: IndexedValueType) -> HashMap<String, i32> {
        names.iter().map(|name| ((*name).to_owned(), of as i32)).collect()
    }

    #[test]
    fn what_is_not_there_is_missing_and_what_is_somebody_elses_does_not_matter() {
        let all = there(&search::ALL, IndexedValueType::Keyword);
        assert!(missing("n", &all).expect("agrees").is_empty());
        let mut others = there(&search::ALL[1..], IndexedValueType::Keyword);
        others.insert("CustomIntField".into(), IndexedValueType::Int as i32);
        assert_eq!(missing("n", &others).expect("agrees"), [search::ALL[0]]);
    }

    #[test]
    fn another_type_is_an_error_that_names_both() {
        let error = missing("n", &there(&search::ALL, IndexedValueType::Text)).expect_err("Text").to_string();
        assert!(error.contains(search::ALL[0]) && error.contains("Text") && error.contains("Keyword"), "{error}");
    }

    #[test]
    fn a_refusal_says_how_to_register_them_by_hand() {
        let error = SearchAttributesError::Missing {
            names: vec!["RemitStage".into(), "RemitAsset".into()],
            namespace: "pay".into(),
            why: "not allowed".into(),
        };
        let text = error.to_string();
        assert!(text.contains("--namespace pay --name RemitStage --type Keyword --name RemitAsset"), "{text}");
        assert!(text.contains("Temporal Cloud") && text.contains("not allowed"), "{text}");
    }
}
