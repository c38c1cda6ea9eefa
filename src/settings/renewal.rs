//! Token and key become others while the program runs: read again when their files change, and when Dfns refuses them.

use std::time::Duration;

use remit_dfns::{Credentials, Dfns};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::{
    Secret, SettingsError,
    secrets::{Source, Stamp},
};

/// How often it is looked whether something has changed.
const EVERY: Duration = Duration::from_secs(1);
/// No command is run more often than this, however often Dfns refuses.
const BETWEEN_COMMANDS: Duration = Duration::from_secs(30);

/// Where token, key and its id come from.
#[derive(Clone, Debug)]
pub struct Sources {
    pub(super) token: Source,
    pub(super) credential_id: Source,
    pub(super) private_key: Source,
}

type Stamps = [Option<Stamp>; 3];

impl Sources {
    fn all(&self) -> [&Source; 3] {
        [&self.token, &self.credential_id, &self.private_key]
    }

    fn stamps(&self) -> Stamps {
        self.all().map(Source::stamp)
    }

    /// All three as they are now. The stamps are taken first: what changes in between is noticed the next time.
    pub(super) fn read(&self) -> Result<(Credentials, Stamps), SettingsError> {
        let stamps = self.stamps();
        let full = |source: &Source| {
            let empty = || SettingsError::Value { place: "dfns".to_owned(), problem: format!("{source:?} is empty") };
            source.read()?.ok_or_else(empty)
        };
        let credentials = Credentials {
            token: full(&self.token)?.secret(),
            credential_id: full(&self.credential_id)?.expose().to_owned(),
            private_key_pem: full(&self.private_key)?.secret(),
        };
        Ok((credentials, stamps))
    }
}

/// How token and key become others. None: they stay what they are.
#[derive(Clone, Debug, Default)]
pub struct Renewal(Option<(Sources, Stamps)>);

impl Renewal {
    pub(super) fn of(sources: Sources, stamps: Stamps) -> Self {
        let may_change = sources.all().into_iter().any(Source::may_change);
        Self(may_change.then_some((sources, stamps)))
    }

    /// Keeps a client's credentials up to date until it is stopped. While others cannot be had, or are not of the same
    /// account, those at hand stay.
    pub async fn watch(self, dfns: Dfns, stop: CancellationToken) {
        let Some((sources, stamps)) = self.0 else { return };
        let mut watch = Watch { sources, stamps, refused: dfns.unauthorized(), last: None, wait: Duration::ZERO };
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => watch = watch.look(&dfns).await,
                () = stop.cancelled() => return,
            }
        }
    }
}

struct Watch {
    sources: Sources,
    stamps: Stamps,
    /// How often Dfns had refused the credentials when they were last read.
    refused: u64,
    /// Those that were read last.
    last: Option<Credentials>,
    /// How long nothing is read again only because Dfns refuses.
    wait: Duration,
}

impl Watch {
    async fn look(mut self, dfns: &Dfns) -> Self {
        self.wait = self.wait.saturating_sub(EVERY);
        let (refused, stamps) = (dfns.unauthorized(), self.sources.stamps());
        if stamps == self.stamps && (refused == self.refused || !self.wait.is_zero()) {
            return self;
        }
        // What cannot be read is not tried again before it changes, or Dfns refuses again.
        (self.refused, self.wait, self.stamps) = (refused, BETWEEN_COMMANDS, stamps);
        let sources = self.sources.clone();
        let read = match tokio::task::spawn_blocking(move || sources.read()).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                tracing::warn!("Token and key cannot be read again, those at hand stay: {error}");
                return self;
            }
            Err(_) => return self,
        };
        let (credentials, stamps) = read;
        self.stamps = stamps;
        if self.last.as_ref().is_some_and(|last| same(last, &credentials)) {
            return self;
        }
        match dfns.renew(&credentials) {
            Ok(()) => tracing::info!("Token and key for Dfns were read again, and are in use"),
            Err(error) => {
                tracing::error!("Token and key were read again and cannot be used, those at hand stay: {error}")
            }
        }
        self.last = Some(credentials);
        self
    }
}

fn same(one: &Credentials, other: &Credentials) -> bool {
    let texts = |it: &Credentials| {
        [it.token.expose_secret().to_owned(), it.credential_id.clone(), it.private_key_pem.expose_secret().to_owned()]
            .map(Secret::from)
    };
    texts(one).iter().zip(texts(other)).all(|(one, other)| one.expose() == other.expose())
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use remit_dfns::{Error, PayoutAction, Stage};
    use reqwest::Method;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::{
        dev::{Organisation, PAYER},
        settings::Settings,
    };

    /// Settings whose token is in this file, with this counter of runs of the key's command beside it.
    fn watch(folder: &Path) -> (Dfns, Watch) {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let mut settings = Settings::default().dfns;
        settings.base_url = Some("http://127.0.0.1:9".to_owned());
        settings.token_file = Some(file("token", "one"));
        settings.credential_id = Some("cr-1".to_owned());
        let pem = remit_keys::PrivateKey::generate().expect("random bytes").to_pem();
        let key = file("key", pem.expose_secret());
        let command = format!("sh -c 'echo run >> {}/runs; cat {}'", folder.display(), key.display());
        settings.private_key_command = Some(command.parse().expect("a command"));
        settings.user_id = Some("us-1".to_owned());
        let access = settings.access().expect("complete");
        let (sources, stamps) = access.renewal.0.expect("it may change");
        let dfns = Dfns::new(access.settings).expect("usable");
        (dfns, Watch { sources, stamps, refused: 0, last: None, wait: Duration::ZERO })
    }

    fn runs(folder: &Path) -> usize {
        fs::read_to_string(folder.join("runs")).expect("it ran").lines().count()
    }

    fn token(watch: &Watch) -> Option<String> {
        watch.last.as_ref().map(|last| last.token.expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_file_that_changes_is_read_again_and_one_that_does_not_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let (dfns, watch) = watch(folder.path());
        let watch = watch.look(&dfns).await;
        assert_eq!((token(&watch), runs(folder.path())), (None, 1));
        fs::write(folder.path().join("new"), "two").expect("written");
        fs::rename(folder.path().join("new"), folder.path().join("token")).expect("replaced");
        let watch = watch.look(&dfns).await;
        assert_eq!((token(&watch).as_deref(), runs(folder.path())), (Some("two"), 2));
        let watch = watch.look(&dfns).await;
        assert_eq!((token(&watch).as_deref(), runs(folder.path())), (Some("two"), 2));
    }

    #[tokio::test]
    async fn a_command_is_run_again_when_dfns_refuses_and_not_with_every_refusal() {
        let folder = tempfile::tempdir().expect("a folder");
        let (dfns, mut watch) = watch(folder.path());
        // As if it had refused since.
        watch.refused = u64::MAX;
        let mut watch = watch.look(&dfns).await;
        assert_eq!(runs(folder.path()), 2);
        watch.refused = u64::MAX;
        let watch = watch.look(&dfns).await;
        assert_eq!((runs(folder.path()), watch.wait.as_secs()), (2, 29));
    }

    #[tokio::test]
    async fn what_cannot_be_used_leaves_the_client_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let (dfns, watch) = watch(folder.path());
        fs::write(folder.path().join("key"), "no key").expect("written");
        fs::write(folder.path().join("token"), "two and more").expect("written");
        let watch = watch.look(&dfns).await;
        assert!(format!("{dfns:?}").contains("Ed25519"));
        fs::write(folder.path().join("token"), "").expect("written");
        let watch = watch.look(&dfns).await;
        assert_eq!(token(&watch).as_deref(), Some("two and more"), "an empty file is none");
    }

    #[tokio::test]
    async fn token_and_key_are_replaced_at_dfns_and_the_client_goes_on_as_the_same_account() {
        let (organisation, _stop) = Organisation::alone().await;
        let payer = organisation.user(PAYER).expect("the payer");
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("token", payer.token.expose());
        write("id", &payer.credential_id);
        write("key", payer.private_key_pem.expose());
        let mut settings = Settings::default().dfns;
        settings.base_url = Some(organisation.url().to_owned());
        settings.token_command = Some(format!("cat {}/token", folder.path().display()).parse().expect("a command"));
        settings.credential_id_file = Some(folder.path().join("id"));
        settings.private_key_file = Some(folder.path().join("key"));
        settings.user_id = Some(payer.user_id.clone());
        let access = settings.access().expect("complete");
        let (sources, stamps) = access.renewal.0.expect("it may change");
        let dfns = Dfns::new(access.settings).expect("usable");
        let mut watch = Watch { sources, stamps, refused: 0, last: None, wait: Duration::ZERO };
        let reads = async || dfns.wallets(&Default::default()).await.is_ok();
        // Signed as it must be, about a payout that does not exist.
        let signs = async || {
            let answer = dfns.payout_action("pyt-1", &PayoutAction::Cancel).await;
            matches!(answer, Err(Error::Refused { stage: Stage::Call, refusal }) if refusal.status == 404)
        };
        let renew = async |what: &str| {
            let path = format!("/users/{}/{what}", payer.user_id);
            organisation.control(Method::POST, &path, None).await.expect("renewed")
        };
        assert!(reads().await && signs().await);

        let made = renew("token").await;
        assert!(!reads().await, "the first token is refused");
        write("token", made["token"].as_str().expect("a token"));
        watch = watch.look(&dfns).await;
        assert!(reads().await && signs().await, "the second one is in use");

        let made = renew("key").await;
        assert!(!signs().await, "the first key does not sign any more");
        write("key", made["privateKeyPem"].as_str().expect("a key"));
        write("id", made["credentialId"].as_str().expect("an id"));
        watch = watch.look(&dfns).await;
        assert!(signs().await, "the second one does");

        write("token", organisation.user("alice").expect("alice").token.expose());
        (watch.refused, watch.wait) = (u64::MAX, Duration::ZERO);
        watch.look(&dfns).await;
        assert!(reads().await && signs().await, "another account's token is not taken");
    }
}
