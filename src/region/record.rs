//! Small records as text: what they are on the first line, their own lines, and a checksum.
//!
//! ```text
//! ringmain queue 1
//! created 1764096000000
//! check 6f0c1d9be2a35784
//! ```
//!
//! Nothing in one is believed before its checksum is right: a record that was cut short, or that
//! somebody has edited, is damaged.

use crate::error::Error;

/// The longest record, bytes.
pub const RECORD_BYTES_MAX: usize = 256 << 10;

/// A kind of record.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its word on the first line.
    pub word: &'static str,
    /// What it is called in errors.
    pub called: &'static str,
    /// The format that this library writes and reads.
    pub version: u32,
}

impl Kind {
    /// The error of a damaged record of this kind.
    pub const fn damaged(self, problem: &'static str) -> Error {
        Error::RecordDamaged {
            record: self.called,
            problem,
        }
    }
}

fn check_line(bytes: &[u8]) -> String {
    format!("check {:016x}\n", crate::hash::xxh3_64(bytes))
}

/// The record with these lines, each of which ends with a line feed.
pub fn seal(kind: Kind, lines: &str) -> Vec<u8> {
    let mut text = format!("ringmain {} {}\n{lines}", kind.word, kind.version);
    text.push_str(&check_line(text.as_bytes()));
    text.into_bytes()
}

/// The lines of a record.
///
/// # Errors
///
/// [`Error::RecordVersion`], [`Error::RecordDamaged`].
pub fn unseal(kind: Kind, bytes: &[u8]) -> Result<&str, Error> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(kind.damaged("it is too long"));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| kind.damaged("it is not UTF-8"))?;
    let first = text.split('\n').next().unwrap_or("");
    let version = first
        .strip_prefix("ringmain ")
        .and_then(|rest| rest.strip_prefix(kind.word))
        .and_then(|rest| rest.strip_prefix(' '))
        .and_then(|digits| digits.parse::<u32>().ok())
        .ok_or(kind.damaged("its first line"))?;
    if version != kind.version {
        return Err(Error::RecordVersion {
            record: kind.called,
            found: version,
            supported: kind.version,
        });
    }
    let cut = kind.damaged("it is cut short");
    let whole = text.strip_suffix('\n').ok_or(cut.clone())?;
    let end = whole.rfind('\n').ok_or(cut)? + 1;
    if text[end..] != check_line(&bytes[..end]) {
        return Err(kind.damaged("its checksum"));
    }
    Ok(&text[first.len() + 1..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        word: "thing",
        called: "the thing",
        version: 1,
    };

    #[test]
    fn a_record_comes_back_and_no_damage_passes() {
        for lines in ["", "a 1\n", "a 1\nb \u{e4}\n"] {
            let bytes = seal(KIND, lines);
            assert_eq!(unseal(KIND, &bytes), Ok(lines));
            for len in 0..bytes.len() {
                assert!(unseal(KIND, &bytes[..len]).is_err(), "cut to {len}");
            }
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut other = bytes.clone();
                    other[at] ^= 1 << bit;
                    assert!(unseal(KIND, &other).is_err(), "bit {bit} of {at}");
                }
            }
            let more = [bytes.as_slice(), b"\n"].concat();
            assert!(unseal(KIND, &more).is_err());
        }
    }

    #[test]
    fn another_format_is_named() {
        let newer = seal(Kind { version: 2, ..KIND }, "");
        let expected = Error::RecordVersion {
            record: "the thing",
            found: 2,
            supported: 1,
        };
        assert_eq!(unseal(KIND, &newer), Err(expected));
    }
}
