//! What outlives the program: how far each file has been put, and what was about to be.
//!
//! ```text
//!      0   "ringmain follow", a zero; version u32; zero to 64
//!     64   number u64, and xxh3-64 of it: which slot counts; 0: none yet
//!   4096   slot of even numbers: number u64, len u64, xxh3-64 of both and the text, text (JSON)
//!   4096 + 2^20   slot of odd numbers
//! ```
//!
//! Little-endian. The first page is one write into an empty file. Later the slot that does not
//! count is written, and then the number: so a death in between leaves the other slot, and one that
//! counts and fails its check is damage, never a death. What is written is in the page cache, and
//! outlives the process; a power loss may leave anything, which is damage too.
//!
//! Who has the file open holds the kernel's lock on it (`flock`), which ends with the process.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::mark::Mark;
use crate::face::cli::exit::{Trouble, about};
use crate::hash::xxh3_64;

const MAGIC: &[u8; 16] = b"ringmain follow\0";
const VERSION: u32 = 1;
const NUMBER_AT: usize = 64;
const PAGE: usize = 4096;
const SLOT_BYTES: u64 = 1 << 20;
const HEAD: usize = 24;

/// What is noted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Noted {
    /// The random name of the stream's region.
    pub(super) stream: u64,
    pub(super) files: Vec<NotedFile>,
    /// What is about to be put.
    pub(super) batch: Option<NotedBatch>,
}

/// How far a file has been put.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NotedFile {
    /// Its path, absolute; bytes that are no text are escaped.
    pub(super) path: String,
    pub(super) mark: Mark,
}

/// Lines of a file that are about to be put.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct NotedBatch {
    /// Which of the files.
    pub(super) file: usize,
    /// Behind its last line. It begins at the file's mark.
    pub(super) end: u64,
    /// xxh3-64 of its bytes.
    pub(super) hash: u64,
    /// Shard and sequence number of the first record in each shard.
    pub(super) parts: Vec<(u32, u64)>,
    /// What becomes of each line: [`DONE`], [`LEFT`], or the number of its part.
    pub(super) lines: Vec<u8>,
}

/// Of a line: it is put, or passed over.
pub(super) const DONE: u8 = u8::MAX;
/// Of a line: it is to be put later.
pub(super) const LEFT: u8 = u8::MAX - 1;

/// The file, locked.
#[derive(Debug)]
pub(super) struct State {
    file: File,
    number: u64,
    slot: Vec<u8>,
}

impl State {
    /// Opens or makes the file, and reads what is noted in it.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<Noted>), Trouble> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let opened = options.mode(0o600).open(path);
        let file = opened.map_err(about(path.display()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                return Err(Trouble::new(format_args!(
                    "{}: another `ringmain follow` goes by it; give each its own --state",
                    path.display()
                )));
            }
            other => other
                .map_err(io::Error::from)
                .map_err(about(path.display()))?,
        }
        let mut state = Self {
            file,
            number: 0,
            slot: Vec::new(),
        };
        if state.file.metadata()?.len() == 0 {
            state.begin().map_err(about(path.display()))?;
            return Ok((state, None));
        }
        match state.load() {
            Ok(noted) => Ok((state, noted)),
            Err(what) => Err(Trouble::new(format_args!(
                "{}: {what}. Nothing was put. How far the files were put is not known any more: \
                 remove it to begin anew (--from-end: with what comes from now on)",
                path.display()
            ))),
        }
    }

    fn begin(&self) -> io::Result<()> {
        let mut page = vec![0; PAGE];
        page[..16].copy_from_slice(MAGIC);
        page[16..20].copy_from_slice(&VERSION.to_le_bytes());
        page[NUMBER_AT..NUMBER_AT + 16].copy_from_slice(&checked(0));
        self.file.write_all_at(&page, 0)
    }

    fn load(&mut self) -> Result<Option<Noted>, String> {
        let mut page = [0; NUMBER_AT + 16];
        let read = self.file.read_exact_at(&mut page, 0);
        read.map_err(|error| format!("no state of `ringmain follow`: {error}"))?;
        if page[..16] != *MAGIC {
            return Err("no state of `ringmain follow`".to_owned());
        }
        let version = word(&page, 16) as u32;
        if version != VERSION {
            return Err(format!(
                "of version {version}, and this program's is {VERSION}"
            ));
        }
        let number = word(&page, NUMBER_AT);
        if page[NUMBER_AT..] != checked(number) {
            return Err("damaged: its number fails its check".to_owned());
        }
        self.number = number;
        if number == 0 {
            return Ok(None);
        }
        let mut head = [0; HEAD];
        let read = self.file.read_exact_at(&mut head, slot_at(number));
        read.map_err(|error| format!("damaged: {error}"))?;
        let len = word(&head, 8);
        if word(&head, 0) != number || len > SLOT_BYTES - HEAD as u64 {
            return Err("damaged: the slot that counts is another's".to_owned());
        }
        let mut text = vec![0; len as usize];
        let read = self
            .file
            .read_exact_at(&mut text, slot_at(number) + HEAD as u64);
        read.map_err(|error| format!("damaged: {error}"))?;
        if word(&head, 16) != sum(&head[..16], &text) {
            return Err("damaged: the slot that counts fails its check".to_owned());
        }
        let noted: Noted =
            serde_json::from_slice(&text).map_err(|error| format!("damaged: {error}"))?;
        match &noted.batch {
            Some(batch) if batch.file >= noted.files.len() => {
                Err("damaged: it names a file that it does not have".to_owned())
            }
            _ => Ok(Some(noted)),
        }
    }

    /// Notes something in the other's stead.
    pub(super) fn note(&mut self, noted: &Noted) -> Result<(), Trouble> {
        let number = self.number + 1;
        self.slot.clear();
        self.slot.resize(HEAD, 0);
        serde_json::to_writer(&mut self.slot, noted)?;
        let (head, text) = self.slot.split_at_mut(HEAD);
        if text.len() as u64 > SLOT_BYTES - HEAD as u64 {
            return Err(Trouble::new("more files than a state has room for"));
        }
        head[..8].copy_from_slice(&number.to_le_bytes());
        head[8..16].copy_from_slice(&(text.len() as u64).to_le_bytes());
        let sum = sum(&head[..16], text);
        head[16..].copy_from_slice(&sum.to_le_bytes());
        self.file
            .write_all_at(&self.slot, slot_at(number))
            .and_then(|()| self.file.write_all_at(&checked(number), NUMBER_AT as u64))
            .map_err(about("the state"))?;
        self.number = number;
        Ok(())
    }
}

const fn slot_at(number: u64) -> u64 {
    PAGE as u64 + number % 2 * SLOT_BYTES
}

fn sum(head: &[u8], text: &[u8]) -> u64 {
    xxh3_64(text) ^ xxh3_64(head).rotate_left(1)
}

/// A number and its check.
fn checked(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let check = xxh3_64(&bytes[..8]);
    bytes[8..].copy_from_slice(&check.to_le_bytes());
    bytes
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
