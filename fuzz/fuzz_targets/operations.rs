//! The fuzz target `operations`: see src/targets/operations.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmain_fuzz::targets::operations::run(data));
