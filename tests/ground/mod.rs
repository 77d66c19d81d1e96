//! The ground that hostile bytes are tried on: a small region in nameless memory, put back to the
//! same start at will, with a participant that lives and one that has died.
#![allow(dead_code, unused_imports)] // each target and each test uses a part of it

pub mod body;
pub mod input;
pub mod journal;
pub mod layout;
pub mod memory_file;
pub mod mutation;
mod template;

pub use template::{
    MESSAGES_MIN, Message, START_MS, State, Template, VISIBILITY, seal, unused_path,
};

use memory_file::MemoryFile;
use ringmain::{Error, Mapped};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Bytes of the region: more than eight blocks, so it has maps.
pub const LEN: usize = 81_920;
/// Bytes of the narrow one: a few blocks, each of which is looked at.
pub const NARROW_LEN: usize = 45_056;
/// Index of the participant that lives, and does nothing.
pub const LIVE: usize = 1;
/// Index of the one that has died, and after which nobody has repaired yet.
pub const DEAD: usize = 2;
/// The greatest length that a file is stretched to.
pub const STRETCHED_MAX: usize = 2 * LEN;

/// A region's file, and the lock of the participant that lives.
pub struct Ground {
    file: MemoryFile,
    _live: File,
    pub template: Template,
}

impl Ground {
    /// A file in memory, with everything that [`Template`] has in it.
    pub fn new() -> Self {
        Self::with(Template::new())
    }

    /// The same in a region of a few blocks.
    pub fn narrow() -> Self {
        Self::with(Template::narrow())
    }

    /// A file in memory with these bytes.
    pub fn with(template: Template) -> Self {
        let file = MemoryFile::new();
        let live = File::options().read(true).write(true).open(file.path());
        let live = live.expect("a second open file of it");
        lock(&live, LIVE);
        let ground = Self {
            file,
            _live: live,
            template,
        };
        ground.reset();
        ground
    }

    /// Puts every byte back to the start.
    pub fn reset(&self) {
        self.file.become_bytes(&self.template.bytes);
    }

    /// Opens it.
    pub fn open(&self) -> Result<Mapped, Error> {
        Mapped::open(self.file.path())
    }

    /// The path that opens it.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Makes the file shorter or longer.
    pub fn set_len(&self, len: usize) {
        self.file.set_len(len.min(STRETCHED_MAX));
    }

    /// Writes over the file, as any process may that has it open. Who has it mapped sees it.
    pub fn write(&self, at: usize, bytes: &[u8]) {
        self.file.write(at, bytes);
    }

    /// Reads from the file; zeros where it ends.
    pub fn read(&self, at: usize, bytes: &mut [u8]) {
        self.file.read(at, bytes);
    }

    /// The word at `at`.
    pub fn word(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Sets the word at `at`.
    pub fn set_word(&self, at: usize, value: u64) {
        self.write(at, &value.to_le_bytes());
    }

    /// Makes the two checks over the header and the configuration right again, so that what they
    /// cover is looked at in earnest.
    pub fn seal(&self) {
        let mut bytes = vec![0; layout::CONFIG + 128];
        self.read(0, &mut bytes);
        template::seal(&mut bytes);
        self.write(0, &bytes[..layout::HEADER_BYTES]);
        self.write(layout::CONFIG, &bytes[layout::CONFIG..]);
    }
}

impl Default for Ground {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes the lock by which the kernel says that participant `index` lives.
fn lock(file: &File, index: usize) {
    // SAFETY: flock is plain data; zero is a valid value of each field.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = (1 << 62) + index as i64;
    lock.l_len = 1;
    // SAFETY: the pointer is to a live flock, on our own descriptor.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &lock) };
    assert_eq!(done, 0, "the lock: {}", std::io::Error::last_os_error());
}
