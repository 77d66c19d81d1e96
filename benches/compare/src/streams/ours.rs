//! Our stream: one shard in a mapped file, checksums on, the oldest segment given up for the new.

use std::{array, path::Path};

use ringmain::{FullPolicy, Mapped, ShardId, Start, Stream, StreamEntry, StreamOptions};

use super::{
    log,
    record::{BATCH_MAX, KEY, Seen},
};
use crate::sample::Failure;

/// Bytes of the region.
const REGION: u64 = 32 << 20;
/// Records of a read.
const READ: usize = 1000;

/// A stream and where its next read begins.
pub struct Log(Stream<Mapped>);

impl Log {
    /// A new stream in `folder`.
    pub fn new(folder: &Path) -> Result<Self, Failure> {
        let region = Mapped::create(folder.join("records.stream"), REGION)?;
        let options = StreamOptions::new().full(FullPolicy::Evict).checksum(true);
        Ok(Self(Stream::create(region, options)?))
    }

    /// Puts `N` records by one call.
    #[inline(always)]
    fn put<const N: usize>(&self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        let entries: [StreamEntry<'_>; N] =
            array::from_fn(|place| StreamEntry::new(KEY, &bytes[place * size..][..size]));
        let mut refused = None;
        self.0.put_batch(&entries, |_, outcome| {
            if let Err(error) = outcome {
                refused = Some(error);
            }
        })?;
        refused.map_or(Ok(()), |error| Err(error.into()))
    }
}

impl log::Log for Log {
    fn append(&mut self, bytes: &[u8], size: usize) -> Result<(), Failure> {
        match bytes.len() / size {
            1 => {
                self.0.put(KEY, bytes)?;
                Ok(())
            }
            10 => self.put::<10>(bytes, size),
            BATCH_MAX => self.put::<BATCH_MAX>(bytes, size),
            other => Err(format!("a batch of {other}").into()),
        }
    }

    fn replay(&mut self, seen: &mut Seen) -> Result<(), Failure> {
        let mut cursor = self.0.cursor(ShardId::from_number(0), Start::Oldest)?;
        loop {
            let records = cursor.read(READ)?;
            if records.is_empty() {
                return Ok(());
            }
            for record in &records {
                seen.add(record.data());
            }
        }
    }
}
