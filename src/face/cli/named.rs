//! The verbs of an engine: making one; listing, describing, tagging, deleting and verifying what it
//! keeps.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use console::Term;
use humantime::format_duration;
use serde::Serialize;

use super::args::VerifyArgs;
use super::args::{DeleteQueueArgs, DescribeArgs, InitArgs, ListArgs, TagArgs, UntagArgs};
use super::exit::{Exit, Trouble, about};
use super::output::{note, say};
use super::spot::{self, Found, Spot};
use super::stream::args::DeleteStreamArgs;
use super::stream::{self, DescribedStream};
use crate::region::shelf::is_fifo_name;
use crate::{DedupScope, Engine, FifoOptions, QueueDescription};

/// Makes a directory an engine's.
pub(super) fn init(args: &InitArgs) -> Result<Exit, Trouble> {
    Engine::create(&args.dir).map_err(about(args.dir.display()))?;
    Ok(Exit::Done)
}

/// Prints the names of the queues and streams.
pub(super) fn list(args: &ListArgs) -> Result<Exit, Trouble> {
    #[derive(Serialize)]
    struct Line<'a> {
        name: &'a str,
        kind: &'static str,
    }
    let engine = Engine::open(&args.dir).map_err(about(args.dir.display()))?;
    let prefix = args.prefix.as_deref().unwrap_or("");
    let mut names = Vec::new();
    if !args.streams {
        let queues = engine.queues(prefix)?.into_iter();
        names.extend(queues.map(|name| match is_fifo_name(&name) {
            true => (name, "fifo"),
            false => (name, "queue"),
        }));
    }
    if !args.queues {
        let streams = engine.streams(prefix)?.into_iter();
        names.extend(streams.map(|name| (name, "stream")));
    }
    names.sort();
    for (name, kind) in names {
        if args.json {
            say(serde_json::to_string(&Line { name: &name, kind })?)?;
        } else {
            say(name)?;
        }
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Described<'a> {
    name: &'a str,
    created_ms: u64,
    bytes: u64,
    dead_letters: Option<&'a str>,
    max_receives: Option<u32>,
    sources: &'a [String],
    tags: &'a BTreeMap<String, String>,
    visibility_ms: u64,
    retention_ms: u64,
    delay_ms: u64,
    max_in_flight: u32,
    body_bytes_max: u64,
    durability: String,
    visible: u64,
    in_flight: u64,
    delayed: u64,
    #[serde(flatten)]
    fifo: Option<DescribedFifo>,
}

/// What is said of a FIFO queue beside.
#[derive(Serialize)]
struct DescribedFifo {
    fifo: bool,
    content_dedup: bool,
    dedup_scope: &'static str,
    dedup_interval_ms: u64,
    dedup_ids: Option<u64>,
    quota: bool,
}

impl DescribedFifo {
    fn of(options: &FifoOptions) -> Self {
        Self {
            fifo: true,
            content_dedup: options.get_content_dedup(),
            dedup_scope: match options.get_dedup_scope() {
                DedupScope::Queue => "queue",
                DedupScope::Group => "group",
            },
            dedup_interval_ms: options.get_dedup_interval().as_millis() as u64,
            dedup_ids: options.get_dedup_ids(),
            quota: options.get_quota(),
        }
    }

    fn tell(&self) -> Result<(), Trouble> {
        let interval = format_duration(Duration::from_millis(self.dedup_interval_ms));
        let yes = |on| if on { "yes" } else { "no" }.to_owned();
        let rows = [
            ("content dedup", yes(self.content_dedup)),
            ("dedup scope", self.dedup_scope.to_owned()),
            ("dedup interval", interval.to_string()),
            ("dedup ids", self.dedup_ids.unwrap_or(0).to_string()),
            ("quota", yes(self.quota)),
        ];
        for (name, value) in rows {
            say(format_args!("{name:<16} {value}"))?;
        }
        Ok(())
    }
}

impl<'a> Described<'a> {
    fn of(queue: &'a QueueDescription) -> Self {
        let (options, stats) = (&queue.options, &queue.stats);
        let ms = |duration: Duration| duration.as_millis() as u64;
        Self {
            name: &queue.name,
            created_ms: queue.created_ms,
            bytes: queue.bytes,
            dead_letters: queue.dead_letters.as_ref().map(|to| to.target.as_str()),
            max_receives: options.get_max_receives(),
            sources: &queue.sources,
            tags: &queue.tags,
            visibility_ms: ms(options.get_visibility()),
            retention_ms: ms(options.get_retention()),
            delay_ms: ms(options.get_delay()),
            max_in_flight: options.get_max_in_flight(),
            body_bytes_max: stats.body_bytes_max,
            durability: options.get_durability().to_string(),
            visible: stats.visible,
            in_flight: stats.in_flight,
            delayed: stats.delayed,
            fifo: queue.fifo.as_ref().map(DescribedFifo::of),
        }
    }

    fn tell(&self) -> Result<(), Trouble> {
        let time = |ms| format_duration(Duration::from_millis(ms)).to_string();
        let receives = self
            .max_receives
            .map_or("none".to_owned(), |n| n.to_string());
        let rows = [
            ("name", self.name.to_owned()),
            ("bytes", self.bytes.to_string()),
            ("visibility", time(self.visibility_ms)),
            ("retention", time(self.retention_ms)),
            ("delay", time(self.delay_ms)),
            ("max in flight", self.max_in_flight.to_string()),
            ("max receives", receives),
            (
                "dead letters to",
                self.dead_letters.unwrap_or("none").to_owned(),
            ),
            ("dead letters of", self.sources.join(", ")),
            ("largest body", self.body_bytes_max.to_string()),
            ("durability", self.durability.clone()),
            ("visible", self.visible.to_string()),
            ("in flight", self.in_flight.to_string()),
            ("delayed", self.delayed.to_string()),
        ];
        for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
            say(format_args!("{name:<16} {value}"))?;
        }
        if let Some(fifo) = &self.fifo {
            fifo.tell()?;
        }
        for (key, value) in self.tags {
            say(format_args!("{:<16} {key}={value}", "tag"))?;
        }
        Ok(())
    }
}

/// Prints what is known of a queue or a stream.
pub(super) fn describe(args: &DescribeArgs) -> Result<Exit, Trouble> {
    let (engine, name) = Spot::named(&args.path)?;
    let queue = match engine.describe(&name) {
        Err(error) if spot::is_of_stream(&error) => {
            let stream = engine.describe_stream(&name);
            let stream = stream.map_err(about(args.path.display()))?;
            let described = DescribedStream::of(&stream);
            if args.json {
                say(serde_json::to_string(&described)?)?;
            } else {
                described.tell()?;
            }
            return Ok(Exit::Done);
        }
        queue => queue.map_err(about(args.path.display()))?,
    };
    let described = Described::of(&queue);
    if args.json {
        say(serde_json::to_string(&described)?)?;
    } else {
        described.tell()?;
    }
    Ok(Exit::Done)
}

/// Deletes a queue with all its messages, after a question on a terminal.
pub(super) fn delete_queue(args: &DeleteQueueArgs) -> Result<Exit, Trouble> {
    let (engine, name) = Spot::named(&args.path)?;
    if !args.yes && io::stdin().is_terminal() && io::stderr().is_terminal() {
        let stats = engine.describe(&name)?.stats;
        let there = stats.visible + stats.in_flight + stats.delayed;
        let term = Term::stderr();
        term.write_str(&format!("Delete {name} with {there} messages? [y/N] "))?;
        if !matches!(term.read_line()?.trim(), "y" | "Y" | "yes") {
            return Err(Trouble::new("nothing deleted"));
        }
    }
    engine
        .delete_queue(&name)
        .map_err(about(args.path.display()))?;
    Ok(Exit::Done)
}

/// Deletes a stream with all its records, after a question on a terminal.
pub(super) fn delete_stream(args: &DeleteStreamArgs) -> Result<Exit, Trouble> {
    let (engine, name) = Spot::named(&args.path)?;
    if !args.yes && io::stdin().is_terminal() && io::stderr().is_terminal() {
        let shards = engine.describe_stream(&name)?.shards;
        let bytes: u64 = shards.iter().map(|shard| shard.bytes).sum();
        let term = Term::stderr();
        term.write_str(&format!(
            "Delete {name} with {bytes} bytes of records? [y/N] "
        ))?;
        if !matches!(term.read_line()?.trim(), "y" | "Y" | "yes") {
            return Err(Trouble::new("nothing deleted"));
        }
    }
    engine
        .delete_stream(&name)
        .map_err(about(args.path.display()))?;
    Ok(Exit::Done)
}

/// Gives a queue or a stream tags.
pub(super) fn tag(args: &TagArgs) -> Result<Exit, Trouble> {
    let (engine, name) = Spot::named(&args.path)?;
    for (key, value) in &args.tags {
        engine
            .tag(&name, key, value)
            .map_err(about(args.path.display()))?;
    }
    Ok(Exit::Done)
}

/// Takes tags from a queue or a stream.
pub(super) fn untag(args: &UntagArgs) -> Result<Exit, Trouble> {
    let (engine, name) = Spot::named(&args.path)?;
    for key in &args.keys {
        engine
            .untag(&name, key)
            .map_err(about(args.path.display()))?;
    }
    Ok(Exit::Done)
}

/// Looks at every file of an engine, at one queue, or at every record of one stream.
pub(super) fn verify(args: &VerifyArgs) -> Result<Exit, Trouble> {
    let (path, json) = (&args.path, args.json);
    #[derive(Serialize)]
    struct Line {
        file: String,
        problem: String,
    }
    let shown = |file: String, problem: String| match json {
        true => Ok(serde_json::to_string(&Line { file, problem })?),
        false => Ok(format!("{file}: {problem}")),
    };
    if !path.is_dir() {
        return match spot::find(path)? {
            Found::Queue(queue) => {
                queue.stat().map_err(about(path.display()))?;
                note("sound");
                Ok(Exit::Done)
            }
            Found::Stream(stream) => stream::verify(&stream, shown),
        };
    }
    let report = Engine::verify_dir(path).map_err(about(path.display()))?;
    for finding in &report.findings {
        say(shown(finding.file.clone(), finding.problem.to_string())?)?;
    }
    let streams = match report.streams {
        0 => String::new(),
        streams => format!(" {streams} streams,"),
    };
    note(format_args!(
        "{} queues,{streams} {} findings",
        report.queues,
        report.findings.len()
    ));
    Ok(if report.is_clean() {
        Exit::Done
    } else {
        Exit::Failed
    })
}
