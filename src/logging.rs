//! What the program says about itself while it runs: lines for people or JSON, on stderr.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("\"human\" or \"json\""),
        }
    }
}

/// Who reads along, and so how much is said unless `RUST_LOG` asks for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// A person typed the command: warnings and errors, as lines.
    Person,
    /// A person has recorded payouts replayed: what those had to say is old, and nobody has to look at it now.
    Replay,
    /// A process that runs for months: everything from `info` on; JSON unless stderr is a terminal.
    Role,
}

/// What libraries may say: Temporal's and the network's chatter is not ours.
const LIBRARIES: &str = "temporalio_client=warn,temporalio_common=warn,temporalio_sdk=warn,temporalio_sdk_core=warn,\
    temporalio_workflow=warn,h2=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn,sqlx=warn,tonic=warn,tower=warn";

/// Starts logging for this process. Later calls change nothing.
pub fn init(format: Option<LogFormat>, voice: Voice) {
    let usual = match voice {
        Voice::Person => "warn".to_owned(),
        Voice::Replay => "warn,remit_workflows=error".to_owned(),
        Voice::Role => format!("info,{LIBRARIES}"),
    };
    let filter = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::builder().parse_lossy(filter.as_deref().unwrap_or(&usual));
    let format = format.unwrap_or(match voice {
        Voice::Role if !std::io::stderr().is_terminal() => LogFormat::Json,
        Voice::Person | Voice::Replay | Voice::Role => LogFormat::Human,
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when logging was started before, by a test.
    let _ = match format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    };
}
