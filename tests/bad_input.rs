//! Bad input: files that are missing, foreign, empty, cut short, too new, of another kind, damaged,
//! read-only or forbidden; full disks; sizes, batches, timeouts and options out of range; many who
//! create one file at once. Each gets its own error, whose words name the limit or both versions;
//! nothing panics, nothing half-made stays behind, and nothing in the queue changes.
#![cfg(all(feature = "mapped", not(ringmain_loom)))]

mod common;
mod ground;

#[path = "bad_input/access.rs"]
mod access;
#[path = "bad_input/creation.rs"]
mod creation;
#[path = "bad_input/damage.rs"]
mod damage;
#[path = "bad_input/field.rs"]
mod field;
#[path = "bad_input/fields.rs"]
mod fields;
#[path = "bad_input/files.rs"]
mod files;
#[cfg(feature = "fifo")]
#[path = "bad_input/groups.rs"]
mod groups;
#[path = "bad_input/hints.rs"]
mod hints;
#[path = "bad_input/limits.rs"]
mod limits;
#[cfg(feature = "stream")]
#[path = "bad_input/mirrors.rs"]
mod mirrors;
#[path = "bad_input/truncation.rs"]
mod truncation;
