//! The ambush: whoever next enters a chosen call stands still at its n-th instruction, until the
//! conductor kills it there or lets it go on. The calls are too short to be met by chance, and each
//! instruction of them is a place to die or to stop at.
//!
//! The processor's trap flag makes a signal of each instruction; the handler counts them down and
//! waits at the last. On other processors than x86-64 nobody is caught, and deaths come by chance.

use super::board::{Board, Life, Op};
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls in which one is caught, each as often as the others.
pub const CALLS: [Op; 20] = [
    Op::Open,
    Op::Send,
    Op::SendBatch,
    Op::Claim,
    Op::Commit,
    Op::Abort,
    Op::Receive,
    Op::ReceiveBatch,
    Op::ReceiveInto,
    Op::Wait,
    Op::Delete,
    Op::DeleteBatch,
    Op::DeleteReceipt,
    Op::Extend,
    Op::Release,
    Op::Detach,
    Op::Drop,
    Op::Tend,
    Op::Purge,
    Op::Close,
];

/// A life's `caught`: not at all.
pub const FREE: u64 = 0;
/// On its way to the instruction.
pub const ENTERED: u64 = 1;
/// There, and waiting.
pub const CAUGHT: u64 = 2;
/// Told to go on.
pub const LET_GO: u64 = 3;

/// An ambush as the board has it; 0 is none.
pub fn order(op: Op, instructions: u64) -> u64 {
    (op as u64) << 32 | instructions.max(1)
}

/// Whether this machine can do it.
pub const POSSIBLE: bool = cfg!(target_arch = "x86_64");

/// Does `call`, as the one who takes the ambush if there is one for `op`.
pub fn through<T>(board: &Board, life: &'static Life, op: Op, call: impl FnOnce() -> T) -> T {
    let order = board.ambush.load(Ordering::Relaxed);
    if order >> 32 != op as u64 || order == 0 || !POSSIBLE {
        return call();
    }
    let taken = board
        .ambush
        .compare_exchange(order, 0, Ordering::SeqCst, Ordering::Relaxed);
    if taken.is_err() {
        return call();
    }
    life.caught.store(ENTERED, Ordering::SeqCst);
    trap::arm(life, order & u64::from(u32::MAX));
    let result = call();
    trap::disarm();
    life.caught.store(FREE, Ordering::SeqCst);
    result
}

/// Instructions that are left.
static LEFT: AtomicU64 = AtomicU64::new(0);

#[cfg(target_arch = "x86_64")]
mod trap {
    //! Counting instructions.

    use super::{CAUGHT, LEFT, LET_GO, Life};
    use std::arch::asm;
    use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

    /// Whose instructions they are.
    static LIFE: AtomicPtr<Life> = AtomicPtr::new(std::ptr::null_mut());
    /// Whose thread does them.
    static THREAD: AtomicI32 = AtomicI32::new(0);
    const TRAP_FLAG: i64 = 0x100;

    #[inline(always)]
    pub fn arm(life: &'static Life, instructions: u64) {
        LEFT.store(instructions, Ordering::SeqCst);
        LIFE.store(std::ptr::from_ref(life).cast_mut(), Ordering::SeqCst);
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
        if unsafe { libc::gettid() } != THREAD.load(Ordering::Relaxed) {
            // SAFETY: the kernel's context of a thread that the call has started, and that got the
            // flag with it: it goes on without.
            unsafe {
                (*context).uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
            }
            return;
        }
        let left = LEFT.load(Ordering::Relaxed);
        if left > 1 {
            return LEFT.store(left - 1, Ordering::Relaxed);
        }
        // SAFETY: set in `arm` to a life, which is never unmapped.
        let life = unsafe { &*LIFE.load(Ordering::Relaxed) };
        life.caught.store(CAUGHT, Ordering::SeqCst);
        while life.caught.load(Ordering::SeqCst) != LET_GO {
            let nap = libc::timespec {
                tv_sec: 0,
                tv_nsec: 200_000,
            };
            // SAFETY: the time is live; a handler may sleep.
            unsafe { libc::nanosleep(&nap, std::ptr::null_mut()) };
        }
        // SAFETY: the kernel's context of the interrupted code: it goes on without the flag.
        unsafe {
            (*context).uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod trap {
    //! Nothing is counted.

    use super::{LEFT, Life};
    use std::sync::atomic::Ordering;

    pub fn arm(_life: &'static Life, instructions: u64) {
        LEFT.store(instructions, Ordering::SeqCst);
    }

    pub fn disarm() {}
}
