//! See `remit_fuzz::answers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| remit_fuzz::answers(data));
