//! Frames that have been on the disk and are there no more.
//!
//! Each frame begins where the one before it ends, or at the ring's start after an end that was
//! skipped, which is shorter than the longest frame. One that was given up has been written over
//! by the next. So a position without a frame, with whole frames behind it, has lost what was
//! there. What cannot be told is a loss at the very end, which looks like a write that was on its
//! way, and one in the place of a skipped end.

use super::file::Sizes;
use super::recover::Found;

/// In how many places frames are missing, of those that would count. The newest frame is first;
/// `end` is where it ends.
pub fn gaps(frames: &[Found], sizes: &Sizes, end: u64) -> u64 {
    let longest = sizes.frame_max as u64;
    let oldest = end.saturating_sub(sizes.window());
    let before = frames.iter().skip(1).map(Found::end).chain([0]);
    let is_gap = |(newer, end): (&Found, u64)| {
        // The first frame that counts may follow one whose start was overwritten.
        let mut excused = if end < oldest { longest } else { 0 };
        if newer.position.is_multiple_of(sizes.ring) {
            excused += longest;
        }
        newer.position > end.max(oldest).saturating_add(excused)
    };
    frames
        .iter()
        .zip(before)
        .filter(|&pair| is_gap(pair))
        .count() as u64
}
