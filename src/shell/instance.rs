//! One instance of the crate: its number, what is logged where it panics, what follows where it traps.

use std::cell::Cell;
use std::panic::{self, PanicHookInfo};

use wasm_bindgen::handler;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/shell/instance.js")]
extern "C" {
    /// A number that no instance before had.
    fn begins() -> u32;
    /// Logs the words, and the functions that led here.
    fn panics(words: &str);
}

thread_local! {
    static NUMBER: Cell<u32> = const { Cell::new(0) };
}

/// Called by the bindings when an instance is made.
#[wasm_bindgen(start)]
fn start() {
    NUMBER.set(begins());
    panic::set_hook(Box::new(|info| panics(&words(info))));
    handler::set_on_abort(handler::schedule_reinit);
}

/// Which instance this is: state that was made in another is gone.
#[wasm_bindgen(js_name = instanceNumber)]
pub fn instance_number() -> u32 {
    NUMBER.get()
}

/// Where a panic is from and what it says. A release is compiled without places: there the functions say where.
fn words(info: &PanicHookInfo) -> String {
    let said = info.payload_as_str().unwrap_or("it does not say why");
    match info.location() {
        Some(place) if place.line() > 0 => format!("panicked at {}:{}: {said}", place.file(), place.line()),
        Some(_) | None => format!("panicked: {said}"),
    }
}
