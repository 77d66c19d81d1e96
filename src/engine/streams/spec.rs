//! What a stream of an engine is created with.

use crate::stream::StreamOptions;
use std::collections::BTreeMap;

/// Bytes of a stream's region unless others are asked for: 16 MiB.
const BYTES: u64 = 16 << 20;

/// What [`Engine::create_stream`](crate::Engine::create_stream) makes: a builder. What is out of
/// its range is refused when the stream is created.
///
/// # Examples
///
/// ```
/// use ringmain::{FullPolicy, StreamOptions, StreamSpec};
/// use std::time::Duration;
///
/// let options = StreamOptions::new().shards(4).retention(Duration::from_secs(3600));
/// let spec = StreamSpec::new()
///     .options(options.full(FullPolicy::Evict))
///     .bytes(8 << 20)
///     .tag("plant", "north");
/// # let _ = spec;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct StreamSpec {
    pub(super) options: StreamOptions,
    pub(super) bytes: u64,
    pub(super) tags: BTreeMap<String, String>,
}

impl StreamSpec {
    /// Default options in 16 MiB, no tags.
    pub fn new() -> Self {
        Self {
            options: StreamOptions::new(),
            bytes: BYTES,
            tags: BTreeMap::new(),
        }
    }

    /// The stream's options.
    pub fn options(mut self, options: StreamOptions) -> Self {
        self.options = options;
        self
    }

    /// Bytes of its region, which its shards divide. They are reserved at once. Default: 16 MiB.
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// A tag: a key of 1 to 128 characters and a value of up to 256, without control characters. A
    /// stream has at most 50. They are for people and tools; one that is there keeps its own.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }
}

impl Default for StreamSpec {
    fn default() -> Self {
        Self::new()
    }
}
