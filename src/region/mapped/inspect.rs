//! Looking at a region's file without taking part in it: nothing in the file is changed.

use super::header::{Header, KIND_VACANT, SECTIONS_OFFSET};
use super::journal::Journal;
#[cfg(feature = "stream")]
use super::mirror::Mirror;
use super::os;
use crate::error::Error;
use crate::region::Wish;
use crate::region::layout::{KIND_FIFO, KIND_QUEUE, QueueHead};
use crate::region::policy::{DEAD_LETTERS, DELETED, SETTINGS, value_of};
use crate::region::shelf::{Held, Look, State};
#[cfg(feature = "stream")]
use crate::region::stream::{self, DELETED as MARK, KIND_STREAM, Notes, StreamHead};
use crate::region::verify::verify;
use crate::sync::Ordering;
use core::mem::offset_of;
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const KIND_OFFSET: u64 = offset_of!(Header, section) as u64;
const POLICY_OFFSET: u64 = SECTIONS_OFFSET + offset_of!(QueueHead, policy) as u64;
#[cfg(feature = "stream")]
const MARK_OFFSET: u64 =
    SECTIONS_OFFSET + (offset_of!(StreamHead, notes) + offset_of!(Notes, deleted)) as u64;

fn open(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(|e| os::error("opening the file", &e))?;
    let meta = file
        .metadata()
        .map_err(|e| os::error("reading the file's size", &e))?;
    if meta.is_file() {
        Ok(file)
    } else {
        Err(Error::NotARegion)
    }
}

fn word_at(file: &File, offset: u64) -> Result<u64, Error> {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes, offset)
        .map_err(|e| os::error("reading the region", &e))?;
    Ok(u64::from_le_bytes(bytes))
}

fn kind_error(held: Held, found: u64) -> Error {
    Error::Kind {
        found,
        expected: held.kind(""),
    }
}

/// What lies in a region's file, by its header and a few words: quick, and no check of the rest.
pub fn state(held: Held, path: &Path) -> Result<State, Error> {
    let file = open(path)?;
    let (birth, len) = os::read_birth(&file)?;
    birth.verify(len)?;
    match (word_at(&file, KIND_OFFSET)?, held) {
        (KIND_VACANT, _) => return Ok(State::Vacant),
        (KIND_QUEUE | KIND_FIFO, Held::Queue) => {}
        #[cfg(feature = "stream")]
        (KIND_STREAM, Held::Stream) => {
            return Ok(State::of_stream(word_at(&file, MARK_OFFSET)? == MARK));
        }
        (found, _) => return Err(kind_error(held, found)),
    }
    let setting = |setting: usize| {
        let word = word_at(&file, POLICY_OFFSET + 8 * setting as u64)?;
        let field = "queue's settings";
        value_of(setting, word).ok_or(Error::Damaged { field })
    };
    if setting(DELETED)? != 0 {
        return Ok(State::Deleted);
    }
    let dead_letters = setting(DEAD_LETTERS)?;
    Ok(State::Ready { dead_letters })
}

/// A region's file that is mapped to be read, and what its header says.
struct Readable {
    map: MmapRaw,
    nonce: u64,
    /// [`KIND_VACANT`], or what its section holds.
    kind: u64,
}

impl Readable {
    fn open(path: &Path) -> Result<Self, Error> {
        let file = open(path)?;
        let (birth, file_len) = os::read_birth(&file)?;
        birth.verify(file_len)?;
        let too_large = Error::RegionTooLarge {
            len: birth.len,
            max: isize::MAX as u64,
        };
        let len = usize::try_from(birth.len).map_err(|_| too_large)?;
        let map = MmapOptions::new()
            .len(len)
            .map_raw_read_only(&file)
            .map_err(|e| os::error("mapping the file", &e))?;
        // SAFETY: the mapping has at least REGION_BYTES_MIN bytes, as `verify` has checked, is
        // aligned to a page, and Header consists of atomics, which are only loaded.
        let header = unsafe { &*(map.as_ptr() as *const Header) };
        let zero = |word: &crate::sync::AtomicU64| word.load(Ordering::Acquire) == 0;
        if !header.reserved.iter().all(zero) {
            let field = "reserved words";
            return Err(Error::Damaged { field });
        }
        // ORDERING: Acquire; [section-ready] the section was laid out before.
        let kind = header.section.kind.load(Ordering::Acquire);
        let nonce = birth.nonce;
        Ok(Self { map, nonce, kind })
    }

    /// Where the section begins, and how long it is.
    fn section(&self) -> (*mut u8, usize) {
        let offset = SECTIONS_OFFSET as usize;
        // SAFETY: inside the mapping, whose length was checked.
        let base = unsafe { self.map.as_mut_ptr().add(offset) };
        (base, self.map.len() - offset)
    }
}

/// All that is checked when a region is opened with this wish, its kind included.
pub fn look(path: &Path, wish: &Wish) -> Result<Look, Error> {
    let readable = Readable::open(path)?;
    let kind = match readable.kind {
        KIND_VACANT => {
            return Ok(Look {
                state: State::Vacant,
                id: 0,
                policy: [0; SETTINGS],
                body_bytes_max: 0,
            });
        }
        kind @ (KIND_QUEUE | KIND_FIFO) => kind,
        found => return Err(kind_error(Held::Queue, found)),
    };
    let (base, len) = readable.section();
    // SAFETY: the section is mapped and aligned to a page; nothing of it is written here, and
    // shared memory is reached through atomics only.
    let place = unsafe { verify(base, len, SECTIONS_OFFSET as usize, kind) }?;
    place.check_kind(wish)?;
    // SAFETY: `verify` has found room for the head, which consists of atomics.
    let head = unsafe { &*(base as *const QueueHead) };
    let policy = head.policy.numbers();
    if place.is_journaled() && policy[DELETED] == 0 {
        let nonces = [readable.nonce, head.config.nonce.load(Ordering::Relaxed)];
        Journal::open(path, nonces, &place.shape)?;
    }
    Ok(Look {
        state: State::of(&policy),
        id: head.id(),
        policy,
        body_bytes_max: place.shape.body_bytes_max,
    })
}

/// All that is checked when the region of a stream is opened.
#[cfg(feature = "stream")]
pub fn look_at_stream(path: &Path) -> Result<State, Error> {
    let readable = Readable::open(path)?;
    match readable.kind {
        KIND_VACANT => return Ok(State::Vacant),
        KIND_STREAM => {}
        found => return Err(kind_error(Held::Stream, found)),
    }
    let (base, len) = readable.section();
    // SAFETY: as in `look`; a stream is verified by loads alone.
    let place = unsafe { stream::verify(base, len) }?;
    // SAFETY: `verify` has found room for the head, which consists of atomics.
    let head = unsafe { &*(base as *const StreamHead) };
    // ORDERING: Relaxed; the mark publishes nothing but itself.
    let mark = head.notes.deleted.load(Ordering::Relaxed);
    if place.is_kept() && mark != MARK {
        let nonces = [readable.nonce, head.config.nonce.load(Ordering::Relaxed)];
        Mirror::open(path, nonces, &place)?;
    }
    Ok(State::of_stream(mark == MARK))
}
