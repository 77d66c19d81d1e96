//! What `ringmain stat` and `ringmain top` show of a stream.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use comfy_table::{CellAlignment, Table, presets};
use humantime::{format_duration, format_rfc3339_millis};
use serde::Serialize;

use super::flow::PutRates;
use super::followers::Consumer;
use super::{AnyStream, shards_of, unless_gone};
use crate::{Capacity, Error, FullPolicy, Placement, Position, Region, ShardId, Start};

/// The names under which a stream's figures are printed.
#[derive(Debug, Clone, Serialize)]
pub(in crate::face::cli) struct Figures {
    pub(in crate::face::cli) stream: bool,
    /// Open ones.
    pub(in crate::face::cli) shards: usize,
    closed_shards: usize,
    max_shards: u32,
    /// What its records take, of all that they can.
    pub(in crate::face::cli) bytes: u64,
    pub(in crate::face::cli) capacity_bytes: u64,
    /// When the oldest record arrived that can be read; none without one.
    pub(in crate::face::cli) oldest_ms: Option<u64>,
    /// When the latest one arrived; none if there never was one.
    pub(in crate::face::cli) latest_ms: Option<u64>,
    pub(in crate::face::cli) evicted_segments: u64,
    pub(in crate::face::cli) readers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::face::cli) put_records_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::face::cli) put_bytes_per_s: Option<f64>,
    retention_ms: u64,
    full: &'static str,
    readers_max: u32,
    data_bytes_max: u64,
    segment_bytes: u64,
    checksum: bool,
    quota: bool,
    placement: &'static str,
    on_demand: bool,
    /// Of a stream on demand: the most of a second in 30 days, and the shards that this asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_records_per_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_bytes_per_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted_shards: Option<u32>,
    durability: String,
    /// The latest commit that is on the disk, and that of what was put before; without a mirror
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    durable_position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    /// Holes that the last restart of the machine has found.
    damaged: u64,
    attachments: u64,
    /// The registered ones, by their names.
    pub(in crate::face::cli) consumers: Vec<Consumer>,
    positions: Vec<Positions>,
}

/// Where a shard's records begin and end.
#[derive(Debug, Clone, Serialize)]
struct Positions {
    shard: String,
    oldest_sequence_number: String,
    next_sequence_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    durable_sequence_number: Option<String>,
}

/// A time in a region, which is close to Unix time, for people.
pub(in crate::face::cli) fn instant(ms: u64) -> String {
    // A damaged one may be beyond all that is written so.
    let ms = ms.min(253_402_300_799_999);
    let time: SystemTime = UNIX_EPOCH + Duration::from_millis(ms);
    format_rfc3339_millis(time).to_string()
}

/// What becomes of a put into a full shard.
pub(in crate::face::cli) fn full_word(full: FullPolicy) -> &'static str {
    match full {
        FullPolicy::Reject => "reject",
        FullPolicy::Evict => "evict",
    }
}

/// Which hash of its partition key places a record.
pub(in crate::face::cli) fn placement_word(placement: Placement) -> &'static str {
    match placement {
        Placement::Xxh3 => "xxh3",
        Placement::Md5 => "md5",
    }
}

/// When the oldest record of a shard arrived that can be read; `None` if there is none, no reader's
/// place is free, or the quota of reads is used up.
fn oldest_ms(stream: &AnyStream, shard: ShardId) -> Result<Option<u64>, Error> {
    let mut cursor = match stream.cursor(shard, Start::Oldest) {
        Err(Error::Readers { .. } | Error::NoShard { .. }) => return Ok(None),
        cursor => cursor?,
    };
    // What goes or is damaged is passed over; each time the cursor stands further on.
    loop {
        match cursor.read(1) {
            Ok(records) => return Ok(records.iter().next().map(|record| record.arrived_ms())),
            Err(Error::Lost { .. } | Error::RecordDamaged { .. }) => {}
            Err(
                Error::ShardClosed { .. }
                | Error::NoShard { .. }
                | Error::ProvisionedThroughputExceeded { .. },
            ) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

impl Figures {
    pub(in crate::face::cli) fn of(
        stream: &AnyStream,
        rates: Option<PutRates>,
    ) -> Result<Self, Error> {
        let options = stream.options();
        let demand = match options.get_capacity() {
            Capacity::OnDemand => Some(stream.demand()?),
            Capacity::Provisioned => None,
        };
        let tenth = |n: f64| (n * 10.0).round() / 10.0;
        let mut figures = Self {
            stream: true,
            shards: 0,
            closed_shards: 0,
            max_shards: options.get_max_shards().unwrap_or(0),
            bytes: 0,
            capacity_bytes: 0,
            oldest_ms: None,
            latest_ms: None,
            evicted_segments: 0,
            readers: 0,
            put_records_per_s: rates.map(|rates| tenth(rates.records)),
            put_bytes_per_s: rates.map(|rates| tenth(rates.bytes)),
            retention_ms: options.get_retention().as_millis() as u64,
            full: full_word(options.get_full()),
            readers_max: options.get_readers(),
            data_bytes_max: stream.data_bytes_max() as u64,
            segment_bytes: options.get_segment().unwrap_or(0) as u64,
            checksum: options.get_checksum().unwrap_or(false),
            quota: options.get_quota(),
            placement: placement_word(options.get_placement()),
            on_demand: demand.is_some(),
            peak_records_per_s: demand.map(|demand| demand.peak_records),
            peak_bytes_per_s: demand.map(|demand| demand.peak_bytes),
            wanted_shards: demand.map(|demand| demand.wanted),
            durability: options.get_durability().to_string(),
            durable_position: stream.durable_position().ok().map(Position::as_u64),
            position: stream.position().ok().map(Position::as_u64),
            damaged: 0,
            attachments: stream.region().attachments(),
            consumers: Consumer::all(stream)?,
            positions: Vec::new(),
        };
        for shard in shards_of(stream) {
            let info = unless_gone(stream.shard_info(shard))?;
            let (Some(info), Some(stats)) = (info, unless_gone(stream.stat(shard))?) else {
                continue;
            };
            let oldest = oldest_ms(stream, shard)?;
            match info.is_open() {
                true => figures.shards += 1,
                false => figures.closed_shards += 1,
            }
            figures.bytes += stats.bytes;
            figures.capacity_bytes += stats.capacity_bytes;
            figures.oldest_ms = figures.oldest_ms.into_iter().chain(oldest).min();
            let latest = Some(stats.latest_ms).filter(|ms| *ms != 0);
            figures.latest_ms = figures.latest_ms.max(latest);
            figures.evicted_segments += stats.evicted_segments;
            figures.readers += u64::from(stats.readers);
            figures.damaged += stats.damaged;
            figures.positions.push(Positions {
                shard: shard.to_string(),
                oldest_sequence_number: stats.oldest.to_string(),
                next_sequence_number: stats.tail.to_string(),
                durable_sequence_number: stats.durable.map(|at| at.to_string()),
            });
        }
        Ok(figures)
    }

    pub(in crate::face::cli) fn render(&self, json: bool) -> io::Result<String> {
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let retention = format_duration(Duration::from_millis(self.retention_ms));
        let time = |ms: Option<u64>| ms.map_or("none".to_owned(), instant);
        let mut rows = vec![
            ("kind", "stream".to_owned()),
            ("shards", self.shards.to_string()),
            ("closed shards", self.closed_shards.to_string()),
            ("most of both", self.max_shards.to_string()),
            ("bytes", self.bytes.to_string()),
            ("most of them", self.capacity_bytes.to_string()),
            ("oldest", time(self.oldest_ms)),
            ("latest", time(self.latest_ms)),
            ("evicted segments", self.evicted_segments.to_string()),
            ("readers", self.readers.to_string()),
            ("most a shard", self.readers_max.to_string()),
            ("retention", retention.to_string()),
            ("when full", self.full.to_owned()),
            ("largest data", self.data_bytes_max.to_string()),
            ("segment bytes", self.segment_bytes.to_string()),
            ("quota", if self.quota { "yes" } else { "no" }.to_owned()),
            ("placement", self.placement.to_owned()),
            ("durability", self.durability.clone()),
            ("attachments", self.attachments.to_string()),
        ];
        if let (Some(durable), Some(position)) = (self.durable_position, self.position) {
            rows.push(("durable position", durable.to_string()));
            rows.push(("position", position.to_string()));
            rows.push(("damaged", self.damaged.to_string()));
        }
        if let (Some(records), Some(bytes)) = (self.put_records_per_s, self.put_bytes_per_s) {
            rows.push(("records put", format!("{records:.1}/s")));
            rows.push(("bytes put", format!("{bytes:.1}/s")));
        }
        if let (Some(records), Some(bytes), Some(shards)) = (
            self.peak_records_per_s,
            self.peak_bytes_per_s,
            self.wanted_shards,
        ) {
            rows.push(("most in 30 days", format!("{records}/s, {bytes} bytes/s")));
            rows.push(("shards wanted", shards.to_string()));
        }
        let told: Vec<_> = self.consumers.iter().map(Consumer::row).collect();
        rows.extend(told.iter().map(|(name, text)| (&**name, text.clone())));
        for Positions {
            shard,
            oldest_sequence_number: oldest,
            next_sequence_number: next,
            ..
        } in &self.positions
        {
            rows.push((shard, format!("{oldest} to {next}")));
        }
        for (name, value) in rows {
            table.add_row([name.to_owned(), value]);
        }
        if let Some(column) = table.column_mut(0) {
            column.set_padding((0, 1));
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(table.trim_fmt())
    }
}
