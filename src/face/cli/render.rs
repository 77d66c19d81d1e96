//! How `ringmain receive` writes a message: its body, its receipt and its body, or JSON.

use std::borrow::Cow;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Serialize, Serializer};

use super::args::ReceiveArgs;
use super::exit::Trouble;
use super::top::word;
use crate::{Attributes, Clock, MessageState, Peeked, Received, Region, Value};

/// What a line holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// The body, and what is written before it.
    Text {
        receipt: bool,
        order: bool,
    },
    Json,
}

impl Form {
    pub(super) fn of(args: &ReceiveArgs) -> Self {
        match args.json {
            true => Self::Json,
            false => Self::Text {
                receipt: args.receipt,
                order: args.order,
            },
        }
    }

    /// Appends a message to `line`, without the newline.
    pub(super) fn render<R: Region, C: Clock>(
        self,
        message: &Received<'_, R, C>,
        line: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        match self {
            Self::Text { receipt, order } => {
                if receipt {
                    write!(line, "{}\t", message.receipt())?;
                }
                if order && let Some(number) = message.sequence_number() {
                    let group = message.group().unwrap_or_default();
                    let id = message.deduplication_id().unwrap_or_default();
                    write!(line, "{number}\t{group}\t{id}\t")?;
                }
                line.extend_from_slice(message.body());
            }
            Self::Json => serde_json::to_writer(line, &Json::of(message))?,
        }
        Ok(())
    }
}

/// What a message of a FIFO queue has beside.
#[derive(Serialize)]
struct Ordered<'m> {
    group: &'m str,
    /// None if it is the body's digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    deduplication_id: Option<&'m str>,
    sequence_number: Option<String>,
}

/// Reads it of what was received or looked at.
macro_rules! ordered {
    ($message:expr) => {
        $message.group().map(|group| Ordered {
            group,
            deduplication_id: $message.deduplication_id(),
            sequence_number: $message.sequence_number().map(|number| number.to_string()),
        })
    };
}

#[derive(Serialize)]
struct Json<'m> {
    id: String,
    receipt: String,
    receive_count: u32,
    sent_ms: u64,
    first_received_ms: u64,
    #[serde(flatten)]
    ordered: Option<Ordered<'m>>,
    #[serde(
        skip_serializing_if = "Attributes::is_empty",
        serialize_with = "attributes"
    )]
    attributes: Attributes<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl<'m> Json<'m> {
    fn of<R: Region, C: Clock>(message: &'m Received<'_, R, C>) -> Self {
        let body = message.body();
        let text = std::str::from_utf8(body).ok();
        Self {
            id: message.id().to_string(),
            receipt: message.receipt().to_string(),
            receive_count: message.receive_count(),
            sent_ms: message.sent_ms(),
            first_received_ms: message.first_received_ms(),
            ordered: ordered!(message),
            attributes: message.attributes(),
            body: text,
            body_base64: text.is_none().then(|| BASE64_STANDARD.encode(body)),
        }
    }
}

/// A message that was looked at.
#[derive(Serialize)]
struct PeekedJson<'m> {
    id: String,
    state: &'static str,
    /// When a delay or a visibility timeout ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    receive_count: u32,
    sent_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'m str>,
    #[serde(flatten)]
    ordered: Option<Ordered<'m>>,
    #[serde(
        skip_serializing_if = "Attributes::is_empty",
        serialize_with = "attributes"
    )]
    attributes: Attributes<'m>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'m str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Appends a message that was looked at to `line`, as JSON.
pub(super) fn peeked<R: Region, C: Clock>(
    message: &Peeked<'_, R, C>,
    line: &mut Vec<u8>,
) -> Result<(), Trouble> {
    let text = std::str::from_utf8(message.body()).ok();
    let until_ms = match message.state() {
        MessageState::InFlight { until_ms } | MessageState::Delayed { until_ms } => Some(until_ms),
        MessageState::Visible => None,
    };
    let json = PeekedJson {
        id: message.id().to_string(),
        state: word(message.state()),
        until_ms,
        receive_count: message.receive_count(),
        sent_ms: message.sent_ms(),
        source: message.source(),
        ordered: ordered!(message),
        attributes: message.attributes(),
        body: text,
        body_base64: text
            .is_none()
            .then(|| BASE64_STANDARD.encode(message.body())),
    };
    Ok(serde_json::to_writer(line, &json)?)
}

/// An attribute's type, by the name that `send --attribute` has for it, and its value as text.
#[derive(Serialize)]
struct Typed<'m> {
    r#type: &'static str,
    value: Cow<'m, str>,
}

impl<'m> Typed<'m> {
    fn of(value: Value<'m>) -> Self {
        let (r#type, value) = match value {
            Value::String(text) => ("string", text.into()),
            // As text, so that no digit is lost.
            Value::Number(text) => ("number", text.into()),
            Value::Binary(bytes) => ("binary", BASE64_STANDARD.encode(bytes).into()),
        };
        Self { r#type, value }
    }
}

fn attributes<S: Serializer>(attributes: &Attributes<'_>, to: S) -> Result<S::Ok, S::Error> {
    let typed = attributes.iter();
    to.collect_map(typed.map(|(name, value)| (name, Typed::of(value))))
}
