//! A child that is killed at an exact system call: before it, or after it.

use libc::c_int;

/// Forks a child that does `act`, lets it make `stops` stops at entries and exits of system calls,
/// and kills it there. `false`: it has come to its end before.
///
/// `act` calls the library only. It may start no thread.
pub fn dies_at(stops: usize, act: impl FnOnce()) -> bool {
    // SAFETY: the child does `act` and ends with `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "forked");
    if pid == 0 {
        // SAFETY: asks to be traced by the parent, and stops for it.
        unsafe {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
            libc::raise(libc::SIGSTOP);
        }
        act();
        // SAFETY: ends the child at once, without the parent's destructors.
        unsafe { libc::_exit(0) };
    }
    assert!(libc::WIFSTOPPED(wait(pid)), "it stops for its tracer");
    for _ in 0..stops {
        // SAFETY: lets the traced child run to the next entry or exit.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, 0) };
        let status = wait(pid);
        if libc::WIFEXITED(status) {
            assert_eq!(libc::WEXITSTATUS(status), 0, "it did what it should");
            return false;
        }
        let trapped = libc::WIFSTOPPED(status) && libc::WSTOPSIG(status) == libc::SIGTRAP;
        assert!(trapped, "status {status:#x} after {stops} stops");
    }
    // SAFETY: kills the child just made.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    assert!(libc::WIFSIGNALED(wait(pid)), "killed");
    true
}

fn wait(pid: libc::pid_t) -> c_int {
    let mut status = 0;
    // SAFETY: waits for a child of this process; the status is a live int.
    let waited = unsafe { libc::waitpid(pid, &mut status, libc::__WALL) };
    assert_eq!(waited, pid);
    status
}
