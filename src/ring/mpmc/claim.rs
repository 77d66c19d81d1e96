//! A slot filled in place before the readers see it.

use core::mem::ManuallyDrop;
#[cfg(not(ringmain_loom))]
use core::mem::MaybeUninit;

use super::raw::Raw;

/// One claimed slot of an MPMC ring.
#[must_use = "a claim that is not committed leaves a hole"]
pub struct Claim<'a, T> {
    raw: Raw<'a, T>,
    position: usize,
}

// SAFETY: the claimed slot is nobody else's; the value that goes into it is `Send`.
unsafe impl<T: Send> Send for Claim<'_, T> {}

impl<'a, T> Claim<'a, T> {
    /// `position` was claimed at the tail.
    #[inline(always)]
    pub(super) fn new(raw: Raw<'a, T>, position: usize) -> Self {
        Self { raw, position }
    }

    /// Fills the slot and shows it to the readers.
    ///
    /// # Progress
    /// Wait-free.
    #[inline]
    pub fn commit(self, value: T) {
        let claim = ManuallyDrop::new(self);
        // SAFETY: claimed, empty, and consumed here.
        unsafe { claim.raw.slot(claim.position).write(value) };
        claim.raw.publish(claim.position);
    }

    /// The slot, to be written in place before [`commit_filled`](Self::commit_filled).
    #[cfg(not(ringmain_loom))]
    #[inline]
    pub fn as_uninit(&mut self) -> &mut MaybeUninit<T> {
        // SAFETY: claimed, so nobody else touches it; `MaybeUninit` asks for no value.
        unsafe { &mut *self.raw.slot(self.position).as_ptr().cast() }
    }

    /// Shows the slot to the readers.
    ///
    /// # Safety
    /// A value was written through [`as_uninit`](Self::as_uninit).
    #[cfg(not(ringmain_loom))]
    #[inline]
    pub unsafe fn commit_filled(self) {
        let claim = ManuallyDrop::new(self);
        claim.raw.publish(claim.position);
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        self.raw.publish_hole(self.position);
    }
}
