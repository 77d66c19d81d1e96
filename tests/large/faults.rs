//! A side store that is damaged, incomplete or full.

use super::{bodies, files, heap, is_empty, large};
use crate::common::{Dir, body, child};
use ringmain::{Error, Heap, LargeQueue, ManualClock, Message, Queue, QueueOptions};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

const LEN: usize = 30_000;

/// The only body.
fn only(dir: &Dir) -> PathBuf {
    let mut paths = std::fs::read_dir(bodies(dir))
        .expect("the side store")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "body"));
    let path = paths.next().expect("a body");
    assert_eq!(paths.next(), None, "one");
    path
}

/// What reading says after `harm` has been done to the file; the message can be deleted then.
fn after(name: &str, harm: impl FnOnce(&std::path::Path)) -> Error {
    let (dir, clock) = (Dir::new(name), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    large.send(&body(1, LEN)).expect("sent");
    harm(&only(&dir));
    let received = large.receive().expect("received").expect("there");
    assert!(received.is_large());
    let error = received.read_to_vec(LEN).expect_err("not what was sent");
    assert_eq!(received.release(), Ok(()), "it may come back");
    let received = large.receive().expect("received").expect("there");
    assert_eq!(received.receive_count(), 2);
    assert_eq!(received.delete(), Ok(()), "or go");
    is_empty(&queue, &dir);
    error
}

#[test]
fn a_damaged_byte_is_found_before_the_last_bytes_are_given_out() {
    for at in [0, 1, LEN / 2, LEN - 1] {
        let error = after("large-byte", |path| {
            let mut bytes = std::fs::read(path).expect("a body");
            bytes[at] ^= 1;
            std::fs::write(path, bytes).expect("written");
        });
        let problem = "its checksum is another";
        assert_eq!(error, Error::SideDamaged { problem }, "byte {at}");
    }
    let (dir, clock) = (Dir::new("large-last"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    large.send(&body(1, LEN)).expect("sent");
    let path = only(&dir);
    let mut bytes = std::fs::read(&path).expect("a body");
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let received = large.receive().expect("received").expect("there");
    let (mut reader, mut piece, mut have) = (received.reader().expect("a body"), [0; 4000], 0);
    let error = loop {
        match reader.read(&mut piece) {
            Ok(len) => have += len,
            Err(error) => break error,
        }
    };
    assert!(have < LEN, "{have} bytes were given out");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let inner = error.into_inner().expect("ours");
    assert!(matches!(
        inner.downcast_ref(),
        Some(Error::SideDamaged { .. })
    ));
    assert!(reader.read(&mut piece).is_err(), "and it stays so");
}

#[test]
fn another_length_is_found() {
    let problem = "its file has another length";
    let damaged = Error::SideDamaged { problem };
    for len in [0, 1, LEN as u64 - 1, LEN as u64 + 1] {
        let error = after("large-length", |path| {
            let file = std::fs::File::options().write(true).open(path);
            file.and_then(|file| file.set_len(len))
                .expect("another length");
        });
        assert_eq!(error, damaged, "{len}");
    }
    // Cut short while it is read.
    let (dir, clock) = (Dir::new("large-cut"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    large.send(&body(1, LEN)).expect("sent");
    let received = large.receive().expect("received").expect("there");
    std::fs::write(only(&dir), b"short").expect("cut");
    assert_eq!(received.read_to_vec(LEN), Err(damaged));
}

#[test]
fn a_missing_body_is_told() {
    let gone = |path: &std::path::Path| std::fs::remove_file(path).expect("a body");
    assert_eq!(after("large-missing", gone), Error::SideMissing);
    let link = |path: &std::path::Path| {
        std::fs::remove_file(path).expect("a body");
        std::os::unix::fs::symlink("/etc/hostname", path).expect("a link");
    };
    let error = after("large-link", link);
    assert!(
        matches!(
            error,
            Error::SideStore {
                errno: libc::ELOOP,
                ..
            }
        ),
        "no link is followed: {error:?}"
    );
}

#[test]
fn a_message_that_only_claims_to_be_large_is_damaged() {
    let (dir, clock) = (Dir::new("large-forged"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    for forged in [&b"no pointer"[..], &[0; 64], &[0xff; 64]] {
        let message = Message::new(forged).binary("ringmain.large", &[1]);
        queue.send_message(&message.expect("bytes")).expect("sent");
        let received = large.receive().expect("received").expect("there");
        assert_eq!((received.is_large(), received.len()), (true, 0));
        let read = received.read_to_vec(1000);
        assert!(matches!(read, Err(Error::SideDamaged { .. })), "{read:?}");
        received.delete().expect("deleted");
    }
    is_empty(&queue, &dir);
}

#[test]
fn the_plain_queue_sees_the_pointer_and_may_pass_it_on() {
    let (dir, clock) = (Dir::new("large-plain"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    large.send(&body(1, LEN)).expect("sent");
    let plain = queue.receive().expect("received").expect("there");
    assert_eq!((plain.body().len(), plain.attributes().len()), (64, 1));
    let resolved = large.resolve(plain);
    assert_eq!(resolved.read_to_vec(LEN), Ok(body(1, LEN)));
    resolved.delete().expect("deleted");
    is_empty(&queue, &dir);
}

const NOT_PERMITTED: i32 = 20;

/// Mounts a file system of 1 MiB at `at`, for this process alone.
fn mount_small(at: &std::path::Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let at = std::ffi::CString::new(at.as_os_str().as_bytes()).expect("a path");
    let (none, kind) = (core::ptr::null(), c"tmpfs".as_ptr());
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: plain numbers and live C strings.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, private, none.cast()) == 0
            && libc::mount(kind, at.as_ptr(), kind, 0, c"size=1m".as_ptr().cast()) == 0
    }
}

/// A disk that is full leaves no part of a body, no message and no slot taken.
fn on_a_full_disk(large: &LargeQueue<'_, Heap>, dir: &Dir, full: impl Fn(&Error) -> bool) {
    let long = body(1, 3 << 20);
    for len in [None, Some(3 << 20)] {
        let error = large.send_reader(&mut &long[..], len).expect_err("full");
        assert!(full(&error), "{error:?}");
        is_empty(large.queue(), dir);
    }
    large.send(&long[..500_000]).expect("it fits");
    let received = large.receive().expect("received").expect("there");
    assert_eq!(
        received.read_to_vec(500_000).expect("whole"),
        &long[..500_000]
    );
    received.delete().expect("deleted");
    is_empty(large.queue(), dir);
}

#[test]
fn a_full_disk_sends_nothing_and_leaves_nothing() {
    let test = "faults::a_full_disk_sends_nothing_and_leaves_nothing";
    let Some(role) = child::role() else {
        for role in ["tmpfs", "limit"] {
            let status = child::command(test, role, "").status().expect("a child");
            let permitted = status.code() != Some(NOT_PERMITTED);
            assert!(status.success() || !permitted, "{role}: {status}");
            assert!(permitted || role == "tmpfs");
        }
        return;
    };
    let dir = Dir::new("large-disk");
    std::fs::create_dir(bodies(&dir)).expect("a directory");
    let region = Heap::new(1 << 16).expect("memory");
    let queue = Queue::create(region, QueueOptions::new().max_body(1000)).expect("a queue");
    if role == "tmpfs" {
        if !mount_small(&bodies(&dir)) {
            std::process::exit(NOT_PERMITTED);
        }
        on_a_full_disk(&large(&queue, &dir), &dir, |error| *error == Error::NoSpace);
        return;
    }
    let limit = libc::rlimit {
        rlim_cur: 1 << 20,
        rlim_max: 1 << 20,
    };
    // SAFETY: plain numbers, and the limit is live.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
    }
    let limited = |error: &Error| {
        matches!(
            error,
            Error::SideStore {
                errno: libc::EFBIG,
                ..
            }
        )
    };
    on_a_full_disk(&large(&queue, &dir), &dir, limited);
}

#[test]
fn a_directory_that_is_taken_away_is_told() {
    let (dir, clock) = (Dir::new("large-nowhere"), ManualClock::new(5000));
    let queue = heap(&clock);
    let large = large(&queue, &dir);
    large.send(&body(1, LEN)).expect("sent");
    std::fs::remove_dir_all(bodies(&dir)).expect("gone");
    assert_eq!(large.send(&body(2, LEN)), Err(Error::NotFound));
    let received = large.receive().expect("received").expect("there");
    assert_eq!(received.reader().err(), Some(Error::SideMissing));
    assert_eq!(received.delete(), Ok(()));
    assert!(large.collect().is_err());
    let stat = queue.stat().expect("figures");
    assert_eq!(stat.slots_free, stat.slots);
    std::fs::write(bodies(&dir), b"a file").expect("written");
    assert!(LargeQueue::new(&queue, bodies(&dir)).is_err());
    clock.advance(Duration::from_secs(1));
    std::fs::remove_file(bodies(&dir)).expect("gone");
    super::large(&queue, &dir)
        .send(&body(3, LEN))
        .expect("made again");
    assert_eq!(files(&dir), 1);
}
