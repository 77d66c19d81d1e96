//! What an engine keeps of a queue beside its region: tags, where its dead letters go, its age.
//!
//! ```text
//! ringmain queue 1
//! created 1764096000000
//! dead-letters 0000a1b2c3d4e5f6 5 orders-dead
//! tag team<TAB>orders
//! redrive 6f0c1d9be2a35784 1764096000000 500 120 0 0 0 running -
//! check 6f0c1d9be2a35784
//! ```
//!
//! The setting of the queue's region is what receivers go by; the card says which name belongs to
//! it. A change writes the card first. If it dies before the setting, the card is what was
//! wanted, and [`Shared::settle`](super::shared::Shared::settle) sets it.

use super::task::{TASKS_MAX, Task};
use crate::error::Error;
use crate::region::card::{self, Kind};
use crate::region::policy::{RANGES, RECEIVES_MAX, VALUE_MASK};
use crate::region::shelf::{Held, check_name};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The most tags of a queue.
const TAGS_MAX: usize = 50;
/// The longest key of a tag, characters.
const KEY_CHARS_MAX: usize = 128;
/// The longest value of a tag, characters.
const VALUE_CHARS_MAX: usize = 256;

const KIND: Kind = Kind {
    word: "queue",
    called: "the queue's metadata (.meta)",
    version: 1,
};

const STREAM_KIND: Kind = Kind {
    word: "stream",
    called: "the stream's metadata (.stream.meta)",
    version: 1,
};

const fn kind_of(held: Held) -> Kind {
    match held {
        Held::Queue => KIND,
        Held::Stream => STREAM_KIND,
    }
}

/// Where dead letters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The queue's name.
    pub name: String,
    /// Its id: the source's setting `DEAD_LETTERS`.
    pub id: u64,
    /// The source's setting `RECEIVES_MAX`, as it was when the target was set.
    pub receives: u32,
}

/// The card of a queue or of a stream, which has `created` and `tag` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// When it was created, ms since 1970; 0: not known.
    pub created_ms: u64,
    /// Where its dead letters go.
    pub dead_letters: Option<Target>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its latest redrives, the newest last.
    pub redrives: Vec<Task>,
}

/// Refuses what is no tag.
pub fn check_tag(key: &str, value: &str) -> Result<(), Error> {
    let refused = |rule, at| Err(Error::Tag { rule, at });
    let (key_chars, value_chars) = (key.chars().count(), value.chars().count());
    if !(1..=KEY_CHARS_MAX).contains(&key_chars) {
        let at = key_chars.min(KEY_CHARS_MAX);
        return refused("a key has 1 to 128 characters", at);
    }
    if value_chars > VALUE_CHARS_MAX {
        return refused("a value has at most 256 characters", VALUE_CHARS_MAX);
    }
    if let Some(at) = key.chars().position(char::is_control) {
        return refused("a key has no control characters", at);
    }
    if let Some(at) = value.chars().position(char::is_control) {
        return refused("a value has no control characters", at);
    }
    Ok(())
}

/// A number of receives in its range.
pub fn check_receives(receives: u32) -> Result<(), Error> {
    let range = &RANGES[RECEIVES_MAX];
    let value = u64::from(receives);
    if (1..=range.max).contains(&value) {
        return Ok(());
    }
    Err(Error::OutOfRange {
        what: range.what,
        value,
        min: 1,
        max: range.max,
    })
}

/// Refuses too many tags.
pub fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    if tags.len() > TAGS_MAX {
        return Err(Error::TagCount {
            count: tags.len(),
            max: TAGS_MAX,
        });
    }
    tags.iter()
        .try_for_each(|(key, value)| check_tag(key, value))
}

impl Meta {
    /// The card of this.
    pub fn seal(&self, held: Held) -> Vec<u8> {
        let mut lines = format!("created {}\n", self.created_ms);
        if let Some(Target { name, id, receives }) = &self.dead_letters {
            let _ = writeln!(lines, "dead-letters {id:016x} {receives} {name}"); // to a String
        }
        for (key, value) in &self.tags {
            let _ = writeln!(lines, "tag {key}\t{value}");
        }
        for task in &self.redrives {
            let _ = writeln!(lines, "redrive {task}");
        }
        card::seal(kind_of(held), &lines)
    }

    /// Reads a card, and believes none of it before.
    ///
    /// # Errors
    ///
    /// [`Error::MetadataDamaged`], [`Error::MetadataVersion`].
    pub fn parse(held: Held, bytes: &[u8]) -> Result<Self, Error> {
        let kind = kind_of(held);
        let lines = card::unseal(kind, bytes)?;
        let mut meta = Self::default();
        for line in lines.split_terminator('\n') {
            let (what, rest) = line.split_once(' ').ok_or(kind.damaged("a line"))?;
            let done = match what {
                "dead-letters" | "redrive" if held == Held::Stream => None,
                "created" => rest.parse().ok().map(|ms| meta.created_ms = ms),
                "dead-letters" => Self::target(rest).map(|target| meta.dead_letters = Some(target)),
                "tag" => meta.put_tag(rest),
                "redrive" => rest.parse().ok().map(|task| meta.redrives.push(task)),
                _ => None,
            };
            done.ok_or(kind.damaged("a line"))?;
        }
        check_tags(&meta.tags).map_err(|_| kind.damaged("a tag"))?;
        if meta.redrives.len() > TASKS_MAX {
            return Err(kind.damaged("the number of redrives"));
        }
        Ok(meta)
    }

    fn target(rest: &str) -> Option<Target> {
        let mut words = rest.splitn(3, ' ');
        let id = u64::from_str_radix(words.next()?, 16).ok()?;
        let receives = words.next()?.parse().ok()?;
        let name = words.next()?;
        let sound = (1..=VALUE_MASK).contains(&id)
            && check_receives(receives).is_ok()
            && check_name(name).is_ok();
        sound.then(|| Target {
            name: name.into(),
            id,
            receives,
        })
    }

    fn put_tag(&mut self, rest: &str) -> Option<()> {
        let (key, value) = rest.split_once('\t')?;
        let twice = self.tags.insert(key.into(), value.into());
        twice.is_none().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back() {
        let mut meta = Meta::default();
        assert_eq!(
            Meta::parse(Held::Queue, &meta.seal(Held::Queue)),
            Ok(meta.clone())
        );
        meta.created_ms = 1_764_096_000_000;
        meta.dead_letters = Some(Target {
            name: "orders-dead".into(),
            id: 1,
            receives: 1000,
        });
        for number in 0..TAGS_MAX {
            let value = "\u{e4}".repeat(number);
            meta.tags.insert(format!("a key of {number}"), value);
        }
        assert_eq!(
            Meta::parse(Held::Queue, &meta.seal(Held::Queue)),
            Ok(meta.clone())
        );
        meta.tags.insert("one more".into(), String::new());
        assert_eq!(
            Meta::parse(Held::Queue, &meta.seal(Held::Queue)),
            Err(KIND.damaged("a tag"))
        );
    }

    #[test]
    fn a_sound_checksum_over_nonsense_is_not_believed() {
        let lines = [
            "created\n",
            "created x\n",
            "dead-letters 0 5 a\n",
            "dead-letters 1 0 a\n",
            "dead-letters 1 1001 a\n",
            "dead-letters 1 5 a b\n",
            "dead-letters 100000000000 5 a\n",
            "dead-letters 1 5\n",
            "tag a\n",
            "tag a\tb\ntag a\tb\n",
            "tag \tb\n",
            "what 1\n",
            "\n",
        ];
        for line in lines {
            let parsed = Meta::parse(Held::Queue, &card::seal(KIND, line));
            assert!(parsed.is_err(), "{line:?}: {parsed:?}");
            let parsed = Meta::parse(Held::Stream, &card::seal(STREAM_KIND, line));
            assert!(parsed.is_err(), "{line:?} of a stream: {parsed:?}");
        }
    }

    #[test]
    fn a_card_of_the_other_kind_is_none_of_a_stream() {
        let mut meta = Meta::default();
        meta.tags.insert("team".into(), "blue".into());
        assert_eq!(
            Meta::parse(Held::Stream, &meta.seal(Held::Stream)),
            Ok(meta.clone())
        );
        assert!(Meta::parse(Held::Stream, &meta.seal(Held::Queue)).is_err());
        assert!(Meta::parse(Held::Queue, &meta.seal(Held::Stream)).is_err());
        let redirected = "dead-letters 000003a1b2c3d4e5 5 orders-dead\n";
        assert!(Meta::parse(Held::Queue, &card::seal(KIND, redirected)).is_ok());
        let redirected = card::seal(STREAM_KIND, redirected);
        assert!(Meta::parse(Held::Stream, &redirected).is_err());
    }
}
