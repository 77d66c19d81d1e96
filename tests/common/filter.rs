//! A system-call filter for the calling thread and those that it starts: one call is answered in
//! another way, all others are let through.

/// Instead of doing the call.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// It fails with this error.
    Error(i32),
    /// The process dies.
    Death,
    /// The thread stands still in a signal handler for good.
    Standstill,
}

const fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

extern "C" fn stand_still(_: i32) {
    loop {
        // SAFETY: takes nothing, may be called in a handler, and returns after a signal.
        unsafe { libc::pause() };
    }
}

/// From here on `call` is answered by `answer`.
pub fn set(call: libc::c_long, answer: Answer) {
    let action = match answer {
        Answer::Error(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        Answer::Death => libc::SECCOMP_RET_KILL_PROCESS,
        Answer::Standstill => libc::SECCOMP_RET_TRAP,
    };
    let number = core::mem::offset_of!(libc::seccomp_data, nr) as u32;
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, number),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: call as u32,
        },
        statement(libc::BPF_RET | libc::BPF_K, action),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the handler does what a handler may; the rest are plain numbers, and the filter and
    // its program live through the call, which copies them.
    let set = unsafe {
        libc::signal(libc::SIGSYS, stand_still as *const () as usize);
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            + libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}
