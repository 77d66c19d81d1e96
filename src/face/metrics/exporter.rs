//! Figures whose counters do not go back while a queue lives.

use super::table::COUNTERS;
use super::text::write_text;
use super::{Look, record};
use crate::queue::{LatencyHistogram, QueueStats};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Renders queues' figures, with counters as scrapers want them.
///
/// A queue's counts are a scan: one that is looked at while others work may be less, by a few, than
/// it was before. A scraper would take that for a restart and count everything again. This holds
/// each counter at the highest value it has told, until the queue itself was made anew, which is
/// seen by its sends being fewer.
///
/// It remembers the queues of the last call, and no others.
#[derive(Debug, Default)]
pub struct Exporter {
    told: HashMap<String, (QueueStats, Option<LatencyHistogram>)>,
}

impl Exporter {
    /// One that has told nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The figures in Prometheus's text format; see [`render`](super::render).
    pub fn render<'a>(&mut self, looks: impl IntoIterator<Item = Look<'a>>) -> String {
        let mut text = String::new();
        let order = self.take(looks);
        // A string takes whatever it is given.
        let _ = write_text(&mut text, self.looks(&order));
        text
    }

    /// Gives the figures to the recorder of the `metrics` crate; see [`record`].
    pub fn record<'a>(&mut self, looks: impl IntoIterator<Item = Look<'a>>) {
        let order = self.take(looks);
        record(self.looks(&order));
    }

    fn looks<'s>(&'s self, order: &'s [String]) -> impl Iterator<Item = Look<'s>> {
        order.iter().filter_map(|name| {
            let (stats, latency) = self.told.get(name)?;
            Some((name.as_str(), stats, latency.as_ref()))
        })
    }

    /// Takes new figures in; the queues' names, in order.
    fn take<'a>(&mut self, looks: impl IntoIterator<Item = Look<'a>>) -> Vec<String> {
        let mut before = std::mem::take(&mut self.told);
        let mut order = Vec::new();
        for (name, stats, latency) in looks {
            let Entry::Vacant(place) = self.told.entry(name.to_string()) else {
                continue; // the first of one name counts
            };
            let mut now = (*stats, latency.copied());
            if let Some((told, latencies)) = before.remove(name)
                && stats.sent >= told.sent
            {
                for counter in COUNTERS {
                    let count = (counter.place)(&mut now.0);
                    *count = (*count).max((counter.value)(&told));
                }
                now.1 = match (now.1, latencies) {
                    (Some(now), Some(told)) => Some(now.at_least(&told)),
                    (now, _) => now,
                };
            }
            place.insert(now);
            order.push(name.to_string());
        }
        order
    }
}
