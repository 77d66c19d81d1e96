//! Looking at every file of an engine. Nothing is changed.

use super::handle::Engine;
use super::meta::{Meta, Target};
use super::report::{Finding, Problem, Report};
use crate::error::Error;
#[cfg(feature = "mapped")]
use crate::region::Mapped;
use crate::region::policy::DEAD_LETTERS;
use crate::region::shelf::{Held, Home, Look, Shelf, State, check_name};
use crate::time::Clock;
#[cfg(feature = "mapped")]
use std::path::Path;

/// What a file of an engine is, by its name.
enum Sort<'a> {
    Marker,
    Region(Held, &'a str),
    Metadata(Held, &'a str),
    Journal(Held, &'a str),
    Unnamed,
    Strange,
}

impl<'a> Sort<'a> {
    fn of(file: &'a str) -> Self {
        let of = |held: Held, end: &str| {
            let name = file.strip_suffix(end);
            name.filter(|name| held.check_name(name).is_ok())
        };
        if file == "ringmain.engine" {
            Self::Marker
        } else if file.ends_with(".new") {
            Self::Unnamed
        } else if let Some(name) = of(Held::Queue, ".queue") {
            Self::Region(Held::Queue, name)
        } else if let Some(name) = of(Held::Queue, ".meta") {
            Self::Metadata(Held::Queue, name)
        } else if let Some(name) = of(Held::Queue, ".queue.journal") {
            Self::Journal(Held::Queue, name)
        } else if let Some(name) = of(Held::Stream, ".stream.mirror") {
            Self::Journal(Held::Stream, name)
        } else if let Some(name) = of(Held::Stream, ".stream") {
            Self::Region(Held::Stream, name)
        } else if let Some(name) = of(Held::Stream, ".stream.meta") {
            Self::Metadata(Held::Stream, name)
        } else {
            Self::Strange
        }
    }
}

/// Looks at the files of a shelf, in a turn. `marker`: what is wrong with the marker.
fn survey<S: Shelf>(shelf: &S, marker: Option<Error>) -> Result<Report, Error> {
    let mut report = Report {
        queues: 0,
        streams: 0,
        findings: Vec::new(),
    };
    for file in shelf.files()? {
        let alone = |held, name| matches!(shelf.state(held, name), Ok(State::Absent));
        let problem = match Sort::of(&file) {
            Sort::Marker => marker.clone().map(Problem::Marker),
            Sort::Region(Held::Queue, name) => {
                report.queues += 1;
                let state = shelf.look(name).map(|look| look.state);
                problem_of(shelf, Held::Queue, name, state)
            }
            Sort::Region(Held::Stream, name) => {
                report.streams += 1;
                look_at_stream(shelf, name)
            }
            Sort::Metadata(held, name) if alone(held, name) => Some(Problem::MetadataAlone),
            Sort::Metadata(held, name) => match (metadata(shelf, held, name), held) {
                (Ok(Some(meta)), Held::Queue) => look_at_target(shelf, name, meta),
                (Ok(_), _) => None, // or removed just now, by somebody without a turn
                (Err(error), _) => Some(Problem::Metadata(error)),
            },
            Sort::Journal(held, name) if alone(held, name) => Some(Problem::JournalAlone),
            Sort::Journal(..) => None, // looked at with its region
            Sort::Unnamed => Some(Problem::Unnamed),
            Sort::Strange => Some(Problem::Strange),
        };
        let finding = |problem| Finding { file, problem };
        report.findings.extend(problem.map(finding));
    }
    Ok(report)
}

fn metadata<S: Shelf>(shelf: &S, held: Held, name: &str) -> Result<Option<Meta>, Error> {
    let card = shelf.card(held, name)?;
    card.map(|card| Meta::parse(held, &card)).transpose()
}

/// What is wrong with a region that was looked at.
fn problem_of<S: Shelf>(
    shelf: &S,
    held: Held,
    name: &str,
    state: Result<State, Error>,
) -> Option<Problem> {
    match state {
        Err(error) => Some(Problem::Region(error)),
        Ok(State::Absent | State::Vacant) => Some(Problem::HalfMade),
        Ok(State::Deleted) => Some(Problem::HalfDeleted),
        Ok(State::Ready { .. }) => {
            let none = matches!(shelf.card(held, name), Ok(None));
            none.then_some(Problem::NoMetadata)
        }
    }
}

/// A library without streams knows that there is one, and no more.
fn look_at_stream<S: Shelf>(shelf: &S, name: &str) -> Option<Problem> {
    let queue = shelf.state(Held::Queue, name);
    if check_name(name).is_ok() && !matches!(queue, Ok(State::Absent)) {
        return Some(Problem::SameName);
    }
    #[cfg(feature = "stream")]
    return problem_of(shelf, Held::Stream, name, shelf.look_at_stream(name));
    #[cfg(not(feature = "stream"))]
    None
}

/// Compares what the metadata say of dead letters with the settings, and with the target.
fn look_at_target<S: Shelf>(shelf: &S, name: &str, meta: Meta) -> Option<Problem> {
    let ready = |look: &Look| matches!(look.state, State::Ready { .. });
    let source = shelf.look(name).ok().filter(ready)?; // else found at the region
    let set = source.policy[DEAD_LETTERS];
    if meta.dead_letters.as_ref().map_or(0, |target| target.id) != set {
        return Some(Problem::HalfChanged);
    }
    let Target { name, id, .. } = meta.dead_letters?;
    let target = name;
    match shelf.look(&target) {
        Err(Error::NotFound) => Some(Problem::NoTarget { target }),
        Err(_) => None, // found at the target
        Ok(look) if !ready(&look) => Some(Problem::NoTarget { target }),
        Ok(look) if look.id != id => Some(Problem::OtherTarget { target }),
        Ok(look) => {
            let short = look.body_bytes_max < source.body_bytes_max;
            short.then_some(Problem::ShortTarget { target })
        }
    }
}

impl<H: Home, C: Clock> Engine<H, C> {
    /// Looks at every file of the engine: each region and journal is checked as if it were opened,
    /// each card is read; what deaths have left is told, and dead letters that go nowhere.
    /// Nothing is changed.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`], [`Error::NotAnEngine`], and what the operating system says when the
    /// directory is read. What is wrong with a file is in the report.
    ///
    /// # Progress
    ///
    /// Waits for other changes of the engine, and lets nobody make one meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringmain::{Engine, Heap, QueueSpec};
    ///
    /// let engine = Engine::<Heap>::in_memory();
    /// engine.create_queue("orders", &QueueSpec::new())?;
    /// let report = engine.verify()?;
    /// assert!(report.is_clean(), "{report}");
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn verify(&self) -> Result<Report, Error> {
        let shelf = &self.shared.shelf;
        shelf.turn(|| survey(shelf, None))
    }
}

#[cfg(feature = "mapped")]
impl Engine<Mapped> {
    /// [`verify`](Engine::verify) for a directory whose marker may be damaged as well.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Engine::verify); [`Error::NotFound`], [`Error::Permission`].
    ///
    /// # Examples
    ///
    /// ```
    /// # let dir = format!("ringmain-doc-verify-{}", std::process::id());
    /// # let dir = std::env::temp_dir().join(dir);
    /// use ringmain::Engine;
    ///
    /// Engine::create(&dir)?;
    /// println!("{}", Engine::verify_dir(&dir)?);
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ringmain::Error>(())
    /// ```
    pub fn verify_dir(dir: impl AsRef<Path>) -> Result<Report, Error> {
        let (shelf, damage) = crate::region::mapped::Directory::survey(dir.as_ref())?;
        shelf.turn(|| survey(&shelf, damage.clone()))
    }
}
