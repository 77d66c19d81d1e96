//! The tracer: forks a child, stops it after an exact number of instructions, and kills it there,
//! or leaves it stopped.
//!
//! The child runs up to [`begin`], which traps. From there the tracer counts single steps. So that
//! the k-th instruction costs a few stops and not k, it first runs to a hardware breakpoint at an
//! address that the recorded path passes shortly before (see `path`). [`end`] ends the operation.

use std::arch::asm;
use std::mem::offset_of;

pub type Pid = libc::pid_t;

/// Where the traced operation begins: stops here for the tracer.
#[inline(always)]
pub fn begin() {
    // SAFETY: the breakpoint instruction changes nothing; a tracer is there to take the signal.
    unsafe { asm!("int3") };
}

/// Where the traced operation ends: the tracer knows this address.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn ringmain_death_end() {
    // SAFETY: does nothing; keeps the function from being merged with another or left out.
    unsafe { asm!("nop", "nop", "nop") };
}

pub use ringmain_death_end as end;

fn end_address() -> u64 {
    end as *const () as u64
}

/// How the traced process stands after it was let go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Inside the operation, before the instruction at this address.
    At(u64),
    /// At the operation's end.
    Ended,
    /// It is gone, or stopped for another reason: the wait status.
    Astray(i32),
}

impl Stop {
    /// Whether it stands where `way` should lead.
    pub fn is_at_end_of(self, way: Way) -> bool {
        let address = match self {
            Stop::At(address) => address,
            Stop::Ended => end_address(),
            Stop::Astray(_) => 0,
        };
        address == way.to
    }
}

/// How to reach an instruction: run to the `hits`-th passing of `address`, take `steps`, then
/// `repeats` of the repeated string instruction that stands there and `then` more steps.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way {
    pub address: u64,
    pub hits: u32,
    pub steps: u32,
    pub repeats: u32,
    /// What comes after the repeated instruction.
    pub after: u64,
    pub then: u32,
    /// Where this leads, if the path is the recorded one.
    pub to: u64,
}

/// A child under this process's trace.
pub struct Traced {
    pid: Pid,
}

fn ptrace(request: libc::c_uint, pid: Pid, address: u64, data: u64) -> i64 {
    // SAFETY: the requests used here change the traced process alone; the one that reads returns
    // its result by value.
    unsafe { libc::ptrace(request, pid, address, data) }
}

/// Forks. The child does `work` and exits with what it returns; it dies with this process.
pub fn fork(work: impl FnOnce() -> i32) -> Pid {
    // SAFETY: this process has one thread, so the child may do whatever it may.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "no fork: {}", std::io::Error::last_os_error());
    if pid == 0 {
        // SAFETY: asks for a signal at the parent's end; touches no memory.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        // SAFETY: ends the child at once, without the parent's destructors.
        unsafe { libc::_exit(done.unwrap_or(101)) };
    }
    pid
}

/// Keeps this process, and children forked later, to one processor.
pub fn pin_to(cpu: usize) {
    // SAFETY: a set of processors is plain data; zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is live, and `cpu` is one that `processors` told.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer is to a live set of that size.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
}

/// The processors that this process may use.
pub fn processors() -> Vec<usize> {
    // SAFETY: as in `pin_to`.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live set of that size.
    unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
    // SAFETY: reads the set, below its size.
    (0..1024)
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect()
}

/// Waits for a child to change; its wait status, or `None` if it has not (with `WNOHANG`).
pub fn wait_for(pid: Pid, options: i32) -> Option<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the status is a live int.
        let got = unsafe { libc::waitpid(pid, &mut status, options) };
        if got == pid {
            return Some(status);
        }
        if got == 0 {
            return None;
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return None, // waited for already
            error => panic!("waiting for a child: {error:?}"),
        }
    }
}

impl Traced {
    /// Forks a child that does `work` under trace; returns when it stands at [`begin`].
    pub fn start(work: impl FnOnce() -> i32) -> Result<Self, i32> {
        let pid = fork(|| {
            assert_eq!(
                ptrace(libc::PTRACE_TRACEME, 0, 0, 0),
                0,
                "may not be traced"
            );
            work()
        });
        let status = wait_for(pid, 0).expect("a change");
        if !is_trap(status) {
            return Err(status);
        }
        ptrace(
            libc::PTRACE_SETOPTIONS,
            pid,
            0,
            libc::PTRACE_O_EXITKILL as u64,
        );
        Ok(Self { pid })
    }

    fn peek(&self, offset: usize) -> u64 {
        ptrace(libc::PTRACE_PEEKUSER, self.pid, offset as u64, 0) as u64
    }

    fn poke(&self, offset: usize, value: u64) {
        let done = ptrace(libc::PTRACE_POKEUSER, self.pid, offset as u64, value);
        assert_eq!(
            done,
            0,
            "no such register: {}",
            std::io::Error::last_os_error()
        );
    }

    fn set_debug(&self, register: usize, value: u64) {
        self.poke(offset_of!(libc::user, u_debugreg) + 8 * register, value);
    }

    /// The address of the next instruction.
    fn address(&self) -> u64 {
        self.peek(offset_of!(libc::user_regs_struct, rip))
    }

    /// Lets it go on by `request` until it stops; `asleep` is called when it takes its time.
    fn go(&self, request: libc::c_uint, asleep: Option<&dyn Fn()>) -> Stop {
        ptrace(request, self.pid, 0, 0);
        let status = match asleep {
            None => wait_for(self.pid, 0).expect("a change"),
            Some(asleep) => self.wait_watching(asleep),
        };
        if !is_trap(status) {
            return Stop::Astray(status);
        }
        match self.address() {
            address if address == end_address() => Stop::Ended,
            address => Stop::At(address),
        }
    }

    fn wait_watching(&self, asleep: &dyn Fn()) -> i32 {
        let mut looks = 0u32;
        loop {
            if let Some(status) = wait_for(self.pid, libc::WNOHANG) {
                return status;
            }
            looks += 1;
            if looks > 1 && is_asleep(self.pid) {
                asleep();
            }
            std::thread::yield_now(); // it runs on this processor
        }
    }

    /// Steps to the end; the address before each instruction, the end's included.
    pub fn record(&self, asleep: Option<&dyn Fn()>) -> Result<Vec<u64>, i32> {
        let mut path = vec![self.address()];
        loop {
            match self.go(libc::PTRACE_SINGLESTEP, asleep) {
                Stop::At(address) => path.push(address),
                Stop::Ended => {
                    path.push(end_address());
                    return Ok(path);
                }
                Stop::Astray(status) => return Err(status),
            }
        }
    }

    /// Goes `way`, or to the end, whichever comes first.
    pub fn advance(&self, way: Way, asleep: Option<&dyn Fn()>) -> Stop {
        let mut stop = Stop::At(self.address());
        if way.hits != 0 {
            stop = self.run_to(way.address, way.hits, asleep);
        }
        stop = self.take_steps(stop, way.steps, asleep);
        if way.repeats != 0 && matches!(stop, Stop::At(_)) {
            stop = self.repeat(way, asleep);
        }
        self.take_steps(stop, way.then, asleep)
    }

    fn take_steps(&self, mut stop: Stop, steps: u32, asleep: Option<&dyn Fn()>) -> Stop {
        for _ in 0..steps {
            if !matches!(stop, Stop::At(_)) {
                break;
            }
            stop = self.go(libc::PTRACE_SINGLESTEP, asleep);
        }
        stop
    }

    /// Runs to the `hits`-th passing of an address.
    fn run_to(&self, address: u64, hits: u32, asleep: Option<&dyn Fn()>) -> Stop {
        self.set_debug(0, address);
        self.set_debug(1, end_address());
        self.set_debug(7, 0b101); // both on, for this process, at execution
        let mut stop = Stop::At(0);
        for _ in 0..hits {
            stop = self.go(libc::PTRACE_CONT, asleep);
            if !matches!(stop, Stop::At(_)) {
                break;
            }
        }
        if !matches!(stop, Stop::Astray(_)) {
            self.set_debug(7, 0);
        }
        stop
    }

    /// Does a part of a repeated string instruction, as if it had been interrupted: runs it with a
    /// smaller count, and goes back to it with the rest.
    fn repeat(&self, way: Way, asleep: Option<&dyn Fn()>) -> Stop {
        let (rip, rcx) = (
            offset_of!(libc::user_regs_struct, rip),
            offset_of!(libc::user_regs_struct, rcx),
        );
        let (address, count) = (self.peek(rip), self.peek(rcx));
        let is_repeated = self.is_repeated(address);
        if !is_repeated || count <= way.repeats as u64 {
            return Stop::At(address); // another path than the recorded one
        }
        self.poke(rcx, way.repeats as u64);
        let stop = self.run_to(way.after, 1, asleep);
        if matches!(stop, Stop::At(_)) {
            self.poke(rcx, count - way.repeats as u64);
            self.poke(rip, address);
            return Stop::At(address);
        }
        stop
    }

    /// Whether a string instruction with a repetition stands there.
    fn is_repeated(&self, address: u64) -> bool {
        let code = ptrace(libc::PTRACE_PEEKTEXT, self.pid, address, 0).to_le_bytes();
        let operation = code[if code[1] == 0x48 { 2 } else { 1 }];
        code[0] == 0xf3 && [0xa4, 0xa5, 0xaa, 0xab].contains(&operation) // movs and stos
    }

    /// Kills it where it stands; returns when the kernel has confirmed that it is dead.
    pub fn kill(self) {
        end_child(self.pid);
        std::mem::forget(self);
    }

    /// Leaves it truly stopped, as by SIGSTOP from anywhere, and no longer traced.
    pub fn stop(self) -> Pid {
        let pid = self.pid;
        std::mem::forget(self);
        // It stands in a signal's delivery, so the signal given here is delivered in its place.
        assert_eq!(
            ptrace(libc::PTRACE_DETACH, pid, 0, libc::SIGSTOP as u64),
            0,
            "let go"
        );
        let status = wait_for(pid, libc::WUNTRACED).expect("a change");
        assert!(libc::WIFSTOPPED(status), "not stopped: status {status:#x}");
        pid
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        end_child(self.pid);
    }
}

/// Kills a child and waits for its end.
pub fn end_child(pid: Pid) {
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    while let Some(status) = wait_for(pid, 0) {
        if libc::WIFSIGNALED(status) || libc::WIFEXITED(status) {
            return;
        }
    }
}

/// Lets a stopped child go on.
pub fn go_on(pid: Pid) {
    // SAFETY: a signal to a child that has not been waited for.
    unsafe { libc::kill(pid, libc::SIGCONT) };
}

/// Whether a process sleeps in the kernel, and may be woken.
pub fn is_asleep(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default();
    state.trim_start().starts_with('S')
}

/// Words for a wait status.
pub fn told(status: i32) -> String {
    if libc::WIFEXITED(status) {
        format!("exited with {}", libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        format!("ended by signal {}", libc::WTERMSIG(status))
    } else {
        format!("stopped by signal {}", libc::WSTOPSIG(status))
    }
}

fn is_trap(status: i32) -> bool {
    libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP
}
