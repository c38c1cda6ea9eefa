//! `remit key`: the keys that people, starters, publishers and the audit record sign with.

use std::path::{Path, PathBuf};

use anyhow::Context;
use remit_keys::{PrivateKey, PublicKey};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    exit::{Exit, Failure, Outcome},
    out,
};

/// What to do about keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key: the private half into a file, the public half as the answer
    New(NewArgs),
    /// The public half of a key, as policies and settings name it
    Show(ShowArgs),
}

/// Flags of `remit key new`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit key new ana.pem
  remit key new ana.pem --json | jq -r .public

The file is made with mode 0600, a PKCS#8 PEM that openssl reads as well; one that is there already is left alone. Nobody
can make the same key again: keep a copy where it is safe. What is printed is the public half; give it to whoever writes
the policy ([people], [starters]) or the settings (REMIT_POLICY_PUBLISHERS).
Exit codes: 0 made · 5 the file is there already · 1 anything else.")]
pub struct NewArgs {
    /// Where the private half goes
    file: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Flags of `remit key show`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  remit key show ana.pem
  openssl pkey -in ana.pem -pubout | remit key show -
  remit key show ana.pem --json | jq -r .public

Reads a private key, or a public one in either of its forms: openssl's PEM, or ed25519:….
Exit codes: 0 shown · 2 there is no Ed25519 key in it.")]
pub struct ShowArgs {
    /// The file, or `-` for standard input
    file: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
///
/// # Errors
/// Exit codes as the help says.
pub fn run(command: Command) -> Outcome {
    match command {
        Command::New(NewArgs { file, json }) => {
            let public = new(&file)?;
            out::note(format_args!("{} holds the private half; nobody can make it again", file.display()));
            tell(public, json)
        }
        Command::Show(ShowArgs { file, json }) => tell(public(&read(&file)?).map_err(Failure::usage)?, json),
    }
}

fn tell(public: PublicKey, json: bool) -> Outcome {
    if json {
        out::json(&json!({"public": public}))?;
    } else {
        out::line(public)?;
    }
    Ok(Exit::Done)
}

/// A new key in a file that is not there yet.
fn new(file: &Path) -> Result<PublicKey, Failure> {
    let key = PrivateKey::generate()?;
    write_new(file, key.to_pem().expose_secret())
        .map_err(|error| {
            if error.kind() == std::io::ErrorKind::AlreadyExists {
                Failure::new(Exit::Conflict, format!("{} is there already, and left alone", file.display()))
            } else {
                anyhow::Error::new(error).context(format!("cannot write {}", file.display())).into()
            }
        })
        .map(|()| key.public())
}

/// Writes a file that only its owner can read, whole or not at all, and never over another.
fn write_new(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Made with mode 0600.
    let mut new = tempfile::Builder::new().prefix(".key-").tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist_noclobber(file)?;
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("cannot read standard input")
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
    };
    text.map_err(|error| Failure { exit: Exit::Usage, error })
}

/// The public half of whatever key this is.
fn public(text: &str) -> Result<PublicKey, remit_keys::KeyError> {
    let text = text.trim();
    match PrivateKey::from_pem(text) {
        Ok(key) => Ok(key.public()),
        // What was meant as a private key is refused as one.
        Err(error) if text.contains("PRIVATE KEY") => Err(error),
        Err(_) => text.parse(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_key_is_its_owners_alone_and_never_replaces_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ana.pem");
        let made = new(&file).expect("a key");
        assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(new(&file).expect_err("it is there").exit, Exit::Conflict);
        assert_eq!(public(&read(&file).expect("a file")).expect("a key"), made);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_key_is_shown_from_each_of_its_forms() {
        const TEXT: &str = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        const PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----\n";
        for form in [TEXT, PEM, &format!("{TEXT}\n")] {
            assert_eq!(public(form).expect(form).to_string(), TEXT);
        }
        let broken = "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n";
        assert!(public(broken).expect_err("no key").to_string().contains("private key"));
        assert!(public("hello").expect_err("no key").to_string().contains("public key"));
    }
}
