//! For `cargo fuzz run numbers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run("numbers", data));
