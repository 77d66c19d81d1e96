//! What several test binaries share: places for files, bodies that can be checked, and children.
#![allow(dead_code)] // each test binary uses a part of it

pub mod child;
pub mod cycle;
pub mod executor;
pub mod filter;
#[cfg(feature = "stream")]
pub mod log;
#[cfg(feature = "mapped")]
pub mod machine;
pub mod watched;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A number that the environment sets, for runs longer or shorter than `default`.
pub fn number_of(variable: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(variable) else {
        return default;
    };
    let number = text.parse();
    number.unwrap_or_else(|error| panic!("{variable}={text}: {error}"))
}

/// A clock on which a minute is over in two milliseconds: for purges, which read the time for
/// nothing but the minute between two of them. It begins anew once in 73 minutes, which is a step
/// back.
#[derive(Debug, Clone, Copy)]
pub struct Minutes;

impl ringmain::Clock for Minutes {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = since.expect("after 1970").as_nanos();
        (nanos % (1 << 42)) as u64 / 32
    }
}

/// Bytes of a slot that are not body.
pub const SLOT_HEAD_BYTES: usize = 16;

/// A directory of its own that goes with this value.
pub struct Dir(PathBuf);

impl Dir {
    /// One in the directory for temporary files.
    pub fn new(name: &str) -> Self {
        Self::under(&std::env::temp_dir(), name)
    }

    /// One in shared memory.
    pub fn shm(name: &str) -> Self {
        Self::under(Path::new("/dev/shm"), name)
    }

    /// One in `parent`.
    pub fn under(parent: &Path, name: &str) -> Self {
        let nanos = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos());
        let dir = parent.join(format!("ringmain-{name}-{}-{nanos}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory for temporary files");
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("the directory is there");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Numbers that look random and are the same in each run (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A body of `len` bytes that names `seed` as far as it has room; no two seeds look alike.
pub fn body(seed: u64, len: usize) -> Vec<u8> {
    let mut body = vec![0; len];
    fill(seed, &mut body);
    body
}

/// Writes what [`body`] makes.
pub fn fill(seed: u64, body: &mut [u8]) {
    let mut numbers = Numbers(seed);
    let mut chunks = body.chunks_mut(8);
    if let Some(first) = chunks.next() {
        first.copy_from_slice(&seed.to_le_bytes()[..first.len()]);
    }
    for chunk in chunks {
        chunk.copy_from_slice(&numbers.next().to_le_bytes()[..chunk.len()]);
    }
}

/// The seed of a body of 8 bytes or more, if all its bytes are those of that seed.
pub fn seed_of(bytes: &[u8]) -> Option<u64> {
    let seed = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    (body(seed, bytes.len()) == bytes).then_some(seed)
}
