//! A batch: lines of a file, put in rounds until none is left.

use std::time::Duration;

use super::agent::Figures;
use super::args::FollowArgs;
use super::state::{DONE, LEFT, Noted, NotedBatch, State};
use super::watch::Watch;
use crate::face::cli::exit::Trouble;
use crate::face::cli::output::note;
use crate::face::cli::stop::Stop;
use crate::face::cli::stream::{AnyStream, key_of};
use crate::{Error, Fate, Put, ShardId, StreamEntry, StreamSequence};

/// The most lines of a batch.
pub(super) const LINES_MAX: usize = 500;
/// A batch ends behind the line with which it has so many bytes.
const BYTES: usize = 4 << 20;
/// How long to rest when a shard is full: doubled each time.
const REST: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];
/// How long the kernel may take to tell of the death of who has held the state's lock.
const DEATH_MS: u64 = 10_000;

/// What batches are put with.
pub(super) struct Desk<'a> {
    pub(super) stream: &'a AnyStream,
    pub(super) args: &'a FollowArgs,
    pub(super) state: State,
    pub(super) noted: Noted,
    pub(super) figures: Figures,
    pub(super) stop: Stop,
    pub(super) watch: Watch,
}

/// The first lines of whole ones: as many as a batch has.
pub(super) fn first(bytes: &[u8]) -> &[u8] {
    let mut end = 0;
    for _ in 0..LINES_MAX {
        match memchr::memchr(b'\n', &bytes[end..]) {
            Some(at) => end += at + 1,
            None => end = bytes.len(),
        }
        if end == bytes.len() || end >= BYTES {
            break;
        }
    }
    &bytes[..end]
}

/// The lines of a batch, without what ends them.
fn lines(bytes: &[u8], crlf: bool) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    if bytes.ends_with(b"\n") || bytes.is_empty() {
        lines.pop();
    }
    if crlf {
        for line in &mut lines {
            *line = line.strip_suffix(b"\r").unwrap_or(line);
        }
    }
    lines
}

impl Desk<'_> {
    /// Asks what became of a batch that somebody has left, and notes it there.
    pub(super) fn settle(&mut self, batch: &mut NotedBatch, foreign: bool) -> Result<(), Trouble> {
        for (part, (shard, sequence)) in batch.parts.iter().enumerate() {
            let put = Put {
                shard: ShardId::from_number(*shard),
                sequence: StreamSequence::from_u64(*sequence),
            };
            let fate = match foreign {
                true => Fate::Unknown,
                false => self.fate(put)?,
            };
            let mine = batch.lines.iter_mut().filter(|of| **of == part as u8);
            let is_put = fate == Fate::Record;
            let mut count = 0;
            for of in mine {
                *of = if is_put { DONE } else { LEFT };
                count += 1;
            }
            if matches!(fate, Fate::Unknown | Fate::Unclaimed) {
                self.figures.unknown += count;
                note(format_args!(
                    "{count} lines were about to be put when the program ended, and nobody can \
                     tell any more whether they were: they are put, perhaps for the second time"
                ));
            }
        }
        batch.parts.clear();
        for of in &mut batch.lines {
            if *of != DONE {
                *of = LEFT;
            }
        }
        Ok(())
    }

    /// What became of a claim of somebody who is dead: the lock of the state says so.
    fn fate(&self, put: Put) -> Result<Fate, Trouble> {
        for _ in 0..DEATH_MS {
            match self.stream.fate(put)? {
                // The kernel has let go of one lock and is about to let go of the other.
                Fate::Claimed => {
                    self.stream.tend()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                fate => return Ok(fate),
            }
        }
        Err(Trouble::new(
            "what the program has claimed in the stream is still claimed: somebody else has its \
             attachment. Nothing was put",
        ))
    }

    /// Puts the lines of `bytes`, which begin at the mark of the file `file`: all of them, or as
    /// far as it gets before it is asked to stop. Whether all.
    pub(super) fn put(
        &mut self,
        file: usize,
        of_file: &str,
        bytes: &[u8],
        left: Option<NotedBatch>,
    ) -> Result<bool, Trouble> {
        let (args, stream) = (self.args, self.stream);
        let lines = lines(bytes, args.crlf);
        let mut batch = left.unwrap_or_else(|| NotedBatch {
            file,
            end: self.noted.files[file].mark.offset + bytes.len() as u64,
            hash: crate::hash::xxh3_64(bytes),
            parts: Vec::new(),
            lines: vec![LEFT; lines.len()],
        });
        let mut rest = REST[0];
        loop {
            let mut entries: Vec<StreamEntry<'_>> = Vec::with_capacity(lines.len());
            let mut numbers: Vec<usize> = Vec::with_capacity(lines.len());
            for (n, line) in lines.iter().enumerate() {
                if batch.lines[n] != LEFT {
                    continue;
                }
                match key(args, of_file, line) {
                    Ok(key) => {
                        entries.push(StreamEntry::new(key, *line));
                        numbers.push(n);
                    }
                    Err(words) => {
                        self.refuse(file, words)?;
                        batch.lines[n] = DONE;
                    }
                }
            }
            if entries.is_empty() {
                return Ok(true);
            }
            let (mut taken, mut bad, mut wait) = (Vec::new(), Vec::new(), None);
            let mut trouble = None;
            let prepared = stream.prepare(&entries, |n, outcome| match outcome {
                Ok(put) => taken.push((numbers[n], put.shard.number())),
                Err(error @ (Error::PartitionKey { .. } | Error::DataTooLong { .. })) => {
                    bad.push((numbers[n], error));
                }
                Err(Error::ProvisionedThroughputExceeded { wait_ms, .. }) => {
                    wait = Some(Duration::from_millis(wait_ms.clamp(1, 1000)));
                }
                Err(Error::Full | Error::SegmentInUse { .. } | Error::ShardReserved { .. }) => {
                    wait = Some(rest)
                }
                Err(error) => trouble = Some(error),
            })?;
            if let Some(error) = trouble {
                return Err(error.into());
            }
            let parts = prepared.parts();
            batch.parts = parts
                .map(|put| (put.shard.number(), put.sequence.as_u64()))
                .collect();
            if !taken.is_empty() {
                for (n, shard) in &taken {
                    let part = batch.parts.iter().position(|(of, _)| of == shard);
                    batch.lines[*n] = part.map_or(LEFT, |part| part as u8);
                }
                self.noted.batch = Some(batch.clone());
                self.state.note(&self.noted)?;
                prepared.commit()?;
                for (n, _) in &taken {
                    batch.lines[*n] = DONE;
                    self.figures.put(lines[*n].len());
                }
                batch.parts.clear();
                self.noted.batch = Some(batch.clone());
                rest = REST[0];
            } else {
                drop(prepared);
            }
            for (n, error) in bad {
                batch.lines[n] = DONE;
                self.refuse(file, &error.to_string())?;
            }
            if self.stop.asked() && batch.lines.contains(&LEFT) {
                return Ok(false);
            }
            if let Some(wait) = wait.filter(|_| taken.is_empty()) {
                self.watch.rest(wait)?;
                rest = (rest * 2).min(REST[1]);
            }
        }
    }

    /// Tells of a line that cannot be put.
    pub(super) fn refuse(&mut self, file: usize, words: &str) -> Result<(), Trouble> {
        let text = format!(
            "{}: a line is passed over: {words}",
            self.noted.files[file].path
        );
        if self.args.strict {
            return Err(Trouble::new(text.replace("passed over", "not put")));
        }
        self.figures.refused += 1;
        note(text);
        Ok(())
    }
}

/// The key of a line: where none is found that can be one, the one of the command line.
fn key<'k>(
    args: &'k FollowArgs,
    of_file: &'k str,
    line: &'k [u8],
) -> Result<&'k str, &'static str> {
    if args.key_file {
        return Ok(of_file);
    }
    let given = args.key.as_deref();
    match (key_of(args.key_regex.as_ref(), given, line), given) {
        (Ok(found), Some(given)) if found.is_empty() || found.chars().count() > 256 => Ok(given),
        (Err(_), Some(given)) => Ok(given),
        (found, _) => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_batch() {
        assert_eq!(lines(b"a\r\n\nb\n", true), [&b"a"[..], b"", b"b"]);
        assert_eq!(lines(b"a\r\nb", false), [&b"a\r"[..], b"b"]);
        assert_eq!(lines(b"\n", false), [b""]);
        let many = b"x\n".repeat(LINES_MAX + 3);
        assert_eq!(first(&many).len(), 2 * LINES_MAX);
        assert_eq!(first(b"a\nb"), b"a\nb");
    }
}
