//! Writes the JavaScript side of a compiled worker: `millrace-wbg <in.wasm> <out directory>`.
//! The command line of wasm-bindgen does the same and takes five times as long to compile.

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprintln!("usage: millrace-wbg <in.wasm> <out directory>");
        return ExitCode::FAILURE;
    };
    match write_bindings(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write_bindings(input: &str, output: &str) -> Result<(), String> {
    Bindgen::new()
        .input_path(input)
        .out_name("millrace")
        .web(true)
        .map_err(|error| format!("{error:?}"))?
        .omit_default_module_path(true)
        .typescript(false)
        // After an abort (out of memory, stack overflow) the entry module starts a new instance.
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .generate(output)
        .map_err(|error| format!("{error:?}"))
}
