//! Decimal numbers as text.

use super::rules::Refused;

/// Significant digits of a number.
pub const DIGITS_MAX: u32 = 38;
/// The least and the greatest power of ten that a number other than zero reaches.
const EXPONENT_MIN: i64 = -128;
const EXPONENT_MAX: i64 = 126;
/// Farther than any text that fits in memory could bring back, and far from overflow.
const EXPONENT_FAR: i64 = 1 << 60;

pub const FORM: &str = "a number is decimal digits, with at most a sign, a point and an exponent";
pub const DIGITS: &str = "a number has at most 38 significant digits";
pub const RANGE: &str = "a number is zero, or from 1e-128 to 1e126 without its sign";

/// What a text says: `coefficient * 10^exponent`, the coefficient without zeros at its end. Zero is
/// `0 * 10^0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Below 10^38, so it fits.
    coefficient: u128,
    exponent: i64,
}

impl Decimal {
    /// Reads `[+-] digits [. digits] [(e|E) [+-] digits]` with at least one digit before or behind
    /// the point, in one pass and whatever the length.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let bytes = text.as_bytes();
        let (negative, start) = match bytes.first() {
            Some(b'-') => (true, 1),
            Some(b'+') => (false, 1),
            _ => (false, 0),
        };
        let mut digits = Digits::default();
        let mut at = start;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => digits.push(byte - b'0', at)?,
                b'.' if !digits.point => digits.point = true,
                _ => break,
            }
            at += 1;
        }
        if !digits.any {
            return Err(Refused { rule: FORM, at });
        }
        let written = match bytes.get(at) {
            None => 0,
            Some(b'e' | b'E') => exponent(bytes, at + 1)?,
            Some(_) => return Err(Refused { rule: FORM, at }),
        };
        if digits.count == 0 {
            return Ok(Self {
                negative: false,
                coefficient: 0,
                exponent: 0,
            });
        }
        let exponent = written + digits.exponent();
        // That of the first digit that counts.
        let first = exponent + i64::from(digits.count) - 1;
        let beyond = first == EXPONENT_MAX && digits.coefficient != 1;
        if !(EXPONENT_MIN..=EXPONENT_MAX).contains(&first) || beyond {
            return Err(Refused { rule: RANGE, at: 0 });
        }
        Ok(Self {
            negative,
            coefficient: digits.coefficient,
            exponent,
        })
    }

    /// The value, if it is whole and fits.
    pub fn as_i64(self) -> Option<i64> {
        // Without zeros at its end, what has a negative exponent is not whole.
        let power = 10i128.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let whole = i128::try_from(self.coefficient).ok()?.checked_mul(power)?;
        i64::try_from(if self.negative { -whole } else { whole }).ok()
    }
}

/// The digits before and behind the point. Zeros are held back until a digit follows them, so that
/// neither those at the front nor those at the end count.
#[derive(Default)]
struct Digits {
    coefficient: u128,
    /// Digits of the coefficient; 0 until one that is not zero.
    count: u32,
    /// Zeros since the last of them.
    zeros: u64,
    /// Digits behind the point.
    behind: u64,
    point: bool,
    any: bool,
}

impl Digits {
    fn push(&mut self, digit: u8, at: usize) -> Result<(), Refused> {
        self.any = true;
        self.behind += u64::from(self.point);
        if digit == 0 {
            self.zeros += u64::from(self.count != 0);
            return Ok(());
        }
        let more = self.zeros + 1;
        if more > u64::from(DIGITS_MAX - self.count) {
            return Err(Refused { rule: DIGITS, at });
        }
        let more = more as u32;
        self.coefficient = self.coefficient * 10u128.pow(more) + u128::from(digit);
        self.count += more;
        self.zeros = 0;
        Ok(())
    }

    /// The power of ten of the coefficient's last digit. A text has less than 2^62 digits.
    fn exponent(&self) -> i64 {
        self.zeros as i64 - self.behind as i64
    }
}

/// The exponent that is written from `start` to the end, kept from overflow.
fn exponent(bytes: &[u8], start: usize) -> Result<i64, Refused> {
    let (negative, first) = match bytes.get(start) {
        Some(b'-') => (true, start + 1),
        Some(b'+') => (false, start + 1),
        _ => (false, start),
    };
    if bytes.len() <= first {
        let at = bytes.len();
        return Err(Refused { rule: FORM, at });
    }
    let mut value = 0i64;
    for (index, byte) in bytes[first..].iter().enumerate() {
        if !byte.is_ascii_digit() {
            let at = first + index;
            return Err(Refused { rule: FORM, at });
        }
        value = (value.saturating_mul(10))
            .saturating_add(i64::from(byte - b'0'))
            .min(EXPONENT_FAR);
    }
    Ok(if negative { -value } else { value })
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::{DIGITS, Decimal, FORM, RANGE};
    use crate::message::rules::Refused;

    fn refused(text: &str, rule: &'static str, at: usize) {
        assert_eq!(Decimal::parse(text), Err(Refused { rule, at }), "{text:?}");
    }

    #[test]
    fn the_form_is_kept() {
        for text in [
            "0",
            "7",
            "-7",
            "+7",
            "007",
            "1.5",
            "1.",
            ".5",
            "-.5",
            "1e3",
            "1E3",
            "1e+3",
            "1e-3",
            "1.5e03",
            "1.e0",
            "-0",
            "0.0e999999999999999999999999",
            "0e-999",
        ] {
            assert!(Decimal::parse(text).is_ok(), "{text}");
        }
        for (text, at) in [
            ("", 0),
            ("+", 1),
            ("-", 1),
            (".", 1),
            ("-.", 2),
            ("--1", 1),
            ("+-1", 1),
            ("1-", 1),
            ("1.2.3", 3),
            ("..1", 1),
            ("e5", 0),
            (".e5", 1),
            ("1e", 2),
            ("1e+", 3),
            ("1e1.0", 3),
            ("1e1e1", 3),
            ("1e--1", 3),
            (" 1", 0),
            ("1 ", 1),
            ("1_000", 1),
            ("1,000", 1),
            ("0x1", 1),
            ("inf", 0),
            ("NaN", 0),
            ("1f", 1),
            ("\u{663}", 0),
            ("1\0", 1),
        ] {
            refused(text, FORM, at);
        }
    }

    #[test]
    fn thirty_eight_digits_count_and_no_thirty_ninth() {
        let nines = "9".repeat(38);
        assert!(Decimal::parse(&nines).is_ok());
        refused(&format!("{nines}9"), DIGITS, 38);
        refused(&format!("-{}.{}", &nines[..37], "99"), DIGITS, 40);
        // Zeros at either end do not count, those between do.
        assert!(Decimal::parse(&format!("000{nines}000.000")).is_ok());
        assert!(Decimal::parse(&format!("0.000{nines}000")).is_ok());
        assert!(Decimal::parse(&format!("1{}1", "0".repeat(36))).is_ok());
        refused(&format!("1{}1", "0".repeat(37)), DIGITS, 38);
        refused(&format!("1{}1", "0".repeat(400)), DIGITS, 401);
        // Of two faults the first that is met.
        refused(&format!("{nines}9x"), DIGITS, 38);
    }

    #[test]
    fn the_magnitude_is_bounded_at_both_ends() {
        let far = format!("0.{}1", "0".repeat(127));
        let farther = format!("0.{}1", "0".repeat(128));
        let wide = format!("1{}", "0".repeat(126));
        for text in [
            "1e126",
            "-1e126",
            "10e125",
            "0.1e127",
            "1.000e126",
            "9.99e125",
            "1e-128",
            "-1e-128",
            "0.1e-127",
            "10e-129",
            "1.5e-128",
            &far,
            &wide,
        ] {
            assert!(Decimal::parse(text).is_ok(), "{text}");
        }
        for text in [
            "1.1e126",
            "2e126",
            "1e127",
            "10e126",
            "-1e127",
            "1e-129",
            "0.1e-128",
            "9.99e-129",
            "1e99999999999999999999999999",
            "1e-99999999999999999999999999",
            &farther,
            &format!("{wide}0"),
        ] {
            refused(text, RANGE, 0);
        }
        // Digits and exponent may cancel out, however long they are.
        let zeros = "0".repeat(100_000);
        assert!(Decimal::parse(&format!("0.{zeros}1e100001")).is_ok());
        assert!(Decimal::parse(&format!("1{zeros}e-100000")).is_ok());
        assert!(Decimal::parse(&format!("1e{zeros}1")).is_ok());
        refused(&format!("1{zeros}e-99000"), RANGE, 0);
    }

    #[test]
    fn whole_numbers_that_fit_are_told() {
        let whole = |text: &str| Decimal::parse(text).ok().and_then(Decimal::as_i64);
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("0e99", 0),
            ("3.0", 3),
            ("0.3e1", 3),
            ("-1.50e2", -150),
            ("1200e-2", 12),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("922337203685477580700e-2", i64::MAX),
        ] {
            assert_eq!(whole(text), Some(value), "{text}");
        }
        for text in [
            "0.5",
            "12e-2",
            "9223372036854775808",
            "-9223372036854775809",
            "1e19",
            "1e39",
            "1e126",
            "-1e126",
            "99999999999999999999999999999999999999",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
