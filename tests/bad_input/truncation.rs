//! A region's file that is cut short under those who use it. What the kernel can be asked is told
//! as an error; who touches what is gone before anybody has asked dies by SIGBUS, and to the others
//! that is a participant's death. A sealed file in memory cannot be cut short.

use crate::common::{Dir, body, child};
use crate::ground::memory_file::MemoryFile;
use ringmain::{Error, Mapped, Queue, QueueOptions};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const LEN: u64 = 256 << 10;
/// Without its last pages: those of the last slots.
const CUT: u64 = 192 << 10;
const DEADLINE: Duration = Duration::from_secs(30);

fn set_len(path: &Path, len: u64) {
    let file = File::options().write(true).open(path).expect("the file");
    file.set_len(len).expect("another length");
}

fn told<T>(result: Result<T, Error>) -> Error {
    result.map(drop).expect_err("the file is cut short")
}

/// Tending asks, and from then on every call of this attachment says so and touches nothing.
#[test]
fn tending_finds_a_file_that_was_cut_short() {
    for dir in [Dir::new("cut"), Dir::shm("cut")] {
        let path = dir.file("q.ring");
        let region = Mapped::create(&path, LEN).expect("a region");
        let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
        for number in 0..3 {
            queue.send(&body(number, 40)).expect("room");
        }
        let receipt = queue
            .receive()
            .expect("a receive")
            .expect("a message")
            .detach();
        let held = queue.receive().expect("a receive").expect("a message");
        let claim = queue.claim(20).expect("room");
        queue.tend().expect("it is whole");
        for len in [CUT, 20_480, 1, 0] {
            set_len(&path, len);
            let expected = Error::Truncated {
                found: len,
                expected: LEN,
            };
            let mut buffer = [0; 100];
            assert_eq!(told(queue.tend()), expected);
            let said = [
                told(queue.send(b"more")),
                told(queue.send_batch(&["more"])),
                told(queue.claim(4)),
                told(queue.receive()),
                told(queue.receive_batch(10)),
                told(queue.receive_into(&mut buffer)),
                told(queue.receive_timeout(Duration::from_millis(1))),
                told(queue.delete(&receipt)),
                told(queue.extend(&receipt, Duration::ZERO)),
                told(queue.release(&receipt)),
                told(queue.delete_batch(&[receipt])),
                told(queue.stat()),
                told(queue.purge()),
                told(region.sync()),
                told(Queue::open(&region)),
            ];
            said.iter().for_each(|error| assert_eq!(*error, expected));
        }
        let opened = told(Mapped::open(&path));
        assert_eq!(opened, Error::NotARegion, "an empty file");
        // Long again, its pages are zeros: this attachment keeps its hands off.
        set_len(&path, LEN);
        assert!(matches!(told(queue.tend()), Error::Truncated { .. }));
        assert!(matches!(told(held.delete()), Error::Truncated { .. }));
        set_len(&path, 0);
        drop(claim); // the file is empty: a touch would be the end
        drop(region);
    }
}

/// Opening a queue and syncing ask as well, with nobody having tended before.
#[test]
fn opening_and_syncing_find_it_too() {
    let dir = Dir::shm("cut-open");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, LEN).expect("a region");
    set_len(&path, 0);
    assert!(matches!(
        told(Queue::create(&region, QueueOptions::new())),
        Error::Truncated { .. }
    ));
    drop(region);
    std::fs::remove_file(&path).expect("a file");
    let region = Mapped::create(&path, LEN).expect("a region");
    Queue::create(&region, QueueOptions::new()).expect("a queue");
    set_len(&path, 4096);
    assert!(matches!(
        told(region.sync()),
        Error::Truncated { found: 4096, .. }
    ));
    drop(region);
    // Nobody asked before the end: dropping does.
    std::fs::remove_file(&path).expect("a file");
    let region = Mapped::create(&path, LEN).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    queue.send(b"lost").expect("room");
    set_len(&path, 0);
    drop(region);
}

/// The warden of a receiver that waits sees that the file is cut short, so it is told.
#[test]
fn a_waiting_receiver_is_told() {
    let dir = Dir::shm("cut-wait");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, LEN).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let begun = Instant::now();
            (
                told(queue.receive_timeout(Duration::from_secs(20))),
                begun.elapsed(),
            )
        });
        set_len(&path, CUT);
        let (error, waited) = waiter.join().expect("no panic");
        assert_eq!(
            error,
            Error::Truncated {
                found: CUT,
                expected: LEN
            }
        );
        assert!(waited < Duration::from_secs(10), "told after {waited:?}");
    });
}

/// Ends a child that takes too long.
fn end_of(mut child: Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if begun.elapsed() > DEADLINE {
            child.kill().expect("a child that hangs");
            panic!("the child hangs");
        }
        std::thread::yield_now();
    }
}

/// Holds a message, waits for a word, and fills the queue to its end.
fn hold_and_fill(path: &Path) {
    let limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit lives through the call: no core file.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) };
    let region = Mapped::open(path).expect("a region");
    let queue = Queue::open(&region).expect("a queue");
    let held = queue.receive().expect("a receive").expect("a message");
    eprintln!("held");
    let mut word = String::new();
    std::io::stdin()
        .read_line(&mut word)
        .expect("the parent's word");
    while queue.send(&body(7, 40)).is_ok() {}
    drop(held);
    std::process::exit(3); // it should not have lived so long
}

#[test]
fn who_touches_what_is_gone_dies_and_the_others_go_on() {
    const TEST: &str = "truncation::who_touches_what_is_gone_dies_and_the_others_go_on";
    if child::role().is_some() {
        return hold_and_fill(&PathBuf::from(child::argument()));
    }
    for dir in [Dir::new("sigbus"), Dir::shm("sigbus")] {
        let path = dir.file("q.ring");
        let region = Mapped::create(&path, LEN).expect("a region");
        let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
        let sent = body(1, 60);
        queue.send(&sent).expect("room");
        let mut child = child::command(TEST, "filler", path.to_str().expect("UTF-8"))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut said = BufReader::new(child.stderr.take().expect("its words")).lines();
        let held = said
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line == "held");
        assert!(held, "the child holds the message");
        set_len(&path, CUT);
        let mut words = child.stdin.take().expect("its ear");
        words.write_all(b"go on\n").expect("a word");
        let status = end_of(child);
        assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
        // Before this one touches what was gone, somebody puts the length right.
        set_len(&path, LEN);
        assert_eq!(
            queue.tend().expect("it is whole").dead,
            1,
            "a death as any other"
        );
        let mut back = 0;
        while let Some(received) = queue.receive().expect("a receive") {
            let whole = received.body() == body(7, 40);
            assert!(whole || received.body() == sent, "a body that nobody sent");
            back += u32::from(received.body() == sent);
            received.delete().expect("a delete");
        }
        assert_eq!(back, 1, "what the dead one held comes back");
        let stat = queue.stat().expect("figures");
        assert_eq!(stat.slots_free, stat.slots, "what it had half done is free");
    }
}

#[test]
fn a_sealed_file_in_memory_is_never_cut_short() {
    let dir = Dir::shm("sealed");
    let path = dir.file("q.ring");
    let region = Mapped::create(&path, LEN).expect("a region");
    Queue::create(&region, QueueOptions::new()).expect("a queue");
    drop(region);
    let file = MemoryFile::new();
    file.become_bytes(&std::fs::read(&path).expect("its bytes"));
    let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: a call on our own descriptor.
    let sealed = unsafe { libc::fcntl(file.file().as_raw_fd(), libc::F_ADD_SEALS, seals) };
    assert_eq!(sealed, 0, "{}", std::io::Error::last_os_error());
    let region = Mapped::open(file.path()).expect("a region");
    let queue = Queue::open(&region).expect("a queue");
    let refused = file.file().set_len(0).expect_err("it is sealed");
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM), "{refused}");
    queue.send(b"safe").expect("room");
    assert_eq!(
        queue.receive().expect("a receive").expect("it").body(),
        b"safe"
    );
    queue.tend().expect("it is whole");
}
