//! What a stream is created with.

use super::demand::Capacity;
use super::placement::Placement;
use super::shared::Stream;
use crate::error::Error;
#[cfg(feature = "mapped")]
use crate::region::Durability;
use crate::region::Region;
use crate::region::stream::{
    CONSUMERS_MAX, GRANULE_BYTES, PINS_MAX, RETENTION_MS_MAX, SHARDS_MAX, StreamWish,
};
use crate::time::Clock;
use core::time::Duration;

/// What happens when a shard has no room for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullPolicy {
    /// The put is refused with [`Error::Full`] until the oldest records are older than the
    /// retention.
    #[default]
    Reject,
    /// The oldest segment of the shard is given up.
    Evict,
}

/// Options of a stream; a `const` builder. Values outside their range are refused when the stream
/// is created.
///
/// | option | default | range |
/// |---|---|---|
/// | [`capacity`](Self::capacity) | `Capacity::Provisioned` | |
/// | [`shards`](Self::shards) | 1; on demand 4 | 1 to 1024 |
/// | [`max_shards`](Self::max_shards) | as many as `shards`; on demand 4 times | `shards` to 1024 |
/// | [`retention`](Self::retention) | 24 h | 1 s to 365 days |
/// | [`full`](Self::full) | `FullPolicy::Reject` | |
/// | [`readers`](Self::readers) | 64 a shard | 1 to 4096 |
/// | [`consumers`](Self::consumers) | 20 | 0 to 64 |
/// | [`max_data`](Self::max_data) | 1 MiB, or what the region allows | 1 byte to 10 MiB |
/// | [`segment`](Self::segment) | a 16th of a shard | 4 KiB to 16 MiB, a power of two |
/// | [`checksum`](Self::checksum) | on in shared memory | |
/// | [`quota`](Self::quota) | off | |
/// | [`placement`](Self::placement) | `Placement::Xxh3` | |
/// | `durability` (feature `mapped`) | `Durability::Process` | |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct StreamOptions {
    capacity: Capacity,
    shards: Option<u32>,
    max_shards: Option<u32>,
    retention: Duration,
    full: FullPolicy,
    readers: u32,
    consumers: u32,
    max_data: Option<usize>,
    segment: Option<usize>,
    checksum: Option<bool>,
    quota: bool,
    placement: Placement,
    #[cfg(feature = "mapped")]
    durability: Durability,
}

/// Shards of a stream on demand at first: 4 MiB in a second.
const SHARDS_ON_DEMAND: u32 = 4;
/// How many times as many there may be, unless it is said.
const GROWTH: u32 = 4;
/// The longest data that an option allows: 10 MiB, as Kinesis does.
const DATA_BYTES_LIMIT: usize = 10 << 20;
/// The longest segment, bytes: 16 MiB.
const SEGMENT_BYTES_LIMIT: usize = 16 << 20;

impl StreamOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            capacity: Capacity::Provisioned,
            shards: None,
            max_shards: None,
            retention: Duration::from_secs(86_400),
            full: FullPolicy::Reject,
            readers: 64,
            consumers: 20,
            max_data: None,
            segment: None,
            checksum: None,
            quota: false,
            placement: Placement::Xxh3,
            #[cfg(feature = "mapped")]
            durability: Durability::Process,
        }
    }

    /// Into how many shards the hashes of partition keys are divided, evenly.
    pub const fn shards(mut self, shards: u32) -> Self {
        self.shards = Some(shards);
        self
    }

    /// How the stream gets its shards. On demand, [`Stream::tend`] measures what comes in, and
    /// splits shards until they take twice the most that came in a second of the last 30 days; a
    /// shard takes 1000 records or 1 MiB. It never merges any: [`Stream::shrink`] does.
    pub const fn capacity(mut self, capacity: Capacity) -> Self {
        self.capacity = capacity;
        self
    }

    /// See [`capacity`](Self::capacity).
    pub const fn get_capacity(&self) -> Capacity {
        self.capacity
    }

    /// How many shards there may be at a time, open ones and closed ones whose records are kept:
    /// more than [`shards`](Self::shards), if some are to be split or merged. The memory is divided
    /// evenly by this number.
    pub const fn max_shards(mut self, shards: u32) -> Self {
        self.max_shards = Some(shards);
        self
    }

    /// How old a record may become. An older one is not read any more, and its segment may be
    /// written anew.
    pub const fn retention(mut self, age: Duration) -> Self {
        self.retention = age;
        self
    }

    /// What happens when a shard has no room for a record.
    pub const fn full(mut self, policy: FullPolicy) -> Self {
        self.full = policy;
        self
    }

    /// How many cursors may be at one shard at a time.
    pub const fn readers(mut self, readers: u32) -> Self {
        self.readers = readers;
        self
    }

    /// How many consumers may be registered at a time
    /// ([`Stream::register_consumer`](super::Stream::register_consumer)).
    pub const fn consumers(mut self, consumers: u32) -> Self {
        self.consumers = consumers;
        self
    }

    /// The longest data of a record, bytes.
    pub const fn max_data(mut self, bytes: usize) -> Self {
        self.max_data = Some(bytes);
        self
    }

    /// Bytes of a segment: what is given up, and written anew, at once. It is rounded up to a power
    /// of two, and to what the longest record needs.
    pub const fn segment(mut self, bytes: usize) -> Self {
        self.segment = Some(bytes);
        self
    }

    /// Whether records carry checksums.
    pub const fn checksum(mut self, on: bool) -> Self {
        self.checksum = Some(on);
        self
    }

    /// Whether each shard has the quotas of Kinesis: 1000 records and 1 MiB of keys and data in a
    /// second are put, and 2 MiB are read, by all together and by each registered consumer for
    /// itself; what is beyond that is [`Error::ProvisionedThroughputExceeded`]. For tests of
    /// programs that will meet them.
    pub const fn quota(mut self, on: bool) -> Self {
        self.quota = on;
        self
    }

    /// What survives the machine, and when: records, shards with their splits and merges, and who
    /// is registered. Anything but [`Durability::Process`] needs a region in a file, and makes a
    /// mirror beside it, as long as the shards.
    #[cfg(feature = "mapped")]
    pub const fn durability(mut self, level: Durability) -> Self {
        self.durability = level;
        self
    }

    /// See [`durability`](Self::durability).
    #[cfg(feature = "mapped")]
    pub const fn get_durability(&self) -> Durability {
        self.durability
    }

    /// See [`quota`](Self::quota).
    pub const fn get_quota(&self) -> bool {
        self.quota
    }

    /// By which hash of its partition key a record gets its shard: the same for all who put, since
    /// it is kept in the region.
    pub const fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// See [`placement`](Self::placement).
    pub const fn get_placement(&self) -> Placement {
        self.placement
    }

    /// See [`shards`](Self::shards).
    pub const fn get_shards(&self) -> u32 {
        match (self.shards, self.capacity) {
            (Some(shards), _) => shards,
            (None, Capacity::Provisioned) => 1,
            (None, Capacity::OnDemand) => SHARDS_ON_DEMAND,
        }
    }

    /// See [`max_shards`](Self::max_shards); `None`: the default.
    pub const fn get_max_shards(&self) -> Option<u32> {
        self.max_shards
    }

    /// See [`retention`](Self::retention).
    pub const fn get_retention(&self) -> Duration {
        self.retention
    }

    /// See [`full`](Self::full).
    pub const fn get_full(&self) -> FullPolicy {
        self.full
    }

    /// See [`readers`](Self::readers).
    pub const fn get_readers(&self) -> u32 {
        self.readers
    }

    /// See [`consumers`](Self::consumers).
    pub const fn get_consumers(&self) -> u32 {
        self.consumers
    }

    /// See [`max_data`](Self::max_data); `None`: the default.
    pub const fn get_max_data(&self) -> Option<usize> {
        self.max_data
    }

    /// See [`segment`](Self::segment); `None`: the default.
    pub const fn get_segment(&self) -> Option<usize> {
        self.segment
    }

    /// See [`checksum`](Self::checksum); `None`: the default.
    pub const fn get_checksum(&self) -> Option<bool> {
        self.checksum
    }

    pub(crate) fn wish(&self) -> Result<StreamWish, Error> {
        let in_range = |what, value: u128, min: u64, max: u64| {
            let value = u64::try_from(value).unwrap_or(u64::MAX);
            match (min..=max).contains(&value) {
                true => Ok(value),
                false => Err(Error::OutOfRange {
                    what,
                    value,
                    min,
                    max,
                }),
            }
        };
        let (data_max, segment_max) = (DATA_BYTES_LIMIT as u64, SEGMENT_BYTES_LIMIT as u64);
        if let Some(max) = self.max_data {
            in_range("max_data (bytes)", max as u128, 1, data_max)?;
        }
        if let Some(bytes) = self.segment {
            in_range("segment (bytes)", bytes as u128, 4096, segment_max)?;
        }
        let shards = in_range("shards", self.get_shards().into(), 1, SHARDS_MAX as u64)?;
        let places = match self.max_shards {
            Some(max) => {
                let max = in_range("max_shards", max.into(), shards, SHARDS_MAX as u64)?;
                Some(max as usize)
            }
            None if self.capacity == Capacity::OnDemand => {
                Some((shards as usize * GROWTH as usize).min(SHARDS_MAX))
            }
            None => None,
        };
        let age = self.retention.as_millis();
        Ok(StreamWish {
            shards: shards as usize,
            places,
            segment_bytes: self.segment,
            readers: in_range("readers", self.readers.into(), 1, PINS_MAX as u64)? as usize,
            consumers: in_range("consumers", self.consumers.into(), 0, CONSUMERS_MAX as u64)?
                as usize,
            data_bytes_max: self.max_data,
            checksum: self.checksum,
            quota: self.quota,
            on_demand: self.capacity == Capacity::OnDemand,
            md5: self.placement == Placement::Md5,
            evict: self.full == FullPolicy::Evict,
            retention_ms: in_range("retention (ms)", age, 1000, RETENTION_MS_MAX)?,
            #[cfg(feature = "mapped")]
            durability: self.durability.encode()?,
            #[cfg(not(feature = "mapped"))]
            durability: crate::region::layout::DURABILITY_PROCESS,
        })
    }
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Region, C: Clock> Stream<R, C> {
    /// What the stream was created with; of what was left open, what it has become.
    ///
    /// ```
    /// use ringmain::{Heap, Stream, StreamOptions};
    /// let stream = Stream::create(Heap::new(1 << 20)?, StreamOptions::new().shards(4))?;
    /// let options = stream.options();
    /// assert_eq!((options.get_shards(), options.get_checksum()), (4, Some(false)));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn options(&self) -> StreamOptions {
        let place = self.site.place();
        StreamOptions {
            capacity: match place.is_on_demand() {
                true => Capacity::OnDemand,
                false => Capacity::Provisioned,
            },
            shards: Some(place.shape.shards as u32),
            max_shards: Some(place.shape.places as u32),
            retention: Duration::from_millis(place.retention_ms),
            full: match place.evicts() {
                true => FullPolicy::Evict,
                false => FullPolicy::Reject,
            },
            readers: place.shape.pins as u32,
            consumers: place.shape.consumers as u32,
            max_data: Some(place.shape.data_bytes_max),
            segment: Some(place.shape.ring.segment as usize * GRANULE_BYTES),
            checksum: Some(place.has_checksums()),
            quota: place.has_quotas(),
            placement: self.placement(),
            #[cfg(feature = "mapped")]
            durability: Durability::decode(place.durability),
        }
    }

    /// The region's time, ms: that of arrivals, close to Unix time in a file that processes share.
    pub fn time_ms(&self) -> u64 {
        self.now_ms()
    }
}
