//! For `cargo fuzz run wire_vectors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run("wire_vectors", data));
