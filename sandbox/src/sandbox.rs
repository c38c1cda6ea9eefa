//! All organisations of a running sandbox.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::answer::Refusal;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::organisation::{Organisation, State};
use crate::settings::Settings;

/// A running sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) seed: u64,
    pub(crate) base_url: String,
    organisations: RwLock<BTreeMap<String, Arc<Organisation>>>,
    made: AtomicU64,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Sandbox {
    /// # Errors
    /// When the client that delivers webhooks cannot be built.
    pub(crate) fn new(seed: u64, base_url: String, stop: CancellationToken) -> io::Result<Self> {
        // Another part of the process may have chosen a provider already; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent("remit-sandbox")
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { seed, base_url, organisations: RwLock::default(), made: AtomicU64::new(0), http, stop })
    }

    /// Starts an organisation. Ids differ between organisations even when they share a seed:
    /// a seed given here only decides the dice of its faults.
    pub(crate) fn start(
        &self,
        name: Option<String>,
        seed: Option<u64>,
        settings: Settings,
        clock: Clock,
    ) -> Arc<Organisation> {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let mut ids = Ids::new(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(number));
        let id = ids.id("or");
        let name = name.unwrap_or_else(|| format!("organisation {number}"));
        let seed = seed.unwrap_or_else(|| self.seed.wrapping_add(number));
        let state = State::new(id.clone(), name, seed, ids, settings, clock);
        let organisation = Organisation::start(state, self.http.clone(), self.stop.child_token());
        self.organisations.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&organisation));
        organisation
    }

    pub(crate) fn organisation(&self, id: &str) -> Result<Arc<Organisation>, Refusal> {
        self.organisations
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
            .ok_or_else(|| Refusal::missing("organisation", id))
    }

    pub(crate) fn organisations(&self) -> Vec<Arc<Organisation>> {
        self.organisations.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn delete(&self, id: &str) -> Result<(), Refusal> {
        let organisation = self.organisations.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        organisation.ok_or_else(|| Refusal::missing("organisation", id))?.stop.cancel();
        Ok(())
    }

    /// The organisation a bearer token speaks for. Whether the token is good, the organisation decides.
    pub(crate) fn of_token(&self, token: &str) -> Option<Arc<Organisation>> {
        #[derive(Deserialize)]
        struct Claims {
            #[serde(rename = "https://custom/app_metadata")]
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            org_id: String,
        }
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Claims = serde_json::from_slice(&claims).ok()?;
        self.organisation(&claims.metadata.org_id).ok()
    }
}
