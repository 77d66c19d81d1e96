//! The same figures for whatever recorder a program has installed for the `metrics` crate.

use super::Look;
use super::table::{COUNTERS, GAUGES, LATENCY_NAME};
use ::metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// Tells the recorder what each metric means, and its unit. Once is enough.
pub fn describe() {
    for metric in GAUGES {
        let unit = if metric.name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        };
        describe_gauge!(metric.name, unit, metric.help);
    }
    for metric in COUNTERS {
        describe_counter!(metric.name, Unit::Count, metric.help);
    }
    for (part, unit, help) in LATENCY_PARTS {
        describe_counter!(format!("{LATENCY_NAME}_{part}"), unit, help);
    }
}

/// The facade's histograms take values one by one, and no counts. So latencies are told as counters
/// here, cumulated as Prometheus has them; the sum is in milliseconds, since these are whole.
const LATENCY_PARTS: [(&str, Unit, &str); 3] = [
    (
        "bucket",
        Unit::Count,
        "Receives within `le` seconds from the send.",
    ),
    ("count", Unit::Count, "Receives."),
    (
        "sum_milliseconds",
        Unit::Milliseconds,
        "All times from send to receive together.",
    ),
];

/// Gives the figures to the recorder: gauges are set, counters are brought to their absolute value.
pub fn record<'a>(looks: impl IntoIterator<Item = Look<'a>>) {
    for (queue, stats, latency) in looks {
        for metric in GAUGES {
            gauge!(metric.name, "queue" => queue.to_string()).set((metric.value)(stats));
        }
        for metric in COUNTERS {
            counter!(metric.name, "queue" => queue.to_string()).absolute((metric.value)(stats));
        }
        let Some(latency) = latency else {
            continue;
        };
        let part = |part: usize| format!("{LATENCY_NAME}_{}", LATENCY_PARTS[part].0);
        let mut below = 0u64;
        for bucket in latency.buckets() {
            below = below.saturating_add(bucket.count);
            let le = match bucket.below {
                Some(end) => (end.as_millis() as f64 / 1000.0).to_string(),
                None => "+Inf".to_string(),
            };
            counter!(part(0), "queue" => queue.to_string(), "le" => le).absolute(below);
        }
        counter!(part(1), "queue" => queue.to_string()).absolute(below);
        let sum_ms = latency.sum().as_millis() as u64;
        counter!(part(2), "queue" => queue.to_string()).absolute(sum_ms);
    }
}
