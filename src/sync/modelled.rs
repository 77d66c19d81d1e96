//! The model checker's twins of everything in `real.rs`.

pub use loom::cell::UnsafeCell;
pub use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Orders a preceding read-modify-write before following loads: loom treats `SeqCst` accesses as
/// acquire-release, so what the real accesses give for nothing has to be a fence here.
pub fn store_load_after_rmw() {
    fence(Ordering::SeqCst);
}

/// Orders a preceding read-modify-write before following loads.
pub fn store_load() {
    fence(Ordering::SeqCst);
}

/// Yields to the other threads of the model.
pub fn spin_hint() {
    loom::thread::yield_now();
}
