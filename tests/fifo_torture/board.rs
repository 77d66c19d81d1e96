//! The board: memory that all processes of the torture share, so that it survives every death.
//! Each life has a log, to which it alone appends; a record is counted when it is whole.

use super::history::{Answer, Deed, History, Hold, NEVER, Place, Reply, Send, Settle};
use super::os;
use ringmain::Clock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Lives in one round at most.
pub const LIVES: usize = 256;
/// Records of a life at most; it ends in an orderly way before that.
pub const RECORDS: usize = 16_384;
/// How many records one step of a life may write.
const MARGIN: usize = 128;
const WORDS: usize = 9;
/// Ids whose window is awaited.
const PAST: usize = 1 << 15;

/// The clock of the queue: `CLOCK_MONOTONIC`, in whole milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Tick;

impl Clock for Tick {
    fn now_ms(&self) -> u64 {
        os::now_ns() / 1_000_000
    }
}

/// Which receive: its token and its count.
pub type Which = (u64, u32);

/// What a record tells.
#[derive(Debug, Clone)]
pub enum Record {
    /// Is about to be sent.
    Intent(Send),
    /// What came of the send of this token, and when.
    Outcome(u64, Reply, u64),
    /// Was received.
    Got(Hold),
    /// A deed to a receive begins.
    Begin(Which, Deed, u64),
    /// It has ended.
    End(Which, Answer, u64),
}

const ANSWERS: [Answer; 6] = [
    Answer::Ok,
    Answer::Expired,
    Answer::Stale,
    Answer::NotInFlight,
    Answer::Pinned,
    Answer::Other,
];

const fn two(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

const fn halves(id: u128) -> (u64, u64) {
    ((id >> 64) as u64, id as u64)
}

impl Record {
    fn pack(&self) -> [u64; WORDS] {
        match self {
            Self::Intent(s) => [1, s.token, two(s.call, s.group), s.id, s.from, 0, 0, 0, 0],
            Self::Outcome(token, reply, to) => {
                let (kind, id, sequence) = match reply {
                    Reply::New(place) => (0, place.id, place.sequence),
                    Reply::Duplicate(place) => (1, place.id, place.sequence),
                    Reply::Refused => (2, 0, 0),
                };
                let (high, low) = halves(id);
                [2, *token, kind, high, low, sequence, *to, 0, 0]
            }
            Self::Got(h) => {
                let first = 3 | h.place.sequence << 8;
                let (high, low) = halves(h.place.id);
                let counts = (h.to - h.from) << 24 | h.count as u64; // a call takes no hour
                let times = h.received_ms << 16 | (h.due_ms - h.received_ms);
                let names = two(h.call, h.group);
                [
                    first, h.token, names, h.id, high, low, counts, h.from, times,
                ]
            }
            Self::Begin((token, count), deed, from) => {
                let (kind, by_ms) = match deed {
                    Deed::Delete => (0, 0),
                    Deed::Release => (1, 0),
                    Deed::Extend(by_ms) => (2, *by_ms),
                    Deed::Detach => (3, 0),
                };
                [4, *token, two(*count, kind), by_ms, *from, 0, 0, 0, 0]
            }
            Self::End((token, count), answer, to) => {
                [5, *token, two(*count, *answer as u32), *to, 0, 0, 0, 0, 0]
            }
        }
    }

    fn unpack(w: [u64; WORDS]) -> Self {
        let (token, high, low) = (w[1], (w[2] >> 32) as u32, w[2] as u32);
        let place = |at: usize, sequence| Place {
            id: (w[at] as u128) << 64 | w[at + 1] as u128,
            sequence,
        };
        match w[0] as u8 {
            1 => Self::Intent(Send::new((high, low, w[3]), token, w[4])),
            2 => {
                let reply = match w[2] {
                    0 => Reply::New(place(3, w[5])),
                    1 => Reply::Duplicate(place(3, w[5])),
                    _ => Reply::Refused,
                };
                Self::Outcome(token, reply, w[6])
            }
            3 => {
                let (received_ms, visibility_ms) = (w[8] >> 16, w[8] & 0xffff);
                Self::Got(Hold {
                    life: 0,
                    call: high,
                    group: low,
                    id: w[3],
                    token,
                    place: place(4, w[0] >> 8),
                    count: (w[6] & 0xff_ffff) as u32,
                    from: w[7],
                    to: w[7] + (w[6] >> 24),
                    received_ms,
                    due_ms: received_ms + visibility_ms,
                    settles: Vec::new(),
                    alive_to: NEVER,
                })
            }
            4 => {
                let deeds = [
                    Deed::Delete,
                    Deed::Release,
                    Deed::Extend(w[3]),
                    Deed::Detach,
                ];
                Self::Begin((token, high), deeds[low as usize], w[4])
            }
            _ => Self::End((token, high), ANSWERS[low as usize], w[3]),
        }
    }
}

/// One process, from its making to its end.
#[repr(C)]
pub struct Life {
    /// Up to when it lived at least, and when it was certainly over, ns.
    pub alive_to: AtomicU64,
    pub over: AtomicU64,
    /// 1: in a call of the library; 2: in one that may sleep.
    pub inside: AtomicU64,
    len: AtomicU64,
    records: [[AtomicU64; WORDS]; RECORDS],
}

impl Life {
    /// A new one; nobody uses the place.
    pub fn begin(&self) {
        self.alive_to.store(u64::MAX, Ordering::SeqCst);
        self.over.store(u64::MAX, Ordering::SeqCst);
        self.inside.store(0, Ordering::SeqCst);
        self.len.store(0, Ordering::SeqCst);
    }

    /// From now on nobody may say that it lives.
    pub fn ends(&self) {
        self.alive_to.fetch_min(os::now_ns(), Ordering::SeqCst);
    }

    pub fn has_room(&self) -> bool {
        (self.len.load(Ordering::Relaxed) as usize) < RECORDS - MARGIN
    }

    pub fn append(&self, record: &Record) {
        let at = self.len.load(Ordering::Relaxed) as usize;
        let place = self.records.get(at).expect("room in the log");
        for (word, value) in place.iter().zip(record.pack()) {
            word.store(value, Ordering::Relaxed);
        }
        // ORDERING: Release: counted when whole. Pairs in `read`.
        self.len.store(at as u64 + 1, Ordering::Release);
    }

    /// Adds what the log tells to a history, as that of this life.
    pub fn tell(&self, history: &mut History, life: u32) {
        let (alive_to, over) = (
            self.alive_to.load(Ordering::SeqCst),
            self.over.load(Ordering::SeqCst),
        );
        let (mut sends, mut holds) = (HashMap::new(), HashMap::new());
        for record in self.read() {
            match record {
                Record::Intent(send) => {
                    sends.insert(send.token, history.sends.len());
                    history.sends.push(Send {
                        life,
                        to: over,
                        ..send
                    });
                }
                Record::Outcome(token, reply, to) => {
                    let send = &mut history.sends[sends[&token]];
                    (send.reply, send.to) = (Some(reply), to);
                }
                Record::Got(hold) => {
                    holds.insert((hold.token, hold.count), history.holds.len());
                    history.holds.push(Hold {
                        life,
                        alive_to,
                        ..hold
                    });
                }
                Record::Begin(which, deed, from) => {
                    let settles = &mut history.holds[holds[&which]].settles;
                    settles.push(Settle {
                        deed,
                        from,
                        outcome: None,
                    });
                }
                Record::End(which, answer, to) => {
                    let settles = &mut history.holds[holds[&which]].settles;
                    settles.last_mut().expect("begun before").outcome = Some((to, answer));
                }
            }
        }
    }

    pub fn read(&self) -> impl Iterator<Item = Record> {
        let len = self.len.load(Ordering::Acquire) as usize;
        let load = |words: &[AtomicU64; WORDS]| {
            Record::unpack(std::array::from_fn(|at| words[at].load(Ordering::Relaxed)))
        };
        self.records[..len].iter().map(load)
    }
}

/// Ids that were sent, in the order of time, for who sends them again when their windows end.
#[repr(C)]
pub struct Past {
    written: AtomicU64,
    read: AtomicU64,
    /// `{ id:64 }`, `{ sent_ms:48, group:16 }`; 0: not written yet, or read.
    ids: [[AtomicU64; 2]; PAST],
}

impl Past {
    pub fn push(&self, id: u64, group: u32, sent_ms: u64) {
        let at = self.written.fetch_add(1, Ordering::SeqCst);
        let [place, time] = &self.ids[at as usize % PAST];
        time.store(0, Ordering::SeqCst);
        place.store(id, Ordering::SeqCst);
        time.store(sent_ms << 16 | group as u64, Ordering::SeqCst);
    }

    /// The next id and its group, if it was sent before `before_ms`.
    pub fn pop(&self, before_ms: u64) -> Option<(u64, u32)> {
        let (written, at) = (
            self.written.load(Ordering::SeqCst),
            self.read.load(Ordering::SeqCst),
        );
        let oldest = written.saturating_sub(PAST as u64 / 2);
        let [place, time] = &self.ids[at as usize % PAST];
        let (id, when) = (place.load(Ordering::SeqCst), time.load(Ordering::SeqCst));
        // Who writes it may have died.
        let never = when == 0 && at + 64 < written || at < oldest;
        let due = when != 0 && when >> 16 < before_ms;
        let next = if at < oldest { oldest } else { at + 1 };
        let moves = at < written && (never || due);
        let won = moves
            && self
                .read
                .compare_exchange(at, next, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
        (won && due && !never).then_some((id, when as u32 & 0xffff))
    }
}

/// The whole board.
#[repr(C)]
pub struct Board {
    /// 1: everybody ends.
    pub stop: AtomicU64,
    /// 1: consumers take their time.
    pub lazy: AtomicU64,
    /// Messages that may be sent now.
    pub permits: AtomicI64,
    /// The number of the id that all producers are to send at once.
    pub rally: AtomicU64,
    /// What the next caller of each role meets: `{ pause_ms + 1, instruction }`, where a pause of 0
    /// is its death; 0: nothing.
    pub ambush: [AtomicU64; 2],
    /// From the machine's milliseconds to the queue's.
    pub base_ms: AtomicU64,
    /// What the queue says at the end of a round: messages sent, received, deleted, ever.
    pub figures: [AtomicU64; 3],
    pub past: Past,
    pub lives: [Life; LIVES],
}

impl Board {
    /// A board of zeros, which is never unmapped.
    pub fn new() -> &'static Self {
        let at = os::shared_memory(size_of::<Self>());
        // SAFETY: mapped for good, aligned to a page, zero, and all of it is atomics.
        unsafe { &*at.cast::<Self>() }
    }

    pub fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }
}
