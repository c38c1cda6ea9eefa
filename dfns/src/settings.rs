//! How to reach Dfns and as whom.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::error::SettingsError;

/// Where Dfns is and who calls. Printing it shows no secret.
///
/// The token and the key are wiped from memory when these settings are dropped. Not wiped: the
/// parsed private key inside `ring`, and the copy of the token in the prepared request header;
/// both live as long as the client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base of the API, such as `https://api.dfns.io`. A path is allowed and goes before every
    /// call's own path; it is not part of what is signed.
    pub base_url: String,
    /// Token of the service account (a JWT).
    pub token: SecretString,
    /// Credential id of the key below, as Dfns issued it.
    pub credential_id: String,
    /// Private key, PKCS#8 PEM: Ed25519, ECDSA P-256, or RSA of 2048 bits or more.
    pub private_key_pem: SecretString,
    /// Limit for making a connection. Default 5 s.
    pub connect_timeout: Duration,
    /// Limit for each request, from start to the last byte of the answer. Default 30 s.
    pub timeout: Duration,
    /// `User-Agent` header, not empty: the API asks for one. Default `remit-dfns/<version>`.
    pub user_agent: String,
    /// Whether `http://` is accepted. Default [`PlainHttp::LoopbackOnly`].
    pub plain_http: PlainHttp,
}

/// What proves who calls, and is replaced from time to time: see [`crate::Dfns::renew`]. Printing it shows no secret.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// As [`Settings::token`].
    pub token: SecretString,
    /// As [`Settings::credential_id`].
    pub credential_id: String,
    /// As [`Settings::private_key_pem`].
    pub private_key_pem: SecretString,
}

/// Where unencrypted connections are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only to this machine: `localhost` and loopback addresses.
    LoopbackOnly,
    /// Anywhere. For a sandbox inside a container network, never for the real Dfns.
    Anywhere,
}

impl Settings {
    /// Settings with defaults for everything but place and identity.
    pub fn new(
        base_url: impl Into<String>,
        token: SecretString,
        credential_id: impl Into<String>,
        private_key_pem: SecretString,
    ) -> Self {
        Self {
            base_url: base_url.into(),
            token,
            credential_id: credential_id.into(),
            private_key_pem,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            user_agent: concat!("remit-dfns/", env!("CARGO_PKG_VERSION")).to_owned(),
            plain_http: PlainHttp::LoopbackOnly,
        }
    }

    /// What proves who calls.
    pub fn credentials(&self) -> Credentials {
        Credentials {
            token: self.token.clone(),
            credential_id: self.credential_id.clone(),
            private_key_pem: self.private_key_pem.clone(),
        }
    }

    /// The base without a trailing slash, and whether it is this machine.
    pub(crate) fn base(&self) -> Result<(String, Host), SettingsError> {
        let wrong = |problem: String| SettingsError::Field { field: "base_url", problem };
        // Not quoted before this point: a broken URL may hold a password.
        let url = Url::parse(&self.base_url)
            .map_err(|e| wrong(format!("expected a URL such as https://api.dfns.io: {e}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("expected no user or password in the URL".to_owned()));
        }
        let expected = |what: &str| wrong(format!("expected {what}, got {url}"));
        if url.query().is_some() || url.fragment().is_some() {
            return Err(expected("no query and no fragment"));
        }
        let host = url.host_str().ok_or_else(|| expected("a host"))?;
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let host = match host == "localhost" || address.is_some_and(|a| a.is_loopback()) {
            true => Host::Loopback,
            false => Host::Remote,
        };
        let plain_is_fine = host == Host::Loopback || self.plain_http == PlainHttp::Anywhere;
        match url.scheme() {
            "https" => {}
            "http" if plain_is_fine => {}
            _ => return Err(expected("https (http is for loopback, or where plain_http allows it)")),
        }
        Ok((url.as_str().trim_end_matches('/').to_owned(), host))
    }

    /// The `User-Agent` header.
    pub(crate) fn user_agent(&self) -> Result<HeaderValue, SettingsError> {
        match HeaderValue::from_str(&self.user_agent) {
            Ok(header) if !self.user_agent.trim().is_empty() => Ok(header),
            _ => Err(SettingsError::Field {
                field: "user_agent",
                problem: format!("expected printable text, got {:?}", self.user_agent),
            }),
        }
    }
}

impl Credentials {
    /// The `Authorization` header.
    pub(crate) fn authorization(&self) -> Result<HeaderValue, SettingsError> {
        let wrong = |problem: &str| SettingsError::Field { field: "token", problem: problem.to_owned() };
        let token = self.token.expose_secret();
        if token.is_empty() {
            return Err(wrong("expected a token, got none"));
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| wrong("expected a JWT, got characters that no header can hold (a line end?)"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// Whose token it is, as it says itself where it says so: organisation and user. Nothing is proven by that.
    pub(crate) fn account(&self) -> Account {
        let claims = self.token.expose_secret().split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims: Value = claims.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        let said = |name: &str| claims["https://custom/app_metadata"][name].as_str().map(str::to_owned);
        Account { organisation: said("orgId"), user: said("userId") }
    }
}

/// Whose token it is, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    organisation: Option<String>,
    user: Option<String>,
}

impl Account {
    /// Whether both may be one: nothing that both say differs.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        let agree = |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        agree(&self.organisation, &other.organisation) && agree(&self.user, &other.user)
    }
}

/// Whether requests leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// They do not; proxies of the environment are not used.
    Loopback,
    /// They do.
    Remote,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str, plain_http: PlainHttp) -> Result<String, String> {
        let settings = Settings { plain_http, ..Settings::new(url, "t".into(), "c", "k".into()) };
        settings.base().map(|(base, _)| base).map_err(|e| e.to_string())
    }

    #[test]
    fn plain_http_is_for_loopback_unless_a_setting_says_so() {
        for good in ["https://api.dfns.io/", "http://localhost:4000", "http://127.0.0.1:1", "http://[::1]:1/org/1/"] {
            assert_eq!(base(good, PlainHttp::LoopbackOnly), Ok(good.trim_end_matches('/').to_owned()));
        }
        assert!(base("http://sandbox:4000", PlainHttp::LoopbackOnly).is_err());
        assert!(base("http://127.0.0.1.example.com", PlainHttp::LoopbackOnly).is_err());
        assert!(base("http://sandbox:4000", PlainHttp::Anywhere).is_ok());
        assert!(base("ftp://sandbox", PlainHttp::Anywhere).is_err());
    }

    #[test]
    fn a_base_url_with_a_password_is_refused_without_printing_it() {
        let refused = base("https://me:hunter2@api.dfns.io", PlainHttp::LoopbackOnly).expect_err("refused");
        assert!(refused.starts_with("base_url: ") && !refused.contains("hunter2"), "{refused}");
        for bad in ["", "api.dfns.io", "https://api.dfns.io?x=1", "https://api.dfns.io#x"] {
            assert!(base(bad, PlainHttp::LoopbackOnly).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_that_no_header_can_hold_and_an_empty_agent_are_refused() {
        for token in ["", "a\nb"] {
            let settings = Settings::new("https://api.dfns.io", token.into(), "c", "k".into());
            assert!(settings.credentials().authorization().is_err());
        }
        let mut settings = Settings::new("https://api.dfns.io", "t".into(), "c", "k".into());
        assert!(settings.user_agent().is_ok());
        settings.user_agent = " ".into();
        assert!(settings.user_agent().is_err());
    }

    #[test]
    fn a_token_says_whose_it_is_and_one_that_does_not_may_be_anybodys() {
        let account = |claims: Option<Value>| {
            let token = claims.map_or("opaque".to_owned(), |claims| {
                let metadata = serde_json::json!({"https://custom/app_metadata": claims});
                format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(metadata.to_string()))
            });
            Settings::new("https://api.dfns.io", token.into(), "c", "k".into()).credentials().account()
        };
        let of =
            |organisation: &str, user: &str| account(Some(serde_json::json!({"orgId": organisation, "userId": user})));
        assert!(of("or-1", "us-1").may_be(&of("or-1", "us-1")));
        assert!(!of("or-1", "us-1").may_be(&of("or-1", "us-2")));
        assert!(!of("or-1", "us-1").may_be(&of("or-2", "us-1")));
        assert!(of("or-1", "us-1").may_be(&account(None)));
        assert!(of("or-1", "us-1").may_be(&account(Some(serde_json::json!({"orgId": "or-1"})))));
    }
}
