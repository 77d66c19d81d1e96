//! The mirror's file: how it is made, found and checked.

use super::commit::Frame;
use super::layout::{BLOCK_BYTES, MirrorHead, Sizes, is_of, shape_words};
use super::{Ground, Mirror, ledger};
use crate::error::Error;
use crate::region::layout::DURABILITY_PROCESS;
use crate::region::mapped::companion::{self, Label};
use crate::region::mapped::os;
use crate::region::stream::{FLAG_POSITIONS, StreamPlace, StreamSettings, StreamShape};
use crate::ring::log::Shape;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the mirror beside region `nonce` has kept of the stream's configuration, if it is whole.
pub fn kept(region: &Path, nonce: u64) -> Option<StreamSettings> {
    let head: MirrorHead = companion::head_beside(region, nonce)?;
    let number = |n: usize| usize::try_from(head.shape[n]).ok();
    let granules = |n: usize| u32::try_from(head.shape[n]).ok();
    let shape = StreamShape {
        shards: number(0)?,
        places: number(1)?,
        ring: Shape {
            segment: granules(2)?,
            granules: granules(3)?,
        },
        pins: number(4)?,
        data_bytes_max: number(5)?,
        consumers: number(6)?,
        positions: head.flags & FLAG_POSITIONS != 0,
        kept: true,
    };
    let settings = StreamSettings {
        shape,
        flags: head.flags,
        retention_ms: head.retention_ms,
        durability: head.durability,
        nonce: head.label.section,
    };
    (head.durability != DURABILITY_PROCESS).then_some(settings)
}

impl Mirror {
    /// Makes the mirror of an empty stream beside `region`.
    pub fn create(
        region: &Path,
        nonces: [u64; 2],
        place: &StreamPlace,
        ground: &Ground<'_>,
    ) -> Result<Self, Error> {
        let sizes = Sizes::of(&place.shape).ok_or(Error::RegionTooLarge {
            len: u64::MAX,
            max: i64::MAX as u64,
        })?;
        let head = MirrorHead {
            label: Label::new::<MirrorHead>(nonces),
            shape: shape_words(&place.shape),
            flags: place.flags,
            retention_ms: place.retention_ms,
            durability: place.durability,
            seed: os::random(),
            check: 0,
        };
        let mut first = Vec::new();
        ledger::fill(&mut first, &sizes, ground, [1, 0], head.seed)?;
        let (unnamed, path) = companion::make(region, &head, sizes.file, |file| {
            file.write_all_at(&first, sizes.ledger_at(1))
        })?;
        ledger::publish(&first, &sizes, ground);
        unnamed.name(&path)?;
        Self::open(region, nonces, place)
    }

    /// Opens the mirror of a region.
    pub fn open(region: &Path, nonces: [u64; 2], place: &StreamPlace) -> Result<Self, Error> {
        let (file, head) = companion::find::<MirrorHead>(region, nonces)?;
        let sizes = Sizes::of(&place.shape).filter(|_| is_of(&head, place));
        let sizes = sizes.ok_or(Error::Mirror {
            problem: "is damaged: it is not made as the stream is",
        })?;
        let frame = Frame::new(&place.shape, &sizes);
        Self::of(file, sizes.file, sizes, head.seed, frame)
    }
}

const _: () = assert!(BLOCK_BYTES == 4096);
