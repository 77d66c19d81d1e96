//! The bare system calls: what any store that syncs each commit stands on.
//!
//! Records are whole pages, as a journal writes them that never rewrites what is durable. Each
//! thread has a file of its own, so that they do not meet at a lock of the kernel's.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Mutex, MutexGuard},
};

use memmap2::MmapMut;

use super::{
    drive::{Journal, Writer},
    message::{BODY, Body, Tally},
};
use crate::sample::Failure;

/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes of a file that does not grow: more than most samples write.
const FILE: usize = 16 << 20;
/// Files, and so threads.
const FILES: usize = 4;

/// How a record gets to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `pwrite` and `fdatasync` in a file whose blocks have all been written before: nothing but
    /// the data has to reach the disk.
    Initialised,
    /// The same at the end of a file that grows: its length and its new blocks have to get there
    /// too.
    Growing,
    /// Stores into a mapping of an initialised file, then `msync` of the pages written.
    Mapped,
}

/// A file for each thread.
pub struct Files {
    way: Way,
    files: Vec<(File, Mutex<Kept>)>,
}

/// What a file holds since it was settled.
#[derive(Default)]
struct Kept {
    records: Vec<Record>,
    /// What a later lap over the file has written over: it counts as it was sent.
    overwritten: Tally,
}

/// One record: where, how many messages, and which.
#[derive(Clone, Copy)]
struct Record {
    at: usize,
    messages: usize,
    sent: Tally,
}

impl Files {
    /// New files in `folder`; those that do not grow are written once from end to end.
    pub fn new(folder: &Path, way: Way) -> Result<Self, Failure> {
        let mut files = Vec::new();
        let chunk = vec![1; 1 << 20];
        for number in 0..FILES {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .open(folder.join(format!("{way:?}-{number}")))?;
            if way != Way::Growing {
                for _ in 0..FILE / chunk.len() {
                    file.write_all(&chunk)?;
                }
            }
            file.sync_all()?;
            files.push((file, Mutex::default()));
        }
        Ok(Self { way, files })
    }
}

impl Journal for Files {
    fn writer(&self, thread: usize) -> Result<Box<dyn Writer + '_>, Failure> {
        let (file, kept) = &self.files[thread];
        let map = match self.way {
            // SAFETY: nobody else writes this file, and nobody shortens it.
            Way::Mapped => Some(unsafe { MmapMut::map_mut(file)? }),
            Way::Initialised | Way::Growing => None,
        };
        Ok(Box::new(Raw {
            file,
            map,
            wraps: self.way != Way::Growing,
            kept: lock(kept)?,
            at: 0,
            buffer: Vec::new(),
        }))
    }

    fn settle(&self, _: Tally) -> Result<Tally, Failure> {
        let mut found = Tally::default();
        for (file, kept) in &self.files {
            let Kept {
                records,
                overwritten,
            } = std::mem::take(&mut *lock(kept)?);
            found = found.join(overwritten);
            for record in records {
                let mut bytes = vec![0; record.messages * BODY];
                file.read_exact_at(&mut bytes, record.at as u64)?;
                bytes.chunks_exact(BODY).for_each(|body| found.add(body));
            }
            if self.way == Way::Growing {
                file.set_len(0)?;
                file.sync_all()?;
            }
        }
        Ok(found)
    }
}

fn lock(kept: &Mutex<Kept>) -> Result<MutexGuard<'_, Kept>, Failure> {
    kept.lock().map_err(|_| "a writer panicked".into())
}

/// Writes records, one page or more each.
struct Raw<'a> {
    file: &'a File,
    map: Option<MmapMut>,
    wraps: bool,
    kept: MutexGuard<'a, Kept>,
    at: usize,
    buffer: Vec<u8>,
}

impl Writer for Raw<'_> {
    fn commit(&mut self, bodies: &[Body]) -> Result<(), Failure> {
        let len = (bodies.len() * BODY).next_multiple_of(PAGE);
        if self.wraps && self.at + len > FILE {
            self.at = 0;
            let sent = self.kept.records.drain(..).map(|record| record.sent);
            let sent = sent.fold(Tally::default(), Tally::join);
            self.kept.overwritten = self.kept.overwritten.join(sent);
        }
        match &mut self.map {
            Some(map) => {
                lay(&mut map[self.at..self.at + len], bodies);
                map.flush_range(self.at, len)?;
            }
            None => {
                self.buffer.resize(len, 0);
                lay(&mut self.buffer, bodies);
                self.file.write_all_at(&self.buffer, self.at as u64)?;
                self.file.sync_data()?;
            }
        }
        let mut sent = Tally::default();
        bodies.iter().for_each(|body| sent.add(body));
        self.kept.records.push(Record {
            at: self.at,
            messages: bodies.len(),
            sent,
        });
        self.at += len;
        Ok(())
    }
}

/// Lays bodies one after the other.
fn lay(record: &mut [u8], bodies: &[Body]) {
    for (place, body) in record.chunks_exact_mut(BODY).zip(bodies) {
        place.copy_from_slice(body);
    }
}
