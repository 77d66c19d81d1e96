//! Tracing: a child whose system calls on its disk are seen in their order, and may be made to
//! fail.
//!
//! A filter in the kernel stops the child at the few calls that matter and lets all others pass at
//! full speed. At each stop the tracer decides what becomes of the call; the child's threads go on
//! only when it says so. So the order in which the tracer sees calls is one in which they happened:
//! what a thread does after its call has returned is seen after that return.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The descriptor to which a child tells what it does.
pub const NOTES: i32 = 900;

/// A call of a traced child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `pwrite64`: which descriptor, where, and the bytes.
    Write {
        fd: i32,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// `fdatasync`
    Sync,
    /// A note, as numbers.
    Note(Vec<u64>),
    /// Another call that was asked for.
    Other(i64),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is done.
    Done,
    /// It is not done and returns this error.
    Fail(i32),
    /// It is not done and says that it was.
    Swallow,
    /// A write is done for this many bytes only.
    Short(usize),
    /// The child is killed in it.
    Kill,
}

/// Who decides, and notes what happened.
pub trait Watcher {
    /// Decides about a call that is about to be done.
    fn fate(&mut self, pid: i32, call: &Call) -> Fate;
    /// A call has returned.
    fn returned(&mut self, call: Call, fate: Fate, result: i64);
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with this status.
    Exited(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was not done in time, and was killed.
    Late,
}

/// Ends this process at once, without what a process does at its end.
pub fn exit(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// What a fault of the operating system was.
pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Forks; the child does `act` and exits with its status, 101 after a panic.
pub fn fork(act: impl FnOnce() -> i32) -> i32 {
    // SAFETY: this process has one thread, so the child may do whatever it likes.
    match unsafe { libc::fork() } {
        -1 => panic!("no fork: errno {}", errno()),
        0 => exit(std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or(101)),
        pid => pid,
    }
}

/// Makes waiting end once a second, so that a deadline is looked at.
pub fn tick() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: zero is a valid value of each field of these plain structs; the handler does nothing,
    // and the structs live through the calls.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        let handler: extern "C" fn(libc::c_int) = nothing;
        action.sa_sigaction = handler as libc::sighandler_t;
        assert_eq!(
            libc::sigaction(libc::SIGALRM, &action, core::ptr::null_mut()),
            0
        );
        let second = libc::timeval {
            tv_sec: 1,
            tv_usec: 0,
        };
        let timer = libc::itimerval {
            it_interval: second,
            it_value: second,
        };
        assert_eq!(
            libc::setitimer(libc::ITIMER_REAL, &timer, core::ptr::null_mut()),
            0
        );
    }
}

/// Waits for a change of any child; `None` when there is no child, or the deadline has passed.
fn wait(deadline: Instant) -> Option<(i32, i32)> {
    let mut status = 0;
    loop {
        // SAFETY: the status lives through the call.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
        if pid > 0 {
            return Some((pid, status));
        }
        if errno() == libc::ECHILD || Instant::now() >= deadline {
            return None;
        }
    }
}

/// Kills a child and waits until nothing of it is left.
pub fn kill(pid: i32) {
    // SAFETY: our own child, which has not been waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    while wait(Instant::now() + Duration::from_secs(60)).is_some() {}
    assert_eq!(errno(), libc::ECHILD, "a killed child is still there");
}

/// Waits for the only child there is.
pub fn reap(pid: i32, limit: Duration) -> End {
    let deadline = Instant::now() + limit;
    loop {
        match wait(deadline) {
            Some((found, status)) if found == pid => {
                if let Some(end) = ended(status) {
                    return end;
                }
            }
            Some(_) => {}
            None => {
                kill(pid);
                return End::Late;
            }
        }
    }
}

fn ended(status: i32) -> Option<End> {
    if libc::WIFEXITED(status) {
        Some(End::Exited(libc::WEXITSTATUS(status)))
    } else if libc::WIFSIGNALED(status) {
        Some(End::Signal(libc::WTERMSIG(status)))
    } else {
        None
    }
}

fn request(request: libc::c_uint, tid: i32, data: usize) -> bool {
    // SAFETY: these requests take a number and write nothing into our memory.
    unsafe { libc::ptrace(request, tid, 0, data) == 0 }
}

type Registers = libc::user_regs_struct;

fn registers(tid: i32) -> Registers {
    // SAFETY: plain numbers, for which zero is valid.
    let mut registers: Registers = unsafe { core::mem::zeroed() };
    // SAFETY: the struct lives through the call, which fills it.
    let got = unsafe { libc::ptrace(libc::PTRACE_GETREGS, tid, 0, &mut registers) };
    assert_eq!(got, 0, "registers of a stopped thread: errno {}", errno());
    registers
}

fn set_registers(tid: i32, registers: &Registers) {
    // SAFETY: the struct lives through the call, which reads it.
    let set = unsafe { libc::ptrace(libc::PTRACE_SETREGS, tid, 0, registers) };
    assert_eq!(set, 0, "registers of a stopped thread: errno {}", errno());
}

fn memory(tid: i32, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; len];
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: len,
    };
    let remote = libc::iovec {
        iov_base: at as *mut _,
        iov_len: len,
    };
    // SAFETY: one buffer here of `len` bytes; the other is the stopped child's.
    let got = unsafe { libc::process_vm_readv(tid, &local, 1, &remote, 1, 0) };
    assert_eq!(got, len as isize, "memory of a child: errno {}", errno());
    bytes
}

fn call_of(tid: i32, registers: &Registers) -> Call {
    match registers.orig_rax as i64 {
        libc::SYS_pwrite64 => Call::Write {
            fd: registers.rdi as i32,
            offset: registers.r10,
            bytes: memory(tid, registers.rsi, registers.rdx as usize),
        },
        libc::SYS_fdatasync => Call::Sync,
        libc::SYS_write => {
            let bytes = memory(tid, registers.rsi, registers.rdx as usize);
            let words = bytes.chunks_exact(8);
            Call::Note(
                words
                    .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
                    .collect(),
            )
        }
        other => Call::Other(other),
    }
}

const fn statement(code: u32, k: u32, yes: u8, no: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k,
    }
}

/// From here on this process stops for its tracer at `calls`, and at its notes.
fn stop_at(calls: &[i64]) {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let number = core::mem::offset_of!(libc::seccomp_data, nr) as u32;
    let argument = core::mem::offset_of!(libc::seccomp_data, args) as u32;
    let mut program = vec![statement(load, number, 0, 0)];
    for (index, call) in calls.iter().enumerate() {
        let left = (calls.len() - index) as u8;
        program.push(statement(equal, *call as u32, left + 3, 0)); // to the last statement
    }
    program.extend([
        statement(equal, libc::SYS_write as u32, 0, 2),
        statement(load, argument, 0, 0),
        statement(equal, NOTES as u32, 1, 0),
        statement(answer, libc::SECCOMP_RET_ALLOW, 0, 0),
        statement(answer, libc::SECCOMP_RET_TRACE, 0, 0),
    ]);
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: plain numbers; a process may always give up new privileges.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the filter and its program live through the call; the kernel copies them.
    let set = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &filter as *const libc::sock_fprog,
        )
    };
    assert_eq!((given_up, set), (0, 0), "no filter: errno {}", errno());
}

/// Opens the descriptor for notes: they go nowhere but to the tracer.
fn open_notes() {
    // SAFETY: a literal path; the descriptors are this child's own.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        assert!(null >= 0 && libc::dup2(null, NOTES) == NOTES);
    }
}

/// Tells the tracer. Does nothing in a process that is not traced.
pub fn note(words: &[u64]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    // SAFETY: the bytes live through the call.
    unsafe { libc::write(NOTES, bytes.as_ptr().cast(), bytes.len()) };
}

/// A child under the tracer's eyes.
struct Traced<'w> {
    pid: i32,
    watcher: &'w mut dyn Watcher,
    /// Threads that have been seen, and the call that each is in.
    threads: HashMap<i32, Option<(Call, Fate)>>,
}

/// Runs `act` in a child that is stopped at `calls`.
pub fn run(
    act: impl FnOnce() -> i32,
    calls: &[i64],
    watcher: &mut dyn Watcher,
    limit: Duration,
) -> End {
    let deadline = Instant::now() + limit;
    let pid = fork(|| {
        assert!(request(libc::PTRACE_TRACEME, 0, 0), "no tracer");
        // SAFETY: stops this process until its tracer lets it go on.
        unsafe { libc::raise(libc::SIGSTOP) };
        open_notes();
        stop_at(calls);
        act()
    });
    let mut traced = Traced {
        pid,
        watcher,
        threads: HashMap::new(),
    };
    loop {
        let Some((tid, status)) = wait(deadline) else {
            kill(pid);
            return End::Late;
        };
        match ended(status) {
            Some(end) if tid == pid => return end,
            Some(_) => {
                traced.threads.remove(&tid);
            }
            None => traced.stopped(tid, status),
        }
    }
}

impl Traced<'_> {
    fn stopped(&mut self, tid: i32, status: i32) {
        let signal = libc::WSTOPSIG(status);
        let event = status >> 16;
        if tid == self.pid && !self.threads.contains_key(&tid) {
            let options = libc::PTRACE_O_TRACESYSGOOD
                | libc::PTRACE_O_TRACECLONE
                | libc::PTRACE_O_TRACESECCOMP
                | libc::PTRACE_O_EXITKILL;
            assert!(request(libc::PTRACE_SETOPTIONS, tid, options as usize));
        }
        let fresh = self.threads.insert(tid, None);
        let mut how = libc::PTRACE_CONT;
        let mut pass = 0;
        if event == libc::PTRACE_EVENT_SECCOMP {
            how = libc::PTRACE_SYSCALL;
            self.enter(tid);
        } else if signal == libc::SIGTRAP | 0x80 {
            if let Some(Some((call, fate))) = fresh {
                self.leave(tid, call, fate);
            }
        } else if event == 0 && !(signal == libc::SIGSTOP && fresh.is_none()) {
            pass = signal as usize; // a signal of its own
        }
        request(how, tid, pass); // fails if it was killed, which is seen next
    }

    fn enter(&mut self, tid: i32) {
        let mut registers = registers(tid);
        let call = call_of(tid, &registers);
        let fate = self.watcher.fate(self.pid, &call);
        match fate {
            Fate::Done => {}
            Fate::Short(len) => {
                registers.rdx = len as u64;
                set_registers(tid, &registers);
            }
            Fate::Fail(_) | Fate::Swallow => {
                registers.orig_rax = u64::MAX; // no call
                set_registers(tid, &registers);
            }
            Fate::Kill => {
                // SAFETY: our own child, which has not been waited for.
                unsafe { libc::kill(self.pid, libc::SIGKILL) };
            }
        }
        self.threads.insert(tid, Some((call, fate)));
    }

    fn leave(&mut self, tid: i32, call: Call, fate: Fate) {
        let mut registers = registers(tid);
        match fate {
            Fate::Fail(errno) => registers.rax = -i64::from(errno) as u64,
            Fate::Swallow => registers.rax = 0,
            _ => {}
        }
        set_registers(tid, &registers);
        self.watcher.returned(call, fate, registers.rax as i64);
    }
}
