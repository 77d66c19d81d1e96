//! Where a dead letter came from: what stands behind its attributes.
//!
//! `{ place: u64, stamp: u64, name, name_len: u8 }`, little-endian, read from its end.

use core::str;

/// Bytes beside the name.
const FIXED_BYTES: usize = 17;
/// The longest name of a queue, bytes.
pub const QUEUE_NAME_MAX: usize = 80;

/// The first id of a message, and the queue that it was moved from last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Both words of the id.
    pub id: [u64; 2],
    /// The queue's name; empty if it has none.
    pub source: &'a str,
}

impl<'a> Origin<'a> {
    /// Bytes that it takes.
    pub fn len(&self) -> usize {
        FIXED_BYTES + self.name().len()
    }

    /// The name, as much of it as is kept. Names of queues are ASCII.
    fn name(&self) -> &'a [u8] {
        let name = self.source.as_bytes();
        &name[..name.len().min(QUEUE_NAME_MAX)]
    }

    /// Writes it to the end of `bytes`, which must have room for it.
    pub fn write(&self, bytes: &mut [u8]) {
        let at = bytes.len() - self.len();
        let (id, rest) = bytes[at..].split_at_mut(16);
        id[..8].copy_from_slice(&self.id[0].to_le_bytes());
        id[8..].copy_from_slice(&self.id[1].to_le_bytes());
        if let Some((len, name)) = rest.split_last_mut() {
            name.copy_from_slice(self.name());
            *len = name.len() as u8; // at most 80
        }
    }

    /// Reads the one at the end of `bytes`; `None` if there cannot be one.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&len, rest) = bytes.split_last()?;
        let len = usize::from(len);
        if len > QUEUE_NAME_MAX {
            return None;
        }
        let (rest, name) = rest.split_at_checked(rest.len().checked_sub(len)?)?;
        let source = str::from_utf8(name).ok()?;
        let (rest, stamp) = rest.split_last_chunk::<8>()?;
        let (_, place) = rest.split_last_chunk::<8>()?;
        let id = [u64::from_le_bytes(*place), u64::from_le_bytes(*stamp)];
        Some(Self { id, source })
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for source in ["", "a", &"n".repeat(80)] {
            let origin = Origin {
                id: [1, u64::MAX],
                source,
            };
            let mut bytes = [0xaa; 100];
            origin.write(&mut bytes);
            assert_eq!(Origin::read(&bytes), Some(origin));
            assert_eq!(Origin::read(&bytes[100 - origin.len()..]), Some(origin));
            assert_eq!(Origin::read(&bytes[101 - origin.len()..]), None);
            assert_eq!(bytes[..100 - origin.len()], [0xaa; 100][origin.len()..]);
        }
        assert_eq!(Origin::read(&[81; 100]), None, "a name too long");
        assert_eq!(Origin::read(&[]), None);
    }

    #[test]
    fn a_long_name_is_cut() {
        let name = "n".repeat(90);
        let long = Origin {
            id: [1, 2],
            source: &name,
        };
        let mut bytes = [0; 100];
        long.write(&mut bytes);
        assert_eq!(Origin::read(&bytes).map(|o| o.source), Some(&name[..80]));
    }
}
