//! A new subscription at Dfns, whose secret is shown once: kept before anything else, or the subscription is undone.

use std::path::{Path, PathBuf};

use remit_dfns::{CreateWebhook, CreatedWebhook, Dfns, Error, Subscription};
use remit_relay::subscriptions;
use secrecy::ExposeSecret;

use super::secrets_file;
use crate::{
    exit::{Exit, Failure},
    out,
    settings::Settings,
};

/// Where a new secret goes.
#[derive(Debug, clap::Args)]
pub(super) struct SecretPlace {
    /// File that the secret is added to, one a line [default: DFNS_WEBHOOK_SECRET_FILE]
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<PathBuf>,
    /// Print the secret, for where no file will do
    #[arg(long)]
    print_secret: bool,
}

impl SecretPlace {
    /// The file, when there is one.
    pub(super) fn file<'a>(&'a self, settings: &'a Settings) -> Option<&'a Path> {
        self.secrets_file.as_deref().or(settings.dfns.webhook_secret_file.as_deref())
    }

    /// Finds out before anything is made whether the secret could be kept.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), Failure> {
        match self.file(settings) {
            Some(file) => Ok(secrets_file::check(file)?),
            None if self.print_secret => Ok(()),
            None => Err(Failure::new(
                Exit::Usage,
                "Dfns shows a secret once: say where to keep it, with --secrets-file FILE or DFNS_WEBHOOK_SECRET_FILE, \
                 or have it printed with --print-secret",
            )),
        }
    }

    /// What [`SecretPlace::keep`] will do, for people.
    pub(super) fn says(&self, settings: &Settings) -> String {
        let file = self.file(settings).map(|file| format!("its secret added to {}", file.display()));
        let print = self.print_secret.then(|| "its secret printed".to_owned());
        [file, print].into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }

    fn keep(&self, settings: &Settings, made: &CreatedWebhook) -> anyhow::Result<()> {
        if let Some(file) = self.file(settings) {
            secrets_file::add(file, &made.subscription, &made.secret)?;
        }
        if self.print_secret {
            out::line(made.secret.expose_secret())?;
        }
        Ok(())
    }
}

/// Addresses that Dfns could deliver to.
pub(super) fn url(text: &str) -> Result<String, &'static str> {
    let url = reqwest::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.map(|_| text.to_owned()).ok_or("expected an address such as https://payouts.example.com/webhooks/dfns")
}

/// Makes a subscription for what a relay understands, and keeps its secret. `before` are those with this address.
///
/// # Errors
/// When Dfns refuses, or the secret was lost: then the new subscription is deleted again.
pub(super) async fn make(
    dfns: &Dfns,
    settings: &Settings,
    url: &str,
    before: &[Subscription],
    place: &SecretPlace,
) -> Result<Subscription, Failure> {
    let body = CreateWebhook {
        url: url.to_owned(),
        events: remit_relay::KINDS.to_vec(),
        status: None,
        description: Some("remit relay".to_owned()),
    };
    let made = match dfns.create_webhook(&body).await {
        Ok(made) => made,
        Err(error @ (Error::Lost { .. } | Error::Misread { .. })) => {
            let now = subscriptions(dfns, Some(url)).await?;
            let new = now.iter().filter(|it| !before.iter().any(|known| known.id == it.id));
            for webhook in new {
                dfns.delete_webhook(&webhook.id).await?;
            }
            let why = "Dfns's answer was lost, and the secret with it; what it may have made is deleted: try again";
            return Err(anyhow::Error::new(error).context(why).into());
        }
        Err(error @ Error::Refused { .. }) => return Err(refused(dfns, error).await),
        Err(error @ (Error::NotSent { .. } | Error::Unsigned { .. })) => return Err(error.into()),
    };
    if let Err(why) = place.keep(settings, &made) {
        let id = &made.subscription.id;
        let undone = match dfns.delete_webhook(id).await {
            Ok(()) => format!("the secret could not be kept, so webhook {id} is deleted again"),
            Err(error) => format!("the secret could not be kept, and webhook {id} could not be deleted: {error}"),
        };
        return Err(why.context(undone).into());
    }
    Ok(made.subscription)
}

/// With what the refusal does not say: how many there are.
async fn refused(dfns: &Dfns, error: Error) -> Failure {
    const USUAL_LIMIT: usize = 5;
    let all = subscriptions(dfns, None).await.map_or(0, |all| all.len());
    let mut error = anyhow::Error::new(error);
    if all >= USUAL_LIMIT {
        error = error.context(format!(
            "the organisation has {all} webhooks, and Dfns allows five unless agreed otherwise: delete one that \
             nobody needs, in Dfns's dashboard"
        ));
    }
    Failure { exit: Exit::Refused, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_dfns_could_deliver_to() {
        for good in ["https://payouts.example.com/webhooks/dfns", "http://127.0.0.1:8080/webhooks/dfns"] {
            assert_eq!(url(good).as_deref(), Ok(good));
        }
        for bad in ["", "payouts.example.com", "ftp://x/y", "https://"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
