//! The private keys that commands sign with.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use remit_client::{Order, PayoutClient, ReadError, Signed, Signer};
use remit_domain::{ExternalId, PayoutKey};
use remit_keys::PrivateKey;

use crate::{
    exit::Failure,
    out,
    settings::{Period, others_can_read},
    temporal::read_failure,
};

/// Reads a private key, and says so when others can read it too.
///
/// # Errors
/// When the file cannot be read or holds no key: what is wrong is the flag.
pub(crate) fn private_key(file: &Path) -> Result<PrivateKey, Failure> {
    let key = PrivateKey::read(file).map_err(Failure::usage)?;
    if others_can_read(file) {
        out::note(format_args!("{0} can be read by other users of this machine: chmod 600 {0}", file.display()));
    }
    Ok(key)
}

/// How long a statement counts at the most: a worker refuses a longer one, so that none lies about.
const COUNTS_AT_MOST: Duration = Duration::from_secs(31 * 24 * 3600);

/// How long a signed statement is to count.
///
/// # Errors
/// What was expected.
pub(crate) fn counts_for(text: &str) -> Result<Period, &'static str> {
    let period: Period = text.parse()?;
    if period.duration() > COUNTS_AT_MOST { Err("expected at most 31d") } else { Ok(period) }
}

/// The moment this long from now, in the whole seconds that statements have.
pub(crate) fn from_now(period: Duration) -> Timestamp {
    let now = Timestamp::now().as_second();
    let seconds = i64::try_from(period.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(now.saturating_add(seconds)).unwrap_or(Timestamp::MAX)
}

/// How long a signed order counts: it is given at once.
const ORDER_COUNTS_FOR: Duration = Duration::from_secs(600);

/// Signs an order about the newest attempt at a payout, where there is a key; `what` as
/// [`remit_client::Action::words`].
///
/// # Errors
/// That the key or the payout cannot be read.
pub(crate) async fn sign_order(
    client: &PayoutClient,
    id: &str,
    (order, what): (&str, &str),
    decided: &Order,
    key: Option<&Path>,
) -> Result<Option<Signed>, Failure> {
    let Some(key) = key else { return Ok(None) };
    let signer = Signer { name: decided.by.clone(), key: private_key(key)? };
    let key = match client.describe(id).await {
        Ok(described) => described.run.key,
        // Over for longer than Temporal keeps it: a retry may still be asked for.
        Err(error @ ReadError::NotFound { .. }) => match ExternalId::parse(id) {
            Ok(id) if order == "retry" => PayoutKey::of(&id).as_str().to_owned(),
            _ => return Err(read_failure(error)),
        },
        Err(error) => return Err(read_failure(error)),
    };
    let expires = from_now(ORDER_COUNTS_FOR);
    Ok(Some(signer.order(client.namespace(), &key, order, what, decided, expires)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_file_without_a_key_is_named_as_a_wrong_flag() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ana.pem");
        assert_eq!(private_key(&file).expect_err("no file").exit, Exit::Usage);
        std::fs::write(&file, "not a key").expect("written");
        let failure = private_key(&file).expect_err("no key");
        assert!(failure.error.to_string().contains("ana.pem"), "{}", failure.error);
    }

    #[test]
    fn a_statement_counts_for_a_month_at_most_and_in_whole_seconds() {
        assert!(counts_for("48h").is_ok() && counts_for("31d").is_ok());
        assert!(counts_for("32d").is_err() && counts_for("soon").is_err());
        let at = from_now(Duration::from_secs(60));
        assert_eq!(at.subsec_nanosecond(), 0);
        assert!(at > Timestamp::now());
    }
}
