//! For `cargo fuzz run exchange`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run("exchange", data));
