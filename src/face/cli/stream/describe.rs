//! What `ringmain describe` says of a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use humantime::format_duration;
use serde::Serialize;

use super::figures::{full_word, instant, placement_word};
use crate::face::cli::exit::Trouble;
use crate::face::cli::output::say;
use crate::{Capacity, StreamDescription};

#[derive(Serialize)]
pub(in crate::face::cli) struct DescribedStream<'a> {
    name: &'a str,
    stream: bool,
    created_ms: u64,
    /// Of the region.
    bytes: u64,
    tags: &'a BTreeMap<String, String>,
    /// Open and closed ones.
    shards: usize,
    max_shards: u32,
    retention_ms: u64,
    full: &'static str,
    readers_max: u32,
    /// Their names.
    consumers: Vec<&'a str>,
    consumers_max: u32,
    data_bytes_max: u64,
    segment_bytes: u64,
    checksum: bool,
    quota: bool,
    placement: &'static str,
    on_demand: bool,
    durability: String,
    /// Holes that the last restart of the machine has found.
    damaged: u64,
    held_bytes: u64,
    capacity_bytes: u64,
    latest_ms: Option<u64>,
}

impl<'a> DescribedStream<'a> {
    pub(in crate::face::cli) fn of(stream: &'a StreamDescription) -> Self {
        let (options, shards) = (&stream.options, &stream.shards);
        let latest = shards.iter().map(|shard| shard.latest_ms).max();
        Self {
            name: &stream.name,
            stream: true,
            created_ms: stream.created_ms,
            bytes: stream.bytes,
            tags: &stream.tags,
            shards: shards.len(),
            max_shards: options.get_max_shards().unwrap_or(0),
            retention_ms: options.get_retention().as_millis() as u64,
            full: full_word(options.get_full()),
            readers_max: options.get_readers(),
            consumers: stream.consumers.iter().map(|told| &*told.name).collect(),
            consumers_max: options.get_consumers(),
            data_bytes_max: options.get_max_data().unwrap_or(0) as u64,
            segment_bytes: options.get_segment().unwrap_or(0) as u64,
            checksum: options.get_checksum().unwrap_or(false),
            quota: options.get_quota(),
            placement: placement_word(options.get_placement()),
            on_demand: options.get_capacity() == Capacity::OnDemand,
            durability: options.get_durability().to_string(),
            damaged: shards.iter().map(|shard| shard.damaged).sum(),
            held_bytes: shards.iter().map(|shard| shard.bytes).sum(),
            capacity_bytes: shards.iter().map(|shard| shard.capacity_bytes).sum(),
            latest_ms: latest.filter(|ms| *ms != 0),
        }
    }

    pub(in crate::face::cli) fn tell(&self) -> Result<(), Trouble> {
        let retention = format_duration(Duration::from_millis(self.retention_ms));
        let rows = [
            ("name", self.name.to_owned()),
            ("kind", "stream".to_owned()),
            ("bytes", self.bytes.to_string()),
            ("shards", self.shards.to_string()),
            ("most shards", self.max_shards.to_string()),
            (
                "on demand",
                if self.on_demand { "yes" } else { "no" }.to_owned(),
            ),
            ("retention", retention.to_string()),
            ("when full", self.full.to_owned()),
            ("readers a shard", self.readers_max.to_string()),
            (
                "consumers",
                match self.consumers.is_empty() {
                    true => "none".to_owned(),
                    false => self.consumers.join(", "),
                },
            ),
            ("largest data", self.data_bytes_max.to_string()),
            ("segment bytes", self.segment_bytes.to_string()),
            ("placement", self.placement.to_owned()),
            ("durability", self.durability.clone()),
            ("damaged", self.damaged.to_string()),
            ("bytes held", self.held_bytes.to_string()),
            ("most of them", self.capacity_bytes.to_string()),
            ("latest", self.latest_ms.map_or("none".to_owned(), instant)),
        ];
        for (name, value) in rows {
            say(format_args!("{name:<16} {value}"))?;
        }
        for (key, value) in self.tags {
            say(format_args!("{:<16} {key}={value}", "tag"))?;
        }
        Ok(())
    }
}
