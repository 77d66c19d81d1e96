//! The agent: goes from file to file, and waits when nothing is there.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;

use super::args::FollowArgs;
use super::batch::{Desk, first};
use super::source::{Filled, Holder, Source};
use super::state::{LEFT, Noted, NotedBatch, NotedFile, State};
use super::watch::Watch;
use crate::face::cli::exit::{Exit, Trouble, about};
use crate::face::cli::output::{self, note, say};
use crate::face::cli::spot::{self, Spot};
use crate::face::cli::stop::Stop;

/// Where a region has its random name.
const NONCE_AT: u64 = 24;

/// What is told at the end.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    /// Lines that were passed over.
    pub(super) refused: u64,
    /// Lines that perhaps were put twice.
    pub(super) unknown: u64,
    /// Lines, or files of which nobody knows how many, that could not be read again.
    pub(super) lost: u64,
    pub(super) rotations: u64,
    pub(super) truncations: u64,
    /// Bytes that are there and not put.
    pub(super) lag_bytes: u64,
    #[serde(skip)]
    progress: Option<ProgressBar>,
}

impl Figures {
    /// A line was put.
    pub(super) fn put(&mut self, bytes: usize) {
        self.lines += 1;
        self.bytes += bytes as u64;
        if let Some(progress) = &self.progress {
            progress.inc(1);
        }
    }
}

/// What became of a file for now.
enum Served {
    /// There may be more.
    Busy,
    /// Nothing is there; look again after so long, if nothing tells of a change.
    Idle(Option<Duration>),
    /// It was asked to stop.
    Stopped,
}

/// Follows until it is asked to stop; with `--once` to the ends.
pub(in crate::face::cli) fn run(args: &FollowArgs) -> Result<Exit, Trouble> {
    let (to, files) = match args.paths.split_last() {
        Some((to, files)) if !files.is_empty() => (to, files),
        _ => return Err(Trouble::with_exit(Exit::Usage, "write FILE and a stream")),
    };
    let stop = Stop::on_signals()?;
    let stream = spot::open_stream(to)?;
    let region = region_of(to)?;
    let state = args.state.clone().unwrap_or_else(|| {
        let mut name = region.clone().into_os_string();
        name.push(".follow");
        name.into()
    });
    let (state, noted) = State::open(&state)?;
    let nonce = nonce_of(&region).map_err(about(region.display()))?;
    let mut noted = noted.unwrap_or(Noted {
        stream: nonce,
        ..Noted::default()
    });
    let foreign = noted.stream != nonce;
    if foreign && !args.adopt {
        return Err(Trouble::new(format_args!(
            "{}: what is noted is of another stream (deleted and made again?); --adopt goes on \
             from there in this one",
            to.display()
        )));
    }
    noted.stream = nonce;
    let left = noted.batch.take();
    let quiet = args.json || !io::stderr().is_terminal();
    let desk = Desk {
        stream: &stream,
        args,
        state,
        noted,
        figures: Figures {
            progress: (!quiet).then(|| output::progress("lines put")),
            ..Figures::default()
        },
        stop,
        watch: Watch::new()?,
    };
    let mut agent = Agent {
        desk,
        sources: Vec::new(),
        places: Vec::new(),
        buffer: Vec::new(),
        changed: false,
    };
    agent.begin(files)?;
    let done = agent.all(left, foreign);
    if let Some(progress) = agent.desk.figures.progress.take() {
        progress.finish_and_clear();
    }
    let told = agent.tell();
    done?;
    told
}

/// The file of a stream.
fn region_of(path: &Path) -> Result<PathBuf, Trouble> {
    Ok(match Spot::of(path)? {
        Spot::File(file) => file.to_owned(),
        Spot::Named(_, name) => path.with_file_name(format!("{name}.stream")),
    })
}

fn nonce_of(region: &Path) -> io::Result<u64> {
    let mut nonce = [0; 8];
    File::open(region)?.read_exact_at(&mut nonce, NONCE_AT)?;
    Ok(u64::from_le_bytes(nonce))
}

struct Agent<'a> {
    desk: Desk<'a>,
    sources: Vec<Source>,
    /// Of each source the place of its file in what is noted, once it has been found.
    places: Vec<Option<usize>>,
    buffer: Vec<u8>,
    /// What is noted is not what is written down.
    changed: bool,
}

impl Agent<'_> {
    fn begin(&mut self, files: &[PathBuf]) -> Result<(), Trouble> {
        for path in files {
            let mut source = Source::new(path, None)?;
            let text = source.text();
            let mut others = self.sources.iter();
            if others.any(|other| other.path == source.path) {
                return Err(Trouble::new(format_args!("{text}: it is named twice")));
            }
            let place = self.desk.noted.files.iter().position(|of| of.path == text);
            source.mark = place.map(|place| self.desk.noted.files[place].mark.clone());
            self.sources.push(source);
            self.places.push(place);
        }
        Ok(())
    }

    /// Opens a source, if its file is there. Whether it is.
    fn open(&mut self, n: usize) -> Result<bool, Trouble> {
        let source = &mut self.sources[n];
        if !source.open(&self.desk.watch, self.desk.args.from_end)? {
            return Ok(false);
        }
        self.remember(n);
        Ok(true)
    }

    /// Takes over where a source is.
    fn remember(&mut self, n: usize) {
        let source = &self.sources[n];
        let Some(mark) = &source.mark else { return };
        let files = &mut self.desk.noted.files;
        match self.places[n] {
            Some(place) if files[place].mark == *mark => return,
            Some(place) => files[place].mark = mark.clone(),
            None => {
                self.places[n] = Some(files.len());
                files.push(NotedFile {
                    path: source.text(),
                    mark: mark.clone(),
                });
            }
        }
        self.changed = true;
    }

    fn all(&mut self, left: Option<NotedBatch>, foreign: bool) -> Result<(), Trouble> {
        if let Some(left) = left
            && !self.finish(left, foreign)?
        {
            return self.note();
        }
        loop {
            let (mut busy, mut wait): (bool, Option<Duration>) = (false, None);
            for n in 0..self.sources.len() {
                if self.desk.stop.asked() {
                    return self.note();
                }
                match self.serve(n)? {
                    Served::Busy => busy = true,
                    Served::Idle(next) => {
                        wait = match (wait, next) {
                            (Some(wait), Some(next)) => Some(wait.min(next)),
                            (wait, next) => wait.or(next),
                        }
                    }
                    Served::Stopped => return self.note(),
                }
            }
            if busy {
                continue;
            }
            self.note()?;
            if self.desk.args.once {
                return Ok(());
            }
            self.desk.watch.wait(wait)?;
        }
    }

    /// Writes down what is noted.
    fn note(&mut self) -> Result<(), Trouble> {
        if std::mem::take(&mut self.changed) {
            self.desk.state.note(&self.desk.noted)?;
        }
        Ok(())
    }

    /// Finishes a batch that somebody has left. Whether all of it.
    fn finish(&mut self, mut left: NotedBatch, foreign: bool) -> Result<bool, Trouble> {
        self.desk.settle(&mut left, foreign)?;
        self.changed = true;
        let unread = left.lines.iter().filter(|of| **of == LEFT).count() as u64;
        let path = self.desk.noted.files[left.file].path.clone();
        let source = self
            .places
            .iter()
            .position(|place| *place == Some(left.file));
        let Some(n) = source else {
            return Err(Trouble::new(format_args!(
                "{path}: {unread} of its lines were about to be put when the program ended: name \
                 it among the files"
            )));
        };
        self.sources[n].ahead = Some((left.end, left.hash));
        self.open(n)?;
        let bytes = self.sources[n].take_ahead().map_err(about(&path))?;
        let lines = left.lines.len();
        let same = bytes.filter(|bytes| {
            let ends = memchr::memchr_iter(b'\n', bytes).count();
            ends + usize::from(!bytes.ends_with(b"\n") && !bytes.is_empty()) == lines
        });
        let Some(bytes) = same else {
            self.desk.figures.lost += unread;
            if unread > 0 {
                note(format_args!(
                    "{path}: {unread} lines were about to be put when the program ended, and \
                     cannot be read again"
                ));
            }
            return Ok(true);
        };
        self.batch(n, &bytes, Some(left))
    }

    /// Puts a batch of a source. Whether all of it.
    fn batch(&mut self, n: usize, bytes: &[u8], left: Option<NotedBatch>) -> Result<bool, Trouble> {
        let Some(place) = self.places[n] else {
            return Ok(true);
        };
        self.changed = true;
        let key = self.sources[n].key.clone();
        if !self.desk.put(place, &key, bytes, left)? {
            return Ok(false);
        }
        self.desk.noted.batch = None;
        self.sources[n].pass(bytes);
        self.remember(n);
        Ok(true)
    }

    /// Puts what a file has now.
    fn serve(&mut self, n: usize) -> Result<Served, Trouble> {
        if !self.open(n)? {
            return Ok(Served::Idle(self.interval(n)));
        }
        if let Some(served) = self.read(n, false)? {
            return Ok(served);
        }
        let (once, linger) = (self.desk.args.once, self.desk.args.linger);
        let source = &mut self.sources[n];
        match source.holder()? {
            Holder::This | Holder::Nobody => {
                source.quiet = None;
                self.remember(n);
                if once && let Some(served) = self.read(n, true)? {
                    return Ok(served);
                }
                Ok(Served::Idle(self.interval(n)))
            }
            Holder::Another => {
                let since = source.quiet.get_or_insert_with(Instant::now).elapsed();
                if since < linger && !once {
                    let left = linger - since;
                    return Ok(Served::Idle(Some(match self.interval(n) {
                        Some(interval) => left.min(interval),
                        None => left,
                    })));
                }
                // Nothing will come behind its last line.
                if let Some(served) = self.read(n, true)? {
                    return Ok(served);
                }
                if !self.sources[n].go_on(&self.desk.watch)? {
                    return Ok(Served::Idle(self.interval(n)));
                }
                self.desk.figures.rotations += 1;
                self.remember(n);
                Ok(Served::Busy)
            }
        }
    }

    /// Reads and puts a chunk of a file; `None` if there is none.
    fn read(&mut self, n: usize, ended: bool) -> Result<Option<Served>, Trouble> {
        let max = self.desk.stream.data_bytes_max();
        let mut buffer = std::mem::take(&mut self.buffer);
        let filled = self.sources[n].fill(&mut buffer, max, ended)?;
        let served = match filled {
            Filled::Nothing => None,
            Filled::Lines(len) => {
                self.sources[n].quiet = None;
                let mut bytes = &buffer[..len];
                let mut served = Served::Busy;
                while !bytes.is_empty() {
                    let batch = first(bytes);
                    bytes = &bytes[batch.len()..];
                    if !self.batch(n, batch, None)? || self.desk.stop.asked() {
                        served = Served::Stopped;
                        break;
                    }
                }
                Some(served)
            }
            Filled::TooLong(end) => {
                if let Some(place) = self.places[n] {
                    let words = format!("it is over the limit of {max} bytes");
                    self.desk.refuse(place, &words)?;
                }
                self.sources[n].jump(end)?;
                self.remember(n);
                Some(Served::Busy)
            }
            Filled::Cut => {
                let found = self.sources[n].after_cut(&self.desk.watch)?;
                self.remember(n);
                Some(match found {
                    true => Served::Busy,
                    false => Served::Idle(self.interval(n)),
                })
            }
        };
        self.buffer = buffer;
        Ok(served)
    }

    /// How long to wait for a change of a file at most.
    fn interval(&self, n: usize) -> Option<Duration> {
        let interval = self.desk.args.interval;
        (!self.sources[n].is_watched()).then_some(interval)
    }

    /// Tells what was done.
    fn tell(&mut self) -> Result<Exit, Trouble> {
        let once = self.desk.args.once;
        let figures = &mut self.desk.figures;
        for source in &self.sources {
            figures.lag_bytes += source.lag();
            figures.truncations += source.cuts;
            figures.lost += source.lost;
            if once && source.mark.is_none() {
                figures.lost += 1;
                note(format_args!("{}: it is not there", source.path.display()));
            }
        }
        match self.desk.args.json {
            true => say(serde_json::to_string(figures)?)?,
            false => note(format_args!(
                "{} lines put, {} bytes; {} passed over, {} perhaps twice, {} lost; {} bytes are \
                 left",
                figures.lines,
                figures.bytes,
                figures.refused,
                figures.unknown,
                figures.lost,
                figures.lag_bytes
            )),
        }
        Ok(match figures.refused + figures.unknown + figures.lost {
            0 => Exit::Done,
            _ => Exit::Failed,
        })
    }
}
