//! Bodies in pieces: bounded memory, readers that dribble, several readers at once.

use super::{bodies, is_empty, large, large_with};
use crate::common::{Dir, Numbers, body, child};
use ringmain::{Error, LargeOptions, LargeQueue, ManualClock, Mapped, Queue, QueueOptions};
use std::io::{self, Read};

const MIB: u64 = 1 << 20;

/// So many bytes that look random, made as they are read, whatever the pieces.
struct Made {
    at: u64,
    len: u64,
}

impl Made {
    fn new(len: u64) -> Self {
        Self { at: 0, len }
    }
}

impl Read for Made {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let len = (self.len - self.at).min(bytes.len() as u64) as usize;
        let (mut word, mut left) = (0, 0);
        for byte in &mut bytes[..len] {
            if left == 0 {
                word = Numbers(self.at / 8).next() >> (8 * (self.at % 8));
                left = 8 - self.at % 8;
            }
            *byte = word as u8;
            (word, left, self.at) = (word >> 8, left - 1, self.at + 1);
        }
        Ok(len)
    }
}

/// Lets this process have at most `more` bytes of memory more than it has.
fn limit_memory(more: u64) {
    let text = std::fs::read_to_string("/proc/self/statm").expect("figures of this process");
    let pages: u64 = text
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("pages");
    let bytes = pages * 4096 + more;
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: the limit is live.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

#[test]
fn sixty_four_mib_go_through_sixteen_mib_of_memory() {
    const LEN: u64 = 64 * MIB;
    let test = "streams::sixty_four_mib_go_through_sixteen_mib_of_memory";
    if child::role().is_none() {
        let status = child::command(test, "stream", "").status();
        assert!(status.expect("a child").success());
        return;
    }
    let dir = Dir::new("large-stream");
    let region = Mapped::create(dir.file("q.ring"), MIB).expect("a region");
    let queue = Queue::create(&region, QueueOptions::new()).expect("a queue");
    let large = large(&queue, &dir);
    limit_memory(16 * MIB);
    assert!(
        Vec::<u8>::new().try_reserve_exact(LEN as usize).is_err(),
        "the whole has no room"
    );
    for len in [Some(LEN), None] {
        large.send_reader(&mut Made::new(LEN), len).expect("sent");
        let received = large.receive().expect("received").expect("there");
        assert_eq!(received.len(), LEN);
        let (mut reader, mut made) = (received.reader().expect("a body"), Made::new(LEN));
        let (mut got, mut expected) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut left = LEN;
        while left != 0 {
            let len = reader.read(&mut got).expect("read");
            made.read_exact(&mut expected[..len]).expect("made");
            assert!(len != 0 && got[..len] == expected[..len], "{left} left");
            left -= len as u64;
        }
        assert_eq!(reader.read(&mut got).expect("read"), 0);
        received.delete().expect("deleted");
        is_empty(&queue, &dir);
    }
}

/// Gives a byte, then two, then three, with interruptions, and at last an error if it has one.
struct Dribble<'b> {
    left: &'b [u8],
    turn: usize,
    error: Option<i32>,
}

impl Read for Dribble<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.left.is_empty()
            && let Some(errno) = self.error
        {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let len = self.turn.min(bytes.len()).min(self.left.len());
        let (now, later) = self.left.split_at(len);
        bytes[..len].copy_from_slice(now);
        self.left = later;
        Ok(len)
    }
}

#[test]
fn a_reader_may_dribble_and_its_error_sends_nothing() {
    let (dir, clock) = (Dir::new("large-dribble"), ManualClock::new(5000));
    let queue = super::heap(&clock);
    let large = large(&queue, &dir);
    let long = body(4, 100_000);
    for len in [10, 1000, 1001, 100_000] {
        for given in [None, Some(len as u64)] {
            for error in [None, Some(libc::EIO)] {
                let mut reader = Dribble {
                    left: &long[..len],
                    turn: 0,
                    error: error.filter(|_| given.is_none()),
                };
                let sent = large.send_reader(&mut reader, given);
                if let Some(errno) = reader.error {
                    let doing = "reading the body that is sent";
                    assert_eq!(sent, Err(Error::SideStore { doing, errno }), "{len}");
                } else {
                    sent.expect("sent");
                    let received = large.receive().expect("received").expect("there");
                    assert_eq!(received.read_to_vec(len).expect("whole"), &long[..len]);
                    received.delete().expect("deleted");
                }
                is_empty(&queue, &dir);
            }
        }
    }
}

#[test]
fn several_read_one_body_at_once_and_it_outlives_its_deletion() {
    let (dir, clock) = (Dir::new("large-readers"), ManualClock::new(5000));
    let queue = super::heap(&clock);
    let large = large_with(&queue, &dir, LargeOptions::new().threshold(100));
    let sent = body(9, 50_000);
    large.send(&sent).expect("sent");
    let received = large.receive().expect("received").expect("there");
    let mut readers = [received.reader(), received.reader()].map(|reader| reader.expect("a body"));
    let mut parts = [Vec::new(), Vec::new()];
    let mut piece = [0; 777];
    let len = readers[0].read(&mut piece).expect("read");
    parts[0].extend_from_slice(&piece[..len]);
    // Somebody else deletes it meanwhile.
    large.delete(&received.receipt()).expect("deleted");
    assert_eq!(super::files(&dir), 0);
    for (reader, part) in readers.iter_mut().zip(&mut parts) {
        reader.read_to_end(part).expect("read");
        assert_eq!(*part, sent);
    }
    assert_eq!(
        received.read_to_vec(50_000),
        Ok(sent),
        "and from the beginning"
    );
    assert_eq!(received.delete(), Ok(()), "gone already");
    is_empty(&queue, &dir);
}

#[test]
fn bodies_are_private_and_the_directory_is_made_once() {
    use std::os::unix::fs::MetadataExt;
    let (dir, clock) = (Dir::new("large-modes"), ManualClock::new(5000));
    let queue = super::heap(&clock);
    assert_eq!(
        LargeQueue::new(&queue, dir.file("no/such")).err(),
        Some(Error::NotFound)
    );
    let large = large(&queue, &dir);
    large.send(&body(1, 2000)).expect("sent");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!(mode(&bodies(&dir)), 0o700);
    for entry in std::fs::read_dir(large.dir()).expect("a directory") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
    // A directory that is there is taken as it is.
    let again = super::large(&queue, &dir);
    assert_eq!(again.collect().map(|found| found.live), Ok(1));
}
