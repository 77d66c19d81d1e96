//! Receives with an attempt id: what a repetition gives, and when it gives something else.

use super::common::Numbers;
use super::homes::{Got, Ground, OPTIONS, VISIBILITY, bodies_of, delete};
use ringmain::{Error, FifoOptions, FifoQueue, Heap, ManualClock, Receipt, Region};
use std::collections::HashMap;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const KEPT: Duration = Duration::from_secs(300);

#[track_caller]
fn attempt<'a, R: Region>(on: &Ground<'a, R>, max: usize, id: &str) -> Vec<Got<'a, R>> {
    let batch = on.queue.receive_batch_attempt(max, id).expect("a receive");
    batch.into_iter().collect()
}

#[track_caller]
fn attempt_these<'a, R: Region>(
    on: &Ground<'a, R>,
    max: usize,
    id: &str,
    bodies: &[&str],
) -> Vec<Got<'a, R>> {
    let received = attempt(on, max, id);
    assert_eq!(bodies_of(&received), bodies);
    received
}

fn detach<R: Region>(received: Vec<Got<'_, R>>) -> Vec<Receipt> {
    received.into_iter().map(|got| got.detach()).collect()
}

fn send_some<R: Region>(on: &Ground<'_, R>) {
    for id in ["a1", "a2", "a3", "b1", "b2"] {
        on.send(&id[..1], id);
    }
}

/// The same messages in the same order, by handles that are dropped, detached or kept; what was
/// received before is stale, and each repetition is a receive.
pub fn a_repetition_gives_the_same<R: Region>(on: &Ground<'_, R>) {
    send_some(on);
    let all = ["a1", "a2", "a3", "b1"];
    drop(attempt_these(on, 4, "id", &all));
    let detached = detach(attempt_these(on, 4, "id", &all));
    let kept = attempt_these(on, 4, "id", &all);
    assert!(kept.iter().all(|got| got.receive_count() == 3));
    let last = attempt_these(on, 4, "id", &all);
    assert_eq!(bodies_of(&kept), all, "the former ones still read");
    on.receive_these(10, &[]);
    for receipt in &detached {
        assert_eq!(on.queue.delete(receipt), Err(Error::StaleReceipt));
    }
    for got in kept {
        assert_eq!(got.delete(), Err(Error::StaleReceipt));
    }
    assert_eq!(on.stat().in_flight, 4);
    delete(last);
    delete(on.receive_these(10, &["b2"]));
}

/// The visibility timeout begins anew, an extension is replaced, and what is over comes back.
pub fn a_repetition_begins_the_timeout_anew<R: Region>(on: &Ground<'_, R>) {
    send_some(on);
    let first = attempt_these(on, 2, "id", &["a1", "a2"]);
    on.queue
        .extend(&first[0].receipt(), 4 * VISIBILITY)
        .expect("in flight");
    on.pass(VISIBILITY - SECOND);
    drop(first);
    drop(attempt_these(on, 2, "id", &["a1", "a2"]));
    on.pass(VISIBILITY - SECOND);
    drop(on.receive_these(10, &["b1", "b2"]));
    on.pass(SECOND);
    // They have come back: whoever receives first has them, and the attempt is over.
    let others = on.receive_these(3, &["a1", "a2", "a3"]);
    drop(attempt_these(on, 10, "id", &[]));
    delete(others);
}

/// The first that was deleted or came back ends it; and it is a new receive if that is the oldest.
pub fn a_repetition_ends_at_what_is_gone<R: Region>(on: &Ground<'_, R>) {
    send_some(on);
    let mut first = attempt_these(on, 3, "id", &["a1", "a2", "a3"]);
    first.remove(1).delete().expect("in flight");
    let mut again = attempt_these(on, 3, "id", &["a1"]);
    assert_eq!(again[0].receive_count(), 2);
    again.remove(0).delete().expect("in flight");
    // A new receive: of the other group, since the first call still has one of this.
    let other = attempt_these(on, 1, "id", &["b1"]);
    let again = attempt_these(on, 1, "id", &["b1"]);
    drop(other);
    again
        .into_iter()
        .for_each(|got| got.release().expect("in flight"));
    drop(attempt_these(on, 10, "id", &["b1", "b2"]));
    delete(first.split_off(1));
    let fewer = attempt_these(on, 1, "id", &["b1"]);
    drop(attempt_these(on, 10, "id", &["b1"]));
    drop(fewer);
}

/// It is kept for 5 min from the first call, as long as its messages are in flight.
pub fn an_attempt_is_kept_for_five_minutes<R: Region>(on: &Ground<'_, R>) {
    let hour = 120 * VISIBILITY;
    on.with(OPTIONS.visibility(hour), |on| {
        send_some(on);
        drop(attempt_these(on, 1, "id", &["a1"]));
        on.pass(KEPT / 2);
        drop(attempt_these(on, 1, "id", &["a1"]));
        on.pass(KEPT / 2 - Duration::from_millis(1));
        let last = attempt_these(on, 1, "id", &["a1"]);
        on.pass(Duration::from_millis(1));
        let other = attempt_these(on, 1, "id", &["b1"]);
        delete(last);
        delete(other);
    });
}

/// Ids differ by any byte, and have the form of deduplication ids.
pub fn attempt_ids_keep_the_rules<R: Region>(on: &Ground<'_, R>) {
    send_some(on);
    let long = "x".repeat(128);
    let other = format!("{}y", "x".repeat(127));
    let a = attempt_these(on, 1, &long, &["a1"]);
    let b = attempt_these(on, 1, &other, &["b1"]);
    drop((a, b));
    drop(attempt_these(on, 1, &long, &["a1"]));
    drop(attempt_these(on, 1, &other, &["b1"]));
    for (bad, wrong_at) in [("", 0), ("a b", 1), (&*"x".repeat(129), 128)] {
        let refused = on.queue.receive_batch_attempt(1, bad).map(|_| ());
        assert!(
            matches!(refused, Err(Error::AttemptId { at, .. }) if at == wrong_at),
            "{refused:?}"
        );
    }
    for max in [0, 11] {
        let refused = on.queue.receive_batch_attempt(max, "id").map(|_| ());
        assert_eq!(refused, Err(Error::BatchSize { len: max }));
    }
}

/// A full table refuses, and has room again when messages are gone. What found nothing takes none.
pub fn a_full_table_of_attempts_refuses<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.attempts(1), |on| {
        assert_eq!(on.queue.options().get_attempts(), Some(8));
        for number in 0..20 {
            drop(attempt_these(on, 1, &format!("none{number}"), &[]));
        }
        for number in 0..10 {
            on.send(&format!("g{number}"), &format!("{number}"));
        }
        let mut received: Vec<_> = (0..8)
            .flat_map(|number| attempt(on, 1, &format!("id{number}")))
            .collect();
        assert_eq!(received.len(), 8);
        let refused = on.queue.receive_batch_attempt(1, "more").map(|_| ());
        assert_eq!(refused, Err(Error::AttemptsFull { max: 8 }));
        assert_eq!(on.stat().in_flight, 8, "nothing is received by it");
        let again = attempt(on, 1, "id3");
        assert_eq!(bodies_of(&again), ["3"]);
        received.remove(5).delete().expect("in flight");
        delete(attempt_these(on, 1, "more", &["8"]));
        drop(received);
        on.pass(VISIBILITY);
        assert_eq!(
            attempt(on, 10, "after").len(),
            8,
            "what came back gives room"
        );
    });
    on.with(OPTIONS.attempts(0), |on| {
        on.send("g", "1");
        let refused = on.queue.receive_batch_attempt(1, "id").map(|_| ());
        assert!(matches!(refused, Err(Error::Unsupported { .. })));
        delete(on.receive_these(1, &["1"]));
    });
    let default = on.queue.options().get_attempts().expect("a number");
    let expected = (on.stat().slots / 16).clamp(16, 1024).next_multiple_of(8);
    assert_eq!(default, expected);
}

/// A purge takes the messages; the attempt is a new one after it.
pub fn a_purge_ends_attempts<R: Region>(on: &Ground<'_, R>) {
    send_some(on);
    let before = attempt(on, 10, "id");
    assert_eq!(on.queue.purge(), Ok(5));
    drop(before);
    drop(attempt_these(on, 10, "id", &[]));
    on.send("a", "new");
    delete(attempt_these(on, 10, "id", &["new"]));
}

/// A repetition counts: one that is one too many is a dead letter's, and gives what is behind it.
pub fn repetitions_count<R: Region>(on: &Ground<'_, R>) {
    let dead = FifoQueue::create_with(
        Heap::new(1 << 20).expect("memory"),
        FifoOptions::new(),
        on.clock,
    );
    let dead = dead.expect("a queue");
    on.with(OPTIONS.max_receives(2), |on| {
        let queue = on.queue.by_ref();
        let queue = queue.with_dead_letters(dead.by_ref()).expect("a pair");
        on.send("a", "a1");
        on.send("a", "a2");
        for expected in ["a1", "a1", "a2"] {
            let batch = queue.receive_batch_attempt(1, "id").expect("a receive");
            assert_eq!(batch[0].body(), expected.as_bytes());
        }
        let letter = dead.receive().expect("a receive").expect("a letter");
        assert_eq!(letter.body(), b"a1");
    });
}

/// While the present reader and two former ones are at it, nobody takes it over.
pub fn three_readers_are_told<R: Region>(on: &Ground<'_, R>) {
    send_some(on);
    let mut readers: Vec<_> = (0..3)
        .map(|_| attempt_these(on, 1, "id", &["a1"]))
        .collect();
    let refused = on.queue.receive_batch_attempt(1, "id").map(|_| ());
    assert_eq!(refused, Err(Error::Pinned { max: 2 }));
    drop(readers.remove(0));
    let last = attempt_these(on, 1, "id", &["a1"]);
    for reader in readers {
        assert_eq!(bodies_of(&reader), ["a1"]);
        drop(reader);
    }
    delete(last);
}

/// What an attempt of the plain model received: sequence numbers, each with its receive.
type Taken = Vec<(u128, u32)>;

/// Random histories against the rule: the longest part from the first on that stands, or a new
/// receive.
#[test]
fn attempts_and_model_agree() {
    for seed in 0..40 {
        let clock = ManualClock::new(1_000_000);
        let options = FifoOptions::new().visibility(10 * SECOND).attempts(400);
        let queue = FifoQueue::create_with(Heap::new(1 << 20).expect("memory"), options, &clock);
        let queue = queue.expect("a queue");
        let (mut numbers, mut now_ms) = (Numbers(seed), 0);
        // Each message in flight: which receive it was, its receipt, and when its time is over.
        let mut held: HashMap<u128, (u32, Receipt, u64)> = HashMap::new();
        let mut attempts: HashMap<u64, (Taken, u64)> = HashMap::new();
        let mut repeated = 0;
        for number in 0..600 {
            held.retain(|_, (_, _, until_ms)| *until_ms > now_ms);
            match numbers.below(10) {
                0..2 => {
                    let (group, id) = (numbers.below(4), format!("{number}"));
                    let sent = queue.send(&format!("g{group}"), &*id, b"a body");
                    assert!(!sent.expect("room").is_duplicate);
                }
                2..7 => {
                    let (id, max) = (numbers.below(6), 1 + numbers.below(4) as usize);
                    let batch = queue.receive_batch_attempt(max, &format!("id{id}"));
                    let batch = batch.expect("a receive");
                    let stands = |(sequence, count): &&(u128, u32)| {
                        held.get(sequence).is_some_and(|held| held.0 == *count)
                    };
                    let kept = attempts.get(&id).filter(|(_, until_ms)| *until_ms > now_ms);
                    let again: Taken = kept.map_or(Vec::new(), |(taken, _)| {
                        taken.iter().take_while(stands).take(max).copied().collect()
                    });
                    let until_ms = match again.is_empty() {
                        true => now_ms + 300_000,
                        false => attempts[&id].1,
                    };
                    let of = |got: &ringmain::Received<'_, _, _>| {
                        (
                            got.sequence_number().expect("a number").as_u128(),
                            got.receive_count(),
                        )
                    };
                    let found: Taken = batch.iter().map(of).collect();
                    if again.is_empty() {
                        assert!(
                            found
                                .iter()
                                .all(|(sequence, _)| !held.contains_key(sequence))
                        );
                    } else {
                        let next: Taken = again.iter().map(|one| (one.0, one.1 + 1)).collect();
                        assert_eq!(found, next, "seed {seed}, operation {number}");
                        repeated += 1;
                    }
                    for got in &batch {
                        let (sequence, count) = of(got);
                        held.insert(sequence, (count, got.receipt(), now_ms + 10_000));
                    }
                    attempts.insert(id, (found, until_ms));
                }
                7..9 => {
                    let mut all: Vec<_> = held.keys().copied().collect();
                    all.sort_unstable();
                    if !all.is_empty() {
                        let sequence = all[numbers.below(all.len() as u64) as usize];
                        let (_, receipt, _) = held.remove(&sequence).expect("held");
                        let settled = match numbers.below(2) {
                            0 => queue.delete(&receipt),
                            _ => queue.release(&receipt),
                        };
                        settled.expect("the latest receive's");
                    }
                }
                _ => {
                    let ms = [1, 999, 4_000, 10_000][numbers.below(4) as usize];
                    now_ms += ms;
                    clock.advance(Duration::from_millis(ms));
                }
            }
        }
        assert!(repeated > 20, "seed {seed}: {repeated} repetitions only");
    }
}
