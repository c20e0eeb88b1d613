//! Rows of models as one text, and short tables of what many rows share. `src/catalog/packed.rs` reads it.

use std::fmt::{Display, Write};

/// The text of all rows, with what they point to by number.
#[derive(Default)]
pub(super) struct Pack {
    text: String,
    /// Where each row begins.
    starts: Vec<usize>,
    tables: Vec<Table>,
}

/// Rust expressions, each once.
struct Table {
    name: &'static str,
    kind: &'static str,
    rows: Vec<String>,
}

impl Pack {
    pub(super) fn begin_row(&mut self) {
        self.starts.push(self.text.len());
    }

    /// Six bits a byte, the lowest first; the seventh says that there is more. So all of it is text.
    pub(super) fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 64 {
            self.text.push(char::from((rest % 64) as u8 | 64));
            rest /= 64;
        }
        self.text.push(char::from(rest as u8));
    }

    /// A number that is one less, or nothing.
    pub(super) fn optional(&mut self, number: Option<u64>) {
        self.number(number.map_or(0, |number| number + 1));
    }

    pub(super) fn string(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.text.push_str(text);
    }

    pub(super) fn optional_string(&mut self, text: Option<&str>) {
        self.optional(text.map(|text| text.len() as u64));
        self.text.push_str(text.unwrap_or_default());
    }

    /// The number of an expression in a table of its own.
    pub(super) fn shared(&mut self, name: &'static str, kind: &'static str, row: impl Display) {
        let row = row.to_string();
        let table = match self.tables.iter().position(|table| table.name == name) {
            Some(table) => table,
            None => {
                self.tables.push(Table { name, kind, rows: Vec::new() });
                self.tables.len() - 1
            }
        };
        let rows = &mut self.tables[table].rows;
        let number = rows.iter().position(|other| *other == row).unwrap_or_else(|| {
            rows.push(row);
            rows.len() - 1
        });
        self.number(number as u64);
    }

    pub(super) fn write(&self, out: &mut String) {
        let Pack { text, starts, tables } = self;
        // Not `\0`, which before a digit looks like an octal escape.
        let text: Vec<String> = text.split('\0').map(|piece| piece.escape_debug().to_string()).collect();
        let _ = writeln!(out, "pub static ROWS: &str = \"{}\";", text.join("\\u{0}"));
        let _ = writeln!(out, "pub static STARTS: [u32; {}] = {starts:?};", starts.len());
        for Table { name, kind, rows } in tables {
            let _ = writeln!(out, "pub static {name}: [{kind}; {}] = [{}];", rows.len(), rows.join(", "));
        }
    }
}
