//! For `cargo fuzz run face_gemini`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run("face_gemini", data));
