//! Histories of the rings against plain queues and sets of the standard library.

use crate::ground::input::Input;
use ringmain::ring::{Full, bag, mpmc, spsc};
use std::collections::{HashSet, VecDeque};

const STEPS_MAX: usize = 2000;
const BATCH_MAX: usize = 20;

/// The input: `{ ring, capacity, steps }`.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte() % 3;
    let capacity = 1 + input.byte() as usize;
    match kind {
        0 => spsc_history(capacity, input),
        1 => mpmc_history(capacity, input),
        _ => bag_history(capacity, input),
    }
}

/// Values that tell one from another, and that would be missed if they were dropped unseen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Value(Box<u32>);

fn value(number: u32) -> Value {
    Value(Box::new(number))
}

fn steps(mut input: Input<'_>) -> impl Iterator<Item = (u8, usize)> {
    (0..STEPS_MAX).map_while(move |_| {
        (!input.is_empty()).then(|| (input.byte(), input.byte() as usize % BATCH_MAX))
    })
}

fn spsc_history(capacity: usize, input: Input<'_>) {
    let (mut producer, mut consumer) = spsc::<Value>(capacity).expect("a small ring");
    let mut model = VecDeque::new();
    let mut next = 0u32;
    for (operation, count) in steps(input) {
        let room = capacity - model.len();
        let fresh: Vec<Value> = (next..).take(count).map(value).collect();
        let added = match operation % 10 {
            0 => match producer.push(value(next)) {
                Ok(()) => 1,
                Err(Full(back)) => {
                    assert_eq!((back, room), (value(next), 0), "the value comes back");
                    0
                }
            },
            1 => producer.push_from(&mut fresh.into_iter()),
            2 | 3 => match producer.claim(count) {
                Err(Full(())) => {
                    assert!(count > room, "{count} claimed, room for {room}");
                    0
                }
                Ok(mut claim) => {
                    assert_eq!(claim.len(), count, "all or nothing");
                    let filled = count.min(operation as usize / 10);
                    for number in 0..filled {
                        let pushed = claim.push(value(next + number as u32));
                        pushed.expect("claimed room");
                    }
                    if operation.is_multiple_of(2) {
                        claim.commit()
                    } else {
                        drop(claim);
                        0
                    }
                }
            },
            4 => {
                assert_eq!(consumer.pop(), model.pop_front());
                0
            }
            5 => {
                let drained: Vec<Value> = consumer.drain(count).collect();
                let expected: Vec<Value> = model.drain(..count.min(model.len())).collect();
                assert_eq!(drained, expected);
                0
            }
            6 => {
                // A drain that is given up takes nothing more, and keeps the order.
                let taken: Vec<Value> = consumer.drain(count).take(count / 2).collect();
                assert_eq!(
                    taken,
                    model.iter().take(taken.len()).cloned().collect::<Vec<_>>()
                );
                let left = consumer.len();
                assert!(left <= model.len() - taken.len());
                model.drain(..model.len() - left);
                0
            }
            7 => {
                assert_eq!(consumer.peek(), model.front());
                0
            }
            _ => {
                let read = consumer.read(count);
                let expected = count.min(model.len());
                assert_eq!((read.len(), read.is_empty()), (expected, expected == 0));
                assert!(read.iter().eq(model.iter().take(expected)));
                assert_eq!(read.get(expected), None);
                let (front, back) = read.as_slices();
                assert_eq!(front.len() + back.len(), expected);
                if operation.is_multiple_of(2) {
                    let gone = read.commit(count / 2);
                    assert_eq!(gone, expected.min(count / 2));
                    model.drain(..gone);
                }
                0
            }
        };
        assert!(added <= room, "{added} in room for {room}");
        model.extend((next..).take(added).map(value));
        next += BATCH_MAX as u32;
        let (len, full) = (model.len(), model.len() == capacity);
        assert_eq!((producer.len(), consumer.len()), (len, len));
        assert_eq!((producer.is_full(), consumer.is_empty()), (full, len == 0));
    }
    drop(producer);
    assert!(consumer.is_closed());
    assert_eq!(consumer.drain(usize::MAX).collect::<VecDeque<_>>(), model);
}

fn mpmc_history(capacity: usize, input: Input<'_>) {
    let ring = mpmc::<u32>(capacity).expect("a small ring");
    let mut model = VecDeque::new();
    let mut next = 0u32;
    for (operation, count) in steps(input) {
        let room = capacity - model.len();
        let fresh: Vec<u32> = (next..).take(count).collect();
        let added = match operation % 8 {
            0 => usize::from(ring.push(next).is_ok()),
            1 => ring.push_batch(&fresh),
            2 => ring.push_from(&mut fresh.into_iter()),
            3 => match ring.claim() {
                Ok(claim) => {
                    claim.commit(next);
                    1
                }
                Err(Full(())) => 0,
            },
            4 => {
                assert_eq!(ring.pop(), model.pop_front());
                0
            }
            5 => {
                let popped = ring.pop_many::<7>();
                let expected: Vec<u32> = model.drain(..model.len().min(7)).collect();
                assert_eq!(popped.as_slice(), expected);
                0
            }
            _ => {
                let mut target = vec![0; count];
                let popped = ring.pop_batch(&mut target);
                let expected: Vec<u32> = model.drain(..model.len().min(count)).collect();
                assert_eq!(target[..popped], expected[..]);
                0
            }
        };
        assert_eq!(
            added == 0,
            room == 0 || operation % 8 > 3 || is_none(operation, count)
        );
        assert!(added <= room);
        model.extend((next..).take(added));
        next += BATCH_MAX as u32;
        assert_eq!(
            (ring.len(), ring.is_empty()),
            (model.len(), model.is_empty())
        );
        assert_eq!(ring.is_full(), model.len() == capacity);
    }
    assert!(std::iter::from_fn(|| ring.pop()).eq(model));
}

/// A batch of nothing.
fn is_none(operation: u8, count: usize) -> bool {
    matches!(operation % 8, 1 | 2) && count == 0
}

fn bag_history(capacity: usize, input: Input<'_>) {
    let bag = bag::<u32>(capacity).expect("a small bag");
    let capacity = bag.capacity();
    let mut model = HashSet::new();
    let mut claims = Vec::new();
    let mut next = 0u32;
    for (operation, count) in steps(input) {
        let room = capacity - model.len() - claims.len();
        let fresh: Vec<u32> = (next..).take(count).collect();
        let (mut added, mut popped) = (0, Vec::new());
        match operation % 8 {
            0 => added = usize::from(bag.push(next).is_ok()),
            1 => added = bag.push_batch(&fresh),
            2 => added = bag.push_from(&mut fresh.into_iter()),
            3 => match bag.claim() {
                Ok(claim) => claims.push(claim),
                Err(Full(())) => assert_eq!(room, 0),
            },
            4 => {
                if let Some(claim) = claims.pop() {
                    if count.is_multiple_of(2) {
                        claim.commit(next);
                        added = 1;
                    } else {
                        drop(claim);
                    }
                }
            }
            5 => popped.extend(bag.pop()),
            6 => popped.extend(bag.pop_many::<7>()),
            _ => {
                let mut target = vec![0; count];
                let len = bag.pop_batch(&mut target);
                popped.extend_from_slice(&target[..len]);
            }
        }
        for value in popped {
            assert!(model.remove(&value), "{value} is not there, or came twice");
        }
        model.extend((next..).take(added));
        next += BATCH_MAX as u32;
        assert_eq!((bag.len(), bag.is_empty()), (model.len(), model.is_empty()));
        assert!(model.len() + claims.len() <= capacity);
    }
    drop(claims);
    for value in std::iter::from_fn(|| bag.pop()) {
        assert!(model.remove(&value), "{value} is not there, or came twice");
    }
    assert!(model.is_empty(), "lost: {model:?}");
}
