//! Reading: cursors and seeks of a history, and what the model says of them.

use super::{History, READERS_MAX, Reader, START_MS};
use crate::row::Kept;
use ringmain::{Error, ShardId, Start, StreamSequence};

impl History<'_, '_> {
    fn start(&mut self, shard: u32) -> (Start, u64) {
        let tail = self.tail(shard);
        let kind = self.input.byte();
        let at = self.input.byte();
        let kept = &self.row(shard).kept;
        let some = match kept.len() {
            0 => (tail, START_MS),
            len => {
                let record = &kept[usize::from(at) % len];
                (record.sequence, record.time_ms)
            }
        };
        let number = StreamSequence::from_u64(some.0);
        let start = match kind % 6 {
            0 | 1 => Start::Oldest,
            2 => Start::Latest,
            3 => Start::At(number),
            4 => Start::After(number),
            _ => Start::Time((some.1 + u64::from(kind / 6 % 3)).saturating_sub(1)),
        };
        (start, tail)
    }

    /// The cursor stands where it was sent: no record that was asked for lies before it, and none
    /// that was not behind it.
    fn stands(&mut self, at: usize, start: Start, tail: u64) {
        let (now_ms, age_ms) = (self.now_ms, self.age_ms);
        let reader = &mut self.readers[at];
        reader.from = reader.cursor.position().as_u64();
        let (from, shard) = (reader.from, reader.shard);
        assert!(from <= tail, "behind the tail");
        let of = |r: &Kept| match start {
            Start::Oldest => r.time_ms + age_ms >= now_ms,
            Start::Latest => false,
            Start::At(number) => r.sequence >= number.as_u64(),
            Start::After(number) => r.sequence > number.as_u64(),
            Start::Time(ms) => r.time_ms >= ms,
        };
        let row = self.row(shard);
        let behind = row.from(from);
        let (before, behind) = row.kept.split_at(row.kept.len() - behind.len());
        assert!(!before.iter().any(of), "{start:?} passes a record");
        // What is claimed may be in the way.
        let exact = row.held.is_empty();
        assert!(!exact || behind.iter().all(of), "{start:?} is too early");
    }

    pub(super) fn begin(&mut self) {
        if self.readers.len() == READERS_MAX {
            return self.seek();
        }
        let shard = self.id();
        let (start, tail) = self.start(shard);
        match self.stream().cursor(ShardId::from_number(shard), start) {
            Ok(cursor) => {
                self.readers.push(Reader {
                    cursor,
                    shard,
                    from: 0,
                });
                self.stands(self.readers.len() - 1, start, tail);
            }
            Err(error) => self.not_there(start, tail, error),
        }
    }

    /// Only what would be behind the tail is refused.
    fn not_there(&self, start: Start, tail: u64, error: Error) {
        let is_behind = matches!(start, Start::After(number) if number.as_u64() >= tail);
        let is_range = matches!(error, Error::OutOfRange { .. });
        assert!(is_behind && is_range, "{start:?}: {error}");
    }

    pub(super) fn seek(&mut self) {
        if self.readers.is_empty() {
            return;
        }
        let at = self.input.below(self.readers.len());
        let shard = self.readers[at].shard;
        if !self.shards.contains_key(&shard) {
            return;
        }
        let (start, tail) = self.start(shard);
        match self.readers[at].cursor.seek(start) {
            Ok(()) => self.stands(at, start, tail),
            Err(error) => self.not_there(start, tail, error),
        }
    }

    pub(super) fn forget(&mut self) {
        if !self.readers.is_empty() {
            let at = self.input.below(self.readers.len());
            self.readers.swap_remove(at);
        }
    }

    pub(super) fn read(&mut self) {
        if self.readers.is_empty() {
            return self.begin();
        }
        let at = self.input.below(self.readers.len());
        let max = 1 + self.input.below(40);
        self.read_some(at, max);
    }

    /// Reads, and holds it against the row; whether there may be more.
    pub(super) fn read_some(&mut self, at: usize, max: usize) -> bool {
        let (now_ms, age_ms) = (self.now_ms, self.age_ms);
        let reader = &mut self.readers[at];
        let Some(shard) = self.shards.get(&reader.shard) else {
            // It is gone; or stands before what was claimed in it, all of which is over.
            let gone = Err(Error::NoShard {
                shard: reader.shard,
            });
            let read = reader.cursor.read(max).map(|records| records.len());
            let is_held = self.claimed.iter().any(|c| c.shard == reader.shard);
            assert!(read == gone || (is_held && read == Ok(0)), "{read:?}");
            return false;
        };
        let row = &shard.row;
        let position = reader.cursor.position().as_u64();
        let next = row.from(reader.from);
        let is_young = |r: &Kept| r.time_ms + age_ms >= now_ms;
        let outcome = reader.cursor.read(max).map(|records| {
            for (record, expected) in records.iter().zip(next) {
                let found = Kept {
                    sequence: record.sequence().as_u64(),
                    key: record.key().expect("text").to_owned(),
                    data: record.data().to_vec(),
                    time_ms: record.arrived_ms(),
                };
                assert_eq!(&found, expected, "from {position:#x}, {row:?}");
                assert!(is_young(expected), "read too late");
            }
            assert!(records.len() <= max.min(next.len()), "more than there are");
            records.len()
        });
        match outcome {
            Ok(0) => {
                let to = next.first().map_or(u64::MAX, |r| r.sequence);
                let waits = next.is_empty() || row.is_held(position, to);
                assert!(waits, "nothing came from {position:#x} on: {row:?}");
                false
            }
            Ok(len) => {
                reader.from = next[len - 1].sequence + 1;
                true
            }
            Err(Error::Lost { bytes }) => {
                assert!(bytes > 0 && bytes % 64 == 0);
                let to = reader.cursor.position().as_u64();
                assert!(to > position, "lost, and not moved");
                let missed = &next[..next.len() - row.from(to).len()];
                assert!(!missed.iter().any(is_young), "missed: {missed:?}");
                reader.from = to;
                true
            }
            Err(Error::ShardClosed { children }) => {
                assert_eq!(Some(children), shard.children, "other children");
                assert!(next.is_empty(), "there is more: {next:?}");
                false
            }
            Err(other) => panic!("{other}"),
        }
    }
}
