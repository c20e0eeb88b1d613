//! Every target in one binary, which `npm run fuzz` builds: `MILLRACE_FUZZ_TARGET` names the one to run.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| millrace_fuzz::run_named(data));
