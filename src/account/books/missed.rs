//! Charges that an isolate logged and took with it: each reply's line of the log has what its charge
//! needs, and whoever keeps the lines can have it made. A charge that was made is not made again.

use super::super::ledger;
use super::super::record::GenerationRecord;
use super::super::report::{CHARGES, Settle};
use super::super::store::{Column, Fault, Store};
use super::Answer;
use crate::catalog;
use crate::error::Failure;
use crate::id::{GenerationId, KeyHash};
use crate::json;
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// So many characters of a hash tell an account's keys apart.
const SHORT_HASH: usize = 12;
const HASH: usize = 64;

/// What a line says of a charge, by the line's own names. Its other members are nobody's concern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Missed {
    pub generation: String,
    /// The hash of the key, or its first twelve characters.
    pub key_hash: String,
    pub cost_usd: String,
    pub outcome: String,
    pub model: String,
    /// The provider's slug.
    pub provider: String,
    pub streamed: bool,
    pub is_byok: bool,
    pub input_tokens: u64,
    pub cached_tokens: u64,
    pub output_tokens: u64,
    pub reasoning_tokens: u64,
}

#[derive(Deserialize)]
struct Body {
    charges: Vec<Missed>,
}

/// Reads the body of `POST /admin/accounts/{id}/charges`: at most 256 lines, `{"charges":[{…}]}`.
pub fn read(body: &str) -> Result<Vec<Missed>, Failure> {
    let Body { charges } = json::read(body).map_err(|error| Failure::invalid(error.to_string()))?;
    if charges.is_empty() || charges.len() > CHARGES {
        return Err(Failure::invalid(format!("charges: must be 1 to {CHARGES} lines of the log")));
    }
    let wrong = charges.iter().enumerate().find_map(|(at, one)| Some((at, one.flaw()?)));
    wrong.map_or(Ok(charges), |(at, words)| Err(Failure::invalid(format!("charges[{at}].{words}"))))
}

impl Missed {
    fn flaw(&self) -> Option<&'static str> {
        let hash = &self.key_hash;
        let is_hash =
            (SHORT_HASH..=HASH).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let flaws = [
            (GenerationId::parse(&self.generation).is_none(), "generation: must be the id of a generation"),
            (!is_hash, "key_hash: must be at least twelve hexadecimal digits"),
            (self.amount().is_none(), "cost_usd: must be a decimal number in a string, not below zero"),
        ];
        flaws.into_iter().find(|(is, _)| *is).map(|(_, words)| words)
    }

    fn amount(&self) -> Option<Money> {
        Money::parse_usd(&self.cost_usd).ok().filter(|amount| !amount.is_negative())
    }

    /// What is still known of the reply. How its cost came about is not.
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
    for one in missed {
        let (Some(generation), Some(amount)) = (GenerationId::parse(&one.generation), one.amount()) else {
            return Ok(ledger::invalid("not the lines of charges"));
        };
        let record = Some(one.record(&generation).to_json());
        let charge = |key| Settle { generation, key, amount, lease: None, record, used: None };
        charges.extend(key(store, &one.key_hash)?.map(charge));
    }
    let Some(settled) = ledger::charge(store, now, &charges)? else {
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

fn key(store: &Store, hash: &str) -> Result<Option<KeyHash>, Fault> {
    let rows = store.rows(
        "SELECT hash FROM api_key WHERE hash >= ?1 AND hash < ?1 || 'g' LIMIT 2",
        &[hash.to_owned().cell()],
    )?;
    match <[_; 1]>::try_from(rows) {
        Ok([mut row]) => Ok(Some(row.next()?)),
        Err(_) => Ok(None),
    }
}
