//! A machine that stops: all participants gone, another boot, and pages of the region as the kernel
//! happened to write them.

use crate::common::{Dir, Numbers};
use ringmain::{Mapped, Queue, QueueOptions};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where the boot id is.
const BOOT_OFFSET: u64 = 48;
/// Where the queue's section begins, and how long the line of its configuration is.
pub const SECTION_OFFSET: u64 = 20_480;
const CONFIG_BYTES: u64 = 128;

/// A journaled queue in a file, and what one can do to it.
pub struct Machine {
    dir: Dir,
    numbers: Numbers,
}

impl Machine {
    pub fn new(name: &str, bytes: u64, options: QueueOptions) -> Self {
        let machine = Self {
            dir: Dir::new(name),
            numbers: Numbers(1),
        };
        let region = Mapped::create(machine.path(), bytes).expect("a region");
        Queue::create(&region, options).expect("a queue");
        machine
    }

    /// A machine with the files as they are at this moment, whoever uses them.
    pub fn copy(&self, name: &str) -> Self {
        let copy = Self {
            dir: Dir::new(name),
            numbers: Numbers(2),
        };
        std::fs::copy(self.path(), copy.path()).expect("the region");
        std::fs::copy(self.journal(), copy.journal()).expect("the journal");
        copy
    }

    pub fn path(&self) -> PathBuf {
        self.dir.file("q.ring")
    }

    pub fn journal(&self) -> PathBuf {
        self.dir.file("q.ring.journal")
    }

    pub fn names(&self) -> Vec<String> {
        self.dir.names()
    }

    pub fn open(&self) -> Mapped {
        Mapped::open(self.path()).expect("the region")
    }

    pub fn boot(&self) -> [u8; 16] {
        let mut boot = [0; 16];
        open(&self.path())
            .read_exact_at(&mut boot, BOOT_OFFSET)
            .expect("a boot id");
        boot
    }

    pub fn set_boot(&self, boot: [u8; 16]) {
        open(&self.path())
            .write_all_at(&boot, BOOT_OFFSET)
            .expect("a boot id");
    }

    /// The machine has stopped: another boot id, and whatever in the pages of the queue.
    pub fn stop(&mut self) {
        let file = open(&self.path());
        let len = file.metadata().expect("a size").len();
        let mut settings = [0; 128];
        file.read_exact_at(&mut settings, SECTION_OFFSET + 640)
            .expect("the settings");
        self.set_boot([7; 16]);
        let mut at = SECTION_OFFSET + CONFIG_BYTES;
        while at + 8 <= len {
            // Some words are left as they were, some are torn.
            if self.numbers.below(4) != 0 {
                let number = self.numbers.next().to_le_bytes();
                file.write_all_at(&number, at).expect("a torn word");
            }
            at += 8 * (1 + self.numbers.below(64));
        }
        // The two words of the section that are checked when it is opened.
        file.write_all_at(&[0; 128], SECTION_OFFSET + 384)
            .expect("the waiters' line");
        file.write_all_at(&[0; 128], SECTION_OFFSET + 512)
            .expect("the seldom line");
        // Whole words, old or new: a disk does not tear them.
        file.write_all_at(&settings, SECTION_OFFSET + 640)
            .expect("the settings");
    }
}

pub fn open(path: &Path) -> File {
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("the file")
}
