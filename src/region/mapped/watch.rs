//! Being told by the kernel that somebody has closed the region's file: inotify.
//!
//! The kernel posts `IN_CLOSE_WRITE` when the last descriptor and the last mapping of an open file
//! go, so at a participant's death, at whatever instruction. It posts it *before* it frees the
//! locks of that open file, in the same system call or exit: who asks at once may still be told
//! that the dead one lives, and asks again. Any other close of a writable open file of the region
//! posts the same event. `IN_MODIFY` is posted when the file is cut short, and by writes, which
//! nobody makes.
//!
//! The watch is put on the open file, by its name under `/proc`, so a file that was renamed or
//! removed is watched as well. When the last name of a file goes by another entry of the directory
//! than the one that was opened, the kernel drops the watch and says so; it is put on again.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

const EVENTS: u32 = libc::IN_CLOSE_WRITE | libc::IN_MODIFY;

/// A watch on one file, and a way to end whoever waits at it.
#[derive(Debug)]
pub struct Watch {
    events: OwnedFd,
    end: OwnedFd,
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Its time.
    Time,
    /// Something was posted.
    Event,
    /// [`Watch::end`] was called, or there was a signal.
    End,
}

fn owned(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: a descriptor that was just opened, and nobody else's.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

impl Watch {
    /// Watches `file`; `None` if the kernel has no instance left (128 a user are usual), if there
    /// is no `/proc`, or if the file may not be read by its name.
    pub fn new(file: &File) -> Option<Self> {
        // SAFETY: takes numbers only.
        let events = owned(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        // SAFETY: as above.
        let end = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        let watch = Self { events, end };
        watch.put_on(file).then_some(watch)
    }

    fn put_on(&self, file: &File) -> bool {
        let Ok(path) = std::ffi::CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
            return false;
        };
        // SAFETY: the path is a live C string, the descriptor an inotify instance of ours.
        let watch =
            unsafe { libc::inotify_add_watch(self.events.as_raw_fd(), path.as_ptr(), EVENTS) };
        watch >= 0
    }

    /// Waits up to `timeout`; for events only if `listen`.
    pub fn wait(&self, listen: bool, timeout: Duration) -> Seen {
        let entry = |fd: &OwnedFd| libc::pollfd {
            fd: fd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut entries = [entry(&self.end), entry(&self.events)];
        let count = if listen { 2 } else { 1 };
        let ms = timeout.as_millis().min(60_000) as libc::c_int;
        // SAFETY: at least `count` entries are live through the call.
        let ready = unsafe { libc::poll(entries.as_mut_ptr(), count, ms) };
        match (entries[0].revents, entries[1].revents) {
            _ if ready == 0 => Seen::Time,
            _ if ready < 0 => Seen::End,
            (0, _) => Seen::Event,
            _ => Seen::End,
        }
    }

    /// Takes what was posted. `false`: the watch is gone and could not be put on `file` again.
    pub fn drain(&self, file: &File) -> bool {
        const HEAD: usize = size_of::<libc::inotify_event>();
        let mut buffer = [0u64; 128];
        let mut dropped = false;
        loop {
            let (at, len) = (buffer.as_mut_ptr(), size_of_val(&buffer));
            // SAFETY: the buffer is live, and has that many bytes.
            let read = unsafe { libc::read(self.events.as_raw_fd(), at.cast(), len) };
            let Ok(read) = usize::try_from(read) else {
                break; // taken, all of it
            };
            let mut from = 0;
            while from + HEAD <= read {
                // SAFETY: the kernel has written whole events, the buffer is aligned to more than
                // they need, and their names are padded so that the next one is aligned as well.
                let event = unsafe { &*at.cast::<u8>().add(from).cast::<libc::inotify_event>() };
                dropped |= event.mask & libc::IN_IGNORED != 0;
                from += HEAD + event.len as usize;
            }
            if read == 0 {
                break;
            }
        }
        !dropped || self.put_on(file)
    }

    /// Ends the wait, and each later one.
    pub fn end(&self) {
        let one = 1u64;
        // SAFETY: the number is live and has eight bytes.
        let _ = unsafe { libc::write(self.end.as_raw_fd(), (&raw const one).cast(), 8) };
    }
}
