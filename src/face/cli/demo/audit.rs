//! The auditor: reads journals record by record, and knows who holds what.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use super::keys::Keys;
use super::ledger::Ledger;
use super::order::Order;
use super::place::Kind;
use super::stream::READERS;
use super::wire::{Author, Batch, Place, Record};

/// Longer latencies are recorded as this: an hour.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// What a worker held when it was killed, message by message.
#[derive(Debug, Clone, Copy)]
struct Orphan {
    first_received_ns: u64,
    killed_ns: u64,
    redelivered: bool,
}

/// What the journal of one worker said last.
#[derive(Debug, Clone, Default)]
pub(super) struct Hands {
    received_ns: u64,
    held: Batch<u64>,
    /// Of a stream: what the held records are.
    places: Batch<Place>,
}

impl Hands {
    /// Whether it holds messages that it has not begun to delete.
    pub(super) fn are_full(&self) -> bool {
        !self.held.is_empty()
    }
}

/// All that is known of the run.
#[derive(Debug)]
pub(super) struct Audit {
    /// One; of a stream one for each reader.
    pub(super) ledgers: Vec<Ledger>,
    /// Send to first receive, in nanoseconds.
    pub(super) latency: Histogram<u64>,
    /// From a worker's death to somebody else's receive, in nanoseconds, a message each.
    pub(super) redelivery_ns: Vec<u64>,
    /// Different metrics that the worker with the most of them knows.
    pub(super) metrics: u64,
    /// Of a FIFO queue.
    pub(super) fifo: Option<Fifo>,
    /// Of a stream.
    pub(super) keys: Option<Keys>,
    orphans: HashMap<u64, Orphan>,
}

/// What is known of a FIFO queue beside that.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    pub(super) order: Order,
    /// Sends again, under ids of a predecessor.
    pub(super) resent: u64,
    /// How many of them had been accepted already.
    pub(super) duplicates: u64,
    /// How often producers waited for the table of deduplication ids.
    pub(super) waits: u64,
}

impl Audit {
    pub(super) fn new(kind: Kind) -> Result<Self, hdrhistogram::CreationError> {
        Ok(Self {
            ledgers: match kind {
                Kind::Standard => vec![Ledger::new()],
                Kind::Fifo(_) => vec![Ledger::of_fifo()],
                Kind::Stream => (0..READERS).map(|_| Ledger::new()).collect(),
            },
            fifo: matches!(kind, Kind::Fifo(_)).then(Fifo::default),
            keys: (kind == Kind::Stream).then(Keys::default),
            latency: Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)?,
            redelivery_ns: Vec::new(),
            metrics: 0,
            orphans: HashMap::new(),
        })
    }

    /// Takes up a record of the child `author` (for a worker: of the worker that `hands` are of).
    pub(super) fn take(&mut self, author: Author, hands: &mut Hands, record: Record) {
        match record {
            Record::Sent(entries) => {
                self.note_sent(author, &entries);
            }
            Record::Accepted {
                author: of,
                entries,
                duplicates,
                waits,
            } => {
                let fifo = self.fifo.get_or_insert_default();
                fifo.resent += if of == author {
                    0
                } else {
                    entries.len() as u64
                };
                fifo.duplicates += duplicates;
                fifo.waits += waits;
                self.note_sent(of, &entries);
            }
            Record::Ordered { places, .. } if self.keys.is_some() => hands.places = places,
            Record::Ordered { at_ns, places } => {
                let fifo = self.fifo.get_or_insert_default();
                fifo.order.note(at_ns, &places);
            }
            Record::Received { at_ns, messages } => {
                self.note_redelivery(at_ns, &messages);
                (hands.received_ns, hands.held) = (at_ns, messages);
            }
            Record::Processed { metrics, works } => {
                self.metrics = self.metrics.max(metrics);
                let hands = std::mem::take(hands);
                for (index, work) in works.iter().enumerate() {
                    // An orphan's first receive was in the hands that died.
                    let orphan = hands.held.get(index).and_then(|id| self.orphans.remove(id));
                    let received_ns =
                        orphan.map_or(hands.received_ns, |orphan| orphan.first_received_ns);
                    let reader = self.reader(author);
                    let ledger = &mut self.ledgers[reader];
                    if !ledger.note_processed(work.author, work.seq, work.hash) {
                        continue;
                    }
                    self.latency
                        .saturating_record(received_ns.saturating_sub(work.sent_ns));
                    if let (Some(keys), Some(place)) = (&mut self.keys, hands.places.get(index)) {
                        keys.note(author.producer, place);
                    }
                }
            }
        }
    }

    /// Whose ledger counts what a child has processed.
    fn reader(&self, author: Author) -> usize {
        match self.keys {
            Some(_) => (author.producer as usize).min(self.ledgers.len() - 1),
            None => 0,
        }
    }

    fn note_sent(&mut self, author: Author, entries: &[(u64, u64)]) {
        for ledger in &mut self.ledgers {
            for &(seq, hash) in entries {
                ledger.note_sent(author, seq, hash);
            }
        }
    }

    /// Sends that returned `Ok` and were journaled.
    pub(super) fn sent(&self) -> u64 {
        self.ledgers.first().map_or(0, |ledger| ledger.sent)
    }

    /// Different messages processed; of a stream, by all its readers.
    pub(super) fn processed(&self) -> u64 {
        let processed = self.ledgers.iter().map(|ledger| ledger.processed);
        processed.min().unwrap_or(0)
    }

    /// A figure of all ledgers.
    pub(super) fn sum(&self, of: impl Fn(&Ledger) -> u64) -> u64 {
        self.ledgers.iter().map(of).sum()
    }

    /// What was out of order, if that is checked.
    pub(super) fn reordered(&self) -> Option<u64> {
        let fifo = self.fifo.as_ref().map(|fifo| fifo.order.reordered);
        fifo.or(self.keys.as_ref().map(Keys::reordered))
    }

    /// A worker was killed with these hands.
    pub(super) fn bereave(&mut self, hands: &Hands, killed_ns: u64) {
        for &message in &hands.held {
            let first_received_ns = self
                .orphans
                .get(&message)
                .map_or(hands.received_ns, |o| o.first_received_ns);
            let orphan = Orphan {
                first_received_ns,
                killed_ns,
                redelivered: false,
            };
            self.orphans.insert(message, orphan);
        }
    }

    fn note_redelivery(&mut self, at_ns: u64, messages: &[u64]) {
        if self.orphans.is_empty() {
            return;
        }
        for message in messages {
            if let Some(orphan) = self.orphans.get_mut(message)
                && !orphan.redelivered
            {
                orphan.redelivered = true;
                self.redelivery_ns
                    .push(at_ns.saturating_sub(orphan.killed_ns));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Work;
    use super::*;

    const ANNE: Author = Author {
        producer: 0,
        incarnation: 0,
    };
    const WORKER: Author = Author {
        producer: 9,
        incarnation: 9,
    };

    fn received(at_ns: u64) -> Record {
        Record::Received {
            at_ns,
            messages: [77].into_iter().collect(),
        }
    }

    #[test]
    fn a_kill_while_holding_is_followed_up() -> Result<(), hdrhistogram::CreationError> {
        let mut audit = Audit::new(Kind::Standard)?;
        audit.take(
            ANNE,
            &mut Hands::default(),
            Record::Sent([(0, 5)].into_iter().collect()),
        );
        let mut dead = Hands::default();
        audit.take(WORKER, &mut dead, received(1_000));
        assert!(dead.are_full());
        audit.bereave(&dead, 2_000);
        assert_eq!(audit.sum(Ledger::lost), 1);

        let mut heir = Hands::default();
        audit.take(WORKER, &mut heir, received(5_000));
        let work = Work {
            author: ANNE,
            seq: 0,
            hash: 5,
            sent_ns: 100,
        };
        let works = [work].into_iter().collect();
        audit.take(WORKER, &mut heir, Record::Processed { metrics: 1, works });
        assert!(!heir.are_full());
        assert_eq!(audit.redelivery_ns, [3_000]);
        assert_eq!(audit.latency.max(), 900);
        assert_eq!(
            (audit.sum(Ledger::lost), audit.sum(Ledger::damaged)),
            (0, 0)
        );
        Ok(())
    }
}
