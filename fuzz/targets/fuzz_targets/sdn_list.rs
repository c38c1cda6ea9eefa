//! See `remit_fuzz::sdn_list`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| remit_fuzz::sdn_list(data));
