//! The outcome of the demo: a summary for people, one line of JSON for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::audit::Audit;
use super::conductor::Kills;
use super::ledger::Ledger;
use super::stream::Changes;

/// The figures of a run, under the names that the JSON has.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    sent: u64,
    processed: u64,
    duplicates: u64,
    lost: u64,
    damaged: u64,
    /// With a FIFO queue or a stream only.
    #[serde(skip_serializing_if = "Option::is_none")]
    reordered: Option<u64>,
    kills: u64,
    messages_per_second: u64,
    latency_us: Latency,
    redelivery_ms: Redelivery,
    #[serde(skip)]
    rest: Rest,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
}

/// `null` when no worker was killed.
#[derive(Debug, Serialize)]
struct Redelivery {
    p50: Option<f64>,
    max: Option<f64>,
}

#[derive(Debug)]
struct Rest {
    kills: Kills,
    redelivered: usize,
    metrics: u64,
    took: Duration,
    /// Sends again, how many of them were duplicates, and waits for ids.
    fifo: Option<[u64; 3]>,
    /// Of a stream.
    changes: Option<Changes>,
}

impl Report {
    pub(super) fn of(audit: &Audit, kills: Kills, changes: Changes, took: Duration) -> Self {
        let us = |quantile| audit.latency.value_at_quantile(quantile) as f64 / 1e3;
        let mut redelivery = audit.redelivery_ns.clone();
        redelivery.sort_unstable();
        let fifo = audit.fifo.as_ref();
        let ms = |at: Option<&u64>| at.map(|&ns| (ns / 1000) as f64 / 1e3);
        Self {
            sent: audit.sent(),
            processed: audit.processed(),
            duplicates: audit.sum(|ledger| ledger.duplicates),
            lost: audit.sum(Ledger::lost),
            damaged: audit.sum(Ledger::damaged),
            reordered: audit.reordered(),
            kills: kills.workers + kills.producers,
            messages_per_second: (audit.processed() as f64 / took.as_secs_f64()) as u64,
            latency_us: Latency {
                p50: us(0.5),
                p99: us(0.99),
                p999: us(0.999),
            },
            redelivery_ms: Redelivery {
                p50: ms(redelivery.get(redelivery.len() / 2)),
                max: ms(redelivery.last()),
            },
            rest: Rest {
                kills,
                redelivered: redelivery.len(),
                metrics: audit.metrics,
                took,
                fifo: fifo.map(|fifo| [fifo.resent, fifo.duplicates, fifo.waits]),
                changes: audit.keys.as_ref().map(|_| changes),
            },
        }
    }

    /// Nothing lost, nothing damaged, and nothing out of order.
    pub(super) fn is_clean(&self) -> bool {
        self.lost == 0 && self.damaged == 0 && self.reordered.unwrap_or(0) == 0
    }

    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rest {
            kills,
            redelivered,
            metrics,
            took,
            fifo,
            changes,
        } = &self.rest;
        let Latency { p50, p99, p999 } = &self.latency_us;
        let took = took.as_secs_f64();
        writeln!(f, "sent        {:>12}   sends that returned Ok", self.sent)?;
        writeln!(
            f,
            "processed   {:>12}   {metrics} metrics, in {took:.1} s",
            self.processed
        )?;
        writeln!(
            f,
            "rate        {:>12}   messages a second",
            self.messages_per_second
        )?;
        writeln!(f, "latency     {p50:>12.0}   us to the first receive, p50")?;
        writeln!(f, "            {p99:>12.0}   us, p99; {p999:.0} us, p99.9")?;
        let (workers, producers) = (kills.workers, kills.producers);
        writeln!(
            f,
            "kills       {:>12}   {workers} {}, and",
            self.kills,
            match changes {
                Some(_) => "readers, each with records in hand",
                None => "workers, each while holding messages",
            }
        )?;
        writeln!(f, "                           {producers} producers")?;
        let [p50, max] =
            [self.redelivery_ms.p50, self.redelivery_ms.max].map(Option::unwrap_or_default);
        writeln!(
            f,
            "redelivery  {p50:>12.1}   ms from a death to the next receive, p50"
        )?;
        writeln!(
            f,
            "            {max:>12.1}   ms, max, of {redelivered} messages{}",
            match changes {
                Some(_) => "",
                None => "; visibility is 30 s",
            }
        )?;
        if let Some(Changes { splits, merges }) = changes {
            writeln!(
                f,
                "splits      {splits:>12}   and {merges} merges of shards"
            )?;
        }
        if let Some([resent, before, waits]) = fifo {
            writeln!(
                f,
                "sent again  {resent:>12}   after deaths; {before} had been accepted before"
            )?;
            writeln!(
                f,
                "waits       {waits:>12}   for the table of deduplication ids"
            )?;
        }
        writeln!(f, "duplicates  {:>12}", self.duplicates)?;
        if let Some(reordered) = self.reordered {
            writeln!(
                f,
                "reordered   {reordered:>12}   first deliveries, in their {}",
                if changes.is_some() { "keys" } else { "groups" }
            )?;
        }
        writeln!(f, "damaged     {:>12}", self.damaged)?;
        write!(f, "lost        {:>12}", self.lost)
    }
}
