//! Webhooks as Dfns would send them, and such as it never would.

use remit_dfns::{EventKind, SIGNATURE_HEADER};
use ring::hmac;
use serde_json::{Value, json};

/// Says that a payout waits for its Confirm. `n` tells one event from another; the payout's own state does too, so that
/// each is news.
pub fn body(n: usize, payout: &str, external_id: &str, state: &str, sent: i64) -> Vec<u8> {
    let date = "2026-11-28T00:00:00.000Z";
    // About as long as one of Dfns.
    let event: Value = json!({
        "id": format!("whe-bench-{n}"), "kind": EventKind::PayoutActionRequired.as_str(), "date": date,
        "timestampSent": sent, "deliveryAttempt": 1,
        "data": {"payout": {
            "id": payout, "walletId": "wa-5pfuu-9euek-h0odgb6snva8ph3k", "externalId": external_id, "status": state,
            "fiatCurrency": "BRL", "provider": "Borderless", "dateCreated": date,
            "requester": {"userId": "us-3v2aq-1pn2a-8tkb3rt1mq5fr2me", "tokenId": "to-6vsqu-3po9e-9nk8vsvg8mcg1k5n"},
            "asset": {"kind": "Erc20", "amount": "1000000", "contract": "0x3c499c542cef5e3811e1192ce70d8cc03d5c3359",
                      "network": "Polygon",
                      "metadata": {"name": "USD Coin", "symbol": "USDC", "decimals": 6, "verified": true}},
            "data": {"borderlessAccountId": "acc-1", "paymentInstructionsId": "pi-1", "paymentPurpose": "salary payment",
                     "country": "BR", "depositAddress": "0x5b38da6a701c568545dcfcb03fcb875f56beddc4"},
        }},
    });
    event.to_string().into_bytes()
}

/// `sha256=` and the HMAC of the exact body under the secret's text, as Dfns signs.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body);
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// A whole HTTP/1.1 request for the relay.
pub fn request(host: &str, body: &[u8], signature: &str) -> Vec<u8> {
    let head = format!(
        "POST /webhooks/dfns HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         {SIGNATURE_HEADER}: {signature}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Webhooks that must not be believed: signed with another secret, changed after they were signed, and, well signed,
/// told long ago.
pub fn forged(host: &str, secret: &str, now: i64) -> Vec<Vec<u8>> {
    const OF_EACH: usize = 32;
    let numbered = |n| body(n, &format!("pyt-forged-{n}"), &format!("forged-{n}"), "Processing", now);
    let foreign = (0..OF_EACH).map(|n| (numbered(n), signature("whs-of-somebody-else", &numbered(n))));
    let changed = (0..OF_EACH).map(|n| (numbered(n), signature(secret, &numbered(n + 1))));
    let stale = (0..OF_EACH).map(|n| {
        let body = body(n, "pyt-old", "old", "Processing", now - 3_600);
        let signature = signature(secret, &body);
        (body, signature)
    });
    foreign.chain(changed).chain(stale).map(|(body, signature)| request(host, &body, &signature)).collect()
}

/// Seconds since 1970.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use remit_dfns::{VerifyError, Webhook};
    use secrecy::SecretString;

    use super::*;

    /// What the relay reads of a request.
    fn verified(request: &[u8], secret: &str) -> Result<String, VerifyError> {
        let text = String::from_utf8(request.to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a body");
        let signature = head.lines().find_map(|line| line.strip_prefix(SIGNATURE_HEADER)).map(|it| &it[2..]);
        let webhook = Webhook::new(Bytes::copy_from_slice(body.as_bytes()), signature);
        let event = webhook.verify(&[SecretString::from(secret)], Timestamp::now())?;
        Ok(event.payout_id().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_genuine_one_is_believed_and_no_forged_one_is() {
        let now = now();
        let body = body(1, "pyt-1", "invoice-1", "Processing", now);
        assert_eq!(verified(&request("h", &body, &signature("whs-1", &body)), "whs-1"), Ok("pyt-1".to_owned()));
        assert!(body.len() > 800, "{}", body.len());
        let (mut wrong, mut stale) = (0, 0);
        for forged in forged("h", "whs-1", now) {
            match verified(&forged, "whs-1") {
                Err(VerifyError::WrongSignature) => wrong += 1,
                Err(VerifyError::Stale { .. }) => stale += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((wrong, stale), (64, 32));
    }
}
