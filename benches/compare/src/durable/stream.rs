//! Our stream on disk, each record durable before its put returns, or a group by one sync.

use std::{path::Path, sync::Mutex};

use ringmain::{
    Durability, FullPolicy, Mapped, ShardId, Start, Stream, StreamEntry, StreamOptions,
    StreamSequence,
};

use super::{
    drive::{Journal, Writer},
    message::{Body, Tally},
};
use crate::sample::Failure;

/// Bytes of the region: a sample's records fit at any speed that a disk has.
const REGION: u64 = 256 << 20;
/// Records a call.
const BATCH: usize = 500;
/// The only shard.
const SHARD: ShardId = ShardId::from_number(0);

/// A stream of one shard in a mapped region, at the level that waits for the disk.
pub struct Store {
    stream: Stream<Mapped>,
    /// Up to where it was read back.
    read: Mutex<StreamSequence>,
}

impl Store {
    /// A new stream in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let options = StreamOptions::new()
            .full(FullPolicy::Evict)
            .durability(Durability::BeforeOk);
        let region = Mapped::create(folder.join("durable.stream"), REGION)?;
        let stream = Stream::create(region, options)?;
        let read = stream.stat(SHARD)?.tail;
        Ok(Self {
            stream,
            read: Mutex::new(read),
        })
    }
}

impl Journal for Store {
    fn writer(&self, number: usize) -> Result<Box<dyn Writer + '_>, Failure> {
        Ok(Box::new(Putter {
            stream: &self.stream,
            key: format!("writer-{number}"),
        }))
    }

    fn settle(&self, _: Tally) -> Result<Tally, Failure> {
        let mut read = self.read.lock().map_err(|_| "a thread has panicked")?;
        let mut cursor = self.stream.cursor(SHARD, Start::At(*read))?;
        let mut found = Tally::default();
        loop {
            let records = cursor.read(1000)?;
            if records.is_empty() {
                break;
            }
            records.iter().for_each(|record| found.add(record.data()));
        }
        *read = cursor.position();
        Ok(found)
    }
}

/// One who puts.
struct Putter<'s> {
    stream: &'s Stream<Mapped>,
    key: String,
}

impl Writer for Putter<'_> {
    /// One by itself waits for the disk in `put`; of a group none waits, and one sync ends it.
    fn commit(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        if let [body] = bodies {
            self.stream.put(&self.key, body)?;
            return Ok(());
        }
        let stream = self.stream.at(Durability::Process)?;
        for some in bodies.chunks(BATCH) {
            let entries: Vec<_> = some
                .iter()
                .map(|body| StreamEntry::new(&self.key, body))
                .collect();
            let mut refused = None;
            stream.put_batch(&entries, |_, outcome| {
                refused = outcome.err().or(refused.take())
            })?;
            if let Some(error) = refused {
                return Err(error.into());
            }
        }
        self.stream.sync()?;
        Ok(())
    }
}
