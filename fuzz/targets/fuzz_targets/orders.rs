//! See `remit_fuzz::orders`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| remit_fuzz::orders(data));
