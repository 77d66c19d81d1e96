//! A producer's outbox: what it is about to send, where its successor finds it.
//!
//! Between a send and the journal's line on it lies a moment in which a death leaves nobody who
//! knows whether the messages were accepted. So a producer of a FIFO queue writes them down first,
//! bytes and all; whoever takes its place sends them again, under the same deduplication ids, and
//! the queue accepts each once. The outbox is memory under a descriptor that children inherit.
//!
//! ```text
//!   { len: u64, hash: u64 } of the rest, the bodies, which have no newlines, with newlines between
//! ```

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};

use super::reading::fingerprint;

const HEAD_BYTES: usize = 16;

/// Where one producer after the other keeps its latest batch.
#[derive(Debug)]
pub(super) struct Outbox(File);

impl Outbox {
    /// An empty one, which children inherit.
    pub(super) fn create() -> io::Result<Self> {
        let memory = memfd_create("ringmain-demo-outbox", MemfdFlags::empty())?;
        Ok(Self(memory.into()))
    }

    /// Under which path a child opens it.
    pub(super) fn path_for_children(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// Opens the one that was inherited.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        File::options().read(true).write(true).open(path).map(Self)
    }

    /// Replaces what is in it.
    pub(super) fn put(&self, bodies: &[Vec<u8>]) -> io::Result<()> {
        let rest = bodies.join(&b'\n');
        let mut bytes = Vec::with_capacity(HEAD_BYTES + rest.len());
        bytes.extend((rest.len() as u64).to_le_bytes());
        bytes.extend(fingerprint(&rest).to_le_bytes());
        bytes.extend(rest);
        self.0.write_all_at(&bytes, 0)
    }

    /// What is in it. Nothing, if its producer died while it wrote: then it had not begun to send
    /// these, and was done with those before.
    pub(super) fn bodies(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut bytes = vec![0; usize::try_from(self.0.metadata()?.len()).unwrap_or(0)];
        self.0.read_exact_at(&mut bytes, 0)?;
        let ([len, hash], rest) = match bytes.split_first_chunk::<HEAD_BYTES>() {
            Some((head, rest)) => (words(head), rest),
            None => return Ok(Vec::new()),
        };
        let rest = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        Ok(match rest {
            Some(rest) if !rest.is_empty() && fingerprint(rest) == hash => rest
                .split(|&byte| byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect(),
            _ => Vec::new(),
        })
    }
}

fn words(head: &[u8; HEAD_BYTES]) -> [u64; 2] {
    let word = |at: usize| {
        head[at..]
            .first_chunk()
            .map_or(0, |w| u64::from_le_bytes(*w))
    };
    [word(0), word(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_batch_is_in_it_or_nothing() -> io::Result<()> {
        let outbox = Outbox::create()?;
        let heir = Outbox::open(&outbox.path_for_children())?;
        assert!(heir.bodies()?.is_empty());
        let batches = [vec![b"one".to_vec(), b"two".to_vec()], vec![b"3".to_vec()]];
        for batch in &batches {
            outbox.put(batch)?;
            assert_eq!(&heir.bodies()?, batch);
        }
        outbox.0.write_all_at(b"x", HEAD_BYTES as u64)?;
        assert!(heir.bodies()?.is_empty());
        Ok(())
    }
}
