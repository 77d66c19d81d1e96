//! Order, locks, duplicates, and what ends them.

use super::homes::{Ground, VISIBILITY, delete};
use ringmain::{Error, Region};
use std::time::Duration;

pub fn a_group_is_received_in_order<R: Region>(on: &Ground<'_, R>) {
    let sent: Vec<_> = ["1", "2", "3"].map(|id| on.send("g", id)).into();
    assert!(sent.windows(2).all(|two| two[0].sequence < two[1].sequence));
    for (at, id) in ["1", "2", "3"].into_iter().enumerate() {
        let got = on.receive_these(1, &[id]).remove(0);
        assert_eq!((got.group(), got.deduplication_id()), (Some("g"), Some(id)));
        assert_eq!(got.sequence_number(), Some(sent[at].sequence));
        assert_eq!((got.id(), got.receive_count()), (sent[at].id, 1));
        assert_eq!(got.attributes().iter().count(), 0);
        delete(vec![got]);
    }
    on.receive_these(1, &[]);
}

pub fn a_locked_group_gives_nothing<R: Region>(on: &Ground<'_, R>) {
    on.send("a", "a1");
    on.send("a", "a2");
    on.send("b", "b1");
    let first = on.receive_these(1, &["a1"]);
    let other = on.receive_these(10, &["b1"]);
    on.receive_these(10, &[]);
    delete(first);
    delete(on.receive_these(10, &["a2"]));
    delete(other);
}

pub fn a_batch_drains_a_group_before_the_next<R: Region>(on: &Ground<'_, R>) {
    for number in 0..4 {
        on.send("a", &format!("a{number}"));
        on.send("b", &format!("b{number}"));
    }
    let mut received = on.receive_these(6, &["a0", "a1", "a2", "a3", "b0", "b1"]);
    on.receive_these(10, &[]);
    // Deleting a part of them keeps the lock.
    received.pop().expect("b1").delete().expect("a delete");
    on.receive_these(10, &[]);
    let oldest = received.pop().expect("b0");
    oldest.delete().expect("a delete");
    delete(on.receive_these(10, &["b2", "b3"]));
    delete(received);
}

pub fn duplicates_are_accepted_and_not_delivered<R: Region>(on: &Ground<'_, R>) {
    let first = on.send("a", "id");
    assert!(!first.is_duplicate);
    for group in ["a", "b"] {
        let again = on.queue.send(group, "id", b"other").expect("accepted");
        assert!(again.is_duplicate);
        assert_eq!((again.id, again.sequence), (first.id, first.sequence));
    }
    delete(on.receive_these(10, &["id"]));
    on.clock
        .advance(Duration::from_secs(300) - Duration::from_millis(1));
    assert!(on.send("a", "id").is_duplicate, "also when it is deleted");
    on.receive_these(10, &[]);
    on.clock.advance(Duration::from_millis(1));
    assert!(!on.send("a", "id").is_duplicate);
    let missing = on.queue.send("a", None, b"body");
    assert_eq!(missing, Err(Error::NoDeduplicationId));
}

pub fn what_comes_back_is_the_oldest_again<R: Region>(on: &Ground<'_, R>) {
    for id in ["1", "2", "3"] {
        on.send("g", id);
    }
    let mut received = on.receive_these(2, &["1", "2"]);
    received.remove(0).release().expect("a release");
    on.receive_these(10, &[]);
    received.remove(0).release().expect("a release");
    let received = on.receive_these(10, &["1", "2", "3"]);
    assert_eq!(received[0].receive_count(), 2);
    drop(received);
    on.clock.advance(VISIBILITY - Duration::from_millis(1));
    on.receive_these(10, &[]);
    on.clock.advance(Duration::from_millis(1));
    delete(on.receive_these(10, &["1", "2", "3"]));
}

pub fn expired_receipts_are_refused<R: Region>(on: &Ground<'_, R>) {
    on.send("g", "1");
    let got = on.receive_these(1, &["1"]).remove(0);
    let receipt = got.receipt();
    on.clock.advance(VISIBILITY);
    assert_eq!(on.queue.delete(&receipt), Err(Error::ExpiredReceipt));
    assert_eq!(got.delete(), Err(Error::ExpiredReceipt));
    let again = on.receive_these(1, &["1"]).remove(0);
    assert_eq!(on.queue.delete(&receipt), Err(Error::StaleReceipt));
    let receipt = again.detach();
    assert_eq!(on.queue.delete(&receipt), Ok(()));
    assert_eq!(on.queue.delete(&receipt), Ok(()), "twice is no error");
    assert_eq!(
        on.queue.extend(&receipt, VISIBILITY),
        Err(Error::NotInFlight)
    );
}

pub fn purge_clears_messages_and_window<R: Region>(on: &Ground<'_, R>) {
    for number in 0..20 {
        on.send(&format!("g{}", number % 3), &number.to_string());
    }
    let held = on.receive(4);
    assert_eq!(on.queue.purge(), Ok(20));
    on.receive_these(10, &[]);
    for number in 0..20 {
        let sent = on.send(&format!("g{}", number % 3), &number.to_string());
        assert!(!sent.is_duplicate);
    }
    drop(held);
    let mut count = 0;
    loop {
        let received = on.receive(10);
        if received.is_empty() {
            break;
        }
        count += received.len();
        delete(received);
    }
    assert_eq!(count, 20);
}

pub fn everything_comes_back<R: Region>(on: &Ground<'_, R>) {
    let mut sent = 0;
    let full = loop {
        let id = sent.to_string();
        match on
            .queue
            .send(&format!("g{}", sent % 7), &*id, id.as_bytes())
        {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(full, Error::Full | Error::DeduplicationFull { .. }),
        "{full}"
    );
    assert!(on.send("g0", "0").is_duplicate, "which needs no room");
    let mut received = 0;
    loop {
        let batch = on.receive(10);
        if batch.is_empty() {
            break;
        }
        received += batch.len();
        delete(batch);
    }
    assert_eq!(received, sent);
}

/// Groups that are ready, locked and delayed, and remembered ids.
#[track_caller]
fn counted<R: Region>(on: &Ground<'_, R>, ready: u64, locked: u64, delayed: u64, ids: u64) {
    let groups = on.queue.groups().expect("figures");
    let found = (groups.ready, groups.locked, groups.delayed);
    assert_eq!(found, (ready, locked, delayed), "{groups:?}");
    assert_eq!(groups.remembered_ids, ids, "{groups:?}");
}

pub fn groups_are_counted<R: Region>(on: &Ground<'_, R>) {
    counted(on, 0, 0, 0, 0);
    for id in ["1", "2", "3"] {
        on.send("a", id);
    }
    on.send("b", "4");
    counted(on, 2, 0, 0, 4);
    let mut received = on.receive_these(2, &["1", "2"]);
    counted(on, 1, 1, 0, 4);
    // The oldest is visible again, and the one behind it still locks the group.
    received.remove(0).release().expect("a release");
    counted(on, 1, 1, 0, 4);
    delete(received);
    counted(on, 2, 0, 0, 4);
    drop(on.receive(10));
    counted(on, 0, 2, 0, 4);
    on.clock.advance(VISIBILITY);
    counted(on, 2, 0, 0, 4);
    delete(on.receive(10));
    counted(on, 0, 0, 0, 4);
    on.clock.advance(Duration::from_secs(300));
    counted(on, 0, 0, 0, 0);

    let later = Duration::from_secs(5);
    on.queue
        .reconfigure(|options| options.delay(later))
        .expect("a delay");
    on.send("a", "1");
    on.send("a", "2");
    counted(on, 0, 0, 1, 2);
    on.clock.advance(later);
    counted(on, 1, 0, 0, 2);
    on.queue.purge().expect("a purge");
    counted(on, 0, 0, 0, 0);
}

pub fn what_is_looked_at_has_its_place<R: Region>(on: &Ground<'_, R>) {
    let sent = on.send("g", "1");
    let peeked = on.queue.peek().expect("a peek").expect("sent above");
    assert_eq!(
        (peeked.group(), peeked.deduplication_id()),
        (Some("g"), Some("1"))
    );
    assert_eq!(peeked.sequence_number(), Some(sent.sequence));
}

pub fn figures_count_what_was_accepted<R: Region>(on: &Ground<'_, R>) {
    for number in 0..200 {
        let id = number.to_string();
        on.send("g", &id);
        assert!(on.send("g", &id).is_duplicate);
        delete(on.receive_these(10, &[&id]));
        assert!(on.send("g", &id).is_duplicate);
    }
    let stat = on.queue.stat().expect("figures");
    let figures = (stat.sent, stat.received, stat.deleted);
    assert_eq!(figures, (200, 200, 200), "{stat:?}");
}
