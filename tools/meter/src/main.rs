//! Copies a WebAssembly module and adds to it a global, exported as `instructions`, that counts every
//! instruction it executes: each run of instructions without a jump adds its length as it begins.

use std::process::ExitCode;

use wasm_encoder::reencode::utils;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::{ExportSectionReader, FunctionBody, GlobalSectionReader, Operator, Parser};
use wasm_encoder::{ConstExpr, ExportKind, ExportSection, Function, GlobalSection, GlobalType, Instruction, Module, ValType};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: millrace-meter <module.wasm> <metered.wasm>");
        return ExitCode::FAILURE;
    };
    match meter(from, to) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{from}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn meter(from: &str, to: &str) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(from)?;
    let mut module = Module::new();
    Meter::default().parse_core_module(&mut module, Parser::new(0), &bytes).map_err(|error| error.to_string())?;
    Ok(std::fs::write(to, module.finish())?)
}

/// Re-encodes a module. Globals come before exports and code in every module, so that the counter's
/// index is known where it is used.
#[derive(Default)]
struct Meter {
    counter: u32,
}

impl Reencode for Meter {
    type Error = std::convert::Infallible;

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        utils::parse_global_section(self, globals, section)?;
        self.counter = globals.len();
        let kind = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
        globals.global(kind, &ConstExpr::i64_const(0));
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        utils::parse_export_section(self, exports, section)?;
        exports.export("instructions", ExportKind::Global, self.counter);
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Self::Error>> {
        let mut function: Function = self.new_function_with_parsed_locals(&body)?;
        let mut run = Vec::new();
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            let ends = ends_run(&operator);
            run.push(self.instruction(operator)?);
            if ends {
                self.write_run(&mut run, &mut function);
            }
        }
        self.write_run(&mut run, &mut function);
        code.function(&function);
        Ok(())
    }
}

impl Meter {
    /// Writes instructions that are executed all or not at all, after what counts them.
    fn write_run(&self, run: &mut Vec<Instruction<'_>>, function: &mut Function) {
        if run.is_empty() {
            return;
        }
        function
            .instruction(&Instruction::GlobalGet(self.counter))
            .instruction(&Instruction::I64Const(run.len() as i64))
            .instruction(&Instruction::I64Add)
            .instruction(&Instruction::GlobalSet(self.counter));
        for instruction in run.drain(..) {
            function.instruction(&instruction);
        }
    }
}

/// Whether control may go elsewhere behind this instruction, or come from elsewhere.
fn ends_run(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Else
            | Operator::End
            | Operator::Br { .. }
            | Operator::BrIf { .. }
            | Operator::BrTable { .. }
            | Operator::Return
            | Operator::Unreachable
    )
}
