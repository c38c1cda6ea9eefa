//! The connection to Temporal: where it is, as whom, and how long to try.

use std::{path::PathBuf, time::Duration};

use remit_codec::Codec;
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, GrpcCompression,
    envconfig::{ClientConfigProfile, ConfigError, DataSource, LoadClientConfigProfileOptions},
    errors::ClientConnectError,
    tonic::Code,
};
use temporalio_common::{
    data_converters::DataConverter, envconfig::load_client_config_profile, telemetry::metrics::TemporalMeter,
};

/// Connects, and makes sure that the server answers.
///
/// `identity` names this process in the Web UI. With a `meter`, requests to Temporal are counted.
///
/// # Errors
/// When the settings cannot be used, the server cannot be reached for as long as `patience` says, or it refuses us.
pub async fn connect(
    options: &TemporalOptions,
    identity: &str,
    meter: Option<TemporalMeter>,
    patience: Patience,
) -> Result<Client, ConnectError> {
    let codec = options.codec.as_ref().map(Codec::reading_plain);
    let Target { mut connection, namespace, converter } = TemporalOptions { codec, ..options.clone() }.resolve()?;
    identity.clone_into(&mut connection.identity);
    connection.metrics_meter = meter;
    let address = connection.target.to_string();
    let limit = match patience {
        Patience::Once => Duration::ZERO,
        Patience::Startup => STARTUP,
    };
    let connection = persist(limit, &address, || Connection::connect(connection.clone())).await?;
    Client::new(connection, ClientOptions::new(namespace).data_converter(converter).build())
        .map_err(|error| ConnectError::Settings { why: error.to_string() })
}

/// Where Temporal is. What is not said here comes from the standard environment (`TEMPORAL_ADDRESS`,
/// `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS…`) and profile file (`temporal.toml`), as in every Temporal
/// SDK; what neither says is `localhost:7233` and `default`.
#[derive(Clone, Debug, Default)]
pub struct TemporalOptions {
    /// `host:port`, or a URL.
    pub address: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The profile to read in the file. Default: `TEMPORAL_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// The file with profiles. Default: `TEMPORAL_CONFIG_FILE`, else the standard place of this system.
    pub config_file: Option<PathBuf>,
    /// Encrypts what Temporal keeps. Default: nothing is.
    pub codec: Option<Codec>,
}

/// What [`TemporalOptions`] come to.
#[derive(Clone, Debug)]
pub struct Target {
    /// How to connect: address, TLS, API key, headers, limits.
    pub connection: ConnectionOptions,
    /// The namespace.
    pub namespace: String,
    /// How payloads are written and read.
    pub converter: DataConverter,
}

/// How long to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Once: for commands, where somebody waits for the answer.
    Once,
    /// For 30 seconds: for processes that start together with the server.
    Startup,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The settings cannot be used.
    #[error(
        "the Temporal settings cannot be used: {why}; see TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_* and temporal.toml"
    )]
    Settings {
        /// What is wrong.
        why: String,
    },
    /// The server does not answer, or not in time.
    #[error(
        "Temporal at {address} cannot be reached: {why}; start it (`remit dev` brings one), or say where it is with --temporal-address or TEMPORAL_ADDRESS"
    )]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What stood in the way.
        why: String,
    },
    /// The server answers, and does not want us.
    #[error("Temporal at {address} refuses us: {why}; check TEMPORAL_API_KEY, or the certificate in TEMPORAL_TLS_*")]
    Refused {
        /// Where it was asked.
        address: String,
        /// What it said.
        why: String,
    },
}

/// The longest one try may take.
const ONE_TRY: Duration = Duration::from_secs(10);
const STARTUP: Duration = Duration::from_secs(30);
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

impl TemporalOptions {
    /// Reads environment and profile file, and puts what is said here on top.
    ///
    /// # Errors
    /// When the file or a value cannot be used, or a named profile is not there.
    pub fn resolve(&self) -> Result<Target, ConnectError> {
        let source = self.config_file.as_ref().map(|path| DataSource::Path(path.to_string_lossy().into_owned()));
        if let Some(path) = self.config_file.as_ref().filter(|path| !path.is_file()) {
            return Err(ConnectError::Settings { why: format!("there is no file {}", path.display()) });
        }
        let load = LoadClientConfigProfileOptions::builder()
            .maybe_config_source(source)
            .maybe_config_file_profile(self.profile.clone())
            .build();
        self.apply(load_client_config_profile(load, None).map_err(settings)?)
    }

    fn apply(&self, mut profile: ClientConfigProfile) -> Result<Target, ConnectError> {
        // Before the conversion, which takes the scheme of a bare address from the TLS settings.
        if let Some(address) = &self.address {
            profile.address = Some(address.clone());
        }
        let namespace = self.namespace.clone().or_else(|| profile.namespace.clone());
        let mut connection = ConnectionOptions::try_from(profile).map_err(settings)?;
        connection.connect_timeout = Some(ONE_TRY);
        // What we send is small, and the SDK makes a compressor of 300 KB for each request: a tenth of a worker's processor
        // time (docs/performance.md).
        connection.grpc_compression = GrpcCompression::None;
        let converter = self.codec.as_ref().map(Codec::converter).unwrap_or_default();
        Ok(Target { connection, namespace: namespace.unwrap_or_else(|| "default".to_owned()), converter })
    }
}

fn settings(error: ConfigError) -> ConnectError {
    ConnectError::Settings { why: error.to_string() }
}

async fn persist<T, F>(limit: Duration, address: &str, mut attempt: impl FnMut() -> F) -> Result<T, ConnectError>
where
    F: Future<Output = Result<T, ClientConnectError>>,
{
    let begun = tokio::time::Instant::now();
    loop {
        let why = match tokio::time::timeout(ONE_TRY, attempt()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => match judge(&error) {
                Judged::Away(why) => why,
                Judged::Refused(why) => return Err(ConnectError::Refused { address: address.to_owned(), why }),
                Judged::Settings(why) => return Err(ConnectError::Settings { why }),
            },
            Err(_) => format!("no answer within {ONE_TRY:?}"),
        };
        if begun.elapsed() + BETWEEN_TRIES >= limit {
            return Err(ConnectError::Unreachable { address: address.to_owned(), why });
        }
        tracing::warn!("Temporal at {address} does not answer yet: {why}");
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

enum Judged {
    Away(String),
    Refused(String),
    Settings(String),
}

// One kind exists only where somebody turns the SDK's feature "experimental" on, as the worker does.
#[allow(clippy::wildcard_enum_match_arm)]
fn judge(error: &ClientConnectError) -> Judged {
    match error {
        ClientConnectError::TonicTransportError(cause) => Judged::Away(innermost(cause)),
        ClientConnectError::DnsResolutionError { host, source } => {
            Judged::Away(format!("the name {host:?} is not known: {source}"))
        }
        ClientConnectError::SystemInfoCallError(status)
            if [Code::Unauthenticated, Code::PermissionDenied].contains(&status.code()) =>
        {
            Judged::Refused(status.message().to_owned())
        }
        ClientConnectError::SystemInfoCallError(status) => Judged::Away(status.message().to_owned()),
        ClientConnectError::InvalidUri(_)
        | ClientConnectError::InvalidHeaders(_)
        | ClientConnectError::InvalidConfig(_) => Judged::Settings(error.to_string()),
        // What a newer SDK may add.
        _ => Judged::Away(error.to_string()),
    }
}

/// "tcp connect error: Connection refused" rather than "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILES: &str = r#"
        [profile.cloud]
        address = "acme.a2dd6.tmprl.cloud:7233"
        namespace = "payouts.a2dd6"
        api_key = "secret-key"

        [profile.plain]
        address = "temporal.internal:7233"
        namespace = "payouts"
    "#;

    fn target(profile: &str, change: fn(&mut TemporalOptions)) -> Result<Target, ConnectError> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("temporal.toml");
        std::fs::write(&file, PROFILES).expect("written");
        let mut options =
            TemporalOptions { profile: Some(profile.into()), config_file: Some(file), ..Default::default() };
        change(&mut options);
        options.resolve()
    }

    #[test]
    fn a_profile_brings_address_tls_and_key() {
        let Target { connection, namespace, .. } = target("cloud", |_| {}).expect("usable");
        assert_eq!(connection.target.as_str(), "https://acme.a2dd6.tmprl.cloud:7233/");
        assert_eq!(namespace, "payouts.a2dd6");
        assert_eq!(connection.api_key.as_deref(), Some("secret-key"));
        assert!(connection.tls_options.is_some(), "a key without TLS would travel in clear");
        assert_eq!(connection.connect_timeout, Some(ONE_TRY));
        assert_eq!(connection.grpc_compression, GrpcCompression::None);
    }

    #[test]
    fn what_is_said_wins_over_the_profile_and_keeps_its_tls() {
        let changed = |options: &mut TemporalOptions| {
            options.address = Some("other.tmprl.cloud:7233".into());
            options.namespace = Some("mine".into());
        };
        let Target { connection, namespace, .. } = target("cloud", changed).expect("usable");
        assert_eq!(connection.target.as_str(), "https://other.tmprl.cloud:7233/");
        assert_eq!(namespace, "mine");
        let Target { connection, .. } = target("plain", changed).expect("usable");
        assert_eq!(connection.target.as_str(), "http://other.tmprl.cloud:7233/");
        assert!(connection.tls_options.is_none());
    }

    #[test]
    fn a_profile_or_file_that_is_not_there_is_named() {
        let error = target("absent", |_| {}).expect_err("no such profile").to_string();
        assert!(error.contains("absent"), "{error}");
        let gone = |options: &mut TemporalOptions| options.config_file = Some("no/such/temporal.toml".into());
        let error = target("plain", gone).expect_err("no such file").to_string();
        assert!(error.contains("no/such/temporal.toml"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_with_what_to_do() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let options = TemporalOptions { address: Some(free.to_string()), ..Default::default() };
        let error = connect(&options, "test", None, Patience::Once).await.expect_err("nobody listens").to_string();
        assert!(error.contains(&free.to_string()) && error.contains("TEMPORAL_ADDRESS"), "{error}");
        assert!(error.contains("refused"), "{error}");
    }

    #[tokio::test]
    async fn trying_ends_when_the_patience_does() {
        let tries = std::cell::Cell::new(0);
        let attempt = || {
            tries.set(tries.get() + 1);
            let source = std::io::Error::other("no such name");
            std::future::ready(Err::<(), _>(ClientConnectError::DnsResolutionError { host: "here".into(), source }))
        };
        let error = persist(Duration::ZERO, "here", attempt).await.expect_err("never there").to_string();
        assert!(error.contains("no such name"), "{error}");
        assert_eq!(tries.replace(0), 1);
        persist(BETWEEN_TRIES + BETWEEN_TRIES / 2, "here", attempt).await.expect_err("never there");
        assert_eq!(tries.get(), 2);
    }
}
