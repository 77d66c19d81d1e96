//! Floor 0: the only place that names an atomic, a cell or a fence.
//!
//! Three faces under one set of names: `core`'s atomics, `portable-atomic` where the target lacks
//! 64-bit ones, and loom's under `cfg(ringmain_loom)`. Loom's constructors are not `const`;
//! [`const_fn`](crate::sync) hides that difference for types which have to live in a `static`.

#[cfg(not(ringmain_loom))]
mod real;
#[cfg(not(ringmain_loom))]
pub use real::*;

#[cfg(ringmain_loom)]
mod modelled;
#[cfg(ringmain_loom)]
pub use modelled::*;

mod padded;
pub use padded::Padded;

#[cfg(all(feature = "async", not(ringmain_loom)))]
mod wakers;
#[cfg(all(feature = "async", not(ringmain_loom)))]
pub use wakers::{WAKERS, WakerSet};

/// Declares a function that is `const` outside the model checker and plain inside it.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $args:tt $(-> $ret:ty)? $body:block) => {
        #[cfg(not(ringmain_loom))]
        $(#[$meta])* $vis const fn $name $args $(-> $ret)? $body
        #[cfg(ringmain_loom)]
        $(#[$meta])* $vis fn $name $args $(-> $ret)? $body
    };
}
pub(crate) use const_fn;

#[cfg(ringmain_twin = "chosen")]
pub mod twin;

/// Whether a step of recovery is left out: in a twin, which the kill matrix must find broken
/// (docs/recovery.md). Otherwise nothing is, and the question costs nothing.
#[cfg(ringmain_twin = "chosen")]
macro_rules! left_out {
    ($step:literal) => {
        $crate::sync::twin::is_without($step)
    };
}
#[cfg(not(ringmain_twin = "chosen"))]
macro_rules! left_out {
    ($step:literal) => {
        false
    };
}
pub(crate) use left_out;
