//! The command line of `follow`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use regex::bytes::Regex;

use crate::face::cli::stream::args::key_regex;
use crate::face::cli::values::interval;

#[derive(Debug, Args)]
pub(in crate::face::cli) struct FollowArgs {
    /// Files whose lines become records, and last the file of the stream, or DIR/NAME in an engine
    #[arg(value_name = "FILE", required = true, num_args = 2..)]
    pub(super) paths: Vec<PathBuf>,
    /// The partition key, 1 to 256 characters; with --key-regex or --key-file that of lines in
    /// which those find none
    #[arg(long, required_unless_present_any = ["key_regex", "key_file"])]
    pub(super) key: Option<String>,
    /// Take the first group of this regular expression in a line for its partition key; without a
    /// group all that it finds
    #[arg(long, value_name = "RE", value_parser = key_regex)]
    pub(super) key_regex: Option<Regex>,
    /// The name of its file is a line's partition key
    #[arg(long, conflicts_with_all = ["key", "key_regex"])]
    pub(super) key_file: bool,
    /// Where it is noted how far each file has been put [default: beside the stream's file, with
    /// .follow behind its name]
    #[arg(long, value_name = "PATH")]
    pub(super) state: Option<PathBuf>,
    /// Begin a file of which nothing is noted at its end
    #[arg(long)]
    pub(super) from_end: bool,
    /// Go on with what is noted of another stream
    #[arg(long)]
    pub(super) adopt: bool,
    /// Read to the end and end; a last line without its newline is put too
    #[arg(long)]
    pub(super) once: bool,
    /// End at a line that cannot be put, instead of telling and passing over it
    #[arg(long)]
    pub(super) strict: bool,
    /// A carriage return before the newline is no part of the line
    #[arg(long)]
    pub(super) crlf: bool,
    /// How long a file that was renamed has to be quiet until the next one is read
    #[arg(long, default_value = "2s", value_name = "DURATION", value_parser = interval)]
    pub(super) linger: Duration,
    /// How often files are looked at where the kernel does not tell of changes
    #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = interval)]
    pub(super) interval: Duration,
    /// One JSON object at the end: lines, bytes, refused, unknown, lost, rotations, truncations,
    /// lag_bytes
    #[arg(long)]
    pub(super) json: bool,
}
