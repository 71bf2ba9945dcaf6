#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| herder_fuzz::properties::proxy_headers(input));
