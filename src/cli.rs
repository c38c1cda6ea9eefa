//! The command line of `remit`, in the library so that another program can carry a part of the system within itself.

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    approval, audit, codec, demo, deployment, dev, doctor,
    exit::{Exit, Failure, Outcome},
    key,
    logging::{self, Voice},
    out, payout, policy, relay, replay, reservation, sandbox, screening,
    settings::{Flags, Settings},
    webhook, worker,
};

/// Durable payouts: stablecoin to bank account, exactly once, on Temporal and Dfns
#[derive(Debug, Parser)]
#[command(name = "remit", version, after_long_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
}

const EXAMPLES: &str = "Begin with:
  remit demo                    a whole system on this machine, and payouts that end in every way
  remit dev                     the same system, for payouts of your own

In production, beside Temporal and Postgres:
  remit worker                  runs payouts
  remit relay                   takes webhooks
  remit doctor                  says what is missing, and what to do about it
  remit deployment              says which builds still have payouts to finish
  remit replay                  says whether payouts that are open can go on with a new build

Settings come from flags, then the environment (REMIT_…, DFNS_…, and Temporal's own TEMPORAL_…), then remit.toml;
remit.example.toml shows them all. RUST_LOG says how much is logged.

Exit codes: 0 done · 1 failed · 2 usage · 3 refused by policy or provider · 4 not found · 5 conflict.";

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole system on this machine; Ctrl-C stops all
    Dev(dev::Args),
    /// The whole system on this machine, and payouts that between them show every way one can go
    Demo(demo::Args),
    /// Start payouts and see how they go
    #[command(subcommand)]
    Payout(payout::Command),
    /// Payouts that wait for people's approval: list, approve, deny
    #[command(subcommand)]
    Approval(approval::Command),
    /// What may be paid: write, try out, publish and take back
    #[command(subcommand)]
    Policy(policy::Command),
    /// The record of what was decided, ordered and done: verify it, read it, sign how far it is
    #[command(subcommand)]
    Audit(audit::Command),
    /// What payouts hold of the limits, and what a person has to settle
    #[command(subcommand)]
    Reservation(reservation::Command),
    /// The keys that people, starters and publishers sign with
    #[command(subcommand)]
    Key(key::Command),
    /// The webhook at Dfns and its secret; what arrived and what did not
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// The lists that payouts are screened against
    #[command(subcommand)]
    Screening(screening::Command),
    /// The keys that encrypt what Temporal keeps, and the server that shows it to people
    #[command(subcommand)]
    Codec(codec::Command),
    /// Check settings, Temporal, Dfns and the records, and say what to do
    Doctor(doctor::Args),
    /// Builds that payouts are pinned to: which is current, which are still needed
    #[command(subcommand)]
    Deployment(deployment::Command),
    /// Run payouts
    Worker(worker::Args),
    /// Take webhooks from Dfns
    Relay(relay::Args),
    /// Replay recorded histories against this build, before a deploy
    Replay(replay::Args),
    /// The fake Dfns alone
    Sandbox(sandbox::Args),
}

impl Command {
    fn voice(&self) -> Voice {
        match self {
            Self::Worker(_) | Self::Relay(_) | Self::Sandbox(_) => Voice::Role,
            Self::Replay(_) => Voice::Replay,
            Self::Dev(_)
            | Self::Demo(_)
            | Self::Payout(_)
            | Self::Approval(_)
            | Self::Policy(_)
            | Self::Audit(_)
            | Self::Reservation(_)
            | Self::Key(_)
            | Self::Webhook(_)
            | Self::Screening(_)
            | Self::Codec(_)
            | Self::Doctor(_)
            | Self::Deployment(_) => Voice::Person,
        }
    }
}

/// Does what this command line asks for; the first word is the program's name. Ends the process on a wrong one.
pub fn main(line: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = Cli::parse_from(line);
    match start(cli) {
        Ok(exit) => exit.into(),
        Err(Failure { error, .. }) if out::nobody_reads(&error) => Exit::Done.into(),
        Err(Failure { exit, error }) => {
            out::note(format_args!("remit: {error:#}"));
            exit.into()
        }
    }
}

fn start(Cli { command, flags }: Cli) -> Outcome {
    let settings = Settings::load(&flags).map_err(Failure::usage)?;
    logging::init(settings.log.format, command.voice());
    settings.warn();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run(command, &settings));
    // What still blocks, such as a name being looked up, is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn run(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Dev(args) => dev::run(args, settings).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Payout(command) => payout::run(command, settings).await,
        Command::Approval(command) => approval::run(command, settings).await,
        Command::Policy(command) => policy::run(command, settings).await,
        Command::Audit(command) => audit::run(command, settings).await,
        Command::Reservation(command) => reservation::run(command, settings).await,
        Command::Key(command) => key::run(command),
        Command::Webhook(command) => webhook::run(command, settings).await,
        Command::Screening(command) => screening::run(command, settings).await,
        Command::Codec(command) => codec::run(command, settings).await,
        Command::Doctor(args) => doctor::run(args, settings).await,
        Command::Deployment(command) => deployment::run(command, settings).await,
        Command::Worker(args) => worker::run(args, settings).await,
        Command::Relay(args) => relay::run(args, settings).await,
        Command::Replay(args) => replay::run(args, settings).await,
        Command::Sandbox(args) => sandbox::run(args).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_teaches_by_example() {
        fn look(command: &mut clap::Command, path: &str) {
            let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
            let leaf = names.is_empty();
            let help = command.render_long_help().to_string();
            assert!(!leaf || help.contains("Examples:"), "{path} has no examples:\n{help}");
            for name in names {
                look(command.find_subcommand_mut(&name).expect("it is there"), &format!("{path} {name}"));
            }
        }
        let mut command = Cli::command();
        // Adds `help` nowhere: only what we wrote is looked at.
        command = command.disable_help_subcommand(true);
        look(&mut command, "remit");
    }

    #[test]
    fn settings_may_stand_before_and_after_the_command() {
        for line in [
            &["remit", "--records-url", "sqlite://x", "worker"][..],
            &["remit", "worker", "--records-url", "sqlite://x"][..],
        ] {
            let cli = Cli::try_parse_from(line).expect("it is understood");
            assert_eq!(cli.flags.records_url.as_deref(), Some("sqlite://x"));
        }
    }

    #[test]
    fn roles_talk_commands_are_quiet_and_old_warnings_are_not_given_again() {
        let voice = |line: &[&str]| Cli::try_parse_from(line).expect("it is understood").command.voice();
        assert_eq!(voice(&["remit", "worker"]), Voice::Role);
        assert_eq!(voice(&["remit", "payout", "list"]), Voice::Person);
        assert_eq!(voice(&["remit", "replay", "a.binpb"]), Voice::Replay);
    }
}
