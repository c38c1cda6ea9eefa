//! The connection to Temporal for commands, and what its errors mean as exit codes.

use remit_activities::Names;
use remit_client::{Patience, PayoutClient, ReadError, StartError, TemporalOptions, connect, ui_link};

use crate::{
    dev::Running,
    exit::{Exit, Failure},
    out,
    settings::Settings,
};

/// A client, and what is known about where it leads.
pub struct Connected {
    /// The client.
    pub client: PayoutClient,
    ui: Option<String>,
}

/// Temporal's own settings: with one of these in the environment somebody has said where the server is.
const SAYS_WHERE: [&str; 3] = ["TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"];

impl Connected {
    /// Connects once, for a command that somebody waits for. When nothing says where Temporal is and `remit dev`
    /// runs on this machine, its server is taken, and that is said.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn for_a_person(settings: &Settings) -> Result<Self, Failure> {
        let mut options = options(settings)?;
        let running = Running::find().await;
        let said = options.address.is_some() || SAYS_WHERE.iter().any(|name| std::env::var_os(name).is_some());
        if !said && let Some(running) = &running {
            let Running { command, temporal_address, .. } = running;
            out::note(format_args!("(Temporal of the system started by `remit {command}`, at {temporal_address})"));
            options.address = Some(running.temporal_address.clone());
            options.namespace.get_or_insert_with(|| running.namespace.clone());
        }
        let temporal = connect(&options, &identity("command"), None, Patience::Once).await?;
        let client = PayoutClient::new(temporal);
        let client = match settings.names() {
            Names::Allowed => client.allow_names_in_clear(),
            Names::OnlyEncrypted => client,
        };
        let address = options.address.or_else(|| std::env::var("TEMPORAL_ADDRESS").ok());
        let ours = running.filter(|running| address.as_deref() == Some(running.temporal_address.as_str()));
        Ok(Self { client, ui: ours.and_then(|running| running.ui_url) })
    }

    /// Where the run can be looked at, when the Web UI is known.
    pub fn ui_link(&self, workflow_id: &str, run_id: &str) -> Option<String> {
        ui_link(self.ui.as_deref()?, self.client.namespace(), workflow_id, run_id)
    }
}

/// What settings say; where the server is, is read from Temporal's own environment and file.
///
/// # Errors
/// When the codec keys cannot be used.
pub fn options(settings: &Settings) -> Result<TemporalOptions, Failure> {
    Ok(TemporalOptions {
        address: settings.temporal.address.clone(),
        namespace: settings.temporal.namespace.clone(),
        codec: settings.codec().map_err(Failure::usage)?,
        ..TemporalOptions::default()
    })
}

/// How this process is called in the Web UI.
pub fn identity(role: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => format!("remit-{role}-{}", std::process::id()),
        host => format!("remit-{role}-{}@{host}", std::process::id()),
    }
}

/// What the exit code says when nothing was started.
pub fn start_failure(error: StartError) -> Failure {
    let exit = match &error {
        StartError::Invalid(_) | StartError::NameInClear | StartError::Refused { .. } => Exit::Usage,
        StartError::Conflict { .. } => Exit::Conflict,
        StartError::Unreadable { .. } | StartError::Unavailable(_) => Exit::Failed,
    };
    Failure { exit, error: error.into() }
}

/// What the exit code says when a payout cannot be read.
pub fn read_failure(error: ReadError) -> Failure {
    let exit = match &error {
        ReadError::BadId { .. } | ReadError::Refused { .. } => Exit::Usage,
        ReadError::NotFound { .. } => Exit::NotFound,
        ReadError::Conflict { .. } => Exit::Conflict,
        ReadError::Over { .. } => Exit::Refused,
        ReadError::Terminated { .. }
        | ReadError::NoWorker { .. }
        | ReadError::Unreadable { .. }
        | ReadError::Unavailable(_) => Exit::Failed,
    };
    Failure { exit, error: error.into() }
}

#[cfg(test)]
mod tests {
    use remit_domain::{ExternalId, PayoutKey, Refusal};

    use super::*;

    #[test]
    fn each_reason_for_not_starting_has_its_exit_code() {
        let key = PayoutKey::of(&ExternalId::parse("a").expect("an id"));
        let conflict = StartError::Conflict { key, differs: vec![] };
        assert_eq!(start_failure(conflict).exit, Exit::Conflict);
        assert_eq!(start_failure(StartError::Invalid(Refusal(vec![]))).exit, Exit::Usage);
        assert_eq!(start_failure(StartError::Refused { why: "no".into() }).exit, Exit::Usage);
        let unreadable = StartError::Unreadable { workflow_id: "w".into(), why: "x".into() };
        assert_eq!(start_failure(unreadable).exit, Exit::Failed);
    }

    #[test]
    fn each_reason_for_not_reading_has_its_exit_code() {
        let text = || "x".to_owned();
        let cases = [
            (ReadError::BadId { id: text() }, Exit::Usage),
            (ReadError::NotFound { id: text(), namespace: text() }, Exit::NotFound),
            (ReadError::Refused { workflow_id: text(), why: text() }, Exit::Usage),
            (ReadError::Conflict { workflow_id: text(), why: text() }, Exit::Conflict),
            (ReadError::Over { workflow_id: text(), how: text() }, Exit::Refused),
            (ReadError::Terminated { workflow_id: text(), how: text() }, Exit::Failed),
            (ReadError::NoWorker { workflow_id: text() }, Exit::Failed),
        ];
        for (error, exit) in cases {
            let said = error.to_string();
            assert_eq!(read_failure(error).exit, exit, "{said}");
        }
    }
}
