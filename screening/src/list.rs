//! The port: what can be asked whether somebody is on it.

use futures::future::BoxFuture;

use crate::{Answer, ListVersion, Silent, Subject};

/// Something that can be asked whether a subject is on it: a file, a server, somebody's service.
///
/// Whoever implements this answers with all it knows or not at all: an error, a late answer, one that cannot be read and
/// a list that is not there are [`Silent`], never an answer without hits. It says, logs and keeps no name it was given.
pub trait List: Send + Sync {
    /// Which list it is, for the evidence.
    fn name(&self) -> &str;

    /// What is in force, for start-up checks and operators.
    fn in_force(&self) -> BoxFuture<'_, Result<Vec<ListVersion>, Silent>>;

    /// Looks for the subject.
    fn screen<'a>(&'a self, subject: &'a Subject) -> BoxFuture<'a, Result<Answer, Silent>>;
}
