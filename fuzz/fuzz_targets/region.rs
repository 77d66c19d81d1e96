//! The fuzz target `region`: see src/targets/region.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmain_fuzz::targets::region::run(data));
