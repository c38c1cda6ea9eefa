//! An organisation in a running sandbox, with its people's credentials and the controls a driver has over it.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use remit_dfns::Dfns;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::settings::{DfnsAccess, Renewal, Secret};

/// The service account that pays, by its name in every organisation.
pub const PAYER: &str = "payer";
/// A person who may decide approvals, by the name in every organisation.
pub const APPROVER: &str = "bob";

/// The request limit that the activities' attempts leave room for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Moving the clock delivers webhooks on the way.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(60);

/// An organisation in a sandbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Organisation {
    http: reqwest::Client,
    sandbox_url: String,
    made: Made,
}

#[derive(Clone, Debug, Deserialize)]
struct Made {
    id: String,
    users: Vec<User>,
    wallets: Vec<Wallet>,
}

/// Somebody who may act in the organisation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// `payer`, `alice`, `bob` or `reader`.
    pub name: String,
    /// `us-…`
    pub user_id: String,
    /// Access token.
    pub token: Secret,
    /// Id of the key.
    pub credential_id: String,
    /// The key, PKCS#8 PEM.
    pub private_key_pem: Secret,
}

/// A wallet of the organisation.
#[derive(Clone, Debug, Deserialize)]
pub struct Wallet {
    /// `wa-…`
    pub id: String,
    /// Such as `Polygon`.
    pub network: String,
    /// What it may hold.
    pub assets: Vec<WalletAsset>,
}

/// A token of a wallet.
#[derive(Clone, Debug, Deserialize)]
pub struct WalletAsset {
    /// Such as `Erc20`.
    pub kind: String,
    /// Contract address, on EVM networks.
    #[serde(default)]
    pub contract: Option<String>,
    /// Mint address, on Solana.
    #[serde(default)]
    pub mint: Option<String>,
}

#[cfg(test)]
impl Organisation {
    /// One in a sandbox of its own, which stops when the guard is dropped.
    pub(crate) async fn alone() -> (Self, tokio_util::sync::DropGuard) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = tokio_util::sync::CancellationToken::new();
        tokio::spawn(remit_sandbox::serve(listener, remit_sandbox::Options::default(), stop.clone()));
        (Self::create(&url, &json!({})).await.expect("an organisation"), stop.drop_guard())
    }

    /// Its sandbox.
    pub(crate) fn url(&self) -> &str {
        &self.sandbox_url
    }
}

impl Organisation {
    /// Makes an organisation in the sandbox at this URL. `options` are those of its control API, such as `delays`.
    ///
    /// # Errors
    /// When the sandbox cannot be reached or does not accept the options.
    pub async fn create(sandbox_url: &str, options: &Value) -> Result<Self> {
        let http = http()?;
        let made = call(&http, sandbox_url, Method::POST, "/organisations", Some(options)).await?;
        let made = serde_json::from_value(made).context("the sandbox describes its organisation in another way")?;
        Ok(Self { http, sandbox_url: sandbox_url.to_owned(), made })
    }

    /// `or-…`
    pub fn id(&self) -> &str {
        &self.made.id
    }

    /// The user of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn user(&self, name: &str) -> Result<&User> {
        let user = self.made.users.iter().find(|user| user.name == name);
        user.with_context(|| format!("the organisation has no user {name:?}"))
    }

    /// The first wallet on this network, such as `Polygon`.
    ///
    /// # Errors
    /// When there is none.
    pub fn wallet(&self, network: &str) -> Result<&Wallet> {
        let wallet = self.made.wallets.iter().find(|wallet| wallet.network == network);
        wallet.with_context(|| format!("the organisation has no wallet on {network:?}"))
    }

    /// What a worker needs to act as this user.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn access(&self, name: &str) -> Result<DfnsAccess> {
        let user = self.user(name)?;
        let mut settings = remit_dfns::Settings::new(
            &self.sandbox_url,
            user.token.secret(),
            &user.credential_id,
            user.private_key_pem.secret(),
        );
        settings.timeout = REQUEST_TIMEOUT;
        Ok(DfnsAccess { settings, user_id: user.user_id.clone(), renewal: Renewal::default() })
    }

    /// A client that acts as this user.
    ///
    /// # Errors
    /// When there is no such user, or its key cannot be used.
    pub fn dfns(&self, name: &str) -> Result<Dfns> {
        Ok(Dfns::new(self.access(name)?.settings)?)
    }

    /// A call of the control API below this organisation, such as `("GET", "/ledger?externalId=po-1")`.
    ///
    /// # Errors
    /// When the sandbox cannot be reached or answers with an error.
    pub async fn control(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let path = format!("/organisations/{}{path}", self.made.id);
        call(&self.http, &self.sandbox_url, method, &path, body).await
    }

    /// Adds a wallet with a lot of the network's dollar token, the same that the first wallet there has.
    ///
    /// # Errors
    /// As [`Organisation::control`].
    pub async fn add_wallet(&self, network: &str, name: &str) -> Result<Wallet> {
        let token = &self.token(network)?;
        let body = json!({"network": network, "name": name, "assets": [
            {"kind": token.kind, "contract": token.contract, "mint": token.mint, "symbol": "USDC", "name": "USD Coin",
             "balance": "1000000000000000"},
            {"kind": "Native", "balance": "1000000000000000000000"},
        ]});
        let wallet = self.control(Method::POST, "/wallets", Some(&body)).await?;
        serde_json::from_value(wallet).context("the sandbox describes its wallet in another way")
    }

    /// The dollar token of a network.
    ///
    /// # Errors
    /// When there is no wallet on that network.
    pub fn token(&self, network: &str) -> Result<WalletAsset> {
        let token = self.wallet(network)?.assets.iter().find(|asset| asset.contract.is_some() || asset.mint.is_some());
        token.cloned().with_context(|| format!("the organisation holds no token on {network:?}"))
    }

    /// Makes something go wrong. The sandbox's README lists the faults.
    ///
    /// # Errors
    /// As [`Organisation::control`].
    pub async fn fault(&self, fault: &Value) -> Result<()> {
        self.control(Method::POST, "/faults", Some(fault)).await?;
        Ok(())
    }

    /// Moves the organisation's clock ahead. Returns when all that was due has happened.
    ///
    /// # Errors
    /// As [`Organisation::control`].
    pub async fn advance(&self, by: Duration) -> Result<()> {
        let body = json!({"advanceMs": u64::try_from(by.as_millis())?});
        self.control(Method::POST, "/clock", Some(&body)).await?;
        Ok(())
    }

    /// The environment of whoever acts as the paying account. The key is written to this file, readable by its owner
    /// alone.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn environment(&self, key_file: &Path) -> Result<Vec<(String, String)>> {
        let payer = self.user(PAYER)?;
        let key_file = std::path::absolute(key_file).context("no absolute path")?;
        write_private(&key_file, payer.private_key_pem.expose())?;
        let pairs = [
            ("DFNS_BASE_URL", self.sandbox_url.clone()),
            ("DFNS_TOKEN", payer.token.expose().to_owned()),
            ("DFNS_CREDENTIAL_ID", payer.credential_id.clone()),
            ("DFNS_PRIVATE_KEY_FILE", key_file.to_string_lossy().into_owned()),
            ("DFNS_USER_ID", payer.user_id.clone()),
        ];
        Ok(pairs.map(|(name, value)| (name.to_owned(), value)).to_vec())
    }
}

/// Writes an environment file for a shell, readable by its owner alone.
///
/// # Errors
/// When it cannot be written.
pub fn write_env(file: &Path, environment: &[(String, String)]) -> Result<()> {
    let mut text = format!("# Read this with: . {}\n", shell_quoted(&file.to_string_lossy()));
    for (name, value) in environment {
        text += &format!("export {name}={}\n", shell_quoted(value));
    }
    write_private(file, &text)
}

async fn call(http: &reqwest::Client, base: &str, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
    let what = format!("{method} {base}/_sandbox{path}");
    let mut request = http.request(method, format!("{base}/_sandbox{path}"));
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.with_context(|| format!("no answer from the sandbox to {what}"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("no complete answer from the sandbox to {what}"))?;
    if !status.is_success() {
        bail!("the sandbox answered {what} with {status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("the sandbox answered {what} with something else than JSON"))
}

/// A client for calls to this machine.
pub(crate) fn http() -> Result<reqwest::Client> {
    // A provider may be there already, put by another client of this process: just as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(5)).timeout(CONTROL_TIMEOUT);
    client.user_agent(concat!("remit/", env!("CARGO_PKG_VERSION"))).build().context("the HTTP client cannot be set up")
}

/// Writes a file that only its owner can read, whoever could read it before.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<()> {
    let attempt = || format!("cannot write {}", file.display());
    let mut open =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file).with_context(attempt)?;
    open.set_permissions(std::fs::Permissions::from_mode(0o600)).with_context(attempt)?;
    open.write_all(text.as_bytes()).with_context(attempt)
}

/// Text as a shell reads it back.
pub(crate) fn shell_quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@=+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for text in ["plain", "with space", "it's", "$(reboot)", "", "a\nb", "eyJ.x-y_z"] {
            let said = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", shell_quoted(text))])
                .output()
                .expect("sh runs");
            assert_eq!(String::from_utf8_lossy(&said.stdout), text);
        }
    }

    #[test]
    fn a_file_with_secrets_is_for_its_owner_alone_even_when_it_was_there_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.env");
        std::fs::write(&file, "a longer text than the new one").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("mode");
        write_private(&file, "secret").expect("written");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "secret");
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
