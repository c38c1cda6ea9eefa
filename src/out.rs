//! What commands print: answers on standard output, everything else on stderr.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Prints one answer and a line end.
///
/// # Errors
/// When it cannot be written, as when whoever reads has stopped reading: see [`nobody_reads`].
pub fn line(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Prints a value as JSON.
///
/// # Errors
/// As [`line()`].
pub fn json(value: &impl serde::Serialize) -> io::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// Tells the person at the terminal something that is no answer.
pub fn note(text: impl Display) {
    // Where nobody listens, nothing is lost.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether an error only says that nobody reads what we print any more, as in `remit payout list | head -1`.
pub fn nobody_reads(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_told_apart_from_a_full_disk() {
        assert!(nobody_reads(&io::Error::from(io::ErrorKind::BrokenPipe).into()));
        assert!(!nobody_reads(&io::Error::from(io::ErrorKind::StorageFull).into()));
        assert!(!nobody_reads(&anyhow::anyhow!("broken pipe")));
    }
}
