//! A followed file: which file has the path, which one is read, and what is there to be read.
//!
//! A file is read to its end; if another one has the path by then, and it has been quiet for a
//! while, what came after it is next. That is looked for beside the path, so parts that came and
//! went between two looks, or while the program was not there, are read too (`names`). A file that
//! is shorter than it was, or has other bytes before the place, was cut short; if a copy lies
//! beside it, that is read to its end first.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::mark::{Id, Mark};
use super::names::{LOOKS_MAX, beside, is_part};
use super::watch::Watch;
use crate::face::cli::exit::{Trouble, about};
use crate::face::cli::output::note;
use crate::hash::xxh3_64;

/// How much is read at once.
const CHUNK_BYTES: usize = 1 << 20;
/// The most bytes that somebody was about to put.
const AHEAD_BYTES_MAX: u64 = 32 << 20;
/// Times of a directory that are so close may be one.
const TICK: Duration = Duration::from_millis(50);

/// What there is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filled {
    /// Nothing, or no whole line.
    Nothing,
    /// So many bytes: whole lines, or the last one without its newline.
    Lines(usize),
    /// A line that is too long: where the next one begins.
    TooLong(u64),
    /// The file was cut short.
    Cut,
}

/// What has the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    This,
    Another,
    Nobody,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Its name, as text.
    pub(super) key: String,
    pub(super) mark: Option<Mark>,
    file: Option<File>,
    watch: Option<i32>,
    directory: Option<i32>,
    /// When the directory was read.
    listed: Option<SystemTime>,
    /// In the bytes between the place and here there is no newline.
    scanned: u64,
    /// What somebody was about to put: where it ends, and the hash of its bytes. They are known
    /// again too.
    pub(super) ahead: Option<(u64, u64)>,
    /// Since when a file that has no path any more has brought nothing.
    pub(super) quiet: Option<Instant>,
    /// How often it was cut short, and how often what was there could not be found again.
    pub(super) cuts: u64,
    pub(super) lost: u64,
}

impl Source {
    pub(super) fn new(path: &Path, mark: Option<Mark>) -> Result<Self, Trouble> {
        let path = std::path::absolute(path).map_err(about(path.display()))?;
        let Some(name) = path.file_name() else {
            return Err(Trouble::new(format_args!("{}: no file", path.display())));
        };
        Ok(Self {
            key: name.to_string_lossy().into_owned(),
            path,
            mark,
            file: None,
            watch: None,
            directory: None,
            listed: None,
            scanned: 0,
            ahead: None,
            quiet: None,
            cuts: 0,
            lost: 0,
        })
    }

    /// The path, as text that names no other.
    pub(super) fn text(&self) -> String {
        self.path.as_os_str().as_bytes().escape_ascii().to_string()
    }

    /// Whether the kernel tells of changes.
    pub(super) fn is_watched(&self) -> bool {
        self.directory.is_some() && (self.file.is_none() || self.watch.is_some())
    }

    /// Bytes behind the place.
    pub(super) fn lag(&self) -> u64 {
        let size = self.file.as_ref().and_then(|file| file.metadata().ok());
        let offset = self.mark.as_ref().map_or(0, |mark| mark.offset);
        size.map_or(0, |about| about.len().saturating_sub(offset))
    }

    /// Opens what is to be read, if it is there.
    pub(super) fn open(&mut self, watch: &Watch, from_end: bool) -> Result<bool, Trouble> {
        if self.directory.is_none() {
            let dir = self.path.parent();
            self.directory = dir.and_then(|dir| watch.directory(dir));
        }
        if self.file.is_some() {
            return Ok(true);
        }
        let told = about(self.path.display().to_string());
        let found = match self.mark.take() {
            Some(mark) => self.find_again(mark),
            None => opened(&self.path).and_then(|file| {
                let Some(file) = file else { return Ok(None) };
                let offset = if from_end { file.metadata()?.len() } else { 0 };
                let mark = Mark::at(&file, offset)?;
                Ok(Some((file, mark)))
            }),
        };
        let Some((file, mark)) = found.map_err(told)? else {
            return Ok(false);
        };
        self.take(watch, file, mark);
        Ok(true)
    }

    fn take(&mut self, watch: &Watch, file: File, mark: Mark) {
        if let Some(old) = self.watch.take() {
            watch.forget(old);
        }
        self.watch = watch.file(&file);
        (self.scanned, self.quiet, self.listed) = (mark.offset, None, None);
        (self.file, self.mark) = (Some(file), Some(mark));
    }

    /// Finds the file of a mark, wherever it lies by now.
    fn find_again(&mut self, mut mark: Mark) -> io::Result<Option<(File, Mark)>> {
        let mut cut = false;
        for _ in 0..LOOKS_MAX {
            let (all, id) = (beside(&self.path), mark.id);
            let same = all.iter().filter(|(_, of, _)| *of == id);
            let mut moved = false;
            for (path, _, _) in same {
                let Some(file) = opened_as(path, id)? else {
                    moved = true;
                    continue;
                };
                if mark.fits(&file)? && self.has_ahead(&file, &mark)? {
                    return Ok(Some((file, mark)));
                }
                cut = true;
            }
            if cut || !moved {
                break;
            }
        }
        self.elsewhere(mark, cut)
    }

    /// Goes on where the bytes of a mark are not in its own file any more.
    fn elsewhere(&mut self, mut mark: Mark, cut: bool) -> io::Result<Option<(File, Mark)>> {
        self.cuts += u64::from(cut);
        if (mark.offset > 0 || self.ahead.is_some())
            && let Some((id, file)) = self.copy_of(&mut mark)?
        {
            if cut {
                mark.learn(&[id]); // copies that are younger are of what came later
            }
            mark.adopt(id);
            return Ok(Some((file, mark)));
        }
        let path = self.path.display();
        if !cut {
            self.lost += 1;
            note(format_args!(
                "{path}: the file that was read last is gone; what stood in it behind byte {} was \
                 not put",
                mark.offset
            ));
            return self.after(&mark);
        }
        note(format_args!(
            "{path}: it was cut short, and there is no copy; what was not put by then is gone"
        ));
        let Some(file) = opened(&self.path)? else {
            return Ok(None);
        };
        let mark = Mark::at(&file, 0)?;
        Ok(Some((file, mark)))
    }

    /// The youngest part that has the bytes before a mark.
    fn copy_of(&self, mark: &mut Mark) -> io::Result<Option<(Id, File)>> {
        for _ in 0..LOOKS_MAX {
            let mut moved = false;
            for (id, path) in self.parts().into_iter().rev() {
                if id == mark.id {
                    continue;
                }
                let Some(file) = opened_as(&path, id)? else {
                    moved = true;
                    continue;
                };
                if mark.fits(&file)? && self.has_ahead(&file, mark)? {
                    return Ok(Some((id, file)));
                }
            }
            if !moved {
                break;
            }
        }
        Ok(None)
    }

    /// Older parts that lie beside the path, the oldest first.
    fn parts(&self) -> Vec<(Id, PathBuf)> {
        let of = self.path.file_name().unwrap_or(OsStr::new(""));
        let mut parts = beside(&self.path);
        parts.retain(|(path, _, _)| path.file_name().is_some_and(|name| is_part(of, name)));
        parts.sort_by(|a, b| (a.1.born, a.2, &b.0).cmp(&(b.1.born, b.2, &a.0)));
        parts.into_iter().map(|(path, id, _)| (id, path)).collect()
    }

    /// What came after the file of a mark.
    fn after(&self, mark: &Mark) -> io::Result<Option<(File, Mark)>> {
        for _ in 0..LOOKS_MAX {
            // Before the parts are looked for: if it has lost the path by then, it is one of them,
            // behind those that are older.
            let latest = match opened(&self.path)? {
                Some(file) => Some((Id::of(&file.metadata()?), file)),
                None => None,
            };
            let mut parts = self.parts().into_iter();
            let part = parts.find(|(id, _)| mark.is_before(*id));
            let file = match (part, latest) {
                (Some((id, path)), _) => match opened_as(&path, id)? {
                    Some(file) => file,
                    None => continue, // it was given another name
                },
                (None, Some((id, file))) if id != mark.id => file,
                _ => return Ok(None),
            };
            let mut next = Mark::at(&file, 0)?;
            if mark.since > next.since {
                (next.since, next.seen) = (mark.since, mark.seen.clone());
            }
            next.seen.push(mark.id);
            return Ok(Some((file, next)));
        }
        Ok(None)
    }

    /// Goes to the next file; whether there is one.
    pub(super) fn go_on(&mut self, watch: &Watch) -> Result<bool, Trouble> {
        let told = about(self.path.display().to_string());
        let Some(mark) = &self.mark else {
            return Ok(false);
        };
        match self.after(mark).map_err(told)? {
            Some((file, mark)) => self.take(watch, file, mark),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// What has the path now.
    pub(super) fn holder(&mut self) -> Result<Holder, Trouble> {
        let told = about(self.path.display().to_string());
        let id = match fs::metadata(&self.path) {
            Ok(about) => Id::of(&about),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
            Err(error) => return Err(told(error)),
        };
        if self.mark.as_ref().is_none_or(|mark| mark.id != id) {
            return Ok(Holder::Another);
        }
        self.learn();
        Ok(Holder::This)
    }

    /// Notes which older parts there are while the file that is read has the path.
    fn learn(&mut self) {
        let dir = self.path.parent().and_then(|dir| fs::metadata(dir).ok());
        let changed = dir.and_then(|about| about.modified().ok());
        if let (Some(listed), Some(changed)) = (self.listed, changed)
            && changed + TICK < listed
        {
            return;
        }
        let listed = SystemTime::now();
        let ids: Vec<Id> = self.parts().iter().map(|(id, _)| *id).collect();
        let still = fs::metadata(&self.path).map(|about| Id::of(&about)).ok();
        if let Some(mark) = &mut self.mark
            && still == Some(mark.id)
        {
            mark.learn(&ids);
            self.listed = Some(listed);
        }
    }

    /// Goes on after the file was cut short.
    pub(super) fn after_cut(&mut self, watch: &Watch) -> Result<bool, Trouble> {
        let told = about(self.path.display().to_string());
        self.file = None;
        let Some(mark) = self.mark.take() else {
            return Ok(false);
        };
        match self.elsewhere(mark, true).map_err(told)? {
            Some((file, mark)) => self.take(watch, file, mark),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Reads what is behind the place, lines of up to `max` bytes. `ended`: nothing will come
    /// behind the last line, so it needs no newline.
    pub(super) fn fill(
        &mut self,
        buffer: &mut Vec<u8>,
        max: usize,
        ended: bool,
    ) -> Result<Filled, Trouble> {
        let told = about(self.path.display().to_string());
        self.fill_plainly(buffer, max, ended).map_err(told)
    }

    fn fill_plainly(
        &mut self,
        buffer: &mut Vec<u8>,
        max: usize,
        ended: bool,
    ) -> io::Result<Filled> {
        let (Some(file), Some(mark)) = (&self.file, &mut self.mark) else {
            return Ok(Filled::Nothing);
        };
        // The newline counts, and a carriage return.
        let most = CHUNK_BYTES.max(max + 2);
        let mut filled = Filled::Nothing;
        if self.scanned <= mark.offset + most as u64 {
            if self.scanned > mark.offset && !ended {
                // Of a line that grows slowly nothing is read twice.
                buffer.resize(CHUNK_BYTES, 0);
                let n = read_at(file, buffer, self.scanned)?;
                if memchr::memchr(b'\n', &buffer[..n]).is_none() && n < CHUNK_BYTES {
                    self.scanned += n as u64;
                    let fits = mark.fits(file)?;
                    return Ok(if fits { filled } else { Filled::Cut });
                }
            }
            buffer.resize(most, 0);
            let n = read_at(file, buffer, mark.offset)?;
            filled = match memchr::memrchr(b'\n', &buffer[..n]) {
                Some(at) => Filled::Lines(at + 1),
                None if n == most => Filled::TooLong(0),
                None if ended && n > 0 => Filled::Lines(n),
                None => Filled::Nothing,
            };
            self.scanned = mark.offset + n as u64;
        }
        if filled == Filled::TooLong(0) || self.scanned > mark.offset + most as u64 {
            filled = Filled::Nothing;
            loop {
                let n = read_at(file, buffer, self.scanned)?;
                if let Some(at) = memchr::memchr(b'\n', &buffer[..n]) {
                    filled = Filled::TooLong(self.scanned + at as u64 + 1);
                    break;
                }
                self.scanned += n as u64;
                if n == 0 {
                    if ended {
                        filled = Filled::TooLong(self.scanned);
                    }
                    break;
                }
            }
        }
        // Behind the read: what was read before a cut is what stood there.
        match mark.fits(file)? {
            true => Ok(filled),
            false => Ok(Filled::Cut),
        }
    }

    /// Passes over a line.
    pub(super) fn jump(&mut self, offset: u64) -> Result<(), Trouble> {
        if let (Some(file), Some(mark)) = (&self.file, &mut self.mark) {
            let told = about(self.path.display());
            mark.jump(file, offset).map_err(told)?;
            self.scanned = offset;
        }
        Ok(())
    }

    /// Passes over bytes that were read at the place.
    pub(super) fn pass(&mut self, bytes: &[u8]) {
        if let Some(mark) = &mut self.mark {
            mark.pass(bytes);
            self.scanned = self.scanned.max(mark.offset);
        }
    }

    /// Whether the bytes behind the place of a mark are those that somebody was about to put.
    fn has_ahead(&self, file: &File, mark: &Mark) -> io::Result<bool> {
        Ok(self.ahead.is_none() || self.read_ahead(file, mark)?.is_some())
    }

    fn read_ahead(&self, file: &File, mark: &Mark) -> io::Result<Option<Vec<u8>>> {
        let Some((end, hash)) = self.ahead else {
            return Ok(None);
        };
        let Some(len) = end.checked_sub(mark.offset) else {
            return Ok(None);
        };
        if len > AHEAD_BYTES_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; len as usize];
        match file.read_exact_at(&mut bytes, mark.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        Ok((xxh3_64(&bytes) == hash).then_some(bytes))
    }

    /// The bytes that somebody was about to put, if they are there.
    pub(super) fn take_ahead(&mut self) -> io::Result<Option<Vec<u8>>> {
        let bytes = match (&self.file, &self.mark) {
            (Some(file), Some(mark)) => self.read_ahead(file, mark)?,
            _ => None,
        };
        self.ahead = None;
        Ok(bytes)
    }
}

/// Opens a regular file; `None` if there is none.
fn opened(path: &Path) -> io::Result<Option<File>> {
    let gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    };
    // Before it is opened: that could wait for ever at a pipe.
    match fs::metadata(path) {
        Err(error) => gone(error),
        Ok(about) if !about.is_file() => Err(io::Error::other("no regular file")),
        Ok(_) => File::open(path).map(Some).or_else(gone),
    }
}

/// Opens a file by the path that it had a moment ago; `None` if it has it no more.
fn opened_as(path: &Path, id: Id) -> io::Result<Option<File>> {
    let Some(file) = opened(path)? else {
        return Ok(None);
    };
    let is_it = Id::of(&file.metadata()?) == id;
    Ok(is_it.then_some(file))
}

/// Reads until the buffer is full or the file ends.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read_at(&mut buffer[len..], at + len as u64) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
