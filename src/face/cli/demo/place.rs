//! Where the demo's queue lives: a file without a name.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

use super::super::bench::scratch_path;
use super::super::exit::{Trouble, about};
use crate::{Mapped, Queue, QueueOptions};

const REGION_BYTES: u64 = 8 << 20;
const VISIBILITY: Duration = Duration::from_secs(30);
/// A reading in JSON.
const TYPICAL_BODY: usize = 160;

/// The file, held open; its name is gone already unless it is to be kept.
#[derive(Debug)]
pub(super) struct Place {
    file: File,
    /// Where it stays, with `--keep`.
    pub(super) kept: Option<PathBuf>,
}

/// Removes a name on each way out.
struct Name(Option<PathBuf>);

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

impl Place {
    /// Makes the file and the queue in it.
    pub(super) fn create(keep: bool) -> Result<(Self, Queue<Mapped>), Trouble> {
        let path = scratch_path();
        let options = QueueOptions::new()
            .visibility(VISIBILITY)
            .typical_body(TYPICAL_BODY)
            .max_body(1024);
        let region = Mapped::create(&path, REGION_BYTES).map_err(about(path.display()))?;
        let mut name = Name(Some(path.clone()));
        let queue = Queue::create(region, options).map_err(about(path.display()))?;
        let file = File::options().read(true).write(true).open(&path)?;
        // Children find the file under the same descriptor.
        fcntl_setfd(&file, FdFlags::empty())?;
        let kept = if keep { name.0.take() } else { None };
        Ok((Self { file, kept }, queue))
    }

    /// Under which path a child opens the file.
    pub(super) fn path_for_children(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}
