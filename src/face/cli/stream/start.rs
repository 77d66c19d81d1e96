//! Where `ringmain tail` begins.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::AnyStream;
use crate::{Start, StreamSequence};

/// A place as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::face::cli) enum From {
    Oldest,
    Latest,
    /// What came at this time or later.
    Time(SystemTime),
    /// What came no longer ago than this.
    Age(Duration),
    Sequence(u64),
}

/// Reads a place.
pub(super) fn from(text: &str) -> Result<From, String> {
    match text.split_once(':') {
        None if text == "oldest" => Ok(From::Oldest),
        None if text == "latest" => Ok(From::Latest),
        Some(("time", time)) => self::time(time),
        Some(("sequence", number)) => {
            let are_digits = number.bytes().all(|byte| byte.is_ascii_digit());
            match number.parse() {
                Ok(number) if are_digits => Ok(From::Sequence(number)),
                _ => Err("a sequence number has up to 20 digits".to_owned()),
            }
        }
        _ => {
            Err("write oldest, latest, time:2026-11-26T12:00:00Z, time:5m or sequence:N".to_owned())
        }
    }
}

fn time(text: &str) -> Result<From, String> {
    if let Ok(age) = humantime::parse_duration(text) {
        return Ok(From::Age(age));
    }
    match humantime::parse_rfc3339_weak(text) {
        Ok(time) => Ok(From::Time(time)),
        Err(error) => Err(format!(
            "{error}; write 2026-11-26T12:00:00Z, or 5m for what is no older"
        )),
    }
}

impl From {
    /// The same for a cursor. A region's time is close to Unix time.
    pub(super) fn start(self, stream: &AnyStream) -> Start {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Oldest => Start::Oldest,
            Self::Latest => Start::Latest,
            Self::Time(time) => Start::Time(time.duration_since(UNIX_EPOCH).map_or(0, ms)),
            Self::Age(age) => Start::Time(stream.time_ms().saturating_sub(ms(age))),
            Self::Sequence(number) => Start::At(StreamSequence::from_u64(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        assert_eq!(from("oldest"), Ok(From::Oldest));
        assert_eq!(from("latest"), Ok(From::Latest));
        assert_eq!(from("time:5m"), Ok(From::Age(Duration::from_secs(300))));
        let at = UNIX_EPOCH + Duration::from_secs(86_400);
        assert_eq!(from("time:1970-01-02T00:00:00Z"), Ok(From::Time(at)));
        assert_eq!(from("time:1970-01-02 00:00:00"), Ok(From::Time(at)));
        assert_eq!(from("sequence:007"), Ok(From::Sequence(7)));
        for bad in [
            "",
            "old",
            "time:",
            "time:x",
            "sequence:",
            "sequence:+7",
            "sequence:x",
            ":",
        ] {
            assert!(from(bad).is_err(), "{bad}");
        }
    }
}
