//! A Watchman server (moov-io/watchman), asked through its second API.
//!
//! Sources: `docs/api.yaml`, `docs/using-watchman.md` and `internal/search/api_search.go` of that repository, 2026.
//! A server that has not loaded its lists answers every search with nothing, so `/v2/listinfo` is asked each time too.

use std::{collections::BTreeMap, time::Duration};

use futures::{
    FutureExt as _,
    future::{BoxFuture, try_join_all},
};
use jiff::Timestamp;
use reqwest::Url;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::{Answer, Hit, Kind, List, ListVersion, SettingsError, Silent, Subject, WatchmanSettings, index::address};

const NAME: &str = "watchman";

/// The largest answer that is read, in bytes. A hundred entities with all they have are far less.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The most entities the server gives for one search.
const MOST: &str = "100";

/// A Watchman server. Every error, every status but 200, and every late or unreadable answer is no answer.
pub struct Watchman {
    settings: WatchmanSettings,
    base: Url,
    http: reqwest::Client,
}

/// Answer of `GET /v2/listinfo`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListInfo {
    #[serde(deserialize_with = "null_is_empty")]
    lists: BTreeMap<String, u64>,
    #[serde(default)]
    list_hashes: Option<BTreeMap<String, String>>,
    ended_at: Timestamp,
    version: String,
}

/// Answer of `GET /v2/search`.
#[derive(Deserialize)]
struct Found {
    #[serde(deserialize_with = "null_is_empty")]
    entities: Vec<Entity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entity {
    name: String,
    source_list: String,
    #[serde(rename = "sourceID")]
    source_id: String,
    #[serde(rename = "match")]
    likeness: f64,
    #[serde(default)]
    crypto_addresses: Option<Vec<CryptoAddress>>,
}

#[derive(Deserialize)]
struct CryptoAddress {
    address: String,
}

/// Go writes an empty list as `null`. A field that is missing is an error all the same.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Watchman {
    /// Prepares the client. Makes no request.
    ///
    /// # Errors
    /// [`SettingsError::Watchman`] for an address that is none, and a time limit of nothing.
    pub fn new(settings: WatchmanSettings) -> Result<Self, SettingsError> {
        let wrong = |why: String| SettingsError::Watchman(why);
        let expected = "url: expected http:// or https:// and a host, without query";
        let base = Url::parse(&settings.url).map_err(|error| wrong(format!("{expected}: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.query().is_some() || base.fragment().is_some() {
            return Err(wrong(expected.to_owned()));
        }
        if settings.timeout.is_zero() {
            return Err(wrong("timeout: expected more than 0 s".to_owned()));
        }
        // A provider may be there already, put by another client of this process: just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        Ok(Self { settings, base, http })
    }

    async fn versions(&self) -> Result<Vec<ListVersion>, String> {
        let info: ListInfo = self.get("v2/listinfo", &[]).await?;
        let loaded = |list: &String| info.lists.get(list).is_some_and(|entries| *entries > 0);
        if let Some(missing) = self.settings.lists.iter().find(|list| !loaded(list)) {
            return Err(format!("it has not loaded {missing}"));
        }
        if info.lists.values().all(|entries| *entries == 0) {
            return Err("it has loaded no list".to_owned());
        }
        let hash = |list: &String| info.list_hashes.as_ref().and_then(|hashes| hashes.get(list)).cloned();
        let kinds = if self.settings.addresses { vec![Kind::Address, Kind::Name] } else { vec![Kind::Name] };
        let version = |(list, entries): (&String, &u64)| ListVersion {
            name: listed_in(list),
            version: info.version.clone(),
            sha256: hash(list),
            entries: *entries,
            imported_at: info.ended_at,
            kinds: kinds.clone(),
        };
        Ok(info.lists.iter().map(version).collect())
    }

    async fn answer(&self, subject: &Subject) -> Result<Answer, String> {
        let addresses = if self.settings.addresses { subject.addresses.as_slice() } else { &[] };
        let names = try_join_all(subject.names.iter().map(|name| self.name(name)));
        let addresses = try_join_all(addresses.iter().map(|address| self.address(address)));
        let (versions, names, addresses) = futures::try_join!(self.versions(), names, addresses)?;
        Ok(Answer::with_hits(versions, names.into_iter().chain(addresses).flatten()))
    }

    async fn name(&self, name: &str) -> Result<Vec<Hit>, String> {
        let threshold = self.settings.threshold.get();
        let least = format!("{}.{:02}", threshold / 100, threshold % 100);
        let found = self.search(&[("name", name), ("minMatch", &least), ("limit", MOST)]).await?;
        let hits = found.into_iter().map(|entity| (score(entity.likeness), entity));
        let hits = hits.filter(|(score, _)| *score >= threshold);
        Ok(hits.map(|(score, entity)| hit(&entity, Kind::Name, entity.name.clone(), score)).collect())
    }

    /// An address of whatever currency: Watchman compares the currency only where both sides say one.
    async fn address(&self, text: &str) -> Result<Vec<Hit>, String> {
        let text = text.trim();
        if text.contains(':') {
            return Err("it cannot be asked for an address with a colon".to_owned());
        }
        let found = self.search(&[("cryptoAddress", &format!(":{text}")), ("limit", MOST)]).await?;
        let same = |listed: &CryptoAddress| address(&listed.address) == address(text);
        let hits = found.iter().filter_map(|entity| {
            let listed = entity.crypto_addresses.as_ref()?.iter().find(|listed| same(listed))?;
            Some(hit(entity, Kind::Address, listed.address.clone(), 100))
        });
        Ok(hits.collect())
    }

    async fn search(&self, query: &[(&str, &str)]) -> Result<Vec<Entity>, String> {
        let Found { entities } = self.get("v2/search", query).await?;
        match entities.iter().all(|entity| (0.0..=1.0).contains(&entity.likeness)) {
            true => Ok(entities),
            false => Err("it answered with a match that is not between 0 and 1".to_owned()),
        }
    }

    /// No message quotes the address of the request or the answer: both may hold a name.
    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, String> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let broke = |error: reqwest::Error| match error.is_connect() {
            true => "it cannot be reached".to_owned(),
            false => format!("the answer to /{path} broke off"),
        };
        let mut response = self.http.get(url).send().await.map_err(broke)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("it answered /{path} with status {}", response.status().as_u16()));
        }
        let mut body = vec![];
        while let Some(chunk) = response.chunk().await.map_err(broke)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(format!("its answer to /{path} has more than {MAX_ANSWER} bytes"));
            }
        }
        serde_json::from_slice(&body).map_err(|error| {
            format!("its answer to /{path} cannot be read (line {}, column {})", error.line(), error.column())
        })
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, String>>) -> Result<T, Silent> {
        let timeout: Duration = self.settings.timeout;
        let late = |_| Err(format!("it did not answer within {timeout:?}"));
        tokio::time::timeout(timeout, work).await.unwrap_or_else(late).map_err(|why| Silent::new(NAME, why))
    }
}

impl List for Watchman {
    fn name(&self) -> &str {
        NAME
    }

    fn in_force(&self) -> BoxFuture<'_, Result<Vec<ListVersion>, Silent>> {
        self.in_time(self.versions()).boxed()
    }

    fn screen<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<Answer, Silent>> {
        self.in_time(self.answer(subject)).boxed()
    }
}

fn hit(entity: &Entity, matched: Kind, listed: String, score: u8) -> Hit {
    Hit { list: listed_in(&entity.source_list), entry: entity.source_id.clone(), matched, listed, score }
}

fn listed_in(list: &str) -> String {
    format!("{NAME}:{list}")
}

/// 0 to 100 for a likeness of 0 to 1.
fn score(likeness: f64) -> u8 {
    (likeness * 100.0 + 1e-6) as u8
}

impl std::fmt::Debug for Watchman {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watchman").field("settings", &self.settings).finish_non_exhaustive()
    }
}
