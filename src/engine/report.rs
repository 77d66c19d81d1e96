//! What a verification has found.

use crate::error::Error;
use core::fmt;

/// What [`Engine::verify`](crate::Engine::verify) has found, file by file. Printed, it is a line
/// for each finding, and one that sums up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many queues were looked at.
    pub queues: usize,
    /// How many streams were looked at.
    pub streams: usize,
    /// What is not as it should be, sorted by file.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file, without the directory.
    pub file: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a file of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The engine's marker cannot be used.
    Marker(Error),
    /// The region, or its journal, cannot be used.
    Region(Error),
    /// The metadata cannot be used.
    Metadata(Error),
    /// It has no metadata: its tags, and the name of its queue of dead letters, are lost.
    NoMetadata,
    /// A stream has the name of a queue: files were put there by hand. By its name it is a queue's.
    SameName,
    /// A creation that died: there is nothing in the region. The next operation removes it.
    HalfMade,
    /// A deletion that died. The next operation finishes it.
    HalfDeleted,
    /// A change of where dead letters go that died half-way. `Engine::tend` finishes it.
    HalfChanged,
    /// Metadata without a region: of a creation or a deletion that died. `Engine::tend` removes it.
    MetadataAlone,
    /// A journal or a mirror without a region. `Engine::tend` removes it.
    JournalAlone,
    /// A file whose writer died before it had its name. `Engine::tend` removes it.
    Unnamed,
    /// The queue to which dead letters go does not exist.
    NoTarget {
        /// Its name.
        target: String,
    },
    /// The queue to which dead letters go is another one of that name than it was.
    OtherTarget {
        /// Its name.
        target: String,
    },
    /// The queue to which dead letters go takes shorter bodies than this one.
    ShortTarget {
        /// Its name.
        target: String,
    },
    /// No file of an engine.
    Strange,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Marker(error) | Problem::Region(error) | Problem::Metadata(error) => {
                error.fmt(f)
            }
            Problem::NoMetadata => f.write_str("it has no metadata (.meta)"),
            Problem::SameName => f.write_str("a queue has the same name"),
            Problem::HalfMade => f.write_str("half-made: its creator died before it was whole"),
            Problem::HalfDeleted => f.write_str("half-deleted: its deleter died"),
            Problem::HalfChanged => {
                f.write_str("the change of where its dead letters go died half-way")
            }
            Problem::MetadataAlone => f.write_str("metadata without a queue or stream"),
            Problem::JournalAlone => f.write_str("a journal or mirror without its queue or stream"),
            Problem::Unnamed => f.write_str("half-written: its writer died"),
            Problem::NoTarget { target } => {
                write!(f, "its dead letters go to {target}, which does not exist")
            }
            Problem::OtherTarget { target } => write!(
                f,
                "its dead letters go to {target}, which was deleted and made again"
            ),
            Problem::ShortTarget { target } => write!(
                f,
                "its dead letters go to {target}, which takes shorter bodies"
            ),
            Problem::Strange => f.write_str("no file of an engine"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problem)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        let (queues, streams) = (self.queues, self.streams);
        let findings = self.findings.len();
        write!(
            f,
            "queues: {queues}, streams: {streams}, findings: {findings}"
        )
    }
}
