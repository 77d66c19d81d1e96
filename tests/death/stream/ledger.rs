//! The ledger of records, and a reader that holds what it reads against it.

use super::super::board::{Board, Fault, state};
use super::super::common::{body, seed_of};
use super::super::stage::seed_in;
use super::ground::Log;
use ringmain::{
    Clock, Durability, Error, Part, Placement, Put, Record, Region, ShardId, Start, Stream,
    StreamSequence,
};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering::SeqCst;

/// Data of a record that takes a granule.
pub const SMALL: usize = 24;
/// Data of a record that takes 24 granules: five of them and a seal are a segment.
pub const LARGE: usize = 1480;
/// Seeds of records by who puts them, in the order in which they do.
pub const MADE: u64 = 1;
pub const TRACED: u64 = 600;
pub const SURVIVOR: u64 = 900;
/// What fills the rings; not in the ledger.
pub const FILL: u64 = 10_000;
/// Records that a reader takes at once.
const READ: usize = 3;

/// A partition key; those of even numbers have lower hashes than those of odd ones.
pub fn key(number: u32) -> String {
    let mut keys = (0..).map(|n| format!("key-{number}-{n}"));
    let half = |key: &String| (Placement::Xxh3.hash_of(key) >> 127) as u32;
    keys.find(|key| half(key) == number & 1).expect("soon one")
}

/// Enters a record that is about to be put.
pub fn putting(board: &Board, (seed, key): (u64, u32), len: usize) {
    let entry = board.known(seed);
    entry.len.store(len as u32, SeqCst);
    entry.group.store(key, SeqCst);
    entry.add(state::SENDING);
}

/// Enters what became of it.
pub fn told(board: &Board, seed: u64, put: &Result<Put, Error>) {
    let entry = board.known(seed);
    match put {
        Ok(put) => {
            entry.sequence.store(put.sequence.as_u64(), SeqCst);
            entry.id.store(put.shard.number(), SeqCst);
            entry.add(state::SENT);
        }
        Err(_) => entry.add(state::REFUSED),
    }
}

/// Puts a record and keeps the ledger.
pub fn put<R: Region>(
    board: &Board,
    stream: &Stream<R, impl Clock>,
    (seed, number): (u64, u32),
    len: usize,
) -> Result<Put, Error> {
    putting(board, (seed, number), len);
    let put = stream.put(&key(number), &body(seed, len));
    told(board, seed, &put);
    put
}

/// The same, and it is on the disk when that has returned.
pub fn put_durably(
    board: &Board,
    stream: &Log,
    record: (u64, u32),
    len: usize,
) -> Result<Put, Error> {
    let durable = stream.at(Durability::BeforeOk)?;
    let put = put(board, &durable, record, len);
    if put.is_ok() {
        board.known(record.0).add(state::DURABLE);
    }
    put
}

/// Checks what somebody has put, of a record, against the ledger; its seed, if it is sound and
/// stands there.
pub fn sound(board: &Board, record: &Record<'_>, part: &Part<'_>) -> Option<u64> {
    let seed = seed_in(part.data());
    if seed >= FILL && seed_of(part.data()).is_some() {
        return None; // what fills the rings
    }
    let fault = |what| {
        board.fault(Fault::Damaged, seed, what);
        None
    };
    let known = board.entry(seed).filter(|entry| entry.has(state::SENDING));
    let Some(entry) = known else {
        return fault("a record that nobody put");
    };
    if part.data().len() != entry.len.load(SeqCst) as usize || seed_of(part.data()) != Some(seed) {
        return fault("its data is not what was put");
    }
    if part.key() != Ok(&*key(entry.group.load(SeqCst))) {
        return fault("its key is not what was put");
    }
    if entry.has(state::REFUSED) {
        return fault("a record whose put was refused");
    }
    let place = (record.shard().number(), record.sequence().as_u64());
    let told = (entry.id.load(SeqCst), entry.sequence.load(SeqCst));
    if entry.has(state::SENT) && place != told {
        return fault("it is not where its put said");
    }
    Some(seed)
}

/// Checks all that somebody has put in a record.
pub fn all_sound(board: &Board, record: &Record<'_>) {
    for part in record.parts() {
        match part {
            Ok(part) => drop(sound(board, record, &part)),
            Err(_) => board.fault(Fault::Damaged, 0, "an aggregate"),
        }
    }
}

/// Who put a record, by its seed.
fn writer(seed: u64) -> usize {
    usize::from(seed >= TRACED) + usize::from(seed >= SURVIVOR)
}

/// What was read of a key: the last seed of each writer.
#[derive(Default)]
struct Order([u64; 3]);

/// A reader of all shards, parents before children, which goes on where it was.
pub struct Reading {
    board: &'static Board,
    at: HashMap<ShardId, StreamSequence>,
    ended: HashSet<ShardId>,
    pub seen: HashSet<u64>,
    keys: HashMap<u32, Order>,
    /// Somebody makes the time pass and fills the rings: what is missing is not asked for.
    pub lossy: bool,
    /// The traced one was dead before the survivor put anything.
    pub dead_first: bool,
}

impl Reading {
    pub fn new(board: &'static Board) -> Self {
        Self {
            board,
            at: HashMap::new(),
            ended: HashSet::new(),
            seen: HashSet::new(),
            keys: HashMap::new(),
            lossy: false,
            dead_first: board.dead.load(SeqCst) != 0,
        }
    }

    /// Reads all that there is to be read now.
    pub fn reads(&mut self, stream: &Log) {
        loop {
            let ids: Vec<_> = stream.shards().collect();
            let ended = self.ended.len();
            for &id in &ids {
                if self.at_end(&id) {
                    continue;
                }
                let info = match stream.shard_info(id) {
                    Ok(info) => info,
                    Err(Error::NoShard { .. }) => continue,
                    Err(_) => return self.fault(Fault::Damaged, id, "what a shard is"),
                };
                let parents = [info.parent, info.adjacent_parent];
                let waits = |id: &ShardId| ids.contains(id) && !self.at_end(id);
                if !parents.iter().flatten().any(waits) {
                    self.reads_shard(stream, id);
                }
            }
            if self.ended.len() == ended {
                return;
            }
        }
    }

    fn at_end(&self, id: &ShardId) -> bool {
        self.ended.contains(id)
    }

    fn fault(&self, fault: Fault, id: ShardId, what: &'static str) {
        self.board.fault(fault, id.number().into(), what);
    }

    fn reads_shard(&mut self, stream: &Log, id: ShardId) {
        let start = self.at.get(&id).map_or(Start::Oldest, |at| Start::At(*at));
        let mut cursor = match stream.cursor(id, start) {
            Ok(cursor) => cursor,
            Err(Error::NoShard { .. }) => {
                self.ended.insert(id);
                return;
            }
            Err(_) => return self.fault(Fault::Stuck, id, "no cursor can be had"),
        };
        let mut last = 0;
        // More than there can be.
        for _ in 0..4096 {
            let before = cursor.position();
            match cursor.read(READ) {
                Ok(records) if records.is_empty() => break,
                Ok(records) => {
                    for record in &records {
                        if record.sequence().as_u64() <= last || record.sequence() < before {
                            self.fault(Fault::Reordered, id, "a sequence number goes back");
                        }
                        last = record.sequence().as_u64();
                        for part in record.parts() {
                            match part {
                                Ok(part) => self.came(&record, &part),
                                Err(_) => self.fault(Fault::Damaged, id, "an aggregate"),
                            }
                        }
                    }
                }
                Err(Error::ShardClosed { .. } | Error::NoShard { .. }) => {
                    self.ended.insert(id);
                    break;
                }
                Err(Error::Lost { .. }) if self.lossy => {}
                Err(Error::Lost { .. }) => self.fault(Fault::Lost, id, "a reader is told so"),
                Err(error) => {
                    eprintln!("a read: {error}");
                    self.fault(Fault::Damaged, id, "a read fails");
                    break;
                }
            }
        }
        self.at.insert(id, cursor.position());
    }

    fn came(&mut self, record: &Record<'_>, part: &Part<'_>) {
        let Some(seed) = sound(self.board, record, part) else {
            return;
        };
        let entry = self.board.known(seed);
        if entry.has(state::OLD) && !self.lossy {
            self.board
                .fault(Fault::Damaged, seed, "it is older than the retention");
        }
        if !self.seen.insert(seed) {
            self.board.fault(Fault::Doubled, seed, "it comes again");
        }
        let order = self.keys.entry(entry.group.load(SeqCst)).or_default();
        let of = writer(seed);
        let others = match (of, self.dead_first) {
            (0, _) => order.0[1].max(order.0[2]),
            (1, true) => order.0[2],
            _ => 0,
        };
        if others != 0 || order.0[of] >= seed {
            self.board
                .fault(Fault::Reordered, seed, "comes after a later one of its key");
        }
        order.0[of] = seed;
    }
}
