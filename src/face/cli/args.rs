//! The command line: what may be written.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::follow::FollowArgs;
use super::stream::args::{
    ConsumerArgs, ConsumersArgs, DeleteStreamArgs, MergeArgs, PutArgs, ShardsArgs, SplitArgs,
    StreamArgs, TailArgs,
};
use super::values::{
    Attribute, attempt_id, attribute, delay, durability, duration, interval, receipt, retention,
    size, tag, visibility,
};
use crate::{Durability, Receipt};

const EXITS: &str = "\
Exit status: 0 done, 1 failed, 2 usage, 3 no message or record (receive, peek, tail), 4 full (put,
send --no-wait, receive --attempt-id).
Sizes: 4096, 64K, 64M, 1G (powers of 1024). Durations: 500ms, 30s, 5m, 12h.";

/// Embedded message queues and streams in mapped files.
#[derive(Debug, Parser)]
#[command(name = "ringmain", version, after_help = EXITS, max_term_width = 100)]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// One subcommand.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a queue or a stream: in a new file, or in an engine
    Create(CreateArgs),
    /// Send arguments, or the lines of standard input, as messages
    Send(SendArgs),
    /// Receive messages to standard output
    Receive(ReceiveArgs),
    /// Put arguments, the lines of standard input, or a file into a stream, as records
    Put(PutArgs),
    /// Put the lines of files into a stream as they are written, each once, over rotation and kills
    Follow(FollowArgs),
    /// Read the records of a stream to standard output
    Tail(TailArgs),
    /// Show the shards of a stream
    Shards(ShardsArgs),
    /// Close a shard of a stream and open two in its place
    Split(SplitArgs),
    /// Close two neighbouring shards of a stream and open one in their place
    Merge(MergeArgs),
    /// Show the registered consumers of a stream
    Consumers(ConsumersArgs),
    /// Register a consumer of a stream, which has a quota of its own
    RegisterConsumer(ConsumerArgs),
    /// Remove a consumer of a stream: who reads for it ends
    DeregisterConsumer(ConsumerArgs),
    /// Delete received messages by their receipts
    Delete(SettleArgs),
    /// Make received messages visible at once, by their receipts
    Release(SettleArgs),
    /// Give a received message another visibility timeout, counted from now
    Extend(ExtendArgs),
    /// Show how many messages wait, are in flight and went through; or what a stream holds
    Stat(StatArgs),
    /// Change the settings of a queue, for all participants at once
    #[command(group = ArgGroup::new("settings").required(true).multiple(true))]
    Set(SetArgs),
    /// Remove all messages
    Purge(PurgeArgs),
    /// Look at messages without receiving them
    Peek(PeekArgs),
    /// Move the messages of a queue of dead letters back to their sources, or to another queue
    Redrive(RedriveArgs),
    /// Make a directory an engine's: then DIR/NAME names a queue or a stream in it
    Init(InitArgs),
    /// List the queues and streams of an engine
    List(ListArgs),
    /// Show the options, tags and figures of a queue or a stream of an engine
    Describe(DescribeArgs),
    /// Delete a queue of an engine, with all its messages
    DeleteQueue(DeleteQueueArgs),
    /// Delete a stream of an engine, with all its records
    DeleteStream(DeleteStreamArgs),
    /// Give a queue or a stream of an engine tags
    Tag(TagArgs),
    /// Take tags from a queue or a stream of an engine
    Untag(UntagArgs),
    /// Look whether every file of an engine, or one queue or stream, is sound
    Verify(VerifyArgs),
    /// Show the queues and streams of an engine on the whole terminal, live
    Top(TopArgs),
    /// Run the main job on this machine's telemetry while workers are killed, and audit it
    Demo(DemoArgs),
    /// Measure the queue cycle on this machine
    Bench(BenchArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write those of all verbs
    Man(ManArgs),
    #[command(hide = true, name = "demo-producer")]
    DemoProducer(ChildArgs),
    #[command(hide = true, name = "demo-worker")]
    DemoWorker(ChildArgs),
    #[command(hide = true, name = "demo-reader")]
    DemoReader(ChildArgs),
}

/// What a new queue is to be like.
#[derive(Debug, Clone, Args)]
pub(super) struct ShapeArgs {
    /// Size of the file
    #[arg(long, visible_alias = "bytes", default_value = "64M", value_parser = size)]
    pub(super) size: u64,
    /// How long a received message stays invisible, 0s to 12h [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = visibility)]
    pub(super) visibility: Option<Duration>,
    /// How old a message may become, 1m to 14d [default: 4d]; a record of a stream, 1s to 365d
    /// [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = retention)]
    pub(super) retention: Option<Duration>,
    /// Largest body that the queue takes [default: the engine's]
    #[arg(long, value_parser = size)]
    pub(super) max_body: Option<u64>,
    /// Body size for which storage is laid out [default: the engine's]
    #[arg(long, value_parser = size)]
    pub(super) typical_body: Option<u64>,
    /// What survives the machine: nothing ("process"), what was done longer ago than a duration
    /// ("50ms"), or all that was acknowledged ("before-ok"); of a queue or a stream
    /// [default: process]
    #[arg(long, value_name = "LEVEL", value_parser = durability)]
    pub(super) durability: Option<Durability>,
}

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// File to make, which must not exist; or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// How long a message stays invisible after its send, 0s to 15m [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    pub(super) delay: Option<Duration>,
    /// How often a message is received before it is a dead letter, 1 to 1000 [default: no bound]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) max_receives: Option<u32>,
    /// The queue of the same engine that takes dead letters
    #[arg(long, value_name = "NAME", requires = "max_receives")]
    pub(super) dead_letters: Option<String>,
    /// A tag, in an engine
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub(super) tags: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) shape: ShapeArgs,
    #[command(flatten)]
    pub(super) fifo: FifoArgs,
    #[command(flatten)]
    pub(super) stream: StreamArgs,
}

/// What a new FIFO queue is to be like.
#[derive(Debug, Clone, Args)]
pub(super) struct FifoArgs {
    /// Make a FIFO queue: exact order in each group, each deduplication id accepted once
    #[arg(long)]
    pub(super) fifo: bool,
    /// Take the SHA-256 of the body for the id of a message that names none
    #[arg(long, requires = "fifo")]
    pub(super) content_dedup: bool,
    /// Within what an id is accepted once [default: queue]
    #[arg(long, requires = "fifo", value_name = "SCOPE")]
    pub(super) dedup_scope: Option<Scope>,
    /// For how long an id is remembered, 1s to 1d [default: 5m]
    #[arg(long, requires = "fifo", value_name = "DURATION", value_parser = duration)]
    pub(super) dedup_interval: Option<Duration>,
    /// How many ids are remembered at once [default: twice the slots]
    #[arg(long, requires = "fifo", value_name = "N")]
    pub(super) dedup_ids: Option<u64>,
    /// How many receives with an attempt id are remembered at once [default: a 16th of the slots]
    #[arg(long, requires = "fifo", value_name = "N")]
    pub(super) attempts: Option<u64>,
    /// Refuse more than 300 calls a second of send, of receive or of delete, as SQS does
    #[arg(long, requires = "fifo")]
    pub(super) quota: bool,
}

/// Within what a deduplication id is accepted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Scope {
    /// The queue, whatever the group
    Queue,
    /// The group
    Group,
}

#[derive(Debug, Args)]
pub(super) struct SendArgs {
    /// File of the queue, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Messages; without any, each line of standard input is one
    pub(super) bodies: Vec<OsString>,
    /// Make the queue if the file does not exist (with the options of `create`)
    #[arg(long)]
    pub(super) create: bool,
    /// How long these messages stay invisible, 0s to 15m [default: the queue's delay]
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    pub(super) delay: Option<Duration>,
    /// An attribute of each message, up to 10: NAME=TEXT, NAME:number=12.5 or NAME:binary=BASE64
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    pub(super) attributes: Vec<Attribute>,
    /// The group of these messages, in a FIFO queue
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Option<String>,
    /// The deduplication id of the message, in a FIFO queue
    #[arg(long, value_name = "ID", requires = "group")]
    pub(super) dedup_id: Option<String>,
    /// Send at most this many messages a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rate: Option<u32>,
    /// Fail when the queue is full (exit status 4), instead of waiting for room
    #[arg(long)]
    pub(super) no_wait: bool,
    /// The delay of a queue that --create makes [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = delay)]
    pub(super) queue_delay: Option<Duration>,
    #[command(flatten)]
    pub(super) shape: ShapeArgs,
    #[command(flatten)]
    pub(super) fifo: FifoArgs,
}

#[derive(Debug, Args)]
pub(super) struct ReceiveArgs {
    /// File of the queue, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Stop after this many messages [default: 1, with --follow: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max: Option<u64>,
    /// Wait this long for the first message
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub(super) wait: Duration,
    /// Delete each message once it is written to standard output
    #[arg(long)]
    pub(super) delete: bool,
    /// Go on until interrupted, or until the reader of the pipe goes away
    #[arg(long)]
    pub(super) follow: bool,
    /// Give this receive of a FIFO queue an id: the same one again, within 5m, receives the same
    /// messages, unless one was deleted or came back. At most 10 of them
    #[arg(long, value_name = "ID", value_parser = attempt_id, conflicts_with = "follow")]
    pub(super) attempt_id: Option<String>,
    /// One JSON object a line: id, receipt, receive_count, sent_ms, first_received_ms, attributes,
    /// body or body_base64
    #[arg(long)]
    pub(super) json: bool,
    /// Sequence number, group and deduplication id, each with a tab, before each body: of a FIFO
    /// queue
    #[arg(long, conflicts_with = "json")]
    pub(super) order: bool,
    /// The receipt and a tab before each body, for delete, release and extend
    #[arg(long, conflicts_with_all = ["json", "delete"])]
    pub(super) receipt: bool,
}

#[derive(Debug, Args)]
pub(super) struct StatArgs {
    /// File of the queue or stream, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Show it each second until interrupted, with rates from the second time on
    #[arg(long)]
    pub(super) watch: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    /// File of the queue, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Receipts; without any, each line of standard input is one
    #[arg(value_name = "RECEIPT", value_parser = receipt)]
    pub(super) receipts: Vec<Receipt>,
}

#[derive(Debug, Args)]
pub(super) struct ExtendArgs {
    /// File of the queue, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Receipt of the message
    #[arg(value_parser = receipt)]
    pub(super) receipt: Receipt,
    /// How long it stays invisible from now on, 0s to 12h, and at most 12h after its receive
    #[arg(value_name = "DURATION", value_parser = visibility)]
    pub(super) visibility: Duration,
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// File of the queue, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// How long a received message stays invisible, 0s to 12h
    #[arg(long, group = "settings", value_name = "DURATION", value_parser = visibility)]
    pub(super) visibility: Option<Duration>,
    /// How old a message may become, 1m to 14d
    #[arg(long, group = "settings", value_name = "DURATION", value_parser = retention)]
    pub(super) retention: Option<Duration>,
    /// How long a message stays invisible after its send, 0s to 15m
    #[arg(long, group = "settings", value_name = "DURATION", value_parser = delay)]
    pub(super) delay: Option<Duration>,
    /// The queue of the same engine that takes dead letters from now on
    #[arg(
        long,
        group = "settings",
        value_name = "NAME",
        requires = "max_receives"
    )]
    pub(super) dead_letters: Option<String>,
    /// How often a message is received before it is a dead letter, 1 to 1000
    #[arg(long, value_name = "N", requires = "dead_letters")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) max_receives: Option<u32>,
    /// Move no dead letters from now on: a message is received as often as it is not deleted
    #[arg(long, group = "settings", conflicts_with = "dead_letters")]
    pub(super) no_dead_letters: bool,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    /// File of the queue, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Do not ask on a terminal
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct PeekArgs {
    /// File of the queue, or DIR/NAME in an engine
    pub(super) path: PathBuf,
    /// Show at most this many messages
    #[arg(long, value_name = "N", default_value = "10")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max: u64,
    /// One JSON object a line: id, state, until_ms, receive_count, sent_ms, attributes, body or
    /// body_base64
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RedriveArgs {
    /// DIR/NAME of a queue of dead letters; DIR with --resume
    pub(super) path: PathBuf,
    /// Move all of them to this queue of the engine
    #[arg(long, value_name = "NAME", conflicts_with_all = ["resume", "cancel", "status"])]
    pub(super) to: Option<String>,
    /// Move at most this many messages a second
    #[arg(long, value_name = "N", default_value = "500")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    #[arg(conflicts_with_all = ["resume", "cancel", "status"])]
    pub(super) rate: u32,
    /// Go on with what somebody has begun and left
    #[arg(long, conflicts_with_all = ["cancel", "status"])]
    pub(super) resume: bool,
    /// End the one that is under way, whoever runs it
    #[arg(long, conflicts_with = "status")]
    pub(super) cancel: bool,
    /// Show the latest ones, and what has become of them
    #[arg(long)]
    pub(super) status: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Directory, empty or to be made
    pub(super) dir: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Directory of the engine
    pub(super) dir: PathBuf,
    /// Only names that begin so
    #[arg(long)]
    pub(super) prefix: Option<String>,
    /// Only queues
    #[arg(long, conflicts_with = "streams")]
    pub(super) queues: bool,
    /// Only streams
    #[arg(long)]
    pub(super) streams: bool,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// DIR/NAME
    pub(super) path: PathBuf,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DeleteQueueArgs {
    /// DIR/NAME
    pub(super) path: PathBuf,
    /// Do not ask on a terminal
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct TagArgs {
    /// DIR/NAME
    pub(super) path: PathBuf,
    /// Tags
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = tag)]
    pub(super) tags: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(super) struct UntagArgs {
    /// DIR/NAME
    pub(super) path: PathBuf,
    /// Keys of tags
    #[arg(value_name = "KEY", required = true)]
    pub(super) keys: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Directory of an engine, or a queue or a stream
    pub(super) path: PathBuf,
    /// One JSON object a finding
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct TopArgs {
    /// Directory of the engine
    pub(super) dir: PathBuf,
    /// How often the figures are looked at
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = interval)]
    pub(super) interval: Duration,
    /// Print one table and end
    #[arg(long)]
    pub(super) once: bool,
    /// One JSON object a line
    #[arg(long, requires = "once")]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How long producers send
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(super) seconds: u32,
    /// One line of JSON on standard output, instead of the summary
    #[arg(long)]
    pub(super) json: bool,
    /// Keep the file of the queue and say where it is
    #[arg(long)]
    pub(super) keep: bool,
    /// Over a FIFO queue with a group for each metric; the audit checks the order of each as well
    #[arg(long)]
    pub(super) fifo: bool,
    /// Over a stream with a partition key for each metric, through splits and merges; the audit
    /// checks the order of each key as well
    #[arg(long, conflicts_with = "fifo")]
    pub(super) stream: bool,
}

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// File for the mapped home; made and removed [default: in shared memory]
    pub(super) path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Write the pages of the program and of each verb into this directory
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) dir: Option<PathBuf>,
}

/// What the demo hands to its children.
#[derive(Debug, Args)]
pub(super) struct ChildArgs {
    pub(super) path: PathBuf,
    pub(super) index: u32,
    pub(super) incarnation: u32,
    pub(super) parent: i32,
    /// Of a producer of a FIFO queue
    #[arg(long)]
    pub(super) outbox: Option<PathBuf>,
    /// Of a producer or reader of a stream
    #[arg(long)]
    pub(super) progress: Option<PathBuf>,
}
