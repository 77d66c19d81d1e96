//! The fuzz target `stream_region`: see src/targets/stream_region.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmain_fuzz::targets::stream_region::run(data));
