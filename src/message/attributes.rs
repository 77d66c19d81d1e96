//! Attributes of a received message, read in place.

use super::layout::Framed;
use super::rules::{ATTRIBUTES_MAX, check_name, check_value};
use super::value::Value;
use core::fmt;

/// The attributes of a message, read from their encoded bytes as they lie, without allocation.
///
/// Nothing in the bytes is believed. Whatever they are, reading them neither panics nor looks
/// beyond them, and ends after ten attributes. Where a head contradicts the bytes, or text is not
/// UTF-8, iteration ends. There are two ways to know beforehand: [`verify`](Self::verify) looks at
/// the heads alone, and [`is_sound`](Self::is_sound) holds every rule of
/// [`Message`](crate::Message) against them.
///
/// Each text is checked to be UTF-8 when it is given out, and not before.
///
/// # Examples
///
/// ```
/// use ringmain::{Attributes, Message, Value};
///
/// let message = Message::new(b"body").string("kind", "order")?.number("price", "12.50")?;
/// let mut bytes = [0; 64];
/// let len = message.encode_attributes(&mut bytes)?;
///
/// let attributes = Attributes::new(&bytes[..len]);
/// assert_eq!(attributes.len(), 2);
/// assert_eq!(attributes.get("kind"), Some(Value::String("order")));
/// for (name, value) in attributes {
///     println!("{name} ({}): {value}", value.type_name());
/// }
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Attributes from their encoded bytes: those that
    /// [`encode_attributes`](crate::Message::encode_attributes) has written, or any others.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Whether `bytes` are `count` attributes, at most 10, and nothing besides, as far as the heads
    /// tell: lengths and types, not text.
    ///
    /// # Complexity
    ///
    /// Linear in `count`; names and values are not touched.
    pub fn verify(bytes: &[u8], count: usize) -> bool {
        let mut frames = Frames::new(bytes);
        let found = frames.by_ref().count();
        found == count && frames.bytes.is_empty()
    }

    /// Whether each byte is as a sender must have written it: heads, names that differ and keep
    /// their rules, values that keep those of their types, at most 10, and nothing besides.
    ///
    /// # Complexity
    ///
    /// Linear in the bytes.
    pub fn is_sound(&self) -> bool {
        let mut iter = self.iter();
        let mut names: heapless::Vec<&str, ATTRIBUTES_MAX> = heapless::Vec::new();
        for (name, value) in iter.by_ref() {
            let kept = check_name(name).is_ok() && check_value(&value).is_ok();
            if !kept || names.contains(&name) || names.push(name).is_err() {
                return false;
            }
        }
        iter.frames.bytes.is_empty()
    }

    /// The value of the attribute of this name; `None` too if its text is not UTF-8.
    ///
    /// # Complexity
    ///
    /// Linear in the attributes before it. Their values are not touched, so text among them that
    /// would end iteration does not hide this one.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let mut frames = Frames::new(self.bytes);
        frames.find(|frame| frame.name == name.as_bytes())?.value()
    }

    /// How many there are, by their heads: at most 10.
    pub fn len(&self) -> usize {
        Frames::new(self.bytes).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        Frames::new(self.bytes).next().is_none()
    }

    /// Each with its name, in the order in which they were added.
    pub const fn iter(&self) -> AttributesIter<'a> {
        AttributesIter {
            frames: Frames::new(self.bytes),
        }
    }
}

impl<'a> IntoIterator for Attributes<'a> {
    type Item = (&'a str, Value<'a>);
    type IntoIter = AttributesIter<'a>;
    fn into_iter(self) -> AttributesIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Attributes<'a> {
    type Item = (&'a str, Value<'a>);
    type IntoIter = AttributesIter<'a>;
    fn into_iter(self) -> AttributesIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The attributes in [`Attributes`], one after the other.
#[derive(Debug, Clone)]
#[must_use = "iterators do nothing unless they are read"]
pub struct AttributesIter<'a> {
    frames: Frames<'a>,
}

impl<'a> Iterator for AttributesIter<'a> {
    type Item = (&'a str, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let before = self.frames.bytes;
        let attribute = self
            .frames
            .next()
            .and_then(|frame| Some((frame.name()?, frame.value()?)));
        if attribute.is_none() {
            // The end, or text that is none: what it is part of stays, and nothing follows.
            self.frames = Frames {
                bytes: before,
                left: 0,
            };
        }
        attribute
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.frames.left))
    }
}

impl core::iter::FusedIterator for AttributesIter<'_> {}

/// Walks from head to head.
#[derive(Debug, Clone)]
struct Frames<'a> {
    bytes: &'a [u8],
    /// How many more may come.
    left: usize,
}

impl<'a> Frames<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            left: ATTRIBUTES_MAX,
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Framed<'a>;

    #[inline]
    fn next(&mut self) -> Option<Framed<'a>> {
        let left = self.left.checked_sub(1)?;
        let (frame, rest) = Framed::split(self.bytes)?;
        (self.bytes, self.left) = (rest, left);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"\x01\0\x01\0\x02\0\0\0aok\x01\0\x02\0\x01\0\0\0b7";

    #[test]
    fn none_is_sound() {
        let none = Attributes::new(b"");
        assert!(none.is_empty() && none.is_sound() && Attributes::verify(b"", 0));
        assert_eq!((none.len(), none.iter().next()), (0, None));
        assert!(!Attributes::verify(b"", 1));
        assert!(Attributes::new(b"\x01").is_empty() && !Attributes::new(b"\x01").is_sound());
    }

    #[test]
    fn two_are_read_in_order_and_by_name() {
        let two = Attributes::new(TWO);
        let pairs = [("a", Value::String("ok")), ("b", Value::Number("7"))];
        assert!(two.iter().eq(pairs) && (&two).into_iter().eq(pairs));
        assert_eq!(two.get("b"), Some(Value::Number("7")));
        assert_eq!((two.get("c"), two.get("")), (None, None));
        assert!(two.is_sound() && !two.is_empty());
        for count in [0, 1, 3, usize::MAX] {
            assert!(!Attributes::verify(TWO, count), "{count}");
        }
        assert!(Attributes::verify(TWO, 2));
    }

    #[test]
    fn what_is_cut_short_ends_before_the_cut() {
        for len in 0..TWO.len() {
            let bytes = &TWO[..len];
            let whole = usize::from(len >= 11);
            let cut = Attributes::new(bytes);
            assert_eq!((cut.len(), cut.iter().count()), (whole, whole), "{len}");
            assert!(!Attributes::verify(bytes, 2), "{len}");
            assert_eq!(cut.is_sound(), len == 0 || len == 11, "{len}");
        }
    }

    #[test]
    fn ten_are_read_and_an_eleventh_is_not() {
        let mut bytes = [0; 110];
        for (index, frame) in bytes.chunks_exact_mut(10).enumerate() {
            frame.copy_from_slice(&[1, 0, 3, 0, 1, 0, 0, 0, b'a' + index as u8, 1]);
        }
        let ten = Attributes::new(&bytes[..100]);
        assert!(ten.is_sound() && Attributes::verify(&bytes[..100], 10));
        let eleven = Attributes::new(&bytes);
        assert_eq!((eleven.len(), eleven.iter().count()), (10, 10));
        let mut iter = eleven.iter();
        assert_eq!(
            (iter.by_ref().count(), iter.next()),
            (10, None),
            "ended is ended"
        );
        assert!(!eleven.is_sound());
        assert!(!Attributes::verify(&bytes, 10) && !Attributes::verify(&bytes, 11));
        assert_eq!(eleven.get("k"), None);
    }

    #[test]
    fn text_that_is_none_ends_iteration() {
        for at in [8, 9] {
            let mut bytes = [0; 21];
            bytes.copy_from_slice(TWO);
            bytes[at] = 0xff;
            let bad = Attributes::new(&bytes);
            let mut iter = bad.iter();
            assert_eq!((iter.next(), iter.next()), (None, None), "byte {at}");
            assert!(!bad.is_sound() && Attributes::verify(&bytes, 2));
            assert_eq!(bad.get("a"), None);
            assert_eq!(bad.get("b"), Some(Value::Number("7")), "not hidden");
        }
        // Bytes need not be text.
        assert!(Attributes::new(b"\x01\0\x03\0\x01\0\0\0a\xff").is_sound());
    }

    #[test]
    fn what_no_sender_writes_is_not_sound() {
        let twice = b"\x01\0\x01\0\x01\0\0\0ax\x01\0\x01\0\x01\0\0\0ay";
        let bad = [
            &twice[..],
            b"\x01\0\x01\0\x01\0\0\0 x",     // a name with a space
            b"\x02\0\x01\0\x01\0\0\0a.x",    // one that ends with a full stop
            b"\x01\0\x01\0\x01\0\0\0a\0",    // text with a NUL
            b"\x01\0\x02\0\x01\0\0\0ax",     // a number that is none
            b"\x01\0\x01\0\x01\0\0\0ax\x01", // a byte more
        ];
        for bytes in bad {
            let attributes = Attributes::new(bytes);
            assert!(
                !attributes.is_sound() && !attributes.is_empty(),
                "{bytes:?}"
            );
            let read = attributes.iter().count();
            assert_eq!(read, attributes.len(), "text all the same: {bytes:?}");
        }
    }
}
