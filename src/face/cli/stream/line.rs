//! How `ringmain tail` writes a record: its data, what stands before it, or JSON.

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use console::style;
use serde::Serialize;

use super::args::TailArgs;
use crate::face::cli::exit::Trouble;
use crate::{Part, Record};

/// What a line holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// The data, and what is written before it.
    Text {
        order: bool,
    },
    Json,
}

#[derive(Serialize)]
struct Json<'r> {
    shard: String,
    sequence_number: String,
    arrived_ms: u64,
    /// Of one of several that share a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_key: Option<&'r str>,
    /// Of a key that is not UTF-8: its bytes were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    partition_key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// Bytes as text, or as base64.
fn either(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
    }
}

impl Form {
    pub(super) fn of(args: &TailArgs) -> Self {
        match args.json {
            true => Self::Json,
            false => Self::Text { order: args.order },
        }
    }

    /// Appends what a user has put to `line`, with the newline.
    pub(super) fn render(
        self,
        record: &Record<'_>,
        part: Part<'_>,
        line: &mut Vec<u8>,
    ) -> Result<(), Trouble> {
        match self {
            Self::Text { order } => {
                if order {
                    let (shard, sequence) = (record.shard(), record.sequence());
                    let key = String::from_utf8_lossy(part.key_bytes());
                    let (place, key) = (format!("{shard}\t{sequence}"), style(key).cyan());
                    write!(line, "{}\t{key}\t", style(place).dim())?;
                }
                line.extend_from_slice(part.data());
            }
            Self::Json => {
                let (partition_key, partition_key_base64) = either(part.key_bytes());
                let (data, data_base64) = either(part.data());
                let json = Json {
                    shard: record.shard().to_string(),
                    sequence_number: record.sequence().to_string(),
                    arrived_ms: record.arrived_ms(),
                    part: record.is_aggregate().then(|| part.number()),
                    partition_key,
                    partition_key_base64,
                    data,
                    data_base64,
                };
                serde_json::to_writer(&mut *line, &json)?;
            }
        }
        line.push(b'\n');
        Ok(())
    }
}
