//! Encrypts everything that Temporal keeps of a payout: inputs, results, signals, updates, failures, summaries and live
//! details. Temporal then holds what only workers, starters and operators with the keys can read; its Web UI and CLI
//! read it through the [`server`].
//!
//! AES-256-GCM by `ring`, a random nonce for each payload, the key's id beside it and authenticated with it. What stays
//! in clear, whatever is done here: search attributes, workflow ids and types, names of signals, types of failures, and
//! the summary given at the start. They carry nothing about people.

mod keys;
mod payload;
pub mod server;

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, ready};
use temporalio_common::{
    data_converters::{
        DataConverter, DefaultFailureConverter, PayloadCodec, PayloadConversionError, PayloadConverter,
        SerializationContextData,
    },
    protos::temporal::api::common::v1::Payload,
};

pub use keys::{CodecKeys, KeysError};

/// What to do with a payload that is not encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plain {
    /// Read it: while payouts are open that began before there were keys.
    #[default]
    Read,
    /// Refuse it, so that a starter without keys is noticed.
    Refuse,
}

/// Encrypts with the first of its keys, reads with all of them.
#[derive(Clone, Debug)]
pub struct Codec {
    keys: Arc<CodecKeys>,
    plain: Plain,
}

impl Codec {
    /// A codec with these keys.
    pub fn new(keys: CodecKeys, plain: Plain) -> Self {
        Self { keys: Arc::new(keys), plain }
    }

    /// The same, reading what is not encrypted as well: for those who look at runs. The summary that a run is started
    /// with is in clear, whatever is done; only what decides has to refuse.
    #[must_use]
    pub fn reading_plain(&self) -> Self {
        Self { plain: Plain::Read, ..self.clone() }
    }

    /// What clients and workers are given. Messages of failures are encrypted too.
    pub fn converter(&self) -> DataConverter {
        DataConverter::new(PayloadConverter::default(), DefaultFailureConverter::new(true), self.clone())
    }
}

impl PayloadCodec for Codec {
    fn encode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let sealed: Result<Vec<Payload>, _> =
            payloads.iter().map(|payload| payload::seal(&self.keys, payload)).collect();
        ready(sealed.map_err(|error| PayloadConversionError::EncodingError(error.into()))).boxed()
    }

    fn decode(
        &self,
        _: &SerializationContextData,
        payloads: Vec<Payload>,
    ) -> BoxFuture<'static, Result<Vec<Payload>, PayloadConversionError>> {
        let opened: Result<Vec<Payload>, _> =
            payloads.into_iter().map(|payload| payload::open(&self.keys, self.plain, payload)).collect();
        ready(opened.map_err(|error| PayloadConversionError::EncodingError(error.into()))).boxed()
    }
}
