//! Takes from the protobuf descriptors of `temporalio-protos` what a history consists of, for reading one as JSON.
//! They are those that the types were made from, so the two cannot disagree.

use std::{collections::BTreeSet, env, error::Error, fs, path::Path};

use prost::Message;
use prost_types::FileDescriptorSet;

/// Where `temporal.api.history.v1.History` is defined.
const HISTORY: &str = "temporal/api/history/v1/message.proto";

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo sets it from what the build script of `temporalio-protos` says.
    let descriptors = env::var("DEP_TEMPORALIO_PROTOS_DESCRIPTOR_PATH")?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={descriptors}");
    let mut all = FileDescriptorSet::decode(&*fs::read(&descriptors)?)?;
    let mut wanted = BTreeSet::from([HISTORY.to_owned()]);
    // Until an import brings nothing new.
    loop {
        let imports = all.file.iter().filter(|file| wanted.contains(file.name())).flat_map(|file| &file.dependency);
        let before = wanted.len();
        wanted = imports.chain(&wanted).cloned().collect();
        if wanted.len() == before {
            break;
        }
    }
    all.file.retain(|file| wanted.contains(file.name()));
    if all.file.len() != wanted.len() {
        return Err(format!("{descriptors} holds {} of the {} files of a history", all.file.len(), wanted.len()).into());
    }
    for file in &mut all.file {
        // The comments.
        file.source_code_info = None;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("history.binpb"), all.encode_to_vec())?;
    Ok(())
}
