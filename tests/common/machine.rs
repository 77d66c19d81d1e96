//! A machine that stops: all participants gone, another boot, and pages of the region as the kernel
//! happened to write them.

use super::{Dir, Numbers};
use ringmain::Mapped;
use std::fs::File;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where the boot id is.
const BOOT_OFFSET: u64 = 48;
/// Where the section of the queue or stream begins, and how long the line of its configuration is.
pub const SECTION_OFFSET: u64 = 20_480;
const CONFIG_BYTES: u64 = 128;

/// What is on its disk: a queue or a stream.
pub trait Content {
    type Options;
    /// The names of the region, and of the journal or mirror.
    const NAMES: [&'static str; 2];
    /// Bytes of the region that are zero after a stop: what is checked when it is opened.
    const ZEROED: Range<u64> = 0..0;
    /// Bytes of the region that are whole after a stop: words, which a disk does not tear.
    const WHOLE: Range<u64> = 0..0;

    fn create(region: &Mapped, options: Self::Options);
}

/// A queue or stream in a file with another beside it, and what one can do to it.
pub struct Machine<C> {
    dir: Dir,
    numbers: Numbers,
    content: PhantomData<C>,
}

impl<C: Content> Machine<C> {
    fn in_dir(name: &str, seed: u64) -> Self {
        Self {
            dir: Dir::new(name),
            numbers: Numbers(seed),
            content: PhantomData,
        }
    }

    pub fn new(name: &str, bytes: u64, options: C::Options) -> Self {
        let machine = Self::in_dir(name, 1);
        let region = Mapped::create(machine.path(), bytes).expect("a region");
        C::create(&region, options);
        machine
    }

    /// A machine with the files as they are at this moment, whoever uses them.
    pub fn copy(&self, name: &str) -> Self {
        let copy = Self::in_dir(name, 2);
        std::fs::copy(self.path(), copy.path()).expect("the region");
        std::fs::copy(self.companion(), copy.companion()).expect("its companion");
        copy
    }

    pub fn path(&self) -> PathBuf {
        self.dir.file(C::NAMES[0])
    }

    /// The journal or mirror.
    pub fn companion(&self) -> PathBuf {
        self.dir.file(C::NAMES[1])
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

    /// The machine has stopped: another boot id, and whatever in the pages of the section.
    pub fn stop(&mut self) {
        let file = open(&self.path());
        let len = file.metadata().expect("a size").len();
        let zeros = vec![0; (C::ZEROED.end - C::ZEROED.start) as usize];
        let mut whole = vec![0; (C::WHOLE.end - C::WHOLE.start) as usize];
        file.read_exact_at(&mut whole, C::WHOLE.start)
            .expect("what stays whole");
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
        file.write_all_at(&zeros, C::ZEROED.start).expect("zeros");
        file.write_all_at(&whole, C::WHOLE.start)
            .expect("what stays whole");
    }
}

pub fn open(path: &Path) -> File {
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("the file")
}
