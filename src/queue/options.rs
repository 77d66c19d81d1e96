//! What a queue is created with.

use crate::error::Error;
#[cfg(feature = "mapped")]
use crate::region::Durability;
use crate::region::Wish;
use crate::region::layout::{self, NAMES_BYTES_TYPICAL, SLOT_HEAD_BYTES};
use crate::region::memory::{BODY_BYTES_LIMIT, Place};
use crate::region::policy::{
    DELAY_MS, IN_FLIGHT_MAX, OPTIONS, PolicyNumbers, RANGES, RECEIVES_MAX, RETENTION_MS, Range,
    SETTINGS, VISIBILITY_MS,
};
use core::time::Duration;

/// Options of a queue; a `const` builder. Each option `x` is read by `get_x`. Values outside their
/// range are refused when the queue is created (for [`Queue::fixed`](crate::Queue::fixed): at
/// compile time, in a `static`).
///
/// | option | default | range |
/// |---|---|---|
/// | [`visibility`](Self::visibility) | 30 s | 0 s to 12 h |
/// | [`retention`](Self::retention) | 4 days | 60 s to 14 days |
/// | [`delay`](Self::delay) | 0 s | 0 s to 15 min |
/// | [`max_in_flight`](Self::max_in_flight) | 120 000 | 1 to 2 147 483 647 |
/// | [`max_receives`](Self::max_receives) | none | 1 to 1000 |
/// | [`typical_body`](Self::typical_body) | 96 bytes | 1 byte to 1 MiB |
/// | [`max_body`](Self::max_body) | 256 KiB, or the region's size | 1 byte to 1 GiB |
/// | [`checksum`](Self::checksum) | on in shared memory | |
/// | `durability` (mapped regions) | `Durability::Process` | interval 1 ms to 1 h |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct QueueOptions {
    visibility: Duration,
    retention: Duration,
    delay: Duration,
    max_in_flight: u32,
    max_receives: Option<u32>,
    typical_body: usize,
    max_body: Option<usize>,
    checksum: Option<bool>,
    #[cfg(feature = "mapped")]
    durability: Durability,
}

const TYPICAL_BODY_MAX: usize = 1 << 20;

/// Whole milliseconds of a duration; the greatest number if it has more.
pub(crate) const fn whole_ms(duration: Duration) -> u64 {
    let ms = duration.as_millis();
    if ms > u64::MAX as u128 {
        u64::MAX
    } else {
        ms as u64
    }
}

pub(crate) const fn in_range(
    what: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<u64, Error> {
    if value < min || value > max {
        return Err(Error::OutOfRange {
            what,
            value,
            min,
            max,
        });
    }
    Ok(value)
}

/// A setting's value in its range.
const fn setting(setting: usize, value: u64) -> Result<u64, Error> {
    let Range { what, min, max } = RANGES[setting];
    in_range(what, value, min, max)
}

/// A visibility timeout in its range, ms.
pub(crate) const fn visibility_ms(timeout: Duration) -> Result<u64, Error> {
    setting(VISIBILITY_MS, whole_ms(timeout))
}

/// A delay in its range, ms.
pub(crate) const fn delay_ms(delay: Duration) -> Result<u64, Error> {
    setting(DELAY_MS, whole_ms(delay))
}

impl QueueOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            retention: Duration::from_secs(4 * 86_400),
            delay: Duration::ZERO,
            max_in_flight: 120_000,
            max_receives: None,
            typical_body: 96,
            max_body: None,
            checksum: None,
            #[cfg(feature = "mapped")]
            durability: Durability::Process,
        }
    }

    /// How long a received message stays invisible to others, unless deleted.
    pub const fn visibility(mut self, timeout: Duration) -> Self {
        self.visibility = timeout;
        self
    }

    /// How old a message may become; a receive that meets an older one drops it.
    pub const fn retention(mut self, age: Duration) -> Self {
        self.retention = age;
        self
    }

    /// How long a message stays invisible after its send, unless the message says otherwise.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How many messages may be in flight: received, and neither deleted nor visible again. A
    /// receive beyond that is [`Error::InFlight`]. It is looked at in queues with more slots only.
    pub const fn max_in_flight(mut self, messages: u32) -> Self {
        self.max_in_flight = messages;
        self
    }

    /// How often a message may be received without being deleted: the next receive moves it to the
    /// queue of dead letters ([`Queue::with_dead_letters`](crate::Queue::with_dead_letters))
    /// instead. It stays where it is, and nobody receives it, while its receivers know of no such
    /// queue.
    pub const fn max_receives(mut self, receives: u32) -> Self {
        self.max_receives = Some(receives);
        self
    }

    /// Takes [`max_receives`](Self::max_receives) back: a message may be received as often as it
    /// likes.
    pub const fn no_max_receives(mut self) -> Self {
        self.max_receives = None;
        self
    }

    /// A body of up to this many bytes takes one slot: `bytes + 16` rounded up to 64. Longer ones
    /// take several. Set it to what most of your messages have.
    pub const fn typical_body(mut self, bytes: usize) -> Self {
        self.typical_body = bytes;
        self
    }

    /// The longest body that is taken, bytes.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Whether bodies carry a checksum that is verified at each receive.
    pub const fn checksum(mut self, on: bool) -> Self {
        self.checksum = Some(on);
        self
    }

    /// What survives the machine, and when. Other levels than [`Durability::Process`] keep a
    /// journal beside the region's file, and need checksums.
    #[cfg(feature = "mapped")]
    pub const fn durability(mut self, level: Durability) -> Self {
        self.durability = level;
        self
    }

    /// The visibility timeout: see [`visibility`](Self::visibility).
    pub const fn get_visibility(&self) -> Duration {
        self.visibility
    }

    /// See [`retention`](Self::retention).
    pub const fn get_retention(&self) -> Duration {
        self.retention
    }

    /// See [`delay`](Self::delay).
    pub const fn get_delay(&self) -> Duration {
        self.delay
    }

    /// See [`max_in_flight`](Self::max_in_flight).
    pub const fn get_max_in_flight(&self) -> u32 {
        self.max_in_flight
    }

    /// See [`max_receives`](Self::max_receives); `None`: as many as there are.
    pub const fn get_max_receives(&self) -> Option<u32> {
        self.max_receives
    }

    /// See [`typical_body`](Self::typical_body). Of a queue that exists: the longest body that
    /// takes one slot.
    pub const fn get_typical_body(&self) -> usize {
        self.typical_body
    }

    /// See [`max_body`](Self::max_body); `None`: the default. A queue that exists has a number.
    pub const fn get_max_body(&self) -> Option<usize> {
        self.max_body
    }

    /// See [`checksum`](Self::checksum); `None`: the default. A queue that exists says which.
    pub const fn get_checksum(&self) -> Option<bool> {
        self.checksum
    }

    /// See [`durability`](Self::durability).
    #[cfg(feature = "mapped")]
    pub const fn get_durability(&self) -> Durability {
        self.durability
    }

    /// The options of a queue that exists.
    pub(crate) fn of(place: &Place, policy: PolicyNumbers) -> Self {
        Self {
            visibility: Duration::from_millis(policy[VISIBILITY_MS]),
            retention: Duration::from_millis(policy[RETENTION_MS]),
            delay: Duration::from_millis(policy[DELAY_MS]),
            max_in_flight: policy[IN_FLIGHT_MAX] as u32,
            max_receives: match policy[RECEIVES_MAX] {
                0 => None,
                receives => Some(receives as u32),
            },
            typical_body: place
                .shape
                .single_bytes()
                .saturating_sub(names_bytes(place)),
            max_body: Some(place.shape.body_bytes_max),
            checksum: Some(place.checksum),
            #[cfg(feature = "mapped")]
            durability: Durability::decode(place.durability),
        }
    }

    /// Refuses options that are fixed at creation and not those of the queue, `there`.
    pub(crate) fn agree(&self, there: &Self, place: &Place) -> Result<(), Error> {
        let option = |option, found: u64, given: u64| {
            if found == given {
                return Ok(());
            }
            Err(Error::OptionsDiffer {
                option,
                found,
                given,
            })
        };
        let (found, given) = (there.typical_body as u64, self.typical_body as u64);
        let beside = (SLOT_HEAD_BYTES + names_bytes(place)) as u64;
        let slot = |bytes: u64| (bytes + beside).div_ceil(64);
        if slot(found) != slot(given) {
            option("typical_body (bytes)", found, given)?;
        }
        if let (Some(found), Some(given)) = (there.max_body, self.max_body) {
            option("max_body (bytes)", found as u64, given as u64)?;
        }
        if let (Some(found), Some(given)) = (there.checksum, self.checksum) {
            option("checksum", found.into(), given.into())?;
        }
        #[cfg(feature = "mapped")]
        option(
            "durability (level, and interval in ms * 4)",
            there.durability.encode()?,
            self.durability.encode()?,
        )?;
        Ok(())
    }

    pub(crate) fn wish(&self) -> Result<Wish, Error> {
        let typical = self.typical_body as u64;
        in_range("typical_body (bytes)", typical, 1, TYPICAL_BODY_MAX as u64)?;
        if let Some(max) = self.max_body {
            in_range("max_body (bytes)", max as u64, 1, BODY_BYTES_LIMIT as u64)?;
        }
        let settings = self.settings()?;
        if settings.durability != layout::DURABILITY_PROCESS && self.checksum == Some(false) {
            return Err(Error::OutOfRange {
                what: "checksum (a journal needs it)",
                value: 0,
                min: 1,
                max: 1,
            });
        }
        Ok(Wish {
            body_bytes_typical: self.typical_body,
            body_bytes_max: self.max_body,
            checksum: self.checksum,
            policy: settings.policy,
            durability: settings.durability,
            fifo: None,
        })
    }

    /// What may be changed while the queue lives.
    pub(crate) const fn policy(&self) -> Result<PolicyNumbers, Error> {
        let mut numbers: PolicyNumbers = [0; SETTINGS];
        numbers[VISIBILITY_MS] = whole_ms(self.visibility);
        numbers[RETENTION_MS] = whole_ms(self.retention);
        numbers[DELAY_MS] = whole_ms(self.delay);
        numbers[IN_FLIGHT_MAX] = self.max_in_flight as u64;
        if let Some(receives) = self.max_receives {
            let Range { what, max, .. } = RANGES[RECEIVES_MAX];
            numbers[RECEIVES_MAX] = match in_range(what, receives as u64, 1, max) {
                Ok(receives) => receives,
                Err(error) => return Err(error),
            };
        }
        let mut at = 0;
        while at < OPTIONS {
            numbers[at] = match setting(at, numbers[at]) {
                Ok(number) => number,
                Err(error) => return Err(error),
            };
            at += 1;
        }
        Ok(numbers)
    }

    pub(crate) const fn settings(&self) -> Result<layout::Settings, Error> {
        let policy = match self.policy() {
            Ok(policy) => policy,
            Err(error) => return Err(error),
        };
        #[cfg(feature = "mapped")]
        let durability = match self.durability.encode() {
            Ok(durability) => durability,
            Err(error) => return Err(error),
        };
        #[cfg(not(feature = "mapped"))]
        let durability = layout::DURABILITY_PROCESS;
        let flags = match self.checksum {
            Some(true) => layout::FLAG_CHECKSUM,
            _ => 0,
        };
        Ok(layout::Settings {
            policy,
            flags,
            nonce: 0,
            durability,
            window: 0,
        })
    }
}

/// Bytes of a typical message that its names take.
fn names_bytes(place: &Place) -> usize {
    match place.is_fifo() {
        true => NAMES_BYTES_TYPICAL,
        false => 0,
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self::new()
    }
}
