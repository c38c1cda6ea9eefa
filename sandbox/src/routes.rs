//! Every call the sandbox serves as Dfns, in one table: who may make it, whether it is signed.

use crate::answer::Outcome;
use crate::organisation::State;
use crate::server::Visit;
use crate::{approvals, auth, payouts, policies, transfers, wallets, webhooks};

/// Whether a call spends a user action token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    Yes,
    No,
}

/// One line of the table.
pub(crate) struct Route {
    /// Method and path, `{}` for an id.
    pub(crate) name: &'static str,
    pub(crate) signed: Signed,
    pub(crate) permissions: &'static [&'static str],
    pub(crate) handler: fn(&mut State, &Visit) -> Outcome,
}

const fn open(
    name: &'static str,
    permissions: &'static [&'static str],
    handler: fn(&mut State, &Visit) -> Outcome,
) -> Route {
    Route { name, signed: Signed::No, permissions, handler }
}

const fn signed(
    name: &'static str,
    permissions: &'static [&'static str],
    handler: fn(&mut State, &Visit) -> Outcome,
) -> Route {
    Route { name, signed: Signed::Yes, permissions, handler }
}

const READ_TRANSFERS: &[&str] = &["Wallets:Transfers:Read"];
const REPLACE_TRANSFERS: &[&str] = &["Wallets:Transactions:Create", "Wallets:Transfers:Read"];
const READ_APPROVALS: &[&str] = &["Policies:Evaluations:Read"];

/// A fixed segment stands before an id in the same place: the first match wins.
const ROUTES: &[Route] = &[
    open("POST /auth/action/init", &[], auth::init),
    open("POST /auth/action", &[], auth::complete),
    signed("POST /auth/service-accounts", &[], auth::create_service_account),
    open("POST /payouts/quote", &["Payouts:Create"], payouts::quote),
    signed("POST /payouts", &["Payouts:Create"], payouts::create),
    open("GET /payouts", &["Payouts:Read"], payouts::list),
    open("GET /payouts/{}", &["Payouts:Read"], payouts::get),
    signed("POST /payouts/{}/action", &["Payouts:Update"], payouts::act),
    open("GET /wallets", &["Wallets:Read"], wallets::list),
    open("GET /wallets/{}", &["Wallets:Read"], wallets::get),
    open("GET /wallets/{}/assets", &["Wallets:Read"], wallets::assets),
    open("GET /wallets/{}/history", &["Wallets:Read"], wallets::history),
    signed("POST /wallets/{}/transfers", &["Wallets:Transfers:Create"], transfers::create),
    open("GET /wallets/{}/transfers", READ_TRANSFERS, transfers::list),
    open("GET /wallets/{}/transfers/{}", READ_TRANSFERS, transfers::get),
    signed("PUT /wallets/{}/transfers/{}/abort", &["Wallets:Transfers:Abort"], transfers::abort),
    signed("POST /wallets/{}/transfers/{}/cancel", REPLACE_TRANSFERS, transfers::cancel),
    signed("POST /wallets/{}/transfers/{}/speed-up", REPLACE_TRANSFERS, transfers::speed_up),
    open("GET /networks/fees", &[], wallets::fees),
    open("POST /networks/{}/call-function", &[], wallets::call_function),
    signed("POST /v2/policies", &["Policies:Create"], policies::create),
    open("GET /v2/policies", &["Policies:Read"], policies::list),
    open("GET /v2/policies/{}", &["Policies:Read"], policies::get),
    signed("PUT /v2/policies/{}", &["Policies:Update"], policies::replace),
    signed("DELETE /v2/policies/{}", &["Policies:Delete"], policies::archive),
    open("GET /v2/policy-approvals", READ_APPROVALS, approvals::list),
    open("GET /v2/policy-approvals/{}", READ_APPROVALS, approvals::get),
    signed("POST /v2/policy-approvals/{}/decisions", &["Policies:Evaluations:Vote"], approvals::decide),
    signed("POST /webhooks", &["Webhooks:Create"], webhooks::create),
    open("GET /webhooks", &["Webhooks:Read"], webhooks::list),
    open("GET /webhooks/{}", &["Webhooks:Read"], webhooks::get),
    signed("PUT /webhooks/{}", &["Webhooks:Update"], webhooks::update),
    signed("DELETE /webhooks/{}", &["Webhooks:Delete"], webhooks::delete),
    signed("POST /webhooks/{}/ping", &["Webhooks:Ping"], webhooks::ping),
    open("GET /webhooks/{}/events", &["Webhooks:Events:Read"], webhooks::events),
    open("GET /webhooks/{}/events/{}", &["Webhooks:Events:Read"], webhooks::event),
];

/// The route of a call and the ids in its path.
pub(crate) fn find(method: &str, path: &str) -> Option<(&'static Route, Vec<String>)> {
    ROUTES.iter().find_map(|route| {
        let (route_method, pattern) = route.name.split_once(' ')?;
        if route_method != method {
            return None;
        }
        Some((route, ids(pattern, path)?))
    })
}

fn ids(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    let mut wanted = pattern.split('/');
    let mut given = path.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(ids),
            (Some("{}"), Some(id)) if !id.is_empty() => ids.push(id.to_owned()),
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(_) | None, Some(_)) | (Some(_), None) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_segment_wins_over_an_id() {
        assert_eq!(find("POST", "/payouts/quote").unwrap().0.name, "POST /payouts/quote");
        let (route, ids) = find("PUT", "/wallets/wa-1/transfers/xfr-2/abort").unwrap();
        assert_eq!((route.name, ids), ("PUT /wallets/{}/transfers/{}/abort", vec!["wa-1".into(), "xfr-2".into()]));
        assert!(find("PUT", "/payouts").is_none());
        assert!(find("GET", "/payouts/").is_none());
    }

    #[test]
    fn every_call_is_in_the_readme() {
        let readme = include_str!("../README.md");
        for route in ROUTES {
            assert!(readme.contains(&format!("`{}`", route.name)), "{} is missing", route.name);
        }
    }

    #[test]
    fn every_permission_in_the_table_can_be_given() {
        for route in ROUTES {
            for permission in route.permissions {
                assert!(crate::permissions::ALL.contains(permission), "{permission} of {}", route.name);
            }
        }
    }
}
