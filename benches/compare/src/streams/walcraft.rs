//! walcraft: pages that are filled in memory and written by a flush. As it comes: pages of 4 KiB, a
//! flush by itself each 250 ms, no fsync.

use std::path::{Path, PathBuf};

use walcraft::{Size, Wal, WalBuilder};

use super::{
    log,
    record::{KEY, Seen},
};
use crate::sample::Failure;

/// Older files are given up beyond this.
const STORAGE_MIB: usize = 64;
/// Bytes of the largest record, with its key.
const RECORD_MAX: usize = KEY.len() + 1024;

/// A log, and the folder that it is opened in again to be read.
pub struct Log {
    folder: PathBuf,
    wal: Wal,
}

impl Log {
    /// A new log in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            folder: folder.to_owned(),
            wal: open(folder)?,
        })
    }
}

fn open(folder: &Path) -> Result<Wal, Failure> {
    let builder = WalBuilder::new()
        .location(folder)
        .storage_size(Size::Mb(STORAGE_MIB));
    builder.build().map_err(told)
}

fn told(error: impl std::fmt::Debug) -> Failure {
    format!("{error:?}").into()
}

impl log::Log for Log {
    fn append(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        let mut keyed = [0; RECORD_MAX];
        let keyed = &mut keyed[..KEY.len() + size];
        keyed[..KEY.len()].copy_from_slice(KEY.as_bytes());
        for record in bytes.chunks_exact(size) {
            keyed[KEY.len()..].copy_from_slice(record);
            self.wal.append(keyed).map_err(told)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.wal.flush().map_err(told)
    }

    fn replay(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        for entry in open(&self.folder)?.iter().map_err(told)? {
            seen.add(entry.data().get(KEY.len()..).unwrap_or_default());
        }
        Ok(())
    }
}
