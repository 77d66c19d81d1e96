//! Producing and consuming, and what came of it.

use crate::common::{Numbers, body, seed_of};
use ringmain::{Clock, Error, MessageId, Queue, Received, Region};
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Nothing here takes this long, unless it hangs.
const HANGS: Duration = Duration::from_secs(120);

/// What a consumer processed.
#[derive(Debug, Default)]
pub struct Tally {
    /// The seeds of the bodies, as often as they came.
    pub seeds: Vec<u64>,
    /// Bodies whose bytes were not those of their seed.
    pub damaged: u64,
    /// Deletes, releases and extensions that came too late, or while too many read.
    pub stale: u64,
}

/// The seed of message `number` of sender `sender`.
fn seed(sender: u64, number: u64) -> u64 {
    (sender << 32) | number
}

impl Tally {
    pub fn with(mut self, mut other: Tally) -> Tally {
        self.seeds.append(&mut other.seeds);
        self.damaged += other.damaged;
        self.stale += other.stale;
        self
    }

    /// Counts what became of a delete, a release or an extension.
    fn count(&mut self, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => {}
            Err(Error::StaleReceipt | Error::NotInFlight | Error::Pinned { .. }) => {
                self.stale += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn expected(senders: u64, each: u64) -> Tally {
        let all = (0..senders).flat_map(|sender| (0..each).map(move |n| seed(sender, n)));
        Tally {
            seeds: all.collect(),
            ..Tally::default()
        }
    }

    pub fn is_each_once(&self, senders: u64, each: u64) {
        let mut seeds = self.seeds.clone();
        let expected = Tally::expected(senders, each);
        seeds.sort_unstable();
        let sum = |seeds: &[u64]| seeds.iter().fold(0u64, |sum, seed| sum.wrapping_add(*seed));
        assert_eq!(seeds.len(), expected.seeds.len());
        assert_eq!(sum(&seeds), sum(&expected.seeds));
        assert!(seeds == expected.seeds, "each message once");
    }

    pub fn is_each_at_least_once(&self, senders: u64, each: u64) {
        let expected = Tally::expected(senders, each);
        self.has_all_of(&expected);
        expected.has_all_of(self);
    }

    pub fn has_all_of(&self, other: &Tally) {
        let have: HashSet<u64> = self.seeds.iter().copied().collect();
        let lost = other
            .seeds
            .iter()
            .filter(|seed| !have.contains(seed))
            .count();
        assert_eq!(lost, 0, "of {} messages", other.seeds.len());
    }
}

/// Sends `each` messages, singly, in batches and in place, waiting for room; tells of each that was
/// accepted.
pub fn produce<R: Region>(queue: &Queue<R>, sender: u64, each: u64, mut accepted: impl FnMut(u64)) {
    let mut numbers = Numbers(sender);
    let (mut next, started) = (0, Instant::now());
    while next < each {
        let count = (each - next).min(1 + numbers.below(10));
        let seeds: Vec<u64> = (next..next + count)
            .map(|number| seed(sender, number))
            .collect();
        next += count;
        let mut some_body = |seed: &u64| {
            let longest = 1 << numbers.below(10);
            body(*seed, 8 + numbers.below(longest) as usize)
        };
        let bodies: Vec<Vec<u8>> = seeds.iter().map(&mut some_body).collect();
        let sent: Vec<bool> = if count == 1 {
            vec![send_one(queue, &bodies[0], numbers.below(2) == 0)]
        } else {
            let outcomes = queue.send_batch(&bodies).expect("a batch");
            outcomes.into_iter().map(has_room).collect()
        };
        for ((seed, body), mut sent) in seeds.into_iter().zip(&bodies).zip(sent) {
            while !sent {
                assert!(started.elapsed() < HANGS, "there is no room for ever");
                std::thread::yield_now();
                sent = send_one(queue, body, false);
            }
            accepted(seed);
        }
    }
}

fn send_one<R: Region>(queue: &Queue<R>, body: &[u8], in_place: bool) -> bool {
    let result = if in_place {
        queue.claim(body.len()).map(|mut claim| {
            claim.copy_from_slice(body);
            claim.commit()
        })
    } else {
        queue.send(body)
    };
    has_room(result)
}

fn has_room(result: Result<MessageId, Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(Error::Full) => false,
        Err(error) => panic!("{error}"),
    }
}

/// How a consumer goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Looks at each body and deletes the batch.
    Fast,
    /// Looks twice, so that others receive what this one still reads.
    Slow,
    /// Looks twice, and then settles each message in another way: not always by deleting it.
    Fickle,
}

/// Receives and deletes until `done` and nothing is left; tells of each before it is deleted.
pub fn consume<R: Region>(
    queue: &Queue<R>,
    pace: Pace,
    done: impl Fn() -> bool,
    mut processed: impl FnMut(&[u64]),
) -> Tally {
    let (mut tally, started) = (Tally::default(), Instant::now());
    loop {
        let batch = queue
            .receive_batch_timeout(10, Duration::from_millis(20))
            .expect("a wait");
        if batch.is_empty() {
            let stat = queue.stat().expect("figures");
            if done() && stat.slots_free == stat.slots {
                return tally;
            }
            assert!(started.elapsed() < HANGS, "it does not end: {stat:?}");
            continue;
        }
        let seeds: Vec<Option<u64>> = batch
            .iter()
            .map(|message| seed_of(message.body()))
            .collect();
        if pace != Pace::Fast {
            std::thread::yield_now();
            for (message, seed) in batch.iter().zip(&seeds) {
                tally.damaged += (seed_of(message.body()) != *seed) as u64;
            }
        }
        let whole: Vec<u64> = seeds.iter().flatten().copied().collect();
        tally.damaged += (seeds.len() - whole.len()) as u64;
        processed(&whole);
        tally.seeds.extend(whole);
        if pace == Pace::Fickle {
            for message in batch {
                tally.count(settle(queue, message));
            }
            tally.damaged += copies(queue);
        } else {
            for outcome in batch.delete() {
                tally.count(outcome);
            }
        }
    }
}

/// Settles a message in one of the ways that there are, as its receive count says.
fn settle<R: Region, C: Clock>(
    queue: &Queue<R, C>,
    mut message: Received<'_, R, C>,
) -> Result<(), Error> {
    match message.receive_count() % 6 {
        1 => message.release(),
        2 => {
            message.extend(Duration::from_millis(1))?;
            message.delete()
        }
        3 => queue.delete(&message.detach()),
        4 => {
            queue.release(&message.receipt())?;
            drop(message); // it was read until now
            Ok(())
        }
        5 => {
            queue.delete(&message.receipt())?;
            drop(message);
            Ok(())
        }
        _ => {
            drop(message); // visible again by its time
            Ok(())
        }
    }
}

/// Copies a message out and releases it; counts it if its bytes were not those of its seed.
fn copies<R: Region, C: Clock>(queue: &Queue<R, C>) -> u64 {
    let mut buffer = [0; 600];
    match queue.receive_into(&mut buffer) {
        Ok(Some(copied)) => {
            let whole = seed_of(&buffer[..copied.len]).is_some();
            match queue.release(&copied.receipt) {
                Ok(()) | Err(Error::StaleReceipt | Error::NotInFlight) => !whole as u64,
                Err(error) => panic!("{error}"),
            }
        }
        Ok(None) | Err(Error::BufferTooSmall { .. }) => 0,
        Err(error) => panic!("{error}"),
    }
}
