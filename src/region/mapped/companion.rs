//! A file beside a region, from which what is in the region is made again when the machine has
//! stopped: the *journal* of a queue, the *mirror* of a stream. How it is made, found and checked,
//! and whose turn it is to write to it.
//!
//! Its first page is its *head*: it is written once, before the file has a name, and nobody writes
//! there again. It begins with a [`Label`] and ends with a checksum, and has in between what a kind
//! keeps of the settings that its queue or stream was made with.

use super::os;
use crate::error::Error;
use crate::pod::{Pod, Zeroable, bytes_of, pod_read_unaligned};
use crate::trace::event;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The lock that lets one participant commit.
pub const COMMIT_BYTE: i64 = 1024;
/// Bytes of the checksum at the end of a head.
const CHECK_BYTES: usize = 8;

/// What each head begins with.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Label {
    magic: u64,
    version: u32,
    reserved: u32,
    /// The nonce of the region that it belongs to.
    pub region: u64,
    /// The nonce of the queue or stream.
    pub section: u64,
}

const _: () = assert!(size_of::<Label>() == 32);

impl Label {
    /// The label of a companion of this kind.
    pub const fn new<H: Head>([region, section]: [u64; 2]) -> Self {
        Self {
            magic: H::MAGIC,
            version: H::VERSION,
            reserved: 0,
            region,
            section,
        }
    }
}

/// What a kind of companion says when something goes wrong.
pub struct Words {
    /// It is in the way of one that is to be made.
    pub foreign: &'static str,
    /// It is not there.
    pub missing: &'static str,
    /// What was being done.
    pub opening: &'static str,
    /// What was being done.
    pub reading: &'static str,
    /// What was being done.
    pub removing: &'static str,
    /// What was being done.
    pub sizing: &'static str,
    /// What was being done.
    pub writing: &'static str,
}

/// A kind of companion: its head, as it lies in the file. The last field is the xxh3-64 of those
/// before it.
pub trait Head: Pod {
    /// The file's first eight bytes.
    const MAGIC: u64;
    /// The format that this library writes and reads.
    const VERSION: u32;
    /// What its name ends with, behind the region's.
    const END: &'static str;
    /// What it says of what is wrong.
    const WORDS: Words;
    /// What lies where in it.
    type Sizes;
    /// What is written next.
    type Frame;

    /// The error of what is wrong with it.
    fn problem(problem: &'static str) -> Error;
}

/// A companion's file, and what one needs to write to it.
#[derive(Debug)]
pub struct Companion<H: Head> {
    pub(super) file: File,
    pub(super) sizes: H::Sizes,
    /// Seeds the checksums of what is written, so that nothing that was sent or put looks like it.
    pub(super) seed: u64,
    /// What is written next. Threads of this attachment share its locks, so they exclude each
    /// other here.
    pub(super) writing: Mutex<H::Frame>,
}

fn path_of<H: Head>(region: &Path) -> Result<PathBuf, Error> {
    os::beside(region, H::END)
}

fn label_of(head: &impl Head) -> Label {
    pod_read_unaligned(&bytes_of(head)[..size_of::<Label>()])
}

/// The checksum of a head, as it stands at its end.
fn check_of(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    crate::hash::xxh3_64(&bytes[..bytes.len() - CHECK_BYTES]).to_le_bytes()
}

fn read_head<H: Head>(file: &File) -> Result<H, Error> {
    let damaged = H::problem("is damaged: its first page");
    let mut bytes = vec![0; size_of::<H>()];
    file.read_exact_at(&mut bytes, 0)
        .map_err(|_| damaged.clone())?;
    let head: H = pod_read_unaligned(&bytes);
    let label = label_of(&head);
    if label.magic != H::MAGIC {
        return Err(damaged);
    }
    if label.version != H::VERSION {
        return Err(Error::Version {
            found: label.version,
            supported: H::VERSION,
        });
    }
    if label.reserved != 0 || !bytes.ends_with(&check_of(&bytes)) {
        return Err(damaged);
    }
    Ok(head)
}

/// The head of the companion beside region `nonce`, if it is whole.
pub fn head_beside<H: Head>(region: &Path, nonce: u64) -> Option<H> {
    let file = File::open(path_of::<H>(region).ok()?).ok()?;
    let head = read_head(&file).ok()?;
    (label_of(&head).region == nonce).then_some(head)
}

/// Makes the file of a companion: all of its space is there and initialised when it gets its name,
/// so that a commit changes no metadata. `fill` writes what is there beside the head. All of it is
/// on the disk; the caller gives it its name.
pub fn make<H: Head>(
    region: &Path,
    head: &H,
    len: u64,
    fill: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(os::Unnamed, PathBuf), Error> {
    let mut bytes = bytes_of(head).to_vec();
    let check = check_of(&bytes);
    let checked = bytes.len() - CHECK_BYTES;
    bytes[checked..].copy_from_slice(&check);
    let path = path_of::<H>(region)?;
    let unnamed = os::Unnamed::new(&path)?;
    let file = &unnamed.file;
    os::reserve(file, len)?;
    os::initialise(file, len)
        .and_then(|()| file.write_all_at(&bytes, 0))
        .and_then(|()| fill(file))
        .and_then(|()| file.sync_all())
        .map_err(|e| os::error(H::WORDS.writing, &e))?;
    Ok((unnamed, path))
}

/// Opens the file of a region's companion; it and its head, which names region and section.
pub fn find<H: Head>(region: &Path, nonces: [u64; 2]) -> Result<(File, H), Error> {
    let path = path_of::<H>(region)?;
    let file = File::options()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => H::problem(H::WORDS.missing),
            _ => os::error(H::WORDS.opening, &e),
        })?;
    let head: H = read_head(&file)?;
    let label = label_of(&head);
    if [label.region, label.section] != nonces {
        return Err(H::problem("belongs to another region"));
    }
    Ok((file, head))
}

impl<H: Head> Companion<H> {
    /// Removes what a creator of region `nonce` left when it died before the queue or stream was
    /// there. The set-up lock is the caller's, and the region is vacant.
    ///
    /// # Errors
    ///
    /// [`Head::problem`] if the file is another region's companion, or none: it is not ours to
    /// remove.
    pub fn remove_stale(region: &Path, nonce: u64) -> Result<(), Error> {
        let path = path_of::<H>(region)?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(os::error(H::WORDS.opening, &e)),
        };
        match read_head::<H>(&file) {
            Ok(head) if label_of(&head).region == nonce => {
                std::fs::remove_file(&path).map_err(|e| os::error(H::WORDS.removing, &e))
            }
            _ => Err(H::problem(H::WORDS.foreign)),
        }
    }

    /// The companion in a file that was found, unless that is shorter than `expected`.
    pub(super) fn of(
        file: File,
        expected: u64,
        sizes: H::Sizes,
        seed: u64,
        frame: H::Frame,
    ) -> Result<Self, Error> {
        let found = file
            .metadata()
            .map_err(|e| os::error(H::WORDS.sizing, &e))?
            .len();
        if found < expected {
            return Err(Error::Truncated { found, expected });
        }
        Ok(Self {
            file,
            sizes,
            seed,
            writing: Mutex::new(frame),
        })
    }

    /// Waits for its turn to commit. `region` is the region's file, for the lock.
    pub(super) fn in_turn<T>(
        &self,
        region: &File,
        commit: impl FnOnce(&mut H::Frame) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut frame = self
            .writing
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        os::lock(region, COMMIT_BYTE)?;
        let result = commit(&mut frame);
        os::unlock(region, COMMIT_BYTE);
        result
    }

    /// Takes the turn to commit, unless somebody has it at this moment.
    pub(super) fn if_free(&self, region: &File, act: impl FnOnce(&mut H::Frame)) {
        if let Ok(mut frame) = self.writing.try_lock()
            && os::try_lock(region, COMMIT_BYTE)
        {
            act(&mut frame);
            os::unlock(region, COMMIT_BYTE);
        }
    }

    pub(super) fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        not_durable(self.file.write_all_at(bytes, at))
    }

    pub(super) fn sync(&self) -> Result<(), Error> {
        not_durable(self.file.sync_data())
    }

    pub(super) fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), Error> {
        let read = self.file.read_exact_at(bytes, at);
        read.map_err(|e| os::error(H::WORDS.reading, &e))
    }

    /// Reads, unless the disk cannot: a sector that cannot be read is as good as a damaged one.
    pub(super) fn is_read(&self, bytes: &mut [u8], at: u64) -> Result<bool, Error> {
        match self.read(bytes, at) {
            Err(Error::Os { errno, .. }) if errno == libc::EIO => Ok(false),
            read => read.map(|()| true),
        }
    }
}

fn not_durable(result: io::Result<()>) -> Result<(), Error> {
    result.map_err(|e| Error::NotDurable {
        errno: e.raw_os_error().unwrap_or(libc::EIO),
    })
}

/// Tells of a commit for which nobody waits: `sync` is for those who want to know.
pub fn tell_last<T>(result: Result<T, Error>) {
    if let Err(error) = result {
        event!(ERROR, "the last commit failed"; error = error);
    }
}
