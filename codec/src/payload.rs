//! One payload: sealed whole, its own encoding included, and opened again.

use std::collections::HashMap;

use prost::Message as _;
use ring::{
    aead::{Aad, Nonce},
    rand::{SystemRandom, generate},
};
use temporalio_common::protos::temporal::api::common::v1::Payload;

use crate::{CodecKeys, Plain};

const ENCODING: &str = "encoding";
/// The words of Temporal's own samples, so that other SDKs' codecs can be made to read ours.
const ENCRYPTED: &[u8] = b"binary/encrypted";
const KEY_ID: &str = "encryption-key-id";
const NONCE: usize = 12;

/// Why a payload cannot be sealed or opened.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("the payload cannot be encrypted")]
    NotSealed,
    #[error("the payload is not encrypted, and only encrypted ones are read here")]
    Plain,
    #[error("the payload is encrypted with key {0:?}, which is not among the codec keys")]
    UnknownKey(String),
    #[error("the payload is damaged, or was encrypted with another key of the same id")]
    Damaged,
}

pub(crate) fn seal(keys: &CodecKeys, payload: &Payload) -> Result<Payload, Unusable> {
    let (id, key) = keys.active();
    // 96 random bits: keys are to be replaced long before 2^32 payloads.
    let nonce: [u8; NONCE] = generate(&SystemRandom::new()).map_err(|_| Unusable::NotSealed)?.expose();
    let mut sealed = payload.encode_to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(id.as_bytes()), &mut sealed)
        .map_err(|_| Unusable::NotSealed)?;
    let metadata =
        HashMap::from([(ENCODING.to_owned(), ENCRYPTED.to_vec()), (KEY_ID.to_owned(), id.as_bytes().to_vec())]);
    Ok(Payload { metadata, data: [&nonce[..], &sealed].concat(), ..Payload::default() })
}

pub(crate) fn open(keys: &CodecKeys, plain: Plain, mut payload: Payload) -> Result<Payload, Unusable> {
    if payload.metadata.get(ENCODING).map(Vec::as_slice) != Some(ENCRYPTED) {
        return match plain {
            Plain::Read => Ok(payload),
            Plain::Refuse => Err(Unusable::Plain),
        };
    }
    let id = payload.metadata.get(KEY_ID).map(|id| String::from_utf8_lossy(id).into_owned()).unwrap_or_default();
    let key = keys.of(&id).ok_or_else(|| Unusable::UnknownKey(id.clone()))?;
    let (nonce, sealed) = payload.data.split_at_mut_checked(NONCE).ok_or(Unusable::Damaged)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unusable::Damaged)?;
    let opened = key.open_in_place(nonce, Aad::from(id.as_bytes()), sealed).map_err(|_| Unusable::Damaged)?;
    Payload::decode(&*opened).map_err(|_| Unusable::Damaged)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn line(id: &str) -> String {
        CodecKeys::new_line(id).unwrap().expose_secret().to_owned()
    }

    fn plain() -> Payload {
        let metadata = HashMap::from([(ENCODING.to_owned(), b"json/plain".to_vec())]);
        Payload { metadata, data: b"{\"name\":\"Ada Lovelace\"}".to_vec(), ..Payload::default() }
    }

    #[test]
    fn what_is_sealed_is_read_with_the_key_and_shows_nothing_without() {
        let keys = CodecKeys::parse(&line("k1")).unwrap();
        let sealed = seal(&keys, &plain()).unwrap();
        assert!(!String::from_utf8_lossy(&sealed.encode_to_vec()).contains("Ada"));
        assert_ne!(seal(&keys, &plain()).unwrap().data, sealed.data, "a nonce came twice");
        assert_eq!(open(&keys, Plain::Refuse, sealed.clone()).unwrap(), plain());
        let others = CodecKeys::parse(&line("k1")).unwrap();
        assert_eq!(open(&others, Plain::Refuse, sealed.clone()), Err(Unusable::Damaged));
        let strangers = CodecKeys::parse(&line("k2")).unwrap();
        assert_eq!(open(&strangers, Plain::Refuse, sealed), Err(Unusable::UnknownKey("k1".into())));
    }

    #[test]
    fn a_key_is_replaced_by_a_new_one_on_top_and_the_old_one_still_reads() {
        let (old, new) = (line("old"), line("new"));
        let sealed_before = seal(&CodecKeys::parse(&old).unwrap(), &plain()).unwrap();
        let both = CodecKeys::parse(&format!("{new}\n{old}\n")).unwrap();
        assert_eq!(open(&both, Plain::Refuse, sealed_before).unwrap(), plain());
        let sealed_now = seal(&both, &plain()).unwrap();
        assert_eq!(open(&CodecKeys::parse(&new).unwrap(), Plain::Refuse, sealed_now).unwrap(), plain());
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed_and_short_ones_do_not_panic() {
        let keys = CodecKeys::parse(&line("k1")).unwrap();
        let sealed = seal(&keys, &plain()).unwrap();
        for n in 0..sealed.data.len() {
            let mut changed = sealed.clone();
            changed.data[n] ^= 1;
            assert_eq!(open(&keys, Plain::Refuse, changed), Err(Unusable::Damaged), "byte {n}");
            let mut cut = sealed.clone();
            cut.data.truncate(n);
            assert_eq!(open(&keys, Plain::Refuse, cut), Err(Unusable::Damaged), "{n} bytes");
        }
    }

    #[test]
    fn clear_payloads_are_read_only_where_that_is_wanted() {
        let keys = CodecKeys::parse(&line("k1")).unwrap();
        assert_eq!(open(&keys, Plain::Read, plain()).unwrap(), plain());
        assert_eq!(open(&keys, Plain::Refuse, plain()), Err(Unusable::Plain));
    }
}
