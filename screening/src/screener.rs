//! Asks every list at once.

use futures::future::join_all;

use crate::{
    Answer, FileList, List, ListVersion, NoAnswer, Settings, SettingsError, Silent, Subject, Watchman, names::Name,
};

/// Every list that is asked.
pub struct Screener {
    lists: Vec<Box<dyn List>>,
}

impl Screener {
    /// Asks these lists. Without any, nobody is ever found: whether that may be is for the caller to say, who can tell by
    /// [`names`](Self::names), and everybody later by [`Answer::lists`].
    pub fn new(lists: Vec<Box<dyn List>>) -> Self {
        Self { lists }
    }

    /// The lists that settings name. Reads and asks nothing yet.
    ///
    /// # Errors
    /// [`SettingsError`] for an address of a server that is none.
    pub fn from_settings(settings: &Settings) -> Result<Self, SettingsError> {
        let mut lists: Vec<Box<dyn List>> = vec![];
        if let Some(file) = &settings.denylist {
            lists.push(Box::new(FileList::denylist(&file.path, file.threshold)));
        }
        if let Some(file) = &settings.sdn {
            lists.push(Box::new(FileList::sdn(&file.path, file.threshold)));
        }
        if let Some(watchman) = &settings.watchman {
            lists.push(Box::new(Watchman::new(watchman.clone())?));
        }
        Ok(Self::new(lists))
    }

    /// Which lists are asked.
    pub fn names(&self) -> Vec<&str> {
        self.lists.iter().map(|list| list.name()).collect()
    }

    /// Which versions are in force, for start-up checks and operators.
    ///
    /// # Errors
    /// [`NoAnswer`] with every list that has none.
    pub async fn in_force(&self) -> Result<Vec<ListVersion>, NoAnswer> {
        let (mut versions, mut silent) = (vec![], vec![]);
        for answer in join_all(self.lists.iter().map(|list| list.in_force())).await {
            match answer {
                Ok(answer) => versions.extend(answer),
                Err(why) => silent.push(why),
            }
        }
        if silent.is_empty() { Ok(versions) } else { Err(NoAnswer { silent }) }
    }

    /// Looks for the subject on every list at once.
    ///
    /// A hit is an answer although another list was silent, and says so in [`Answer::silent`]: money that must not move
    /// does not wait for a server to come back.
    ///
    /// # Errors
    /// [`NoAnswer`] when nothing was found and not every list answered, and for a subject that cannot be looked for: one
    /// that is empty, or has a name without a letter or a digit.
    pub async fn screen(&self, subject: &Subject) -> Result<Answer, NoAnswer> {
        if let Some(why) = cannot_be_looked_for(subject) {
            return Err(NoAnswer { silent: self.names().iter().map(|name| Silent::new(name, why)).collect() });
        }
        let mut all = Answer::default();
        for answer in join_all(self.lists.iter().map(|list| list.screen(subject))).await {
            match answer {
                Ok(answer) => {
                    all.lists.extend(answer.lists);
                    all.hits.extend(answer.hits);
                    all.silent.extend(answer.silent);
                }
                Err(why) => all.silent.push(why),
            }
        }
        if all.hits.is_empty() && !all.silent.is_empty() {
            return Err(NoAnswer { silent: all.silent });
        }
        all.hits.sort_by_key(|hit| std::cmp::Reverse(hit.score));
        Ok(all)
    }
}

fn cannot_be_looked_for(subject: &Subject) -> Option<&'static str> {
    let Subject { addresses, account_ids, names } = subject;
    if addresses.is_empty() && account_ids.is_empty() && names.is_empty() {
        return Some("the subject is empty");
    }
    if addresses.iter().chain(account_ids).any(|text| text.trim().is_empty()) {
        return Some("the subject has an empty address or account id");
    }
    let nobody = names.iter().any(|name| Name::new(name).is_none());
    nobody.then_some("the subject has a name without a letter or a digit")
}

impl std::fmt::Debug for Screener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screener").field("lists", &self.names()).finish()
    }
}
