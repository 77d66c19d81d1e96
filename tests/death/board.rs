//! The board: memory that tracer, traced process and busy survivor share, made before any fork. On
//! it stand the time, the ledger of messages, the faults, and what the busy survivor should do.

use ringmain::Clock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

/// Messages that one round can name.
pub const SEEDS: usize = 1 << 13;

/// What can be wrong. The columns of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Fault {
    /// A message whose send returned `Ok`, that nobody deleted, is gone.
    Lost,
    /// A body is not what was sent.
    Damaged,
    /// A message came again after its delete returned `Ok`, or to two at once.
    Doubled,
    /// Something living lost what it held before its time was over.
    Taken,
    /// An operation did not end, or something came back only after a timeout.
    Stuck,
    /// A slot, a bit, an index of the registry or a file was not given back.
    Leaked,
    /// A message came before an earlier one of its group, or while its group was locked.
    Reordered,
}

pub const FAULTS: [Fault; 7] = [
    Fault::Lost,
    Fault::Damaged,
    Fault::Doubled,
    Fault::Taken,
    Fault::Stuck,
    Fault::Leaked,
    Fault::Reordered,
];

/// What is known of one message; bits of [`Entry::state`].
pub mod state {
    /// Its send has begun.
    pub const SENDING: u32 = 1;
    /// Its send has returned `Ok`.
    pub const SENT: u32 = 1 << 1;
    /// Its send has returned an error: it must not come.
    pub const REFUSED: u32 = 1 << 2;
    /// The traced one has begun to delete it (or to receive it though it is too old).
    pub const DELETING: u32 = 1 << 3;
    /// A delete has returned `Ok`: it must not come again.
    pub const DELETED: u32 = 1 << 4;
    /// The one who died, or who was dead before, held it: it must come back at once.
    pub const HELD: u32 = 1 << 5;
    /// It may be in flight without an owner: it may come back as late as its visibility says.
    pub const DETACHED: u32 = 1 << 6;
    /// Its visibility is over although its holder lives.
    pub const LATE: u32 = 1 << 7;
    /// It is older than the retention: who receives it drops it.
    pub const OLD: u32 = 1 << 9;
    /// The tracer has received it since.
    pub const CAME: u32 = 1 << 8;
    /// Its send has returned that it is a duplicate: it must not come. Beside [`REFUSED`].
    pub const DUPLICATE: u32 = 1 << 10;
    /// Its writer prepares it: it is there when that is committed, and not before.
    pub const PREPARED: u32 = 1 << 11;
    /// The writer has been told where it will be.
    pub const PLACED: u32 = 1 << 12;
    /// It is on the disk, as its put or a commit has said.
    pub const DURABLE: u32 = 1 << 13;
}

/// Who holds a message; 0 is nobody.
pub mod who {
    pub const TRACED: u32 = 1;
    pub const TRACER: u32 = 2;
    pub const BUSY: u32 = 3;
}

#[repr(C)]
pub struct Entry {
    pub state: AtomicU32,
    pub holder: AtomicU32,
    /// Length of the body, bytes.
    pub len: AtomicU32,
    /// When a survivor received it after the death, in ns of the monotonic clock; 0: not yet.
    pub came_ns: AtomicU64,
    /// In a FIFO queue: its group, by number.
    pub group: AtomicU32,
    /// Its deduplication id, by number: two with one number are one message.
    pub id: AtomicU32,
    /// Its sequence number, or that of the message that it is a duplicate of; 0: not known.
    pub sequence: AtomicU64,
}

impl Entry {
    pub fn has(&self, any: u32) -> bool {
        self.state.load(SeqCst) & any != 0
    }

    pub fn add(&self, bits: u32) {
        self.state.fetch_or(bits, SeqCst);
    }

    pub fn take_away(&self, bits: u32) {
        self.state.fetch_and(!bits, SeqCst);
    }
}

/// What the busy survivor should do, and does: see `busy`.
#[repr(C)]
pub struct Busy {
    /// The order; a futex word, since it waits for the next round on it.
    pub order: AtomicU32,
    /// The last order that it has carried out.
    pub done: AtomicU32,
    /// How often it has gone through its work in this round.
    pub laps: AtomicU64,
    /// How many of its messages it has named in this round.
    pub sent: AtomicU32,
}

const LOGGED: usize = 8;

#[repr(C)]
struct Logged {
    fault: AtomicU32,
    seed: AtomicU32,
    /// A `&'static str`, by address and length: all processes are forks of one.
    what: [AtomicU64; 2],
}

#[repr(C)]
pub struct Board {
    clock_ms: AtomicU64,
    /// The traced one is dead, or about to be: what it holds may be given to others.
    pub dead: AtomicU32,
    /// A purge has begun: each message may be gone.
    pub purging: AtomicU32,
    /// Nobody interferes with the traced one, so its operation has to succeed when it ends.
    pub alone: AtomicU32,
    pub busy: Busy,
    logged_len: AtomicU32,
    logged: [Logged; LOGGED],
    entries: [Entry; SEEDS],
}

/// The time of the board: it stands still until somebody moves it, for all processes alike.
#[derive(Clone, Copy)]
pub struct Time(pub &'static Board);

impl Clock for Time {
    fn now_ms(&self) -> u64 {
        self.0.clock_ms.load(SeqCst)
    }
}

impl Board {
    /// Maps one, shared with every child forked later; it stays as long as the process.
    pub fn new() -> &'static Self {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a fresh anonymous mapping of the board's size.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Self>(), prot, flags, -1, 0) };
        assert!(at != libc::MAP_FAILED, "no memory for the board");
        // SAFETY: mapped above and never unmapped; zero bytes are a valid board of atomics.
        let board: &'static Self = unsafe { &*(at as *const Self) };
        board.clock_ms.store(1_000_000_000, SeqCst);
        board
    }

    /// Forgets all messages and flags; the time and the busy survivor's order stay.
    pub fn clear(&self) {
        for flag in [&self.dead, &self.purging, &self.alone, &self.logged_len] {
            flag.store(0, SeqCst);
        }
        let sent = self.busy.sent.swap(0, SeqCst) as usize;
        for entry in &self.entries[..(BUSY_FIRST as usize + sent).min(SEEDS)] {
            entry.state.store(0, SeqCst);
            entry.holder.store(0, SeqCst);
            entry.came_ns.store(0, SeqCst);
            entry.sequence.store(0, SeqCst);
        }
    }

    pub fn now_ms(&self) -> u64 {
        self.clock_ms.load(SeqCst)
    }

    pub fn set_ms(&self, now_ms: u64) {
        self.clock_ms.store(now_ms, SeqCst);
    }

    pub fn pass_ms(&self, ms: u64) {
        self.clock_ms.fetch_add(ms, SeqCst);
    }

    /// The entry of a message, if a body can have that seed.
    pub fn entry(&self, seed: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(seed).ok()?)
    }

    /// The entry of a message that the test itself names.
    pub fn known(&self, seed: u64) -> &Entry {
        self.entry(seed).expect("seeds of the tests are small")
    }

    /// Each message that this round has named, with its seed.
    pub fn named(&self) -> impl Iterator<Item = (u64, &Entry)> {
        let sent = self.busy.sent.load(SeqCst) as usize;
        let used = &self.entries[..(BUSY_FIRST as usize + sent).min(SEEDS)];
        let used = used.iter().enumerate();
        used.filter(|(_, entry)| entry.state.load(SeqCst) != 0)
            .map(|(seed, entry)| (seed as u64, entry))
    }

    /// Notes a fault, from whichever process.
    pub fn fault(&self, fault: Fault, seed: u64, what: &'static str) {
        let at = self.logged_len.fetch_add(1, SeqCst) as usize;
        if let Some(logged) = self.logged.get(at) {
            logged.fault.store(fault as u32, SeqCst);
            logged.seed.store(seed as u32, SeqCst);
            logged.what[0].store(what.as_ptr() as u64, SeqCst);
            logged.what[1].store(what.len() as u64, SeqCst);
        }
    }

    /// The faults noted since the last [`clear`](Self::clear): kind, seed, words. The first eight.
    pub fn faults(&self) -> Vec<(Fault, u64, &'static str)> {
        let len = (self.logged_len.load(SeqCst) as usize).min(LOGGED);
        let read = |logged: &Logged| {
            let fault = FAULTS[logged.fault.load(SeqCst) as usize % FAULTS.len()];
            let what = [0, 1].map(|i| logged.what[i].load(SeqCst));
            // SAFETY: written by `fault` in this process or in a fork of it, from a `&'static str`;
            // forks have the same addresses. One who died between two stores left zeros: no bytes.
            let what = unsafe {
                let at = if what[1] == 0 {
                    std::ptr::dangling()
                } else {
                    what[0] as *const u8
                };
                std::str::from_utf8_unchecked(std::slice::from_raw_parts(at, what[1] as usize))
            };
            (fault, logged.seed.load(SeqCst) as u64, what)
        };
        self.logged[..len].iter().map(read).collect()
    }
}

/// Seeds of messages by who sends them.
pub mod seeds {
    /// What the ground holds before anybody comes: 1 to 19.
    pub const GROUND: u64 = 1;
    /// The traced operation's: 20 to 39.
    pub const TRACED: u64 = 20;
    /// The survivor's own, 40 to 59.
    pub const TRACER: u64 = 40;
    /// What the ground holds of many messages.
    pub const MANY: u64 = 100;
    /// What fills the queue at the end.
    pub const FILL: u64 = 400;
    /// What uses every free slot again.
    pub const REUSE: u64 = 1100;
}
/// The first seed of the busy survivor; its others follow.
pub const BUSY_FIRST: u64 = 1792;

/// The monotonic clock, ns.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live timespec; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
