//! A list that is a file: read when it is first asked for, and again when it has changed.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures::{FutureExt as _, future::BoxFuture};
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::{Answer, List, ListVersion, Silent, Subject, Threshold, denylist, index::Index, sdn};

/// A list that is a file.
///
/// The file is looked at when the list is asked, at most every two seconds, and read again when its length or its time
/// has changed. A file that is missing, or that is refused, gives no answer, although an earlier one could be
/// remembered: whoever replaced a list must learn that it is not in force.
pub struct FileList {
    name: &'static str,
    path: PathBuf,
    threshold: Threshold,
    read: fn(&Path) -> Result<Loaded, ListError>,
    look_every: Duration,
    state: Mutex<Option<State>>,
}

/// A list in memory.
pub(crate) struct Loaded {
    pub(crate) index: Index,
    pub(crate) version: ListVersion,
}

struct State {
    looked_at: Instant,
    seen: Option<Seen>,
    /// The list that is in force, or why there is none.
    list: Result<Arc<Loaded>, String>,
}

/// By what a file is known to have changed.
type Seen = (u64, SystemTime);

/// Why a file is not a list that can be in force.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It could not be read, or a new one could not be written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was read, and is not a whole list.
    #[error("{}: {why}", path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Where in it, what is there and what was expected.
        why: String,
    },
}

impl ListError {
    pub(crate) fn file(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::File { path: path.to_owned(), source }
    }

    pub(crate) fn refused(path: &Path) -> impl Fn(String) -> Self {
        move |why| Self::Refused { path: path.to_owned(), why }
    }
}

impl FileList {
    /// The operator's own list: TOML, with a version and any number of entries.
    ///
    /// ```toml
    /// version = "2026-11-01"
    ///
    /// [[entry]]
    /// id = "fraud-17"
    /// kind = "address" # or "account", "name"
    /// value = "0x098B716B8Aaf21512996dC57EB0615e2383E2f96"
    /// reason = "case 17"
    /// ```
    ///
    /// It is refused whole, with the number of the line, for one bad entry.
    pub fn denylist(path: impl Into<PathBuf>, threshold: Threshold) -> Self {
        Self::new(denylist::NAME, path.into(), threshold, denylist::read)
    }

    /// The SDN list, as [`import_sdn`](crate::import_sdn) wrote it.
    pub fn sdn(path: impl Into<PathBuf>, threshold: Threshold) -> Self {
        Self::new(sdn::NAME, path.into(), threshold, sdn::read)
    }

    /// How often the file is looked at, at most, instead of every two seconds.
    #[must_use]
    pub fn look_every(self, time: Duration) -> Self {
        Self { look_every: time, ..self }
    }

    fn new(
        name: &'static str,
        path: PathBuf,
        threshold: Threshold,
        read: fn(&Path) -> Result<Loaded, ListError>,
    ) -> Self {
        Self { name, path, threshold, read, look_every: Duration::from_secs(2), state: Mutex::new(None) }
    }

    /// The list that is in force now.
    async fn current(&self) -> Result<Arc<Loaded>, Silent> {
        // Held while the file is read, so that it is read once however many ask.
        let mut state = self.state.lock().await;
        let now = match state.take_if(|state| state.looked_at.elapsed() >= self.look_every) {
            None if state.is_some() => return self.answerable(state.as_ref()),
            last => self.look(last).await?,
        };
        self.answerable(Some(state.insert(now)))
    }

    fn answerable(&self, state: Option<&State>) -> Result<Arc<Loaded>, Silent> {
        let list = state.map_or(Err("it was not read".to_owned()), |state| state.list.clone());
        list.map_err(|why| Silent::new(self.name, why))
    }

    /// Looks at the file, and reads it unless it is the one that is in force.
    async fn look(&self, last: Option<State>) -> Result<State, Silent> {
        let (name, path, read) = (self.name, self.path.clone(), self.read);
        let look = move || {
            let looked_at = Instant::now();
            // Taken before the file is read: if it changes meanwhile, it is read again next time.
            let seen = match seen(&path) {
                Ok(seen) => seen,
                Err(error) => {
                    let why = ListError::file(&path)(error).to_string();
                    return State { looked_at, seen: None, list: Err(why) };
                }
            };
            if let Some(last) = last
                && last.seen == Some(seen)
                && last.list.is_ok()
            {
                return State { looked_at, ..last };
            }
            let list = read(&path).map(Arc::new).map_err(|error| error.to_string());
            match &list {
                Ok(list) => {
                    let ListVersion { version, entries, .. } = &list.version;
                    tracing::info!(list = name, version, entries, "a screening list is in force");
                }
                Err(why) => tracing::warn!(list = name, why, "a screening list is refused: nothing is clear"),
            }
            State { looked_at, seen: Some(seen), list }
        };
        spawn_blocking(look).await.map_err(|_| Silent::new(self.name, "reading it broke off"))
    }
}

fn seen(path: &Path) -> io::Result<Seen> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.len(), metadata.modified()?))
}

impl List for FileList {
    fn name(&self) -> &str {
        self.name
    }

    fn in_force(&self) -> BoxFuture<'_, Result<Vec<ListVersion>, Silent>> {
        async { Ok(vec![self.current().await?.version.clone()]) }.boxed()
    }

    fn screen<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<Answer, Silent>> {
        async {
            let (list, name, threshold, subject) = (self.current().await?, self.name, self.threshold, subject.clone());
            // Comparing names with a long list takes milliseconds of a core.
            let find = move || {
                let hits = list.index.find(name, &subject, threshold);
                Answer::with_hits(vec![list.version.clone()], hits)
            };
            spawn_blocking(find).await.map_err(|_| Silent::new(self.name, "looking through it broke off"))
        }
        .boxed()
    }
}

impl std::fmt::Debug for FileList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileList").field("name", &self.name).field("path", &self.path).finish_non_exhaustive()
    }
}
