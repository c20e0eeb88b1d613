//! What an account's object does with a report, and what an isolate does to write it. The database answers in no time:
//! what SQLite takes is not counted.

use std::hint::black_box;

use millrace::account::record::{Attempt, Basis, GenerationRecord, Line, Receipt};
use millrace::account::{self, Cell, Command, LeaseReport, Report, Settle, Sql, SqlError};
use millrace::id::{GenerationId, KeyHash, LeaseId};
use millrace::money::Money;
use millrace::time::Time;

use crate::Case;

const NOW: Time = Time::from_ms(1_795_270_407_000);
const CHARGES: u8 = 64;

pub const CASES: &[Case] = &[
    Case { name: "write a report of 64 charges", prepare: write_report, unit: "charge", bytes: || 0 },
    Case { name: "carry out a report of 64 charges", prepare: carry_out, unit: "charge", bytes: || 0 },
];

fn write_report() -> (Box<dyn FnOnce()>, u32) {
    let command = Command::Report(report());
    (Box::new(move || drop(black_box(command.to_json()))), u32::from(CHARGES))
}

fn carry_out() -> (Box<dyn FnOnce()>, u32) {
    let command = Command::Report(report()).to_json();
    let work = move || {
        let answer = account::run(&Answering, NOW, &command);
        assert!(answer.starts_with(r#"{"reported":"#), "{answer}");
    };
    (Box::new(work), u32::from(CHARGES))
}

fn report() -> Report {
    let renewed = LeaseReport {
        id: lease(),
        key: key(),
        number: 2,
        open: Money::ZERO,
        want: Money::from_pico(1_000_000_000),
        unit: Money::from_pico(10_000_000),
        outlives_ms: 600_000,
        slice: None,
    };
    Report { charges: (0..CHARGES).map(charge).collect(), hold: None, leases: vec![renewed] }
}

fn charge(number: u8) -> Settle {
    Settle {
        generation: GenerationId::new(
            NOW,
            &std::array::from_fn(|at| if at == 0 { number / 8 } else { number % 8 }),
        ),
        key: key(),
        amount: Money::from_pico(1_000_000),
        lease: Some(lease()),
        record: Some(record().to_json()),
        used: None,
    }
}

fn record() -> GenerationRecord {
    let attempt = Attempt {
        provider: "OpenAI".to_owned(),
        model: "openai/gpt-4o-mini".to_owned(),
        status: Some(200),
        latency_ms: Some(412),
        endpoint: "openai".to_owned(),
        ..Attempt::default()
    };
    let line = |class: &str, count| Line(class.to_owned(), count, Money::from_pico(150_000));
    let receipt = Receipt {
        permaslug: "openai/gpt-4o-mini".to_owned(),
        endpoint: "openai".to_owned(),
        basis: Basis::Prices,
        lines: vec![line("input", 12), line("output", 34)],
        prices: "0123456789abcdef".to_owned(),
        ..Receipt::default()
    };
    GenerationRecord {
        created_at: NOW,
        model: "openai/gpt-4o-mini".to_owned(),
        provider: Some("OpenAI".to_owned()),
        upstream_id: Some("chatcmpl-0123456789".to_owned()),
        user_agent: Some("OpenAI/Python 1.0".to_owned()),
        finish_reason: Some("stop".to_owned()),
        native_finish_reason: Some("stop".to_owned()),
        latency_ms: Some(412),
        generation_ms: Some(3),
        tokens_prompt: 12,
        tokens_completion: 34,
        attempts: vec![attempt],
        receipt: Some(receipt),
        ..GenerationRecord::default()
    }
}

fn key() -> KeyHash {
    KeyHash::of("sk-mr-v1-test")
}

fn lease() -> LeaseId {
    LeaseId::of_isolate(&GenerationId::new(NOW, &[7; 20]))
}

/// The database of an account that has a key and a lease, and nothing else. It is written to in vain.
struct Answering;

impl Sql for Answering {
    fn run(&self, statement: &str, _: &[Cell]) -> Result<Vec<Vec<Cell>>, SqlError> {
        let lease_columns = format!("1000000000 1795270427000 1 0 {} _ - - - _", key());
        let row = if statement.starts_with("SELECT CAST(charged") {
            "0 - 0 0 0".to_owned()
        } else if statement.contains("UNION ALL") {
            format!("0 {} {lease_columns}", lease().as_str())
        } else if statement.contains("LEFT JOIN lease") {
            let key = format!("{} _ _ inference 0 - - 0 - 0 - - - 1 0 - - - - - - _", key());
            format!("0123456789Ab _ 0 100000000000000 0 1000000000 0 0 1 {lease_columns} 1 {key}")
        } else if statement.contains("SELECT MIN(expires_at) FROM lease") {
            "- - - -".to_owned()
        } else {
            return Ok(Vec::new());
        };
        Ok(vec![row.split(' ').map(cell).collect()])
    }

    fn is_current(&self) -> bool {
        true
    }
}

/// `-` is NULL, `_` an empty text.
fn cell(text: &str) -> Cell {
    match text {
        "-" => None,
        "_" => Some(String::new()),
        text => Some(text.to_owned()),
    }
}
