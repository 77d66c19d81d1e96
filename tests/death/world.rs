//! What all rounds share: the board, the file, the processors, and the watch over the harness
//! itself.

use super::board::{Board, FAULTS, Fault};
use super::busy::Busy;
use super::common::Dir;
use super::tracer::{pin_to, processors};
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

pub struct World {
    pub board: &'static Board,
    pub dir: Dir,
    pub path: PathBuf,
    cpus: Vec<usize>,
}

/// What came of one cell of a matrix: an operation by a way to survive.
#[derive(Default)]
pub struct Row {
    pub operation: &'static str,
    pub survivor: &'static str,
    pub instructions: usize,
    /// Kills or stops.
    pub rounds: usize,
    /// Faults, each kind by itself: see [`FAULTS`].
    pub faults: [usize; FAULTS.len()],
    /// The longest recovery, ns, of rounds that were done again too.
    pub longest_ns: u64,
    /// Rounds that were done again, since the machine was slow in them.
    pub again: usize,
    /// Rounds whose path was not the recorded one: by what a busy survivor does, or the clock.
    pub elsewhere: usize,
}

const TOLD_MAX: usize = 4;

impl Row {
    pub fn count(&self, fault: Fault) -> usize {
        self.faults[fault as usize]
    }

    pub fn has_faults(&self) -> bool {
        self.faults.iter().any(|&count| count != 0)
    }

    /// Takes the faults of a round from the board; says the first few.
    pub fn take_faults(&mut self, board: &Board, k: usize) {
        for (fault, seed, what) in board.faults() {
            let told: usize = self.faults.iter().sum();
            if told < TOLD_MAX {
                let (operation, survivor) = (self.operation, self.survivor);
                eprintln!("{operation} ({survivor}), instruction {k}: {fault:?}: {what} [{seed}]");
            }
            self.faults[fault as usize] += 1;
        }
    }
}

impl World {
    pub fn new() -> Self {
        large_blocks_are_fresh();
        let cpus = processors();
        // The traced one inherits this: a step then needs no other processor to wake up.
        pin_to(cpus[0]);
        let dir = Dir::shm("death");
        let path = dir.file("region");
        Self {
            board: Board::new(),
            dir,
            path,
            cpus,
        }
    }

    /// A busy survivor, on another processor if there is one.
    pub fn busy(&self) -> Busy {
        Busy::start(self.board, &self.path, self.other_cpu())
    }

    /// The processor for one who works beside the tracer.
    pub fn other_cpu(&self) -> usize {
        *self.cpus.get(1).unwrap_or(&self.cpus[0])
    }

    /// Starts a round: should the library or the harness hang in it, the process ends and says so.
    pub fn begin_round(&self, operation: &'static str) {
        ROUND.store(operation.as_ptr().cast_mut(), SeqCst);
        let handler = hangs as extern "C" fn(i32);
        // SAFETY: the handler only writes to standard error and ends the process.
        unsafe {
            libc::signal(libc::SIGALRM, handler as *const () as libc::sighandler_t);
            libc::alarm(HANGS_SECS);
        }
    }
}

/// Lets the C library map each large block anew. It raises its bound whenever one is freed, and
/// would then clear used memory byte by byte, under trace: the path would depend on what the
/// harness did before.
fn large_blocks_are_fresh() {
    const BOUND: i32 = 128 << 10;
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number of the allocator, before any thread is there.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, BOUND)
    };
    let _ = BOUND;
}

/// No round takes this long.
const HANGS_SECS: u32 = 120;
/// The name of the operation of this round; all names are in one table, 20 bytes are enough to know
/// which.
static ROUND: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn hangs(_: i32) {
    let text = b"a round hangs; its operation begins with: ";
    let name = ROUND.load(SeqCst);
    // SAFETY: writes live bytes (names are literals of at least four bytes), then ends the process.
    unsafe {
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::write(2, name.cast(), 4);
        libc::write(2, b"\n".as_ptr().cast(), 1);
        libc::_exit(1);
    }
}
