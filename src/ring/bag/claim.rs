//! A slot filled in place before the poppers see it.

use core::mem::ManuallyDrop;
#[cfg(not(ringmain_loom))]
use core::mem::MaybeUninit;

use super::raw::Taken;

/// One claimed slot of a bag; dropping it gives the slot back.
#[must_use = "a claim that is not committed shows nothing"]
pub struct Claim<'a, T> {
    taken: Taken<'a, T>,
}

// SAFETY: the claimed slot is nobody else's; the value that goes into it is `Send`.
unsafe impl<T: Send> Send for Claim<'_, T> {}

impl<'a, T> Claim<'a, T> {
    /// `taken` is one slot, claimed and free.
    #[inline(always)]
    pub(super) fn new(taken: Taken<'a, T>) -> Self {
        Self { taken }
    }

    /// Fills the slot and shows it to the poppers.
    ///
    /// # Progress
    /// Wait-free where the processor has an atomic or, else lock-free.
    #[inline]
    pub fn commit(self, value: T) {
        let claim = ManuallyDrop::new(self);
        // SAFETY: claimed, free, and consumed here.
        unsafe { claim.taken.slot().write(value) };
        claim.taken.publish();
    }

    /// The slot, to be written in place before [`commit_filled`](Self::commit_filled).
    #[cfg(not(ringmain_loom))]
    #[inline]
    pub fn as_uninit(&mut self) -> &mut MaybeUninit<T> {
        // SAFETY: claimed, so nobody else touches it; `MaybeUninit` asks for no value.
        unsafe { &mut *self.taken.slot().as_ptr().cast() }
    }

    /// Shows the slot to the poppers.
    ///
    /// # Safety
    /// A value was written through [`as_uninit`](Self::as_uninit).
    #[cfg(not(ringmain_loom))]
    #[inline]
    pub unsafe fn commit_filled(self) {
        ManuallyDrop::new(self).taken.publish();
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        self.taken.give_back();
    }
}
