//! For `cargo fuzz run wallet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run("wallet", data));
