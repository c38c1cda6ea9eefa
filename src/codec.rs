//! `remit codec`: the keys that encrypt what Temporal keeps, and the server that shows it to people.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use axum::http::HeaderValue;
use remit_codec::{CodecKeys, server};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    exit::{Exit, Failure, Outcome, stop_on_signal},
    out,
    sandbox::listen,
    settings::Settings,
};

/// What to do about the codec.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print a new key, as a line of the file with keys
    Key(KeyArgs),
    /// Let Temporal's Web UI and CLI read encrypted payloads
    Serve(ServeArgs),
}

/// Flags of `remit codec key`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit codec key 2026-11 > codec-keys
  (remit codec key 2026-12; cat codec-keys) > new && mv new codec-keys     the new key encrypts, the old one still reads

Give the file to every worker, relay, starter and operator as REMIT_CODEC_KEYS_FILE: first everywhere with the new key
below the old one, then with the new one on top. Take a key away when nothing that it encrypted is kept any more.
Exit codes: 0 done · 1 no random bytes.")]
pub struct KeyArgs {
    /// What the key is called: 1 to 64 letters, digits, dots, dashes or underscores
    id: String,
}

/// Flags of `remit codec serve`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit codec serve --origin http://127.0.0.1:8233
  remit codec serve --origin https://temporal.example.com --token-file codec.token --listen 0.0.0.0:8888
  temporal workflow show --workflow-id payout-invoice-1 --codec-endpoint http://127.0.0.1:8888

In the Web UI: the glasses at the top right, endpoint http://127.0.0.1:8888. Whoever reaches it with the token reads what
is encrypted. Stops on Ctrl-C and SIGTERM.
Exit codes: 0 stopped · 2 settings · 1 anything else.")]
pub struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 8888)))]
    listen: SocketAddr,
    /// The Web UI's address: the only page whose scripts may ask
    #[arg(long, value_name = "URL")]
    origin: String,
    /// File with the token that has to be brought; without one, anyone who reaches the port may ask: loopback only
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// Exit codes as the help says.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Key(args) => {
            let line = CodecKeys::new_line(&args.id)?;
            // An id that could not be read again is refused here already.
            CodecKeys::parse(line.expose_secret()).map_err(|error| Failure::usage(anyhow!(error)))?;
            out::line(line.expose_secret())?;
            Ok(Exit::Done)
        }
        Command::Serve(args) => serve(args, settings).await,
    }
}

async fn serve(args: ServeArgs, settings: &Settings) -> Outcome {
    let stop = stop_on_signal()?;
    let missing = || Failure::usage(anyhow!("there are no codec keys: set REMIT_CODEC_KEYS_FILE"));
    let codec = settings.codec().map_err(Failure::usage)?.ok_or_else(missing)?;
    let token = match &args.token_file {
        None if !args.listen.ip().is_loopback() => {
            let why =
                "without --token-file anyone who reaches it could read payouts: listen on loopback, or give a token";
            return Err(Failure::usage(anyhow!(why)));
        }
        None => None,
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Some(SecretString::from(text.trim().to_owned())).filter(|token| !token.expose_secret().is_empty())
        }
    };
    if args.token_file.is_some() && token.is_none() {
        return Err(Failure::usage(anyhow!("the token file is empty")));
    }
    let origin = HeaderValue::from_str(args.origin.trim_end_matches('/'))
        .map_err(|_| Failure::usage(anyhow!("--origin: expected an address such as http://127.0.0.1:8233")))?;
    let listener = listen(args.listen, "the codec server").await?;
    out::line(format_args!("codec server ready: http://{}", listener.local_addr()?))?;
    let router = server::router(codec, server::Access { origin, token });
    axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await?;
    Ok(Exit::Done)
}
