//! The way of a request: who asks, may they, which fault strikes, what is answered.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Query as AxumQuery, Request, State as Shared};
use axum::http::{HeaderMap, Response, header};
use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::answer::{Answer, Headers, Outcome, Refusal, respond};
use crate::auth;
use crate::clock::{http_date, wall_ms};
use crate::connection::{CuttableListener, Knife};
use crate::control;
use crate::delivery::Progress;
use crate::faults::{self, FaultKind, Place, When};
use crate::organisation::{LoggedRequest, Organisation, State};
use crate::routes::{self, Route, Signed};
use crate::sandbox::Sandbox;
use crate::transfers::{self, Requester};
use crate::wire::Query;

const LARGEST_BODY: usize = 1 << 20;
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A call, after its caller is known.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) method: String,
    /// As received: percent-encoded, without the query.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    pub(crate) user_id: String,
    token_id: String,
    ids: Vec<String>,
    /// Set while a fault makes reads lag: show everything as it was then.
    pub(crate) as_of_ms: Option<i64>,
}

impl Visit {
    /// The first id in the path.
    pub(crate) fn id(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }

    pub(crate) fn second_id(&self) -> &str {
        self.ids.get(1).map_or("", String::as_str)
    }

    pub(crate) fn requester(&self) -> Requester {
        Requester { user_id: self.user_id.clone(), token_id: self.token_id.clone() }
    }
}

/// A request with its body.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Query,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a caller gets: an answer, or a closed connection.
enum Reply {
    Answer(Outcome, Headers),
    Cut,
}

pub(crate) async fn serve(listener: TcpListener, options: Options, stop: CancellationToken) -> io::Result<()> {
    let base_url = match options.public_url {
        Some(url) => url,
        None => format!("http://{}", listener.local_addr()?),
    };
    let sandbox = Arc::new(Sandbox::new(options.seed, base_url, stop.clone())?);
    tracing::info!(seed = sandbox.seed, url = %sandbox.base_url, "Sandbox serves a fake Dfns at {}", sandbox.base_url);
    let app = Router::new().fallback(receive).with_state(sandbox);
    let server = axum::serve(CuttableListener(listener), app.into_make_service_with_connect_info::<Knife>())
        .with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        result = server => result,
        () = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_ANSWERS).await;
        } => Ok(()),
    }
}

async fn receive(
    Shared(sandbox): Shared<Arc<Sandbox>>,
    ConnectInfo(knife): ConnectInfo<Knife>,
    request: Request,
) -> Response<Body> {
    // A task of its own: the effect must not depend on whether the caller waits for the answer.
    match tokio::spawn(async move { reply(&sandbox, request).await }).await {
        Ok(Reply::Answer(outcome, headers)) => respond(outcome, headers),
        Ok(Reply::Cut) => {
            knife.cut();
            Response::new(Body::empty())
        }
        Err(error) => respond(Err(Refusal::new(500, format!("the sandbox failed: {error}"))), Vec::new()),
    }
}

async fn reply(sandbox: &Sandbox, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return Reply::Answer(Err(Refusal::new(413, "the body is larger than 1 MiB")), Vec::new());
    };
    let Ok(AxumQuery(query)) = AxumQuery::<Vec<(String, String)>>::try_from_uri(&parts.uri) else {
        return Reply::Answer(Err(Refusal::bad("the query cannot be read")), Vec::new());
    };
    let arrival = Arrival {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: Query(query),
        headers: parts.headers,
        body,
    };
    if arrival.path == "/_sandbox" || arrival.path.starts_with("/_sandbox/") {
        return Reply::Answer(control::handle(sandbox, &arrival).await, Vec::new());
    }
    if arrival.header("user-agent").is_none_or(str::is_empty) {
        return Reply::Answer(Err(Refusal::bad("User-Agent: expected a header that is not empty")), Vec::new());
    }
    let bearer = arrival.header(header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    let (Some(token), Some(organisation)) = (bearer, bearer.and_then(|token| sandbox.of_token(token))) else {
        return Reply::Answer(Err(Refusal::new(401, "Authorization: token is missing or invalid")), Vec::new());
    };
    let token = token.to_owned();
    answer(&organisation, token, arrival).await
}

impl Arrival {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What happens before the call can have an effect.
enum Start {
    Go { visit: Box<Visit>, route: &'static Route, wait_ms: u32 },
    Stop { end: Early, wait_ms: u32 },
}

enum Early {
    Refuse(Refusal),
    Cut,
}

async fn answer(organisation: &Organisation, token: String, arrival: Arrival) -> Reply {
    let user_action = arrival.header("x-dfns-useraction").map(str::to_owned);
    let mut log = Logged { method: arrival.method.clone(), path: arrival.path.clone(), user: String::new() };
    let start = organisation.with(|state| {
        state.under_way += 1;
        begin(state, &token, arrival, &mut log)
    });
    let (visit, route) = match start {
        Start::Go { visit, route, wait_ms } => {
            pause(organisation, wait_ms).await;
            (visit, route)
        }
        Start::Stop { end, wait_ms } => {
            pause(organisation, wait_ms).await;
            return match end {
                Early::Refuse(refusal) => finish(organisation, log, Err(refusal)),
                Early::Cut => cut(organisation, log),
            };
        }
    };
    let (outcome, after) = organisation.with(|state| {
        let outcome = act(state, route, &visit, user_action.as_deref());
        // A call that was refused had no effect: faults after the effect wait for one that has.
        let after = if outcome.is_ok() { AfterEffect::strike(state, &visit) } else { AfterEffect::default() };
        (outcome, after)
    });
    let outcome = match outcome {
        Ok(Answer { ping: Some(delivery), .. }) => ping(organisation, &delivery).await,
        other => other,
    };
    pause(organisation, after.wait_ms).await;
    if after.cut {
        return cut(organisation, log);
    }
    let outcome = match after.refuse {
        Some(refusal) => Err(refusal),
        None => outcome.map(|answer| after.rewrite.apply(answer)),
    };
    finish(organisation, log, outcome)
}

/// Who and what for the request log.
struct Logged {
    method: String,
    path: String,
    user: String,
}

/// Everything up to the effect: token, budget, route, and the faults that strike before it.
fn begin(state: &mut State, token: &str, arrival: Arrival, log: &mut Logged) -> Start {
    let stop = |refusal| Start::Stop { end: Early::Refuse(refusal), wait_ms: 0 };
    let Some(user) = state.user_with_token(token) else {
        return stop(Refusal::new(401, "Authorization: token is unknown or expired"));
    };
    let (user_id, token_id) = (user.id.clone(), user.token_id.clone());
    log.user = format!("{} ({user_id})", user.name);
    let now_ms = state.clock.now_ms();
    if let Err(refusal) = state.rate_limit.count(state.settings.rate_limit_per_minute, now_ms) {
        return stop(refusal);
    }
    let Some((route, ids)) = routes::find(&arrival.method, &arrival.path) else {
        return stop(Refusal::new(404, format!("no such call: {} {}", arrival.method, arrival.path)));
    };
    *state.request_counts.entry(route.name).or_default() += 1;
    state.faults.count_call();

    let Arrival { method, path, query, body, .. } = arrival;
    let mut visit = Visit { method, path, query, body, user_id, token_id, ids, as_of_ms: None };
    let external_id = external_id(state, &visit);
    let place = visit.place(external_id.as_deref());
    let before = Some(When::BeforeEffect);
    let wait_ms = state.faults.strike_when(FaultKind::Slow, before, place).map_or(0, |fault| fault.ms());
    let end = if state.faults.strike_when(FaultKind::CutConnection, before, place).is_some() {
        Some(Early::Cut)
    } else if let Some(fault) = state.faults.strike_when(FaultKind::Status, before, place) {
        Some(Early::Refuse(refusal_of(fault.status, fault.retry_after_seconds)))
    } else if let Some(fault) = state.faults.strike(FaultKind::RateLimited, place) {
        Some(Early::Refuse(refusal_of(Some(429), fault.retry_after_seconds.or(Some(1)))))
    } else {
        None
    };
    if let Some(end) = end {
        return Start::Stop { end, wait_ms };
    }
    visit.as_of_ms = state.faults.strike(FaultKind::ReadsLag, place).map(|fault| now_ms - i64::from(fault.ms()));
    Start::Go { visit: Box::new(visit), route, wait_ms }
}

fn act(state: &mut State, route: &Route, visit: &Visit, user_action: Option<&str>) -> Outcome {
    let user = state.users.get(&visit.user_id).ok_or_else(|| Refusal::new(401, "Unknown user"))?;
    user.require(route.permissions)?;
    if route.signed == Signed::Yes {
        auth::spend(state, visit, user_action)?;
    }
    (route.handler)(state, visit)
}

/// The faults that strike after the effect.
#[derive(Default)]
struct AfterEffect {
    wait_ms: u32,
    cut: bool,
    refuse: Option<Refusal>,
    rewrite: Rewrite,
}

impl AfterEffect {
    fn strike(state: &mut State, visit: &Visit) -> Self {
        let external_id = external_id(state, visit);
        let place = visit.place(external_id.as_deref());
        let after = Some(When::AfterEffect);
        let faults = &mut state.faults;
        Self {
            wait_ms: faults.strike_when(FaultKind::Slow, after, place).map_or(0, |fault| fault.ms()),
            cut: faults.strike_when(FaultKind::CutConnection, after, place).is_some(),
            refuse: faults
                .strike_when(FaultKind::Status, after, place)
                .map(|fault| refusal_of(fault.status, fault.retry_after_seconds)),
            rewrite: Rewrite {
                empty: faults.strike(FaultKind::EmptyBody, place).is_some(),
                words: [
                    faults
                        .strike(FaultKind::UnknownStatus, place)
                        .map(|fault| ("executionStatus".to_owned(), fault.word_or("AwaitingModeration").to_owned())),
                    faults
                        .strike(FaultKind::UnknownNetwork, place)
                        .map(|fault| ("network".to_owned(), fault.word_or("Nebula").to_owned())),
                    faults.strike(FaultKind::UnknownWord, place).and_then(|fault| fault.field_and_word()),
                ]
                .into_iter()
                .flatten()
                .collect(),
            },
        }
    }
}

/// What a fault does to a good answer.
#[derive(Default)]
struct Rewrite {
    empty: bool,
    /// Fields by name, and the word that each shows instead of its own.
    words: Vec<(String, String)>,
}

impl Rewrite {
    fn apply(self, mut answer: Answer) -> Answer {
        if self.empty {
            answer.body.clear();
            return answer;
        }
        for (field, word) in self.words {
            if let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body) {
                faults::replace(&mut value, &field, &word);
                answer.body = value.to_string().into_bytes();
            }
        }
        answer
    }
}

impl Visit {
    fn place<'a>(&'a self, external_id: Option<&'a str>) -> Place<'a> {
        Place { method: &self.method, path: &self.path, external_id, event_kind: None }
    }
}

/// The external id a call is about: in its body, or that of the object in its path. Only faults ask.
fn external_id(state: &State, visit: &Visit) -> Option<String> {
    if state.faults.entries().is_empty() {
        return None;
    }
    let of_object = visit.ids.iter().find_map(|id| {
        state.payouts.get(id).and_then(|payout| payout.wire.external_id.clone()).or_else(|| transfers::aim(state, id))
    });
    of_object.or_else(|| {
        let body: Value = serde_json::from_slice(&visit.body).ok()?;
        Some(body.get("externalId")?.as_str()?.to_owned())
    })
}

fn refusal_of(status: Option<u16>, retry_after_seconds: Option<u64>) -> Refusal {
    let status = status.unwrap_or(500);
    Refusal { retry_after_seconds, ..Refusal::new(status, format!("a fault was asked for: status {status}")) }
}

async fn ping(organisation: &Organisation, delivery: &crate::delivery::Delivery) -> Outcome {
    let result = delivery.send(organisation.http()).await;
    Answer::ok(&match result {
        Progress::Delivered | Progress::Waiting => serde_json::json!({"status": "200"}),
        Progress::Failed { status, error } => serde_json::json!({
            "status": status.map_or_else(|| "Error".to_owned(), |status| status.to_string()),
            "error": error,
        }),
    })
}

async fn pause(organisation: &Organisation, ms: u32) {
    if ms > 0 {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(u64::from(ms))) => {}
            () = organisation.stop.cancelled() => {}
        }
    }
}

fn finish(organisation: &Organisation, log: Logged, outcome: Outcome) -> Reply {
    let status = match &outcome {
        Ok(answer) => answer.status,
        Err(refusal) => refusal.status,
    };
    let headers = organisation.with(|state| {
        note(state, log, status);
        let limit = state.settings.rate_limit_per_minute;
        let mut headers = state.rate_limit.headers(limit, state.clock.now_ms(), wall_ms());
        // The provider's clock, as clients see it, is the organisation's.
        headers.extend(http_date(state.clock.now_ms()).map(|date| ("date", date)));
        headers
    });
    Reply::Answer(outcome, headers)
}

fn cut(organisation: &Organisation, log: Logged) -> Reply {
    organisation.with(|state| note(state, log, 0));
    Reply::Cut
}

fn note(state: &mut State, log: Logged, status: u16) {
    tracing::debug!(organisation = %state.id, method = %log.method, path = %log.path, status, "Answered");
    state.under_way = state.under_way.saturating_sub(1);
    let date = state.clock.now();
    state.log(LoggedRequest { date, method: log.method, path: log.path, status, user: log.user });
}
