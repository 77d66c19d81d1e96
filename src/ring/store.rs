//! Where a shared ring keeps its cells: in place, or on the heap.

/// Storage of a ring: [`Inline`] or `Boxed`. Nobody else can write one.
pub trait Store: sealed::Sealed {
    /// What it stores.
    #[doc(hidden)]
    type Cell;
    #[doc(hidden)]
    fn cells(&self) -> &[Self::Cell];
    /// The number of cells, rounded up to a power of two, at least four: known when the program
    /// is compiled, or worked out once.
    #[doc(hidden)]
    fn rounded(&self) -> usize;
}

/// The power of two from `capacity` on, at least four.
const fn rounded(capacity: usize) -> usize {
    let rounded = capacity.next_power_of_two();
    if rounded < 4 { 4 } else { rounded }
}

/// `N` cells in place.
pub struct Inline<C, const N: usize>(pub(super) [C; N]);

impl<C, const N: usize> Store for Inline<C, N> {
    type Cell = C;
    #[inline(always)]
    fn cells(&self) -> &[C] {
        &self.0
    }
    #[inline(always)]
    fn rounded(&self) -> usize {
        const { rounded(N) }
    }
}

/// Cells on the heap.
#[cfg(feature = "alloc")]
pub struct Boxed<C> {
    cells: alloc::boxed::Box<[C]>,
    rounded: usize,
}

#[cfg(feature = "alloc")]
impl<C> Boxed<C> {
    /// `capacity` cells, or `None` if the allocator has no room for them.
    pub(super) fn new(capacity: usize, new: impl Fn() -> C) -> Option<Self> {
        let cells = super::slot::boxed(capacity, new)?;
        Some(Self {
            cells,
            rounded: rounded(capacity),
        })
    }
}

#[cfg(feature = "alloc")]
impl<C> Store for Boxed<C> {
    type Cell = C;
    #[inline(always)]
    fn cells(&self) -> &[C] {
        &self.cells
    }
    #[inline(always)]
    fn rounded(&self) -> usize {
        self.rounded
    }
}

mod sealed {
    pub trait Sealed {}
    impl<C, const N: usize> Sealed for super::Inline<C, N> {}
    #[cfg(feature = "alloc")]
    impl<C> Sealed for super::Boxed<C> {}
}
