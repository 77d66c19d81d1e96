//! The header of a mapped region, and how it is checked. `docs/file-format.md` draws it.

use crate::error::Error;
use crate::pod::{Pod, Zeroable, bytes_of};
use crate::sync::AtomicU64;

/// "RINGMAIN" in the file's first eight bytes.
pub const MAGIC: u64 = u64::from_le_bytes(*b"RINGMAIN");
/// The format that this library writes and reads.
pub const VERSION: u32 = 5;
/// Where the registry of attachments begins.
pub const REGISTRY_OFFSET: u64 = 4096;
/// Entries of the registry; entry 0 is not used.
pub const ENTRIES: usize = 1024;
/// Where the first section begins.
pub const SECTIONS_OFFSET: u64 = REGISTRY_OFFSET + (ENTRIES * size_of::<Entry>()) as u64;
/// The least size of a region, bytes.
pub const REGION_BYTES_MIN: u64 = SECTIONS_OFFSET + 4096;
/// The greatest size of a region, bytes.
pub const REGION_BYTES_MAX: u64 = 1 << 46;
/// Section kind: nothing.
pub const KIND_VACANT: u64 = 0;

/// The part that is written once, before the file has a name.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Birth {
    /// [`MAGIC`].
    pub magic: u64,
    /// [`VERSION`].
    pub version: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes of the file.
    pub len: u64,
    /// Random name of the region.
    pub nonce: u64,
    /// Wall-clock time of creation, ms since 1970.
    pub created_ms: u64,
    /// xxh3-64 of the fields above.
    pub check: u64,
}

/// One section of a region.
#[derive(Debug)]
#[repr(C)]
pub struct Section {
    /// What it holds; written last.
    pub kind: AtomicU64,
    /// 1: its memory has been written to, so it is no longer all zero.
    pub dirty: AtomicU64,
}

/// The whole header page.
#[derive(Debug)]
#[repr(C)]
pub struct Header {
    /// Written once.
    pub birth: [AtomicU64; 6],
    /// Which boot `time_base_ms` belongs to.
    pub boot: [AtomicU64; 2],
    /// Added to the machine's clock to give the region's time.
    pub time_base_ms: AtomicU64,
    /// The greatest registry index that was ever attached.
    pub entries_high: AtomicU64,
    /// xxh3-64 of `boot` and `time_base_ms`.
    pub time_check: AtomicU64,
    /// Zero.
    pub reserved: [AtomicU64; 5],
    /// The sections; one in this format.
    pub section: Section,
}

/// One attachment.
#[derive(Debug)]
#[repr(C)]
pub struct Entry {
    /// `{ epoch:63, attached:1 }`
    pub state: AtomicU64,
    /// The process, for people to read; never asked about.
    pub pid: AtomicU64,
}

const _: () = {
    assert!(size_of::<Birth>() == 48 && size_of::<Entry>() == 16);
    assert!(core::mem::offset_of!(Header, boot) == 48);
    assert!(core::mem::offset_of!(Header, section) == 128);
    assert!(size_of::<Header>() == 144);
};

impl Header {
    /// What [`time_check`](Self::time_check) has to be with this base and this boot.
    pub fn time_checksum(boot: [u64; 2], time_base_ms: u64) -> u64 {
        crate::hash::xxh3_64(bytes_of(&[boot[0], boot[1], time_base_ms]))
    }
}

impl Birth {
    /// The header of a new region.
    pub fn new(len: u64, nonce: u64, created_ms: u64) -> Self {
        let birth = Self {
            magic: MAGIC,
            version: VERSION,
            reserved: 0,
            len,
            nonce,
            created_ms,
            check: 0,
        };
        Self {
            check: birth.checksum(),
            ..birth
        }
    }

    fn checksum(&self) -> u64 {
        crate::hash::xxh3_64(&bytes_of(self)[..40])
    }

    /// Checks what a file's first bytes say, given the file's size.
    pub fn verify(&self, file_len: u64) -> Result<(), Error> {
        if self.magic != MAGIC {
            return Err(Error::NotARegion);
        }
        if self.version != VERSION {
            return Err(Error::Version {
                found: self.version,
                supported: VERSION,
            });
        }
        if self.check != self.checksum() || self.reserved != 0 {
            return Err(Error::Damaged {
                field: "header checksum",
            });
        }
        if self.len < REGION_BYTES_MIN || self.len > REGION_BYTES_MAX {
            return Err(Error::Damaged {
                field: "region length",
            });
        }
        if file_len < self.len {
            return Err(Error::Truncated {
                found: file_len,
                expected: self.len,
            });
        }
        Ok(())
    }
}
