//! A bounded first-in first-out ring for many producers and many consumers.
//!
//! **A claimant that stops stalls the others**: a thread that is stopped, or dies, between its
//! compare-exchange and its store holds its place in the order, and once the others come round to
//! that place every `pop` says "empty", or every `push` "full", until it goes on. No call waits for
//! it: the calls return. Where that cannot be accepted, use [`Bag`](super::Bag): its order is only
//! close to first-in first-out, and a stopped claimant does not stop it.
//!
//! # Protocol
//!
//! Two tickets, `tail` and `head`, count positions; each slot has a stamp { lap, HOLE, FILLED }.
//!
//! ```text
//!           claim by tail           publish              claim by head          give back
//! { L, - } --------------> (pusher's) ----> { L, FILLED } ----------> (popper's) ---> { L+1, - }
//!                               | claim dropped                              ^
//!                               +------> { L, HOLE, FILLED } ----------------+  (stepped over)
//! ```
//!
//! A push looks at the stamps of the slots from `tail` on; those that are `{ L, - }` are free, and
//! one compare-exchange of `tail` claims as many as it wants. Only a claimant changes a stamp, and
//! nobody has claimed beyond `tail`, so that if the compare-exchange succeeds, what the stamps said
//! still holds. A batch is published and given back last slot first, so that who waits for its
//! first slot finds all of it.
//!
//! - *Two pushes at one position.* One compare-exchange wins; the other looks again, after a pause.
//! - *An old ticket.* A stamp of a later lap says so: the ticket is read again. A ticket that has
//!   come round the whole machine word in between is not told from the old one; that takes longer
//!   than a lap of 2^64 positions, or 2^32 on small machines, within one call.
//! - *The slot is still in use a lap before.* `Full` or `None`: nobody is waited for.

mod claim;
mod layout;
mod raw;

pub use claim::Claim;
pub use layout::Cell;

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use self::layout::{Lap, Tickets};
use self::raw::Raw;
use super::error::{CAPACITY_MAX, Full};
use super::slot::empty_cells;
use super::store::{Inline, Store};
use crate::sync::const_fn;

/// A ring of `N` values for many producers and many consumers, in place: in a `static`, on the
/// stack, in another type. A claimant that stops stalls the others ([module](self)).
///
/// Any capacity from 1 on; a power of two is the fastest.
pub type Mpmc<T, const N: usize> = Ring<T, Inline<Cell<T>, N>>;

/// The same on the heap; made by [`mpmc()`].
#[cfg(feature = "alloc")]
pub type MpmcBox<T> = Ring<T, super::store::Boxed<Cell<T>>>;

/// What [`Mpmc`] and `MpmcBox` have in common; all operations take `&self`.
///
/// # Examples
/// ```
/// use ringmain::ring::Mpmc;
///
/// static JOBS: Mpmc<u32, 64> = Mpmc::new();
///
/// std::thread::scope(|threads| {
///     for part in 0..4 {
///         threads.spawn(move || JOBS.push(part));
///     }
/// });
/// let mut parts = [0; 8];
/// assert_eq!(JOBS.pop_batch(&mut parts), 4);
/// assert_eq!(parts.iter().sum::<u32>(), 6);
/// ```
pub struct Ring<T, S: Store<Cell = Cell<T>>> {
    tickets: Tickets,
    store: S,
    values: PhantomData<T>,
}

// SAFETY: slots are touched only by the thread that claimed them (protocol above), and the values
// that cross threads are `Send`.
unsafe impl<T: Send, S: Store<Cell = Cell<T>>> Sync for Ring<T, S> {}
// SAFETY: as above; the ring owns its values.
unsafe impl<T: Send, S: Store<Cell = Cell<T>>> Send for Ring<T, S> {}

impl<T, const N: usize> Ring<T, Inline<Cell<T>, N>> {
    const_fn! {
        /// An empty ring. All its bytes are zero.
        pub fn new() -> Self {
            const { assert!(N > 0 && N <= CAPACITY_MAX, "capacity out of range") };
            let store = Inline(empty_cells!(Cell::new));
            Self { tickets: Tickets::new(), store, values: PhantomData }
        }
    }
}

impl<T, const N: usize> Default for Ring<T, Inline<Cell<T>, N>> {
    fn default() -> Self {
        Self::new()
    }
}

/// A ring of `capacity` values on the heap.
///
/// # Errors
/// [`CapacityError`](super::CapacityError) for a capacity of zero, for one that no ring can number,
/// and when the allocator refuses.
///
/// # Examples
/// ```
/// let ring = ringmain::ring::mpmc(100)?;
/// ring.push("hello").map_err(|full| full.into_inner()).ok();
/// assert_eq!(ring.pop(), Some("hello"));
/// # Ok::<(), ringmain::ring::CapacityError>(())
/// ```
#[cfg(feature = "alloc")]
pub fn mpmc<T>(capacity: usize) -> Result<MpmcBox<T>, super::CapacityError> {
    super::CapacityError::check(capacity)?;
    let store = super::store::Boxed::new(capacity, Cell::new)
        .ok_or(super::CapacityError::NoMemory { capacity })?;
    Ok(Ring {
        tickets: Tickets::new(),
        store,
        values: PhantomData,
    })
}

impl<T, S: Store<Cell = Cell<T>>> Ring<T, S> {
    #[inline(always)]
    fn raw(&self) -> Raw<'_, T> {
        let cells = self.store.cells();
        Raw {
            tickets: &self.tickets,
            cells,
            lap: Lap::new(cells.len(), self.store.rounded()),
        }
    }

    /// Adds `value` at the end.
    ///
    /// # Errors
    /// [`Full`], with the value, when the slot at the tail is not free: the ring is full,
    /// or a popper that has claimed that slot has not finished.
    ///
    /// # Progress
    /// The call is lock-free: it is repeated only when another push succeeded. The ring is not: a
    /// claimant that stops makes the others' calls fail ([module](self)).
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::{Full, Mpmc};
    /// let ring = Mpmc::<u32, 1>::new();
    /// assert_eq!(ring.push(1), Ok(()));
    /// assert_eq!(ring.push(2), Err(Full(2)));
    /// ```
    #[inline]
    pub fn push(&self, value: T) -> Result<(), Full<T>> {
        self.raw().push(value).map_err(Full)
    }

    /// Takes the oldest value; `None` when the slot at the head is not filled: nothing waits, or
    /// a pusher that has claimed that slot has not finished.
    ///
    /// # Progress
    /// As [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Mpmc;
    /// let ring = Mpmc::<u32, 4>::new();
    /// assert_eq!(ring.pop(), None);
    /// ```
    #[inline]
    pub fn pop(&self) -> Option<T> {
        self.raw().pop()
    }

    /// Adds values from the front of `values`, one after the other with nobody else's between, as
    /// many as there is room for, and tells how many.
    ///
    /// # Progress
    /// As [`push`](Self::push): one compare-exchange claims all of them.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Mpmc;
    /// let ring = Mpmc::<u32, 4>::new();
    /// assert_eq!(ring.push_batch(&[1, 2, 3]), 3);
    /// assert_eq!(ring.push_batch(&[4, 5, 6]), 1);
    /// ```
    #[inline]
    pub fn push_batch(&self, values: &[T]) -> usize
    where
        T: Copy,
    {
        self.raw().push_batch(values)
    }

    /// Adds values from `values` while it has some and there is room, and tells how many. The rest
    /// stays in the iterator; if it ends before its announced length, the claimed slots beyond are
    /// holes that readers step over.
    ///
    /// # Progress
    /// As [`push`](Self::push); the iterator runs while the slots are claimed, so it had better not
    /// wait for anything.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Mpmc;
    /// let ring = Mpmc::<String, 2>::new();
    /// let mut names = ["a", "b", "c"].map(String::from).into_iter();
    /// assert_eq!(ring.push_from(&mut names), 2);
    /// assert_eq!(names.next().as_deref(), Some("c"));
    /// ```
    pub fn push_from(&self, values: &mut impl ExactSizeIterator<Item = T>) -> usize {
        self.raw().push_from(values)
    }

    /// Takes the oldest values into the front of `target`, as many as there are and fit, and tells
    /// how many.
    ///
    /// # Progress
    /// As [`push`](Self::push): one compare-exchange claims all of them.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Mpmc;
    /// let ring = Mpmc::<u32, 4>::new();
    /// ring.push_batch(&[1, 2, 3]);
    /// let mut two = [0; 2];
    /// assert_eq!(ring.pop_batch(&mut two), 2);
    /// assert_eq!(two, [1, 2]);
    /// ```
    #[inline]
    pub fn pop_batch(&self, target: &mut [T]) -> usize
    where
        T: Copy,
    {
        // SAFETY: `MaybeUninit<T>` is laid out as `T`; only whole values are written to it.
        let target = unsafe { &mut *(target as *mut [T] as *mut [MaybeUninit<T>]) };
        self.raw().pop_batch(target)
    }

    /// Takes up to `M` of the oldest values.
    ///
    /// # Progress
    /// As [`push`](Self::push): one compare-exchange claims all of them.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Mpmc;
    /// let ring = Mpmc::<String, 4>::new();
    /// ring.push_from(&mut ["a", "b", "c"].map(String::from).into_iter());
    /// assert_eq!(ring.pop_many::<2>().as_slice(), ["a", "b"]);
    /// ```
    #[inline]
    pub fn pop_many<const M: usize>(&self) -> heapless::Vec<T, M> {
        let mut values = heapless::Vec::new();
        let taken = self.raw().pop_batch(values.spare_capacity_mut());
        // SAFETY: `pop_batch` wrote the first `taken` of at most `M`.
        unsafe { values.set_len(taken) };
        values
    }

    /// Takes the slot at the tail, to be filled and shown by [`Claim::commit`].
    ///
    /// A claim that is dropped leaves a hole that readers step over. An open or leaked one stalls
    /// the readers behind it.
    ///
    /// # Errors
    /// [`Full`], as [`push`](Self::push).
    ///
    /// # Progress
    /// As [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::{Full, Mpmc};
    /// let ring = Mpmc::<u32, 4>::new();
    /// let (first, second) = (ring.claim()?, ring.claim()?);
    /// second.commit(2);
    /// assert_eq!(ring.pop(), None);
    /// drop(first);
    /// assert_eq!(ring.pop(), Some(2));
    /// # Ok::<(), Full<()>>(())
    /// ```
    #[inline]
    pub fn claim(&self) -> Result<Claim<'_, T>, Full<()>> {
        let raw = self.raw();
        let position = raw.claim_free().ok_or(Full(()))?;
        Ok(Claim::new(raw, position))
    }

    /// How many values the ring can hold.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.store.cells().len()
    }

    /// How many slots were taken by values, claims and holes at one moment during the call.
    pub fn len(&self) -> usize {
        self.raw().len()
    }

    /// Whether none were.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all were.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }
}

impl<T, S: Store<Cell = Cell<T>>> Drop for Ring<T, S> {
    fn drop(&mut self) {
        // SAFETY: dropped, so nobody else has it.
        unsafe { self.raw().drop_rest() };
    }
}

impl<T, S: Store<Cell = Cell<T>>> core::fmt::Debug for Ring<T, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Mpmc({} of {})", self.len(), self.capacity())
    }
}
