//! What is known of a stream.

use crate::engine::handle::Engine;
use crate::error::Error;
use crate::region::shelf::{Held, Home};
use crate::stream::{ConsumerInfo, ShardStats, Stream, StreamOptions};
use crate::time::Clock;
use std::collections::BTreeMap;

/// A stream of an engine as it is at this moment: see [`Engine::describe_stream`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamDescription {
    /// Its name.
    pub name: String,
    /// Its options.
    pub options: StreamOptions,
    /// Bytes of its region.
    pub bytes: u64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was made, ms since 1970 by the wall clock; 0 if its metadata were lost.
    pub created_ms: u64,
    /// The figures of its shards, open and closed, in the order in which they were made.
    pub shards: Vec<ShardStats>,
    /// Its registered consumers, by their names.
    pub consumers: Vec<ConsumerInfo>,
}

impl<H: Home, C: Clock + Clone> Engine<H, C> {
    /// What is known of a stream.
    ///
    /// # Errors
    ///
    /// [`Error::NoStream`], [`Error::Name`], [`Error::Kind`] if it is a queue,
    /// [`Error::MetadataDamaged`], [`Error::Damaged`]; those of `Mapped::open`.
    ///
    /// # Complexity
    ///
    /// Linear in the shards.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, StreamOptions, StreamSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// let spec = StreamSpec::new().options(StreamOptions::new().shards(2)).tag("plant", "north");
    /// engine.create_stream("telemetry", &spec)?;
    /// let telemetry = engine.describe_stream("telemetry")?;
    /// assert_eq!((telemetry.shards.len(), &*telemetry.tags["plant"]), (2, "north"));
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn describe_stream(&self, name: &str) -> Result<StreamDescription, Error> {
        let named = self.shared.find_stream(name)?;
        let meta = self.shared.meta_of(Held::Stream, name)?;
        let bytes = named.bytes();
        let stream = Stream::open_with(named, &self.clock)?;
        let stat = |shard| match stream.stat(shard) {
            Err(Error::NoShard { .. }) => None, // it has gone since it was seen
            stats => Some(stats),
        };
        let shards: Result<Vec<ShardStats>, Error> = stream.shards().filter_map(stat).collect();
        let mut shards = shards.map_err(gone)?;
        shards.sort_by_key(|stats| stats.shard);
        let consumers = stream.consumers().and_then(Iterator::collect);
        let mut consumers: Vec<ConsumerInfo> = consumers.map_err(gone)?;
        consumers.sort_by_key(|consumer| consumer.name);
        Ok(StreamDescription {
            name: name.into(),
            options: stream.options(),
            bytes,
            tags: meta.tags,
            created_ms: meta.created_ms,
            shards,
            consumers,
        })
    }
}

/// What is said of a stream that was deleted between two steps of an operation on its name.
fn gone(error: Error) -> Error {
    match error {
        Error::Deleted => Error::NoStream,
        other => other,
    }
}
