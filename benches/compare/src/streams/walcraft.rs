//! walcraft: pages that are filled in memory and written by a flush. As it comes: pages of 4 KiB, a
//! flush by itself each 250 ms, no fsync.

use std::{
    path::{Path, PathBuf},
    thread,
};

use walcraft::{Size, Wal, WalBuilder, WalError, WalIterator};

use super::{
    log,
    record::{KEY, Seen},
};
use crate::sample::Failure;

/// Older files are given up beyond this.
const STORAGE_MIB: usize = 64;
/// Attempts at opening the files.
const ATTEMPTS: usize = 1000;

/// A log, and the folder that it is opened in again to be read.
pub struct Log {
    folder: PathBuf,
    wal: Wal,
    /// A record with its key.
    keyed: Vec<u8>,
}

impl Log {
    /// A new log in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            folder: folder.to_owned(),
            wal: open(folder).map_err(told)?,
            keyed: Vec::new(),
        })
    }

    /// What the files hold. The thread that flushes writes the list of files over in place, and who
    /// opens it meanwhile finds it empty: then once more.
    fn entries(&self) -> Result<WalIterator, Failure> {
        let entries = || open(&self.folder)?.iter();
        for _ in 1..ATTEMPTS {
            if let Ok(entries) = entries() {
                return Ok(entries);
            }
            thread::yield_now();
        }
        entries().map_err(told)
    }
}

fn open(folder: &Path) -> Result<Wal, WalError> {
    let builder = WalBuilder::new()
        .location(folder)
        .storage_size(Size::Mb(STORAGE_MIB));
    builder.build()
}

fn told(error: WalError) -> Failure {
    error.to_string().into()
}

impl log::Log for Log {
    fn append(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        for record in bytes.chunks_exact(size) {
            self.keyed.clear();
            self.keyed.extend_from_slice(KEY.as_bytes());
            self.keyed.extend_from_slice(record);
            self.wal.append(&self.keyed).map_err(told)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.wal.flush().map_err(told)
    }

    fn replay(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        for entry in self.entries()? {
            seen.add(entry.data().get(KEY.len()..).unwrap_or_default());
        }
        Ok(())
    }
}
