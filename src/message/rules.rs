//! What names and values may be.

use super::number::Decimal;
use super::value::Value;
use crate::error::Error;
use crate::region::memory::BODY_BYTES_LIMIT;

/// Attributes of one message.
pub const ATTRIBUTES_MAX: usize = 10;
/// Characters of a name, each of one byte.
pub const NAME_BYTES_MAX: usize = 256;
/// Bytes of a value: no body has more, and so no message.
pub const VALUE_BYTES_MAX: usize = BODY_BYTES_LIMIT;
const _: () = assert!(NAME_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(VALUE_BYTES_MAX <= u32::MAX as usize);

const NAME_LENGTH: &str = "a name has 1 to 256 characters";
const NAME_CHARACTERS: &str = "a name has letters A-Z and a-z, digits, and the marks _ - . alone";
const NAME_ENDS: &str = "a name neither begins nor ends with a full stop";
const NAME_ROW: &str = "a name has no two full stops in a row";
const VALUE_EMPTY: &str = "a value has at least 1 byte";
const VALUE_LENGTH: &str = "a value has at most 1073741824 bytes";
const TEXT_CHARACTERS: &str =
    "text has no control characters but tab, LF and CR, and neither U+FFFE nor U+FFFF";

/// The rule that is broken, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    pub rule: &'static str,
    pub at: usize,
}

/// Checks a name; whether the message has it already is not looked at.
pub fn check_name(name: &str) -> Result<(), Error> {
    name_refused(name.as_bytes()).map_or(Ok(()), |Refused { rule, at }| {
        Err(Error::AttributeName { rule, at })
    })
}

/// Checks a value by the rules of its type.
pub fn check_value(value: &Value<'_>) -> Result<(), Error> {
    value_refused(value).map_or(Ok(()), |Refused { rule, at }| {
        Err(Error::AttributeValue { rule, at })
    })
}

fn name_refused(name: &[u8]) -> Option<Refused> {
    let refused = |rule, at| Some(Refused { rule, at });
    let Some(last) = name.len().checked_sub(1) else {
        return refused(NAME_LENGTH, 0);
    };
    if name.len() > NAME_BYTES_MAX {
        return refused(NAME_LENGTH, NAME_BYTES_MAX);
    }
    let mut previous = 0;
    for (at, byte) in name.iter().copied().enumerate() {
        match byte {
            b'.' if at == 0 => return refused(NAME_ENDS, at),
            b'.' if previous == b'.' => return refused(NAME_ROW, at),
            b'.' if at == last => return refused(NAME_ENDS, at),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {}
            _ => return refused(NAME_CHARACTERS, at),
        }
        previous = byte;
    }
    None
}

fn value_refused(value: &Value<'_>) -> Option<Refused> {
    if let Some(refused) = length_refused(value.as_bytes().len()) {
        return Some(refused);
    }
    match value {
        Value::String(text) => text
            .char_indices()
            .find(|(_, character)| !is_text(*character))
            .map(|(at, _)| Refused {
                rule: TEXT_CHARACTERS,
                at,
            }),
        Value::Number(text) => Decimal::parse(text).err(),
        Value::Binary(_) => None,
    }
}

fn length_refused(len: usize) -> Option<Refused> {
    let rule = match len {
        0 => VALUE_EMPTY,
        1..=VALUE_BYTES_MAX => return None,
        _ => VALUE_LENGTH,
    };
    let at = len.min(VALUE_BYTES_MAX);
    Some(Refused { rule, at })
}

/// The characters of an XML document (XML 1.0, production 2), which are those of the service.
/// Surrogates are no `char`.
const fn is_text(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    fn name(name: &str, expected: Option<(&'static str, usize)>) {
        let expected = expected.map_or(Ok(()), |(rule, at)| Err(Error::AttributeName { rule, at }));
        assert_eq!(check_name(name), expected, "{name:?}");
    }

    fn value(value: Value<'_>, expected: Option<(&'static str, usize)>) {
        let error = |(rule, at)| Err(Error::AttributeValue { rule, at });
        assert_eq!(
            check_value(&value),
            expected.map_or(Ok(()), error),
            "{value:?}"
        );
    }

    #[test]
    fn a_name_has_1_to_256_characters() {
        name("", Some((NAME_LENGTH, 0)));
        name("a", None);
        name(&"a".repeat(256), None);
        name(&"a".repeat(257), Some((NAME_LENGTH, 256)));
        // 128 characters of two bytes: the first of them is what is wrong.
        name(&"é".repeat(128), Some((NAME_CHARACTERS, 0)));
    }

    #[test]
    fn each_byte_of_a_name_is_of_the_set() {
        let allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
        let mut count = 0;
        for character in (0..=0x2ff).filter_map(char::from_u32) {
            let text = format!("a{character}b");
            let fits = allowed.contains(character);
            count += usize::from(fits);
            name(&text, (!fits).then_some((NAME_CHARACTERS, 1)));
        }
        assert_eq!(count, 65);
    }

    #[test]
    fn full_stops_stand_alone_and_inside() {
        for text in [".", ".a", "..", "..a"] {
            name(text, Some((NAME_ENDS, 0)));
        }
        name("a.", Some((NAME_ENDS, 1)));
        name("a.b.", Some((NAME_ENDS, 3)));
        name("a..b", Some((NAME_ROW, 2)));
        name("a..", Some((NAME_ROW, 2)));
        name("a.b.c", None);
        name("-._.-", None);
    }

    #[test]
    fn a_value_has_a_byte() {
        for empty in [Value::String(""), Value::Number(""), Value::Binary(b"")] {
            value(empty, Some((VALUE_EMPTY, 0)));
        }
        for one in [Value::String("x"), Value::Number("1"), Value::Binary(b"\0")] {
            value(one, None);
        }
        assert_eq!(length_refused(1 << 30), None);
        let (rule, at) = (VALUE_LENGTH, 1 << 30);
        assert_eq!(length_refused((1 << 30) + 1), Some(Refused { rule, at }));
        assert_eq!(length_refused(usize::MAX), Some(Refused { rule, at }));
        assert!(VALUE_LENGTH.contains(&VALUE_BYTES_MAX.to_string()));
    }

    #[test]
    fn each_character_of_text_is_of_the_production() {
        let ranges = [
            (0x9, 0x9),
            (0xa, 0xa),
            (0xd, 0xd),
            (0x20, 0xd7ff),
            (0xe000, 0xfffd),
            (0x10000, 0x10ffff),
        ];
        let mut refused = 0;
        for code in 0..=0x10ffff {
            let Some(character) = char::from_u32(code) else {
                continue; // a surrogate
            };
            let fits = ranges
                .iter()
                .any(|(from, to)| (*from..=*to).contains(&code));
            assert_eq!(is_text(character), fits, "U+{code:04X}");
            refused += usize::from(!fits);
        }
        assert_eq!(refused, 29 + 2);
        value(Value::String("a\tb\r\n"), None);
        value(
            Value::String("\u{7f}\u{85}\u{d7ff}\u{e000}\u{fffd}\u{10ffff}"),
            None,
        );
        value(Value::String("é\0"), Some((TEXT_CHARACTERS, 2)));
        value(Value::String("ab\u{1b}"), Some((TEXT_CHARACTERS, 2)));
        value(Value::String("\u{fffe}"), Some((TEXT_CHARACTERS, 0)));
        value(Value::String("a\u{ffff}"), Some((TEXT_CHARACTERS, 1)));
    }

    #[test]
    fn a_number_is_checked_and_bytes_are_not() {
        value(Value::Number("-1.5e3"), None);
        let rule = crate::message::number::FORM;
        value(Value::Number("12x"), Some((rule, 2)));
        value(Value::Binary(&[0, 0xff, 0xfe, b'\n']), None);
    }
}
