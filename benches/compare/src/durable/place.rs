//! Where the files of the durable section lie: on a disk, or not at all.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use rustix::fs::statfs;
use tempfile::TempDir;

use crate::sample::Failure;

const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;

/// A folder of its own, which goes with this value.
pub struct Place(TempDir);

impl Place {
    /// A folder in `dir`, or beside the program: in the package's target directory.
    ///
    /// # Errors
    ///
    /// A directory that cannot be written, or that is kept in memory.
    pub fn new(dir: Option<PathBuf>) -> Result<Self, Failure> {
        let dir = match dir {
            Some(dir) => dir,
            None => {
                let program = env::current_exe()?;
                let parent = program.parent().ok_or("the program lies nowhere")?;
                parent.to_path_buf()
            }
        };
        let told = |error| format!("{}: {error}", dir.display());
        let found = statfs(&dir).map_err(|error| told(error.to_string()))?;
        // The width of this field differs between targets; the marks have 32 bits.
        if [TMPFS, RAMFS].contains(&(found.f_type as u32)) {
            return Err(told(
                "lies in memory (tmpfs), where nothing is durable; name a directory on a disk by \
                 --dir"
                    .into(),
            )
            .into());
        }
        let folder = TempDir::with_prefix_in("ringmain-durable-", &dir);
        Ok(Self(folder.map_err(|error| told(error.to_string()))?))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The folder's file system and device, as far as the kernel says.
    pub fn describe(&self) -> String {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let path = fs::canonicalize(self.path()).unwrap_or_else(|_| self.path().to_path_buf());
        let mount = mounts
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
                path.starts_with(point)
                    .then(|| (point.len(), format!("{kind} on {device}")))
            })
            .max_by_key(|(len, _)| *len); // of equals the last, which lies over the others
        mount.map_or_else(|| "an unknown file system".into(), |(_, text)| text)
    }
}
