//! `ringmain consumers`, `register-consumer` and `deregister-consumer`.

use comfy_table::{Table, presets};
use serde::Serialize;

use super::args::{ConsumerArgs, ConsumersArgs};
use super::figures::instant;
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::output::say;
use crate::face::cli::spot;
use crate::{ConsumerInfo, Error};

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    created_ms: u64,
}

/// Prints a line for each consumer, by their names.
pub(in crate::face::cli) fn list(args: &ConsumersArgs) -> Result<Exit, Trouble> {
    let stream = spot::open_stream(&args.path)?;
    let all = stream.consumers().and_then(Iterator::collect);
    let mut all: Vec<ConsumerInfo> = all.map_err(about::<Error>(args.path.display()))?;
    all.sort_by_key(|consumer| consumer.name);
    if args.json {
        for consumer in &all {
            let (name, created_ms) = (&*consumer.name, consumer.created_ms);
            say(serde_json::to_string(&Line { name, created_ms })?)?;
        }
        return Ok(Exit::Done);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["CONSUMER", "SINCE"]);
    for consumer in all {
        table.add_row([consumer.name.to_string(), instant(consumer.created_ms)]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    say(table.trim_fmt())?;
    Ok(Exit::Done)
}

/// Registers a consumer.
pub(in crate::face::cli) fn register(args: &ConsumerArgs) -> Result<Exit, Trouble> {
    let stream = spot::open_stream(&args.path)?;
    let registered = stream.register_consumer(&args.name);
    registered.map_err(about::<Error>(&args.name))?;
    Ok(Exit::Done)
}

/// Removes a consumer.
pub(in crate::face::cli) fn deregister(args: &ConsumerArgs) -> Result<Exit, Trouble> {
    let stream = spot::open_stream(&args.path)?;
    let removed = stream.deregister_consumer(&args.name);
    removed.map_err(about::<Error>(&args.name))?;
    Ok(Exit::Done)
}
