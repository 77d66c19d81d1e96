//! The ambush: a process that dies, or stands still for a while, at the n-th instruction of a call.
//! Calls are too short to be met by chance. The processor's trap flag makes a signal of each
//! instruction; the handler counts them down. On other processors than x86-64 nobody is caught.

/// Does `call`, and what is said at that instruction, if the call has as many.
#[cfg(target_arch = "x86_64")]
pub fn through<T>(instructions: u64, pause_ms: Option<u64>, call: impl FnOnce() -> T) -> T {
    trap::arm(instructions, pause_ms);
    let value = call();
    trap::disarm();
    value
}

/// Does `call`.
#[cfg(not(target_arch = "x86_64"))]
pub fn through<T>(_instructions: u64, _pause_ms: Option<u64>, call: impl FnOnce() -> T) -> T {
    call()
}

#[cfg(target_arch = "x86_64")]
mod trap {
    //! Counting instructions.

    use std::arch::asm;
    use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

    /// Instructions that are left.
    static LEFT: AtomicU64 = AtomicU64::new(0);
    /// For how long it stands still there, ms; 0: it dies.
    static PAUSE_MS: AtomicU64 = AtomicU64::new(0);
    /// Whose instructions they are.
    static THREAD: AtomicI32 = AtomicI32::new(0);
    const TRAP_FLAG: i64 = 0x100;

    #[inline(always)]
    pub fn arm(instructions: u64, pause_ms: Option<u64>) {
        LEFT.store(instructions.max(1), Ordering::SeqCst);
        PAUSE_MS.store(pause_ms.unwrap_or(0), Ordering::SeqCst);
        // SAFETY: an all-zero sigaction is valid; the handler has the signature that SA_SIGINFO
        // asks for and does only what a handler may. Setting the flag changes nothing but that each
        // instruction raises SIGTRAP; the stack is said to be used.
        unsafe {
            THREAD.store(libc::gettid(), Ordering::SeqCst);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = trapped as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut());
            asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq");
        }
    }

    #[inline(always)]
    pub fn disarm() {
        // SAFETY: clears the flag.
        unsafe { asm!("pushfq", "and qword ptr [rsp], -257", "popfq") };
    }

    /// Runs after each instruction. The kernel has cleared the flag for the handler itself.
    extern "C" fn trapped(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: takes nothing and cannot fail.
        let own = unsafe { libc::gettid() } == THREAD.load(Ordering::Relaxed);
        let left = LEFT.load(Ordering::Relaxed);
        if own && left > 1 {
            return LEFT.store(left - 1, Ordering::Relaxed);
        }
        // A thread that the call has started got the flag with it: it goes on without.
        let pause_ms = PAUSE_MS.load(Ordering::Relaxed);
        let pause = libc::timespec {
            tv_sec: 0,
            tv_nsec: pause_ms as i64 * 1_000_000,
        };
        // SAFETY: plain numbers, and a live time; a handler may do both.
        unsafe {
            if own && pause_ms == 0 {
                libc::kill(libc::getpid(), libc::SIGKILL);
            } else if own {
                libc::nanosleep(&pause, std::ptr::null_mut());
            }
        }
        // SAFETY: the kernel's context of the interrupted code: it goes on without the flag.
        unsafe {
            (*context).uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
        }
    }
}
