//! A bounded container for many producers and many consumers that a stopped claimant does not stop.
//!
//! **The order is close to first-in first-out, not exact.** Values are taken in about the order in
//! which they came: in lap after lap over the slots, each value within about two laps of its push
//! while poppers keep popping, but two values may change places, even two of one producer. In
//! return a thread that is stopped, or dies, in the middle of an operation keeps the slots that it
//! has claimed and nothing else: the others go on around it. Where exact order is wanted and nobody
//! dies, see [`Mpmc`](super::Mpmc).
//!
//! # Protocol
//!
//! Blocks of 64 slots, each with two words: `taken`, `ready`. Each move is one read-modify-write of
//! one word, and moves up to 64 slots of a block at once:
//!
//! ```text
//!         push claims          publish          pop claims          give back
//! {0, 0} -------------> {1, 0} -------> {1, 1} ------------> {1, 0} ----------> {0, 0}
//!  free    exchange of   being   or of   ready  exchange of   being   and of     free
//!             taken      filled  ready             ready     emptied   taken
//! ```
//!
//! Two cursors say where to look first: a push takes free slots at or after the push cursor, a pop
//! ready ones at or after the pop cursor; then come the blocks after it, and at last the low slots
//! of the cursor's own block. Only after such a whole lap does a call say `Full` or `None`. Since
//! the cursors go round in the same sense, what was filled first is found first.
//!
//! - *Two pushes in one block.* One compare-exchange wins; the other looks again, after a pause.
//! - *The cursor is moved by two.* It is a hint: the later store stands. A thread that was stopped
//!   just before its store sets it to an old place; the next claims go on from there and look over
//!   the slots between once more. No slot is lost to the sweep, since each sweep is a whole lap.
//! - *A pop sweeps past a block, then a push publishes there.* The pop says `None` although a value
//!   is there now. Each value whose push had returned before the pop began was found, or taken by
//!   somebody else.

mod claim;
mod layout;
mod raw;

pub use claim::Claim;
pub use layout::{BLOCK_SLOTS, Block};

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use self::layout::Cursors;
use self::raw::Raw;
use super::error::{CAPACITY_MAX, Full};
use super::slot::empty_cells;
use super::store::{Inline, Store};
use crate::sync::const_fn;

/// A bag of `BLOCKS` times 64 values in place: in a `static`, on the stack, in another type. Its
/// order is close to first-in first-out, not exact ([module](self)).
pub type Bag<T, const BLOCKS: usize> = Sack<T, Inline<Block<T>, BLOCKS>>;

/// The same on the heap, of any capacity; made by [`bag()`].
#[cfg(feature = "alloc")]
pub type BagBox<T> = Sack<T, super::store::Boxed<Block<T>>>;

/// What [`Bag`] and `BagBox` have in common; all operations take `&self`.
///
/// # Examples
/// ```
/// use ringmain::ring::Bag;
///
/// static JOBS: Bag<u32, 1> = Bag::new();
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
pub struct Sack<T, S: Store<Cell = Block<T>>> {
    cursors: Cursors,
    capacity: usize,
    store: S,
    values: PhantomData<T>,
}

// SAFETY: slots are touched only by the thread that claimed them (protocol above), and the values
// that cross threads are `Send`.
unsafe impl<T: Send, S: Store<Cell = Block<T>>> Sync for Sack<T, S> {}
// SAFETY: as above; the bag owns its values.
unsafe impl<T: Send, S: Store<Cell = Block<T>>> Send for Sack<T, S> {}

impl<T, const BLOCKS: usize> Sack<T, Inline<Block<T>, BLOCKS>> {
    const_fn! {
        /// An empty bag.
        pub fn new() -> Self {
            const {
                assert!(BLOCKS > 0, "capacity out of range");
                assert!(BLOCKS <= CAPACITY_MAX / BLOCK_SLOTS, "capacity out of range");
            }
            Self {
                cursors: Cursors::new(),
                capacity: BLOCKS * BLOCK_SLOTS,
                store: Inline(empty_cells!(Block::new)),
                values: PhantomData,
            }
        }
    }
}

impl<T, const BLOCKS: usize> Default for Sack<T, Inline<Block<T>, BLOCKS>> {
    fn default() -> Self {
        Self::new()
    }
}

/// A bag of `capacity` values on the heap.
///
/// # Errors
/// [`CapacityError`](super::CapacityError) for a capacity of zero, for one that no ring can number,
/// and when the allocator refuses.
///
/// # Examples
/// ```
/// let bag = ringmain::ring::bag(100)?;
/// bag.push("hello").map_err(|full| full.into_inner()).ok();
/// assert_eq!(bag.pop(), Some("hello"));
/// # Ok::<(), ringmain::ring::CapacityError>(())
/// ```
#[cfg(feature = "alloc")]
pub fn bag<T>(capacity: usize) -> Result<BagBox<T>, super::CapacityError> {
    super::CapacityError::check(capacity)?;
    let store = super::store::Boxed::new(capacity.div_ceil(BLOCK_SLOTS), Block::new)
        .ok_or(super::CapacityError::NoMemory { capacity })?;
    if let (Some(last), true) = (store.cells().last(), !capacity.is_multiple_of(BLOCK_SLOTS)) {
        last.shorten(capacity % BLOCK_SLOTS);
    }
    Ok(Sack {
        cursors: Cursors::new(),
        capacity,
        store,
        values: PhantomData,
    })
}

impl<T, S: Store<Cell = Block<T>>> Sack<T, S> {
    #[inline(always)]
    fn raw(&self) -> Raw<'_, T> {
        Raw {
            cursors: &self.cursors,
            blocks: self.store.cells(),
        }
    }

    /// Adds `value`.
    ///
    /// # Errors
    /// [`Full`], with the value, when a whole lap found no free slot.
    ///
    /// # Progress
    /// Lock-free: a step is repeated only when another operation succeeded in the same block. It
    /// waits for nobody.
    ///
    /// # Complexity
    /// One look where there is room at the cursor; one a block before it says `Full`.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::{Full, bag};
    /// let bag = bag(1)?;
    /// assert_eq!(bag.push(1), Ok(()));
    /// assert_eq!(bag.push(2), Err(Full(2)));
    /// # Ok::<(), ringmain::ring::CapacityError>(())
    /// ```
    #[inline]
    pub fn push(&self, value: T) -> Result<(), Full<T>> {
        self.raw().push(value).map_err(Full)
    }

    /// Takes a value, about the oldest; `None` when a whole lap found none ready.
    ///
    /// # Progress
    /// Lock-free, as [`push`](Self::push).
    ///
    /// # Complexity
    /// One look where a value waits at the cursor; one a block before it says `None`.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Bag;
    /// let bag = Bag::<u32, 1>::new();
    /// assert_eq!(bag.pop(), None);
    /// ```
    #[inline]
    pub fn pop(&self) -> Option<T> {
        self.raw().pop()
    }

    /// Adds values from the front of `values`, as many as there is room for, and tells how many.
    ///
    /// # Progress
    /// Lock-free; one compare-exchange and one or for up to 64 values of one block.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Bag;
    /// let bag = Bag::<u32, 1>::new();
    /// assert_eq!(bag.push_batch(&[1, 2, 3]), 3);
    /// assert_eq!(bag.push_batch(&[0; 100]), 61);
    /// ```
    #[inline]
    pub fn push_batch(&self, values: &[T]) -> usize
    where
        T: Copy,
    {
        self.raw().push_batch(values)
    }

    /// Adds values from `values` while it has some and there is room, and tells how many. The rest
    /// stays in the iterator.
    ///
    /// # Progress
    /// Lock-free, if the iterator is; one compare-exchange and one or for up to 64 values.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::bag;
    /// let bag = bag::<String>(2)?;
    /// let mut names = ["a", "b", "c"].map(String::from).into_iter();
    /// assert_eq!(bag.push_from(&mut names), 2);
    /// assert_eq!(names.next().as_deref(), Some("c"));
    /// # Ok::<(), ringmain::ring::CapacityError>(())
    /// ```
    pub fn push_from(&self, values: &mut impl ExactSizeIterator<Item = T>) -> usize {
        self.raw().push_from(values)
    }

    /// Takes values into the front of `target`, as many as there are and fit, and tells how many.
    ///
    /// # Progress
    /// Lock-free; one compare-exchange and one and for up to 64 values of one block.
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Bag;
    /// let bag = Bag::<u32, 1>::new();
    /// bag.push_batch(&[1, 2, 3]);
    /// let mut two = [0; 2];
    /// assert_eq!(bag.pop_batch(&mut two), 2);
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

    /// Takes up to `M` values.
    ///
    /// # Progress
    /// Lock-free, as [`pop_batch`](Self::pop_batch).
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::Bag;
    /// let bag = Bag::<String, 1>::new();
    /// bag.push_from(&mut ["a", "b", "c"].map(String::from).into_iter());
    /// assert_eq!(bag.pop_many::<2>().as_slice(), ["a", "b"]);
    /// ```
    #[inline]
    pub fn pop_many<const M: usize>(&self) -> heapless::Vec<T, M> {
        let mut values = heapless::Vec::new();
        let taken = self.raw().pop_batch(values.spare_capacity_mut());
        // SAFETY: `pop_batch` wrote the first `taken` of at most `M`.
        unsafe { values.set_len(taken) };
        values
    }

    /// Takes a free slot, to be filled and shown by [`Claim::commit`].
    ///
    /// A claim that is dropped gives the slot back; one that is leaked keeps it for ever, and
    /// disturbs nobody otherwise.
    ///
    /// # Errors
    /// [`Full`], as [`push`](Self::push).
    ///
    /// # Progress
    /// Lock-free, as [`push`](Self::push).
    ///
    /// # Examples
    /// ```
    /// # use ringmain::ring::{Bag, Full};
    /// let bag = Bag::<u32, 1>::new();
    /// let (first, second) = (bag.claim()?, bag.claim()?);
    /// second.commit(2);
    /// assert_eq!(bag.pop(), Some(2));
    /// drop(first);
    /// # Ok::<(), Full<()>>(())
    /// ```
    #[inline]
    pub fn claim(&self) -> Result<Claim<'_, T>, Full<()>> {
        self.raw().claim_free(1).map(Claim::new).ok_or(Full(()))
    }

    /// How many values the bag can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many values wait, counted block by block while others go on.
    ///
    /// # Complexity
    /// One look a block.
    pub fn len(&self) -> usize {
        self.raw().ready()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no free slot was found.
    pub fn is_full(&self) -> bool {
        self.raw().none_free()
    }
}

impl<T, S: Store<Cell = Block<T>>> Drop for Sack<T, S> {
    fn drop(&mut self) {
        // SAFETY: dropped, so nobody else has it.
        unsafe { self.raw().drop_rest() };
    }
}

impl<T, S: Store<Cell = Block<T>>> core::fmt::Debug for Sack<T, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Bag({} of {})", self.len(), self.capacity())
    }
}
