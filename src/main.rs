//! The `remit` program. What it can do is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    remit::cli::main(std::env::args_os())
}
