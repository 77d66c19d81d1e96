//! The data path makes no system call. A child forbids itself every call but the one that ends it
//! (and `write`, for the words of a panic), then does each operation in each home; one forbidden
//! call and the kernel kills it. Two more children make such a call on purpose, and are killed.
//!
//! A busy receiver of a mapped queue asks once in 8 ms who has died, which is a system call and so
//! allowed by contract. There the clock stands still after a first receive, or the handle
//! leaves tending to others and its clock runs. The heap queue runs on
//! the system's clock, which is read without entering the kernel.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;

use common::{Dir, child, cycle};
use ringmain::{Clock, Durability, Fixed, Heap, ManualClock, Mapped, Queue, QueueOptions};
use ringmain::{Region, SystemClock};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

const ROUNDS: u32 = 200;
/// Exit status of a child whose operations all did what they should.
const RIGHT: i32 = 42;
const WRONG: i32 = 43;
const NO_FILTER: i32 = 44;

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Goes on `yes` or `no` instructions further.
const fn branch(k: u32, yes: u8, no: u8) -> libc::sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    libc::sock_filter {
        code,
        jt: yes,
        jf: no,
        k,
    }
}

/// From here on this thread may end the process and write; anything else kills the process.
fn forbid_system_calls() -> bool {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let answer = libc::BPF_RET | libc::BPF_K;
    let number = core::mem::offset_of!(libc::seccomp_data, nr) as u32;
    let mut program = [
        statement(load, number),
        branch(libc::SYS_exit_group as u32, 1, 0),
        branch(libc::SYS_write as u32, 0, 1),
        statement(answer, libc::SECCOMP_RET_ALLOW),
        statement(answer, libc::SECCOMP_RET_KILL_PROCESS),
    ];
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
    given_up == 0 && set == 0
}

fn end(status: i32) -> ! {
    // SAFETY: ends the process at once, without handlers that might call the system.
    unsafe { libc::_exit(status) }
}

/// A primed queue, then no more system calls.
fn without_system_calls<R: Region, C: Clock>(queue: &Queue<R, C>, after: fn()) -> ! {
    if !cycle::run(queue) {
        end(WRONG);
    }
    if !forbid_system_calls() {
        end(NO_FILTER);
    }
    for _ in 0..ROUNDS {
        if !cycle::run(queue) {
            end(WRONG);
        }
    }
    after();
    end(RIGHT)
}

/// The same for a stream so small that segments are given up all the time.
#[cfg(feature = "stream")]
fn stream_without_system_calls<R: Region>(region: R, after: fn()) -> ! {
    let options = ringmain::StreamOptions::new().full(ringmain::FullPolicy::Evict);
    let stream = ringmain::Stream::create_with(region, options, &CLOCK).expect("a stream");
    if !forbid_system_calls() {
        end(NO_FILTER);
    }
    for _ in 0..ROUNDS {
        if !common::log::run(&stream) {
            end(WRONG);
        }
    }
    after();
    end(RIGHT)
}

static CLOCK: ManualClock = ManualClock::new(1000);
static QUEUE: Queue<Fixed<70, 100, 2>, &ManualClock> = Queue::fixed(&CLOCK, QueueOptions::new());

fn as_child(role: &str, after: fn()) -> ! {
    let options = QueueOptions::new();
    match role {
        "fixed" => without_system_calls(&QUEUE, after),
        "heap" => {
            let region = Heap::new(1 << 18).expect("memory");
            let queue = Queue::create_with(&region, options, &CLOCK).expect("a queue");
            without_system_calls(&queue, after)
        }
        "heap, system clock" => {
            let region = Heap::new(1 << 18).expect("memory");
            let queue = Queue::create_with(&region, options, SystemClock).expect("a queue");
            without_system_calls(&queue, after)
        }
        "mapped" => {
            let region = Mapped::create(child::argument(), 1 << 18).expect("a region");
            let queue = Queue::create_with(&region, options, &CLOCK).expect("a queue");
            without_system_calls(&queue, after)
        }
        "mapped, tended by others" => {
            let region = Mapped::create(child::argument(), 1 << 18).expect("a region");
            let queue = Queue::create_with(&region, options, SystemClock).expect("a queue");
            without_system_calls(&queue.leave_tending(), after)
        }
        #[cfg(feature = "stream")]
        "stream" => stream_without_system_calls(
            Mapped::create(child::argument(), 1 << 16).expect("a region"),
            after,
        ),
        #[cfg(feature = "stream")]
        "stream, heap" => stream_without_system_calls(Heap::new(1 << 16).expect("memory"), after),
        "journaled" => {
            // One call an interval wakes the committer: here it is woken before.
            let hour = Durability::Interval(Duration::from_secs(3600));
            let region = Mapped::create(child::argument(), 1 << 18).expect("a region");
            let queue = Queue::create_with(&region, options.durability(hour), &CLOCK);
            without_system_calls(&queue.expect("a queue"), after)
        }
        other => panic!("no role {other}"),
    }
}

/// Runs the calling test again as a child in each of `roles`.
fn in_children(test: &str, roles: &[&str], after: fn(), check: fn(&str, ExitStatus)) {
    if let Some(role) = child::role() {
        as_child(&role, after);
    }
    for (dir, role) in roles
        .iter()
        .flat_map(|role| [(Dir::new("seccomp"), role), (Dir::shm("seccomp"), role)])
    {
        let path = dir.file("q.ring");
        let argument = path.to_str().expect("a path in UTF-8");
        let status = child::command(test, role, argument)
            .status()
            .expect("a child");
        check(role, status);
    }
}

#[test]
fn the_data_path_makes_no_system_call() {
    let roles = [
        "fixed",
        "heap",
        "heap, system clock",
        "mapped",
        "mapped, tended by others",
        "journaled",
        #[cfg(feature = "stream")]
        "stream",
        #[cfg(feature = "stream")]
        "stream, heap",
    ];
    in_children(
        "the_data_path_makes_no_system_call",
        &roles,
        || (),
        |role, status| {
            assert_eq!(status.code(), Some(RIGHT), "{role}: {status}");
        },
    );
}

#[test]
fn a_system_call_made_on_purpose_kills() {
    let after = || {
        // SAFETY: takes nothing and cannot fail.
        unsafe { libc::getppid() };
    };
    in_children(
        "a_system_call_made_on_purpose_kills",
        &[
            "fixed",
            "mapped",
            #[cfg(feature = "stream")]
            "stream",
        ],
        after,
        |role, status| {
            assert_eq!(status.signal(), Some(libc::SIGSYS), "{role}: {status}");
        },
    );
}
