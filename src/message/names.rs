//! What a message of a FIFO queue is called: its group and its deduplication id.
//!
//! They stand behind the attributes, read from their end:
//! `{ group, id, group_len: u8, id_len: u8 }`.

use crate::error::Error;
use core::str;

/// The longest group or deduplication id, bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Bytes beside the two.
const FIXED_BYTES: usize = 2;
const _: () = assert!(2 * NAME_BYTES_MAX + FIXED_BYTES == crate::region::layout::NAMES_BYTES_MAX);

const LENGTH: &str = "1 to 128 characters";
const CHARACTERS: &str = "letters, digits and ASCII punctuation alone";

/// The group of a message, and its deduplication id; empty if that is its body's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names<'a> {
    /// The group.
    pub group: &'a str,
    /// The deduplication id.
    pub id: &'a str,
}

/// Copies a name, one of 8 to 16 bytes by two words that may overlap.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    if let (8..=16, Some(first), Some(last)) =
        (from.len(), from.first_chunk::<8>(), from.last_chunk::<8>())
        && let Some(at) = to.first_chunk_mut::<8>()
    {
        *at = *first;
        if let Some(at) = to.last_chunk_mut::<8>() {
            *at = *last;
        }
    } else {
        to.copy_from_slice(from);
    }
}

/// The rule that a group or a deduplication id breaks, and at which byte.
pub fn name_refused(name: &str) -> Option<(&'static str, usize)> {
    let bytes = name.as_bytes();
    let sound = bytes.len().wrapping_sub(1) < NAME_BYTES_MAX && is_graphic(bytes);
    if sound { None } else { Some(refusal(bytes)) }
}

#[cold]
fn refusal(bytes: &[u8]) -> (&'static str, usize) {
    if bytes.is_empty() || bytes.len() > NAME_BYTES_MAX {
        return (LENGTH, bytes.len().min(NAME_BYTES_MAX));
    }
    let at = bytes.iter().position(|byte| !byte.is_ascii_graphic());
    (CHARACTERS, at.unwrap_or(0))
}

/// Whether all bytes are those of letters, digits and ASCII punctuation, 0x21 to 0x7e: eight at a
/// time, the last eight perhaps a second time.
#[inline(always)]
fn is_graphic(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().all(u8::is_ascii_graphic);
    };
    let eights = bytes.as_chunks().0.iter();
    eights.fold(faults(last), |all, eight| all | faults(eight)) & HIGH == 0
}

/// The same of a name of 8 to 16 bytes, as most are: no high bit if it keeps the rules.
#[inline(always)]
fn short_faults(bytes: &[u8]) -> u64 {
    match (bytes.len(), bytes.first_chunk(), bytes.last_chunk()) {
        (8..=16, Some(first), Some(last)) => faults(first) | faults(last),
        _ => HIGH,
    }
}

const EACH: u64 = u64::MAX / 255;
/// The high bit of each byte.
const HIGH: u64 = EACH << 7;

/// A high bit is set if, and only if, one of the bytes is not from 0x21 to 0x7e.
#[inline(always)]
fn faults(eight: &[u8; 8]) -> u64 {
    let word = u64::from_le_bytes(*eight);
    // Only a byte that is less borrows from the next one, and is a fault by itself; and only 0xff
    // carries over. 0x7f is the only one below 0x80 that its successor takes beyond.
    word.wrapping_sub(EACH * 0x21) | word.wrapping_add(EACH) | word
}

impl<'a> Names<'a> {
    /// Checked names.
    ///
    /// # Errors
    ///
    /// [`Error::GroupId`], [`Error::DeduplicationId`].
    #[inline(always)]
    pub fn new(group: &'a str, id: Option<&'a str>) -> Result<Self, Error> {
        let of_id = id.map_or(0, |id| short_faults(id.as_bytes()));
        if (short_faults(group.as_bytes()) | of_id) & HIGH != 0 {
            Self::check(group, id)?;
        }
        let id = id.unwrap_or_default();
        Ok(Self { group, id })
    }

    #[inline(never)]
    fn check(group: &str, id: Option<&str>) -> Result<(), Error> {
        if let Some((rule, at)) = name_refused(group) {
            return Err(Error::GroupId { rule, at });
        }
        match id.and_then(name_refused) {
            Some((rule, at)) => Err(Error::DeduplicationId { rule, at }),
            None => Ok(()),
        }
    }

    /// Bytes that they take.
    pub const fn len(&self) -> usize {
        self.group.len() + self.id.len() + FIXED_BYTES
    }

    /// Writes them to the end of `bytes`, which must have room for them.
    #[inline(always)]
    pub fn write(&self, bytes: &mut [u8]) {
        let at = bytes.len() - self.len();
        let (group, rest) = bytes[at..].split_at_mut(self.group.len());
        copy(self.group.as_bytes(), group);
        let (id, lens) = rest.split_at_mut(self.id.len());
        copy(self.id.as_bytes(), id);
        lens.copy_from_slice(&[self.group.len() as u8, self.id.len() as u8]); // at most 128 each
    }

    /// Reads those at the end of `bytes`; `None` if there cannot be any.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (rest, &[group_len, id_len]) = bytes.split_last_chunk::<FIXED_BYTES>()?;
        let (group_len, id_len) = (usize::from(group_len), usize::from(id_len));
        if group_len > NAME_BYTES_MAX || id_len > NAME_BYTES_MAX {
            return None;
        }
        let (rest, id) = rest.split_at_checked(rest.len().checked_sub(id_len)?)?;
        let (_, group) = rest.split_at_checked(rest.len().checked_sub(group_len)?)?;
        let (group, id) = (str::from_utf8(group).ok()?, str::from_utf8(id).ok()?);
        Some(Self { group, id })
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = "n".repeat(128);
        for (group, id) in [("g", ""), ("customer-7", "order!1"), (&*long, &*long)] {
            let names = Names::new(group, Some(id).filter(|id| !id.is_empty())).expect("fine");
            let mut bytes = [0xaa; 260];
            names.write(&mut bytes);
            assert_eq!(Names::read(&bytes), Some(names));
            assert_eq!(Names::read(&bytes[260 - names.len()..]), Some(names));
            assert_eq!(Names::read(&bytes[261 - names.len()..]), None);
        }
        assert_eq!(Names::read(&[129; 260]), None, "longer than there is");
        assert_eq!(Names::read(&[]), None);
    }

    #[test]
    fn each_byte_is_looked_at() {
        for len in 1..=24 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    let mut bytes = std::vec![b'a'; len];
                    bytes[at] = byte;
                    let sound = byte.is_ascii_graphic();
                    assert_eq!(is_graphic(&bytes), sound, "{byte} at {at}");
                    let short = (8..=16).contains(&len);
                    let faults = short_faults(&bytes) & HIGH;
                    assert_eq!(faults == 0, short && sound, "{byte} at {at}");
                }
            }
        }
    }

    #[test]
    fn names_keep_the_rules() {
        let long = "n".repeat(129);
        for (name, at) in [("", 0), (&*long, 128), ("a b", 1), ("ä", 0), ("a\n", 1)] {
            let refused = Names::new(name, None);
            assert!(matches!(refused, Err(Error::GroupId { at: found, .. }) if found == at));
            let refused = Names::new("g", Some(name));
            assert!(
                matches!(refused, Err(Error::DeduplicationId { at: found, .. }) if found == at)
            );
        }
    }
}
