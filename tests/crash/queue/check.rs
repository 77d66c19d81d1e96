//! Looks at an image of a queue: empties and fills it, and says what is wrong.

use super::tale::Expected;
use crate::image::{Image, Looker};
use crate::tale::{body, seed, seed_of};
use ringmain::{Durability, Error, Mapped, Queue};
use std::collections::HashSet;
use std::fmt::Write as _;

pub fn look(looker: &mut Looker<'_>, image: &Image, expected: &Expected) {
    looker.stop_in_recovery(image);
    let (filled, before) = {
        let region = looker.open();
        let queue = Queue::open(&region).expect("a queue that opens");
        drain(looker, &queue, expected);
        let before = looker.region();
        // A queue that was left empty shows what a full one would cover.
        let filled = match looker.numbers.below(4) {
            0 => HashSet::new(),
            _ => fill(&queue),
        };
        (filled, before)
    };
    if filled.is_empty() || looker.numbers.below(3) == 0 {
        looker.stop(&before);
        let region = looker.open();
        let queue = Queue::open(&region).expect("a queue that opens");
        let again = Expected {
            gone: &(&expected.known | &expected.gone) - &filled,
            known: filled.clone(),
            safe: filled,
        };
        drain(looker, &queue, &again);
    }
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

/// Receives and deletes everything.
fn drain(looker: &mut Looker<'_>, queue: &Queue<&Mapped>, expected: &Expected) {
    let process = queue.at(Durability::Process).expect("a level");
    let (mut seeds, mut ids) = (HashSet::new(), HashSet::new());
    let mut found = 0;
    loop {
        let batch = process.receive_batch(10).expect("a receive");
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
    let stat = queue.stat().expect("figures");
    assert_eq!(
        (stat.slots_free, stat.damaged, stat.expired),
        (stat.slots, 0, 0),
        "an emptied queue is empty"
    );
}

/// Fills the queue to the last slot, for good.
fn fill(queue: &Queue<&Mapped>) -> HashSet<u64> {
    let process = queue.at(Durability::Process).expect("a level");
    let mut seeds = HashSet::new();
    loop {
        let seed = seed((1 << 39) + seeds.len() as u64, 8);
        match process.send(&body(seed)) {
            Ok(_) => assert!(seeds.insert(seed)),
            Err(Error::Full) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(seeds.len(), queue.capacity(), "every slot can be used");
    queue.sync().expect("a sync");
    seeds
}
