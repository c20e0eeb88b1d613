//! The work of the core, case by case, for a counter of instructions and of allocations. A case is
//! prepared once, outside of what is counted, and then run.

#![allow(unsafe_code, reason = "a counting allocator, and the interface of a WebAssembly module")]

mod account;
mod allocations;
mod request;
mod stream;

/// One measured piece of work.
pub struct Case {
    pub name: &'static str,
    /// Returns the work, ready to run, and how many units of it there are.
    pub prepare: fn() -> (Box<dyn FnOnce()>, u32),
    /// What a unit is.
    pub unit: &'static str,
    /// How many bytes a unit reads, 0 where that says nothing.
    pub bytes: fn() -> usize,
}

/// Every case, in the order of the table.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    request::CASES.iter().chain(stream::CASES).chain(account::CASES)
}

thread_local! {
    static READY: std::cell::RefCell<Option<Box<dyn FnOnce()>>> = const { std::cell::RefCell::new(None) };
}

/// Where the name and the unit of a case are: address and length in one number each.
#[unsafe(no_mangle)]
pub extern "C" fn name(case: u32) -> u64 {
    cases().nth(case as usize).map_or(0, |case| place(case.name))
}

#[unsafe(no_mangle)]
pub extern "C" fn unit(case: u32) -> u64 {
    cases().nth(case as usize).map_or(0, |case| place(case.unit))
}

/// Readies a case; returns its number of units, zero if there is no such case.
#[unsafe(no_mangle)]
pub extern "C" fn prepare(case: u32) -> u32 {
    let Some(case) = cases().nth(case as usize) else { return 0 };
    // A model is unpacked when it is first asked for: once in an isolate's life, not in each request.
    millrace::catalog::models();
    let (work, units) = (case.prepare)();
    READY.set(Some(work));
    units
}

/// Runs the case that is ready; returns how often it allocated.
#[unsafe(no_mangle)]
pub extern "C" fn run() -> u64 {
    let work = READY.take();
    let before = allocations::count();
    if let Some(work) = work {
        work();
    }
    allocations::count() - before
}

fn place(text: &'static str) -> u64 {
    (text.as_ptr() as u64) << 32 | text.len() as u64
}
