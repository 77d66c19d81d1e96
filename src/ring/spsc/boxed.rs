//! The ring on the heap, freed with its second handle.

use alloc::boxed::Box;
use core::ptr::NonNull;

use super::core::{CONSUMER, Core, PRODUCER};
use super::side::Side;
use super::{Consumer, Producer, drop_rest};
use crate::ring::error::CapacityError;
use crate::ring::slot::{Slot, boxed};

/// The shared words first, so that a pointer to them is one to the whole.
#[repr(C)]
struct Heap<T> {
    core: Core,
    slots: Box<[Slot<T>]>,
}

/// A ring of `capacity` values on the heap; it goes when both handles have gone.
///
/// # Errors
/// [`CapacityError`] for a capacity of zero, for one that no ring can number, and when the
/// allocator refuses.
///
/// # Examples
/// ```
/// let (mut producer, mut consumer) = ringmain::ring::spsc::<String>(100)?;
/// let sender = std::thread::spawn(move || producer.push("hello".into()));
/// sender.join().ok();
/// assert_eq!(consumer.pop().as_deref(), Some("hello"));
/// assert!(consumer.is_closed());
/// # Ok::<(), ringmain::ring::CapacityError>(())
/// ```
pub fn spsc<T>(
    capacity: usize,
) -> Result<(Producer<'static, T>, Consumer<'static, T>), CapacityError> {
    CapacityError::check(capacity)?;
    let slots = boxed(capacity, Slot::new).ok_or(CapacityError::NoMemory { capacity })?;
    let heap = NonNull::from(Box::leak(Box::new(Heap::<T> {
        core: Core::new(PRODUCER | CONSUMER),
        slots,
    })));
    // SAFETY: just leaked, and nobody else has it yet.
    let slots = NonNull::from(unsafe { &*heap.as_ref().slots }).cast::<Slot<T>>();
    let core = heap.cast::<Core>();
    // SAFETY: the ring lives until the second handle's drop calls `free`; it is new, so there are
    // no other handles.
    unsafe {
        Ok((
            Producer {
                side: Side::new(core, slots, capacity, PRODUCER, Some(free::<T>)),
            },
            Consumer {
                side: Side::new(core, slots, capacity, CONSUMER, Some(free::<T>)),
            },
        ))
    }
}

/// Drops what is left and frees the ring.
///
/// # Safety
/// `core` came from [`spsc`] with the same `T`, and both handles have gone.
unsafe fn free<T>(core: NonNull<Core>) {
    // SAFETY: leaked from a box of this type in `spsc`, and given back once.
    let heap = unsafe { Box::from_raw(core.cast::<Heap<T>>().as_ptr()) };
    // SAFETY: the handles have gone, and `Core::leave` made their work visible.
    unsafe { drop_rest(&heap.core, &heap.slots) };
}
