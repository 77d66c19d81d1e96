//! A value on cache lines of its own.

/// Keeps `T` on lines that nothing else shares, so that writers of neighbours do not disturb it.
///
/// 128 bytes under an operating system (adjacent-line prefetch, 128-byte lines), so that a mapped
/// layout is the same on each; nothing on bare metal, where padding would only cost memory.
#[cfg_attr(not(target_os = "none"), repr(C, align(128)))]
#[cfg_attr(target_os = "none", repr(C))]
#[derive(Debug, Default)]
pub struct Padded<T>(pub T);

impl<T> core::ops::Deref for Padded<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> core::ops::DerefMut for Padded<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
