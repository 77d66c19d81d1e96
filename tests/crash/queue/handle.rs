//! What is done to a queue with a journal: a standard one, or a FIFO queue.

use super::work::Worker;
use crate::tale::{body, seed_of};
use ringmain::{
    Batch, Clock, Durability, Error, FifoEntry, FifoQueue, Outcomes, Position, Queue, QueueStats,
    Receipt, Region, SystemClock,
};
use std::time::Duration;

/// Groups of a FIFO queue; nothing of the first one is deleted but by a purge.
const GROUPS: u64 = 6;
/// Ids that are remembered for longer count after the machine has stopped.
const LONG: Duration = Duration::from_secs(3600);

/// A clock that is so many minutes ahead, and a little more.
struct Ahead(u64);

impl Clock for Ahead {
    fn now_ms(&self) -> u64 {
        SystemClock.now_ms() + 61_000 * self.0
    }
}

/// A handle of a queue.
pub trait Handle {
    type Region: Region;
    type Clock: Clock;

    /// One who works makes a step at level *process*.
    fn step_at_process(&self, worker: &mut Worker<'_>);
    fn send(&self, seed: u64) -> Result<(), Error>;
    fn send_batch(&self, seeds: &[u64]) -> Outcomes<()>;
    /// Sends by filling in place, if that can be done; `Ok` does not wait for the disk.
    fn fill(&self, seed: u64, sending: impl FnOnce()) -> Result<bool, Error>;
    fn receive_batch(&self, max: usize) -> Batch<'_, Self::Region, Self::Clock>;
    fn delete(&self, receipt: &Receipt) -> Result<(), Error>;
    fn delete_batch(&self, receipts: &[Receipt]) -> Outcomes<()>;
    fn release(&self, receipt: &Receipt) -> Result<(), Error>;
    /// By a clock that is so many minutes ahead: a purge may be made once a minute.
    fn purge(&self, minutes: u64) -> Result<u64, Error>;
    fn durability(&self) -> Durability;
    fn position(&self) -> u64;
    fn durable_position(&self) -> u64;
    fn sync(&self) -> Result<Position, Error>;
    fn stat(&self) -> QueueStats;
    /// The messages that are there.
    fn there(&self) -> Vec<u64>;
    /// Whether this message is not deleted but by a purge, so that its record grows old.
    fn stays(seed: u64) -> bool;
    /// Among what stands in order, and by whom it was sent: a number that grows; `None`: there is
    /// no order.
    fn order_of(seed: u64) -> Option<[u64; 2]>;
    /// Whether its id is known, long after it was sent; `None`: ids do not count so long. One that
    /// is not known is sent.
    fn is_known(&self, seed: u64) -> Option<bool>;
}

macro_rules! as_they_are {
    () => {
        fn receive_batch(&self, max: usize) -> Batch<'_, R, C> {
            self.receive_batch(max).expect("a receive")
        }

        fn delete(&self, receipt: &Receipt) -> Result<(), Error> {
            self.delete(receipt)
        }

        fn delete_batch(&self, receipts: &[Receipt]) -> Outcomes<()> {
            self.delete_batch(receipts).expect("a batch")
        }

        fn release(&self, receipt: &Receipt) -> Result<(), Error> {
            self.release(receipt)
        }

        fn durability(&self) -> Durability {
            self.durability()
        }

        fn position(&self) -> u64 {
            self.position().expect("a position").as_u64()
        }

        fn durable_position(&self) -> u64 {
            self.durable_position().expect("a position").as_u64()
        }

        fn sync(&self) -> Result<Position, Error> {
            self.sync()
        }

        fn stat(&self) -> QueueStats {
            self.stat().expect("figures")
        }

        fn there(&self) -> Vec<u64> {
            let peeked = self.peeks().map(|peeked| peeked.expect("a look"));
            let seed = |body: &[u8]| seed_of(body).expect("a whole body");
            peeked.map(|peeked| seed(peeked.body())).collect()
        }

        fn step_at_process(&self, worker: &mut Worker<'_>) {
            worker.operate(&self.at(Durability::Process).expect("a level"));
        }
    };
}

impl<R: Region, C: Clock> Handle for Queue<R, C> {
    type Region = R;
    type Clock = C;

    as_they_are!();

    fn send(&self, seed: u64) -> Result<(), Error> {
        self.send(&body(seed)).map(|_| ())
    }

    fn send_batch(&self, seeds: &[u64]) -> Outcomes<()> {
        let bodies: Vec<Vec<u8>> = seeds.iter().map(|&seed| body(seed)).collect();
        let outcomes = self.send_batch(&bodies).expect("a batch");
        let outcomes = outcomes.into_iter();
        outcomes.map(|outcome| outcome.map(|_| ())).collect()
    }

    fn fill(&self, seed: u64, sending: impl FnOnce()) -> Result<bool, Error> {
        let bytes = body(seed);
        let mut claim = self.claim(bytes.len())?;
        claim.copy_from_slice(&bytes);
        sending();
        claim.commit();
        Ok(true)
    }

    fn purge(&self, minutes: u64) -> Result<u64, Error> {
        let hasty = Queue::open_with(self.region(), Ahead(minutes)).expect("the queue");
        hasty.at(self.durability()).expect("the same level").purge()
    }

    fn stays(seed: u64) -> bool {
        (seed >> 24).is_multiple_of(16)
    }

    fn order_of(_seed: u64) -> Option<[u64; 2]> {
        None
    }

    fn is_known(&self, _seed: u64) -> Option<bool> {
        None
    }
}

fn group_of(seed: u64) -> String {
    format!("group-{}", (seed >> 24) % GROUPS)
}

impl<R: Region, C: Clock> Handle for FifoQueue<R, C> {
    type Region = R;
    type Clock = C;

    as_they_are!();

    fn send(&self, seed: u64) -> Result<(), Error> {
        let sent = self.send(&group_of(seed), &*format!("{seed:x}"), &body(seed))?;
        assert!(!sent.is_duplicate, "no message is sent twice");
        Ok(())
    }

    fn send_batch(&self, seeds: &[u64]) -> Outcomes<()> {
        let all = seeds.iter().map(|&seed| {
            let (group, id) = (group_of(seed), format!("{seed:x}"));
            (group, id, body(seed))
        });
        let all: Vec<(String, String, Vec<u8>)> = all.collect();
        let entries: Vec<FifoEntry<'_>> = all
            .iter()
            .map(|(group, id, body)| FifoEntry::new(group, body).id(id))
            .collect();
        let outcomes = self.send_batch(&entries).expect("a batch");
        let outcomes = outcomes.into_iter();
        outcomes.map(|outcome| outcome.map(|_| ())).collect()
    }

    fn fill(&self, _seed: u64, _sending: impl FnOnce()) -> Result<bool, Error> {
        Ok(false)
    }

    fn purge(&self, minutes: u64) -> Result<u64, Error> {
        let hasty = FifoQueue::open_with(self.region(), Ahead(minutes)).expect("the queue");
        hasty.at(self.durability()).expect("the same level").purge()
    }

    fn stays(seed: u64) -> bool {
        (seed >> 24).is_multiple_of(GROUPS)
    }

    fn order_of(seed: u64) -> Option<[u64; 2]> {
        let (number, nth) = (seed >> 24, (seed >> 24) & 0xf_ffff);
        Some([(number >> 20) * GROUPS + number % GROUPS, nth])
    }

    fn is_known(&self, seed: u64) -> Option<bool> {
        if self.options().get_dedup_interval() < LONG {
            return None;
        }
        match self.send(&group_of(seed), &*format!("{seed:x}"), &body(seed)) {
            Ok(sent) => Some(sent.is_duplicate),
            Err(Error::Full | Error::DeduplicationFull { .. }) => Some(false),
            Err(other) => panic!("{other}"),
        }
    }
}
