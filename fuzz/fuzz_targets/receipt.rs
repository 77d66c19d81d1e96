//! The fuzz target `receipt`: see src/targets/receipt.rs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ringmain_fuzz::targets::receipt::run(data));
