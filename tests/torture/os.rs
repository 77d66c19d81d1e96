//! What the torture asks of the kernel: processes with chosen PIDs and in PID namespaces of their
//! own, signals, ends, packets through a pipe, time. Single-threaded processes only: a process
//! made here is a copy of its maker, as after `fork`.

use std::io;
use std::os::fd::RawFd;

/// `CLOCK_MONOTONIC`, ns: the same for all processes.
pub fn now_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// How a process is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Birth {
    /// With this PID, which must be free.
    pub pid: Option<i32>,
    /// As the first process of a PID namespace of its own.
    pub namespace: bool,
}

/// `struct clone_args` of the kernel, up to and with `set_tid_size`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
}

/// Makes a process that runs `body` and ends with the status that it returns. Returns its PID.
///
/// A panic in it is status 101.
pub fn spawn(birth: Birth, body: impl FnOnce() -> i32) -> io::Result<i32> {
    let tid = birth.pid.unwrap_or(0);
    let mut args = CloneArgs {
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if birth.namespace {
        args.flags = libc::CLONE_NEWPID as u64;
    }
    if birth.pid.is_some() {
        args.set_tid = &raw const tid as u64;
        args.set_tid_size = 1;
    }
    let plain = birth.pid.is_none() && !birth.namespace;
    let pid = if plain {
        // SAFETY: this process has one thread, so the copy finds every lock free.
        unsafe { libc::fork() as i64 }
    } else {
        let size = size_of::<CloneArgs>();
        // SAFETY: the arguments live through the call. Without CLONE_VM and a stack the child is a
        // copy that goes on here, as after fork; one thread, as above.
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size) }
    };
    match pid {
        0 => {
            let run = std::panic::AssertUnwindSafe(body);
            exit(std::panic::catch_unwind(run).unwrap_or(101))
        }
        pid if pid > 0 => Ok(pid as i32),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends this process at once, without its maker's destructors and handlers.
pub fn exit(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// This process's PID, as its own namespace has it.
pub fn own_pid() -> i32 {
    // SAFETY: always succeeds.
    unsafe { libc::getpid() }
}

/// Asks to be killed when the maker dies, and to adopt orphans if `adopt`.
pub fn end_with_parent(adopt: bool) {
    // SAFETY: plain numbers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if adopt {
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1);
        }
    }
}

/// Sends a signal; whether the process was there.
pub fn signal(pid: i32, signal: i32) -> bool {
    // SAFETY: plain numbers; `pid` is a child's, not yet waited for, or an orphan's to adopt.
    pid > 0 && unsafe { libc::kill(pid, signal) } == 0
}

/// How a process ended, or that it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It is stopped and lives.
    Stopped,
}

/// Waits for child `pid`, or with -1 for any; with `WNOHANG` in `flags` it only looks.
/// `Ok(None)`: nothing yet. An error with `ECHILD`: there is no such child.
pub fn wait(pid: i32, flags: i32) -> io::Result<Option<(i32, End)>> {
    loop {
        let mut status = 0;
        // SAFETY: the status is a live int.
        let found = unsafe { libc::waitpid(pid, &mut status, flags) };
        if found > 0 {
            let end = if libc::WIFEXITED(status) {
                End::Exit(libc::WEXITSTATUS(status))
            } else if libc::WIFSIGNALED(status) {
                End::Signal(libc::WTERMSIG(status))
            } else {
                End::Stopped
            };
            return Ok(Some((found, end)));
        }
        if found == 0 {
            return Ok(None);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINTR) {
            return Err(error);
        }
    }
}

/// Waits until child `pid` stands still or has ended; its end is left to be waited for.
pub fn wait_for_stop(pid: i32) {
    let flags = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT;
    // SAFETY: an all-zero siginfo_t is valid, and it lives through the call.
    unsafe {
        let mut found: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, pid as libc::id_t, &mut found, flags);
    }
}

/// A pipe of packets: each write is one, each read returns one; neither waits.
#[derive(Debug, Clone, Copy)]
pub struct Packets {
    from: RawFd,
    to: RawFd,
}

impl Packets {
    pub fn new() -> Self {
        let mut ends = [0; 2];
        let flags = libc::O_DIRECT | libc::O_NONBLOCK | libc::O_CLOEXEC;
        // SAFETY: room for two descriptors.
        let done = unsafe { libc::pipe2(ends.as_mut_ptr(), flags) };
        assert_eq!(done, 0, "a pipe: {}", io::Error::last_os_error());
        Self {
            from: ends[0],
            to: ends[1],
        }
    }

    /// Closes both ends.
    pub fn close(&self) {
        // SAFETY: the descriptors are this value's, and not used again.
        unsafe {
            libc::close(self.from);
            libc::close(self.to);
        }
    }

    /// Whether there was room for it.
    pub fn write(&self, packet: &[u8]) -> bool {
        // SAFETY: the bytes are live.
        let n = unsafe { libc::write(self.to, packet.as_ptr().cast(), packet.len()) };
        n == packet.len() as isize
    }

    /// The next packet, if there is one; all packets have this length.
    pub fn read<const N: usize>(&self) -> Option<[u8; N]> {
        let mut packet = [0; N];
        // SAFETY: room for N bytes. Of a longer packet the rest is dropped.
        let n = unsafe { libc::read(self.from, packet.as_mut_ptr().cast(), N) };
        (n == N as isize).then_some(packet)
    }
}

/// Lets this process have as many descriptors as it may.
pub fn raise_descriptors() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is live; a process may raise its soft limit to the hard one.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max.min(65_536);
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Maps `len` zero bytes that this process shares with those that it makes.
pub fn shared_memory(len: usize) -> *mut u8 {
    map(len, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1)
}

/// Maps a file's first `len` bytes, for reading and writing.
pub fn map_file(file: RawFd, len: usize) -> *mut u8 {
    map(len, libc::MAP_SHARED, file)
}

fn map(len: usize, flags: i32, file: RawFd) -> *mut u8 {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, access, flags, file, 0) };
    assert!(
        at != libc::MAP_FAILED,
        "{len} bytes of memory: {}",
        io::Error::last_os_error()
    );
    at.cast()
}

/// Ends a mapping of [`map_file`].
///
/// # Safety
///
/// Nothing refers to it any more.
pub unsafe fn unmap(at: *mut u8, len: usize) {
    // SAFETY: by the caller's promise.
    unsafe { libc::munmap(at.cast(), len) };
}
