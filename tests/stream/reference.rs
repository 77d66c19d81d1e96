//! The plain model: the records of each shard in a row. What it says of a read does not look at
//! rings, laps or segments.

use ringmain::ShardStats;
use std::fmt;

/// A record that was put.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    pub sequence: u64,
    pub key: String,
    pub data: Vec<u8>,
    pub time_ms: u64,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lap, index) = (self.sequence >> 30, self.sequence & INDEX);
        let (key, data) = (self.key.len(), self.data.len());
        write!(
            f,
            "{lap}:{index} at {}, {key} and {data} bytes",
            self.time_ms
        )
    }
}

/// Room that somebody has claimed: between these numbers.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub from: u64,
    pub to: u64,
}

/// The records of a shard that are kept, oldest first.
#[derive(Debug, Default)]
pub struct Row {
    pub kept: Vec<Kept>,
    pub held: Vec<Held>,
    /// The latest time.
    pub latest_ms: u64,
    /// Behind the latest record or claim.
    pub tail: u64,
    /// Records that are not kept any more.
    pub gone: u64,
}

impl Row {
    /// Puts a record that got this number.
    pub fn put(&mut self, record: Kept) {
        let at = self.kept.partition_point(|r| r.sequence < record.sequence);
        let next = self.kept.get(at);
        assert!(next.is_none_or(|next| next.sequence != record.sequence));
        if let Some(before) = at.checked_sub(1) {
            assert!(
                self.kept[before].time_ms <= record.time_ms,
                "time goes back"
            );
        }
        self.kept.insert(at, record);
    }

    /// The records from a number on.
    pub fn from(&self, sequence: u64) -> &[Kept] {
        let at = self.kept.partition_point(|r| r.sequence < sequence);
        &self.kept[at..]
    }

    /// When the segment before this number is over at the latest, less the retention: the time of a
    /// record of the first block behind it.
    pub fn closed_ms(&self, behind: u64) -> Option<u64> {
        let rest = self.from(behind);
        let block = rest.first()?.sequence / 64;
        let of_block = rest.iter().take_while(|r| r.sequence / 64 == block);
        of_block.last().map(|r| r.time_ms)
    }

    /// Whether somebody has claimed room before a number, from another one on.
    pub fn is_held(&self, from: u64, to: u64) -> bool {
        self.held
            .iter()
            .any(|held| held.to > from && held.from <= to)
    }

    /// Forgets what the stream says it keeps no more. Each record of it is old if `age_ms` is told.
    pub fn forget(&mut self, oldest: u64, now_ms: u64, age_ms: Option<u64>) {
        let end = self.kept.partition_point(|r| r.sequence < oldest);
        for record in self.kept.drain(..end) {
            let is_old = age_ms.is_none_or(|age| record.time_ms + age < now_ms);
            assert!(is_old, "given up at {now_ms}: {record:?}");
            self.gone += 1;
        }
    }
}

/// The shape of a shard's ring, for what may be said of a full one.
#[derive(Debug, Clone, Copy)]
pub struct Ring {
    pub segment: u64,
    pub granules: u64,
}

const INDEX: u64 = (1 << 30) - 1;

impl Ring {
    /// The start of the segment behind the one that starts here.
    pub fn next(&self, start: u64) -> u64 {
        let next = start + self.segment;
        match next & INDEX == self.granules {
            true => ((start >> 30) + 1) << 30,
            false => next,
        }
    }

    /// Whether a record may have this number.
    pub fn has(&self, sequence: u64) -> bool {
        sequence & INDEX < self.granules
    }

    pub fn start(&self, at: u64) -> u64 {
        at & !(self.segment - 1)
    }

    /// Whether `granules` do not fit: neither behind the tail, nor in another segment.
    pub fn is_full(&self, stat: &ShardStats, granules: u64) -> bool {
        let tail = stat.tail.as_u64();
        let room = self.segment - (tail & (self.segment - 1));
        let mut segments = 1;
        let mut start = stat.oldest.as_u64();
        while start < self.start(tail) {
            start = self.next(start);
            segments += 1;
        }
        granules >= room && segments == self.granules / self.segment
    }
}
