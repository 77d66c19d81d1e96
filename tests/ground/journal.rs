//! A journaled queue as it lies on the disk after its machine has stopped: a region of another boot
//! and the journal beside it, whose ring has wrapped round.

use super::body::sealed;
use super::layout::{BLOCKS, BOOT, Layout, word};
use super::{LEN, unused_path};
use ringmain::{Durability, Mapped, Queue, QueueOptions};
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Bytes of the journal's first page that its check covers; the check is the next word.
pub const PAGE_BYTES: usize = 160;
/// Where the seed of the frames' checks is.
pub const SEED: usize = 152;
/// Where the ring begins; frames begin at multiples of it.
pub const RING: usize = 4096;
/// Bytes of a frame's head; its check is the last word.
pub const FRAME_HEAD_BYTES: usize = 64;
/// The least that a sector may be.
pub const SECTOR: usize = 512;
/// Bytes of a record's head, without and with a message. Its first word is slot and length.
const RECORD_HEAD_BYTES: [usize; 2] = [8, 24];

/// A boot that is not this one.
const OTHER_BOOT: [u8; 16] = [7; 16];

/// The bytes of both files, and what is in them.
#[derive(Clone)]
pub struct Files {
    pub region: Vec<u8>,
    pub journal: Vec<u8>,
}

/// Both files on a disk in memory, to be put back at will; they go with this value.
pub struct Stopped {
    path: PathBuf,
    pub files: Files,
    /// The places of the frames in the journal's file, the newest first.
    pub frames: Vec<Range<usize>>,
    /// The bodies of the messages that are there, sorted.
    pub bodies: Vec<Vec<u8>>,
    /// The region's.
    pub layout: Layout,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(journal_of(&self.path));
    }
}

fn journal_of(region: &Path) -> PathBuf {
    region.with_extension("journal")
}

impl Stopped {
    pub fn new() -> Self {
        let path = unused_path("stopped");
        let _ = fs::remove_file(journal_of(&path));
        let bodies = live(&path);
        let mut files = Files {
            region: fs::read(&path).expect("the region"),
            journal: fs::read(journal_of(&path)).expect("the journal"),
        };
        files.region[BOOT..BOOT + 16].copy_from_slice(&OTHER_BOOT);
        let frames = files.frames();
        let oldest = frames
            .iter()
            .map(|frame| word(&files.journal, frame.start + 8))
            .min();
        assert!(oldest > Some(0), "the ring has gone round");
        Self {
            frames,
            bodies,
            layout: Layout::of(&files.region),
            files,
            path,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives both files these bytes and no others.
    pub fn put(&self, files: &Files) {
        for (path, bytes) in [
            (&self.path, &files.region),
            (&journal_of(&self.path), &files.journal),
        ] {
            let file = File::options().write(true).open(path).expect("the file");
            file.set_len(bytes.len() as u64).expect("another length");
            file.write_all_at(bytes, 0).expect("a write to memory");
        }
    }

    /// The machine stops once more: the queue's pages hold whatever `filler` says.
    pub fn stop_again(&self, filler: u64) {
        let file = File::options().write(true).open(&self.path);
        let file = file.expect("the region");
        let write = |bytes: &[u8], at: usize| {
            let written = file.write_all_at(bytes, at as u64);
            written.expect("a write to memory");
        };
        write(&OTHER_BOOT, BOOT);
        // Behind the lines that are checked when it is opened.
        let torn: Vec<u8> = (0..64).flat_map(|_| filler.to_le_bytes()).collect();
        (BLOCKS..LEN - SECTOR)
            .step_by(SECTOR)
            .for_each(|at| write(&torn, at));
    }
}

impl Default for Stopped {
    fn default() -> Self {
        Self::new()
    }
}

impl Files {
    /// Makes the check over the journal's first page right.
    pub fn seal_page(&mut self) {
        if self.journal.len() >= PAGE_BYTES + 8 {
            let check = xxh3_64(&self.journal[..PAGE_BYTES]);
            self.journal[PAGE_BYTES..PAGE_BYTES + 8].copy_from_slice(&check.to_le_bytes());
        }
    }

    /// Makes the check of the frame at `at` right, whatever length it says, within the file.
    pub fn seal_frame(&mut self, at: usize) {
        if self.journal.len() < at + FRAME_HEAD_BYTES {
            return;
        }
        let seed = word(&self.journal, SEED);
        let len = word(&self.journal, at + 16) as u32 as usize;
        let end = (at + len.max(FRAME_HEAD_BYTES)).min(self.journal.len());
        let frame = &mut self.journal[at..end];
        frame[FRAME_HEAD_BYTES - 8..FRAME_HEAD_BYTES].fill(0);
        let check = xxh3_64_with_seed(frame, seed);
        frame[FRAME_HEAD_BYTES - 8..FRAME_HEAD_BYTES].copy_from_slice(&check.to_le_bytes());
    }

    /// Makes the checksum of the body right in the record at `at`.
    pub fn seal_record(&mut self, at: usize) {
        let len = (word(&self.journal, at) >> 32) as usize;
        let body = at + RECORD_HEAD_BYTES[1];
        let stamp = word(&self.journal, at + 8);
        let sum = xxh3_64_with_seed(&self.journal[body..body + len], stamp) as u32;
        self.journal[at + 16..at + 20].copy_from_slice(&sum.to_le_bytes());
    }

    /// The places of the frames of a sound journal, the newest first.
    fn frames(&self) -> Vec<Range<usize>> {
        let mut frames = Vec::new();
        let mut at = RING;
        while at < self.journal.len() {
            let is_frame = self.journal[at..].starts_with(b"RINGFRAM");
            let len = word(&self.journal, at + 16) as u32 as usize;
            if is_frame {
                frames.push((word(&self.journal, at + 8), at..at + len));
            }
            at += if is_frame { len } else { 1 }.next_multiple_of(RING);
        }
        frames.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
        frames.into_iter().map(|(_, place)| place).collect()
    }

    /// Where the records of a frame begin, as far as it is there and their lengths make sense.
    pub fn records(&self, frame: &Range<usize>) -> Vec<usize> {
        let mut records = Vec::new();
        let mut at = frame.start + FRAME_HEAD_BYTES;
        let end = frame.end.min(self.journal.len());
        while at + 8 <= end {
            records.push(at);
            let len = (word(&self.journal, at) >> 32) as usize;
            let head = RECORD_HEAD_BYTES[usize::from(len != 0)];
            at += head + len.next_multiple_of(8);
        }
        records
    }
}

/// A machine's life: messages of all lengths come and go until the ring has gone round, and some
/// stay. The bodies of those, sorted.
fn live(path: &Path) -> Vec<Vec<u8>> {
    let options = QueueOptions::new()
        .visibility(Duration::from_secs(1))
        .retention(Duration::from_secs(14 * 86_400))
        .typical_body(32)
        .durability(Durability::BeforeOk);
    let region = Mapped::create(path, LEN as u64).expect("a region");
    let queue = Queue::create(&region, options).expect("a queue");
    let process = queue.at(Durability::Process).expect("a level");
    let pages = fs::metadata(journal_of(path)).expect("the journal").len() / RING as u64;
    let lens = [8, 24, 32, 33, 100, 301, 1500, 4300];
    let mut bodies = Vec::new();
    for seed in 1..=10 {
        bodies.push(sealed(seed, lens[seed as usize % 6]));
    }
    let sent = process.send_batch(&bodies).expect("a batch");
    assert!(sent.iter().all(Result::is_ok), "room");
    queue.sync().expect("a disk");
    // One comes and one goes in each commit, and twice in the round one of whole blocks.
    for round in 0..pages + pages / 8 {
        let len = lens[if round % 64 == 63 {
            7
        } else {
            round as usize % 5
        }];
        let id = process.send(&sealed(1000 + round, len)).expect("room");
        if round % 3 == 0 {
            queue.sync().expect("a disk");
        }
        for _ in 0..64 {
            let received = process.receive().expect("a receive").expect("a message");
            if received.id() == id {
                received.delete().expect("a delete");
                break;
            }
            received.release().expect("a release");
        }
        queue.sync().expect("a disk");
    }
    for seed in 20..24 {
        let body = sealed(seed, lens[seed as usize % 7]);
        queue.send(&body).expect("room");
        bodies.push(body);
    }
    // Held, and never settled: there again when the machine is.
    std::mem::forget(queue.receive().expect("a receive").expect("a message"));
    let gone = queue.receive().expect("a receive").expect("a message");
    let at = bodies.iter().position(|body| body == gone.body());
    bodies.remove(at.expect("a body of ours"));
    gone.delete().expect("a delete");
    bodies.sort();
    bodies
}
