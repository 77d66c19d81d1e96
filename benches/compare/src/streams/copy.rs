//! The limit: the same bytes copied into a mapped ring, and nothing else.

use std::{fs::File, path::Path};

use memmap2::MmapMut;

use super::{log::Log, record::Seen};
use crate::sample::Failure;

/// Bytes of the ring, as ours.
const LEN: usize = 32 << 20;
/// Records begin at multiples of this, as ours do.
const GRANULE: usize = 64;

/// Records of one size in a file that is mapped.
pub struct Ring {
    map: MmapMut,
    size: usize,
    appended: usize,
    at: usize,
}

impl Ring {
    /// A new file in `folder`, each of whose pages has been written.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.join("records"))?;
        file.set_len(LEN as u64)?;
        // SAFETY: nobody else writes this file, and nobody shortens it.
        let mut map = unsafe { MmapMut::map_mut(&file)? };
        map.fill(1);
        Ok(Self {
            map,
            size: 0,
            appended: 0,
            at: 0,
        })
    }
}

impl Log for Ring {
    fn append(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        if size != self.size {
            (self.size, self.appended, self.at) = (size, 0, 0);
        }
        let stride = size.next_multiple_of(GRANULE);
        for record in bytes.chunks_exact(size) {
            self.map[self.at..self.at + size].copy_from_slice(record);
            self.at += stride;
            if self.at + stride > LEN {
                self.at = 0;
            }
        }
        self.appended += bytes.len() / size;
        Ok(())
    }

    fn replay(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let stride = self.size.next_multiple_of(GRANULE);
        let slots = LEN / stride;
        let oldest = self.appended.saturating_sub(slots) % slots * stride;
        let mut at = oldest;
        for _ in 0..self.appended.min(slots) {
            seen.add(&self.map[at..at + self.size]);
            at += stride;
            if at + stride > LEN {
                at = 0;
            }
        }
        Ok(())
    }
}
