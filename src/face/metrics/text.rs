//! Prometheus's text exposition format, version 0.0.4.

use super::Look;
use super::table::{COUNTERS, GAUGES, LATENCY_HELP, LATENCY_NAME};
use crate::queue::LatencyHistogram;
use std::collections::HashSet;
use std::fmt::{self, Write};

/// The content type with which the text is served.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures as text. Of two queues with one name the first counts, since a series may stand
/// there once only.
///
/// A scraper takes a counter that has gone back for one that was set to 0, and counts that are
/// looked at while others work may go back by a few. [`Exporter`](super::Exporter) does not let
/// them; this writes what it is given.
pub fn render<'a>(looks: impl IntoIterator<Item = Look<'a>>) -> String {
    let mut text = String::new();
    // A string takes whatever it is given.
    let _ = write_text(&mut text, looks);
    text
}

/// [`render`] into anything that takes text.
///
/// # Errors
///
/// Those of `out`.
pub fn write_text<'a>(
    out: &mut impl Write,
    looks: impl IntoIterator<Item = Look<'a>>,
) -> fmt::Result {
    let mut names = HashSet::new();
    let looks = looks.into_iter().filter(|(name, ..)| names.insert(*name));
    let looks: Vec<Look<'_>> = looks.collect();
    if looks.is_empty() {
        return Ok(());
    }
    for gauge in GAUGES {
        head(out, gauge.name, gauge.help, "gauge")?;
        for (queue, stats, _) in &looks {
            let (name, queue, value) = (gauge.name, Label(queue), (gauge.value)(stats));
            writeln!(out, "{name}{{queue=\"{queue}\"}} {value}")?;
        }
    }
    for counter in COUNTERS {
        head(out, counter.name, counter.help, "counter")?;
        for (queue, stats, _) in &looks {
            let (name, queue, value) = (counter.name, Label(queue), (counter.value)(stats));
            writeln!(out, "{name}{{queue=\"{queue}\"}} {value}")?;
        }
    }
    let mut latencies = looks
        .iter()
        .filter_map(|(queue, _, latency)| latency.map(|latency| (Label(queue), latency)))
        .peekable();
    if latencies.peek().is_some() {
        head(out, LATENCY_NAME, LATENCY_HELP, "histogram")?;
    }
    for (queue, latency) in latencies {
        histogram(out, &queue, latency)?;
    }
    Ok(())
}

/// The comment lines before a metric's samples. No help text of the table needs an escape.
pub(super) fn head(out: &mut impl Write, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}")?;
    writeln!(out, "# TYPE {name} {kind}")
}

fn histogram(out: &mut impl Write, queue: &Label<'_>, latency: &LatencyHistogram) -> fmt::Result {
    let name = LATENCY_NAME;
    let mut below = 0u64;
    for bucket in latency.buckets() {
        below = below.saturating_add(bucket.count);
        write!(out, "{name}_bucket{{queue=\"{queue}\",le=\"")?;
        match bucket.below {
            Some(end) => write!(out, "{}", end.as_millis() as f64 / 1000.0)?,
            None => out.write_str("+Inf")?,
        }
        writeln!(out, "\"}} {below}")?;
    }
    let sum = latency.sum().as_secs_f64();
    writeln!(out, "{name}_sum{{queue=\"{queue}\"}} {sum}")?;
    writeln!(out, "{name}_count{{queue=\"{queue}\"}} {below}")
}

/// The value of a label, with what has a meaning there escaped.
pub(super) struct Label<'a>(pub(super) &'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['\\', '"', '\n']) {
            let plain = part.trim_end_matches(['\\', '"', '\n']);
            f.write_str(plain)?;
            f.write_str(match &part[plain.len()..] {
                "\\" => "\\\\",
                "\"" => "\\\"",
                "\n" => "\\n",
                _ => "",
            })?;
        }
        Ok(())
    }
}
