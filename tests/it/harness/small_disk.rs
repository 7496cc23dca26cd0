//! A small disk of its own, which a test can fill.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, for as long as this lives.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where the tests' user may not mount one.
    pub fn mount(megabytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it with a file, to the last byte. Removing the file makes room again.
    pub fn fill(&self) -> PathBuf {
        let filler = self.path().join("filler");
        let filled = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k"])
            .arg(format!("of={}", filler.display()))
            .output();
        assert!(!filled.expect("dd runs").status.success(), "the disk is full");
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
