//! A reader of the demo's stream: reads all shards, parents before children, and journals; then it
//! says where its successor goes on.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGUSR1;

use super::super::args::ChildArgs;
use super::super::exit::{Exit, Trouble, about};
use super::super::monotonic::now_ns;
use super::super::stop::{Request, Stop};
use super::super::submit::BATCH_ENTRIES_MAX;
use super::child::die_with_parent;
use super::progress::{Checkpoint, Progress};
use super::reading::{Reading, fingerprint};
use super::wire::{Batch, NOBODY, Place, Record, Work};
use super::worker::HOLD;
use crate::face::cli::any::AnyRegion;
use crate::{
    Cursor, DefaultClock, Error, Mapped, ShardId, Start, Stream, StreamSequence, Waitable, wait_any,
};

/// How long nothing may come before the reader looks whether it is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Reads until SIGTERM; the batch in hand is finished.
pub(in super::super) fn run(args: &ChildArgs) -> Result<Exit, Trouble> {
    let stop = Stop::on_signals_patiently()?;
    let hold = Request::on_signal(SIGUSR1)?;
    die_with_parent(args.parent)?;
    let region: AnyRegion = Arc::new(Mapped::open(&args.path).map_err(about(args.path.display()))?);
    let stream = Stream::open(region)?;
    let Some(path) = &args.progress else {
        return Err(Trouble::new("a reader has --progress"));
    };
    let progress = Progress::open(path).map_err(about(path.display()))?;
    let at = progress.checkpoint(args.index)?;
    let mut reader = Reader {
        stream: &stream,
        cursors: HashMap::new(),
        done: at
            .shards
            .iter()
            .filter(|(_, at)| at.is_none())
            .map(|(shard, _)| *shard)
            .collect(),
        at,
        index: args.index,
        metrics: HashSet::new(),
        hold,
    };
    while !stop.asked() {
        if !reader.round(&progress)? {
            reader.wait()?;
        }
    }
    Ok(Exit::Done)
}

struct Reader<'s> {
    stream: &'s Stream<AnyRegion>,
    /// Where it is in the shards that it reads.
    cursors: HashMap<ShardId, Cursor<'s, AnyRegion, DefaultClock>>,
    /// Shards that it has read to their ends.
    done: HashSet<u32>,
    at: Checkpoint,
    index: u32,
    metrics: HashSet<u64>,
    hold: Request,
}

impl Reader<'_> {
    /// Reads a batch of each shard that it may read. Whether there was anything.
    fn round(&mut self, progress: &Progress) -> Result<bool, Trouble> {
        let mut any = false;
        for shard in self.stream.shards() {
            if self.may_read(shard)? {
                any |= self.read(shard)?;
            }
            if self.done.contains(&shard.number()) {
                self.cursors.remove(&shard);
            }
        }
        if self.moved() {
            progress.set_checkpoint(self.index, &mut self.at)?;
        }
        Ok(any)
    }

    /// Whether a shard is not read to its end, and its parents are.
    fn may_read(&mut self, shard: ShardId) -> Result<bool, Trouble> {
        if self.done.contains(&shard.number()) {
            return Ok(false);
        }
        if self.cursors.contains_key(&shard) {
            return Ok(true);
        }
        let info = self.stream.shard_info(shard)?;
        let mut parents = [info.parent, info.adjacent_parent].into_iter().flatten();
        // One that is gone is long read.
        let is_read = |parent: ShardId| {
            self.done.contains(&parent.number()) || self.stream.shard_info(parent).is_err()
        };
        if !parents.all(is_read) {
            return Ok(false);
        }
        let known = self.at.shards.iter().find(|(of, _)| *of == shard.number());
        let start = match known.and_then(|(_, at)| *at) {
            Some(at) => Start::At(StreamSequence::from_u64(at)),
            None => Start::Oldest,
        };
        let cursor = self.stream.cursor(shard, start)?;
        self.cursors.insert(shard, cursor);
        Ok(true)
    }

    /// Reads up to ten records of a shard, and journals them.
    fn read(&mut self, shard: ShardId) -> Result<bool, Trouble> {
        let Some(cursor) = self.cursors.get_mut(&shard) else {
            return Ok(false);
        };
        let records = match cursor.read(BATCH_ENTRIES_MAX) {
            Ok(records) => records,
            Err(Error::ShardClosed { .. }) => {
                self.done.insert(shard.number());
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        if records.is_empty() {
            return Ok(false);
        }
        let at_ns = now_ns();
        let (mut places, mut works) = (Batch::new(), Batch::new());
        let mut messages = Batch::new();
        for record in &records {
            let sequence = record.sequence().as_u64();
            let id = [u64::from(self.index), u64::from(shard.number()), sequence];
            let id: Vec<u8> = id.into_iter().flat_map(u64::to_le_bytes).collect();
            messages.extend([fingerprint(&id)]);
            let (place, work) = taken(record.key_bytes(), record.data(), sequence);
            self.metrics.insert(place.group);
            places.extend([place]);
            works.extend([work]);
        }
        self.at.read += works.len() as u64;
        drop(records);
        let ordered = Record::Ordered { at_ns, places };
        let received = Record::Received { at_ns, messages };
        let metrics = self.metrics.len() as u64;
        for record in [ordered, received] {
            record.write().map_err(about("journal"))?;
        }
        if self.hold.taken() {
            // A slow handler; the parent uses the time to kill it.
            thread::sleep(HOLD);
        }
        let processed = Record::Processed { metrics, works };
        processed.write().map_err(about("journal"))?;
        Ok(true)
    }

    /// Brings the checkpoint up to date. Whether it was not.
    fn moved(&mut self) -> bool {
        let at = |shard: ShardId| match self.cursors.get(&shard) {
            Some(cursor) => Some((shard.number(), Some(cursor.position().as_u64()))),
            None => self
                .done
                .contains(&shard.number())
                .then_some((shard.number(), None)),
        };
        let shards: Vec<_> = self.stream.shards().filter_map(at).collect();
        let moved = shards != self.at.shards;
        self.at.shards = shards;
        moved
    }

    /// Waits for records.
    fn wait(&mut self) -> Result<(), Trouble> {
        let cursors = self.cursors.values();
        let cursors: Vec<&dyn Waitable> = cursors.map(|cursor| cursor as &dyn Waitable).collect();
        wait_any(&cursors, LOOK_EVERY)?;
        Ok(())
    }
}

/// What a record is.
fn taken(key: &[u8], data: &[u8], sequence: u64) -> (Place, Work) {
    let hash = fingerprint(data);
    let group = fingerprint(key);
    let reading = serde_json::from_slice::<Reading<'_>>(data).ok();
    let (author, seq, sent_ns) = match reading.filter(|r| r.metric.as_bytes() == key) {
        Some(reading) => (reading.author(), reading.seq, reading.sent_ns),
        None => (NOBODY, 0, 0),
    };
    let place = Place {
        group,
        sequence,
        author,
        seq,
    };
    let work = Work {
        author,
        seq,
        hash,
        sent_ns,
    };
    (place, work)
}
