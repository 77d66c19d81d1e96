//! What only FIFO queues have: groups, and remembered ids. All of it are gauges.

use super::text::{Label, head};
use crate::queue::FifoStats;
use ::metrics::{Unit, describe_gauge, gauge};
use std::collections::HashSet;
use std::fmt::{self, Write};

/// One FIFO queue: its name, and its figures.
pub type GroupsLook<'a> = (&'a str, &'a FifoStats);

struct Gauge {
    name: &'static str,
    help: &'static str,
    value: fn(&FifoStats) -> u64,
}

const GAUGES: &[Gauge] = &[
    Gauge {
        name: "ringmain_groups_ready",
        help: "Groups that can be received from now.",
        value: |stats| stats.ready,
    },
    Gauge {
        name: "ringmain_groups_locked",
        help: "Groups of which a message is in flight.",
        value: |stats| stats.locked,
    },
    Gauge {
        name: "ringmain_groups_delayed",
        help: "Groups whose oldest message is delayed.",
        value: |stats| stats.delayed,
    },
    Gauge {
        name: "ringmain_dedup_ids",
        help: "Deduplication ids that are remembered.",
        value: |stats| stats.remembered_ids,
    },
    Gauge {
        name: "ringmain_dedup_ids_max",
        help: "The most deduplication ids that are remembered.",
        value: |stats| stats.remembered_ids_max,
    },
];

/// The figures of FIFO queues' groups as text, to stand behind that of [`render`](super::render).
/// Of two queues with one name the first counts.
///
/// # Examples
///
/// ```
/// # use ringmain::{FifoOptions, FifoQueue, Heap, metrics::render_groups};
/// # let orders = FifoQueue::create(Heap::new(1 << 20)?, FifoOptions::new())?;
/// orders.send("customer-7", "order-1", b"2 books")?;
/// let text = render_groups([("orders", &orders.groups()?)]);
/// assert!(text.contains("ringmain_groups_ready{queue=\"orders\"} 1\n"));
/// # Ok::<(), ringmain::Error>(())
/// ```
pub fn render_groups<'a>(looks: impl IntoIterator<Item = GroupsLook<'a>>) -> String {
    let mut text = String::new();
    // A string takes whatever it is given.
    let _ = write_groups(&mut text, looks);
    text
}

/// [`render_groups`] into anything that takes text.
///
/// # Errors
///
/// Those of `out`.
pub fn write_groups<'a>(
    out: &mut impl Write,
    looks: impl IntoIterator<Item = GroupsLook<'a>>,
) -> fmt::Result {
    let mut names = HashSet::new();
    let looks = looks.into_iter().filter(|(name, _)| names.insert(*name));
    let looks: Vec<GroupsLook<'_>> = looks.collect();
    if looks.is_empty() {
        return Ok(());
    }
    for metric in GAUGES {
        head(out, metric.name, metric.help, "gauge")?;
        for (queue, stats) in &looks {
            let (name, queue, value) = (metric.name, Label(queue), (metric.value)(stats));
            writeln!(out, "{name}{{queue=\"{queue}\"}} {value}")?;
        }
    }
    Ok(())
}

/// Tells the recorder of the `metrics` crate what each of them means. Once is enough.
pub fn describe_groups() {
    for metric in GAUGES {
        describe_gauge!(metric.name, Unit::Count, metric.help);
    }
}

/// Gives the figures to that recorder.
pub fn record_groups<'a>(looks: impl IntoIterator<Item = GroupsLook<'a>>) {
    for (queue, stats) in looks {
        for metric in GAUGES {
            let value = (metric.value)(stats) as f64;
            gauge!(metric.name, "queue" => queue.to_string()).set(value);
        }
    }
}
