//! One reading of this machine's telemetry, as it travels.

use serde::{Deserialize, Serialize};

/// The body of a demo message, in JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reading<'m> {
    /// Which of the producers.
    pub(super) producer: u32,
    /// Which life of that producer.
    pub(super) incarnation: u32,
    /// From 0, without gaps, in one incarnation.
    pub(super) seq: u64,
    /// For example `cpu.0.user`.
    pub(super) metric: &'m str,
    /// In the unit of `/proc`.
    pub(super) value: f64,
    /// CLOCK_MONOTONIC just before the send.
    pub(super) sent_ns: u64,
}

/// The fingerprint by which sent and processed bytes are compared.
pub(super) fn fingerprint(body: &[u8]) -> u64 {
    crate::hash::xxh3_64(body)
}
