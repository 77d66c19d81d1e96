//! commitlog: segments that are written by a system call an append, and a mapped index.

use std::{
    fs,
    path::{Path, PathBuf},
};

use commitlog::{
    CommitLog, LogOptions, ReadLimit,
    message::{MessageBuf, MessageSet},
};

use super::{
    log,
    record::{KEY, Seen},
};
use crate::sample::Failure;

/// Bytes of a read.
const READ: usize = 64 << 10;

/// A log in a folder that is made anew when it is cleared.
pub struct Log {
    folder: PathBuf,
    log: CommitLog,
    buffer: MessageBuf,
    turn: u32,
}

impl Log {
    /// A new log in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        Ok(Self {
            folder: folder.to_owned(),
            log: CommitLog::new(LogOptions::new(folder.join("0")))?,
            buffer: MessageBuf::default(),
            turn: 0,
        })
    }
}

impl log::Log for Log {
    fn append(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        self.buffer.clear();
        for record in bytes.chunks_exact(size) {
            self.buffer
                .push_with_metadata(KEY, record)
                .map_err(|_| "a record is too long")?;
        }
        self.log.append(&mut self.buffer)?;
        Ok(())
    }

    fn replay(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut at = 0;
        loop {
            let records = self.log.read(at, ReadLimit::max_bytes(READ))?;
            if records.is_empty() {
                return Ok(());
            }
            for record in records.iter() {
                seen.add(record.payload());
                at = record.offset() + 1;
            }
        }
    }

    fn clear(&mut self) -> Result<(), Failure> {
        let old = self.folder.join(self.turn.to_string());
        self.turn += 1;
        let new = self.folder.join(self.turn.to_string());
        self.log = CommitLog::new(LogOptions::new(new))?;
        Ok(fs::remove_dir_all(old)?)
    }
}
