//! The fuzz target `ring`: see src/targets/ring.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmain_fuzz::targets::ring::run(data));
