//! Redrives as they are written down in a queue's card, and as they are told.

use crate::region::shelf::check_name;
use core::fmt;
use std::str::FromStr;

/// How many redrives of a queue are remembered.
pub const TASKS_MAX: usize = 10;
/// The greatest rate, messages a second.
pub const RATE_MAX: u64 = 500;

/// What has become of a redrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedriveState {
    /// It is under way, or waits for somebody to go on with it.
    Running,
    /// It has moved all there was, but for what it had to leave.
    Completed,
    /// Somebody has ended it.
    Cancelled,
    /// Its destination is gone.
    Failed,
}

impl RedriveState {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Running, "running"),
        (Self::Completed, "completed"),
        (Self::Cancelled, "cancelled"),
        (Self::Failed, "failed"),
    ];
}

impl fmt::Display for RedriveState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(state, _)| state == self);
        f.pad(word.map_or("", |(_, word)| word))
    }
}

/// A redrive, as its card has it:
/// `{ id started_ms rate total moved_before moved skipped state destination }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub id: u64,
    pub started_ms: u64,
    pub rate: u64,
    /// Messages that were there when it began.
    pub total: u64,
    /// What the queue had moved, ever, when it began.
    pub moved_before: u64,
    /// What it has moved; of a running one the queue's counter tells.
    pub moved: u64,
    /// What it has left where it was.
    pub skipped: u64,
    pub state: RedriveState,
    /// `None`: each message goes to its source.
    pub destination: Option<String>,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destination = self.destination.as_deref().unwrap_or("-");
        write!(
            f,
            "{:016x} {} {} {} {} {} {} {} {destination}",
            self.id,
            self.started_ms,
            self.rate,
            self.total,
            self.moved_before,
            self.moved,
            self.skipped,
            self.state
        )
    }
}

impl FromStr for Task {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        let &[
            id,
            started,
            rate,
            total,
            before,
            moved,
            skipped,
            state,
            destination,
        ] = words.as_slice()
        else {
            return Err(());
        };
        let number = |word: &str| word.parse::<u64>().map_err(|_| ());
        let state = RedriveState::ALL.iter().find(|(_, word)| *word == state);
        let rate = number(rate)?;
        // Alone, "-" is no name here.
        let named = Some(destination).filter(|name| *name != "-");
        if !(1..=RATE_MAX).contains(&rate) || named.is_some_and(|name| check_name(name).is_err()) {
            return Err(());
        }
        Ok(Self {
            id: u64::from_str_radix(id, 16).map_err(|_| ())?,
            started_ms: number(started)?,
            rate,
            total: number(total)?,
            moved_before: number(before)?,
            moved: number(moved)?,
            skipped: number(skipped)?,
            state: state.ok_or(())?.0,
            destination: named.map(str::to_string),
        })
    }
}

/// A redrive of a queue of dead letters, as it is at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedriveStatus {
    /// Names it.
    pub id: u64,
    /// The queue whose messages it moves.
    pub queue: String,
    /// Where they go; `None`: each to the queue that it came from.
    pub destination: Option<String>,
    /// At most so many messages a second.
    pub rate: u32,
    /// When it began, ms since 1970 by the wall clock.
    pub started_ms: u64,
    /// What has become of it.
    pub state: RedriveState,
    /// How many messages it has moved. A death in it may leave this wrong by one.
    pub moved: u64,
    /// How many it has left where they were: those of no known source, or too long.
    pub skipped: u64,
    /// How many messages were in the queue when it began.
    pub total: u64,
}

impl RedriveStatus {
    /// Of a task of the queue `queue`, which has moved so many messages ever.
    pub(super) fn of(queue: &str, task: Task, moved_ever: u64) -> Self {
        let moved = match task.state {
            RedriveState::Running => moved_ever.saturating_sub(task.moved_before),
            _ => task.moved,
        };
        Self {
            id: task.id,
            queue: queue.into(),
            destination: task.destination,
            rate: task.rate as u32, // at most 500
            started_ms: task.started_ms,
            state: task.state,
            moved,
            skipped: task.skipped,
            total: task.total,
        }
    }
}

impl fmt::Display for RedriveStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.destination.as_deref().unwrap_or("their sources");
        write!(
            f,
            "{} to {to}: {}, {} of {} moved",
            self.queue, self.state, self.moved, self.total
        )?;
        match self.skipped {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_comes_back_and_nonsense_does_not() {
        let task = Task {
            id: u64::MAX,
            started_ms: 1,
            rate: 500,
            total: 2,
            moved_before: 3,
            moved: 4,
            skipped: 5,
            state: RedriveState::Cancelled,
            destination: Some("orders".into()),
        };
        let text = task.to_string();
        assert_eq!(text.parse(), Ok(task.clone()));
        let none = Task {
            destination: None,
            ..task
        };
        assert_eq!(none.to_string().parse(), Ok(none));
        for (from, to) in [
            ("500", "501"),
            ("500", "0"),
            ("cancelled", "gone"),
            ("orders", "or ders"),
            ("orders", "or/ders"),
            ("orders", ""),
            (" 1 ", " -1 "),
            ("ffff", "fffg"),
        ] {
            let nonsense = text.replacen(from, to, 1);
            assert_eq!(nonsense.parse::<Task>(), Err(()), "{nonsense}");
        }
    }
}
