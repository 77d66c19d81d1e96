//! What a queue is created with.

#[cfg(feature = "mapped")]
use super::durability::Durability;
use crate::error::Error;
use crate::region::Wish;
use crate::region::layout::{self, RETENTION_MS_MAX, RETENTION_MS_MIN, VISIBILITY_MS_MAX};
use crate::region::memory::BODY_BYTES_LIMIT;
use core::time::Duration;

/// Options of a queue; a `const` builder. Values outside their range are refused when the queue is
/// created (for [`Queue::fixed`](crate::Queue::fixed): at compile time, in a `static`).
///
/// | option | default | range |
/// |---|---|---|
/// | [`visibility`](Self::visibility) | 30 s | 0 s to 12 h |
/// | [`retention`](Self::retention) | 4 days | 60 s to 14 days |
/// | [`typical_body`](Self::typical_body) | 96 bytes | 1 byte to 1 MiB |
/// | [`max_body`](Self::max_body) | 256 KiB, or the region's size | 1 byte to 1 GiB |
/// | [`checksum`](Self::checksum) | on in shared memory | |
/// | `durability` (mapped regions) | `Durability::Process` | interval 1 ms to 1 h |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct QueueOptions {
    visibility: Duration,
    retention: Duration,
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

/// A visibility timeout in its range, ms.
pub(crate) const fn visibility_ms(timeout: Duration) -> Result<u64, Error> {
    in_range(
        "visibility timeout (ms)",
        whole_ms(timeout),
        0,
        VISIBILITY_MS_MAX,
    )
}

impl QueueOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            retention: Duration::from_secs(4 * 86_400),
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

    /// A body of up to this many bytes takes one slot: `bytes + 32` rounded up to 64. Longer ones
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
            visibility_ms: settings.visibility_ms,
            retention_ms: settings.retention_ms,
            durability: settings.durability,
        })
    }

    pub(crate) const fn settings(&self) -> Result<layout::Settings, Error> {
        let visibility_ms = match visibility_ms(self.visibility) {
            Ok(ms) => ms,
            Err(error) => return Err(error),
        };
        let retention = whole_ms(self.retention);
        let retention = in_range(
            "retention (ms)",
            retention,
            RETENTION_MS_MIN,
            RETENTION_MS_MAX,
        );
        let retention_ms = match retention {
            Ok(ms) => ms,
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
            visibility_ms,
            retention_ms,
            flags,
            nonce: 0,
            durability,
        })
    }
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self::new()
    }
}
