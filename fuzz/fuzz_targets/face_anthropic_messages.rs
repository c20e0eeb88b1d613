//! For `cargo fuzz run face_anthropic_messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run("face_anthropic_messages", data));
