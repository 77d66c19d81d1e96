//! Deaths, standstills and refusals at each system call of a send and of a delete: a child forbids
//! itself one call, and then does the operation.

use super::{bodies, files, is_empty, large};
use crate::common::filter::{self, Answer};
use crate::common::{Dir, body, child};
use ringmain::{Durability, Error, LargeQueue, Mapped, Queue, QueueOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

const LEN: usize = 30_000;

/// The calls that a send makes with a file, in their order, and how many bodies a death in it
/// leaves: those from which on the file is there.
const SEND: [(libc::c_long, u64); 4] = [
    (libc::SYS_openat, 0),
    (libc::SYS_fallocate, 1),
    (libc::SYS_write, 1),
    (libc::SYS_fsync, 1),
];

/// The call that removes a file.
#[cfg(target_arch = "x86_64")]
const UNLINK: libc::c_long = libc::SYS_unlink;
#[cfg(not(target_arch = "x86_64"))]
const UNLINK: libc::c_long = libc::SYS_unlinkat;

fn queue(region: &Mapped) -> Queue<&Mapped> {
    let options = QueueOptions::new()
        .visibility(Duration::from_secs(600))
        .durability(Durability::BeforeOk)
        .max_body(1000);
    Queue::open_or_create(region, options).expect("a queue")
}

/// What a child does: its role, `argument`, the directory.
fn act(role: &str) {
    let argument = child::argument();
    let (call, dir) = argument.split_once('|').expect("two parts");
    let (call, dir) = (call.parse().expect("a call"), Path::new(dir));
    let region = Mapped::open(dir.join("q.ring")).expect("a region");
    let queue = queue(&region);
    let large = LargeQueue::new(&queue, dir.join("bodies")).expect("a side store");
    let (answer, what) = role.split_once('-').expect("two parts");
    let answer = match answer {
        "die" => Answer::Death,
        "stand" => Answer::Standstill,
        _ => Answer::Error(libc::EIO),
    };
    let received = (what == "delete").then(|| large.receive().expect("received").expect("there"));
    let sent = body(2, LEN);
    filter::set(call, answer);
    let outcome = match received {
        None => large
            .send_reader(&mut &sent[..], Some(LEN as u64))
            .map(|_| ()),
        Some(received) => received.delete(),
    };
    let refused = matches!(
        outcome,
        Err(Error::SideStore {
            errno: libc::EIO,
            ..
        })
    );
    // SAFETY: ends the process at once, since some of its calls are forbidden.
    unsafe { libc::_exit(if refused { 42 } else { 43 }) };
}

/// Starts a child that does `role` without `call`.
fn start(test: &str, role: &str, call: libc::c_long, dir: &Dir) -> std::process::Child {
    let argument = format!("{call}|{}", dir.path().display());
    child::command(test, role, &argument)
        .spawn()
        .expect("a child")
}

fn died(status: std::process::ExitStatus) -> bool {
    status.signal() == Some(libc::SIGSYS)
}

#[test]
fn whoever_dies_in_a_call_leaves_what_the_collector_takes() {
    let test = "calls::whoever_dies_in_a_call_leaves_what_the_collector_takes";
    if let Some(role) = child::role() {
        return act(&role);
    }
    let dir = Dir::new("large-die");
    let region = Mapped::create(dir.file("q.ring"), 1 << 20).expect("a region");
    let queue = queue(&region);
    let large = large(&queue, &dir);
    for (call, left) in SEND {
        let mut child = start(test, "die-send", call, &dir);
        let status = child.wait().expect("a child");
        assert!(died(status), "call {call}: {status}");
        assert_eq!(files(&dir) as u64, left, "call {call}");
        let found = large.collect().expect("collected");
        assert_eq!((found.removed, found.live), (left, 0), "call {call}");
        assert!(large.receive().expect("looked").is_none());
        is_empty(&queue, &dir);
    }
    // Dead on the way to the disk the message is there: the sender was not told. Dead on the way
    // to the file it is deleted.
    for (call, role, live) in [
        (libc::SYS_fdatasync, "die-send", 1),
        (libc::SYS_fdatasync, "die-delete", 0),
        (UNLINK, "die-delete", 0),
    ] {
        if role == "die-delete" {
            large.send(&body(1, LEN)).expect("sent");
        }
        let status = start(test, role, call, &dir).wait().expect("a child");
        assert!(died(status), "{role}, call {call}: {status}");
        assert_eq!(files(&dir), 1);
        let found = large.collect().expect("collected");
        assert_eq!(
            (found.removed, found.live),
            (1 - live, live),
            "{role}, call {call}"
        );
        if let Some(received) = large.receive().expect("looked") {
            assert_eq!((live, received.read_to_vec(LEN)), (1, Ok(body(2, LEN))));
            received.delete().expect("deleted");
        }
        is_empty(&queue, &dir);
    }
}

#[test]
fn whoever_stands_still_in_a_send_keeps_its_body() {
    let test = "calls::whoever_stands_still_in_a_send_keeps_its_body";
    if let Some(role) = child::role() {
        return act(&role);
    }
    let dir = Dir::new("large-stand");
    let region = Mapped::create(dir.file("q.ring"), 1 << 20).expect("a region");
    let queue = queue(&region);
    let large = large(&queue, &dir);
    let mut child = start(test, "stand-send", libc::SYS_fsync, &dir);
    let whole = |dir: &Dir| {
        let mut entries = std::fs::read_dir(bodies(dir)).expect("a directory");
        entries.any(|entry| {
            let path = entry.expect("an entry").path();
            std::fs::read(path).is_ok_and(|bytes| bytes == body(2, LEN))
        })
    };
    while !whole(&dir) {
        std::thread::yield_now();
    }
    for _ in 0..20 {
        let found = large.collect().expect("collected");
        assert_eq!(
            (found.removed, found.live),
            (0, 1),
            "it lives, so its body does"
        );
        assert!(large.receive().expect("looked").is_none());
    }
    child.kill().expect("killed");
    child.wait().expect("dead");
    let found = large.collect().expect("collected");
    assert_eq!((found.removed, found.live), (1, 0));
    is_empty(&queue, &dir);
}

#[test]
fn a_refused_call_sends_nothing_and_a_refused_removal_is_the_collectors() {
    let test = "calls::a_refused_call_sends_nothing_and_a_refused_removal_is_the_collectors";
    if let Some(role) = child::role() {
        return act(&role);
    }
    let dir = Dir::new("large-refuse");
    let region = Mapped::create(dir.file("q.ring"), 1 << 20).expect("a region");
    let queue = queue(&region);
    let large = large(&queue, &dir);
    for (call, _) in SEND {
        let status = start(test, "refuse-send", call, &dir)
            .wait()
            .expect("a child");
        assert_eq!(status.code(), Some(42), "call {call}: {status}");
        // The child has left nothing itself.
        is_empty(&queue, &dir);
        assert_eq!(large.collect().map(|found| found.removed), Ok(0));
    }
    large.send(&body(1, LEN)).expect("sent");
    let status = start(test, "refuse-delete", UNLINK, &dir)
        .wait()
        .expect("a child");
    assert_eq!(status.code(), Some(42), "{status}");
    assert!(
        large.receive().expect("looked").is_none(),
        "deleted all the same"
    );
    assert_eq!(large.collect().map(|found| found.removed), Ok(1));
    is_empty(&queue, &dir);
}
