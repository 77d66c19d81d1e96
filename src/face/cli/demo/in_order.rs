//! Sending to the demo's FIFO queue: each message under an id of its own, and again after a death.

use std::thread;

use super::super::any::AnyRegion;
use super::super::exit::{Trouble, about};
use super::outbox::Outbox;
use super::producer::FULL_PAUSE;
use super::reading::{Id, Reading, fingerprint};
use super::wire::{Author, Batch, Record};
use crate::{Error, FifoEntry, FifoQueue};

/// What a producer needs for a FIFO queue.
pub(super) struct InOrder<'q> {
    queue: &'q FifoQueue<AnyRegion>,
    outbox: Outbox,
    /// Waits for the table of ids that the journal does not know yet.
    waits: u64,
}

impl<'q> InOrder<'q> {
    pub(super) fn new(queue: &'q FifoQueue<AnyRegion>, outbox: Outbox) -> Self {
        Self {
            queue,
            outbox,
            waits: 0,
        }
    }

    /// Sends again what is in the outbox, to the end, and journals that, also that it is nothing.
    pub(super) fn take_over(&mut self, own: Author) -> Result<(), Trouble> {
        let bodies = self.outbox.bodies().map_err(about("outbox"))?;
        let readings = bodies.iter().map(|body| serde_json::from_slice(body));
        let readings: Vec<Reading<'_>> = readings.collect::<Result<_, _>>()?;
        let Some(first) = readings.first() else {
            return self.journal(own, Batch::new(), 0);
        };
        let author = first.author();
        let mut left: Batch<usize> = (0..readings.len()).collect();
        loop {
            let some: Vec<_> = left
                .iter()
                .map(|&at| (&readings[at], &*bodies[at]))
                .collect();
            let full = self.submit(author, &some)?;
            left = full.iter().map(|&at| left[at]).collect();
            if left.is_empty() {
                return Ok(());
            }
            thread::sleep(FULL_PAUSE);
        }
    }

    /// Sends readings, of one author and each of another metric, and their bodies. Returns the
    /// indices of those for which there was no room: they are sent again before anything else.
    pub(super) fn send(
        &mut self,
        author: Author,
        readings: &[Reading<'_>],
        bodies: &[Vec<u8>],
    ) -> Result<Batch<usize>, Trouble> {
        self.outbox.put(bodies).map_err(about("outbox"))?;
        let bodies = bodies.iter().map(Vec::as_slice);
        let some: Batch<_> = readings.iter().zip(bodies).collect();
        self.submit(author, &some)
    }

    fn submit(
        &mut self,
        author: Author,
        some: &[(&Reading<'_>, &[u8])],
    ) -> Result<Batch<usize>, Trouble> {
        let ids: Batch<Id> = some.iter().map(|(reading, _)| reading.id()).collect();
        let entries = some.iter().zip(&ids);
        let entries: Batch<FifoEntry<'_>> = entries
            .map(|(&(reading, body), id)| FifoEntry::new(reading.metric, body).id(id))
            .collect();
        let outcomes = self.queue.send_batch(&entries)?;
        let (mut accepted, mut duplicates, mut full) = (Batch::new(), 0, Batch::new());
        let mut waits = false;
        for (index, outcome) in outcomes.into_iter().enumerate() {
            let (reading, body) = some[index];
            match outcome {
                Ok(sent) => {
                    accepted.extend([(reading.seq, fingerprint(body))]);
                    duplicates += u64::from(sent.is_duplicate);
                }
                Err(Error::Full) => full.extend([index]),
                Err(Error::DeduplicationFull { .. }) => {
                    waits = true;
                    full.extend([index]);
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.waits += u64::from(waits);
        if !accepted.is_empty() {
            self.journal(author, accepted, duplicates)?;
        }
        Ok(full)
    }

    fn journal(
        &mut self,
        author: Author,
        entries: Batch<(u64, u64)>,
        duplicates: u64,
    ) -> Result<(), Trouble> {
        let waits = std::mem::take(&mut self.waits);
        let record = Record::Accepted {
            author,
            entries,
            duplicates,
            waits,
        };
        record.write().map_err(about("journal"))
    }
}
