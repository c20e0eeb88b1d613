//! Charges that an isolate logged and took with it: each reply's line of the log has what its charge
//! needs, and whoever keeps the lines can have it made. A charge that was made is not made again.

use super::super::ledger;
use super::super::look;
use super::super::record::GenerationRecord;
use super::super::report::{CHARGES, Settle};
use super::super::store::{Column, Fault, Store};
use super::super::text;
use super::Answer;
use crate::catalog;
use crate::error::Failure;
use crate::id::{GenerationId, KeyHash};
use crate::json;
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A charge that a line of the log tells of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missed {
    #[serde(with = "text")]
    generation: GenerationId,
    /// The hash of the key, or its beginning.
    key: String,
    #[serde(with = "text")]
    amount: Money,
    /// JSON of a [`GenerationRecord`] of what is still known of the reply. How its cost came about is not.
    record: String,
}

/// What a line says, by its own names. Its other members are nobody's concern.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    generation: String,
    key_hash: String,
    cost_usd: String,
    outcome: String,
    model: String,
    /// The provider's slug.
    provider: String,
    streamed: bool,
    is_byok: bool,
    input_tokens: u64,
    cached_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
}

#[derive(Deserialize)]
struct Body {
    charges: Vec<Line>,
}

/// Reads the body of `POST /admin/accounts/{id}/charges`: at most 256 lines, `{"charges":[{…}]}`.
pub fn read(body: &str) -> Result<Vec<Missed>, Failure> {
    let Body { charges } = json::read(body).map_err(|error| Failure::invalid(error.to_string()))?;
    if charges.is_empty() || charges.len() > CHARGES {
        return Err(Failure::invalid(format!("charges: must be 1 to {CHARGES} lines of the log")));
    }
    let charge = |(at, line): (usize, Line)| {
        line.charge().map_err(|words| Failure::invalid(format!("charges[{at}].{words}")))
    };
    charges.into_iter().enumerate().map(charge).collect()
}

impl Line {
    fn charge(self) -> Result<Missed, &'static str> {
        let generation = GenerationId::parse(&self.generation);
        let generation = generation.ok_or("generation: must be the id of a generation")?;
        let hash = &self.key_hash;
        let is_long = (KeyHash::SHORT..=KeyHash::LENGTH).contains(&hash.len());
        if !is_long || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("key_hash: must be at least twelve hexadecimal digits");
        }
        let amount = Money::parse_usd(&self.cost_usd).ok().filter(|amount| !amount.is_negative());
        let amount = amount.ok_or("cost_usd: must be a decimal number in a string, not below zero")?;
        let record = self.record(&generation).to_json();
        Ok(Missed { generation, key: self.key_hash, amount, record })
    }

    fn record(&self, id: &GenerationId) -> GenerationRecord {
        let name =
            |slug| catalog::provider(slug).map_or_else(|| self.provider.clone(), |row| row.name.to_owned());
        GenerationRecord {
            created_at: id.time(),
            model: self.model.clone(),
            provider: Some(self.provider.as_str()).filter(|slug| !slug.is_empty()).map(name),
            streamed: self.streamed,
            cancelled: self.outcome == "cancelled",
            is_byok: self.is_byok,
            tokens_prompt: self.input_tokens,
            tokens_completion: self.output_tokens,
            tokens_reasoning: Some(self.reasoning_tokens),
            tokens_cached: Some(self.cached_tokens),
            ..GenerationRecord::default()
        }
    }
}

/// Makes the charges that were not made: `{"made":2,"already":61,"unknown_keys":0,"amount_usd":"0.0031"}`.
pub(super) fn make(store: &Store, now: Time, missed: &[Missed]) -> Result<Answer, Fault> {
    let mut charges = Vec::with_capacity(missed.len());
    for Missed { generation, key, amount, record } in missed {
        let (generation, amount, record) = (generation.clone(), *amount, Some(record.clone()));
        let charge = |key| Settle { generation, key, amount, lease: None, record, used: None };
        charges.extend(key_of(store, key)?.map(charge));
    }
    let Some(settled) = ledger::charge(store, now, &charges, look::at_account(store)?.charged)? else {
        return Ok(ledger::invalid("more than an account can hold"));
    };
    let made: Vec<_> = settled.iter().filter(|one| !one.already).collect();
    let sum = made.iter().try_fold(Money::ZERO, |sum, one| sum.checked_add(one.amount));
    let sum = sum.ok_or(Fault::Corrupt("amount"))?;
    let (made, all) = (made.len(), settled.len());
    let unknown = missed.len() - all;
    let answer =
        json!({ "made": made, "already": all - made, "unknown_keys": unknown, "amount_usd": sum.to_usd() });
    Ok(Answer::Books { answer: answer.to_string() })
}

/// The account's only key whose hash begins so.
fn key_of(store: &Store, hash: &str) -> Result<Option<KeyHash>, Fault> {
    let rows = store.rows(
        "SELECT hash FROM api_key WHERE hash >= ?1 AND hash < ?1 || 'g' LIMIT 2",
        &[hash.to_owned().cell()],
    )?;
    match <[_; 1]>::try_from(rows) {
        Ok([mut row]) => Ok(Some(row.next()?)),
        Err(_) => Ok(None),
    }
}
