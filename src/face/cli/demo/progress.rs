//! How far the producers and readers of a stream are: where all of them, and their successors, find
//! it. It is memory under a descriptor that children inherit.
//!
//! ```text
//!   for each producer   word: records that it and its predecessors have put
//!   for each reader     two slots of 1024 bytes, of which the newer one that is whole counts:
//!                       { number, records read, entries, hash of the rest } and entries
//!                       { shard, position of the next record; u64::MAX: read to its end }
//! ```
//!
//! Readers take their successors to where they were. Producers look how far the slowest reader is,
//! and wait: a stream keeps what it has room for, and the demo has not much.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};

use super::reading::fingerprint;
use super::stream::{PRODUCERS, READERS};

const SLOT_BYTES: usize = 1024;
const HEAD_WORDS: usize = 4;
const ENTRIES_MAX: usize = (SLOT_BYTES / 8 - HEAD_WORDS) / 2;
const AT_END: u64 = u64::MAX;

/// The file.
#[derive(Debug)]
pub(super) struct Progress(File);

/// Where a reader is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    number: u64,
    /// Records that it and its predecessors have read.
    pub(super) read: u64,
    /// For each shard the position of its next record; `None`: it is read to its end.
    pub(super) shards: Vec<(u32, Option<u64>)>,
}

impl Progress {
    /// An empty one, which children inherit.
    pub(super) fn create() -> io::Result<Self> {
        let memory = File::from(memfd_create("ringmain-demo-progress", MemfdFlags::empty())?);
        let slots = 2 * READERS as usize * SLOT_BYTES;
        memory.set_len((8 * PRODUCERS as usize + slots) as u64)?;
        Ok(Self(memory))
    }

    /// Under which path a child opens it.
    pub(super) fn path_for_children(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// Opens the one that was inherited.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        File::options().read(true).write(true).open(path).map(Self)
    }

    /// How many records a producer and its predecessors have put.
    pub(super) fn put(&self, producer: u32) -> io::Result<u64> {
        let mut word = [0; 8];
        self.0.read_exact_at(&mut word, 8 * u64::from(producer))?;
        Ok(u64::from_le_bytes(word))
    }

    /// A producer has put so many.
    pub(super) fn set_put(&self, producer: u32, records: u64) -> io::Result<()> {
        let word = records.to_le_bytes();
        self.0.write_all_at(&word, 8 * u64::from(producer))
    }

    /// Records that are put and that the slowest reader has not read.
    pub(super) fn unread(&self) -> io::Result<u64> {
        let mut put = 0;
        for producer in 0..PRODUCERS {
            put += self.put(producer)?;
        }
        let mut least = u64::MAX;
        for reader in 0..READERS {
            least = least.min(self.checkpoint(reader)?.read);
        }
        Ok(put.saturating_sub(least))
    }

    fn slot(reader: u32, number: u64) -> u64 {
        let slot = 2 * u64::from(reader) + number % 2;
        8 * u64::from(PRODUCERS) + slot * SLOT_BYTES as u64
    }

    /// Where a reader is.
    pub(super) fn checkpoint(&self, reader: u32) -> io::Result<Checkpoint> {
        let mut latest = Checkpoint::default();
        for slot in 0..2 {
            let mut bytes = [0; SLOT_BYTES];
            self.0.read_exact_at(&mut bytes, Self::slot(reader, slot))?;
            if let Some(found) = Checkpoint::of(&bytes).filter(|f| f.number > latest.number) {
                latest = found;
            }
        }
        Ok(latest)
    }

    /// A reader is there.
    pub(super) fn set_checkpoint(&self, reader: u32, at: &mut Checkpoint) -> io::Result<()> {
        at.number += 1;
        self.0
            .write_all_at(&at.bytes()?, Self::slot(reader, at.number))
    }
}

impl Checkpoint {
    fn bytes(&self) -> io::Result<Vec<u8>> {
        if self.shards.len() > ENTRIES_MAX {
            return Err(io::Error::other("more shards than a checkpoint holds"));
        }
        let entries = self.shards.iter();
        let rest: Vec<u8> = entries
            .flat_map(|(shard, at)| [u64::from(*shard), at.unwrap_or(AT_END)])
            .flat_map(u64::to_le_bytes)
            .collect();
        let hash = fingerprint(&[&self.number.to_le_bytes()[..], &rest].concat());
        let head = [self.number, self.read, self.shards.len() as u64, hash];
        let head: Vec<u8> = head.into_iter().flat_map(u64::to_le_bytes).collect();
        Ok([head, rest].concat())
    }

    fn of(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        let words = bytes.as_chunks::<8>().0.iter();
        let words: Vec<u64> = words.map(|word| u64::from_le_bytes(*word)).collect();
        let ([number, read, entries, _], rest) = words.split_first_chunk::<HEAD_WORDS>()?;
        let rest = rest.get(..usize::try_from(*entries).ok()?.checked_mul(2)?)?;
        let entry = |&[shard, at]: &[u64; 2]| (shard as u32, Some(at).filter(|at| *at != AT_END));
        let found = Self {
            number: *number,
            read: *read,
            shards: rest.as_chunks().0.iter().map(entry).collect(),
        };
        let whole = found.bytes().ok()?;
        bytes.starts_with(&whole).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_whole_checkpoint_counts() -> io::Result<()> {
        let progress = Progress::create()?;
        let heir = Progress::open(&progress.path_for_children())?;
        assert_eq!(heir.checkpoint(1)?, Checkpoint::default());
        let mut at = Checkpoint::default();
        for read in 1..20 {
            at.read = read;
            at.shards = (0..read as u32)
                .map(|n| (n, (n % 3 != 0).then_some(5)))
                .collect();
            progress.set_checkpoint(1, &mut at)?;
            assert_eq!(heir.checkpoint(1)?, at);
        }
        let torn = Progress::slot(1, at.number) + 40;
        progress.0.write_all_at(b"torn", torn)?;
        assert_eq!(heir.checkpoint(1)?.read, 18);
        assert_eq!(heir.checkpoint(0)?, Checkpoint::default());
        Ok(())
    }

    #[test]
    fn the_slowest_reader_counts() -> io::Result<()> {
        let progress = Progress::create()?;
        progress.set_put(0, 7)?;
        progress.set_put(1, 5)?;
        assert_eq!(progress.unread()?, 12);
        for (reader, read) in [(0, 12), (1, 3)] {
            let mut at = Checkpoint {
                read,
                ..Checkpoint::default()
            };
            progress.set_checkpoint(reader, &mut at)?;
        }
        assert_eq!(progress.unread()?, 9);
        Ok(())
    }
}
