//! For `cargo fuzz run billing_events`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run("billing_events", data));
