//! What streams have: figures of each shard.

use super::text::{Label, head};
use crate::stream::ShardStats;
use ::metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use std::collections::HashSet;
use std::fmt::{self, Write};

/// One stream: its name, and the figures of its shards.
pub type ShardsLook<'a> = (&'a str, &'a [ShardStats]);

struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    value: fn(&ShardStats) -> f64,
}

const GAUGES: &[Gauge] = &[
    Gauge {
        name: "ringmain_shard_bytes",
        help: "What the records of a shard take.",
        unit: Unit::Bytes,
        value: |stats| stats.bytes as f64,
    },
    Gauge {
        name: "ringmain_shard_capacity_bytes",
        help: "The most that the records of a shard can take.",
        unit: Unit::Bytes,
        value: |stats| stats.capacity_bytes as f64,
    },
    Gauge {
        name: "ringmain_shard_readers",
        help: "Cursors that are at a shard.",
        unit: Unit::Count,
        value: |stats| f64::from(stats.readers),
    },
    Gauge {
        name: "ringmain_shard_latest_timestamp_seconds",
        help: "When the latest record of a shard arrived, 0 if there was none.",
        unit: Unit::Seconds,
        value: |stats| stats.latest_ms as f64 / 1000.0,
    },
];

/// The one figure that counts what has happened.
const EVICTED_NAME: &str = "ringmain_shard_evicted_segments_total";
const EVICTED_HELP: &str = "Segments given up for others before their time.";

/// The figures of streams' shards as text, to stand behind that of [`render`](super::render). Of
/// two streams with one name the first counts.
///
/// # Examples
///
/// ```
/// # use ringmain::{Heap, ShardStats, Stream, StreamOptions, metrics::render_shards};
/// # let telemetry = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
/// telemetry.put("boiler-7", b"81.5")?;
/// let shards = telemetry.shards().map(|shard| telemetry.stat(shard));
/// let shards = shards.collect::<Result<Vec<ShardStats>, _>>()?;
/// let text = render_shards([("telemetry", &shards[..])]);
/// let labels = "stream=\"telemetry\",shard=\"shardId-000000000000\"";
/// assert!(text.contains(&format!("ringmain_shard_bytes{{{labels}}} 64\n")));
/// # Ok::<(), ringmain::Error>(())
/// ```
pub fn render_shards<'a>(looks: impl IntoIterator<Item = ShardsLook<'a>>) -> String {
    let mut text = String::new();
    // A string takes whatever it is given.
    let _ = write_shards(&mut text, looks);
    text
}

/// [`render_shards`] into anything that takes text.
///
/// # Errors
///
/// Those of `out`.
pub fn write_shards<'a>(
    out: &mut impl Write,
    looks: impl IntoIterator<Item = ShardsLook<'a>>,
) -> fmt::Result {
    let mut names = HashSet::new();
    let looks = looks.into_iter().filter(|(name, _)| names.insert(*name));
    let of_stream = |(name, shards): ShardsLook<'a>| shards.iter().map(move |stats| (name, stats));
    let shards: Vec<(&str, &ShardStats)> = looks.flat_map(of_stream).collect();
    if shards.is_empty() {
        return Ok(());
    }
    for metric in GAUGES {
        head(out, metric.name, metric.help, "gauge")?;
        for (stream, stats) in &shards {
            line(out, metric.name, stream, stats, (metric.value)(stats))?;
        }
    }
    head(out, EVICTED_NAME, EVICTED_HELP, "counter")?;
    for (stream, stats) in &shards {
        line(out, EVICTED_NAME, stream, stats, stats.evicted_segments)?;
    }
    Ok(())
}

fn line(
    out: &mut impl Write,
    name: &str,
    stream: &str,
    stats: &ShardStats,
    value: impl fmt::Display,
) -> fmt::Result {
    let (stream, shard) = (Label(stream), stats.shard);
    writeln!(
        out,
        "{name}{{stream=\"{stream}\",shard=\"{shard}\"}} {value}"
    )
}

/// Tells the recorder of the `metrics` crate what each of them means. Once is enough.
pub fn describe_shards() {
    for metric in GAUGES {
        describe_gauge!(metric.name, metric.unit, metric.help);
    }
    describe_counter!(EVICTED_NAME, Unit::Count, EVICTED_HELP);
}

/// Gives the figures to that recorder.
pub fn record_shards<'a>(looks: impl IntoIterator<Item = ShardsLook<'a>>) {
    for (stream, shards) in looks {
        for stats in shards {
            let labels = [
                ("stream", stream.to_string()),
                ("shard", stats.shard.to_string()),
            ];
            for metric in GAUGES {
                gauge!(metric.name, &labels).set((metric.value)(stats));
            }
            counter!(EVICTED_NAME, &labels).absolute(stats.evicted_segments);
        }
    }
}
