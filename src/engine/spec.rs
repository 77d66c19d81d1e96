//! What a queue of an engine is created with.

use super::meta::{check_receives, check_tags};
use crate::error::Error;
#[cfg(feature = "fifo")]
use crate::queue::FifoOptions;
use crate::queue::QueueOptions;
use crate::region::Wish;
use crate::region::policy::RECEIVES_MAX;
use crate::region::shelf::check_name;
use std::collections::BTreeMap;

/// Bytes of a queue's region unless others are asked for: 16 MiB.
const BYTES: u64 = 16 << 20;

/// What [`Engine::create_queue`](crate::Engine::create_queue) makes: a builder. What is out of its
/// range is refused when the queue is created. That of a FIFO queue has `FifoOptions`:
/// `QueueSpec::fifo`.
///
/// # Examples
///
/// ```
/// use ringmain::{QueueOptions, QueueSpec};
/// use std::time::Duration;
///
/// let spec = QueueSpec::new()
///     .options(QueueOptions::new().visibility(Duration::from_secs(60)))
///     .bytes(1 << 20)
///     .dead_letters("orders-dead", 5)
///     .tag("team", "orders");
/// # let _ = spec;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct QueueSpec<O = QueueOptions> {
    pub(super) options: O,
    pub(super) bytes: u64,
    pub(super) dead_letters: Option<(String, u32)>,
    pub(super) tags: BTreeMap<String, String>,
}

impl QueueSpec {
    /// Default options in 16 MiB, no queue of dead letters, no tags.
    pub fn new() -> Self {
        Self::of(QueueOptions::new())
    }
}

#[cfg(feature = "fifo")]
impl QueueSpec<FifoOptions> {
    /// A FIFO queue of these options in 16 MiB, no queue of dead letters, no tags: see
    /// [`Engine::create_fifo_queue`](crate::Engine::create_fifo_queue).
    pub fn fifo(options: FifoOptions) -> Self {
        Self::of(options)
    }
}

impl<O> QueueSpec<O> {
    fn of(options: O) -> Self {
        Self {
            options,
            bytes: BYTES,
            dead_letters: None,
            tags: BTreeMap::new(),
        }
    }

    /// The queue's options.
    pub fn options(mut self, options: O) -> Self {
        self.options = options;
        self
    }

    /// Bytes of its region: what it may hold. They are reserved at once. Default: 16 MiB.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The queue `target`, which has to be there and of the same kind, takes what was received
    /// `max_receives` times (1 to 1000) and not deleted. This number stands before that of the
    /// options.
    pub fn dead_letters(mut self, target: impl Into<String>, max_receives: u32) -> Self {
        self.dead_letters = Some((target.into(), max_receives));
        self
    }

    /// A tag: a key of 1 to 128 characters and a value of up to 256, without control characters. A
    /// queue has at most 50. They are for people and tools; a queue that is there keeps its own.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// What the region is asked for beside the options' wish, but for the id of the target.
    pub(super) fn complete(&self, mut wish: Wish) -> Result<Wish, Error> {
        check_tags(&self.tags)?;
        if let Some((target, receives)) = &self.dead_letters {
            check_name(target)?;
            check_receives(*receives)?;
            wish.policy[RECEIVES_MAX] = u64::from(*receives);
        }
        Ok(wish)
    }
}

impl Default for QueueSpec {
    fn default() -> Self {
        Self::new()
    }
}
