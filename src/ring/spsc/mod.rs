//! A bounded ring between one producer and one consumer.
//!
//! # Protocol
//!
//! Two positions, each written by one side only: `tail` by the producer, `head` by the consumer.
//! The slots from `head` to `tail` are filled and the consumer's, the others are empty and the
//! producer's. A side moves its own position after it is done with the slots before it (release),
//! and looks at the other's before it touches the slots behind it (acquire). Each side remembers
//! what it last saw of the other and looks again only when that is used up, so a line moves between
//! the two processors once for many values, and a batch moves a position once.
//!
//! - *Push against pop.* The producer sees an old `head`: it believes the ring fuller than it is,
//!   says `Full` at worst, and writes to no slot that is still read. The consumer sees an old
//!   `tail`: it believes the ring emptier than it is.
//! - *A side that stops* between its access and its store has changed nothing that the other can
//!   see. The other goes on until the ring is full or empty.

mod claim;
mod consumer;
mod core;
mod producer;
mod read;
mod side;

#[cfg(feature = "alloc")]
mod boxed;
#[cfg(feature = "alloc")]
pub use boxed::spsc;

pub use claim::Claim;
pub use consumer::{Consumer, Drain};
pub use producer::Producer;
pub use read::Read;

use ::core::ptr::{self, NonNull};

use self::core::{CONSUMER, Core, Lap, PRODUCER};
use self::side::Side;
use super::slot::{Slot, empty_cells};
use crate::sync::{Ordering, const_fn};

/// A ring of `N` values between one producer and one consumer, in place: in a `static`, on the
/// stack, in another type.
///
/// Any capacity from 1 on, not only powers of two. Values that are left are dropped with the ring.
///
/// # Progress
/// Each operation is wait-free, and none makes a read-modify-write except a handle's drop and
/// [`try_split`](Self::try_split).
///
/// # Examples
/// ```
/// use ringmain::ring::Spsc;
///
/// static READINGS: Spsc<u16, 32> = Spsc::new();
///
/// let (mut producer, mut consumer) = READINGS.try_split().ok_or("somebody has it")?;
/// assert!(READINGS.try_split().is_none());
/// std::thread::spawn(move || producer.push(21)).join().ok();
/// assert_eq!(consumer.pop(), Some(21));
/// # Ok::<(), &str>(())
/// ```
///
/// A capacity of zero does not compile:
///
/// ```compile_fail
/// let ring = ringmain::ring::Spsc::<u8, 0>::new();
/// ```
pub struct Spsc<T, const N: usize> {
    core: Core,
    slots: [Slot<T>; N],
}

// SAFETY: the slots are reached only through the two handles, of which there is one pair at a time
// (`split` borrows mutably, `try_split` counts); they follow the protocol above, and the values
// that cross threads are `Send`.
unsafe impl<T: Send, const N: usize> Sync for Spsc<T, N> {}

impl<T, const N: usize> Spsc<T, N> {
    const_fn! {
        /// An empty ring.
        pub fn new() -> Self {
            const { assert!(N > 0 && N <= super::error::CAPACITY_MAX, "capacity out of range") };
            Self { core: Core::new(0), slots: empty_cells!(Slot::new) }
        }
    }

    /// The two handles, for as long as the ring is borrowed. Values of an earlier split are still
    /// there.
    pub fn split(&mut self) -> (Producer<'_, T>, Consumer<'_, T>) {
        // ORDERING: Relaxed; the ring is borrowed mutably, so that no handle is in use any more,
        // and the borrow's end came to this thread with all that was done under it.
        self.core
            .sides
            .store(PRODUCER | CONSUMER, Ordering::Relaxed);
        self.handles()
    }

    /// The two handles of a shared ring, a `static` above all; `None` while a handle is about.
    /// When both have been dropped, it can be split again.
    ///
    /// # Progress
    /// Wait-free: one compare-exchange.
    pub fn try_split(&self) -> Option<(Producer<'_, T>, Consumer<'_, T>)> {
        // ORDERING: Acquire; [side-gone] what the last pair did is visible to this one. Pairs with
        // `Core::leave`. The store publishes nothing.
        self.core
            .sides
            .compare_exchange(0, PRODUCER | CONSUMER, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        Some(self.handles())
    }

    /// How many values the ring can hold.
    pub const fn capacity(&self) -> usize {
        N
    }

    fn handles(&self) -> (Producer<'_, T>, Consumer<'_, T>) {
        let core = NonNull::from(&self.core);
        let slots = NonNull::from(&self.slots).cast::<Slot<T>>();
        // SAFETY: both live as long as the borrow; the callers made sure that there is no other
        // handle and that the last one's work is visible.
        unsafe {
            (
                Producer {
                    side: Side::new(core, slots, N, PRODUCER, None),
                },
                Consumer {
                    side: Side::new(core, slots, N, CONSUMER, None),
                },
            )
        }
    }
}

impl<T, const N: usize> Default for Spsc<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> Drop for Spsc<T, N> {
    fn drop(&mut self) {
        // SAFETY: dropped, so no handle is in use.
        unsafe { drop_rest(&self.core, &self.slots) };
    }
}

impl<T, const N: usize> ::core::fmt::Debug for Spsc<T, N> {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        write!(f, "Spsc(capacity {N})")
    }
}

/// Drops what is left between `head` and `tail`.
///
/// # Safety
/// No handle is in use, what they did is visible, and the ring is not used again.
unsafe fn drop_rest<T>(core: &Core, slots: &[Slot<T>]) {
    if !::core::mem::needs_drop::<T>() {
        return;
    }
    let lap = Lap::new(slots.len());
    // ORDERING: Relaxed; nobody else is there.
    let tail = core.tail.load(Ordering::Relaxed);
    let mut head = core.head.load(Ordering::Relaxed);
    while head != tail {
        // SAFETY: filled, as every slot from `head` to `tail`, and dropped once.
        unsafe { ptr::drop_in_place(slots[lap.index(head)].as_ptr()) };
        head = lap.next(head);
    }
}
