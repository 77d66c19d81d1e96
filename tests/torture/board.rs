//! The shared board: what conductor, participants and auditor all see. It lies in memory that the
//! conductor maps before it makes anybody, so it survives every death.

use super::ledger::Ledger;
use super::os;
use ringmain::Clock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Lives in one round at most: participants, their forked children, the drainer.
pub const LIVES: usize = 400;

/// What a participant is doing, so that a death can be aimed and its place be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    Outside,
    Open,
    Send,
    SendBatch,
    Claim,
    Commit,
    Abort,
    Receive,
    ReceiveBatch,
    ReceiveInto,
    Wait,
    Delete,
    DeleteBatch,
    DeleteReceipt,
    Extend,
    Release,
    Detach,
    Drop,
    Tend,
    Stat,
    Purge,
    Close,
    Fork,
}

impl Op {
    pub const ALL: [Op; 23] = [
        Op::Outside,
        Op::Open,
        Op::Send,
        Op::SendBatch,
        Op::Claim,
        Op::Commit,
        Op::Abort,
        Op::Receive,
        Op::ReceiveBatch,
        Op::ReceiveInto,
        Op::Wait,
        Op::Delete,
        Op::DeleteBatch,
        Op::DeleteReceipt,
        Op::Extend,
        Op::Release,
        Op::Detach,
        Op::Drop,
        Op::Tend,
        Op::Stat,
        Op::Purge,
        Op::Close,
        Op::Fork,
    ];

    pub const NAMES: [&str; 23] = [
        "between calls",
        "open",
        "send",
        "send_batch",
        "claim",
        "commit",
        "abort",
        "receive",
        "receive_batch",
        "receive_into",
        "receive_timeout",
        "delete",
        "delete_batch",
        "delete by receipt",
        "extend",
        "release",
        "detach",
        "drop of a message",
        "tend",
        "stat",
        "purge",
        "drop of a region",
        "fork",
    ];

    pub fn of(number: u64) -> Op {
        let known = Op::ALL.get(number as usize);
        *known.unwrap_or(&Op::Outside)
    }

    pub fn name(self) -> &'static str {
        Op::NAMES[self as usize]
    }
}

/// How the crowd is minded: sets the mix of sending and receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Mood {
    Even,
    /// Workers receive seldom: the queue fills.
    Flood,
    /// Producers send seldom: the queue empties.
    Ebb,
}

/// One participant's life, from its making to its end.
#[repr(C)]
pub struct Life {
    /// The PID as the conductor sees it; 0: nobody yet.
    pub pid: AtomicU64,
    /// [`Op`] now, left standing by a death.
    pub op: AtomicU64,
    /// Goes up with each operation.
    pub steps: AtomicU64,
    /// When the receive that is under way began, ns; 0: none.
    pub open_since: AtomicU64,
    /// How many messages it may take.
    pub open_max: AtomicU64,
    /// Whether it stands still in an ambush, see [`super::ambush`].
    pub caught: AtomicU64,
    /// Its log.
    pub ledger: Ledger,
}

/// Figures that the auditor hands back.
#[repr(C)]
pub struct Verdict {
    pub messages: AtomicU64,
    pub receives: AtomicU64,
    pub deletes: AtomicU64,
    pub records: AtomicU64,
    pub hidden: AtomicU64,
    pub late_reads: AtomicU64,
    pub by_sibling: AtomicU64,
    pub forked_calls: AtomicU64,
    pub faults: [AtomicU64; super::faults::KINDS],
    pub recoveries: AtomicU64,
    pub recovery_us: [AtomicU64; RECOVERIES],
}

/// Recovery times that one round reports at most.
pub const RECOVERIES: usize = 4096;

/// The whole board.
#[repr(C)]
pub struct Board {
    /// Added to the machine's clock by everybody's [`Tick`], ms.
    pub offset_ms: AtomicI64,
    /// 1: everybody ends in an orderly way.
    pub stop: AtomicU64,
    /// [`Mood`].
    pub mood: AtomicU64,
    /// Messages that may be sent now.
    pub permits: AtomicI64,
    /// When the conductor was last seen, ns.
    pub beat_ns: AtomicU64,
    /// The ambush that waits for whoever comes, see [`super::ambush`].
    pub ambush: AtomicU64,
    /// How often the file's version was changed in this run: then [`ringmain::Error::Version`] is
    /// an answer that an opener may get.
    pub trials: AtomicU64,
    /// 1: a drainer has filled its ledger, and another one has to go on.
    pub more: AtomicU64,
    pub verdict: Verdict,
    pub lives: [Life; LIVES],
}

impl Board {
    /// A board of zeros, which is never unmapped.
    pub fn new() -> &'static Board {
        let at = os::shared_memory(size_of::<Board>());
        // SAFETY: mapped for good, aligned to a page, zero, and all of it is atomics.
        unsafe { &*at.cast::<Board>() }
    }

    pub fn mood(&self) -> Mood {
        match self.mood.load(Ordering::Relaxed) {
            1 => Mood::Flood,
            2 => Mood::Ebb,
            _ => Mood::Even,
        }
    }

    pub fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }

    /// Takes permits for `n` messages, if there are any left.
    pub fn permit(&self, n: i64) -> bool {
        if self.permits.load(Ordering::Relaxed) <= 0 {
            return false;
        }
        self.permits.fetch_sub(n, Ordering::Relaxed) > 0
    }
}

/// The clock that all participants share: the machine's, moved by what the board says, forward and
/// backward.
#[derive(Clone, Copy)]
pub struct Tick(pub &'static Board);

impl Clock for Tick {
    fn now_ms(&self) -> u64 {
        let machine = (os::now_ns() / 1_000_000) as i64;
        let now = machine + self.0.offset_ms.load(Ordering::Relaxed);
        now.max(0) as u64
    }
}

/// The file of the region, mapped by the conductor without an attachment: to read the latest time,
/// and for the twins, who do what nobody may.
#[derive(Debug, Clone, Copy)]
pub struct Raw {
    pub base: *mut u8,
    pub len: usize,
}

/// Where the region's time base lies (docs/file-format.md).
const TIME_BASE: usize = 64;
/// The format of the region, as docs/file-format.md has it.
pub const FORMAT: u32 = 5;
/// Where the version lies.
const VERSION: usize = 8;
/// Where the section begins.
pub const SECTION: usize = 20_480;
/// Where, in the section, the latest time lies.
const TIME_HIGH: usize = 520;

impl Raw {
    /// Maps the file at `path`.
    pub fn map(path: &std::path::Path) -> Self {
        use std::os::fd::AsRawFd;
        let file = std::fs::File::options().read(true).write(true).open(path);
        let file = file.expect("the region's file");
        let len = file.metadata().expect("its size").len() as usize;
        Self {
            base: os::map_file(file.as_raw_fd(), len),
            len,
        }
    }

    /// Ends the mapping.
    pub fn unmap(self) {
        // SAFETY: references into it do not outlive the round that made them.
        unsafe { os::unmap(self.base, self.len) };
    }

    /// The 64-bit word at `offset`.
    pub fn word(&self, offset: usize) -> &'static AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len);
        // SAFETY: inside the mapping, aligned; the mapping outlives every use, see `unmap`.
        unsafe { &*self.base.add(offset).cast::<AtomicU64>() }
    }

    /// A time that the region has reached, ms: an operation that begins after this call sees it or
    /// a later one.
    pub fn reached_ms(&self) -> u64 {
        self.word(SECTION + TIME_HIGH).load(Ordering::SeqCst)
    }

    /// The latest time that an operation which has ended by now may have seen, ms.
    pub fn latest_ms(&self, tick: Tick) -> u64 {
        let clock = tick.now_ms() + self.word(TIME_BASE).load(Ordering::Relaxed);
        clock.max(self.reached_ms())
    }

    /// Sets the format version that openers read.
    pub fn set_version(&self, version: u64) {
        self.word(VERSION).store(version, Ordering::SeqCst);
    }
}
