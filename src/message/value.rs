//! The value of an attribute.

use super::number::Decimal;
use core::fmt;

/// The value of an attribute: text, a decimal number as text, or bytes.
///
/// The number stays text, so that no digit is lost. [`Message`](crate::Message) checks a value when
/// it is added; a `Value` by itself may be anything.
///
/// # Examples
///
/// ```
/// use ringmain::Value;
///
/// let price = Value::Number("12.50");
/// assert_eq!(price.as_f64(), Some(12.5));
/// assert_eq!(price.as_i64(), None);
/// assert_eq!(price.to_string(), "12.50");
/// assert_eq!(Value::Binary(&[0xca, 0xfe]).to_string(), "cafe");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// At least one character; of the control characters below U+0020 only tab, LF and CR, and
    /// neither U+FFFE nor U+FFFF.
    String(&'a str),
    /// Decimal text: a sign, digits with a point among them, and an exponent, all but one digit
    /// optional. At most 38 significant digits; zero, or 1e-128 to 1e126 without its sign.
    Number(&'a str),
    /// At least one byte.
    Binary(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The type's name, which counts against the size limit: `String`, `Number` or `Binary`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Value::String(_) => "String",
            Value::Number(_) => "Number",
            Value::Binary(_) => "Binary",
        }
    }

    /// The text of a string or a number.
    pub const fn as_str(&self) -> Option<&'a str> {
        match *self {
            Value::String(text) | Value::Number(text) => Some(text),
            Value::Binary(_) => None,
        }
    }

    /// The bytes, of text too.
    pub const fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Value::String(text) | Value::Number(text) => text.as_bytes(),
            Value::Binary(bytes) => bytes,
        }
    }

    /// The value of a number that is whole and fits, however it is written: `3`, `3.0` and `0.3e1`
    /// are 3. `None` for any other, and for the other types.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_decimal()?.as_i64()
    }

    /// The `f64` nearest to a number. `None` for text that is no number, and for the other types.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_decimal()?;
        self.as_str()?.parse().ok()
    }

    fn as_decimal(&self) -> Option<Decimal> {
        match *self {
            Value::Number(text) => Decimal::parse(text).ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Value<'_> {
    /// Text as it is, bytes as hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::String(text) | Value::Number(text) => f.pad(text),
            Value::Binary(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::Value;

    #[test]
    fn each_type_tells_its_name_and_gives_its_bytes() {
        let values = [
            (Value::String("é"), "String", Some("é"), &[0xc3, 0xa9][..]),
            (Value::Number("-1"), "Number", Some("-1"), b"-1"),
            (Value::Binary(&[0, 255]), "Binary", None, &[0, 255]),
        ];
        for (value, name, text, bytes) in values {
            assert_eq!(value.type_name(), name);
            assert_eq!(value.as_str(), text);
            assert_eq!(value.as_bytes(), bytes);
        }
    }

    #[test]
    fn only_numbers_are_numbers() {
        for value in [Value::String("1"), Value::Binary(b"1")] {
            assert_eq!((value.as_i64(), value.as_f64()), (None, None));
        }
        for text in ["nan", "inf", "infinity", "", "1,5", "0x10"] {
            assert_eq!(Value::Number(text).as_f64(), None, "{text}");
        }
        assert_eq!(Value::Number("1e126").as_f64(), Some(1e126));
        assert_eq!(Value::Number("-1e-128").as_f64(), Some(-1e-128));
        assert_eq!(Value::Number("+.5").as_f64(), Some(0.5));
        assert_eq!(Value::Number("5.").as_f64(), Some(5.0));
    }
}
