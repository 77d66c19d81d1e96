//! A disk that loses power: what is on it for sure, and what may be.
//!
//! A write is on its way until a sync has succeeded. If the power goes before, each of its sectors
//! of 512 bytes may be there or not, whatever became of the others; the sector that was being
//! written may be torn, or hold anything. A sync that fails settles nothing, and the kernel forgets
//! what it could not write: those sectors may be missing for good, until they are written again and
//! a sync succeeds.

use crate::common::Numbers;
use std::collections::BTreeMap;

pub const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// A sector as some write left it.
struct Version {
    bytes: [u8; SECTOR],
    /// A sync has failed since.
    doubtful: bool,
}

/// The file that the journal is in.
pub struct Disk {
    /// As of the last sync.
    sure: Vec<u8>,
    /// As the kernel has it.
    cached: Vec<u8>,
    /// Sectors that were written since, oldest version first.
    maybe: BTreeMap<usize, Vec<Version>>,
}

/// What may happen to the sector that is being written when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tear {
    /// Old or new as a whole.
    Whole,
    /// New up to some word, old from there on.
    Torn,
    /// Anything.
    Garbage,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            cached: bytes.clone(),
            sure: bytes,
            maybe: BTreeMap::new(),
        }
    }

    /// What a process reads from the file.
    pub fn cached(&self) -> &[u8] {
        &self.cached
    }

    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.cached[offset..offset + bytes.len()].copy_from_slice(bytes);
        for sector in offset / SECTOR..(offset + bytes.len()).div_ceil(SECTOR) {
            let now = &self.cached[sector * SECTOR..(sector + 1) * SECTOR];
            self.maybe.entry(sector).or_default().push(Version {
                bytes: now.try_into().expect("a sector"),
                doubtful: false,
            });
        }
    }

    /// A sync succeeded.
    pub fn synced(&mut self) {
        let sure = &mut self.sure;
        self.maybe.retain(|sector, versions| {
            match versions.last() {
                Some(last) if !last.doubtful => {
                    sure[sector * SECTOR..(sector + 1) * SECTOR].copy_from_slice(&last.bytes);
                    false
                }
                _ => true, // written before a sync that failed, and not again
            }
        });
    }

    /// A sync failed.
    pub fn failed(&mut self) {
        let versions = self.maybe.values_mut().flatten();
        versions.for_each(|version| version.doubtful = true);
    }

    /// What may be on the disk when the power goes now.
    pub fn image(&self, numbers: &mut Numbers, tear: Tear) -> Vec<u8> {
        let mut image = self.sure.clone();
        // Some images lack nearly all that was on its way, some nearly nothing.
        let percent = [0, 3, 50, 50, 97, 100][numbers.below(6) as usize];
        for (&sector, versions) in &self.maybe {
            if numbers.below(100) >= percent {
                continue;
            }
            let last = numbers.below(4) != 0;
            let chosen = match versions.len() {
                1 => 0,
                len if last => len - 1,
                len => numbers.below(len as u64) as usize,
            };
            let version = &versions[chosen];
            let target = &mut image[sector * SECTOR..(sector + 1) * SECTOR];
            let torn = tear != Tear::Whole && !version.doubtful && numbers.below(6) == 0;
            if !torn {
                target.copy_from_slice(&version.bytes);
            } else if tear == Tear::Torn {
                let whole = 8 * numbers.below(SECTOR as u64 / 8) as usize;
                target[..whole].copy_from_slice(&version.bytes[..whole]);
            } else {
                for word in target.chunks_exact_mut(8) {
                    word.copy_from_slice(&numbers.next().to_le_bytes());
                }
            }
        }
        image
    }
}

/// A region whose pages (or sectors) reached the disk at different times: each is as it was in one
/// of the copies.
pub fn mixed(copies: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let mut region = copies[0].clone();
    let grain = [PAGE, SECTOR][numbers.below(2) as usize];
    let len = region.len();
    for at in (0..len).step_by(grain) {
        let end = (at + grain).min(len);
        let copy = &copies[numbers.below(copies.len() as u64) as usize];
        region[at..end].copy_from_slice(&copy[at..end]);
    }
    region
}

/// Where the boot id is in a region.
const BOOT: std::ops::Range<usize> = 48..64;

/// The machine has started again: the region's boot id is another's.
pub fn restart(region: &mut [u8], numbers: &mut Numbers) {
    for word in region[BOOT].chunks_exact_mut(8) {
        word.copy_from_slice(&(numbers.next() | 1).to_le_bytes());
    }
}
