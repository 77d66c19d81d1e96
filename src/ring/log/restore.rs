//! Making a log again as it was, in memory whose headers are zero and which nobody else uses.

use super::Log;
use super::word::{Header, Position, State};
use crate::sync::Ordering;

impl Log<'_> {
    /// Makes so many granules of one segment a record, or padding.
    pub fn restore_run(&self, at: Position, granules: u32, is_record: bool) {
        let state = match is_record {
            true => State::Committed,
            false => State::Padding,
        };
        if let (Some(word), Some(_)) = (self.header(at), self.behind(at, granules)) {
            let header = Header::new(state, 0, granules, at.lap());
            word.store(header.0, Ordering::Relaxed);
        }
    }

    /// Says where the log begins, a start of a segment, and where it ends.
    pub fn restore_ends(&self, floor: Position, tail: Position, is_closed: bool) {
        let positions = self.positions;
        for (word, at) in [
            (&positions.tail, tail),
            (&positions.floor, floor),
            (&positions.freed, floor),
            (&positions.settled, self.shape.start(tail)),
        ] {
            word.store(at.0, Ordering::Relaxed);
        }
        if let Some(word) = self.header(tail).filter(|_| is_closed) {
            let end = Header::new(State::End, 0, 1, tail.lap());
            word.store(end.0, Ordering::Relaxed);
        }
    }
}
