//! `ringmain create`, and how the other commands open a queue.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::any::{AnyQueue, AnyRegion};
use super::args::{CreateArgs, FifoArgs, Scope, SendArgs, ShapeArgs};
use super::envelope::Envelope;
use super::exit::{Exit, Trouble, about};
use super::spot::{self, Spot};
use super::stream;
use crate::region::shelf::is_fifo_name;
use crate::{
    DedupScope, Engine, Error, FifoOptions, FifoQueue, Mapped, Queue, QueueOptions, QueueSpec,
};

/// Makes a queue in a new file.
pub(super) fn run(args: &CreateArgs) -> Result<Exit, Trouble> {
    if args.stream.stream {
        return stream::create(args);
    }
    let mut options = options(&args.shape, args.delay)?;
    if let Some(receives) = args.max_receives {
        options = options.max_receives(receives);
    }
    if let Spot::Named(engine, name) = Spot::of(&args.path)? {
        return named(&engine, &name, args, options);
    }
    if args.dead_letters.is_some() || !args.tags.is_empty() {
        let text = "dead letters and tags are for queues of an engine: DIR/NAME";
        return Err(Trouble::new(text));
    }
    let region = Mapped::create(&args.path, args.shape.size).map_err(about(args.path.display()))?;
    let made = match args.fifo.fifo {
        true => FifoQueue::create(region, fifo(&args.fifo, options)).map(drop),
        false => Queue::create(region, options).map(drop),
    };
    match made {
        Ok(()) => Ok(Exit::Done),
        Err(error) => {
            // The file is ours and holds no queue: nothing half-made stays behind.
            let _ = std::fs::remove_file(&args.path);
            Err(about(args.path.display())(error))
        }
    }
}

/// Makes a queue of an engine.
fn named(
    engine: &Engine,
    name: &str,
    args: &CreateArgs,
    options: QueueOptions,
) -> Result<Exit, Trouble> {
    let told = about(args.path.display());
    if is_there(engine, name)? {
        return Err(told(Error::Exists));
    }
    let made = match args.fifo.fifo {
        true => {
            let spec = completed(QueueSpec::fifo(fifo(&args.fifo, options)), args);
            engine.create_fifo_queue(name, &spec).map(drop)
        }
        false => {
            let spec = completed(QueueSpec::new().options(options), args);
            engine.create_queue(name, &spec).map(drop)
        }
    };
    made.map_err(told)?;
    Ok(Exit::Done)
}

/// Whether a queue or a stream has this name.
pub(super) fn is_there(engine: &Engine, name: &str) -> Result<bool, Error> {
    let names = [engine.queues(name)?, engine.streams(name)?];
    Ok(names.iter().flatten().any(|there| there == name))
}

/// What queues of both kinds are made with.
fn completed<O>(spec: QueueSpec<O>, args: &CreateArgs) -> QueueSpec<O> {
    let mut spec = spec.bytes(args.shape.size);
    if let (Some(target), Some(receives)) = (&args.dead_letters, args.max_receives) {
        spec = spec.dead_letters(target, receives);
    }
    for (key, value) in &args.tags {
        spec = spec.tag(key, value);
    }
    spec
}

/// Opens an existing queue.
pub(super) fn open(path: &Path) -> Result<AnyQueue, Trouble> {
    spot::open(path)
}

/// Opens the queue in a file or of an engine, whatever its options are; makes it if there is none,
/// and if what is to be sent goes with its kind. It is a FIFO queue if `--fifo` or its name in the
/// engine says so.
pub(super) fn open_or_create(
    args: &SendArgs,
    envelope: &Envelope<'_>,
) -> Result<AnyQueue, Trouble> {
    let told = about(args.path.display());
    let options = || options(&args.shape, args.queue_delay);
    if let Spot::Named(engine, name) = Spot::of(&args.path)? {
        let there = match spot::open_named(&engine, &name) {
            Err(Error::NoQueue) => {
                let is_fifo = args.fifo.fifo || is_fifo_name(&name);
                envelope.check(is_fifo)?;
                let made = match is_fifo {
                    true => {
                        let spec = QueueSpec::fifo(fifo(&args.fifo, options()?));
                        let spec = spec.bytes(args.shape.size);
                        engine.create_fifo_queue(&name, &spec).map(drop)
                    }
                    false => {
                        let spec = QueueSpec::new().options(options()?);
                        engine
                            .create_queue(&name, &spec.bytes(args.shape.size))
                            .map(drop)
                    }
                };
                made.and_then(|()| spot::open_named(&engine, &name))
            }
            there => there,
        };
        return there.map_err(told);
    }
    let region = match Mapped::open(&args.path) {
        Err(Error::NotFound) => {
            envelope.check(args.fifo.fifo)?;
            Mapped::open_or_create(&args.path, args.shape.size)
        }
        other => other,
    };
    let region: AnyRegion = match region {
        Ok(region) => Arc::new(region),
        Err(error) => return Err(told(error)),
    };
    // Somebody else may be making it at this moment: then there is a file, but no queue yet.
    match AnyQueue::open(Arc::clone(&region)) {
        Err(Error::Vacant) if args.fifo.fifo => {
            let options = fifo(&args.fifo, options()?);
            FifoQueue::open_or_create(region, options).map(AnyQueue::Fifo)
        }
        Err(Error::Vacant) => Queue::open_or_create(region, options()?).map(AnyQueue::Standard),
        outcome => outcome,
    }
    .map_err(told)
}

/// The options of a FIFO queue; the first ones are those of a standard one.
fn fifo(args: &FifoArgs, queue: QueueOptions) -> FifoOptions {
    let mut options = FifoOptions::new()
        .with_queue(queue)
        .content_dedup(args.content_dedup)
        .quota(args.quota);
    if args.dedup_scope == Some(Scope::Group) {
        options = options.dedup_scope(DedupScope::Group);
    }
    if let Some(interval) = args.dedup_interval {
        options = options.dedup_interval(interval);
    }
    if let Some(ids) = args.dedup_ids {
        options = options.dedup_ids(ids);
    }
    if let Some(attempts) = args.attempts {
        options = options.attempts(attempts);
    }
    options
}

fn options(shape: &ShapeArgs, delay: Option<Duration>) -> Result<QueueOptions, Trouble> {
    let bytes = |n: u64| usize::try_from(n).map_err(|_| Trouble::new("size beyond this machine"));
    let mut options = QueueOptions::new();
    if let Some(visibility) = shape.visibility {
        options = options.visibility(visibility);
    }
    if let Some(retention) = shape.retention {
        options = options.retention(retention);
    }
    if let Some(delay) = delay {
        options = options.delay(delay);
    }
    if let Some(max) = shape.max_body {
        options = options.max_body(bytes(max)?);
    }
    if let Some(typical) = shape.typical_body {
        options = options.typical_body(bytes(typical)?);
    }
    if let Some(level) = shape.durability {
        options = options.durability(level);
    }
    Ok(options)
}
