//! What holds for any input from outside. Each function takes bytes that anybody may have made and panics when something
//! does not hold that must.
//!
//! Twice in use: libFuzzer looks for bytes that break them (`fuzz/targets`, run by `tools/nightly`), and a plain test
//! runs them over `fuzz/corpus`, so that what was found once stays found. Wherever there is one, a second reading of the
//! same bytes that shares no code with the first says what is right.

mod answers;
mod lists;
#[cfg(feature = "orders")]
mod orders;
mod payout_view;
mod policy;
mod request;
mod sdn_xml;
mod statement;
// Dfns's words turned into ours: the file itself, because the crate around it needs all of Temporal's SDK.
#[path = "../../activities/src/translate.rs"]
#[expect(dead_code, reason = "what is not called here is called there")]
mod translate;
mod webhook;

use std::{cell::RefCell, path::PathBuf};

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use answers::answers;
pub use lists::{denylist, sdn_list};
#[cfg(feature = "orders")]
pub use orders::orders;
pub use payout_view::payout_view;
pub use policy::policy;
pub use request::request;
pub use sdn_xml::sdn_xml;
pub use statement::statement;
pub use webhook::{SECRET, sign, webhook};

/// What a target does with some bytes.
pub type Target = fn(&[u8]);

/// Every target by the name of its file and of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("webhook", webhook),
    ("payout_view", payout_view),
    ("answers", answers),
    ("request", request),
    #[cfg(feature = "orders")]
    ("orders", orders),
    ("policy", policy),
    ("statement", statement),
    ("sdn_xml", sdn_xml),
    ("sdn_list", sdn_list),
    ("denylist", denylist),
];

/// The clock of every target: the same bytes do the same for ever.
fn now() -> Timestamp {
    Timestamp::constant(1_788_256_800, 0)
}

/// A number below `below` that hangs on the bytes alone, and is another one for each `what`.
fn choice(data: &[u8], what: &str, below: usize) -> usize {
    let hash = Sha256::new().chain_update(what).chain_update(data).finalize();
    let bytes: [u8; 8] = hash[..8].try_into().expect("a hash is longer");
    usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(below.max(1)).expect("fits")).expect("below a usize")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text at a JSON pointer, where there is text.
fn text_at<'a>(json: &'a Value, pointer: &str) -> Option<&'a str> {
    json.pointer(pointer).and_then(Value::as_str)
}

/// A file of this name with these bytes, in a folder that each thread has for itself.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    thread_local! {
        static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
    }
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder for files"));
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("the file is written");
        path
    })
}

/// Runs to its end what only looks asynchronous.
fn wait<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
