//! The fuzz target `stream`: see src/targets/stream.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmain_fuzz::targets::stream::run(data));
