//! `ringmain create`, and how the other commands open a queue.

use std::path::Path;
use std::time::Duration;

use super::args::{CreateArgs, ShapeArgs};
use super::exit::{Exit, Trouble, about};
use crate::{Error, Mapped, Queue, QueueOptions};

/// Makes a queue in a new file.
pub(super) fn run(args: &CreateArgs) -> Result<Exit, Trouble> {
    let options = options(&args.shape, args.delay)?;
    let region = Mapped::create(&args.path, args.shape.size).map_err(about(args.path.display()))?;
    match Queue::create(region, options) {
        Ok(_) => Ok(Exit::Done),
        Err(error) => {
            // The file is ours and holds no queue: nothing half-made stays behind.
            let _ = std::fs::remove_file(&args.path);
            Err(about(args.path.display())(error))
        }
    }
}

/// Opens the queue in an existing file.
pub(super) fn open(path: &Path) -> Result<Queue<Mapped>, Trouble> {
    let region = Mapped::open(path).map_err(about(path.display()))?;
    Queue::open(region).map_err(about(path.display()))
}

/// Opens the queue in a file, whatever its options are; makes both if there is no file.
pub(super) fn open_or_create(
    path: &Path,
    shape: &ShapeArgs,
    delay: Option<Duration>,
) -> Result<Queue<Mapped>, Trouble> {
    let region = match Mapped::open(path) {
        Err(Error::NotFound) => Mapped::open_or_create(path, shape.size),
        other => other,
    };
    let region = region.map_err(about(path.display()))?;
    // Somebody else may be making it at this moment: then there is a file, but no queue yet.
    match Queue::open(&region) {
        Ok(_) => Queue::open(region),
        Err(Error::Vacant) => Queue::open_or_create(region, options(shape, delay)?),
        Err(error) => Err(error),
    }
    .map_err(about(path.display()))
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
