//! How attributes lie in memory: a head of eight bytes, the name, the value, and then the next one;
//! little-endian, without padding (docs/file-format.md).

use super::rules::NAME_BYTES_MAX;
use super::value::Value;

/// `{ name_len: u16, kind: u8, 0: u8, value_len: u32 }`
pub const HEAD_BYTES: usize = 8;

const KIND_STRING: u8 = 1;
const KIND_NUMBER: u8 = 2;
const KIND_BINARY: u8 = 3;

/// One attribute in its place, of which only the head has been looked at.
#[derive(Clone, Copy)]
pub struct Framed<'a> {
    pub name: &'a [u8],
    kind: u8,
    value: &'a [u8],
}

impl<'a> Framed<'a> {
    /// Splits the first attribute off; `None` if its head is not as it must be, or the bytes end
    /// before it does.
    #[inline]
    pub fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let [n0, n1, kind, reserved, value_len @ ..] = *head;
        let name_len = usize::from(u16::from_le_bytes([n0, n1]));
        let value_len = usize::try_from(u32::from_le_bytes(value_len)).ok()?;
        let sound = (1..=NAME_BYTES_MAX).contains(&name_len)
            && (KIND_STRING..=KIND_BINARY).contains(&kind)
            && reserved == 0
            && value_len != 0;
        if !sound {
            return None;
        }
        let (name, rest) = rest.split_at_checked(name_len)?;
        let (value, rest) = rest.split_at_checked(value_len)?;
        Some((Self { name, kind, value }, rest))
    }

    /// The name, if it is text.
    #[inline]
    pub fn name(&self) -> Option<&'a str> {
        core::str::from_utf8(self.name).ok()
    }

    /// The value, if it is text or need not be.
    #[inline]
    pub fn value(&self) -> Option<Value<'a>> {
        match self.kind {
            KIND_STRING => core::str::from_utf8(self.value).ok().map(Value::String),
            KIND_NUMBER => core::str::from_utf8(self.value).ok().map(Value::Number),
            _ => Some(Value::Binary(self.value)), // there are three kinds
        }
    }
}

/// Bytes of an attribute here.
pub const fn encoded_len(name: &str, value: &Value<'_>) -> usize {
    HEAD_BYTES
        .saturating_add(name.len())
        .saturating_add(value.as_bytes().len())
}

/// Writes an attribute whose name and value have been checked, and gives what is left of `bytes`,
/// which must have room for it.
pub fn encode<'b>(name: &str, value: &Value<'_>, bytes: &'b mut [u8]) -> &'b mut [u8] {
    let kind = match value {
        Value::String(_) => KIND_STRING,
        Value::Number(_) => KIND_NUMBER,
        Value::Binary(_) => KIND_BINARY,
    };
    let value = value.as_bytes();
    let mut head = [0; HEAD_BYTES];
    head[..2].copy_from_slice(&(name.len() as u16).to_le_bytes()); // at most 256
    head[2] = kind;
    head[4..].copy_from_slice(&(value.len() as u32).to_le_bytes()); // at most 2^30
    let bytes = put(bytes, &head);
    let bytes = put(bytes, name.as_bytes());
    put(bytes, value)
}

fn put<'b>(bytes: &'b mut [u8], part: &[u8]) -> &'b mut [u8] {
    let (place, rest) = bytes.split_at_mut(part.len());
    place.copy_from_slice(part);
    rest
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut bytes = [0xaa; 64];
        let rest = encode("id", &Value::String("x\u{e9}"), &mut bytes);
        let rest = encode("n", &Value::Number("-1"), rest);
        let left = encode("b", &Value::Binary(&[7]), rest).len();
        let expected = b"\x02\0\x01\0\x03\0\0\0idx\xc3\xa9\
            \x01\0\x02\0\x02\0\0\0n-1\
            \x01\0\x03\0\x01\0\0\0b\x07";
        assert_eq!(&bytes[..64 - left], expected);
        assert_eq!(encoded_len("id", &Value::String("x\u{e9}")), 13);
        // The longest name needs both bytes of its length.
        let name = "n".repeat(256);
        encode(&name, &Value::Number("1"), &mut [0; 265]);
        let mut bytes = [0; 265];
        encode(&name, &Value::Number("1"), &mut bytes);
        assert_eq!(bytes[..8], [0, 1, 2, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn a_head_with_any_fault_is_refused() {
        let sound = *b"\x01\0\x01\0\x01\0\0\0nv";
        assert!(Framed::split(&sound).is_some());
        for (at, value) in [
            (0, 0),   // no name
            (0, 3),   // a name beyond the end
            (0, 2),   // a name that takes the value's place
            (1, 1),   // 257
            (2, 0),   // no kind
            (2, 4),   // an unknown kind
            (2, 255), //
            (3, 1),   // reserved
            (4, 0),   // no value
            (4, 2),   // a value beyond the end
            (7, 255), // far beyond
        ] {
            let mut bytes = sound;
            bytes[at] = value;
            assert!(Framed::split(&bytes).is_none(), "byte {at} is {value}");
        }
        for len in 0..sound.len() {
            assert!(Framed::split(&sound[..len]).is_none(), "{len} bytes");
        }
        let mut long = [b'n'; 266];
        long[..8].copy_from_slice(&[1, 1, 1, 0, 1, 0, 0, 0]);
        assert!(Framed::split(&long).is_none(), "a name of 257");
    }
}
