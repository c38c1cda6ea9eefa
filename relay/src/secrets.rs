//! The secrets that webhooks are signed with: given, or in a file that is read again whenever it changes.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, bail, ensure};
use secrecy::{ExposeSecret, SecretString};

/// Secrets of the subscriptions (`whs-…`), each as the text it is. Several while one is replaced.
#[derive(Clone, Debug)]
pub enum Secrets {
    /// These.
    Given(Vec<SecretString>),
    /// Those in this file, one a line. Lines that begin with `#` are notes. A change is in force for the next
    /// delivery, without a restart.
    File(PathBuf),
}

impl Secrets {
    /// The secrets in the text of such a file.
    pub fn parse(text: &str) -> Vec<SecretString> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| SecretString::from(line.to_owned())).collect()
    }

    /// What there is now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> io::Result<Vec<SecretString>> {
        match self {
            Self::Given(secrets) => Ok(secrets.clone()),
            Self::File(path) => Ok(Self::parse(&fs::read_to_string(path)?)),
        }
    }
}

/// The secrets at hand.
pub(crate) struct Keyring {
    source: Secrets,
    held: Mutex<Held>,
}

struct Held {
    secrets: Arc<[SecretString]>,
    stamp: Option<Stamp>,
}

/// Tells one state of a file from another: device and inode too, since a file is replaced within one tick of its clock.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    modified: (i64, i64),
    size: u64,
}

impl Keyring {
    /// # Errors
    /// When there is no secret, or an empty one.
    pub(crate) fn new(source: Secrets) -> anyhow::Result<Self> {
        let held = match &source {
            Secrets::Given(secrets) => Held { secrets: secrets.clone().into(), stamp: None },
            Secrets::File(path) => {
                read(path).with_context(|| format!("cannot read the webhook secrets in {}", path.display()))?
            }
        };
        ensure!(
            !held.secrets.is_empty() && held.secrets.iter().all(|secret| !secret.expose_secret().is_empty()),
            "no webhook secret: without one every delivery would be refused; set DFNS_WEBHOOK_SECRET_FILE to the file \
             that `remit webhook subscribe` wrote, or DFNS_WEBHOOK_SECRET to the secret"
        );
        Ok(Self { source, held: Mutex::new(held) })
    }

    /// The secrets as they are now. While the file cannot be used, the last ones stay in force.
    pub(crate) fn current(&self) -> Arc<[SecretString]> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Secrets::File(path) = &self.source {
            let stamp = stamp(path).ok();
            if stamp.is_some() && stamp != held.stamp {
                match read(path) {
                    Ok(now) if now.secrets.is_empty() => {
                        tracing::warn!("{} holds no secret: the last ones stay", path.display())
                    }
                    Ok(now) => {
                        tracing::info!("{} changed: {} webhook secrets in force", path.display(), now.secrets.len());
                        *held = now;
                    }
                    Err(error) => tracing::warn!("{} cannot be read: {error:#}; the last secrets stay", path.display()),
                }
            }
        }
        Arc::clone(&held.secrets)
    }
}

/// The stamp is taken first: what changes in between is noticed the next time.
fn read(path: &Path) -> anyhow::Result<Held> {
    let stamp = stamp(path)?;
    let text = fs::read_to_string(path)?;
    if text.contains('\0') {
        bail!("it is no text");
    }
    Ok(Held { secrets: Secrets::parse(&text).into(), stamp: Some(stamp) })
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    Ok(Stamp { file: (meta.dev(), meta.ino()), modified: (meta.mtime(), meta.mtime_nsec()), size: meta.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(secrets: &[SecretString]) -> Vec<&str> {
        secrets.iter().map(ExposeSecret::expose_secret).collect()
    }

    #[test]
    fn a_line_is_a_secret_unless_it_is_a_note() {
        let secrets = Secrets::parse("# wh-1 https://relay\nwhs-1\n\n  whs-2 \r\n#\n");
        assert_eq!(texts(&secrets), ["whs-1", "whs-2"]);
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_one_that_goes_or_is_emptied_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("secrets");
        assert!(Keyring::new(Secrets::File(path.clone())).is_err());
        fs::write(&path, "whs-1\n").expect("written");
        let keyring = Keyring::new(Secrets::File(path.clone())).expect("one secret");
        assert_eq!(texts(&keyring.current()), ["whs-1"]);

        fs::write(folder.path().join("new"), "whs-2\n").expect("written");
        fs::rename(folder.path().join("new"), &path).expect("replaced");
        assert_eq!(texts(&keyring.current()), ["whs-2"]);
        fs::write(&path, "whs-2\nwhs-3\n").expect("written");
        assert_eq!(texts(&keyring.current()), ["whs-2", "whs-3"]);

        fs::write(&path, "").expect("emptied");
        assert_eq!(texts(&keyring.current()), ["whs-2", "whs-3"]);
        fs::remove_file(&path).expect("removed");
        assert_eq!(texts(&keyring.current()), ["whs-2", "whs-3"]);
    }
}
