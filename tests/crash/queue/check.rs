//! Looks at an image of a queue: empties and fills it, and says what is wrong.

use super::handle::Handle;
use super::tale::Expected;
use crate::image::{Image, Looker};
use crate::tale::{seed, seed_of};
use ringmain::{Durability, Error, FifoQueue, Queue};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

pub fn look(looker: &mut Looker<'_>, image: &Image, expected: &Expected) {
    looker.stop_in_recovery(image);
    let (filled, before) = {
        let region = looker.open();
        let filled = match Queue::open(&region) {
            Err(Error::Kind { .. }) => {
                let queue = FifoQueue::open(&region).expect("a queue that opens");
                let process = queue.at(Durability::Process).expect("a level");
                drain_and_fill(looker, &process, expected)
            }
            queue => {
                let queue = queue.expect("a queue that opens");
                let process = queue.at(Durability::Process).expect("a level");
                drain_and_fill(looker, &process, expected)
            }
        };
        (filled, looker.region())
    };
    if filled.is_empty() || looker.numbers.below(3) == 0 {
        looker.stop(&before);
        let region = looker.open();
        let again = Expected {
            gone: &(&expected.known | &expected.gone) - &filled,
            known: filled.clone(),
            safe: filled,
            ..Expected::default()
        };
        match Queue::open(&region) {
            Err(Error::Kind { .. }) => {
                let queue = FifoQueue::open(&region).expect("a queue that opens");
                let process = queue.at(Durability::Process).expect("a level");
                drain(looker, &process, &again);
            }
            queue => {
                let queue = queue.expect("a queue that opens");
                let process = queue.at(Durability::Process).expect("a level");
                drain(looker, &process, &again);
            }
        }
    }
}

/// Receives and deletes everything, and looks what is known of ids; what it then has sent.
fn drain_and_fill(
    looker: &mut Looker<'_>,
    queue: &impl Handle,
    expected: &Expected,
) -> HashSet<u64> {
    let seeds = drain(looker, queue, expected);
    ask(looker, queue, &seeds, expected);
    // A queue that was left empty shows what a full one would cover.
    match looker.numbers.below(4) {
        0 => HashSet::new(),
        _ => fill(queue),
    }
}

/// Sends all messages of a FIFO queue again: those that are known to it are told to be duplicates,
/// and those that are not there and were never deleted are not.
fn ask(looker: &mut Looker<'_>, queue: &impl Handle, seeds: &HashSet<u64>, expected: &Expected) {
    let mut asked = false;
    for &seed in expected.accepted.union(&expected.staying) {
        let there = seeds.contains(&seed);
        let Some(known) = queue.is_known(seed) else {
            return;
        };
        asked = true;
        if !known && (there || expected.accepted.contains(&seed)) {
            looker.tally.twice += 1;
            let _ = write!(looker.words, "accepted again: {seed:x}; ");
        }
        if known && !there && !expected.accepted.contains(&seed) {
            looker.tally.lost += 1;
            let _ = write!(looker.words, "a duplicate of nothing: {seed:x}; ");
        }
    }
    while asked {
        let batch = queue.receive_batch(10);
        asked = !batch.is_empty();
        for outcome in batch.delete() {
            outcome.expect("a delete");
        }
    }
    queue.sync().expect("a sync");
}

/// Whether a message that is there has to be.
fn has_to_be(looker: &mut Looker<'_>, seed: u64, expected: &Expected) -> bool {
    if expected.gone.contains(&seed) {
        looker.tally.resurrected += 1;
        let _ = write!(looker.words, "resurrected {seed:x}; ");
    } else if !expected.known.contains(&seed) {
        looker.tally.damaged += 1;
        let _ = write!(looker.words, "never sent {seed:x}; ");
    }
    expected.safe.contains(&seed)
}

/// Receives and deletes everything: what was there.
fn drain(looker: &mut Looker<'_>, queue: &impl Handle, expected: &Expected) -> HashSet<u64> {
    let (mut seeds, mut ids) = (HashSet::new(), HashSet::new());
    let mut latest = HashMap::new();
    let mut found = 0;
    loop {
        let batch = queue.receive_batch(10);
        if batch.is_empty() {
            break;
        }
        for received in &batch {
            let Some(seed) = seed_of(received.body()) else {
                looker.tally.damaged += 1;
                let _ = write!(looker.words, "not whole: {:?}; ", received.id());
                continue;
            };
            found += usize::from(has_to_be(looker, seed, expected));
            if let Some([whose, nth]) = order_of(queue, seed)
                && latest.insert(whose, nth).is_some_and(|before| before > nth)
            {
                looker.tally.damaged += 1;
                let _ = write!(looker.words, "out of order: {seed:x}; ");
            }
            if !seeds.insert(seed) || !ids.insert(received.id()) {
                looker.tally.twice += 1;
                let _ = write!(looker.words, "twice: {seed:x}; ");
            }
        }
        for outcome in batch.delete() {
            outcome.expect("a delete");
        }
    }
    let safe = expected.safe.len();
    let lost = safe.saturating_sub(found) as u64;
    looker.tally.durable += safe as u64;
    looker.tally.lost += lost;
    if lost != 0 {
        let _ = write!(looker.words, "{lost} lost of {safe}; ");
    }
    queue.sync().expect("a sync");
    let stat = queue.stat();
    assert_eq!(
        (stat.slots_free, stat.damaged, stat.expired),
        (stat.slots, 0, 0),
        "an emptied queue is empty"
    );
    seeds
}

fn order_of<Q: Handle>(_queue: &Q, seed: u64) -> Option<[u64; 2]> {
    Q::order_of(seed)
}

/// Fills the queue to the last slot, or with as many as it has ids for, for good.
fn fill(queue: &impl Handle) -> HashSet<u64> {
    let mut seeds = HashSet::new();
    let full = loop {
        let seed = seed((1 << 39) + seeds.len() as u64, 8);
        match queue.send(seed) {
            Ok(()) => assert!(seeds.insert(seed)),
            Err(Error::Full) => break true,
            Err(Error::DeduplicationFull { .. }) => break false,
            Err(other) => panic!("{other}"),
        }
    };
    let stat = queue.stat();
    assert!(
        !full || seeds.len() as u64 == stat.slots,
        "every slot can be used"
    );
    queue.sync().expect("a sync");
    seeds
}
