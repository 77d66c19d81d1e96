//! A message as it is sent.

use super::layout::{encode, encoded_len};
use super::rules::{ATTRIBUTES_MAX, check_name, check_value};
use super::value::Value;
use crate::error::Error;
use core::fmt::Write;
use core::time::Duration;

/// What is sent: a body and, if wanted, up to ten attributes and a delay.
///
/// Body and attributes stay where they are and are borrowed until the send. A `Message` has about
/// 500 bytes itself, on the stack. Attributes are checked as they are added, each against the rules
/// of [`Value`], and its name against these: 1 to 256 characters, letters A-Z and a-z, digits, `_`,
/// `-` and `.`, a full stop neither at an end nor beside another, and no name twice; `a` and `A`
/// differ. The body's length and the delay are checked by the queue.
///
/// # Examples
///
/// ```
/// use ringmain::{Message, Value};
/// use std::time::Duration;
///
/// let message = Message::new("12 of them")
///     .string("kind", "order")?
///     .number("price", "12.50")?
///     .integer("tries", 3)?
///     .binary("key", &[0xca, 0xfe])?
///     .delay(Duration::from_secs(5));
/// assert_eq!(message.body(), b"12 of them");
/// assert_eq!(message.attributes().nth(2), Some(("tries", Value::Number("3"))));
/// # Ok::<(), ringmain::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a message does nothing until it is sent"]
pub struct Message<'a> {
    body: &'a [u8],
    attributes: heapless::Vec<(&'a str, Stored<'a>), ATTRIBUTES_MAX, u8>,
    delay: Option<Duration>,
    group: Option<&'a str>,
    deduplication: Option<&'a str>,
}

/// A value that is borrowed, or a number that was written here.
#[derive(Debug, Clone)]
enum Stored<'a> {
    Borrowed(Value<'a>),
    /// A sign and 19 digits at most.
    Integer(heapless::String<20, u8>),
}

impl Stored<'_> {
    fn value(&self) -> Value<'_> {
        match self {
            Stored::Borrowed(value) => *value,
            Stored::Integer(text) => Value::Number(text),
        }
    }
}

impl<'a> Message<'a> {
    /// A message with this body, which a queue takes if it has at least 1 byte.
    pub fn new<B: AsRef<[u8]> + ?Sized>(body: &'a B) -> Self {
        Self {
            body: body.as_ref(),
            attributes: heapless::Vec::new(),
            delay: None,
            group: None,
            deduplication: None,
        }
    }

    /// Adds an attribute with text.
    ///
    /// # Errors
    ///
    /// Those of [`attribute`](Self::attribute).
    pub fn string(self, name: &'a str, text: &'a str) -> Result<Self, Error> {
        self.attribute(name, Value::String(text))
    }

    /// Adds an attribute with a number, which stays as it is written.
    ///
    /// # Errors
    ///
    /// Those of [`attribute`](Self::attribute).
    pub fn number(self, name: &'a str, text: &'a str) -> Result<Self, Error> {
        self.attribute(name, Value::Number(text))
    }

    /// Adds an attribute with a number.
    ///
    /// # Errors
    ///
    /// Those of [`attribute`](Self::attribute), for the name.
    pub fn integer(self, name: &'a str, number: i64) -> Result<Self, Error> {
        let mut text = heapless::String::new();
        let _ = write!(text, "{number}"); // 20 characters are enough
        self.add(name, Stored::Integer(text))
    }

    /// Adds an attribute with bytes.
    ///
    /// # Errors
    ///
    /// Those of [`attribute`](Self::attribute).
    pub fn binary<B: AsRef<[u8]> + ?Sized>(
        self,
        name: &'a str,
        bytes: &'a B,
    ) -> Result<Self, Error> {
        self.attribute(name, Value::Binary(bytes.as_ref()))
    }

    /// Adds an attribute with a value of any type, such as one that was received.
    ///
    /// # Errors
    ///
    /// [`Error::AttributeName`], [`Error::AttributeValue`], [`Error::AttributeTwice`],
    /// [`Error::AttributeCount`].
    pub fn attribute(self, name: &'a str, value: Value<'a>) -> Result<Self, Error> {
        check_value(&value)?;
        self.add(name, Stored::Borrowed(value))
    }

    fn add(mut self, name: &'a str, value: Stored<'a>) -> Result<Self, Error> {
        check_name(name)?;
        if let Some(first) = self.attributes.iter().position(|(other, _)| *other == name) {
            let second = self.attributes.len();
            return Err(Error::AttributeTwice { first, second });
        }
        if self.attributes.push((name, value)).is_err() {
            return Err(Error::AttributeCount {
                count: ATTRIBUTES_MAX + 1,
                max: ATTRIBUTES_MAX,
            });
        }
        Ok(self)
    }

    /// The same message with another body.
    #[cfg(feature = "mapped")]
    pub(crate) fn with_body<'b>(&self, body: &'b [u8]) -> Message<'b>
    where
        'a: 'b,
    {
        Message {
            body,
            ..self.clone()
        }
    }

    /// How long the message stays invisible after the send, instead of the queue's own delay.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// The body.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The attributes, each with its name, in the order in which they were added.
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = (&'a str, Value<'_>)> {
        let attributes = self.attributes.iter();
        attributes.map(|(name, value)| (*name, value.value()))
    }

    /// Puts the message into a group of a FIFO queue, by its id: 1 to 128 letters, digits and ASCII
    /// punctuation. Standard queues have no groups, and refuse it.
    pub const fn group(mut self, id: &'a str) -> Self {
        self.group = Some(id);
        self
    }

    /// Gives the message a deduplication id, for a FIFO queue: 1 to 128 letters, digits and ASCII
    /// punctuation.
    pub const fn deduplication_id(mut self, id: &'a str) -> Self {
        self.deduplication = Some(id);
        self
    }

    /// The group, if one was set.
    pub const fn group_option(&self) -> Option<&'a str> {
        self.group
    }

    /// The deduplication id, if one was set.
    pub const fn deduplication_option(&self) -> Option<&'a str> {
        self.deduplication
    }

    /// The delay, if one was set.
    pub const fn delay_option(&self) -> Option<Duration> {
        self.delay
    }

    /// Bytes that count against the size limit: the body and, of each attribute, its name, the name
    /// of its type ([`Value::type_name`]) and its value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use ringmain::Message;
    /// let message = Message::new("body").string("name", "value")?;
    /// assert_eq!(message.size(), "body".len() + "name".len() + "String".len() + "value".len());
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn size(&self) -> usize {
        self.attributes()
            .fold(self.body.len(), |sum, (name, value)| {
                sum.saturating_add(name.len() + value.type_name().len())
                    .saturating_add(value.as_bytes().len())
            })
    }

    /// Bytes of the encoded attributes; 0 without any.
    pub fn attributes_len(&self) -> usize {
        self.attributes().fold(0, |sum, (name, value)| {
            sum.saturating_add(encoded_len(name, &value))
        })
    }

    /// Writes the attributes to the start of `buffer`, as docs/file-format.md has it, for
    /// [`Attributes`](crate::Attributes) to read; gives [`attributes_len`](Self::attributes_len).
    ///
    /// # Errors
    ///
    /// [`Error::BufferTooSmall`]: nothing has been written.
    pub fn encode_attributes(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let (needed, len) = (self.attributes_len(), buffer.len());
        if len < needed {
            return Err(Error::BufferTooSmall { needed, len });
        }
        let mut rest = buffer;
        for (name, value) in self.attributes() {
            rest = encode(name, &value, rest);
        }
        Ok(needed)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::message::Attributes;

    const NAMES: [&str; 11] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];

    /// A message with the first `count` names.
    fn with(count: usize) -> Result<Message<'static>, Error> {
        let mut names = NAMES[..count].iter();
        names.try_fold(Message::new("x"), |message, name| message.integer(name, 0))
    }

    #[test]
    fn ten_attributes_and_no_eleventh() {
        for count in [0, 1, 10] {
            let message = with(count).expect("room");
            assert_eq!(message.attributes().len(), count);
            assert!(
                message
                    .attributes()
                    .map(|(name, _)| name)
                    .eq(NAMES[..count].to_vec())
            );
        }
        let error = Error::AttributeCount { count: 11, max: 10 };
        assert_eq!(with(11).err(), Some(error));
    }

    #[test]
    fn names_differ() {
        let message = Message::new("x").string("a", "1").expect("a name");
        let message = message.string("A", "1").expect("another name");
        let twice = Some(Error::AttributeTwice {
            first: 1,
            second: 2,
        });
        assert_eq!(message.clone().binary("A", "2").err(), twice);
        assert_eq!(message.integer("A", 2).err(), twice);
        // The eleventh is told as what it is.
        let twice = Error::AttributeTwice {
            first: 3,
            second: 10,
        };
        assert_eq!(with(10).expect("room").integer("d", 0).err(), Some(twice));
    }

    #[test]
    fn names_and_values_are_checked_for_each_type() {
        let name = |result: Result<Message<'_>, Error>| {
            assert!(
                matches!(result, Err(Error::AttributeName { at: 1, .. })),
                "{result:?}"
            );
        };
        name(Message::new("x").string("a b", "1"));
        name(Message::new("x").number("a b", "1"));
        name(Message::new("x").integer("a b", 1));
        name(Message::new("x").binary("a b", "1"));
        let value = |result: Result<Message<'_>, Error>, at: usize| match result {
            Err(Error::AttributeValue { at: found, .. }) => assert_eq!(found, at),
            other => panic!("{other:?}"),
        };
        value(Message::new("x").string("a", "1\0"), 1);
        value(Message::new("x").number("a", "1x"), 1);
        value(Message::new("x").binary("a", ""), 0);
    }

    #[test]
    fn integers_are_written_in_full() {
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            let message = Message::new("x").integer("n", number).expect("a number");
            let (_, value) = message.attributes().next().expect("one");
            assert_eq!(value.as_i64(), Some(number));
            assert_eq!(value.as_str(), Some(number.to_string().as_str()));
        }
    }

    #[test]
    fn all_bytes_count_and_heads_do_not() {
        let plain = Message::new(&[1, 2, 3]);
        assert_eq!((plain.size(), plain.attributes_len()), (3, 0));
        let message = plain.string("ab", "é").expect("text");
        assert_eq!(
            (message.size(), message.attributes_len()),
            (3 + 2 + 6 + 2, 12)
        );
        let message = message.integer("n", -5).expect("a number");
        assert_eq!(
            (message.size(), message.attributes_len()),
            (13 + 1 + 6 + 2, 23)
        );
        let message = message.binary("b", &[9]).expect("bytes");
        assert_eq!(
            (message.size(), message.attributes_len()),
            (22 + 1 + 6 + 1, 33)
        );
    }

    #[test]
    fn a_buffer_that_is_too_small_stays_as_it_is() {
        let message = with(2).expect("room");
        let mut buffer = [0xaa; 21];
        for len in 0..20 {
            let error = Error::BufferTooSmall { needed: 20, len };
            assert_eq!(message.encode_attributes(&mut buffer[..len]), Err(error));
        }
        assert_eq!(buffer, [0xaa; 21]);
        assert_eq!(message.encode_attributes(&mut buffer), Ok(20));
        assert_eq!(buffer[20], 0xaa, "what is beyond is left alone");
        assert!(
            Attributes::new(&buffer[..20])
                .iter()
                .eq(message.attributes())
        );
        assert_eq!(Message::new("x").encode_attributes(&mut []), Ok(0));
    }

    #[test]
    fn a_delay_is_kept_as_it_is() {
        assert_eq!(Message::new("x").delay_option(), None);
        let long = Duration::from_secs(100_000);
        assert_eq!(Message::new("x").delay(long).delay_option(), Some(long));
    }

    #[test]
    fn a_message_fits_a_small_stack() {
        assert!(
            size_of::<Message<'_>>() <= 576,
            "{}",
            size_of::<Message<'_>>()
        );
    }
}
