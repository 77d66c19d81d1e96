//! What registered consumers of streams have: figures of each in each shard. All of it are gauges.

use super::text::{Label, head};
use crate::stream::ConsumerStats;
use ::metrics::{Unit, describe_gauge, gauge};
use std::collections::HashSet;
use std::fmt::{self, Write};

/// One consumer: its stream's name, its own, and its figures in each shard.
pub type ConsumersLook<'a> = (&'a str, &'a str, &'a [ConsumerStats]);

struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    value: fn(&ConsumerStats) -> Option<f64>,
}

const GAUGES: &[Gauge] = &[
    Gauge {
        name: "ringmain_consumer_subscribed",
        help: "Whether a consumer is subscribed to a shard.",
        unit: Unit::Count,
        value: |stats| Some(f64::from(u8::from(stats.subscribed))),
    },
    Gauge {
        name: "ringmain_consumer_lag_records",
        help: "Records of a shard that a consumer has not read.",
        unit: Unit::Count,
        value: |stats| stats.lag.map(|lag| lag.records as f64),
    },
    Gauge {
        name: "ringmain_consumer_lag_bytes",
        help: "What those take in the shard.",
        unit: Unit::Bytes,
        value: |stats| stats.lag.map(|lag| lag.bytes as f64),
    },
    Gauge {
        name: "ringmain_consumer_lag_seconds",
        help: "Age of the next record that a consumer will read, 0 if there is none.",
        unit: Unit::Seconds,
        value: |stats| stats.lag.map(|lag| lag.ms as f64 / 1000.0),
    },
];

/// The figures of streams' consumers as text, to stand behind that of [`render`](super::render). Of
/// two consumers of one stream with one name the first counts. Where a consumer has read nothing
/// it has no lag.
///
/// # Examples
///
/// ```
/// # use ringmain::{Heap, ConsumerStats, Start, Stream, StreamOptions, metrics::render_consumers};
/// # let telemetry = Stream::create(Heap::new(1 << 20)?, StreamOptions::new())?;
/// let audit = telemetry.register_consumer("audit")?;
/// let put = telemetry.put("boiler-7", b"81.5")?;
/// audit.cursor(put.shard, Start::Oldest)?.read(1)?;
/// telemetry.put("boiler-7", b"81.7")?;
/// let shards = telemetry.shards().map(|shard| audit.stat(shard));
/// let shards = shards.collect::<Result<Vec<ConsumerStats>, _>>()?;
/// let text = render_consumers([("telemetry", audit.name(), &shards[..])]);
/// let labels = "stream=\"telemetry\",consumer=\"audit\",shard=\"shardId-000000000000\"";
/// assert!(text.contains(&format!("ringmain_consumer_lag_records{{{labels}}} 1\n")));
/// # Ok::<(), ringmain::Error>(())
/// ```
pub fn render_consumers<'a>(looks: impl IntoIterator<Item = ConsumersLook<'a>>) -> String {
    let mut text = String::new();
    // A string takes whatever it is given.
    let _ = write_consumers(&mut text, looks);
    text
}

/// [`render_consumers`] into anything that takes text.
///
/// # Errors
///
/// Those of `out`.
pub fn write_consumers<'a>(
    out: &mut impl Write,
    looks: impl IntoIterator<Item = ConsumersLook<'a>>,
) -> fmt::Result {
    let mut names = HashSet::new();
    let looks = looks.into_iter();
    let looks = looks.filter(|(stream, consumer, _)| names.insert((*stream, *consumer)));
    let looks: Vec<ConsumersLook<'a>> = looks.collect();
    for metric in GAUGES {
        let mut is_headed = false;
        for (stream, consumer, shards) in &looks {
            for stats in *shards {
                let Some(value) = (metric.value)(stats) else {
                    continue;
                };
                if !is_headed {
                    head(out, metric.name, metric.help, "gauge")?;
                    is_headed = true;
                }
                let (name, shard) = (metric.name, stats.shard);
                let (stream, consumer) = (Label(stream), Label(consumer));
                write!(out, "{name}{{stream=\"{stream}\",consumer=\"{consumer}\",")?;
                writeln!(out, "shard=\"{shard}\"}} {value}")?;
            }
        }
    }
    Ok(())
}

/// Tells the recorder of the `metrics` crate what each of them means. Once is enough.
pub fn describe_consumers() {
    for metric in GAUGES {
        describe_gauge!(metric.name, metric.unit, metric.help);
    }
}

/// Gives the figures to that recorder.
pub fn record_consumers<'a>(looks: impl IntoIterator<Item = ConsumersLook<'a>>) {
    for (stream, consumer, shards) in looks {
        for stats in shards {
            let labels = [
                ("stream", stream.to_string()),
                ("consumer", consumer.to_string()),
                ("shard", stats.shard.to_string()),
            ];
            for metric in GAUGES {
                if let Some(value) = (metric.value)(stats) {
                    gauge!(metric.name, &labels).set(value);
                }
            }
        }
    }
}
