//! Which queue or stream is meant: a file, or `DIR/NAME` where `DIR` is an engine's directory.

use std::path::Path;
use std::sync::Arc;

use super::any::{AnyQueue, AnyRegion};
use super::exit::{Trouble, about};
use super::stream::AnyStream;
use crate::region::shelf::is_fifo_name;
use crate::region::stream::KIND_STREAM;
use crate::{Engine, Error, Mapped, Stream};

/// The file by which a directory is known to be an engine's.
const MARKER: &str = "ringmain.engine";

/// What a path on the command line means.
pub(super) enum Spot<'a> {
    File(&'a Path),
    Named(Engine, String),
}

impl<'a> Spot<'a> {
    /// `DIR/NAME` if there is an engine in `DIR`, and no file of that path; else a file.
    pub(super) fn of(path: &'a Path) -> Result<Self, Trouble> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Self::File(path));
        };
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        if path.is_file() || !dir.join(MARKER).exists() {
            return Ok(Self::File(path));
        }
        let Some(name) = name.to_str() else {
            return Ok(Self::File(path));
        };
        let engine = Engine::open(dir).map_err(about(dir.display()))?;
        Ok(Self::Named(engine, name.to_owned()))
    }

    /// The engine and the name; trouble for a file.
    pub(super) fn named(path: &'a Path) -> Result<(Engine, String), Trouble> {
        match Self::of(path)? {
            Self::Named(engine, name) => Ok((engine, name)),
            Self::File(path) => Err(Trouble::new(format_args!(
                "{}: no queue or stream of an engine; write DIR/NAME, after `ringmain init DIR`",
                path.display()
            ))),
        }
    }
}

/// Opens a queue.
pub(super) fn open(path: &Path) -> Result<AnyQueue, Trouble> {
    let told = about(path.display());
    match Spot::of(path)? {
        Spot::File(file) => Mapped::open(file).and_then(|region| {
            let region: AnyRegion = Arc::new(region);
            AnyQueue::open(region)
        }),
        Spot::Named(engine, name) => open_named(&engine, &name),
    }
    .map_err(told)
}

/// Opens a queue of an engine, of the kind that its name says.
pub(super) fn open_named(engine: &Engine, name: &str) -> Result<AnyQueue, Error> {
    let region: AnyRegion = match is_fifo_name(name) {
        true => engine.open_fifo_queue(name)?.region().clone(),
        false => engine.open_queue(name)?.region().clone(),
    };
    AnyQueue::open(region)
}

/// What was found under a path.
pub(super) enum Found {
    Queue(Box<AnyQueue>),
    Stream(Box<AnyStream>),
}

/// Opens a queue, or a stream to read it, whichever it is.
pub(super) fn find(path: &Path) -> Result<Found, Trouble> {
    let told = about(path.display());
    let found = match Spot::of(path)? {
        Spot::File(file) => Mapped::open(file).and_then(|region| {
            let region: AnyRegion = Arc::new(region);
            match AnyQueue::open(Arc::clone(&region)) {
                Err(Error::Kind {
                    found: KIND_STREAM, ..
                }) => {
                    drop(region);
                    let region: AnyRegion = Arc::new(Mapped::open_for_reading(file)?);
                    Stream::open(region).map(Box::new).map(Found::Stream)
                }
                queue => queue.map(Box::new).map(Found::Queue),
            }
        }),
        Spot::Named(engine, name) => match open_named(&engine, &name) {
            Err(error) if is_of_stream(&error) => read_named_stream(&engine, &name)
                .map(Box::new)
                .map(Found::Stream),
            queue => queue.map(Box::new).map(Found::Queue),
        },
    };
    found.map_err(told)
}

/// Opens a stream.
pub(super) fn open_stream(path: &Path) -> Result<AnyStream, Trouble> {
    open_stream_by(path, |file| Mapped::open(file), open_named_stream)
}

/// Opens a stream to read it: its records are mapped read-only.
pub(super) fn open_stream_for_reading(path: &Path) -> Result<AnyStream, Trouble> {
    open_stream_by(
        path,
        |file| Mapped::open_for_reading(file),
        read_named_stream,
    )
}

fn open_stream_by(
    path: &Path,
    open: impl FnOnce(&Path) -> Result<Mapped, Error>,
    open_named: impl FnOnce(&Engine, &str) -> Result<AnyStream, Error>,
) -> Result<AnyStream, Trouble> {
    let told = about(path.display());
    match Spot::of(path)? {
        Spot::File(file) => open(file).and_then(|region| {
            let region: AnyRegion = Arc::new(region);
            Stream::open(region)
        }),
        Spot::Named(engine, name) => open_named(&engine, &name),
    }
    .map_err(told)
}

/// Opens a stream of an engine to read it.
fn read_named_stream(engine: &Engine, name: &str) -> Result<AnyStream, Error> {
    let region: AnyRegion = engine.open_stream_for_reading(name)?.region().clone();
    Stream::open(region)
}

/// Opens a stream of an engine.
pub(super) fn open_named_stream(engine: &Engine, name: &str) -> Result<AnyStream, Error> {
    let region: AnyRegion = engine.open_stream(name)?.region().clone();
    Stream::open(region)
}

/// Whether what is said of a queue's name leaves it possible that a stream has it.
pub(super) fn is_of_stream(error: &Error) -> bool {
    matches!(
        error,
        Error::Name { .. }
            | Error::Kind {
                found: KIND_STREAM,
                ..
            }
    )
}
