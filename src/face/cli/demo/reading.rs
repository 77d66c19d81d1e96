//! One reading of this machine's telemetry, as it travels.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::wire::Author;

/// A deduplication id: producer, incarnation and sequence number, with dots between.
pub(super) type Id = heapless::String<48>;

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

impl Reading<'_> {
    /// Whose it is.
    pub(super) fn author(&self) -> Author {
        Author {
            producer: self.producer,
            incarnation: self.incarnation,
        }
    }

    /// Its deduplication id in a FIFO queue.
    pub(super) fn id(&self) -> Id {
        let mut id = Id::new();
        let Self {
            producer,
            incarnation,
            seq,
            ..
        } = self;
        // Three numbers have at most 40 digits.
        let _ = write!(id, "{producer}.{incarnation}.{seq}");
        id
    }
}

/// Author and sequence number that a deduplication id names.
pub(super) fn named_by(id: &str) -> Option<(Author, u64)> {
    let (producer, rest) = id.split_once('.')?;
    let (incarnation, seq) = rest.split_once('.')?;
    let author = Author {
        producer: producer.parse().ok()?,
        incarnation: incarnation.parse().ok()?,
    };
    Some((author, seq.parse().ok()?))
}

/// The fingerprint by which sent and processed bytes are compared.
pub(super) fn fingerprint(body: &[u8]) -> u64 {
    crate::hash::xxh3_64(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_author_and_sequence_number() {
        let reading = Reading {
            producer: u32::MAX,
            incarnation: u32::MAX,
            seq: u64::MAX,
            metric: "cpu",
            value: 0.0,
            sent_ns: 0,
        };
        let named = named_by(&reading.id());
        assert_eq!(named, Some((reading.author(), reading.seq)));
        for id in ["", "1.2", "1.2.", "1.2.x", "-1.2.3"] {
            assert_eq!(named_by(id), None, "{id}");
        }
    }
}
