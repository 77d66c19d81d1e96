//! Waiting for a change of files, for a signal, or for a time.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use rustix::fs::statfs;
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::face::cli::exit::Trouble;

/// File systems whose changes on another machine, or behind a server, the kernel does not tell:
/// NFS, SMB, CIFS, FUSE, 9P, AFS, Ceph.
const SILENT: [u64; 7] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x5346_414f,
    0x00c3_6400,
];

/// What tells of changes.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<OwnedFd>,
    signals: UnixStream,
}

impl Watch {
    pub(super) fn new() -> Result<Self, Trouble> {
        let (signals, wake) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        for signal in [SIGINT, SIGTERM] {
            signal_hook::low_level::pipe::register(signal, wake.try_clone()?)?;
        }
        Ok(Self {
            // Without it files are looked at from time to time.
            inotify: init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok(),
            signals,
        })
    }

    /// From now on tells when the file changes; `None` if that cannot be.
    pub(super) fn file(&self, file: &File) -> Option<i32> {
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.add(Path::new(&path), flags)
    }

    /// From now on tells when a name in the directory changes.
    pub(super) fn directory(&self, dir: &Path) -> Option<i32> {
        let names = WatchFlags::CREATE | WatchFlags::MOVE | WatchFlags::DELETE;
        self.add(dir, names | WatchFlags::ONLYDIR)
    }

    fn add(&self, path: &Path, flags: WatchFlags) -> Option<i32> {
        let kind = statfs(path).ok()?.f_type as u64 & 0xffff_ffff;
        if SILENT.contains(&kind) {
            return None;
        }
        add_watch(self.inotify.as_ref()?, path, flags).ok()
    }

    /// Forgets a file.
    pub(super) fn forget(&self, watch: i32) {
        if let Some(inotify) = &self.inotify {
            let _ = remove_watch(inotify, watch); // its file may have gone
        }
    }

    /// Waits for a change, a signal, or so long. What has changed is to be looked for.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<(), Trouble> {
        self.poll(self.inotify.as_ref(), timeout)?;
        let Some(inotify) = &self.inotify else {
            return Ok(());
        };
        let mut bytes = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(inotify, &mut bytes);
        loop {
            match events.next() {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for a signal, or so long.
    pub(super) fn rest(&self, timeout: Duration) -> Result<(), Trouble> {
        self.poll(None, Some(timeout))
    }

    fn poll(&self, inotify: Option<&OwnedFd>, timeout: Option<Duration>) -> Result<(), Trouble> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(inotify.map(|inotify| PollFd::new(inotify, PollFlags::IN)));
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
