//! A file in memory without a name, that goes with its process.

use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The file, and the path by which this process opens it anew.
pub struct MemoryFile {
    file: File,
    path: PathBuf,
}

impl MemoryFile {
    /// An empty one.
    pub fn new() -> Self {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a live C string.
        let fd = unsafe { libc::memfd_create(c"ringmain".as_ptr(), flags) };
        let error = std::io::Error::last_os_error();
        assert!(fd >= 0, "a file in memory: {error}");
        // SAFETY: the descriptor was just made and is ours.
        let file = unsafe { File::from_raw_fd(fd) };
        let path = PathBuf::from(format!("/proc/self/fd/{fd}"));
        Self { file, path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it these bytes and no others.
    pub fn become_bytes(&self, bytes: &[u8]) {
        self.set_len(bytes.len());
        self.write(0, bytes);
    }

    /// Makes it shorter or longer.
    pub fn set_len(&self, len: usize) {
        self.file.set_len(len as u64).expect("another length");
    }

    /// Writes over it.
    pub fn write(&self, at: usize, bytes: &[u8]) {
        let written = self.file.write_all_at(bytes, at as u64);
        written.expect("a write to memory");
    }

    /// Reads from it; zeros where it ends.
    pub fn read(&self, at: usize, bytes: &mut [u8]) {
        bytes.fill(0);
        let mut have = 0;
        while have < bytes.len() {
            let more = self.file.read_at(&mut bytes[have..], (at + have) as u64);
            match more.expect("a read from memory") {
                0 => return,
                n => have += n,
            }
        }
    }
}

impl Default for MemoryFile {
    fn default() -> Self {
        Self::new()
    }
}
