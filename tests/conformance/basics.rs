//! Send, receive, delete; order; claims; a full queue.

use super::ground::Ground;
use ringmain::{Error, Region};
use std::collections::HashSet;

pub fn what_is_sent_is_received_until_deleted<R: Region>(on: &Ground<'_, R>) {
    on.nothing();
    on.send(b"hello");
    assert_eq!(on.counts(), (1, 0));
    let received = on.receive();
    assert_eq!(received.body(), b"hello");
    assert_eq!(received.as_ref(), b"hello");
    assert_eq!(on.counts(), (0, 1));
    on.nothing();
    received.delete().expect("a delete");
    assert_eq!(on.counts(), (0, 0));
    on.nothing();
}

pub fn order_is_close_to_send_order<R: Region>(on: &Ground<'_, R>) {
    // Nothing fails and nobody competes: the order is the send order, over several laps.
    let (mut sent, mut received) = (0u32, 0u32);
    for round in 0..40 {
        for _ in 0..(1 + round % 17) {
            on.send(&sent.to_le_bytes());
            sent += 1;
        }
        while let Some(message) = on.queue.receive().expect("a receive") {
            assert_eq!(message.body(), received.to_le_bytes());
            received += 1;
            message.delete().expect("a delete");
        }
        assert_eq!(sent, received);
    }
}

pub fn claims_are_sent_by_commit_alone<R: Region>(on: &Ground<'_, R>) {
    let free = on.slots_free();
    let mut claim = on.queue.claim(5).expect("room");
    assert_eq!(claim.len(), 5);
    claim.copy_from_slice(b"fives");
    assert_eq!(&claim[..], b"fives");
    on.nothing();
    assert_eq!(on.slots_free(), free - 1);
    let id = claim.commit();
    let received = on.receive();
    assert_eq!((received.body(), received.id()), (&b"fives"[..], id));
    received.delete().expect("a delete");

    let mut claim = on.queue.claim(5).expect("room");
    claim.copy_from_slice(b"never");
    claim.abort();
    drop(on.queue.claim(on.queue.max_body()).expect("room"));
    assert_eq!(on.slots_free(), free);
    on.nothing();
}

pub fn ids_counts_and_times_are_told<R: Region>(on: &Ground<'_, R>) {
    let mut ids = HashSet::new();
    for turn in 0..50u32 {
        let id = on.send(b"same body");
        assert!(ids.insert(id), "an id is not used twice");
        assert_eq!(id.to_string().len(), 32);
        let first = on.receive();
        let sent_ms = first.sent_ms();
        assert_eq!((first.id(), first.receive_count()), (id, 1));
        assert_eq!(first.received_ms(), sent_ms);
        first.release().expect("a release");
        for count in 2..5 {
            on.pass_ms(7);
            let again = on.receive();
            assert_eq!((again.id(), again.receive_count()), (id, count));
            assert_eq!(again.sent_ms(), sent_ms, "turn {turn}");
            assert_eq!(again.received_ms(), sent_ms + 7 * (count as u64 - 1));
            assert_eq!(again.receipt().id(), id);
            assert_eq!(again.receipt().sent_ms(), sent_ms);
            again.release().expect("a release");
        }
        on.receive().delete().expect("a delete");
    }
}

pub fn sizes_beyond_the_limits_are_refused<R: Region>(on: &Ground<'_, R>) {
    let max = on.queue.max_body();
    let too_long = vec![1; max + 1];
    let error = Error::BodyTooLong { len: max + 1, max };
    assert_eq!(on.queue.send(b""), Err(Error::BodyEmpty));
    assert_eq!(on.queue.send(&too_long), Err(error.clone()));
    assert_eq!(on.queue.claim(0).map(|_| ()), Err(Error::BodyEmpty));
    assert_eq!(on.queue.claim(max + 1).map(|_| ()), Err(error.clone()));
    let error = error.to_string();
    assert!(
        error.contains(&max.to_string()) && error.contains(&(max + 1).to_string()),
        "{error}"
    );
    assert!(on.queue.claim(usize::MAX).is_err());
    on.settled();
    on.send(&too_long[..max]);
    let received = on.receive();
    assert_eq!(received.body(), &too_long[..max]);
    received.delete().expect("a delete");
}

pub fn a_full_queue_says_so_and_has_room_again<R: Region>(on: &Ground<'_, R>) {
    let capacity = on.queue.capacity();
    for number in 0..capacity {
        on.send(&(number as u64).to_le_bytes());
    }
    assert_eq!(on.slots_free(), 0);
    for _ in 0..3 {
        assert_eq!(on.queue.send(b"more"), Err(Error::Full));
        assert_eq!(on.queue.claim(4).map(|_| ()), Err(Error::Full));
    }
    let outcomes = on.queue.send_batch(&[b"more"; 10]).expect("a batch");
    assert!(outcomes.iter().all(|outcome| *outcome == Err(Error::Full)));

    // A message in flight keeps its slot; a deleted one gives it back.
    let received = on.receive();
    assert_eq!(on.queue.send(b"more"), Err(Error::Full));
    received.delete().expect("a delete");
    on.send(b"the last");
    assert_eq!(on.queue.send(b"more"), Err(Error::Full));

    let mut seen = HashSet::new();
    while let Some(message) = on.queue.receive().expect("a receive") {
        assert!(seen.insert(message.body().to_vec()), "each message once");
        message.delete().expect("a delete");
    }
    assert_eq!(seen.len(), capacity);
    assert!(seen.contains(&b"the last"[..]));
}

pub fn many_laps_lose_nothing<R: Region>(on: &Ground<'_, R>) {
    // A standing backlog that moves through all slots several times, in uneven steps.
    let backlog = on.queue.capacity() / 2 + 7;
    let (mut next, mut waiting) = (0u64, HashSet::new());
    for round in 0..(on.queue.capacity() as u64 / 4) {
        while waiting.len() < backlog {
            on.send(&next.to_le_bytes());
            waiting.insert(next);
            next += 1;
        }
        let batch = on
            .queue
            .receive_batch(1 + (round % 10) as usize)
            .expect("a batch");
        assert!(!batch.is_empty(), "there is a backlog");
        for message in batch {
            let number = u64::from_le_bytes(message.body().try_into().expect("8 bytes"));
            assert!(waiting.remove(&number), "{number} is one that waits");
            message.delete().expect("a delete");
        }
    }
    let mut left = waiting.len();
    while let Some(message) = on.queue.receive().expect("a receive") {
        message.delete().expect("a delete");
        left -= 1;
    }
    assert_eq!(left, 0);
}
