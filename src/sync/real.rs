//! The real thing: aliases of `core`'s (or `portable-atomic`'s) atomics and a cell like loom's.
#![allow(clippy::disallowed_types)]

#[cfg(not(ringmain_twin = "relaxed"))]
pub use core::sync::atomic::Ordering;
#[cfg(ringmain_twin = "relaxed")]
pub use twin::Ordering;

/// A broken copy for `.ci/sanitize`: every order is relaxed, and ThreadSanitizer must say so.
#[cfg(ringmain_twin = "relaxed")]
mod twin {
    use core::sync::atomic::Ordering as Real;

    /// The orders under their names, each as weak as can be.
    #[derive(Debug)]
    pub struct Ordering;

    #[allow(non_upper_case_globals, missing_docs)]
    impl Ordering {
        pub const Relaxed: Real = Real::Relaxed;
        pub const Acquire: Real = Real::Relaxed;
        pub const Release: Real = Real::Relaxed;
        pub const AcqRel: Real = Real::Relaxed;
        pub const SeqCst: Real = Real::Relaxed;
    }
}

#[cfg(target_has_atomic = "64")]
mod atomics {
    /// 64-bit atomic: the word of every queue protocol.
    pub type AtomicU64 = core::sync::atomic::AtomicU64;
    /// 32-bit atomic: futex words.
    pub type AtomicU32 = core::sync::atomic::AtomicU32;
    /// Pointer-sized atomic: positions of the typed rings.
    pub type AtomicUsize = core::sync::atomic::AtomicUsize;
    /// Boolean atomic: flags of an attachment.
    #[cfg(feature = "mapped")]
    pub type AtomicBool = core::sync::atomic::AtomicBool;
}

#[cfg(not(target_has_atomic = "64"))]
mod atomics {
    /// 64-bit atomic: the word of every queue protocol.
    pub type AtomicU64 = portable_atomic::AtomicU64;
    /// 32-bit atomic: futex words.
    pub type AtomicU32 = portable_atomic::AtomicU32;
    /// Pointer-sized atomic: positions of the typed rings.
    pub type AtomicUsize = portable_atomic::AtomicUsize;
    /// Boolean atomic: flags of an attachment.
    #[cfg(feature = "mapped")]
    pub type AtomicBool = portable_atomic::AtomicBool;
}

#[cfg(feature = "mapped")]
pub use atomics::AtomicBool;
pub use atomics::{AtomicU32, AtomicU64, AtomicUsize};

/// Orders a preceding `SeqCst` read-modify-write before following `SeqCst` loads.
///
/// Between sequentially consistent accesses this needs no instruction; loom, which treats them as
/// acquire-release, gets a fence here instead.
#[inline(always)]
pub fn store_load_after_rmw() {}

/// Orders a preceding `SeqCst` read-modify-write before following loads of any order.
#[inline(always)]
pub fn store_load() {
    // The twin has no order, and there is no fence without one.
    #[cfg(not(ringmain_twin = "relaxed"))]
    core::sync::atomic::fence(Ordering::SeqCst);
}

/// Tells the processor that this is a spin loop.
#[inline(always)]
pub fn spin_hint() {
    core::hint::spin_loop();
}

/// `core`'s `UnsafeCell` behind loom's interface, so that the model checker sees each access.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct UnsafeCell<T: ?Sized>(core::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    pub const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }
}

impl<T: ?Sized> UnsafeCell<T> {
    /// Calls `f` with a pointer for reading.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Calls `f` with a pointer for writing.
    #[inline(always)]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
