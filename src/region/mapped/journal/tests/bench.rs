//! A queue in memory with a journal on a disk, whose slots are used by number.

use super::super::frame::{ALIGN, Frame, Record, Records};
use super::super::recover::Recovered;
use super::super::{Journal, RING_OFFSET};
use crate::error::Error;
use crate::hash::checksum;
use crate::region::arena::{Hold, stamp};
use crate::region::layout::{DURABILITY_BEFORE_OK, DURABILITY_PROCESS, Settings, Shape};
use crate::region::mapped::os;
use crate::region::marks::Look;
use crate::region::memory::Place;
use crate::region::store::Store;
use crate::region::word::{Phase, Word};
use crate::region::{Heap, Intent, Region, Wish};
use crate::sync::Ordering;
use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Mutex;

const OWNER: u32 = 1;
/// The send time of all messages, ms.
const SENT_MS: u64 = 1000;
const SETTINGS: Settings = Settings {
    policy: [60_000, 600_000, 0, 120_000, 0, 0, 0, 0],
    flags: 1,
    nonce: 8,
    durability: DURABILITY_BEFORE_OK,
    window: 0,
};

/// A queue in memory, as the machine finds it when it starts.
pub struct Memory {
    heap: Heap,
    place: Place,
}

impl Memory {
    pub fn new(bytes: usize, typical: usize, longest: usize) -> Self {
        let heap = Heap::new(bytes).expect("memory");
        let wish = Wish {
            body_bytes_typical: typical,
            body_bytes_max: Some(longest),
            checksum: Some(true),
            policy: [60_000, 600_000, 0, 120_000, 0, 0, 0, 0],
            durability: DURABILITY_PROCESS,
            fifo: None,
        };
        let mut place = heap.place(Intent::Create, &wish).expect("a queue");
        place.durability = DURABILITY_BEFORE_OK; // so that what changes is marked
        let memory = Self { heap, place };
        let blocks = memory.store().blocks().len();
        let extent = &memory.store().head().seldom.extent;
        extent.store(blocks as u64, Ordering::Relaxed);
        memory
    }

    pub fn store(&self) -> Store<'_> {
        self.heap.store(&self.place)
    }

    /// Sends a body to a slot.
    pub fn send(&self, index: usize, body: &[u8]) {
        let store = self.store();
        let run = store.shape().run(body.len());
        let mut claimed = store.claim(index, run, OWNER).expect("free slots");
        store.fill(&mut claimed, body);
        store.publish_body(claimed, body, SENT_MS, true);
    }

    fn hold(&self, index: usize) -> (Hold, usize) {
        let store = self.store();
        let hold = store.hold(index, OWNER, false, SENT_MS + 1);
        (hold.expect("a message"), store.measured_run(index))
    }

    /// Deletes the message of a slot.
    pub fn delete(&self, index: usize) {
        let (hold, run) = self.hold(index);
        let deleted = self.store().delete(&hold, run, OWNER);
        assert_eq!(deleted, Ok(Some(run)), "slot {index}");
    }

    /// The messages that are there: first slot and body.
    pub fn messages(&self) -> Vec<(usize, Vec<u8>)> {
        let store = self.store();
        let ready = |index: &usize| {
            let word = Word(store.words()[*index].load(Ordering::Acquire));
            word.phase() == Phase::Ready
        };
        let mut messages = Vec::new();
        for index in (0..store.shape().slots).filter(ready) {
            let (hold, _) = self.hold(index);
            let len = store.inspect(&hold, true).expect("a whole message");
            let body = store.held_bytes(&hold, len.body_len()).to_vec();
            store.release(&hold, SENT_MS, OWNER).expect("a release");
            messages.push((index, body));
        }
        messages
    }

    /// The first slots of all messages.
    pub fn slots(&self) -> Vec<usize> {
        self.messages()
            .into_iter()
            .map(|(index, _)| index)
            .collect()
    }
}

/// A queue, its journal, and a directory for it that goes with this value.
pub struct Bench {
    pub memory: Memory,
    pub journal: Journal,
    dir: PathBuf,
    region: File,
    form: [usize; 3],
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A message in a record that is made by hand.
pub struct Written<'b> {
    pub slot: u32,
    pub generation: u64,
    pub body: &'b [u8],
}

impl Bench {
    /// A queue of at most `bytes` bytes; slots for bodies of `typical` bytes.
    pub fn new(name: &str, bytes: usize, typical: usize, longest: usize) -> Self {
        let unique = os::random();
        let dir = std::env::temp_dir().join(format!("ringmain-journal-{name}-{unique:016x}"));
        std::fs::create_dir_all(&dir).expect("a directory");
        let path = dir.join("q");
        let region = File::create_new(&path).expect("a file");
        let memory = Memory::new(bytes, typical, longest);
        let journal = Journal::create(&path, 7, memory.store().shape(), &SETTINGS);
        let journal = journal.expect("a journal");
        Self {
            memory,
            journal,
            dir,
            region,
            form: [bytes, typical, longest],
        }
    }

    /// Slots of 128 bytes, several blocks of them.
    pub fn small(name: &str) -> Self {
        Self::new(name, 64 << 10, 96, 20_000)
    }

    pub fn shape(&self) -> Shape {
        *self.memory.store().shape()
    }

    pub fn commit_to(&self, journal: &Journal) -> Result<(), Error> {
        journal.commit(&self.region, &self.memory.store(), u64::MAX)
    }

    /// Writes all that is marked.
    pub fn commit(&self) {
        self.commit_to(&self.journal).expect("the disk");
    }

    /// The machine stops and starts again: an empty memory, filled from the journal.
    pub fn restart(&mut self) -> Recovered {
        let [bytes, typical, longest] = self.form;
        self.memory = Memory::new(bytes, typical, longest);
        self.journal
            .recover(&self.memory.store())
            .expect("the journal")
    }

    /// The first slots of what recovery finds, while this memory stays as it is.
    pub fn recovered(&self) -> Vec<usize> {
        let [bytes, typical, longest] = self.form;
        let memory = Memory::new(bytes, typical, longest);
        self.journal.recover(&memory.store()).expect("the journal");
        memory.slots()
    }

    /// Where the next frame goes.
    pub fn end(&self) -> u64 {
        self.memory
            .store()
            .head()
            .seldom
            .journal_end
            .load(Ordering::Acquire)
    }

    /// The same file through a descriptor on which every `fdatasync` of this thread fails.
    pub fn failing(&self, number: i32) -> Journal {
        self.through(number, |fd| refuse(libc::SYS_fdatasync, fd, None))
    }

    /// The same file through a descriptor on which this thread can write at the ring's start alone.
    pub fn failing_later(&self, number: i32) -> Journal {
        let start = RING_OFFSET as u32;
        self.through(number, |fd| refuse(libc::SYS_pwrite64, fd, Some(start)))
    }

    /// The same file through a descriptor on which this thread cannot read at a place of the ring.
    pub fn unreadable(&self, number: i32, place: u64) -> Journal {
        let at = RING_OFFSET as u32 + place as u32;
        self.through(number, |fd| refuse_at(libc::SYS_pread64, fd, at))
    }

    fn through(&self, number: i32, refuse: impl FnOnce(i32)) -> Journal {
        let file = self.journal.file.as_raw_fd();
        // SAFETY: a new descriptor of our own, of at least this number.
        let fd = unsafe { libc::fcntl(file, libc::F_DUPFD_CLOEXEC, number) };
        assert!(fd >= number, "a descriptor");
        refuse(fd);
        // SAFETY: just made, and owned by nobody else.
        self.with_file(unsafe { File::from_raw_fd(fd) })
    }

    /// The same file, so that nothing can be written to it.
    pub fn read_only(&self) -> Journal {
        self.with_file(File::open(self.dir.join("q.journal")).expect("the journal"))
    }

    fn with_file(&self, file: File) -> Journal {
        Journal {
            file,
            sizes: self.journal.sizes,
            seed: self.journal.seed,
            writing: Mutex::new(Frame::default()),
        }
    }

    pub fn write(&self, bytes: &[u8], position: u64) {
        let offset = RING_OFFSET + position % self.journal.sizes.ring;
        self.journal
            .file
            .write_all_at(bytes, offset)
            .expect("the disk");
    }

    pub fn read(&self, len: usize, position: u64) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let offset = RING_OFFSET + position % self.journal.sizes.ring;
        self.journal
            .file
            .read_exact_at(&mut bytes, offset)
            .expect("the disk");
        bytes
    }

    /// A sealed frame with these messages, and none in these slots after them.
    pub fn frame(&self, position: u64, messages: &[Written<'_>], none: &[u32]) -> Vec<u8> {
        let mut frame = Frame::default();
        frame.clear();
        for message in messages {
            let stamp = stamp(SENT_MS, message.generation);
            let sum = checksum(message.body, stamp);
            let look = Look {
                word: Word::ready(message.generation, 0),
                stamp,
                size: u64::from(sum) << 32 | message.body.len() as u64,
                attributes: 0,
            };
            assert!(frame.push(message.slot, (&look, None), message.body, usize::MAX));
        }
        for &slot in none {
            assert!(frame.push_none(slot, usize::MAX));
        }
        frame.seal(position, 1, SENT_MS, self.journal.seed).to_vec()
    }

    /// Writes such a frame; where the next one goes.
    pub fn put(&self, position: u64, messages: &[Written<'_>], none: &[u32]) -> u64 {
        let bytes = self.frame(position, messages, none);
        self.write(&bytes, position);
        position + bytes.len() as u64
    }

    /// For each slot, the positions of all frames that have a record of it.
    pub fn positions_of(&self, slots: &[usize]) -> Vec<Vec<u64>> {
        let frames = self
            .journal
            .frames(&mut Recovered::default())
            .expect("the disk");
        let mut positions = vec![Vec::new(); slots.len()];
        for frame in frames {
            let bytes = self.read(frame.len, frame.position);
            let recorded: HashSet<u32> = Records::of(&bytes, false)
                .filter_map(|record| match record {
                    Record::Slot(slot, _) => Some(slot),
                    Record::Id(_) => None,
                })
                .collect();
            for (slot, positions) in slots.iter().zip(&mut positions) {
                if recorded.contains(&(*slot as u32)) {
                    positions.push(frame.position);
                }
            }
        }
        positions
    }
}

pub const PAGE: u64 = ALIGN as u64;

/// A message of one slot, the first of that slot.
pub fn one(slot: u32, body: &[u8]) -> Written<'_> {
    Written {
        slot,
        generation: 1,
        body,
    }
}

/// From here on a call on this descriptor fails in this thread, unless its offset is `allowed`.
/// A filter stays as long as its thread, so the descriptor's number is one that no other test has.
fn refuse(call: libc::c_long, fd: i32, allowed: Option<u32>) {
    filter(call, fd, allowed.unwrap_or(u32::MAX), [ALLOW, FAIL]);
}

/// From here on a call on this descriptor at this offset fails in this thread.
fn refuse_at(call: libc::c_long, fd: i32, offset: u32) {
    filter(call, fd, offset, [FAIL, ALLOW]);
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const FAIL: u32 = libc::SECCOMP_RET_ERRNO | libc::EIO as u32;

/// What becomes of a call on this descriptor: with this fourth argument, and with another.
fn filter(call: libc::c_long, fd: i32, fourth: u32, answers: [u32; 2]) {
    let statement = |code: u32, k: u32, yes: u8, no: u8| libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let number = core::mem::offset_of!(libc::seccomp_data, nr) as u32;
    // The low halves of the arguments.
    let argument = |nth: u32| core::mem::offset_of!(libc::seccomp_data, args) as u32 + 8 * nth;
    let mut program = [
        statement(load, number, 0, 0),
        statement(equal, call as u32, 0, 6), // to the last
        statement(load, argument(0), 0, 0),
        statement(equal, fd as u32, 0, 4),
        statement(load, argument(3), 0, 0),
        statement(equal, fourth, 0, 1),
        statement(answer, answers[0], 0, 0),
        statement(answer, answers[1], 0, 0),
        statement(answer, ALLOW, 0, 0),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: plain numbers; a thread may always give up new privileges.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the filter and its program live through the call; the kernel copies them.
    let set = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &filter as *const libc::sock_fprog,
        )
    };
    assert_eq!((given_up, set), (0, 0), "no filter");
}
