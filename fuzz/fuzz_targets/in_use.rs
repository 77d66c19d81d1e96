//! The fuzz target `in_use`: see src/targets/in_use.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmain_fuzz::targets::in_use::run(data));
