//! Sending up to ten bodies, with what to do when there is no room.

use std::thread;
use std::time::Duration;

use super::any::AnyQueue;
use super::envelope::Envelope;
use super::exit::{Exit, Trouble};
use super::output::say;
use crate::{Error, FifoSent, Message};

/// Most entries in a batch.
pub(super) const BATCH_ENTRIES_MAX: usize = 10;
/// Most bytes in a batch of more than one entry.
pub(super) const BATCH_BYTES_MAX: usize = 256 << 10;

const PAUSE_MIN: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_millis(10);

type Indices = heapless::Vec<usize, BATCH_ENTRIES_MAX>;

/// Sends bodies in order of arrival, in an envelope, and waits for room unless told not to.
pub(super) struct Submit<'q> {
    queue: &'q AnyQueue,
    /// What is put around each body.
    pub(super) envelope: Envelope<'q>,
    wait: bool,
    /// How many sends returned `Ok`.
    pub(super) sent: u64,
}

impl<'q> Submit<'q> {
    pub(super) fn new(queue: &'q AnyQueue, envelope: Envelope<'q>, wait: bool) -> Self {
        Self {
            queue,
            envelope,
            wait,
            sent: 0,
        }
    }

    /// Sends 1 to 10 bodies. An entry that the queue refuses goes to `refused` with its index;
    /// the others are sent.
    pub(super) fn batch(
        &mut self,
        bodies: &[&[u8]],
        mut refused: impl FnMut(usize, &str),
    ) -> Result<(), Trouble> {
        let mut left: Indices = (0..bodies.len()).collect();
        let mut pause = PAUSE_MIN;
        while !left.is_empty() {
            let before = left.len();
            let (again, why) = self.once(bodies, &left, &mut refused)?;
            left = again;
            if left.len() < before {
                pause = PAUSE_MIN;
                continue;
            }
            if !self.wait {
                let text = match why {
                    Error::Full => format!("the queue is full, {} sent", self.sent),
                    why => format!("{why}; {} sent", self.sent),
                };
                return Err(Trouble::with_exit(Exit::Full, text));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
        Ok(())
    }

    /// Tries once; returns the indices for which there was no room, and of what.
    fn once(
        &mut self,
        bodies: &[&[u8]],
        left: &[usize],
        refused: &mut impl FnMut(usize, &str),
    ) -> Result<(Indices, Error), Trouble> {
        let entries: heapless::Vec<&[u8], BATCH_ENTRIES_MAX> =
            left.iter().map(|&index| bodies[index]).collect();
        let sent = if self.envelope.is_empty() {
            self.queue.send_bodies(&entries)
        } else {
            let messages = entries.iter().map(|body| self.envelope.around(body));
            let messages: heapless::Vec<Message<'_>, BATCH_ENTRIES_MAX> =
                messages.collect::<Result<_, _>>()?;
            self.queue.send_messages(&messages)
        };
        let outcomes = match sent {
            Ok(outcomes) => outcomes,
            Err(error) if is_for_now(&error) => return Ok((left.iter().copied().collect(), error)),
            Err(error) => return Err(error.into()),
        };
        let (mut full, mut why) = (Indices::new(), Error::Full);
        for (&index, outcome) in left.iter().zip(outcomes) {
            match outcome {
                Ok(place) => {
                    self.sent += 1;
                    if let Some(place) = place {
                        tell(&place)?;
                    }
                }
                Err(error) if is_for_now(&error) => {
                    // Never more than there were entries: the push cannot fail.
                    full.extend([index]);
                    why = error;
                }
                Err(error) => refused(index, &self.envelope.words(&error)),
            }
        }
        Ok((full, why))
    }
}

/// Whether waiting helps.
fn is_for_now(error: &Error) -> bool {
    matches!(
        error,
        Error::Full | Error::DeduplicationFull { .. } | Error::Throttled { .. }
    )
}

/// Where a message of a FIFO queue stands: id, sequence number, and whether it was there before.
fn tell(place: &FifoSent) -> std::io::Result<()> {
    let FifoSent { id, sequence, .. } = place;
    match place.is_duplicate {
        true => say(format_args!("{id}\t{sequence}\tduplicate")),
        false => say(format_args!("{id}\t{sequence}")),
    }
}
