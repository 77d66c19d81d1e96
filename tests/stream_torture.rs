//! The torture of streams: writers and readers, each a process, over one mapped stream whose small
//! rings come round and round; killed at any moment and begun anew. Each reader has to see each
//! record of each writer once, in order and whole, but for what it was told to be lost. `--help`
//! tells the options; `stream_torture/reader.rs` tells what must hold.
#![cfg_attr(ringmain_loom, allow(unused))]
#![allow(clippy::disallowed_types)] // boards that processes share; the rule is for the library

#[cfg(not(ringmain_loom))]
mod common;
#[cfg(not(ringmain_loom))]
#[path = "stream_torture"]
mod stream_torture {
    #[path = "../fifo_torture/ambush.rs"]
    pub mod ambush;
    pub mod board;
    pub mod conductor;
    pub mod options;
    #[path = "../torture/os.rs"]
    #[allow(dead_code)] // the other torture uses more of it
    pub mod os;
    pub mod reader;
    pub mod run;
    pub mod writer;

    use super::common;
}

/// Nothing to do under the model checker.
#[cfg(ringmain_loom)]
fn main() {}

#[cfg(not(ringmain_loom))]
fn main() -> std::process::ExitCode {
    match stream_torture::options::Options::read(std::env::args().skip(1)) {
        Ok(options) => stream_torture::run::run(&options),
        Err((text, status)) => {
            println!("{text}");
            std::process::ExitCode::from(status)
        }
    }
}
