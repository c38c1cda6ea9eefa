//! The disk under the records, small enough to be filled: memory that nobody but the run sees. It is mounted in a
//! namespace of the run's own, so that it is gone with the run, however that ends.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};

/// Set where the program has been begun again with mounts of its own.
const OWN_MOUNTS: &str = "REMIT_CHAOS_OWN_MOUNTS";
/// Several times what the records of a run take.
const SIZE: &str = "size=256m";

/// Begins this program again where it may mount. Comes back where that is so already, or where the system does not allow
/// it: then the disk is the folder itself, and is never full.
pub fn enter() {
    if std::env::var_os(OWN_MOUNTS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    for way in ways {
        let mut trial = Command::new("unshare");
        trial.args(way).args(["mount", "-t", "tmpfs", "tmpfs"]).arg(std::env::temp_dir());
        let trial = trial.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if trial.is_ok_and(|status| status.success()) {
            let mut again = Command::new("unshare");
            again.args(way).arg("--").arg(&program).args(std::env::args_os().skip(1)).env(OWN_MOUNTS, "1");
            // Comes back only when it failed.
            let _ = again.exec();
        }
    }
}

/// Where the records are.
pub(crate) struct Disk {
    folder: PathBuf,
    small: bool,
}

impl Disk {
    /// Under this folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn under(folder: &Path) -> Result<Self> {
        let folder = folder.join("disk");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mount = || Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(&folder).status();
        let small = std::env::var_os(OWN_MOUNTS).is_some() && mount().is_ok_and(|status| status.success());
        Ok(Self { folder, small })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether it can be filled without harm to anybody else.
    pub(crate) fn is_small(&self) -> bool {
        self.small
    }

    /// Leaves no byte free for so long.
    ///
    /// # Errors
    /// When the disk cannot be filled, or not be freed again.
    pub(crate) async fn fill(&self, time: Duration) -> Result<()> {
        let ballast = self.file("ballast");
        let filled = File::create(&ballast).and_then(|mut file| {
            pour(&mut file, 1024 * 1024)?;
            pour(&mut file, 512)
        });
        tokio::time::sleep(time).await;
        fs::remove_file(&ballast).context("the disk stays full")?;
        Ok(filled?)
    }

    /// Copies what is on it, for whoever reads it when the disk is gone.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) fn keep(&self, folder: &Path) -> Result<()> {
        for file in fs::read_dir(&self.folder)? {
            let file = file?;
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.small {
            // What still has a file open there keeps it until it ends.
            let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
        }
    }
}

/// Writes pieces of this size until none fits.
fn pour(file: &mut File, size: usize) -> io::Result<()> {
    let piece = vec![0; size];
    loop {
        match file.write_all(&piece) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
