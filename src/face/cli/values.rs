//! Values on the command line: sizes, durations, attributes, receipts, and the words for bad ones.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use humantime::format_duration;

use crate::message::name_refused;
use crate::region::policy::{DELAY_MS, RANGES, RETENTION_MS, VISIBILITY_MS};
use crate::{Durability, Error, Message, Receipt, Value};

const ATTRIBUTE_FORMS: &str = "write NAME=TEXT, NAME:number=12.5 or NAME:binary=BASE64";

/// An attribute that was written on the command line, by all rules but those on its neighbours.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    pub(super) name: String,
    value: Typed,
}

#[derive(Debug, Clone)]
enum Typed {
    String(String),
    Number(String),
    Binary(Vec<u8>),
}

impl Attribute {
    /// The value, as a message takes it.
    pub(super) fn value(&self) -> Value<'_> {
        match &self.value {
            Typed::String(text) => Value::String(text),
            Typed::Number(text) => Value::Number(text),
            Typed::Binary(bytes) => Value::Binary(bytes),
        }
    }
}

pub(super) fn attribute(text: &str) -> Result<Attribute, String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(format!("there is no `=`; {ATTRIBUTE_FORMS}"));
    };
    let (name, kind) = name.split_once(':').unwrap_or((name, "string"));
    let value = match kind {
        "string" => Typed::String(value.to_owned()),
        "number" => Typed::Number(value.to_owned()),
        "binary" => {
            let bytes = BASE64_STANDARD.decode(value);
            Typed::Binary(bytes.map_err(|error| format!("no base64 (as `yv4=`): {error}"))?)
        }
        other => {
            return Err(format!(
                "there is no type `{other}`, only string, number and binary; {ATTRIBUTE_FORMS}"
            ));
        }
    };
    let name = name.to_owned();
    let attribute = Attribute { name, value };
    let checked = Message::new("").attribute(&attribute.name, attribute.value());
    checked.map(drop).map_err(|error| error.to_string())?;
    Ok(attribute)
}

pub(super) fn receipt(text: &str) -> Result<Receipt, String> {
    text.parse().map_err(|error| {
        format!("{error}; `ringmain receive --receipt` prints them, 48 hexadecimal digits each")
    })
}

pub(super) fn attempt_id(text: &str) -> Result<String, String> {
    match name_refused(text) {
        Some((rule, at)) => Err(Error::AttemptId { rule, at }.to_string()),
        None => Ok(text.to_owned()),
    }
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|error| format!("{error}; write 4096, 64K, 64M or 1G"))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 500ms, 30s or 5m"))
}

pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// How often something is done: 100 ms to an hour.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    if range.contains(&interval) {
        return Ok(interval);
    }
    Err("it must be 100ms to 1h".to_owned())
}

pub(super) fn visibility(text: &str) -> Result<Duration, String> {
    setting(text, VISIBILITY_MS)
}

pub(super) fn retention(text: &str) -> Result<Duration, String> {
    setting(text, RETENTION_MS).map_err(|error| format!("{error}; of a stream, 1s to 365days"))
}

pub(super) fn delay(text: &str) -> Result<Duration, String> {
    setting(text, DELAY_MS)
}

/// A duration; whether it is in the setting's range is the queue's to say.
fn setting(text: &str, setting: usize) -> Result<Duration, String> {
    let [min, max] = [RANGES[setting].min, RANGES[setting].max]
        .map(|ms| format_duration(Duration::from_millis(ms)));
    duration(text).map_err(|error| format!("{error}, from {min} to {max}"))
}

pub(super) fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "process" => Ok(Durability::Process),
        "before-ok" => Ok(Durability::BeforeOk),
        interval => humantime::parse_duration(interval)
            .map(Durability::Interval)
            .map_err(|error| format!("{error}; write process, before-ok, or a duration as 50ms")),
    }
}
