//! A place in a file, and how the file is known again: by device, inode and birth, and by bytes
//! before the place. A copy of the file is known by these bytes alone.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::hash::xxh3_64;

/// How many bytes at the file's beginning, and before the place, are known again.
const PRINT_BYTES: u64 = 256;

/// Which file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Id {
    dev: u64,
    ino: u64,
    /// When it was made, ns since 1970; 0 where nobody knows.
    pub(super) born: u64,
}

impl Id {
    pub(super) fn of(about: &Metadata) -> Self {
        let born = about.created().ok();
        let born = born.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            dev: about.dev(),
            ino: about.ino(),
            born: born.map_or(0, |age| age.as_nanos() as u64),
        }
    }
}

/// Bytes that were read once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Print {
    len: u64,
    hash: u64,
}

impl Print {
    fn of(bytes: &[u8]) -> Self {
        Self {
            len: bytes.len() as u64,
            // No bytes are no print, as in a mark that was never moved.
            hash: if bytes.is_empty() { 0 } else { xxh3_64(bytes) },
        }
    }

    fn read(file: &File, at: u64, len: u64) -> io::Result<(Self, Vec<u8>)> {
        let mut bytes = vec![0; len.min(PRINT_BYTES) as usize];
        file.read_exact_at(&mut bytes, at)?;
        Ok((Self::of(&bytes), bytes))
    }
}

/// A place in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) id: Id,
    /// Where the next line begins.
    pub(super) offset: u64,
    head: Print,
    tail: Print,
    /// The youngest birth among the files beside it while this one had the path, and whose it is:
    /// what is younger, and has got one of the path's names for old files, came between.
    pub(super) since: u64,
    pub(super) seen: Vec<Id>,
    /// What `tail` is of.
    #[serde(skip)]
    last: Vec<u8>,
}

impl Mark {
    /// A place in this file.
    pub(super) fn at(file: &File, offset: u64) -> io::Result<Self> {
        let id = Id::of(&file.metadata()?);
        let mut mark = Self {
            id,
            since: id.born,
            seen: vec![id],
            ..Self::default()
        };
        mark.jump(file, offset)?;
        Ok(mark)
    }

    /// Moves on in the same file, over bytes that nobody has in hand.
    pub(super) fn jump(&mut self, file: &File, offset: u64) -> io::Result<()> {
        let len = offset.min(PRINT_BYTES);
        if self.head.len < len {
            self.head = Print::read(file, 0, len)?.0;
        }
        (self.tail, self.last) = Print::read(file, offset - len, len)?;
        self.offset = offset;
        Ok(())
    }

    /// Moves on over these bytes, which begin at the place. The file may be cut short by now.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        if self.offset == 0 {
            self.head = Print::of(&bytes[..bytes.len().min(PRINT_BYTES as usize)]);
        }
        self.offset += bytes.len() as u64;
        let from = bytes.len().saturating_sub(PRINT_BYTES as usize);
        self.last.extend_from_slice(&bytes[from..]);
        let before = self.last.len().saturating_sub(PRINT_BYTES as usize);
        self.last.drain(..before);
        self.tail = Print::of(&self.last);
    }

    /// Whether a file has the bytes before the place; if so it goes on there.
    pub(super) fn fits(&mut self, file: &File) -> io::Result<bool> {
        let Some(tail_at) = self.offset.checked_sub(self.tail.len) else {
            return Ok(false);
        };
        let read = |at, len| match Print::read(file, at, len) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            found => found.map(Some),
        };
        let (head, tail) = (read(0, self.head.len)?, read(tail_at, self.tail.len)?);
        let (Some((head, _)), Some((tail, last))) = (head, tail) else {
            return Ok(false);
        };
        let fits = (head, tail) == (self.head, self.tail);
        if fits {
            self.last = last;
        }
        Ok(fits)
    }

    /// Goes on at the same place of a copy.
    pub(super) fn adopt(&mut self, id: Id) {
        self.id = id;
    }

    /// These files are there while this one has the path.
    pub(super) fn learn(&mut self, beside: &[Id]) {
        let all = || beside.iter().chain([&self.id]);
        let since = all().map(|id| id.born).max().unwrap_or_default();
        let seen = all().filter(|id| id.born == since).copied().collect();
        (self.since, self.seen) = (since, seen);
    }

    /// Whether a file came after this one.
    pub(super) fn is_before(&self, id: Id) -> bool {
        id != self.id && id.born >= self.since && !self.seen.contains(&id)
    }
}
