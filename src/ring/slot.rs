//! Cells that hold a value or nothing, and copies of runs of them.
//!
//! A slot does not know whether it is filled: the ring around it does. Outside the model checker a
//! slot is exactly a `T`, so a run of slots is copied as a run of `T`; inside it each cell is
//! visited by itself, so that the checker sees each access.

use core::mem::MaybeUninit;

use crate::sync::{UnsafeCell, const_fn};

/// One cell of a ring.
#[cfg_attr(not(ringmain_loom), repr(transparent))]
pub(super) struct Slot<T>(UnsafeCell<MaybeUninit<T>>);

impl<T> Slot<T> {
    const_fn! {
        /// An empty slot.
        pub(super) fn new() -> Self {
            Self(UnsafeCell::new(MaybeUninit::uninit()))
        }
    }

    /// Fills the slot.
    ///
    /// # Safety
    /// The slot is empty, and nobody else reads or writes it during the call.
    #[inline(always)]
    pub(super) unsafe fn write(&self, value: T) {
        // SAFETY: the caller has the slot to itself.
        self.0
            .with_mut(|cell| unsafe { cell.cast::<T>().write(value) });
    }

    /// Empties the slot.
    ///
    /// # Safety
    /// The slot is filled, nobody else writes it during the call, and the caller treats it as
    /// empty afterwards.
    #[inline(always)]
    pub(super) unsafe fn read(&self) -> T {
        // SAFETY: the caller says that the slot is filled and at rest.
        self.0.with(|cell| unsafe { cell.cast::<T>().read() })
    }

    /// Where the value lies, for an access that the caller keeps within its rights on the slot.
    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *mut T {
        self.0.with_mut(|cell| cell.cast::<T>())
    }
}

/// An array of as many new cells as its type says: `empty_cells!(Slot::new)`. A macro, since the
/// model checker's constructors are not `const`.
#[cfg(not(ringmain_loom))]
macro_rules! empty_cells {
    ($new:path) => {
        [const { $new() }; _]
    };
}
#[cfg(ringmain_loom)]
macro_rules! empty_cells {
    ($new:path) => {
        ::core::array::from_fn(|_| $new())
    };
}
pub(super) use empty_cells;

/// `capacity` values on the heap, or `None` if the allocator has no room for them.
#[cfg(feature = "alloc")]
pub(super) fn boxed<S>(capacity: usize, new: impl Fn() -> S) -> Option<alloc::boxed::Box<[S]>> {
    let mut slots = alloc::vec::Vec::new();
    slots.try_reserve_exact(capacity).ok()?;
    slots.resize_with(capacity, new);
    Some(slots.into_boxed_slice())
}

/// Copies `len` values from `source` into the slots from `first` on.
///
/// # Safety
/// `source` is valid for `len` reads, the slots from `first` are `len` slots of one array, empty
/// and the caller's alone. The values change hands: they are `Copy` or forgotten by the caller.
#[inline(always)]
pub(super) unsafe fn fill_run<T>(first: *const Slot<T>, source: *const T, len: usize) {
    #[cfg(not(ringmain_loom))]
    // SAFETY: a slot is laid out as its `T` and may be written through a shared reference; the
    // caller vouches for both ranges, which cannot overlap, since the slots are its alone.
    unsafe {
        copy(source, first.cast::<T>().cast_mut(), len);
    }
    #[cfg(ringmain_loom)]
    for i in 0..len {
        // SAFETY: as above, cell by cell.
        unsafe { (*first.add(i)).write(source.add(i).read()) };
    }
}

/// Copies `len` values out of the slots from `first` on into `target`.
///
/// # Safety
/// The slots from `first` are `len` filled slots of one array that nobody writes, `target` is valid
/// for `len` writes. The values change hands: they are `Copy`, or the slots count as empty.
#[inline(always)]
pub(super) unsafe fn empty_run<T>(first: *const Slot<T>, target: *mut T, len: usize) {
    #[cfg(not(ringmain_loom))]
    // SAFETY: as in `fill_run`, the other way.
    unsafe {
        copy(first.cast::<T>(), target, len);
    }
    #[cfg(ringmain_loom)]
    for i in 0..len {
        // SAFETY: as above, cell by cell.
        unsafe { target.add(i).write((*first.add(i)).read()) };
    }
}

/// `copy_nonoverlapping`, with a few small values moved in line: a batch of ten words is quicker so
/// than through a call, which also reads in wider steps than the values were just written in, and
/// then has to wait for them.
///
/// # Safety
/// As `copy_nonoverlapping`.
#[cfg(not(ringmain_loom))]
#[inline(always)]
unsafe fn copy<T>(source: *const T, target: *mut T, len: usize) {
    use core::ptr::copy_nonoverlapping;
    if cfg!(target_pointer_width = "64") && size_of::<T>() <= 16 {
        // SAFETY: the two pieces of each arm cover `len` values and stay within them; where they
        // overlap, the same bytes are written twice.
        unsafe {
            match len {
                0 => return,
                1 => return copy_nonoverlapping(source, target, 1),
                2..=4 => {
                    copy_nonoverlapping(source, target, 2);
                    return copy_nonoverlapping(source.add(len - 2), target.add(len - 2), 2);
                }
                5..=8 => {
                    copy_nonoverlapping(source, target, 4);
                    return copy_nonoverlapping(source.add(len - 4), target.add(len - 4), 4);
                }
                9..=16 => {
                    copy_nonoverlapping(source, target, 8);
                    return copy_nonoverlapping(source.add(len - 8), target.add(len - 8), 8);
                }
                _ => {}
            }
        }
    }
    // SAFETY: the caller's.
    unsafe { copy_nonoverlapping(source, target, len) };
}
