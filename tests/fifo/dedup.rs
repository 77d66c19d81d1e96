//! Ids of groups and of messages: their rules, and within what and for how long each counts once.

use super::common::{Dir, child};
use super::homes::{Ground, OPTIONS, delete};
use ringmain::{
    DedupScope, Error, FifoOptions, FifoQueue, ManualClock, Mapped, Message, Region, SystemClock,
};
use std::path::Path;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const INTERVAL: Duration = Duration::from_secs(300);

pub fn ids_keep_the_rules<R: Region>(on: &Ground<'_, R>) {
    let all: String = ('!'..='~').collect();
    let longest = "x".repeat(128);
    assert_eq!(all.len(), 94);
    for id in ["a", &all, &longest] {
        assert!(!on.send(id, id).is_duplicate);
        let got = on.receive_these(1, &[id]).remove(0);
        assert_eq!((got.group(), got.deduplication_id()), (Some(id), Some(id)));
        delete(vec![got]);
    }
    let long = "x".repeat(129);
    let many = "1 to 128 characters";
    let which = "letters, digits and ASCII punctuation alone";
    for (id, rule, at) in [
        ("", many, 0),
        (&long, many, 128),
        (" a", which, 0),
        ("a b", which, 1),
        ("ab\n", which, 2),
        ("a\u{7f}", which, 1),
        ("Straße", which, 4),
    ] {
        let group = on.queue.send(id, "id", b"1");
        assert_eq!(group, Err(Error::GroupId { rule, at }), "{id:?}");
        let dedup = on.queue.send("g", id, b"1");
        assert_eq!(dedup, Err(Error::DeduplicationId { rule, at }), "{id:?}");
        for said in [group, dedup].map(|refused| refused.expect_err("refused").to_string()) {
            let place = format!("byte {at}");
            assert!(said.contains(rule) && said.contains(&place), "{said}");
        }
    }
    assert_eq!(on.stat().sent, 3);
}

pub fn ids_differ_by_any_byte<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.dedup_scope(DedupScope::Group), |on| {
        let long = "y".repeat(127);
        let mut sent = 0;
        for group in ["g", "gg", &format!("{long}1"), &format!("{long}2")] {
            for id in ["g", "gg", &format!("{long}1"), &format!("{long}2")] {
                let first = on.queue.send(group, id, b"body").expect("room");
                assert!(!first.is_duplicate, "{group} {id}");
                let again = on.queue.send(group, id, b"body").expect("accepted");
                assert!(again.is_duplicate && again.sequence == first.sequence);
                sent += 1;
            }
        }
        assert_eq!(on.stat().visible, sent);
    });
}

pub fn the_body_is_its_id<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.content_dedup(true), |on| {
        let first = on.queue.send("a", None, b"body").expect("room");
        assert!(!first.is_duplicate);
        // The group is not a part of it, nor are attributes.
        let other = Message::new("body").group("b").integer("n", 7);
        let message = other.expect("an attribute");
        let again = on.queue.send_message(&message).expect("accepted");
        assert!(again.is_duplicate);
        assert_eq!((again.id, again.sequence), (first.id, first.sequence));
        assert!(
            !on.queue
                .send("a", None, b"Body")
                .expect("room")
                .is_duplicate
        );
        // An id that is given counts instead of the body.
        assert!(!on.queue.send("a", "1", b"body").expect("room").is_duplicate);
        assert!(!on.queue.send("a", "2", b"body").expect("room").is_duplicate);
        assert!(
            on.queue
                .send("a", "2", b"x")
                .expect("accepted")
                .is_duplicate
        );
        let received = on.receive_these(10, &["body", "Body", "body", "body"]);
        let ids: Vec<_> = received.iter().map(|got| got.deduplication_id()).collect();
        assert_eq!(ids, [None, None, Some("1"), Some("2")]);
        delete(received);
        assert!(
            on.queue
                .send("a", None, b"body")
                .expect("accepted")
                .is_duplicate
        );
    });
    let missing = on.queue.send("a", None, b"body");
    assert_eq!(missing, Err(Error::NoDeduplicationId));
    let message = Message::new("body").group("a");
    let missing = on.queue.send_message(&message);
    assert_eq!(missing, Err(Error::NoDeduplicationId));
    let said = Error::NoDeduplicationId.to_string();
    assert!(said.contains("content_dedup"), "{said}");
}

pub fn the_scope_is_the_group<R: Region>(on: &Ground<'_, R>) {
    let options = OPTIONS.dedup_scope(DedupScope::Group).content_dedup(true);
    on.with(options, |on| {
        for group in ["a", "b"] {
            assert!(!on.send(group, "id").is_duplicate);
            assert!(on.send(group, "id").is_duplicate);
            assert!(!on.queue.send(group, None, b"x").expect("room").is_duplicate);
            assert!(
                on.queue
                    .send(group, None, b"x")
                    .expect("accepted")
                    .is_duplicate
            );
        }
        assert_eq!(on.stat().visible, 4);
    });
}

pub fn the_interval_is_exact<R: Region>(on: &Ground<'_, R>) {
    let day = Duration::from_secs(86_400);
    for interval in [Duration::from_secs(1), Duration::from_millis(1234), day] {
        on.with(OPTIONS.dedup_interval(interval), |on| {
            let first = on.send("a", "id");
            on.pass(interval - MS);
            let again = on.send("a", "id");
            assert!(again.is_duplicate, "and this does not begin it anew");
            on.pass(MS);
            let second = on.send("a", "id");
            assert!(!second.is_duplicate && second.sequence > first.sequence);
            // The first one is still there: both are delivered.
            delete(on.receive_these(10, &["id", "id"]));
            on.pass(interval - MS);
            let third = on.send("a", "id");
            assert!(third.is_duplicate && third.sequence == second.sequence);
        });
    }
    for interval in [Duration::ZERO, Duration::from_millis(999), day + MS] {
        let options = FifoOptions::new().dedup_interval(interval);
        let region = ringmain::Heap::new(1 << 18).expect("memory");
        let refused = FifoQueue::create(region, options).expect_err("out of range");
        let said = refused.to_string();
        assert!(said.contains("dedup_interval (ms)"), "{said}");
        assert!(said.contains("1000 to 86400000"), "{said}");
    }
}

pub fn a_full_table_refuses_and_forgets_nothing<R: Region>(on: &Ground<'_, R>) {
    on.with(OPTIONS.dedup_ids(4), |on| {
        let tenth = Duration::from_millis(100);
        for id in ["1", "2", "3", "4"] {
            on.send("g", id);
            on.pass(tenth);
        }
        let full = Err(Error::DeduplicationFull { max: 4 });
        let free = on.stat().slots_free;
        assert_eq!(on.queue.send("g", "5", b"5"), full);
        let said = full.clone().expect_err("full").to_string();
        assert!(said.contains("4 deduplication ids"), "{said}");
        assert_eq!(on.stat().slots_free, free, "what was claimed is given back");
        delete(on.receive_these(10, &["1", "2", "3", "4"]));
        for id in ["1", "2", "3", "4"] {
            assert!(on.send("g", id).is_duplicate, "gone, and remembered");
        }
        on.pass(INTERVAL - 4 * tenth - MS);
        assert_eq!(on.queue.send("g", "5", b"5"), full);
        on.pass(MS);
        on.send("g", "5");
        assert_eq!(on.queue.send("g", "6", b"6"), full, "room for one");
        assert!(on.send("g", "2").is_duplicate);
        on.pass(tenth - MS);
        assert_eq!(
            on.queue.send("g", "1", b"1"),
            full,
            "forgotten, and no room"
        );
        on.pass(MS);
        assert!(!on.send("g", "2").is_duplicate, "in its own place");
        assert_eq!(on.queue.send("g", "1", b"1"), full);
        delete(on.receive_these(10, &["5", "2"]));
    });
}

pub fn a_duplicate_needs_no_room<R: Region>(on: &Ground<'_, R>) {
    let long = [b'x'; 20_000];
    let mut sent = Vec::new();
    let full = loop {
        let id = sent.len().to_string();
        match on.queue.send("g", &*id, &long) {
            Ok(first) => sent.push(first),
            Err(full) => break full,
        }
    };
    assert_eq!(full, Error::Full);
    for (number, first) in sent.iter().enumerate() {
        let again = on.queue.send("other", &*number.to_string(), &long);
        let again = again.expect("a duplicate");
        assert!(again.is_duplicate && again.sequence == first.sequence);
    }
    assert_eq!(on.queue.send("g", "new", &long), Err(Error::Full));
    delete(on.receive(1));
    assert!(!on.queue.send("g", "new", &long).expect("room").is_duplicate);
}

/// A child process of the test below: sends an id that its parent has sent, and one of its own.
#[test]
fn the_other_process() {
    if child::role().as_deref() != Some("duplicate") {
        return;
    }
    let region = Mapped::open(child::argument()).expect("a region");
    let queue = FifoQueue::open(region).expect("a queue");
    assert!(
        queue
            .send("g", "parent", b"1")
            .expect("accepted")
            .is_duplicate
    );
    assert!(!queue.send("g", "child", b"2").expect("room").is_duplicate);
}

#[test]
fn the_window_is_all_processes() {
    let dir = Dir::shm("fifo-window");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, 1 << 20).expect("a region");
    let queue = FifoQueue::create_with(region, OPTIONS, SystemClock).expect("a queue");
    queue.send("g", "parent", b"1").expect("room");
    let mut child = child::command("dedup::the_other_process", "duplicate", text(&path));
    assert!(child.status().expect("a child").success());
    assert!(
        queue
            .send("g", "child", b"2")
            .expect("accepted")
            .is_duplicate
    );
    let batch = queue.receive_batch(10).expect("a receive");
    let bodies: Vec<_> = batch.iter().map(|got| got.body()).collect();
    assert_eq!(bodies, [b"1", b"2"]);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of this test")
}

#[test]
fn the_window_survives_a_restart() {
    let dir = Dir::new("fifo-restart");
    let path = dir.file("q.ring");
    let clock = ManualClock::new(1_000_000);
    let open = || {
        let region = Mapped::open_or_create(&path, 1 << 20).expect("a region");
        FifoQueue::open_or_create_with(region, OPTIONS, &clock).expect("a queue")
    };
    let first = open().send("g", "id", b"1").expect("room");
    clock.advance(INTERVAL - MS);
    let queue = open();
    let again = queue.send("g", "id", b"1").expect("accepted");
    assert!(again.is_duplicate);
    assert_eq!((again.id, again.sequence), (first.id, first.sequence));
    let other = open(); // a second attachment
    assert!(other.send("g", "id", b"1").expect("accepted").is_duplicate);
    drop((queue, other));
    clock.advance(MS);
    let second = open().send("g", "id", b"1").expect("room");
    assert!(!second.is_duplicate && second.sequence > first.sequence);
}
