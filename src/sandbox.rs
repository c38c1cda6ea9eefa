//! `remit sandbox`: the fake Dfns alone, for everyone's tests.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    dev::{Organisation, write_env},
    exit::{Exit, Outcome, stop_on_signal},
    out,
};

/// Flags of `remit sandbox`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Where to listen; port 0 takes a free one. Anyone who reaches it controls it: keep it on loopback
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8181")]
    listen: SocketAddr,
    /// Decides every id, address and throw of the dice: the same seed and the same calls give the same answers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Make an organisation at once and write its credentials to this file, as an environment for a shell
    #[arg(long, value_name = "FILE")]
    organisation: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  remit sandbox                                      the fake Dfns at http://127.0.0.1:8181
  remit sandbox --listen 127.0.0.1:0 --seed 7        on a free port, which is printed
  remit sandbox --organisation org.env               with an organisation; then, in another shell:
    . ./org.env && curl -H \"Authorization: Bearer $DFNS_TOKEN\" $DFNS_BASE_URL/wallets

Standard output gets exactly one line, once it serves: `sandbox ready: http://…`.
Everything is in memory and gone when it stops. sandbox/README.md lists what is simulated, the amounts that decide
how a payout ends, and the control API.";

/// Serves until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the port is taken, or the organisation's file cannot be written.
pub async fn run(args: Args) -> Outcome {
    let stop = stop_on_signal()?;
    let listener = listen(args.listen, "the sandbox").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let options = remit_sandbox::Options { seed: args.seed, ..Default::default() };
    let server = tokio::spawn(remit_sandbox::serve(listener, options, stop));
    out::note(format_args!("seed {}", args.seed));
    if let Some(file) = &args.organisation {
        let organisation = Organisation::create(&url, &json!({})).await?;
        let key_file = file.with_extension("key.pem");
        write_env(file, &organisation.environment(&key_file)?)?;
        out::note(format_args!(
            "organisation {}: credentials in {} and {}",
            organisation.id(),
            file.display(),
            key_file.display()
        ));
    } else {
        out::note(format_args!("first make an organisation: curl -X POST {url}/_sandbox/organisations"));
    }
    out::line(format_args!("sandbox ready: {url}"))?;
    server.await?.context("the sandbox stopped")?;
    Ok(Exit::Done)
}

/// Listens, or says who wanted to.
///
/// # Errors
/// When the address cannot be used.
pub(crate) async fn listen(address: SocketAddr, whose: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{whose} cannot listen on {address}: stop what listens there, or choose another port"))
}
