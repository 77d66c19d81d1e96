//! Where the demo's queue or stream lives: a file without a name. With a FIFO queue outboxes too,
//! and with a stream what tells how far who is.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

use super::super::bench::scratch_path;
use super::super::exit::{Trouble, about};
use super::outbox::Outbox;
use super::progress::Progress;
use super::stream;
use crate::face::cli::any::{AnyQueue, AnyRegion};
use crate::{FifoOptions, FifoQueue, Mapped, Queue, QueueOptions, Stream};

const REGION_BYTES: u64 = 8 << 20;
const VISIBILITY: Duration = Duration::from_secs(30);
/// A reading in JSON.
const TYPICAL_BODY: usize = 160;
const MAX_BODY: usize = 1024;

/// With the table of ids beside it.
const FIFO_REGION_BYTES: u64 = 96 << 20;
/// A producer that takes over is there in some milliseconds; so a second time is time enough.
const DEDUP_INTERVAL: Duration = Duration::from_secs(2);
/// As many as are sent in that time at the most.
const DEDUP_IDS: u64 = 512 << 10;

/// What the demo is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Standard,
    /// With so many producers.
    Fifo(u32),
    Stream,
}

/// The thing itself.
pub(super) enum Subject {
    Queue(Box<AnyQueue>),
    Stream(Box<Stream<AnyRegion>>),
}

/// The file, held open; its name is gone already unless it is to be kept.
#[derive(Debug)]
pub(super) struct Place {
    file: File,
    /// Where it stays, with `--keep`.
    pub(super) kept: Option<PathBuf>,
    /// Of the producers of a FIFO queue.
    pub(super) outboxes: Vec<Outbox>,
    /// Of those who use a stream.
    pub(super) progress: Option<Progress>,
}

/// Removes a name on each way out.
struct Name(Option<PathBuf>);

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

impl Place {
    /// Makes the file and what is in it.
    pub(super) fn create(keep: bool, kind: Kind) -> Result<(Self, Subject), Trouble> {
        let path = scratch_path();
        let (bytes, producers) = match kind {
            Kind::Standard => (REGION_BYTES, 0),
            Kind::Fifo(producers) => (FIFO_REGION_BYTES, producers),
            Kind::Stream => (stream::REGION_BYTES, 0),
        };
        let region = Mapped::create(&path, bytes).map_err(about(path.display()))?;
        let region: AnyRegion = Arc::new(region);
        let mut name = Name(Some(path.clone()));
        let subject = match kind {
            Kind::Standard => Queue::create(region, options())
                .map(AnyQueue::Standard)
                .map(Box::new)
                .map(Subject::Queue),
            Kind::Fifo(_) => FifoQueue::create(region, fifo_options())
                .map(AnyQueue::Fifo)
                .map(Box::new)
                .map(Subject::Queue),
            Kind::Stream => stream::create(region).map(Box::new).map(Subject::Stream),
        };
        let subject = subject.map_err(about(path.display()))?;
        let file = File::options().read(true).write(true).open(&path)?;
        // Children find the file under the same descriptor.
        fcntl_setfd(&file, FdFlags::empty())?;
        let kept = if keep { name.0.take() } else { None };
        let outboxes = (0..producers).map(|_| Outbox::create());
        let progress = (kind == Kind::Stream).then(Progress::create);
        let place = Self {
            file,
            kept,
            outboxes: outboxes.collect::<Result<_, _>>()?,
            progress: progress.transpose()?,
        };
        Ok((place, subject))
    }

    /// Records of a stream that are put and that the slowest reader has not read.
    pub(super) fn unread(&self) -> io::Result<u64> {
        self.progress.as_ref().map_or(Ok(0), Progress::unread)
    }

    /// Under which path a child opens the file.
    pub(super) fn path_for_children(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

fn options() -> QueueOptions {
    QueueOptions::new()
        .visibility(VISIBILITY)
        .typical_body(TYPICAL_BODY)
        .max_body(MAX_BODY)
}

fn fifo_options() -> FifoOptions {
    FifoOptions::new()
        .visibility(VISIBILITY)
        .typical_body(TYPICAL_BODY)
        .max_body(MAX_BODY)
        .dedup_interval(DEDUP_INTERVAL)
        .dedup_ids(DEDUP_IDS)
}
