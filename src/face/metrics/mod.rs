//! Queues' figures for monitoring: Prometheus's text format, and the `metrics` crate (feature
//! `metrics`). All names are in docs/metrics.md.
//!
//! Nothing is gathered while messages pass: who wants figures takes a queue's
//! [`stat`](crate::Queue::stat) and [`latency`](crate::Queue::latency), and gives them, with a
//! name, to one of these. Where they go from there, to a socket or a file, is the caller's
//! business.
//!
//! # Examples
//!
//! ```
//! # use ringmain::{Heap, Queue, QueueOptions, metrics::Exporter};
//! # let queue = Queue::create(Heap::new(1 << 16)?, QueueOptions::new())?;
//! queue.send(b"work")?;
//! let mut exporter = Exporter::new();
//! let (stats, latency) = (queue.stat()?, queue.latency()?);
//! let text = exporter.render([("jobs", &stats, Some(&latency))]);
//! assert!(text.contains("ringmain_visible{queue=\"jobs\"} 1\n"));
//! # Ok::<(), ringmain::Error>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "stream")]
mod consumers;
mod exporter;
mod facade;
#[cfg(feature = "fifo")]
mod groups;
#[cfg(feature = "stream")]
mod shards;
mod table;
mod text;

#[cfg(feature = "stream")]
pub use consumers::{
    ConsumersLook, describe_consumers, record_consumers, render_consumers, write_consumers,
};
pub use exporter::Exporter;
pub use facade::{describe, record};
#[cfg(feature = "fifo")]
pub use groups::{GroupsLook, describe_groups, record_groups, render_groups, write_groups};
#[cfg(feature = "stream")]
pub use shards::{ShardsLook, describe_shards, record_shards, render_shards, write_shards};
pub use text::{CONTENT_TYPE, render, write_text};

use crate::queue::{LatencyHistogram, QueueStats};

/// One queue: its name, its figures, and its latencies if they are wanted.
pub type Look<'a> = (&'a str, &'a QueueStats, Option<&'a LatencyHistogram>);
