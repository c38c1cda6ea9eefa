//! See `remit_fuzz::statement`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| remit_fuzz::statement(data));
