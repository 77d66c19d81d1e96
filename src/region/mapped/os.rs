//! What a mapped region asks of the operating system.

use super::header::{Birth, REGION_BYTES_MAX};
use crate::error::Error;
use crate::pod::pod_read_unaligned;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The last error of the operating system as one of ours.
pub fn last_error(doing: &'static str) -> Error {
    error(doing, &io::Error::last_os_error())
}

/// An I/O error as one of ours.
pub fn error(doing: &'static str, error: &io::Error) -> Error {
    match error.raw_os_error().unwrap_or(0) {
        libc::ENOENT | libc::ENOTDIR => Error::NotFound,
        libc::EEXIST => Error::Exists,
        libc::EACCES | libc::EPERM => Error::Permission,
        libc::EROFS => Error::ReadOnly,
        libc::ENOSPC | libc::EDQUOT => Error::NoSpace,
        errno => Error::Os { doing, errno },
    }
}

/// What the disk said to a sync, with words of our own: what was done is there all the same.
pub fn sync_error(doing: &'static str, error: &io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    Error::Os { doing, errno }
}

fn c_path(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Error::NotFound)
}

/// The directory that `path` is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file without a name, or with a passing one where the file system has no nameless files.
pub struct Unnamed {
    pub file: File,
    passing: Option<PathBuf>,
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Some(passing) = &self.passing {
            let _ = std::fs::remove_file(passing); // nothing half-made stays behind
        }
    }
}

impl Unnamed {
    /// Makes one in the directory of `path`, readable and writable by its owner only.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let dir = c_path(parent(path))?;
        let flags = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: the path is a live C string.
        let fd = unsafe { libc::open(dir.as_ptr(), flags, 0o600) };
        if fd >= 0 {
            // SAFETY: the descriptor was just opened and is ours.
            let file = unsafe { File::from_raw_fd(fd) };
            return Ok(Self {
                file,
                passing: None,
            });
        }
        let error = last_error("opening a nameless file");
        match error {
            Error::Os {
                errno: libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL,
                ..
            } => Self::passing(path),
            other => Err(other),
        }
    }

    fn passing(path: &Path) -> Result<Self, Error> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut name = path.file_name().ok_or(Error::NotFound)?.to_os_string();
        name.push(format!(".{:016x}.new", random()));
        let passing = parent(path).join(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&passing)
            .map_err(|e| error("creating a file", &e))?;
        Ok(Self {
            file,
            passing: Some(passing),
        })
    }

    /// Gives it its name; an error if the name is taken. The directory is synced.
    pub fn name(&self, path: &Path) -> Result<(), Error> {
        let to = c_path(path)?;
        let from = match &self.passing {
            Some(passing) => c_path(passing)?,
            None => c_path(Path::new(&format!(
                "/proc/self/fd/{}",
                self.file.as_raw_fd()
            )))?,
        };
        let follow = libc::AT_SYMLINK_FOLLOW;
        // SAFETY: both paths are live C strings.
        let done = unsafe {
            libc::linkat(
                libc::AT_FDCWD,
                from.as_ptr(),
                libc::AT_FDCWD,
                to.as_ptr(),
                follow,
            )
        };
        if done != 0 {
            return Err(last_error("naming the file"));
        }
        sync_dir(parent(path), "syncing the directory; the file is there")
    }
}

/// Waits until the names in a directory are on the disk.
pub fn sync_dir(dir: &Path, doing: &'static str) -> Result<(), Error> {
    let dir = File::open(dir).map_err(|e| error("opening the directory", &e))?;
    match dir.sync_all() {
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(()), // nothing to sync
        other => other.map_err(|e| sync_error(doing, &e)),
    }
}

/// Reserves the whole of the file: after this a store into the mapping finds its page.
pub fn reserve(file: &File, len: u64) -> Result<(), Error> {
    let too_large = Error::RegionTooLarge {
        len,
        max: REGION_BYTES_MAX,
    };
    let len = libc::off_t::try_from(len).map_err(|_| too_large.clone())?;
    loop {
        // SAFETY: a call on our own descriptor.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) } {
            0 => return Ok(()),
            libc::EINTR => continue,
            libc::EFBIG => return Err(too_large),
            errno => {
                return Err(error(
                    "reserving space",
                    &io::Error::from_raw_os_error(errno),
                ));
            }
        }
    }
}

/// The path of a file beside a region: the region's, links followed, and an end.
pub fn beside(region: &Path, end: &str) -> Result<PathBuf, Error> {
    let path = region
        .canonicalize()
        .map_err(|e| error("finding the region's path", &e))?;
    let mut name = path.into_os_string();
    name.push(end);
    Ok(PathBuf::from(name))
}

/// Bytes written at once when a file is initialised.
const ZEROS: usize = 1 << 20;

/// Writes zeros over a whole file: a block that was written once is synced in half the time of one
/// that was only reserved.
pub fn initialise(file: &File, len: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS];
    let mut at = 0;
    while at < len {
        let some = (len - at).min(ZEROS as u64);
        file.write_all_at(&zeros[..some as usize], at)?;
        at += some;
    }
    Ok(())
}

/// Opens an existing region's file for reading and writing.
pub fn open(path: &Path) -> Result<File, Error> {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|e| match e.raw_os_error() {
            Some(libc::EISDIR | libc::ENXIO) => Error::NotARegion,
            _ => error("opening the file", &e),
        })?;
    let meta = file
        .metadata()
        .map_err(|e| error("reading the file's size", &e))?;
    if meta.is_file() {
        Ok(file)
    } else {
        Err(Error::NotARegion)
    }
}

/// The first bytes of a file, and its length.
pub fn read_birth(file: &File) -> Result<(Birth, u64), Error> {
    let len = file_len(file)?;
    let mut bytes = [0u8; size_of::<Birth>()];
    let mut have = 0;
    while have < bytes.len() {
        match file.read_at(&mut bytes[have..], have as u64) {
            Ok(0) => return Err(Error::NotARegion),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(error("reading the header", &e)),
        }
    }
    Ok((pod_read_unaligned(&bytes), len))
}

/// A lock on byte `byte` beyond the data, that goes with the open file description.
const LOCK_BASE: i64 = 1 << 62;

fn lock_call(file: &File, command: libc::c_int, kind: libc::c_int, byte: i64) -> Option<i32> {
    // SAFETY: flock is plain data; zero is a valid value of each field.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    lock.l_type = kind as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = (LOCK_BASE + byte) as _;
    lock.l_len = 1;
    loop {
        // SAFETY: the pointer is to a live flock, on our own descriptor.
        let done = unsafe { libc::fcntl(file.as_raw_fd(), command, &mut lock) };
        if done == 0 {
            return Some(lock.l_type as i32);
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return None;
        }
    }
}

/// Takes the lock if nobody has it.
pub fn try_lock(file: &File, byte: i64) -> bool {
    lock_call(file, libc::F_OFD_SETLK, libc::F_WRLCK as _, byte).is_some()
}

/// Waits for the lock: its holder frees it or dies.
pub fn lock(file: &File, byte: i64) -> Result<(), Error> {
    let locked = lock_call(file, libc::F_OFD_SETLKW, libc::F_WRLCK as _, byte);
    locked
        .map(|_| ())
        .ok_or_else(|| last_error("locking the region"))
}

/// Frees the lock.
pub fn unlock(file: &File, byte: i64) {
    let _ = lock_call(file, libc::F_OFD_SETLK, libc::F_UNLCK as _, byte);
}

/// What the kernel says of a lock that nobody holds.
const FREE: i32 = libc::F_UNLCK;

/// Whether another open file description holds the lock; when in doubt, yes.
pub fn is_locked(file: &File, byte: i64) -> bool {
    lock_call(file, libc::F_OFD_GETLK, libc::F_WRLCK as _, byte) != Some(FREE)
}

/// 64 random bits.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is live and has 8 bytes.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), 8, 0) };
    if got == 8 {
        return u64::from_le_bytes(bytes);
    }
    std::hash::RandomState::new().build_hasher().finish()
}

/// Names this boot of the machine; zero if the kernel does not tell. Asked once a process.
pub fn boot_id() -> [u64; 2] {
    static BOOT: std::sync::OnceLock<[u64; 2]> = std::sync::OnceLock::new();
    *BOOT.get_or_init(read_boot_id)
}

fn read_boot_id() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let hex: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let number = u128::from_str_radix(&hex, 16).unwrap_or(0);
    [number as u64, (number >> 64) as u64]
}

/// The size of an open file, bytes.
pub fn file_len(file: &File) -> Result<u64, Error> {
    let meta = file.metadata();
    meta.map(|meta| meta.len())
        .map_err(|e| error("reading the file's size", &e))
}

/// Whether this attachment may go on, in one word: on a page that reads zero in a forked child.
#[derive(Debug)]
pub struct ForkMark(*const crate::sync::AtomicU64);

/// Bytes of a page.
#[cfg(feature = "stream")]
pub fn page_bytes() -> usize {
    // SAFETY: a question.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(PAGE)
}

/// Makes a mapping read-only from a place on, which begins a page.
#[cfg(feature = "stream")]
pub fn protect(map: &memmap2::MmapRaw, from: usize) -> Result<(), Error> {
    let Some(len) = map.len().checked_sub(from) else {
        return Ok(()); // that page is not there
    };
    let first = map.as_mut_ptr().wrapping_add(from);
    // SAFETY: pages of our own mapping, to which nobody has a reference yet.
    match unsafe { libc::mprotect(first.cast(), len, libc::PROT_READ) } {
        0 => Ok(()),
        _ => Err(last_error("making the records read-only")),
    }
}

const PAGE: usize = 4096;
const CHILD: u64 = 0;
const SOUND: u64 = 1;
const CUT: u64 = 2;

impl ForkMark {
    /// Makes one.
    pub fn new() -> Result<Self, Error> {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a fresh anonymous mapping.
        let page = unsafe { libc::mmap(core::ptr::null_mut(), PAGE, prot, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(last_error("mapping a page"));
        }
        let mark = Self(page as *const crate::sync::AtomicU64);
        // SAFETY: the page is ours. Kernels before 4.14 refuse; then a fork goes unnoticed, as
        // docs/caveats.md says.
        unsafe { libc::madvise(page, PAGE, libc::MADV_WIPEONFORK) };
        mark.word().store(SOUND, crate::sync::Ordering::Relaxed);
        Ok(mark)
    }

    #[inline(always)]
    fn word(&self) -> &crate::sync::AtomicU64 {
        // SAFETY: mapped as long as this value lives, aligned to a page.
        unsafe { &*self.0 }
    }

    /// Whether this is the process that made it, and the region's file is whole as far as is known.
    #[inline(always)]
    pub fn is_sound(&self) -> bool {
        self.word().load(crate::sync::Ordering::Relaxed) == SOUND
    }

    /// Whether this is a forked child of the process that made it.
    pub fn is_child(&self) -> bool {
        self.word().load(crate::sync::Ordering::Relaxed) == CHILD
    }

    /// Notes that the region's file was found cut short: from now on it is not touched.
    pub fn cut(&self) {
        if self.is_sound() {
            self.word().store(CUT, crate::sync::Ordering::Relaxed);
        }
    }
}

impl Drop for ForkMark {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, unmapped once.
        unsafe { libc::munmap(self.0 as *mut _, PAGE) };
    }
}

// SAFETY: the fork mark's page is only read after it was made.
unsafe impl Send for ForkMark {}
// SAFETY: as above.
unsafe impl Sync for ForkMark {}
