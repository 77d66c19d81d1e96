//! The survivor of a death or a standstill: it goes on at once, and finds what the ledger says.

use super::super::board::{Board, Fault, state};
use super::super::common::{body, seed_of};
use super::super::ground::Image;
use super::ground::{Ground, Log, PLACES, READERS, SEGMENT, SEGMENTS, age, granule};
use super::ledger::{FILL, LARGE, Reading, SMALL, SURVIVOR, TRACED, put, put_durably};
use ringmain::{Error, ShardId, ShardInfo, Start, StreamEntry};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

/// Records that fill a shard once, and more.
const LAP: u64 = SEGMENTS * 6;
/// How often the rings are filled.
const LAPS: u64 = 2;
/// Keys that the survivor puts records of.
const KEYS: u32 = 4;

pub struct Survivor<'s> {
    pub board: &'static Board,
    pub path: &'s Path,
    pub stream: &'s Log,
    pub reading: Reading,
    /// Its puts wait for the disk.
    pub puts_durably: bool,
    next: u64,
    filled: u64,
}

impl<'s> Survivor<'s> {
    pub fn new(board: &'static Board, path: &'s Path, stream: &'s Log) -> Self {
        Self {
            board,
            path,
            stream,
            reading: Reading::new(board),
            puts_durably: false,
            next: SURVIVOR,
            filled: FILL,
        }
    }

    /// Puts a record of each key: none may be refused.
    pub fn puts(&mut self) {
        for key in 0..KEYS {
            let seed = self.next;
            self.next += 1;
            let put = match self.puts_durably {
                true => put_durably(self.board, self.stream, (seed, key), SMALL),
                false => put(self.board, self.stream, (seed, key), SMALL),
            };
            if let Err(error) = put {
                eprintln!("a put: {error}");
                self.fault(Fault::Stuck, seed, "the next writer cannot go on");
            }
        }
    }

    pub fn tend(&self) {
        if self.stream.tend().is_err() {
            self.fault(Fault::Stuck, 0, "tending failed");
        }
    }

    pub fn reads(&mut self) {
        self.reading.reads(self.stream);
    }

    /// All that the survivor has put is read.
    pub fn own_are_read(&self) {
        let hidden = |seed: &u64| {
            let entry = self.board.known(*seed);
            entry.has(state::SENT) && !entry.has(state::OLD) && !self.reading.seen.contains(seed)
        };
        if let Some(seed) = (SURVIVOR..self.next).find(hidden) {
            self.fault(Fault::Stuck, seed, "a reader does not get there");
        }
    }

    /// All whose put has returned were read, but for what was given up.
    fn all_are_read(&self, ground: &Ground, given_up: u64) {
        let stats = |id| self.stream.stat(id).ok();
        let stats: Vec<_> = self.stream.shards().filter_map(stats).collect();
        for stat in &stats {
            let before = ground.oldest.iter().find(|(id, _)| *id == stat.shard);
            let (_, before) = before.copied().unwrap_or((stat.shard, u64::MAX));
            let gone = granule(stat.oldest.as_u64()).saturating_sub(granule(before));
            if before != u64::MAX && gone > given_up * SEGMENT / 64 {
                self.fault(Fault::Lost, gone, "granules are given up, too many");
            }
        }
        for (seed, entry) in self.board.named() {
            let expected = entry.has(state::SENT) && !entry.has(state::OLD);
            let shard = entry.id.load(SeqCst);
            let stat = stats.iter().find(|stat| stat.shard.number() == shard);
            let is_kept = stat.is_none_or(|stat| {
                granule(entry.sequence.load(SeqCst)) >= granule(stat.oldest.as_u64())
            });
            if expected && !self.reading.seen.contains(&seed) && is_kept {
                self.fault(Fault::Lost, seed, "it was put, and is not read");
            }
        }
        self.batches_are_whole();
    }

    /// Of the records that a batch has in a shard, all are there or none.
    fn batches_are_whole(&self) {
        for batch in 1..=2 {
            let of = |seed: &u64| {
                let entry = self.board.known(*seed);
                entry.has(state::SENDING) && entry.holder.load(SeqCst) == batch
            };
            let all: Vec<_> = (TRACED..SURVIVOR).filter(of).collect();
            let seen = all.iter().filter(|seed| self.reading.seen.contains(seed));
            let seen = seen.count();
            if seen != 0 && seen != all.len() {
                self.fault(Fault::Damaged, all[0], "a part of a batch is there");
            }
        }
    }

    /// The open shards, in the order of their hashes.
    pub fn open(&self) -> Vec<ShardInfo> {
        let infos = self.stream.shards();
        let infos = infos.filter_map(|id| self.stream.shard_info(id).ok());
        let mut open: Vec<_> = infos.filter(ShardInfo::is_open).collect();
        open.sort_by_key(|info| info.hashes);
        open
    }

    /// The open shards are all hashes, each once.
    pub fn covers(&self) {
        let mut next = Some(0);
        for info in self.open() {
            if next != Some(info.hashes.0) {
                self.fault(Fault::Damaged, 0, "hashes are in no open shard, or in two");
            }
            next = info.hashes.1.checked_add(1);
        }
        if next.is_some() {
            self.fault(Fault::Damaged, 0, "the last hashes are in no open shard");
        }
    }

    /// No shard is open whose parent still is.
    pub fn parents_are_closed(&self) {
        let is_open = |id| self.stream.shard_info(id).is_ok_and(|info| info.is_open());
        for info in self.open() {
            let parents = [info.parent, info.adjacent_parent];
            if parents.into_iter().flatten().any(is_open) {
                let number = info.shard.number().into();
                self.fault(Fault::Reordered, number, "it is open, and so is its parent");
            }
        }
    }

    /// Splits the first open shard, or merges the first two.
    pub fn change(&self, splits: bool) -> Result<(), Error> {
        let open = self.open();
        match open[..] {
            [one, other, ..] if !splits || open.len() + 2 > PLACES as usize => {
                self.stream.merge(other.shard, one.shard).map(drop)
            }
            [one, ..] => {
                let (first, last) = one.hashes;
                let point = first + (last - first) / 2;
                self.stream.split(one.shard, point).map(drop)
            }
            [] => Ok(()), // told as damaged
        }
    }

    /// The next split and the next merge work, when all closed shards are old.
    fn changes(&mut self) {
        for splits in [true, false] {
            age(self.board);
            if let Err(error) = self.change(splits) {
                eprintln!("splits {splits}: {error}");
                self.fault(Fault::Stuck, splits.into(), "the next change is refused");
            }
            self.covers();
            self.puts();
            self.reads();
            self.own_are_read();
        }
    }

    /// As many cursors as there may be can be had of each shard.
    fn pins_are_free(&self) {
        for id in self.stream.shards() {
            let cursor = |_| self.stream.cursor(id, Start::Oldest);
            let cursors: Vec<_> = (0..READERS).map(cursor).collect();
            if cursors.iter().any(Result::is_err) {
                self.fault(Fault::Leaked, id.number().into(), "a pin is not free");
            }
        }
    }

    /// Fills the rings round and round, as time passes. With `living` somebody is stopped, who may
    /// have a segment: it is told then.
    pub fn fills(&mut self, living: bool) {
        for info in self.open() {
            'shard: for _ in 0..LAPS * LAP {
                let data = body(self.filled, LARGE);
                self.filled += 1;
                let entry = StreamEntry::new("fill", &data).hash(info.hashes.0);
                let mut put = self.stream.put_entry(&entry);
                if put == Err(Error::Full) {
                    age(self.board);
                    put = self.stream.put_entry(&entry);
                }
                match put {
                    Ok(_) => {}
                    Err(Error::SegmentInUse { .. }) if living => break 'shard,
                    Err(error) => {
                        eprintln!("filling: {error}");
                        self.fault(Fault::Leaked, self.filled, "a segment is not free again");
                        break 'shard;
                    }
                }
            }
            if !living {
                self.is_filled(info.shard);
            }
        }
    }

    /// What filled a shard last is there.
    fn is_filled(&self, shard: ShardId) {
        let Ok(mut cursor) = self.stream.cursor(shard, Start::Oldest) else {
            return self.fault(Fault::Stuck, 0, "no cursor can be had");
        };
        let mut last = 0;
        loop {
            match cursor.read(100) {
                Ok(records) if records.is_empty() => break,
                Ok(records) => {
                    for record in &records {
                        let seed = seed_of(record.data()).unwrap_or(0);
                        if seed <= last {
                            self.fault(Fault::Damaged, seed, "what fills the ring");
                        }
                        last = last.max(seed);
                    }
                }
                Err(_) => return self.fault(Fault::Damaged, 0, "a read fails"),
            }
        }
        let tail = self.stream.stat(shard).map(|stat| stat.tail);
        if last + 1 != self.filled || tail != Ok(cursor.position()) {
            self.fault(Fault::Lost, last, "what filled the ring last is not read");
        }
    }

    /// The last questions, after the death is repaired.
    pub fn close(&mut self, ground: &Ground, given_up: u64) {
        self.reads();
        if !self.reading.lossy {
            self.own_are_read();
            self.all_are_read(ground, given_up);
        }
        self.covers();
        self.pins_are_free();
        self.consumers_are_sound();
        self.changes();
        self.fills(false);
        self.pins_are_free();
        if Image::of(self.path).attached().len() != 1 {
            self.fault(Fault::Leaked, 0, "an index of the registry is not free");
        }
    }
}
