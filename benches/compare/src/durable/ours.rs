//! Our queue on disk, each send durable before it returns, or a group by one sync.

use std::path::Path;

use ringmain::{Durability, Error, Mapped, Queue, QueueOptions};

use super::{
    drive::{Journal, Writer},
    message::{BODY, Body, Tally},
};
use crate::sample::Failure;

/// Bytes of the region: a sample's messages fit at any speed that a disk has.
const REGION: u64 = 64 << 20;
/// Messages a call.
const TEN: usize = 10;

/// A queue in a mapped region, at the level that waits for the disk.
pub struct Store {
    queue: Queue<Mapped>,
}

impl Store {
    /// A new queue in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let options = QueueOptions::new()
            .typical_body(BODY)
            .durability(Durability::BeforeOk);
        let region = Mapped::create(folder.join("durable.ring"), REGION)?;
        Ok(Self {
            queue: Queue::create(region, options)?,
        })
    }
}

impl Journal for Store {
    fn writer(&self, _: usize) -> Result<Box<dyn Writer + '_>, Failure> {
        Ok(Box::new(self))
    }

    fn settle(&self, _: Tally) -> Result<Tally, Failure> {
        let queue = self.queue.at(Durability::Process)?;
        let mut found = Tally::default();
        loop {
            let batch = queue.receive_batch(TEN)?;
            if batch.is_empty() {
                self.queue.sync()?;
                return Ok(found);
            }
            batch.iter().for_each(|message| found.add(message.body()));
            for outcome in batch.delete() {
                outcome?;
            }
        }
    }
}

impl Writer for &Store {
    /// One by itself waits for the disk in `send`; of a group none waits, and one sync ends it.
    fn commit(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        if let [body] = bodies {
            self.queue.send(body)?;
            return Ok(());
        }
        let queue = self.queue.at(Durability::Process)?;
        for ten in bodies.chunks(TEN) {
            for outcome in queue.send_batch(ten)? {
                outcome.map_err(|error| match error {
                    Error::Full => Failure::from("the region is too small for a sample"),
                    other => other.into(),
                })?;
            }
        }
        self.queue.sync()?;
        Ok(())
    }
}
