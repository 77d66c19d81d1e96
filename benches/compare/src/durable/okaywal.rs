//! okaywal: a write-ahead log whose concurrent commits share a sync. As it comes: files of 1 MiB,
//! used again after a checkpoint at 768 KiB.
//!
//! What was committed is read back by checkpoints. The last one comes by itself, after an entry
//! that fills a file: `checkpoint_active` on a file that is still empty gives the next one the same
//! name, and the log is dead from then on (0.3.1).

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use okaywal::{Entry, EntryId, LogManager, ReadChunkResult, SegmentReader, WriteAheadLog};

use super::{
    drive::{Journal, Writer},
    message::{Body, Tally},
};
use crate::sample::Failure;

/// Bytes after which a checkpoint begins.
const CHECKPOINT: usize = 768 << 10;
/// No checkpoint takes this long, unless it hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Counts what a checkpoint takes out of the log, as a store would move it on.
#[derive(Debug, Clone, Default)]
struct Counter(Arc<Mutex<Tally>>);

impl Counter {
    fn count(&self, entry: &mut Entry<'_>) -> io::Result<()> {
        let mut counted = Tally::default();
        while let ReadChunkResult::Chunk(mut chunk) = entry.read_chunk()? {
            let chunk = chunk.read_all()?;
            if chunk.len() < CHECKPOINT {
                counted.add(&chunk);
            }
        }
        let mut tally = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
        *tally = tally.join(counted);
        Ok(())
    }
}

impl LogManager for Counter {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        self.count(entry)
    }

    fn checkpoint_to(
        &mut self,
        _: EntryId,
        entries: &mut SegmentReader,
        _: &WriteAheadLog,
    ) -> io::Result<()> {
        while let Some(mut entry) = entries.read_entry()? {
            self.count(&mut entry)?;
        }
        Ok(())
    }
}

/// A log in a folder of its own.
pub struct Log {
    log: WriteAheadLog,
    counter: Counter,
}

impl Log {
    /// A new log in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let counter = Counter::default();
        let log = WriteAheadLog::recover(folder.join("okaywal"), counter.clone())?;
        Ok(Self { log, counter })
    }
}

impl Journal for Log {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + '_>, Failure> {
        Ok(Box::new(&self.log))
    }

    fn settle(&self, committed: Tally) -> Result<Tally, Failure> {
        let mut entry = self.log.begin_entry()?;
        entry.write_chunk(&vec![0; CHECKPOINT])?;
        entry.commit()?;
        let start = Instant::now();
        loop {
            let mut found = self
                .counter
                .0
                .lock()
                .map_err(|_| "the checkpoint panicked")?;
            if found.count >= committed.count || start.elapsed() > HANGS {
                return Ok(std::mem::take(&mut *found));
            }
            drop(found);
            thread::yield_now(); // the checkpoint has a thread of its own
        }
    }
}

impl Writer for &WriteAheadLog {
    fn commit(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        let mut entry = self.begin_entry()?;
        for body in bodies {
            entry.write_chunk(body)?;
        }
        entry.commit()?;
        Ok(())
    }
}
