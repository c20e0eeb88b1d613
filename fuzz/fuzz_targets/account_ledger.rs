//! For `cargo fuzz run account_ledger`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run("account_ledger", data));
