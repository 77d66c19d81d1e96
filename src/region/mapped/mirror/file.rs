//! The mirror's file: how it is made, found and checked.

use super::commit::Frame;
use super::layout::{BLOCK_BYTES, CHECKED_BYTES, MAGIC, MirrorHead, Sizes, VERSION, shape_words};
use super::{Ground, Mirror, ledger};
use crate::error::Error;
use crate::pod::{bytes_of, pod_read_unaligned};
use crate::region::layout::DURABILITY_PROCESS;
use crate::region::mapped::os;
use crate::region::stream::{FLAG_POSITIONS, StreamPlace, StreamSettings, StreamShape};
use crate::ring::log::Shape;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The mirror's path.
fn path_of(region: &Path) -> Result<PathBuf, Error> {
    os::beside(region, ".mirror")
}

fn read_head(file: &File) -> Result<MirrorHead, Error> {
    let damaged = Error::Mirror {
        problem: "is damaged: its first page",
    };
    let mut bytes = [0; size_of::<MirrorHead>()];
    file.read_exact_at(&mut bytes, 0)
        .map_err(|_| damaged.clone())?;
    let head: MirrorHead = pod_read_unaligned(&bytes);
    if head.magic != MAGIC {
        return Err(damaged);
    }
    if head.version != VERSION {
        return Err(Error::Version {
            found: head.version,
            supported: VERSION,
        });
    }
    if head.reserved != 0 || head.check != crate::hash::xxh3_64(&bytes[..CHECKED_BYTES]) {
        return Err(damaged);
    }
    Ok(head)
}

/// What the mirror beside region `nonce` has kept of the stream's configuration, if it is whole.
pub fn kept(region: &Path, nonce: u64) -> Option<StreamSettings> {
    let file = File::open(path_of(region).ok()?).ok()?;
    let head = read_head(&file).ok()?;
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
        nonce: head.stream,
    };
    (head.region == nonce && head.durability != DURABILITY_PROCESS).then_some(settings)
}

/// Removes the mirror that a creator of region `nonce` left when it died before the stream was
/// there. The set-up lock is the caller's, and the region is vacant.
///
/// # Errors
///
/// [`Error::Mirror`] if the file is another region's mirror, or none: it is not ours to remove.
pub fn remove_stale(region: &Path, nonce: u64) -> Result<(), Error> {
    let path = path_of(region)?;
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(os::error("opening the mirror", &e)),
    };
    match read_head(&file) {
        Ok(head) if head.region == nonce => {
            std::fs::remove_file(&path).map_err(|e| os::error("removing a stale mirror", &e))
        }
        _ => Err(Error::Mirror {
            problem: "cannot be made: a file of its name (region.mirror) is another one's",
        }),
    }
}

impl Mirror {
    /// Makes the mirror of an empty stream beside `region`: all of its space is there and
    /// initialised when it gets its name, so that a commit changes no metadata.
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
        let mut head = MirrorHead {
            magic: MAGIC,
            version: VERSION,
            reserved: 0,
            region: nonces[0],
            stream: nonces[1],
            shape: shape_words(&place.shape),
            flags: place.flags,
            retention_ms: place.retention_ms,
            durability: place.durability,
            seed: os::random(),
            check: 0,
        };
        head.check = crate::hash::xxh3_64(&bytes_of(&head)[..CHECKED_BYTES]);
        let mut first = Vec::new();
        ledger::fill(&mut first, &sizes, ground, [1, 0], head.seed)?;
        let path = path_of(region)?;
        let unnamed = os::Unnamed::new(&path)?;
        let file = &unnamed.file;
        os::reserve(file, sizes.file)?;
        os::initialise(file, sizes.file)
            .and_then(|()| file.write_all_at(bytes_of(&head), 0))
            .and_then(|()| file.write_all_at(&first, sizes.ledger_at(1)))
            .and_then(|()| file.sync_all())
            .map_err(|e| os::error("writing the mirror", &e))?;
        ledger::publish(&first, &sizes, ground);
        unnamed.name(&path)?;
        Self::open(region, nonces, place)
    }

    /// Opens the mirror of a region.
    pub fn open(region: &Path, nonces: [u64; 2], place: &StreamPlace) -> Result<Self, Error> {
        let problem = |problem| Error::Mirror { problem };
        let path = path_of(region)?;
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => problem("is missing (region.mirror)"),
                _ => os::error("opening the mirror", &e),
            })?;
        let head = read_head(&file)?;
        if [head.region, head.stream] != nonces {
            return Err(problem("belongs to another region"));
        }
        let sizes = Sizes::of(&place.shape).filter(|_| super::layout::is_of(&head, place));
        let sizes = sizes.ok_or(problem("is damaged: it is not made as the stream is"))?;
        let found = file
            .metadata()
            .map_err(|e| os::error("reading the mirror's size", &e))?
            .len();
        if found < sizes.file {
            return Err(Error::Truncated {
                found,
                expected: sizes.file,
            });
        }
        Ok(Self {
            file,
            sizes,
            seed: head.seed,
            writing: Mutex::new(Frame::new(&place.shape, &sizes)),
        })
    }
}

const _: () = assert!(BLOCK_BYTES == 4096);
