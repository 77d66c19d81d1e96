//! What survives the machine, and when: the levels of queues and of streams.

use super::layout;
use crate::error::Error;
use core::fmt;
use core::time::Duration;

/// What survives, and when.
///
/// | level | survives the process | survives the machine |
/// |---|---|---|
/// | [`Process`](Durability::Process) | at once | no promise |
/// | [`Interval`](Durability::Interval) | at once | at most that much later |
/// | [`BeforeOk`](Durability::BeforeOk) | at once | when the operation has returned `Ok` |
///
/// "The machine" means power loss, a crash or a reset of the operating system. Of a queue sends,
/// deletes and purges survive; receives do not: after the machine has stopped nobody holds
/// anything, and every message is visible. Of a stream records survive, the shards with their
/// splits and merges, and who is registered; where somebody reads does not.
///
/// Of a shard nothing is durable before all that comes before it: after the machine has stopped it
/// ends behind some record, and lacks none before that. So who waits for a record waits for those
/// before it that are claimed and not yet committed, for 2 s at most: it is told
/// [`NotDurable`](Error::NotDurable) (`ETIMEDOUT`), keeps what it has put, and may wait again. A
/// claim whose claimant has died is in nobody's way, and a slow one's is never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The kernel has it: a message or record survives the death of every process.
    #[default]
    Process,
    /// Group commit: a thread of each participant writes what is new to the disk, this long after
    /// the first of it. 1 ms to 1 h.
    Interval(Duration),
    /// An operation returns when what it did is on the disk. Threads and processes that wait at the
    /// same time share one write.
    BeforeOk,
}

impl Durability {
    pub(crate) const fn encode(self) -> Result<u64, Error> {
        match self {
            Self::Process => Ok(layout::DURABILITY_PROCESS),
            Self::BeforeOk => Ok(layout::DURABILITY_BEFORE_OK),
            Self::Interval(interval) => {
                let ms = interval.as_millis();
                let ms = if ms > u64::MAX as u128 {
                    u64::MAX
                } else {
                    ms as u64
                };
                match check("durability interval (ms)", ms, 1, layout::INTERVAL_MS_MAX) {
                    Ok(()) => Ok(ms << 2 | layout::DURABILITY_INTERVAL),
                    Err(error) => Err(error),
                }
            }
        }
    }

    pub(crate) const fn decode(value: u64) -> Self {
        match value & 3 {
            layout::DURABILITY_BEFORE_OK => Self::BeforeOk,
            layout::DURABILITY_INTERVAL => Self::Interval(Duration::from_millis(value >> 2)),
            _ => Self::Process,
        }
    }

    /// This level as the level of a handle, where `present` is what was created.
    pub(crate) fn beside(self, present: u64) -> Result<u64, Error> {
        let wanted = self.encode()?;
        if present == layout::DURABILITY_PROCESS && wanted != layout::DURABILITY_PROCESS {
            return Err(Error::NoJournal);
        }
        if matches!(self, Self::Interval(_)) && wanted != present {
            return Err(Error::OptionsDiffer {
                option: "durability (level, and interval in ms * 4)",
                found: present,
                given: wanted,
            });
        }
        Ok(wanted)
    }
}

const fn check(what: &'static str, value: u64, min: u64, max: u64) -> Result<(), Error> {
    match min <= value && value <= max {
        true => Ok(()),
        false => Err(Error::OutOfRange {
            what,
            value,
            min,
            max,
        }),
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process => f.write_str("process"),
            Self::Interval(interval) => write!(f, "interval {} ms", interval.as_millis()),
            Self::BeforeOk => f.write_str("before-ok"),
        }
    }
}

/// A point in the life of a queue or stream that survives the machine: everything before it, or
/// nothing of it, is known to be on the disk. Positions of one queue or stream compare by time;
/// they begin anew with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(crate) u64);

impl Position {
    /// The position as a number: that of a commit to the disk.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Refuses a position that there is not yet.
    pub(crate) fn check(self, latest: u64) -> Result<(), Error> {
        check("position", self.0, 0, latest)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
