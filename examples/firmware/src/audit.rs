//! The books: which readings came, how often, and whether that is as it must be.

use crate::reading::Reading;
use ringmain::QueueStats;

/// How many readings the run has.
pub const READINGS_TOTAL: u32 = 2000;
/// The reading that the feature `withhold` keeps from the books.
const WITHHELD: u32 = 1234;

/// What was seen of each reading, and what went wrong.
pub struct Audit {
    received: [u8; READINGS_TOTAL as usize],
    deleted: [u8; READINGS_TOTAL as usize],
    /// Bodies that are no reading, or not the one that was sent.
    pub damaged: u32,
    /// Receives whose count is not the number of times that the reading was received.
    pub miscounted: u32,
    /// Operations that failed although they must not.
    pub failed: u32,
    /// Readings given back by `release`.
    pub released: u32,
    /// Readings left to their visibility timeout.
    pub left: u32,
}

/// What happened in the interrupt.
pub struct Sent {
    /// Readings that the queue accepted.
    pub accepted: u32,
    /// Times that it had no room.
    pub refused: u32,
    /// Claims dropped without a commit.
    pub aborted: u32,
    /// Interrupts that came in the middle of an operation of the main loop.
    pub in_operation: u32,
    /// Sends that failed otherwise than for want of room.
    pub failed: u32,
}

impl Audit {
    /// Empty books.
    pub const fn new() -> Self {
        Self {
            received: [0; READINGS_TOTAL as usize],
            deleted: [0; READINGS_TOTAL as usize],
            damaged: 0,
            miscounted: 0,
            failed: 0,
            released: 0,
            left: 0,
        }
    }

    /// Enters a receive; gives the reading if it is sound.
    pub fn receive(&mut self, body: &[u8], receive_count: u32) -> Option<Reading> {
        let sound = Reading::from_bytes(body)
            .filter(|reading| *reading == Reading::take(reading.sequence))
            .filter(|reading| reading.sequence < READINGS_TOTAL);
        let Some(reading) = sound else {
            self.damaged += 1;
            return None;
        };
        let received = &mut self.received[reading.sequence as usize];
        *received = received.saturating_add(1);
        self.miscounted += u32::from(u32::from(*received) != receive_count);
        Some(reading)
    }

    /// Enters a reading that was processed and whose delete returned `Ok`.
    pub fn delete(&mut self, reading: Reading) {
        if cfg!(feature = "withhold") && reading.sequence == WITHHELD {
            return;
        }
        let deleted = &mut self.deleted[reading.sequence as usize];
        *deleted = deleted.saturating_add(1);
    }

    /// How many readings were processed at least once.
    pub fn processed(&self) -> u32 {
        self.deleted.iter().filter(|count| **count > 0).count() as u32
    }

    /// How many readings were processed twice or more.
    pub fn doubled(&self) -> u32 {
        self.deleted.iter().filter(|count| **count > 1).count() as u32
    }

    /// Whether every reading that the queue accepted was processed once, undamaged, received again
    /// only when it had come back, and every slot is free again.
    pub fn is_clean(&self, sent: &Sent, stats: &QueueStats) -> bool {
        let faults = self.doubled() + self.damaged + self.miscounted + self.failed + sent.failed;
        let again: u32 = self.received.iter().map(|count| u32::from(*count)).sum();
        self.processed() == sent.accepted
            && faults == 0
            && again == sent.accepted + self.released + self.left
            && (stats.visible, stats.in_flight) == (0, 0)
            && stats.slots_free == stats.slots
    }

    /// Whether the run had in it what it is meant to show.
    pub fn is_covered(&self, sent: &Sent) -> bool {
        sent.accepted == READINGS_TOTAL
            && [
                self.released,
                self.left,
                sent.refused,
                sent.aborted,
                sent.in_operation,
            ]
            .iter()
            .all(|count| *count > 0)
    }
}
