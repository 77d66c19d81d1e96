//! The fuzz target `journal`: see src/targets/journal.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmain_fuzz::targets::journal::run(data));
