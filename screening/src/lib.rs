//! Who must not be paid: every list is asked, and no answer is never "clear".
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use remit_screening::{Screener, Settings, Subject};
//!
//! let settings: Settings = toml::from_str(r#"
//!     denylist = { path = "denylist.toml" }
//!     sdn = { path = "sdn.list" }
//! "#)?;
//! let screener = Screener::from_settings(&settings)?;
//!
//! let subject = Subject {
//!     addresses: vec!["0x098B716B8Aaf21512996dC57EB0615e2383E2f96".into()],
//!     account_ids: vec!["acct-7".into()],
//!     names: vec!["Jane Example".into()],
//! };
//! let answer = screener.screen(&subject).await?; // no answer is an error: nothing is paid on it
//! if !answer.is_clear() {
//!     println!("not paid: {:?}", answer.hits);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A list is anything that is a [`List`]: a [`FileList`] (a denylist, or the SDN list that [`import_sdn`] wrote), a
//! [`Watchman`] server, or somebody else's. The names that are screened are in no message, no log and no answer.

mod answer;
mod denylist;
mod file_list;
mod index;
mod list;
mod names;
mod screener;
mod sdn;
mod sdn_xml;
mod settings;
mod subject;
mod watchman;

pub use answer::{Answer, Hit, ListVersion, NoAnswer, Silent};
pub use file_list::{FileList, ListError};
pub use list::List;
pub use screener::Screener;
pub use sdn_xml::import_sdn;
pub use settings::{FileSettings, Settings, SettingsError, Threshold, WatchmanSettings};
pub use subject::{Kind, Subject};
pub use watchman::Watchman;
