//! Ledgers: append-only logs in shared memory, one a life. A record is written, then counted with
//! a release store, so a death leaves it counted or not there. Before a call that changes something
//! goes its intent, after it its outcome: what a death leaves open is known as open.

use super::board::Op;
use std::sync::atomic::{AtomicU64, Ordering};

/// Records in a ledger at most; a life ends in an orderly way before that.
pub const RECORDS: usize = 8192;
/// How many records one step of a life may write.
const MARGIN: usize = 512;

/// 64-bit words of a record.
const WORDS: usize = 9;

/// What a record tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// `seed` is about to be sent.
    SendBegin = 1,
    /// It was, as `id`, or was not: `answer`.
    SendEnd,
    /// A receive of `seed`, the `count`th: at region time `a`, invisible up to `b`. When it ended
    /// the region's time had not passed `latest`.
    Got,
    /// `op` is about to be done to receive `count` of `seed`; an extension up to `a` at least.
    SettleBegin,
    /// It was: `answer`. The region's time had not passed `latest`.
    SettleEnd,
    /// An attachment is about to be dropped.
    DropBegin,
    /// A child is about to be forked, which inherits the attachments.
    ForkBegin,
    /// A receive of up to `count` messages that are not known.
    Blind,
    /// All messages are about to be removed.
    PurgeBegin,
    /// They were; the purge began at `t0`.
    PurgeEnd,
    /// The bytes of `seed` were looked at again, long after the receive, and were whole.
    LateRead,
    /// `count` calls of a forked child were refused as they should be.
    Refused,
    /// Something that must not be: [`super::faults::Fault`] in `count`.
    Fault,
}

const KINDS: [Kind; 13] = [
    Kind::SendBegin,
    Kind::SendEnd,
    Kind::Got,
    Kind::SettleBegin,
    Kind::SettleEnd,
    Kind::DropBegin,
    Kind::ForkBegin,
    Kind::Blind,
    Kind::PurgeBegin,
    Kind::PurgeEnd,
    Kind::LateRead,
    Kind::Refused,
    Kind::Fault,
];

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Answer {
    Ok,
    Full,
    Stale,
    NotInFlight,
    Pinned,
    Aborted,
    Other,
}

const ANSWERS: [Answer; 7] = [
    Answer::Ok,
    Answer::Full,
    Answer::Stale,
    Answer::NotInFlight,
    Answer::Pinned,
    Answer::Aborted,
    Answer::Other,
];

/// One entry.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub kind: Kind,
    pub op: Op,
    pub answer: Answer,
    pub attachment: u8,
    pub count: u32,
    pub seed: u64,
    /// Message id, `{ place, stamp }`.
    pub id: (u64, u64),
    pub a: u64,
    pub b: u64,
    pub latest: u64,
    pub t0: u64,
    pub t1: u64,
}

impl Record {
    pub fn new(kind: Kind, seed: u64, t0: u64) -> Self {
        Self {
            kind,
            op: Op::Outside,
            answer: Answer::Ok,
            attachment: 0,
            count: 0,
            seed,
            id: (0, 0),
            a: 0,
            b: 0,
            latest: 0,
            t0,
            t1: t0,
        }
    }

    /// The region time in which the message was sent, ms.
    pub fn sent_ms(&self) -> u64 {
        self.id.1 & ((1 << 44) - 1)
    }

    fn pack(&self) -> [u64; WORDS] {
        let first = self.kind as u64
            | (self.op as u64) << 8
            | (self.answer as u64) << 16
            | (self.attachment as u64) << 24
            | (self.count as u64) << 32;
        let (place, stamp) = self.id;
        let (a, b, latest) = (self.a, self.b, self.latest);
        [
            first, self.seed, place, stamp, a, b, latest, self.t0, self.t1,
        ]
    }

    fn unpack(words: [u64; WORDS]) -> Option<Self> {
        let [first, seed, place, stamp, a, b, latest, t0, t1] = words;
        let byte = |shift: u32| (first >> shift) as u8 as usize;
        Some(Self {
            kind: *KINDS.get(byte(0).checked_sub(1)?)?,
            op: Op::of(byte(8) as u64),
            answer: *ANSWERS.get(byte(16))?,
            attachment: byte(24) as u8,
            count: (first >> 32) as u32,
            seed,
            id: (place, stamp),
            a,
            b,
            latest,
            t0,
            t1,
        })
    }
}

/// A log with one writer.
#[repr(C)]
pub struct Ledger {
    len: AtomicU64,
    records: [[AtomicU64; WORDS]; RECORDS],
}

impl Ledger {
    /// Empties it; nobody else uses it.
    pub fn clear(&self) {
        self.len.store(0, Ordering::SeqCst);
    }

    /// Whether another step of a life fits.
    pub fn has_room(&self) -> bool {
        (self.len.load(Ordering::Relaxed) as usize) < RECORDS - MARGIN
    }

    /// Appends a record. One that finds no room is dropped, which only a life that does not ask
    /// [`has_room`](Ledger::has_room) meets: it panics.
    pub fn append(&self, record: &Record) {
        let at = self.len.load(Ordering::Relaxed) as usize;
        let place = self.records.get(at).expect("room in the ledger");
        for (word, value) in place.iter().zip(record.pack()) {
            word.store(value, Ordering::Relaxed);
        }
        // ORDERING: Release: counted when whole. Pairs in `read`.
        self.len.store(at as u64 + 1, Ordering::Release);
    }

    /// The records counted so far.
    pub fn read(&self) -> Vec<Record> {
        let len = self.len.load(Ordering::Acquire) as usize;
        let load = |words: &[AtomicU64; WORDS]| {
            let words = std::array::from_fn(|i| words[i].load(Ordering::Relaxed));
            Record::unpack(words).expect("a record that was counted is whole")
        };
        self.records[..len].iter().map(load).collect()
    }
}
