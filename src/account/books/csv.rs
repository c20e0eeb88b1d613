//! Tables for spreadsheets: RFC 4180, with `\r\n` at the end of each line. A text that a spreadsheet
//! would take for a formula gets an apostrophe in front (owasp.org, "CSV Injection").

use std::fmt::Display;

/// What a formula begins with.
const OF_FORMULAS: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// A table that is being written.
#[derive(Default)]
pub struct Csv {
    out: String,
    within_line: bool,
}

impl Csv {
    /// A table with this first line.
    pub fn new(header: &[&str]) -> Csv {
        let mut csv = Csv::default();
        header.iter().for_each(|name| {
            csv.text(name);
        });
        csv.end_line();
        csv
    }

    /// A cell that somebody else has written, and that is no formula.
    pub fn text(&mut self, text: &str) -> &mut Csv {
        let guard = if text.starts_with(OF_FORMULAS) { "'" } else { "" };
        self.cell(&format!("{guard}{text}"))
    }

    /// A cell of ours: an amount, a count, or a word.
    pub fn plain(&mut self, value: impl Display) -> &mut Csv {
        self.cell(&value.to_string())
    }

    pub fn end_line(&mut self) {
        self.out.push_str("\r\n");
        self.within_line = false;
    }

    pub fn finish(self) -> String {
        self.out
    }

    fn cell(&mut self, text: &str) -> &mut Csv {
        if self.within_line {
            self.out.push(',');
        }
        self.within_line = true;
        if text.contains(['"', ',', '\r', '\n']) {
            self.out.push('"');
            self.out.push_str(&text.replace('"', "\"\""));
            self.out.push('"');
        } else {
            self.out.push_str(text);
        }
        self
    }
}
