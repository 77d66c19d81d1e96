//! Journals that are not as they must be.

use crate::common::Dir;
use crate::machine::{Machine, open};
use ringmain::{Durability, Error, Mapped, Queue, QueueOptions};
use std::os::unix::fs::FileExt;

const SAFE: QueueOptions = QueueOptions::new().durability(Durability::BeforeOk);

fn error_of(machine: &Machine) -> Error {
    Mapped::open(machine.path())
        .map(|_| ())
        .expect_err("no journal")
}

#[test]
fn a_journal_that_is_missing_foreign_damaged_or_short() {
    let machine = Machine::new("refusals", 1 << 17, SAFE);
    assert_eq!(machine.names(), ["q.ring", "q.ring.journal"]);
    let aside = machine.journal().with_extension("aside");

    std::fs::rename(machine.journal(), &aside).expect("a rename");
    let problem = "is missing (region.journal)";
    assert_eq!(error_of(&machine), Error::Journal { problem });

    let other = Machine::new("refusals-other", 1 << 17, SAFE);
    std::fs::copy(other.journal(), machine.journal()).expect("a copy");
    let problem = "belongs to another region";
    assert_eq!(error_of(&machine), Error::Journal { problem });

    std::fs::copy(&aside, machine.journal()).expect("a copy");
    let journal = open(&machine.journal());
    for offset in [0, 12, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104] {
        let mut byte = [0];
        journal.read_exact_at(&mut byte, offset).expect("a byte");
        journal
            .write_all_at(&[byte[0] ^ 1], offset)
            .expect("a byte");
        let problem = "is damaged: its first page";
        assert_eq!(error_of(&machine), Error::Journal { problem }, "{offset}");
        journal.write_all_at(&byte, offset).expect("a byte");
    }
    for found in [1u32, 4, 6] {
        journal
            .write_all_at(&found.to_le_bytes(), 8)
            .expect("a version");
        let supported = 5;
        assert_eq!(error_of(&machine), Error::Version { found, supported });
    }
    journal
        .write_all_at(&5u32.to_le_bytes(), 8)
        .expect("a version");
    let len = journal.metadata().expect("a size").len();
    journal.set_len(len - 1).expect("a cut");
    let (found, expected) = (len - 1, len);
    assert_eq!(error_of(&machine), Error::Truncated { found, expected });
    journal.set_len(len).expect("a length");
    machine.open();
}

#[test]
fn a_file_in_the_way_is_not_removed() {
    let dir = Dir::new("refusals-way");
    let region = Mapped::create(dir.file("q"), 1 << 17).expect("a region");
    std::fs::write(dir.file("q.journal"), b"somebody's diary").expect("a file");
    assert!(matches!(
        Queue::create(&region, SAFE),
        Err(Error::Journal { .. })
    ));
    assert_eq!(
        std::fs::read(dir.file("q.journal")).expect("the file"),
        b"somebody's diary"
    );
    std::fs::remove_file(dir.file("q.journal")).expect("gone");
    Queue::create(&region, SAFE).expect("a queue");
}
