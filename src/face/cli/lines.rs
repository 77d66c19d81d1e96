//! Lines of bytes out of a file descriptor, in big reads, without holding a line back.

use std::io::{self, Read};
use std::ops::Range;

const READ_BYTES: usize = 256 << 10;

/// What [`Lines::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A line without its newline; [`Lines::bytes`] turns the range into bytes.
    Line(Range<usize>),
    /// A line longer than the limit; its bytes are gone.
    TooLong,
    /// No whole line is here yet: [`Lines::fill`] reads more, and makes earlier ranges invalid.
    NeedsInput,
    /// The input is over.
    End,
}

/// Splits an input into lines of at most a given length.
///
/// The buffer holds what one read brought; it grows only when a single line needs more, and never
/// beyond the limit. A longer line is stepped over in pieces.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    scanned: usize,
    line_bytes_max: usize,
    ended: bool,
    skipping: bool,
    number: u64,
}

impl<R: Read> Lines<R> {
    /// Lines of `input` of at most `line_bytes_max` bytes.
    pub(super) fn new(input: R, line_bytes_max: usize) -> Self {
        Self {
            input,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            scanned: 0,
            line_bytes_max,
            ended: false,
            skipping: false,
            number: 0,
        }
    }

    /// Number of the line that `next` returned last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The bytes of a line that was found since the last [`fill`](Self::fill).
    pub(super) fn bytes(&self, line: Range<usize>) -> &[u8] {
        &self.buffer[line]
    }

    /// The next whole line that is already here.
    pub(super) fn next(&mut self) -> Found {
        let newline = memchr::memchr(b'\n', &self.buffer[self.scanned..self.end]);
        let line = match newline {
            Some(at) => {
                let stop = self.scanned + at;
                let line = self.start..stop;
                self.start = stop + 1;
                line
            }
            None if !self.ended => {
                self.scanned = self.end;
                return self.check_tail();
            }
            None if self.start == self.end && !self.skipping => return Found::End,
            None => {
                let line = self.start..self.end;
                self.start = self.end;
                line
            }
        };
        self.scanned = self.start;
        self.number += 1;
        if std::mem::take(&mut self.skipping) || line.len() > self.line_bytes_max {
            return Found::TooLong;
        }
        Found::Line(line)
    }

    /// Drops the part of an over-long line that is here.
    fn check_tail(&mut self) -> Found {
        if self.skipping || self.end - self.start > self.line_bytes_max {
            self.skipping = true;
            self.start = self.end;
        }
        Found::NeedsInput
    }

    /// Reads once more. Blocks until something comes; ranges found before are invalid afterwards.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.scanned -= self.start;
        self.start = 0;
        if self.buffer.len() - self.end < READ_BYTES / 4 {
            self.buffer.resize(self.end + READ_BYTES, 0);
        }
        let n = loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.ended = n == 0;
        self.end += n;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its parts one a read.
    struct Parts(std::vec::IntoIter<&'static [u8]>);

    impl Read for Parts {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let part = self.0.next().unwrap_or(b"");
            into[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }

    fn all(parts: Vec<&'static [u8]>, max: usize) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(Parts(parts.into_iter()), max);
        let mut found = Vec::new();
        loop {
            match lines.next() {
                Found::Line(range) => found.push(Some(lines.bytes(range).to_vec())),
                Found::TooLong => found.push(None),
                Found::NeedsInput => lines.fill().expect("reads from memory"),
                Found::End => return found,
            }
        }
    }

    fn line(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_over_reads() {
        let found = all(vec![b"a\nb", b"c\n\nd"], 10);
        assert_eq!(found, [line("a"), line("bc"), line(""), line("d")]);
        assert_eq!(all(vec![b"a\n"], 10), [line("a")]);
        assert_eq!(all(vec![], 10), []);
    }

    #[test]
    fn long_lines_are_stepped_over() {
        let found = all(vec![b"abc\nabcd\nab", b"cd", b"ef\nxyz\n"], 3);
        assert_eq!(found, [line("abc"), None, None, line("xyz")]);
        assert_eq!(all(vec![b"abcd", b"e"], 3), [None]);
    }

    #[test]
    fn bytes_are_bytes() {
        assert_eq!(all(vec![b"\xff\x00\r\n"], 10), [Some(vec![0xff, 0, b'\r'])]);
    }
}
