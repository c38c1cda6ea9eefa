//! The connection to Dfns: sends one request, signs it where needed, and says how far it came.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Refusal, SettingsError, Stage};
use crate::rate::{self, RateLimit};
use crate::settings::{Account, Credentials, Host, Settings};
use crate::signing::{Challenge, Init, Signer, UserAction};
use crate::wire;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// What takes longer to fail than this is not tried again here.
const QUICKLY: Duration = Duration::from_secs(2);

/// A client of the Dfns API. Cloning is cheap and shares the connections.
///
/// A signed call is three requests (init, complete, the call); all count against the budget.
/// Dropping a call's future half-way leaves its outcome unknown, as [`Error::Lost`] does.
#[derive(Clone)]
pub struct Dfns {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    base_url: String,
    identity: RwLock<Arc<Identity>>,
    unauthorized: AtomicU64,
    rate: Mutex<RateLimit>,
}

/// Who calls. All requests of one call use the same.
struct Identity {
    authorization: HeaderValue,
    signer: Signer,
    credential_id: String,
    account: Account,
}

impl Identity {
    fn new(credentials: &Credentials) -> Result<Self, SettingsError> {
        Ok(Self {
            authorization: credentials.authorization()?,
            signer: Signer::new(credentials)?,
            credential_id: credentials.credential_id.clone(),
            account: credentials.account(),
        })
    }
}

impl std::fmt::Debug for Dfns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let identity = self.identity();
        f.debug_struct("Dfns")
            .field("base_url", &self.inner.base_url)
            .field("credential_id", &identity.credential_id)
            .field("key", &identity.signer.kind())
            .finish_non_exhaustive()
    }
}

/// A value with what the answer said around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// The body.
    pub value: T,
    /// The answer's `Date` header: the provider's clock, to compare with the provider's dates.
    pub date: Option<Timestamp>,
    /// The request budget as of this answer.
    pub rate: RateLimit,
}

/// One page of a list. The order of items is not documented; do not rely on one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Asks for the next page; `None` on the last one.
    #[serde(default)]
    pub next_page_token: Option<String>,
}

/// Which page of a list, for lists without filters.
#[derive(Debug, Clone, Default)]
pub struct PageQuery {
    /// Most items to return. The allowed range differs per list.
    pub limit: Option<u32>,
    /// [`Page::next_page_token`] of the page before.
    pub pagination_token: Option<String>,
}

impl PageQuery {
    pub(crate) fn pairs(&self) -> Query {
        let mut pairs = Query::new();
        pairs.extend(self.limit.map(|n| ("limit", n.to_string())));
        pairs.extend(self.pagination_token.clone().map(|t| ("paginationToken", t)));
        pairs
    }
}

/// Query parameters, not yet encoded.
pub(crate) type Query = Vec<(&'static str, String)>;

impl Dfns {
    /// Checks the settings and prepares the client. Makes no request.
    ///
    /// # Errors
    /// [`SettingsError`] naming the field that cannot work.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let (base_url, host) = settings.base()?;
        let identity = Identity::new(&settings.credentials())?;
        for (field, limit) in [("connect_timeout", settings.connect_timeout), ("timeout", settings.timeout)] {
            if limit.is_zero() {
                return Err(SettingsError::Field { field, problem: "expected more than 0 s, got 0 s".to_owned() });
            }
        }
        let headers = HeaderMap::from_iter([(USER_AGENT, settings.user_agent()?)]);
        // A provider may be there already, put by another client of this process: just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        if host == Host::Loopback {
            http = http.no_proxy();
        }
        let inner = Inner {
            http: http.build().map_err(SettingsError::Http)?,
            base_url,
            identity: RwLock::new(Arc::new(identity)),
            unauthorized: AtomicU64::new(0),
            rate: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The request budget as of the latest answer that told it.
    pub fn rate_limit(&self) -> RateLimit {
        *self.inner.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts other credentials of the same account in the place of those at hand, for all calls that begin from now on,
    /// of all clones. Calls under way end with those they began with.
    ///
    /// # Errors
    /// [`SettingsError`] naming the field that cannot work, or that the token says it is another account's: the
    /// credentials at hand stay.
    pub fn renew(&self, credentials: &Credentials) -> Result<(), SettingsError> {
        let new = Identity::new(credentials)?;
        if !new.account.may_be(&self.identity().account) {
            let problem = "expected a token of the account that was called as so far, got one of another".to_owned();
            return Err(SettingsError::Field { field: "token", problem });
        }
        *self.inner.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    /// How often Dfns has refused the credentials (401) so far: when it grows, others may be needed.
    pub fn unauthorized(&self) -> u64 {
        self.inner.unauthorized.load(Ordering::Relaxed)
    }

    fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.inner.identity.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A read: bearer token only.
    pub(crate) async fn get(&self, path: &str, query: Query) -> Result<Reply, Error> {
        let call = Request { stage: Stage::Call, method: Method::GET, path, query, body: None, user_action: None };
        let identity = self.identity();
        at_once_again(|| self.send(&identity, call.clone())).await
    }

    /// A POST that changes nothing and so needs no user action.
    pub(crate) async fn ask(&self, path: &str, body: Bytes) -> Result<Reply, Error> {
        let identity = self.identity();
        at_once_again(|| self.post(&identity, Stage::Call, path, body.clone())).await
    }

    /// A call that changes something: init, sign, complete, call. The same bytes are signed and
    /// sent; without a body `""` is signed and nothing is sent.
    ///
    /// When Dfns does not accept the signature the whole is started again, once, and only if the
    /// call cannot have acted.
    pub(crate) async fn write(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Reply, Error> {
        match self.write_once(method.clone(), path, body.clone()).await {
            Err(error) if signature_was_not_accepted(&error) => {
                tracing::warn!(path, %error, "Dfns did not accept a user action, signing {path} once more");
                self.write_once(method, path, body).await
            }
            outcome => outcome,
        }
    }

    async fn write_once(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Reply, Error> {
        let identity = self.identity();
        let payload = body.as_deref().unwrap_or_default();
        let user_action = at_once_again(|| self.user_action(&identity, &method, path, payload)).await?;
        let call =
            Request { stage: Stage::Call, method, path, query: Query::new(), body, user_action: Some(user_action) };
        match self.send(&identity, call).await {
            // Each token is sent once, so a used one means that a copy of this call got there first.
            Err(Error::Refused { stage, refusal }) if says_already_used(&refusal) => {
                let source = format!("an earlier copy of the call may have acted: {refusal}").into();
                Err(Error::Lost { stage, source })
            }
            outcome => outcome,
        }
    }

    /// Obtains the token for one call. It is never kept: single use, bound to method, path and body.
    async fn user_action(
        &self,
        identity: &Identity,
        method: &Method,
        path: &str,
        body: &[u8],
    ) -> Result<HeaderValue, Error> {
        let payload = std::str::from_utf8(body)
            .map_err(|e| Error::Unsigned { reason: format!("request body: expected UTF-8, got {e}") })?;
        let init = Init {
            user_action_payload: payload,
            user_action_http_method: method.as_str(),
            user_action_http_path: path,
            user_action_server_kind: "Api",
        };
        let challenge = self.post(identity, Stage::Signing, "/auth/action/init", wire::to_bytes(&init)).await?;
        let challenge: Challenge = challenge.value()?;
        let completion = identity.signer.answer(&challenge).map_err(|reason| Error::Unsigned { reason })?;
        let completed = self.post(identity, Stage::Signing, "/auth/action", wire::to_bytes(&completion)).await?;
        let token: UserAction = completed.value()?;
        let mut header = HeaderValue::from_str(&token.user_action)
            .map_err(|_| completed.misread("its userAction holds characters that no header can carry".to_owned()))?;
        header.set_sensitive(true);
        Ok(header)
    }

    async fn post(&self, identity: &Identity, stage: Stage, path: &str, body: Bytes) -> Result<Reply, Error> {
        let request =
            Request { stage, method: Method::POST, path, query: Query::new(), body: Some(body), user_action: None };
        self.send(identity, request).await
    }

    /// Sends one request and reads its answer to the end.
    async fn send(&self, identity: &Identity, request: Request<'_>) -> Result<Reply, Error> {
        let Request { stage, method, path, query, body, user_action } = request;
        let unusable = |e: &dyn std::fmt::Display| Error::Unsigned { reason: format!("request to {path}: {e}") };
        let mut url = Url::parse(&format!("{}{path}", self.inner.base_url)).map_err(|e| unusable(&e))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut call = self.inner.http.request(method.clone(), url);
        call = call.header(AUTHORIZATION, identity.authorization.clone());
        if let Some(user_action) = user_action {
            call = call.header("x-dfns-useraction", user_action);
        }
        if let Some(body) = body {
            call = call.header(CONTENT_TYPE, "application/json").body(body);
        }

        let started = Instant::now();
        let mut response = call.send().await.map_err(|e| {
            let e = e.without_url();
            match (e.is_builder(), e.is_connect()) {
                (true, _) => unusable(&e),
                (_, true) => Error::NotSent { stage, source: e.into() },
                _ => Error::Lost { stage, source: e.into() },
            }
        })?;
        let status = response.status();
        let rate = RateLimit::from_headers(response.headers());
        if rate.is_known() {
            *self.inner.rate.lock().unwrap_or_else(PoisonError::into_inner) = rate;
        }
        let date = rate::date(response.headers());
        let retry_after = rate::retry_after(response.headers());

        let mut answer = Vec::new();
        let mut whole = true;
        while let Some(chunk) =
            response.chunk().await.map_err(|e| Error::Lost { stage, source: e.without_url().into() })?
        {
            if answer.len() + chunk.len() > MAX_ANSWER {
                whole = false;
                break;
            }
            answer.extend_from_slice(&chunk);
        }
        let duration_ms = started.elapsed().as_millis();
        tracing::debug!(%method, path, status = status.as_u16(), duration_ms, "Dfns answered {method} {path}");

        let reply = Reply { stage, status: status.as_u16(), date, rate, body: answer };
        if !status.is_success() {
            if reply.status == 401 {
                self.inner.unauthorized.fetch_add(1, Ordering::Relaxed);
            }
            let refusal = Refusal::from_body(reply.status, &reply.body, retry_after, rate);
            return Err(Error::Refused { stage, refusal });
        }
        if !whole {
            return Err(reply.misread(format!("its body is longer than {MAX_ANSWER} bytes")));
        }
        Ok(reply)
    }
}

/// Makes a call that changes nothing up to three times, while Dfns answers quickly that it failed (500, 502, 503, 504).
/// What a caller does needs several of these: were each tried once, a Dfns in trouble would let few of them through.
/// Longer troubles, and answers that do not come, are for the caller to wait out.
async fn at_once_again<T, F>(call: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let begun = Instant::now();
    let mut pauses =
        ExponentialBuilder::default().with_min_delay(Duration::from_millis(50)).with_max_times(2).with_jitter().build();
    loop {
        let error = match call().await {
            Err(error) if may_pass(&error) && begun.elapsed() < QUICKLY => error,
            answer => return answer,
        };
        let Some(pause) = pauses.next() else { return Err(error) };
        tracing::debug!(%error, "Trying again in {} ms", pause.as_millis());
        tokio::time::sleep(pause).await;
    }
}

fn may_pass(error: &Error) -> bool {
    match error {
        Error::Refused { refusal, .. } => {
            matches!(refusal.status, 500 | 502 | 503 | 504) && refusal.retry_after.is_none()
        }
        Error::NotSent { .. } | Error::Lost { .. } | Error::Misread { .. } | Error::Unsigned { .. } => false,
    }
}

#[derive(Clone)]
struct Request<'a> {
    stage: Stage,
    method: Method,
    /// Path below the base, each segment checked by [`segment`].
    path: &'a str,
    query: Query,
    body: Option<Bytes>,
    user_action: Option<HeaderValue>,
}

/// A success answer, read to its end.
pub(crate) struct Reply {
    stage: Stage,
    status: u16,
    date: Option<Timestamp>,
    rate: RateLimit,
    body: Vec<u8>,
}

impl Reply {
    /// The body as JSON.
    pub(crate) fn value<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|e| {
            let what: String = e.inner().to_string().chars().take(200).collect();
            self.misread(format!("its body cannot be read at `{}`: {what}", e.path()))
        })?;
        json.end().map_err(|e| self.misread(format!("its body goes on after the JSON: {e}")))?;
        Ok(value)
    }

    /// The body with the date and the budget of the answer.
    pub(crate) fn answer<T: DeserializeOwned>(&self) -> Result<Answer<T>, Error> {
        Ok(Answer { value: self.value()?, date: self.date, rate: self.rate })
    }

    fn misread(&self, what: String) -> Error {
        Error::Misread { stage: self.stage, status: self.status, what }
    }
}

/// An id as one segment of a path. Anything but a plain id is refused, so that no id from outside
/// can lead to another path.
///
/// # Errors
/// [`Error::Unsigned`], naming the field.
pub(crate) fn segment<'a>(field: &str, id: &'a str) -> Result<&'a str, Error> {
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if plain && (1..=128).contains(&id.len()) && id.bytes().any(|b| b != b'.') {
        return Ok(id);
    }
    let shown: String = id.chars().take(80).collect();
    Err(Error::Unsigned {
        reason: format!("{field}: expected 1 to 128 letters, digits, `-`, `_` or `.`, got {shown:?}"),
    })
}

/// Whether Dfns says so before acting, in which case a new signature may help. The texts are those
/// of the docs of 2024; there is no code to go by.
fn signature_was_not_accepted(error: &Error) -> bool {
    let Error::Refused { stage, refusal } = error else { return false };
    match refusal.status {
        400 => {
            says(refusal, "challenge token is not valid") || (*stage == Stage::Signing && says_already_used(refusal))
        }
        403 => says(refusal, "user action signature"),
        _ => false,
    }
}

/// "user action has already been used", with status 400.
fn says_already_used(refusal: &Refusal) -> bool {
    refusal.status == 400 && says(refusal, "already been used")
}

fn says(refusal: &Refusal, words: &str) -> bool {
    refusal.message.to_lowercase().contains(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_can_never_change_the_path() {
        for good in ["pyt-4ihii-9lonb-tmhjo9bor4odmb5h", "a.b_C-1"] {
            assert_eq!(segment("payout id", good).expect("a plain id"), good);
        }
        let long = "a".repeat(129);
        for bad in [
            "",
            ".",
            "..",
            "...",
            "a/b",
            "../wallets",
            "a?b",
            "a#b",
            "a%2Fb",
            "a b",
            "a\nb",
            "é",
            "a\\b",
            long.as_str(),
        ] {
            let refused = segment("payout id", bad).expect_err(bad);
            assert!(matches!(&refused, Error::Unsigned { reason } if reason.starts_with("payout id: ")), "{refused}");
        }
    }
}
