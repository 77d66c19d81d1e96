//! The side store: a directory with a file for the body of each large message.
//!
//! # Names
//!
//! ```text
//! 0badcafe000000070003c19a2b4f8d01-q5d3c91e07af24b68.body    a body
//! \_____/\______/\______________/ ^\______________/
//!  queue   slot       stamp       |     keeper
//!                                 +-- q: of a queue that processes share, keeper is its nonce
//!                                     p: of a queue in private memory, keeper is its process
//! p5d3c91e07af24b68.process                                  a process that has such queues
//! ```
//!
//! So a name says which message it belongs to, and two messages never have one name. Files of
//! other names are nobody's business here, and are left alone.
//!
//! # Keepers
//!
//! A queue in private memory goes with its process, and then nobody knows its words any more. So
//! its bodies bear the name of the process: 64 random bits, drawn once a process and directory.
//! Before the first such body the process makes a file of that name and locks it (an
//! open-file-description lock, as the registry's) for as long as it lives: the file is locked
//! before it gets its name, and never closed. A collector that finds a body of another process
//! looks at that lock. Free, or no such file: the process is dead, and its bodies with it. The
//! bodies go first, the file last.
//!
//! A body gets its final name when it is made and is written under it. A death in between leaves a
//! part of a body under the name of a message that will never be: the collector's.

use super::os;
use crate::error::Error;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The lock of a process' file.
const PROCESS_BYTE: i64 = 0;

/// Whose words say whether a message is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SideKeeper {
    /// Those of the queue with this nonce, in shared memory.
    Queue(u64),
    /// Those of a queue of this process.
    Process(u64),
}

/// The name of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SideName {
    /// `{ queue:32, slot:32 }`
    pub place: u64,
    /// `{ 0:2, generation:18, sent_ms:44 }`
    pub stamp: u64,
    /// Whose it is.
    pub keeper: SideKeeper,
}

impl SideKeeper {
    fn text(self) -> String {
        match self {
            Self::Queue(nonce) => format!("q{nonce:016x}"),
            Self::Process(process) => format!("p{process:016x}"),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let number = number(text.get(1..)?)?;
        match text.as_bytes().first()? {
            b'q' => Some(Self::Queue(number)),
            b'p' => Some(Self::Process(number)),
            _ => None,
        }
    }
}

impl SideName {
    fn text(self) -> String {
        let (place, stamp, keeper) = (self.place, self.stamp, self.keeper.text());
        format!("{place:016x}{stamp:016x}-{keeper}.body")
    }

    fn parse(text: &str) -> Option<Self> {
        let (id, keeper) = text.strip_suffix(".body")?.split_once('-')?;
        Some(Self {
            place: number(id.get(..16)?)?,
            stamp: number(id.get(16..)?)?,
            keeper: SideKeeper::parse(keeper)?,
        })
    }
}

/// A number of 16 hexadecimal digits, as it is written here.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() != 16 || !digits {
        return None;
    }
    u64::from_str_radix(text, 16).ok()
}

/// What went wrong with a file of the side store.
fn trouble(doing: &'static str, error: &io::Error) -> Error {
    match os::error(doing, error) {
        Error::Os { doing, errno } => Error::SideStore { doing, errno },
        other => other,
    }
}

/// A file that this process keeps open and locked until it ends.
struct Life {
    /// Device and number of the directory.
    dir: (u64, u64),
    pid: u32,
    process: u64,
    _file: File,
}

/// One for each directory in which this process has bodies of private queues.
static LIVES: Mutex<Vec<Life>> = Mutex::new(Vec::new());

/// A directory of bodies.
#[derive(Debug)]
pub struct SideDir {
    path: PathBuf,
    dir: File,
}

impl SideDir {
    /// Opens the directory, or makes it for its owner only (0700); the one that it is in must
    /// exist.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(trouble("making the directory of the side store", &error));
            }
            _ => {}
        }
        let doing = "opening the directory of the side store";
        let dir = File::options()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(path)
            .map_err(|error| trouble(doing, &error))?;
        let path = path.to_path_buf();
        Ok(Self { path, dir })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The keeper of this process' private queues here. It is known until the process ends.
    pub fn process(&self) -> Result<SideKeeper, Error> {
        let meta = self.dir.metadata();
        let meta = meta.map_err(|error| trouble("reading the directory's number", &error))?;
        let (dir, pid) = ((meta.dev(), meta.ino()), std::process::id());
        // Whoever panicked in here had not come to change anything.
        let mut lives = LIVES.lock().unwrap_or_else(|broken| broken.into_inner());
        let known = lives
            .iter()
            .position(|life| life.dir == dir && life.pid == pid);
        let process = known.map_or_else(os::random, |at| lives[at].process);
        let path = self.life_path(process);
        // The directory may have been emptied, or be another one with the number of an old one.
        if known.is_none() || path.symlink_metadata().is_err() {
            lives.retain(|life| life.process != process);
            let _file = Self::lock_life(&path)?;
            lives.push(Life {
                dir,
                pid,
                process,
                _file,
            });
        }
        Ok(SideKeeper::Process(process))
    }

    /// Makes the file of a process: nobody sees it unlocked.
    fn lock_life(path: &Path) -> Result<File, Error> {
        let life = os::Unnamed::new(path)?;
        if !os::try_lock(&life.file, PROCESS_BYTE) {
            return Err(os::last_error("locking the file of this process"));
        }
        life.name(path)?;
        let file = life.file.try_clone();
        file.map_err(|error| trouble("keeping the file of this process", &error))
    }

    /// Whether the process of this number has died; when in doubt, no.
    pub fn is_dead(&self, process: u64) -> bool {
        match File::options().write(true).open(self.life_path(process)) {
            Ok(file) => !os::is_locked(&file, PROCESS_BYTE),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Removes the file of a dead process, whose bodies are gone.
    pub fn forget(&self, process: u64) -> Result<(), Error> {
        self.unlink(&self.life_path(process)).map(|_| ())
    }

    fn life_path(&self, process: u64) -> PathBuf {
        self.path.join(format!("p{process:016x}.process"))
    }

    fn body_path(&self, name: SideName) -> PathBuf {
        self.path.join(name.text())
    }

    /// Makes the file of a body, readable and writable by its owner only; with space for `len`
    /// bytes, if that is known and the file system can tell.
    pub fn create(&self, name: SideName, len: Option<u64>) -> Result<SideWriter<'_>, Error> {
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.body_path(name))
            .map_err(|error| trouble("making the file of a body", &error))?;
        let writer = SideWriter {
            dir: self,
            name,
            file,
            pid: std::process::id(),
            keeps: false,
        };
        if let Some(len) = len {
            writer.reserve(len)?;
        }
        Ok(writer)
    }

    /// Opens a body.
    pub fn read(&self, name: SideName) -> Result<SideFile, Error> {
        let doing = "opening the file of a body";
        let opened = File::options()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(self.body_path(name));
        let file = opened.map_err(|error| match trouble(doing, &error) {
            Error::NotFound => Error::SideMissing,
            other => other,
        })?;
        let meta = file.metadata().map_err(|error| trouble(doing, &error))?;
        if !meta.is_file() {
            let problem = "it is no file";
            return Err(Error::SideDamaged { problem });
        }
        let len = meta.len();
        Ok(SideFile { file, len })
    }

    /// Whether there is a file of this name.
    pub fn has(&self, name: SideName) -> bool {
        self.body_path(name).symlink_metadata().is_ok()
    }

    /// Removes a body; whether it was there. Who has it open reads on.
    pub fn remove(&self, name: SideName) -> Result<bool, Error> {
        self.unlink(&self.body_path(name))
    }

    fn unlink(&self, path: &Path) -> Result<bool, Error> {
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(trouble("removing a file of the side store", &error)),
        }
    }

    /// The names of all bodies, and the numbers of all processes.
    pub fn list(&self) -> Result<(Vec<SideName>, Vec<u64>), Error> {
        let failed = |error: &io::Error| trouble("listing the side store", error);
        let (mut bodies, mut processes) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(&self.path).map_err(|error| failed(&error))? {
            let name = entry.map_err(|error| failed(&error))?.file_name();
            let Some(text) = name.to_str() else { continue };
            if let Some(body) = SideName::parse(text) {
                bodies.push(body);
            } else if let Some(SideKeeper::Process(process)) =
                text.strip_suffix(".process").and_then(SideKeeper::parse)
            {
                processes.push(process);
            }
        }
        Ok((bodies, processes))
    }

    /// Removes the directory with all that is in it.
    #[cfg(test)]
    pub fn remove_all(&self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }

    fn sync(&self) -> Result<(), Error> {
        match self.dir.sync_all() {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()), // nothing to sync
            other => other.map_err(|error| trouble("syncing the side store", &error)),
        }
    }
}

/// A body that is being written. Dropped without [`keep`](SideWriter::keep), its file is removed.
#[derive(Debug)]
pub struct SideWriter<'d> {
    dir: &'d SideDir,
    name: SideName,
    file: File,
    pid: u32,
    keeps: bool,
}

impl SideWriter<'_> {
    /// Reserves the space, so that a full disk is told before the body is read.
    fn reserve(&self, len: u64) -> Result<(), Error> {
        let doing = "reserving space for a body";
        let Ok(len) = libc::off_t::try_from(len) else {
            let errno = libc::EFBIG;
            return Err(Error::SideStore { doing, errno });
        };
        loop {
            // SAFETY: a call on our own descriptor.
            if unsafe { libc::fallocate(self.file.as_raw_fd(), 0, 0, len) } == 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                // It can't be told beforehand; the writes will tell.
                Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => return Ok(()),
                _ => return Err(trouble(doing, &error)),
            }
        }
    }

    /// Writes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| trouble("writing a body", &error))
    }

    /// Waits until the body and its name are on the disk.
    pub fn sync(&self) -> Result<(), Error> {
        let synced = self.file.sync_all();
        synced.map_err(|error| trouble("syncing a body", &error))?;
        self.dir.sync()
    }

    /// The message is there: the body stays.
    pub fn keep(mut self) {
        self.keeps = true;
    }
}

impl Drop for SideWriter<'_> {
    fn drop(&mut self) {
        // In a forked child the body is the parent's.
        if !self.keeps && self.pid == std::process::id() {
            let _ = self.dir.remove(self.name); // what stays is the collector's
        }
    }
}

/// A body that is read. It stays whole while this value lives, whoever removes it.
#[derive(Debug)]
pub struct SideFile {
    file: File,
    /// Bytes, when it was opened.
    pub len: u64,
}

impl SideFile {
    /// Reads some bytes from a place on.
    pub fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(bytes, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: SideName = SideName {
        place: 0x0bad_cafe_0000_0007,
        stamp: 0x0003_c19a_2b4f_8d01,
        keeper: SideKeeper::Queue(0x5d3c_91e0_7af2_4b68),
    };

    #[test]
    fn names_are_read_as_they_are_written() {
        let text = "0badcafe000000070003c19a2b4f8d01-q5d3c91e07af24b68.body";
        assert_eq!(NAME.text(), text);
        let keeper = SideKeeper::Process(u64::MAX);
        for name in [NAME, SideName { keeper, ..NAME }] {
            assert_eq!(SideName::parse(&name.text()), Some(name));
        }
        for len in 0..text.len() {
            assert_eq!(SideName::parse(&text[..len]), None, "{len}");
        }
        for other in [
            text.to_uppercase(),
            text.replace('q', "x"),
            text.replace(".body", ".bodyy"),
            text.replace("0bad", "+bad"),
            text.replace("0bad", "é0b"),
            format!("0{text}"),
        ] {
            assert_eq!(SideName::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn what_is_not_kept_goes() {
        let path = std::env::temp_dir().join(format!("ringmain-side-{}", std::process::id()));
        let dir = SideDir::open(&path).expect("a directory");
        let mut writer = dir.create(NAME, Some(3)).expect("a file");
        assert_eq!(dir.create(NAME, None).err(), Some(Error::Exists));
        writer.write(b"abc").expect("written");
        assert!(dir.has(NAME));
        drop(writer);
        assert!(!dir.has(NAME));
        assert_eq!(dir.read(NAME).err(), Some(Error::SideMissing));
        let writer = dir.create(NAME, None).expect("a file");
        writer.sync().expect("synced");
        writer.keep();
        assert_eq!(dir.list(), Ok((vec![NAME], Vec::new())));
        let file = dir.read(NAME).expect("there");
        assert_eq!(dir.remove(NAME), Ok(true));
        assert_eq!(dir.remove(NAME), Ok(false));
        assert_eq!((file.len, file.read_at(&mut [0], 0).ok()), (0, Some(0)));
        let _ = std::fs::remove_dir_all(path);
    }

    #[test]
    fn a_process_is_dead_when_its_lock_is_free() {
        let path = std::env::temp_dir().join(format!("ringmain-life-{}", std::process::id()));
        let dir = SideDir::open(&path).expect("a directory");
        let Ok(SideKeeper::Process(own)) = dir.process() else {
            panic!("a keeper");
        };
        assert_eq!(
            dir.process(),
            Ok(SideKeeper::Process(own)),
            "one a directory"
        );
        assert!(!dir.is_dead(own), "this process lives");
        assert!(dir.is_dead(own ^ 1), "nobody");
        File::create(dir.life_path(7)).expect("a file that nobody has locked");
        assert!(dir.is_dead(7));
        let mut found = dir.list().expect("listed").1;
        found.sort_unstable();
        assert_eq!(found, [7, own]);
        dir.forget(7).expect("gone");
        dir.forget(own).expect("taken away");
        assert_eq!(dir.process(), Ok(SideKeeper::Process(own)), "made again");
        assert!(!dir.is_dead(own));
        assert_eq!(dir.list().expect("listed").1, [own]);
        let _ = std::fs::remove_dir_all(path);
    }
}
