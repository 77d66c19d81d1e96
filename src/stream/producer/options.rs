//! What a producer is created with.

use crate::error::Error;
use core::time::Duration;

/// Options of a [`StreamProducer`](super::StreamProducer); a `const` builder. Values outside their
/// range are refused when the producer is created.
///
/// | option | default | range |
/// |---|---|---|
/// | [`records`](Self::records) | 4096 | the shards of the stream (`max_shards`) to 2^20 |
/// | [`bytes`](Self::bytes) | 4 MiB | 1 KiB to 1 GiB |
/// | [`linger`](Self::linger) | 100 ms | 0 to 1 h |
/// | [`batch_records`](Self::batch_records) | 500 | 1 to 500 |
/// | [`batch_bytes`](Self::batch_bytes) | 64 KiB | 1 byte to 10 MiB |
/// | [`aggregate`](Self::aggregate) | off | 64 to 65 000 bytes |
/// | [`record_ttl`](Self::record_ttl) | 30 s | 1 ms to 24 h |
/// | [`backoff`](Self::backoff) | from 100 ms to 20 s | 1 ms to 1 h, the first not above the second |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct ProducerOptions {
    pub(super) records: usize,
    pub(super) bytes: usize,
    linger: Duration,
    batch_records: u32,
    batch_bytes: usize,
    aggregate: Option<usize>,
    record_ttl: Duration,
    backoff: (Duration, Duration),
}

/// The options as numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) linger_ms: u64,
    pub(super) batch_records: u32,
    pub(super) batch_bytes: usize,
    /// The longest aggregate; `None`: no record is packed with others.
    pub(super) aggregate: Option<usize>,
    pub(super) ttl_ms: u64,
    pub(super) backoff_ms: (u64, u64),
}

const HOUR_MS: u64 = 3_600_000;
/// The most slots of a producer.
const RECORDS_MAX: u64 = 1 << 20;
/// The least bytes of a producer: those of the longest key.
const BYTES_MIN: u64 = crate::region::stream::KEY_BYTES_MAX as u64;
/// The most bytes of a producer.
const BYTES_MAX: u64 = 1 << 30;

fn in_range(what: &'static str, value: u128, min: u64, max: u64) -> Result<u64, Error> {
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
}

impl ProducerOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            records: 4096,
            bytes: 4 << 20,
            linger: Duration::from_millis(100),
            batch_records: 500,
            batch_bytes: 64 << 10,
            aggregate: None,
            record_ttl: Duration::from_secs(30),
            backoff: (Duration::from_millis(100), Duration::from_secs(20)),
        }
    }

    /// How many records there may be in the producer: those that wait, and those whose outcome was
    /// not taken yet. When half of them wait, all are put: who takes outcomes after each put is not
    /// refused, unless shards refuse what waits. In memory of the caller's that memory says it.
    pub const fn records(mut self, records: usize) -> Self {
        self.records = records;
        self
    }

    /// How many bytes of keys and data may wait. As above.
    pub const fn bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// How long a record may wait for others of its shard; 0: not at all.
    pub const fn linger(mut self, time: Duration) -> Self {
        self.linger = time;
        self
    }

    /// When so many records of a shard wait, they are put at once.
    pub const fn batch_records(mut self, records: u32) -> Self {
        self.batch_records = records;
        self
    }

    /// When so many bytes of keys and data of a shard wait, they are put at once.
    pub const fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Packs records of one shard into one record of so many bytes at most, and readers take them
    /// apart by [`Record::parts`](super::super::Record::parts). The KPL's default is 51 200.
    pub const fn aggregate(mut self, bytes_max: usize) -> Self {
        self.aggregate = Some(bytes_max);
        self
    }

    /// How long a record is tried for. When that is over it is tried once more.
    pub const fn record_ttl(mut self, time: Duration) -> Self {
        self.record_ttl = time;
        self
    }

    /// How long a shard that has refused records waits before the next try: a random time up to
    /// `base`, twice that after the next refusal and so on, up to `max`; and as long as the quota
    /// says, if it was that.
    pub const fn backoff(mut self, base: Duration, max: Duration) -> Self {
        self.backoff = (base, max);
        self
    }

    /// See [`records`](Self::records).
    pub const fn get_records(&self) -> usize {
        self.records
    }

    /// See [`bytes`](Self::bytes).
    pub const fn get_bytes(&self) -> usize {
        self.bytes
    }

    /// The options as numbers, with what the memory has instead of what was asked for.
    pub(super) fn settings(
        &self,
        records: usize,
        bytes: usize,
        places: usize,
    ) -> Result<Settings, Error> {
        in_range(
            "records of a producer",
            records as u128,
            places as u64,
            RECORDS_MAX,
        )?;
        in_range("bytes of a producer", bytes as u128, BYTES_MIN, BYTES_MAX)?;
        let (base, max) = (self.backoff.0.as_millis(), self.backoff.1.as_millis());
        let max = in_range("longest backoff (ms)", max, 1, HOUR_MS)?;
        let aggregate = match self.aggregate {
            Some(bytes) => Some(in_range("aggregate (bytes)", bytes as u128, 64, 65_000)?),
            None => None,
        };
        let ttl = self.record_ttl.as_millis();
        Ok(Settings {
            linger_ms: in_range("linger (ms)", self.linger.as_millis(), 0, HOUR_MS)?,
            batch_records: in_range("batch_records", self.batch_records.into(), 1, 500)? as u32,
            batch_bytes: in_range("batch_bytes", self.batch_bytes as u128, 1, 10 << 20)? as usize,
            aggregate: aggregate.map(|bytes| bytes as usize),
            ttl_ms: in_range("record_ttl (ms)", ttl, 1, 24 * HOUR_MS)?,
            backoff_ms: (in_range("backoff (ms)", base, 1, max)?, max),
        })
    }
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self::new()
    }
}
