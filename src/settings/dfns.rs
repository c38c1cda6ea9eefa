//! How to reach Dfns, and as whom.

use std::{path::PathBuf, time::Duration};

use remit_dfns::{Credentials, PlainHttp};
use remit_relay::Secrets;
use secrecy::SecretString;

use super::{
    CommandLine, Env, Missing, PlainHttpSetting, Secret, SettingsError,
    renewal::{Renewal, Sources},
    secrets::Source,
    section,
    values::value_or_file,
};

/// The default region. Source: Dfns docs, "Regions" (2026).
const BASE_URL: &str = "https://api.dfns.io";
/// An attempt of an activity has 45 s for up to four requests.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

section! {
    /// How to reach Dfns, and as whom.
    DfnsSettings in "dfns" {
        /// `DFNS_BASE_URL`: base of the API. Default `https://api.dfns.io`.
        base_url: String = "DFNS_BASE_URL",
        /// `DFNS_PLAIN_HTTP`: where `http://` is accepted, `loopback` or `anywhere`. Default `loopback`.
        plain_http: PlainHttpSetting = "DFNS_PLAIN_HTTP",
        /// `DFNS_TOKEN`: token of the service account (a JWT).
        token: Secret = "DFNS_TOKEN",
        /// `DFNS_TOKEN_FILE`: file that holds the token.
        token_file: PathBuf = "DFNS_TOKEN_FILE",
        /// `DFNS_TOKEN_COMMAND`: command that prints the token, run without a shell. It is run at the start, and again
        /// when Dfns refuses the token.
        token_command: CommandLine = "DFNS_TOKEN_COMMAND",
        /// `DFNS_CREDENTIAL_ID`: id that Dfns issued for the signing key.
        credential_id: String = "DFNS_CREDENTIAL_ID",
        /// `DFNS_CREDENTIAL_ID_FILE`: file that holds that id, for keys that are replaced without a restart.
        credential_id_file: PathBuf = "DFNS_CREDENTIAL_ID_FILE",
        /// `DFNS_CREDENTIAL_ID_COMMAND`: command that prints it.
        credential_id_command: CommandLine = "DFNS_CREDENTIAL_ID_COMMAND",
        /// `DFNS_PRIVATE_KEY`: signing key, PKCS#8 PEM.
        private_key: Secret = "DFNS_PRIVATE_KEY",
        /// `DFNS_PRIVATE_KEY_FILE`: file that holds the signing key.
        private_key_file: PathBuf = "DFNS_PRIVATE_KEY_FILE",
        /// `DFNS_PRIVATE_KEY_COMMAND`: command that prints the signing key.
        private_key_command: CommandLine = "DFNS_PRIVATE_KEY_COMMAND",
        /// `DFNS_USER_ID`: id of the service account (`us-…`). A payout that anyone else created is never confirmed.
        user_id: String = "DFNS_USER_ID",
        /// `DFNS_WEBHOOK_SECRET`: secret of the webhook subscription; several, while one is being replaced, with
        /// commas between them.
        webhook_secret: Secret = "DFNS_WEBHOOK_SECRET",
        /// `DFNS_WEBHOOK_SECRET_FILE`: file that holds the secrets, one a line; `remit webhook` writes it, and a relay
        /// reads it again whenever it changes.
        webhook_secret_file: PathBuf = "DFNS_WEBHOOK_SECRET_FILE",
    }
}

/// What a worker needs to call Dfns.
#[derive(Clone, Debug)]
pub struct DfnsAccess {
    /// How to reach it and sign.
    pub settings: remit_dfns::Settings,
    /// Our user id.
    pub user_id: String,
    /// How token and key become others while the program runs.
    pub renewal: Renewal,
}

const TOKEN_VARIABLES: [&str; 3] = ["DFNS_TOKEN", "DFNS_TOKEN_FILE", "DFNS_TOKEN_COMMAND"];
const CREDENTIAL_ID_VARIABLES: [&str; 3] =
    ["DFNS_CREDENTIAL_ID", "DFNS_CREDENTIAL_ID_FILE", "DFNS_CREDENTIAL_ID_COMMAND"];
const PRIVATE_KEY_VARIABLES: [&str; 3] = ["DFNS_PRIVATE_KEY", "DFNS_PRIVATE_KEY_FILE", "DFNS_PRIVATE_KEY_COMMAND"];

const TOKEN: Missing = Missing {
    variable: "DFNS_TOKEN",
    key: "dfns.token_file",
    what: "token of the service account, or DFNS_TOKEN_FILE with its file, or DFNS_TOKEN_COMMAND",
};
const CREDENTIAL_ID: Missing = Missing {
    variable: "DFNS_CREDENTIAL_ID",
    key: "dfns.credential_id",
    what: "id that Dfns issued for the signing key",
};
const PRIVATE_KEY: Missing = Missing {
    variable: "DFNS_PRIVATE_KEY_FILE",
    key: "dfns.private_key_file",
    what: "file with the signing key, or DFNS_PRIVATE_KEY with the key itself (PKCS#8 PEM)",
};
const USER_ID: Missing =
    Missing { variable: "DFNS_USER_ID", key: "dfns.user_id", what: "id of the service account (us-…)" };
const WEBHOOK_SECRET: Missing = Missing {
    variable: "DFNS_WEBHOOK_SECRET",
    key: "dfns.webhook_secret_file",
    what: "secret of the webhook subscription, or DFNS_WEBHOOK_SECRET_FILE with its file",
};

impl DfnsSettings {
    /// Where Dfns is.
    pub fn base_url(&self) -> &str {
        self.base_url.as_deref().unwrap_or(BASE_URL)
    }

    /// What a worker needs.
    ///
    /// # Errors
    /// Everything that is missing, at once; a file that cannot be read; a command that gives nothing.
    pub fn access(&self) -> Result<DfnsAccess, SettingsError> {
        let sources = self.sources()?;
        let Some(user_id) = &self.user_id else { return Err(SettingsError::Missing(vec![USER_ID])) };
        let (credentials, stamps) = sources.read()?;
        let Credentials { token, credential_id, private_key_pem } = credentials;
        let mut settings = remit_dfns::Settings::new(self.base_url(), token, credential_id, private_key_pem);
        settings.timeout = REQUEST_TIMEOUT;
        settings.plain_http = match self.plain_http {
            Some(PlainHttpSetting::Anywhere) => PlainHttp::Anywhere,
            Some(PlainHttpSetting::Loopback) | None => PlainHttp::LoopbackOnly,
        };
        Ok(DfnsAccess { settings, user_id: user_id.clone(), renewal: Renewal::of(sources, stamps) })
    }

    /// Where token, key and its id come from. Reads nothing and runs nothing.
    ///
    /// # Errors
    /// Everything that is missing, at once; that one of them is said twice.
    pub fn sources(&self) -> Result<Sources, SettingsError> {
        let id = self.credential_id.clone().map(Secret::from);
        let token =
            Source::of(TOKEN_VARIABLES, self.token.as_ref(), self.token_file.as_ref(), self.token_command.as_ref())?;
        let (file, command) = (self.credential_id_file.as_ref(), self.credential_id_command.as_ref());
        let id = Source::of(CREDENTIAL_ID_VARIABLES, id.as_ref(), file, command)?;
        let (file, command) = (self.private_key_file.as_ref(), self.private_key_command.as_ref());
        let key = Source::of(PRIVATE_KEY_VARIABLES, self.private_key.as_ref(), file, command)?;
        match (token, id, key, &self.user_id) {
            (Some(token), Some(credential_id), Some(private_key), Some(_)) => {
                Ok(Sources { token, credential_id, private_key })
            }
            (token, id, key, user_id) => {
                let missing = [
                    (token.is_none(), TOKEN),
                    (id.is_none(), CREDENTIAL_ID),
                    (key.is_none(), PRIVATE_KEY),
                    (user_id.is_none(), USER_ID),
                ];
                let missing = missing.into_iter().filter_map(|(missing, it)| missing.then_some(it));
                Err(SettingsError::Missing(missing.collect()))
            }
        }
    }

    /// The secrets that a webhook may be signed with, at least one.
    ///
    /// # Errors
    /// When there is none, or the file cannot be read.
    pub fn webhook_secrets(&self) -> Result<Vec<SecretString>, SettingsError> {
        let text = value_or_file(&self.webhook_secret, "DFNS_WEBHOOK_SECRET", &self.webhook_secret_file)?;
        let text = text.as_ref().map_or("", Secret::expose);
        let secrets = match &self.webhook_secret_file {
            Some(_) => Secrets::parse(text),
            None => Secrets::parse(&text.replace(',', "\n")),
        };
        if secrets.is_empty() { Err(SettingsError::Missing(vec![WEBHOOK_SECRET])) } else { Ok(secrets) }
    }

    /// The same for a relay, which reads their file again when it changes.
    ///
    /// # Errors
    /// As [`DfnsSettings::webhook_secrets`].
    pub fn webhook_secrets_for_a_relay(&self) -> Result<Secrets, SettingsError> {
        let now = self.webhook_secrets()?;
        Ok(self.webhook_secret_file.clone().map_or(Secrets::Given(now), Secrets::File))
    }

    /// The environment over the file. A secret may stand in one of several settings: the environment's choice takes
    /// the file's away.
    pub(super) fn overlay_secrets_too(&mut self, env: Env<'_>) -> Result<(), SettingsError> {
        let chosen =
            |variable: &str| ["", "_FILE", "_COMMAND"].iter().any(|place| env(&format!("{variable}{place}")).is_some());
        if chosen("DFNS_TOKEN") {
            (self.token, self.token_file, self.token_command) = (None, None, None);
        }
        if chosen("DFNS_CREDENTIAL_ID") {
            (self.credential_id, self.credential_id_file, self.credential_id_command) = (None, None, None);
        }
        if chosen("DFNS_PRIVATE_KEY") {
            (self.private_key, self.private_key_file, self.private_key_command) = (None, None, None);
        }
        if chosen("DFNS_WEBHOOK_SECRET") {
            (self.webhook_secret, self.webhook_secret_file) = (None, None);
        }
        self.overlay(env)
    }
}

/// Whether the text of a settings file holds a secret itself, and not only the name of a file with one.
pub(super) fn holds_secrets(file: &str) -> bool {
    let names = ["token", "private_key", "webhook_secret"];
    file.lines().filter_map(|line| line.split_once('=')).any(|(name, _)| names.contains(&name.trim()))
}
