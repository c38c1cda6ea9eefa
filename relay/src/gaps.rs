//! What the provider could not deliver: it tries five times in a day, and keeps the event for 31 days. Those are read
//! with our own credentials, which need no signature, and go the same way as a webhook.

use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use remit_dfns::{Delivery, Dfns, EventKind, ListEvents, PageQuery, Subscription, Verified, Webhook, WebhookEvent};
use remit_records::{Records, StoredEvent};
use tokio_util::sync::CancellationToken;

use crate::{
    Nudge,
    answer::Answer,
    event::Event,
    inbox::{Arrival, Inbox, Source},
    metrics::Metrics,
};

/// After a pass that failed, unless passes are more often than that.
const AGAIN: Duration = Duration::from_secs(60);
/// Items to a page, and pages to a list: more than 31 days can honestly hold.
const PAGE: u32 = 100;
const PAGES: usize = 1000;

/// An event that the provider could not deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The subscription it was for.
    pub subscription: String,
    /// The provider's id of the failed delivery.
    pub event_id: String,
    /// What kind of event.
    pub kind: EventKind,
    /// When it happened, on the provider's clock.
    pub date: Option<Timestamp>,
    /// The provider's id of what it is about.
    pub object: Option<String>,
    /// What happened, as the inbox calls it.
    pub what: Option<String>,
    /// HTTP status our endpoint answered, as text.
    pub status: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// Whether we have it all the same.
    pub have: Have,
}

/// Whether we have an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Have {
    /// Its payout has it.
    Delivered,
    /// It is in the inbox and waits for its payout, or for a person.
    Waiting,
    /// It is not in the inbox.
    Missing,
    /// It names nothing that can be a payout's, so nobody misses it.
    NotOurs,
}

impl Have {
    /// One word, for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Waiting => "waiting",
            Self::Missing => "missing",
            Self::NotOurs => "not_ours",
        }
    }
}

/// What the provider could not deliver to the subscriptions with this address (without one, to any), and whether we
/// have it. Reads only.
///
/// # Errors
/// When the provider or the records do not answer.
pub async fn gaps(dfns: &Dfns, records: &Records, url: Option<&str>) -> Result<Vec<Gap>> {
    let mut all = vec![];
    for subscription in subscriptions(dfns, url).await? {
        let mut failed = Failed::new(dfns, &subscription);
        while let Some(page) = failed.next_page().await? {
            for event in page {
                let (event_id, kind) = (event.id().to_owned(), event.kind().clone());
                let (status, error) = (event.status().map(str::to_owned), event.error().map(str::to_owned));
                let read = Webhook::<Verified>::try_from(event).ok();
                let date = read.as_ref().and_then(Webhook::<Verified>::date);
                let event = read.and_then(|event| Event::read(&event));
                let have = match &event {
                    None => Have::NotOurs,
                    Some(event) => have(records.event(&event.what).await?.as_ref()),
                };
                let (what, object) = event.map_or((None, None), |mut event| {
                    (Some(event.what), event.objects.drain(..).next().map(|(_, object)| object))
                });
                let subscription = subscription.id.clone();
                all.push(Gap { subscription, event_id, kind, date, object, what, status, error, have });
            }
        }
    }
    Ok(all)
}

fn have(stored: Option<&StoredEvent>) -> Have {
    match stored {
        Some(event) if event.delivered_at.is_some() => Have::Delivered,
        Some(_) => Have::Waiting,
        None => Have::Missing,
    }
}

/// Our subscriptions: those with this address, or all.
///
/// # Errors
/// When the provider does not answer.
pub async fn subscriptions(dfns: &Dfns, url: Option<&str>) -> Result<Vec<Subscription>> {
    let same = |a: &str, b: &str| a.trim_end_matches('/') == b.trim_end_matches('/');
    let mut all = vec![];
    let mut page = PageQuery { limit: Some(PAGE), ..PageQuery::default() };
    for _ in 0..PAGES {
        let found = dfns.webhooks(&page).await?;
        all.extend(found.items.into_iter().filter(|it| url.is_none_or(|url| same(url, &it.url))));
        page.pagination_token = found.next_page_token;
        if page.pagination_token.is_none() {
            return Ok(all);
        }
    }
    bail!("the provider's list of webhooks has no end")
}

/// The failed deliveries of a subscription, page by page.
struct Failed<'a> {
    dfns: &'a Dfns,
    subscription: &'a str,
    query: Option<ListEvents>,
    pages: usize,
}

impl<'a> Failed<'a> {
    fn new(dfns: &'a Dfns, subscription: &'a Subscription) -> Self {
        let page = PageQuery { limit: Some(PAGE), ..PageQuery::default() };
        let query = ListEvents { page, kind: None, delivery: Some(Delivery::Failed) };
        Self { dfns, subscription: &subscription.id, query: Some(query), pages: 0 }
    }

    async fn next_page(&mut self) -> Result<Option<Vec<WebhookEvent>>> {
        let Some(query) = &mut self.query else { return Ok(None) };
        if self.pages == PAGES {
            bail!("the list of failed deliveries of webhook {} has no end", self.subscription);
        }
        self.pages += 1;
        let page = self.dfns.webhook_events(self.subscription, query).await?;
        match page.next_page_token {
            Some(token) => query.page.pagination_token = Some(token),
            None => self.query = None,
        }
        Ok(Some(page.items))
    }
}

/// Looks for gaps and fills them, at the start and again and again.
pub(crate) struct Filler<N> {
    pub(crate) inbox: Inbox<N>,
    pub(crate) dfns: Option<Dfns>,
    pub(crate) public_url: Option<String>,
    pub(crate) metrics: Metrics,
    pub(crate) every: Duration,
}

impl<N: Nudge> Filler<N> {
    /// Fills gaps until `stop`.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let Some(dfns) = &self.dfns else { return };
        let fill_for_ever = async {
            loop {
                let pause = match self.pass(dfns).await {
                    Ok(()) => self.every,
                    Err(why) => {
                        self.metrics.gap("failed");
                        tracing::warn!("Failed deliveries could not be looked at: {why:#}");
                        AGAIN.min(self.every)
                    }
                };
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = fill_for_ever => {}
            () = stop.cancelled() => {}
        }
    }

    async fn pass(&self, dfns: &Dfns) -> Result<()> {
        for subscription in subscriptions(dfns, self.public_url.as_deref()).await? {
            let mut failed = Failed::new(dfns, &subscription);
            while let Some(page) = failed.next_page().await? {
                for event in page {
                    self.fill(event).await?;
                }
            }
        }
        Ok(())
    }

    async fn fill(&self, event: WebhookEvent) -> Result<()> {
        self.metrics.gap("found");
        // What is no event now will be none later.
        let Ok(event) = Webhook::<Verified>::try_from(event) else { return Ok(()) };
        let Some(ours) = Event::read(&event) else { return Ok(()) };
        let stored = self.inbox.records().event(&ours.what).await?;
        if stored.as_ref().is_some_and(|stored| stored.delivered_at.is_some() || stored.mismatch.is_some()) {
            // It stays in the provider's list for 31 days, and need not be counted as another repeat each hour.
            return Ok(());
        }
        let body = event.to_json();
        let arrival = Arrival { body: &body, event_id: event.id(), source: Source::Gap };
        let answer = self.inbox.take(&ours, &arrival).await;
        if answer == Answer::NotTaken {
            bail!("neither the records nor Temporal took event {}", event.id());
        }
        if stored.is_none() {
            self.metrics.gap("new");
            tracing::info!(result = answer.as_str(), "A gap is filled: {} of {}", ours.kind, event.id());
        }
        Ok(())
    }
}
