//! The directory of an engine: its marker, and the files of its queues and streams.
//!
//! # Protocol
//!
//! The *marker* (`ringmain.engine`) says that the directory is an engine's. It is made whole and
//! then named, so of many creators one makes it and the others find it.
//!
//! Whoever changes which files there are has a *turn*: the lock of [`TURN_BYTE`] on the marker,
//! which the kernel frees when its holder dies, at whatever instruction. So who has a turn meets no
//! living creator or deleter, and what looks half-made is what a death has left:
//!
//! | found | who died | what the next one does |
//! |---|---|---|
//! | a card without region | a creator, before the region had its name | it goes |
//! | a region with nothing in it (*vacant*) | a creator, before the queue was there | it goes |
//! | a queue marked as deleted | a deleter | all who wait are woken, it goes |
//! | a journal without region | one who removed a vacant region | it goes |
//! | a file named `….new` | a writer, before the file had its name | it goes |
//!
//! What is said here of a queue goes for a stream: its region, its card, its mark, and its mirror,
//! which is what a journal is to a queue.
//!
//! A creation writes the card, then names the region, then lays out the queue, whose kind is
//! published last. So a queue that is there has its card. A deletion marks the queue, wakes who
//! waits, and removes card and journal, then the region; the mark is what a death in between
//! leaves, and the region goes last, since it has the mark.
//!
//! A region that is open lives on when its file is removed: who has it finds the mark in it. A name
//! may be used again at once, by another file.
//!
//! Race: A opens the file of a queue, B deletes the queue and makes another of the same name, A
//! goes on. A has the old one, and finds the mark at its first look; it then opens anew.
//!
//! Threads of one process share one open file of the marker, and so its locks: a mutex lets one of
//! them in. A forked child shares it as well: it is turned away ([`Error::Forked`]).

use super::inspect;
use super::os::{self, ForkMark};
use super::{Mapped, REGION_BYTES_MAX, REGION_BYTES_MIN, SECTIONS_OFFSET};
use crate::error::Error;
use crate::region::card::{self, CARD_BYTES_MAX, Kind};
use crate::region::home::{Intent, Region, Wish};
use crate::region::memory::{self, Place};
use crate::region::named::mark_deleted;
use crate::region::shelf::{Held, Look, Shelf, State, lock};
#[cfg(feature = "stream")]
use crate::region::stream::{self, StreamWish};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The marker's name.
pub const MARKER: &str = "ringmain.engine";
/// What a journal's file ends with.
const JOURNAL_END: &str = ".queue.journal";
/// What a mirror's file ends with.
const MIRROR_END: &str = ".stream.mirror";
/// What a file ends with that has not got its name yet.
const NEW_END: &str = ".new";
/// The lock that lets one change what is there.
const TURN_BYTE: i64 = 0;
/// The locks of duties, which have 44 bits, begin here.
const DUTY_BYTES: i64 = 1 << 61;

/// What the file of a region ends with. Names of queues have no dot but that of `.fifo`, so no file
/// of a queue looks like one of a stream.
const fn region_end(held: Held) -> &'static str {
    match held {
        Held::Queue => ".queue",
        Held::Stream => ".stream",
    }
}

/// What the file of a card ends with.
const fn card_end(held: Held) -> &'static str {
    match held {
        Held::Queue => ".meta",
        Held::Stream => ".stream.meta",
    }
}

/// What the file ends with that is a queue's journal, or a stream's mirror.
const fn beside_end(held: Held) -> &'static str {
    match held {
        Held::Queue => JOURNAL_END,
        Held::Stream => MIRROR_END,
    }
}

const KIND: Kind = Kind {
    word: "engine",
    called: "the engine's marker (ringmain.engine)",
    version: 1,
};

/// An engine's directory. Use [`Shelf`].
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    nonce: u64,
    marker: Mutex<File>,
    /// The duties of this process: its locks do not exclude each other.
    duties: Mutex<BTreeSet<u64>>,
    fork: ForkMark,
}

/// The kernel's lock, for as long as this value lives.
struct Turn<'a>(&'a File);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        os::unlock(self.0, TURN_BYTE);
    }
}

impl Directory {
    /// Makes the directory, if it is not there, and an engine in it.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] if it is an engine's, [`Error::NotAnEngine`] if something else is in it.
    pub fn create(path: &Path) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(os::error("making the directory", &e));
            }
            Err(_) if !path.is_dir() => {
                let problem = "it is no directory";
                return Err(Error::NotAnEngine { problem });
            }
            _ => {}
        }
        let marker = path.join(MARKER);
        let strange = files_in(path)?.into_iter().any(|name| {
            let passing = name.starts_with(MARKER) && name.ends_with(NEW_END);
            name != MARKER && !passing
        });
        if marker.symlink_metadata().is_ok() {
            return Err(Error::Exists);
        }
        if strange {
            let problem = "it has no marker (ringmain.engine), and other files";
            return Err(Error::NotAnEngine { problem });
        }
        let unnamed = os::Unnamed::new(&marker)?;
        let nonce = format!("nonce {:016x}\n", os::random());
        (&unnamed.file)
            .write_all(&card::seal(KIND, &nonce))
            .and_then(|()| unnamed.file.sync_all())
            .map_err(|e| os::error("writing the marker", &e))?;
        unnamed.name(&marker)?;
        Self::open(path)
    }

    /// Opens the directory of an engine.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotAnEngine`], [`Error::MetadataVersion`],
    /// [`Error::MetadataDamaged`], [`Error::Permission`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        match Self::survey(path)? {
            (directory, None) => Ok(directory),
            (_, Some(damage)) => Err(damage),
        }
    }

    /// Takes part in a stream to read it.
    #[cfg(feature = "stream")]
    pub fn open_for_reading(&self, name: &str) -> Result<Mapped, Error> {
        Mapped::open_for_reading(self.file(name, region_end(Held::Stream)))
    }

    /// Opens the directory of an engine, or makes one.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(path: &Path) -> Result<Self, Error> {
        for _ in 0..16 {
            match Self::open(path) {
                Err(Error::NotFound | Error::NotAnEngine { .. }) => {}
                other => return other,
            }
            match Self::create(path) {
                Err(Error::Exists) => {} // somebody was faster
                other => return other,
            }
        }
        Self::open(path)
    }

    /// Opens a directory that has a marker, and says what is wrong with the marker.
    pub fn survey(path: &Path) -> Result<(Self, Option<Error>), Error> {
        let marker = File::options()
            .read(true)
            .write(true)
            .open(path.join(MARKER));
        let marker = marker.map_err(|e| {
            let problem = match path.metadata() {
                Ok(there) if there.is_dir() => "it has no marker (ringmain.engine)",
                Ok(_) => "it is no directory",
                Err(_) => return os::error("opening the engine's marker", &e),
            };
            match e.kind() {
                ErrorKind::NotFound | ErrorKind::NotADirectory => Error::NotAnEngine { problem },
                ErrorKind::IsADirectory => KIND.damaged("it is a directory"),
                _ => os::error("opening the engine's marker", &e),
            }
        })?;
        let nonce = read_all(&marker, "reading the engine's marker").and_then(|bytes| {
            card::unseal(KIND, &bytes)?
                .strip_prefix("nonce ")
                .and_then(|rest| rest.strip_suffix('\n'))
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .ok_or(KIND.damaged("its nonce"))
        });
        let path = path
            .canonicalize()
            .map_err(|e| os::error("finding the directory's path", &e))?;
        let directory = Self {
            path,
            nonce: *nonce.as_ref().unwrap_or(&0),
            marker: Mutex::new(marker),
            duties: Mutex::default(),
            fork: ForkMark::new()?,
        };
        Ok((directory, nonce.err()))
    }

    /// The directory's path, links followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The engine's random name.
    pub fn nonce(&self) -> u64 {
        self.nonce
    }

    fn file(&self, name: &str, end: &str) -> PathBuf {
        self.path.join(format!("{name}{end}"))
    }

    fn sync(&self) -> Result<(), Error> {
        os::sync_dir(&self.path, "syncing the directory")
    }

    /// Whether the marker that this engine has opened is the one that is there.
    fn is_ours(&self, marker: &File) -> bool {
        let numbers = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let there = self.path.join(MARKER).metadata().map(numbers);
        there.is_ok_and(|there| marker.metadata().map(numbers).is_ok_and(|own| own == there))
    }
}

/// The names in a directory, sorted; those that are not UTF-8 with a substitute.
fn files_in(dir: &Path) -> Result<Vec<String>, Error> {
    let doing = "reading the directory";
    let entries = std::fs::read_dir(dir).map_err(|e| os::error(doing, &e))?;
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.map_err(|e| os::error(doing, &e))?;
        Ok(entry.file_name().to_string_lossy().into_owned())
    };
    let mut names = entries.map(name).collect::<Result<Vec<_>, Error>>()?;
    names.sort();
    Ok(names)
}

/// The bytes of a card's file; a few more than a card has, if there are too many.
fn read_all(file: &File, doing: &'static str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    file.take(CARD_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| os::error(doing, &e))?;
    Ok(bytes)
}

/// Removes a file that may be there.
fn unlink(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(os::error("removing a file", &e)),
        _ => Ok(()),
    }
}

/// The byte of the marker that is locked by who has a duty.
const fn byte_of(duty: u64) -> i64 {
    DUTY_BYTES + (duty & ((1 << 44) - 1)).cast_signed()
}

/// The name of the queue or stream whose file of this kind `file` is.
fn name_in<'a>(file: &'a str, held: Held, end: &str) -> Option<&'a str> {
    let name = file.strip_suffix(end)?;
    held.check_name(name).is_ok().then_some(name)
}

impl Shelf for Directory {
    type Region = Mapped;

    fn check(&self) -> Result<(), Error> {
        if self.fork.is_child() {
            return Err(Error::Forked);
        }
        Ok(())
    }

    fn turn<T>(&self, act: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.check()?;
        let marker = lock(&self.marker);
        os::lock(&marker, TURN_BYTE)?;
        let _turn = Turn(&marker);
        if !self.is_ours(&marker) {
            let problem = "its marker was removed or replaced";
            return Err(Error::NotAnEngine { problem });
        }
        act()
    }

    fn names(&self, held: Held) -> Result<Vec<String>, Error> {
        let (files, end) = (files_in(&self.path)?, region_end(held));
        let names = files.iter().filter_map(|file| name_in(file, held, end));
        let mut names: Vec<String> = names.map(str::to_string).collect();
        names.sort(); // "a-b.queue" comes before "a.queue"
        Ok(names)
    }

    fn state(&self, held: Held, name: &str) -> Result<State, Error> {
        match inspect::state(held, &self.file(name, region_end(held))) {
            Err(Error::NotFound) => Ok(State::Absent),
            other => other,
        }
    }

    fn open(&self, held: Held, name: &str) -> Result<Mapped, Error> {
        Mapped::open(self.file(name, region_end(held)))
    }

    fn body_bytes_max(&self, bytes: u64, wish: &Wish) -> Result<usize, Error> {
        if bytes < REGION_BYTES_MIN {
            return Err(Error::RegionTooSmall {
                len: bytes,
                needed: REGION_BYTES_MIN,
            });
        }
        if bytes > REGION_BYTES_MAX {
            return Err(Error::RegionTooLarge {
                len: bytes,
                max: REGION_BYTES_MAX,
            });
        }
        let (shape, _) = memory::fit(wish, (bytes - SECTIONS_OFFSET) as usize, true)?;
        Ok(shape.body_bytes_max)
    }

    fn create(&self, name: &str, bytes: u64, wish: &Wish) -> Result<(Mapped, Place), Error> {
        unlink(&self.file(name, JOURNAL_END))?; // of no region: see the protocol
        let region = Mapped::create(self.file(name, region_end(Held::Queue)), bytes)?;
        match region.place(Intent::Create, wish) {
            Ok(place) => Ok((region, place)),
            Err(error) => {
                // If it is only not known to be on the disk, somebody may have opened it already.
                if let Ok(place) = region.place(Intent::Open, &Wish::open(name)) {
                    mark_deleted(&region, &place);
                }
                drop(region);
                let _ = self.remove(Held::Queue, name); // what stays goes the next time
                Err(error)
            }
        }
    }

    #[cfg(feature = "stream")]
    fn create_stream(&self, name: &str, bytes: u64, wish: &StreamWish) -> Result<Mapped, Error> {
        unlink(&self.file(name, MIRROR_END))?; // of no region, as a journal
        let region = Mapped::create(self.file(name, region_end(Held::Stream)), bytes)?;
        match region.stream_place(Intent::Create, wish) {
            Ok(_) => Ok(region),
            Err(error) => {
                let _ = stream::mark_deleted(&region); // as above; there may be none
                drop(region);
                let _ = self.remove(Held::Stream, name);
                Err(error)
            }
        }
    }

    fn remove(&self, held: Held, name: &str) -> Result<(), Error> {
        unlink(&self.file(name, card_end(held)))?;
        unlink(&self.file(name, beside_end(held)))?;
        unlink(&self.file(name, region_end(held)))?;
        self.sync()
    }

    fn card(&self, held: Held, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match File::open(self.file(name, card_end(held))) {
            Ok(file) => read_all(&file, "reading the metadata").map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(os::error("opening the metadata", &e)),
        }
    }

    fn set_card(&self, held: Held, name: &str, card: &[u8]) -> Result<(), Error> {
        let card_end = card_end(held);
        let path = self.file(name, card_end);
        let end = format!("{card_end}.{:016x}{NEW_END}", os::random());
        let passing = self.file(name, &end);
        let written = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&passing)
            .and_then(|mut file| file.write_all(card).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&passing, &path));
        if let Err(e) = written {
            let _ = std::fs::remove_file(&passing);
            return Err(os::error("writing the metadata", &e));
        }
        self.sync()
    }

    fn bytes(region: &Mapped) -> u64 {
        region.len()
    }

    fn clean(&self) -> Result<(), Error> {
        for file in files_in(&self.path)? {
            let card = |held| name_in(&file, held, card_end(held)).map(|name| (held, name));
            let beside = |held| name_in(&file, held, beside_end(held)).map(|name| (held, name));
            let mut all = Held::ALL.into_iter();
            let owner = all.find_map(|held| card(held).or_else(|| beside(held)));
            let alone = owner.is_some_and(|(held, name)| {
                let region = self.file(name, region_end(held)).symlink_metadata();
                region.is_err_and(|e| e.kind() == ErrorKind::NotFound)
            });
            if alone || file.ends_with(NEW_END) {
                unlink(&self.path.join(&file))?;
            }
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<String>, Error> {
        files_in(&self.path)
    }

    fn take_on(&self, duty: u64) -> Result<bool, Error> {
        self.check()?;
        let mut duties = lock(&self.duties);
        let taken = !duties.contains(&duty) && os::try_lock(&lock(&self.marker), byte_of(duty));
        if taken {
            duties.insert(duty);
        }
        Ok(taken)
    }

    fn resign(&self, duty: u64) {
        let mut duties = lock(&self.duties);
        if duties.remove(&duty) && !self.fork.is_child() {
            os::unlock(&lock(&self.marker), byte_of(duty));
        }
    }

    fn look(&self, name: &str) -> Result<Look, Error> {
        inspect::look(&self.file(name, region_end(Held::Queue)), &Wish::open(name))
    }

    #[cfg(feature = "stream")]
    fn look_at_stream(&self, name: &str) -> Result<State, Error> {
        inspect::look_at_stream(&self.file(name, region_end(Held::Stream)))
    }
}
