//! How the program ends: exit codes that scripts can rely on, and the signals that ask it to end.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the exit code says. The numbers never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed, for a reason outside the request.
    Failed,
    /// 2: not used as it should be: flags, settings, or a request that is not accepted.
    Usage,
    /// 3: refused by policy or by the provider; for `watch` and `--wait`, ended without being paid.
    Refused,
    /// 4: there is no such payout.
    NotFound,
    /// 5: the id belongs to another request.
    Conflict,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked, and the exit code that says so.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is said on stderr.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure with this exit code and message.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, error: anyhow::Error::msg(message.into()) }
    }

    /// An error in flags, settings or a request.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: error.into() }
    }
}

/// Without anything said about it, an error is [`Exit::Failed`].
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { exit: Exit::Failed, error: error.into() }
    }
}

/// What every command returns.
pub type Outcome = Result<Exit, Failure>;

/// A token that is cancelled by Ctrl-C and by SIGTERM. A second signal ends the process at once.
///
/// # Errors
/// When the operating system does not let us listen for signals.
pub fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let asked = stop.clone();
    tokio::spawn(async move {
        for times in 0.. {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            if times > 0 {
                // What the shell reports for a process that SIGINT ended.
                std::process::exit(130);
            }
            asked.cancel();
        }
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_what_the_documentation_promises() {
        let all = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::NotFound, Exit::Conflict];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_error_that_says_nothing_about_its_exit_code_is_a_failure() {
        fn fails() -> Outcome {
            Err(anyhow::anyhow!("the disk is full"))?;
            Ok(Exit::Done)
        }
        let failure = fails().expect_err("it fails");
        assert_eq!((failure.exit, failure.error.to_string().as_str()), (Exit::Failed, "the disk is full"));
    }
}
