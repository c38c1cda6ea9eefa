//! The file with the secrets: one a line, and above each a note that says which webhook it is of. Replaced as a whole,
//! so that a relay never reads half of it.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use remit_dfns::Subscription;
use secrecy::{ExposeSecret, SecretString};

use crate::dev::write_private;

/// Whether a secret could be added: the file is there and can be read, or can be made.
pub(super) fn check(file: &Path) -> Result<()> {
    let place = place(file);
    let mut open = OpenOptions::new();
    let opened = open.read(true).append(true).create(true).mode(0o600).open(&place);
    opened.map(drop).with_context(|| format!("cannot write {}", place.display()))?;
    beside(&place).map(drop)
}

/// Adds the secret of a new webhook.
pub(super) fn add(file: &Path, webhook: &Subscription, secret: &SecretString) -> Result<()> {
    let text = read(file)?;
    replace(file, &with(&text, webhook, secret.expose_secret()))
}

/// What [`drop_others`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// How many secrets went.
    pub(super) secrets: usize,
    /// How many of unknown origin stay.
    pub(super) unknown: usize,
}

/// Drops the secrets of this address whose webhook is not `kept`. When the webhook that was deleted is not named in
/// the file, the one secret of unknown origin is taken for its own; where there are several, they stay.
pub(super) fn drop_others(file: &Path, url: &str, kept: &str, deleted: &[String]) -> Result<Dropped> {
    let (text, dropped) = without(&read(file)?, url, kept, deleted);
    if dropped.secrets > 0 {
        replace(file, &text)?;
    }
    Ok(dropped)
}

fn read(file: &Path) -> Result<String> {
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text.with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Where a link leads, so that the link stays one.
fn place(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn replace(file: &Path, text: &str) -> Result<()> {
    let place = place(file);
    let new = beside(&place)?;
    write_private(&new, text)?;
    let synced = fs::File::open(&new).and_then(|file| file.sync_all());
    synced.with_context(|| format!("cannot write {}", new.display()))?;
    fs::rename(&new, &place).with_context(|| format!("cannot replace {}", place.display()))
}

/// A file that can be written in the same folder: the folder must allow it, or the file cannot be replaced.
fn beside(file: &Path) -> Result<PathBuf> {
    let mut name = file.file_name().with_context(|| format!("{} is no file", file.display()))?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = file.with_file_name(name);
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
    made.and_then(|mut file| file.flush())
        .and_then(|()| fs::remove_file(&new))
        .with_context(|| format!("cannot write beside {}", file.display()))?;
    Ok(new)
}

fn note(id: &str, url: &str) -> String {
    format!("# {id} {url}")
}

fn with(text: &str, webhook: &Subscription, secret: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text + &format!("{}\n{secret}\n", note(&webhook.id, &webhook.url))
}

fn without(text: &str, url: &str, kept: &str, deleted: &[String]) -> (String, Dropped) {
    let is_secret = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
    let url_of = |note: &str| Some(note.trim().strip_prefix("# wh-")?.split_once(' ')?.1.to_owned());
    let id_of = |note: &str| note.trim().strip_prefix("# ").and_then(|note| note.split(' ').next()).map(str::to_owned);
    let lines: Vec<&str> = text.lines().collect();
    // Each secret with the note above it.
    let noted = |at: usize| at.checked_sub(1).map(|above| lines[above]).filter(|above| url_of(above).is_some());
    let secrets: Vec<usize> = (0..lines.len()).filter(|at| is_secret(lines[*at])).collect();
    let mut gone: Vec<usize> = vec![];
    let mut unknown: Vec<usize> = vec![];
    let mut named: Vec<String> = vec![];
    for &at in &secrets {
        match noted(at) {
            Some(note) if url_of(note).is_some_and(|of| of == url) => {
                let id = id_of(note).unwrap_or_default();
                if id != kept {
                    gone.extend([at - 1, at]);
                }
                named.push(id);
            }
            Some(_) => {}
            None => unknown.push(at),
        }
    }
    let unnamed = deleted.iter().any(|id| !named.contains(id));
    if unnamed
        && named.iter().any(|id| id == kept)
        && let [only] = unknown[..]
    {
        gone.push(only);
        unknown.clear();
    }
    let dropped = Dropped { secrets: gone.iter().filter(|at| is_secret(lines[**at])).count(), unknown: unknown.len() };
    let rest = lines.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, line)| format!("{line}\n"));
    (rest.collect(), dropped)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use remit_dfns::SubscriptionStatus;

    use super::*;

    const URL: &str = "https://relay/webhooks/dfns";

    fn webhook(id: &str) -> Subscription {
        Subscription {
            id: id.to_owned(),
            url: URL.to_owned(),
            events: vec![],
            status: SubscriptionStatus::Enabled,
            description: None,
            date_created: None,
            date_updated: None,
        }
    }

    #[test]
    fn a_secret_is_added_below_the_others_with_a_note_of_its_webhook() {
        assert_eq!(with("", &webhook("wh-1"), "whs-1"), format!("# wh-1 {URL}\nwhs-1\n"));
        assert_eq!(with("whs-0", &webhook("wh-1"), "whs-1"), format!("whs-0\n# wh-1 {URL}\nwhs-1\n"));
    }

    #[test]
    fn the_secrets_of_replaced_webhooks_go_and_all_others_stay() {
        let two = format!("# wh-1 {URL}\nwhs-1\n# wh-2 {URL}\nwhs-2\n# wh-9 https://other\nwhs-9\n# a note\nwhs-x\n");
        let left = format!("# wh-2 {URL}\nwhs-2\n# wh-9 https://other\nwhs-9\n# a note\nwhs-x\n");
        let deleted = ["wh-1".to_owned()];
        assert_eq!(without(&two, URL, "wh-2", &deleted), (left.clone(), Dropped { secrets: 1, unknown: 1 }));
        // Again, as after a crash in between: there is nothing left to do.
        assert_eq!(without(&left, URL, "wh-2", &[]), (left, Dropped { secrets: 0, unknown: 1 }));
    }

    #[test]
    fn a_secret_of_unknown_origin_goes_only_when_it_must_be_the_one() {
        let deleted = ["wh-1".to_owned()];
        let one = format!("whs-1\n# wh-2 {URL}\nwhs-2\n");
        let left = format!("# wh-2 {URL}\nwhs-2\n");
        assert_eq!(without(&one, URL, "wh-2", &deleted), (left, Dropped { secrets: 1, unknown: 0 }));
        assert_eq!(without(&one, URL, "wh-2", &[]), (one.clone(), Dropped { secrets: 0, unknown: 1 }));
        let several = format!("whs-1\nwhs-0\n# wh-2 {URL}\nwhs-2\n");
        assert_eq!(without(&several, URL, "wh-2", &deleted), (several.clone(), Dropped { secrets: 0, unknown: 2 }));
        // The one that stays must be there.
        assert_eq!(
            without("whs-1\n", URL, "wh-2", &deleted),
            ("whs-1\n".to_owned(), Dropped { secrets: 0, unknown: 1 })
        );
    }

    #[test]
    fn the_file_is_for_its_owner_alone_replaced_as_a_whole_and_a_link_to_it_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("secrets"), folder.path().join("link"));
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        fs::write(&file, "whs-0\n").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("mode");
        let before = fs::metadata(&file).expect("there").ino();
        check(&link).expect("it can be written");
        add(&link, &webhook("wh-1"), &"whs-1".into()).expect("added");
        let now = fs::metadata(&file).expect("there");
        assert_eq!(now.mode() & 0o777, 0o600);
        assert_ne!(now.ino(), before);
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        let dropped = drop_others(&link, URL, "wh-1", &["wh-0".to_owned()]).expect("dropped");
        assert_eq!(dropped, Dropped { secrets: 1, unknown: 0 });
        assert_eq!(fs::read_to_string(&file).expect("read"), format!("# wh-1 {URL}\nwhs-1\n"));
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 2, "nothing else is left");
    }

    #[test]
    fn a_folder_that_takes_no_file_is_noticed_before_anything_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(check(&folder.path().join("nowhere/secrets")).is_err());
        assert!(check(folder.path()).is_err());
    }
}
