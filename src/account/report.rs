//! What an isolate tells an account, all in one command: what its requests cost, what its leases
//! hold, and what one more request needs. Each part can be replayed on its own.

use super::byok;
use super::command::{Answer, Refusal};
use super::lease;
use super::ledger;
use super::look;
use super::rate::{HIGHEST, Slice, SliceReport, Take, Used};
use super::store::{Fault, Store};
use super::{alert, next_alarm, text};
use crate::id::{AccountId, GenerationId, KeyHash, LeaseId};
use crate::json::{self, Object, Raw, Value, put};
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The most charges that one report may carry.
pub const CHARGES: usize = 256;
/// The most leases that one report may tell of.
pub const LEASES: usize = 64;
/// The longest that a request may go on, as a report says it.
const OUTLIVES_MS: u64 = 86_400_000;
/// About as long as a charge is in JSON, without its record, and what else a report tells.
const SETTLE_BYTES: usize = 256;

/// Charges are made first, then what leases give back is taken, then money is set aside for one
/// request, then for leases that are to grow. Written by [`Report::to_json`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    #[serde(default)]
    pub charges: Vec<Settle>,
    #[serde(default)]
    pub hold: Option<Hold>,
    #[serde(default)]
    pub leases: Vec<LeaseReport>,
}

/// Charges what a request cost, once for its generation. Zero only ends its hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    #[serde(with = "text")]
    pub generation: GenerationId,
    #[serde(with = "text")]
    pub key: KeyHash,
    #[serde(with = "text")]
    pub amount: Money,
    /// The isolate's lease that the request drew on; `None` where it had a hold of its own, which ends.
    #[serde(with = "text::optional", default)]
    pub lease: Option<LeaseId>,
    /// JSON of a [`super::record::GenerationRecord`]. Beyond [`super::ledger::RECORD_BYTES`] it
    /// is not kept; the charge is made all the same.
    #[serde(default, deserialize_with = "read_record")]
    pub record: Option<String>,
    /// What it used of limits of rate, where there are such.
    #[serde(default)]
    pub used: Option<Used>,
}

/// A record is an object of the report, or in reports that KV has kept from before, and where it is no object, a
/// string.
fn read_record<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let Some(Raw(text)) = Option::<Raw<String>>::deserialize(from)? else { return Ok(None) };
    let inner = json::string(&text).map(Cow::into_owned);
    Ok(Some(inner.unwrap_or(text)))
}

/// Sets money aside for one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    #[serde(with = "text")]
    pub generation: GenerationId,
    #[serde(with = "text")]
    pub key: KeyHash,
    /// The most the request can cost.
    #[serde(with = "text")]
    pub amount: Money,
    /// The least the caller can do with. `None` for all of `amount` or nothing.
    #[serde(with = "text::optional", default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Money>,
    /// What is given where not all of `amount` can be.
    #[serde(default, skip_serializing_if = "Part::is_most")]
    pub part: Part,
    #[serde(with = "text::ms")]
    pub expires_at: Time,
    /// The models that may serve it, for budgets that tell them apart. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The request's `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<String>,
    /// What it takes of limits of rate.
    #[serde(default)]
    pub take: Take,
}

/// What a hold gets that cannot get all it asks for, if it gets the minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// As much as there is.
    #[default]
    Most,
    /// The minimum: more is asked for as it is needed.
    Least,
    /// The same, for a hold that is open: `amount` and `minimum` are what it is to hold in all. One
    /// that holds the minimum already stays as it is.
    More,
}

impl Part {
    fn is_most(&self) -> bool {
        *self == Part::Most
    }
}

/// What an isolate's lease is to hold from here on. The first report of a lease makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseReport {
    #[serde(with = "text")]
    pub id: LeaseId,
    #[serde(with = "text")]
    pub key: KeyHash,
    /// From 1, each report one more. One that comes after a later one changes nothing.
    pub number: u64,
    /// What the lease must go on holding: for requests under way, and for charges not yet reported.
    #[serde(with = "text")]
    pub open: Money,
    /// What it should hold; no more than `open` gives the rest back.
    #[serde(with = "text")]
    pub want: Money,
    /// What one more request takes. A lease with room for less than two of them is not worth having.
    #[serde(with = "text")]
    pub unit: Money,
    /// How long a request may go on after it was admitted, until its charge is here.
    pub outlives_ms: u64,
    /// What of limits of rate it has and wants, once the isolate knows that there are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<SliceReport>,
}

/// To a [`Report`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reported {
    /// For each charge, in the order of the report.
    pub charges: Vec<Settled>,
    pub hold: Option<Held>,
    /// For each lease of the report, in no order.
    pub leases: Vec<LeaseState>,
    /// When the alarm has to run `ExpireHolds`.
    #[serde(with = "text::optional_ms")]
    pub next_alarm: Option<Time>,
    /// What the account's own keys were used for this month, at list prices; `None` where it has none.
    #[serde(with = "text::optional", default, skip_serializing_if = "Option::is_none")]
    pub byok_used: Option<Money>,
}

/// All three fields tell of the first settlement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    pub already: bool,
    #[serde(with = "text")]
    pub amount: Money,
    /// The charge was more than was held for it, or nothing was held.
    pub exceeded_hold: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Money is set aside.
    Held {
        /// Less than was asked for only where a minimum was given.
        #[serde(with = "text")]
        amount: Money,
        #[serde(with = "text::ms")]
        expires_at: Time,
        /// Limits of rate want to know what it will have used.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rated: bool,
    },
    /// None is.
    Refused { refusal: Refusal },
}

/// A lease as the account has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeaseState {
    #[serde(with = "text")]
    pub id: LeaseId,
    #[serde(with = "text")]
    pub amount: Money,
    /// For how long after it was asked the isolate may admit requests; 0 for not at all.
    pub admits_ms: u64,
    /// There is no such lease: it was not made, or its time is over.
    pub ended: bool,
    /// What it may take of limits of rate; `None` where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
}

impl Report {
    /// The report as JSON, with records as they are: to write them into strings, and to read them out again,
    /// took longer than all the rest.
    pub fn to_json(&self) -> String {
        let records = self.charges.iter().flat_map(|settle| &settle.record).map(String::len);
        let bytes = records.sum::<usize>() + SETTLE_BYTES * (self.charges.len() + self.leases.len() + 4);
        let mut out = Object::with_capacity(bytes);
        if !self.charges.is_empty() {
            out.put_list("charges", self.charges.iter());
        }
        out.put_some("hold", self.hold.as_ref().map(written));
        if !self.leases.is_empty() {
            out.put_list("leases", self.leases.iter().map(written));
        }
        out.end()
    }

    /// What makes the report senseless in any account, if anything does.
    pub fn flaw(&self) -> Option<&'static str> {
        let impossible = |hold: &Hold| {
            let needed = hold.minimum.unwrap_or(hold.amount);
            needed.is_negative() || hold.amount < needed
        };
        let askew = |lease: &LeaseReport| {
            lease.open.is_negative() || lease.unit.is_negative() || lease.want < lease.open
        };
        let crowded = |lease: &LeaseReport| {
            lease.slice.is_some_and(|slice| slice.slots < slice.running || slice.slots > HIGHEST)
        };
        let endless = |lease: &LeaseReport| lease.outlives_ms > OUTLIVES_MS || lease.number == 0;
        let flaws = [
            (self.charges.iter().any(|settle| settle.amount.is_negative()), "a charge below zero"),
            (self.hold.as_ref().is_some_and(impossible), "a hold needs 0 <= minimum <= amount"),
            (self.leases.iter().any(askew), "a lease needs 0 <= open <= want and 0 <= unit"),
            (self.leases.iter().any(crowded), "a slice needs running <= slots"),
            (self.leases.iter().any(endless), "a lease is numbered from 1 and outlived by a day at most"),
            (self.charges.len() > CHARGES || self.leases.len() > LEASES, "more than a report may carry"),
        ];
        flaws.into_iter().find(|(is, _)| *is).map(|(_, words)| words)
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_json()).map_err(ser::Error::custom)?.serialize(out)
    }
}

fn written(part: &impl Serialize) -> Raw<String> {
    Raw(serde_json::to_string(part).expect("texts, numbers and lists of them are always JSON"))
}

impl Value for &Settle {
    fn write(&self, out: &mut Vec<u8>) {
        let Settle { generation, key, amount, lease, record, used } = self;
        put(out, &[&Raw(r#"{"generation":""#), &Raw(generation.as_str()), &Raw(r#"","key":""#)]);
        put(out, &[&Raw(key.as_str()), &Raw(r#"","amount":""#), &Raw(amount.to_text()), &Raw("\"")]);
        if let Some(lease) = lease {
            put(out, &[&Raw(r#","lease":""#), &Raw(lease.as_str()), &Raw("\"")]);
        }
        if let Some(record) = record {
            let is_object = record.starts_with('{') && record.ends_with('}');
            let record: &dyn Value = if is_object { &Raw(record) } else { &record };
            put(out, &[&Raw(r#","record":"#), record]);
        }
        if let Some(Used { minute, beyond }) = used {
            put(out, &[&Raw(r#","used":{"minute":"#), minute, &Raw(r#","beyond":"#), beyond, &Raw("}")]);
        }
        out.push(b'}');
    }
}

impl Hold {
    /// The least that it is worth anything with.
    pub(super) fn least(&self) -> Money {
        self.minimum.unwrap_or(self.amount)
    }

    /// What it gets where no more than `most` can be had, which is no less than the least.
    pub(super) fn given(&self, most: Money) -> Money {
        match self.part {
            Part::Most => most,
            Part::Least | Part::More if most == self.amount => most,
            Part::Least | Part::More => self.least(),
        }
    }
}

impl Settle {
    /// The line for a charge that neither the account nor KV took: an operator can make it by hand.
    pub fn unsettled_line(&self, account: &AccountId) -> String {
        json!({
            "event": "unsettled",
            "generation": self.generation.as_str(),
            "account": account.as_str(),
            "key_hash": self.key.short(),
            "cost_usd": self.amount.to_usd(),
        })
        .to_string()
    }
}

/// The name under which KV keeps a report that could not be made. The account's alarm looks for
/// those that begin with [`kept_prefix`].
pub fn kept_name(account: &AccountId, first: &GenerationId) -> String {
    format!("{}{first}", kept_prefix(account))
}

pub fn kept_prefix(account: &AccountId) -> String {
    format!("unsettled:{account}:")
}

pub(super) fn carry_out(store: &Store, now: Time, report: &Report) -> Result<Answer, Fault> {
    let look::Account { has, charged, first_expiry } = look::at_account(store)?;
    let store = &store.knowing(has);
    // First, so that a charge that comes late finds what was held for it as long as it can.
    let Some(charges) = ledger::charge(store, now, &report.charges, charged)? else {
        return Ok(ledger::invalid("more than an account can hold"));
    };
    // Money does not wait for alerts: where they cannot be worked out, there are none.
    if has.alerts {
        let _ = alert::watch(store, now, &report.charges, &charges);
    }
    // No charge brings an expiry nearer.
    if first_expiry.is_some_and(|at| at <= now) {
        lease::expire(store, now)?;
    }
    let mut leases = report.leases.clone();
    let gives_back = |lease: &LeaseReport| lease.want == lease.open;
    leases.sort_by_key(|lease| !gives_back(lease));
    let (back, rest) = leases.split_at(leases.iter().filter(|lease| gives_back(lease)).count());
    let renew = |report: &LeaseReport| lease::renew(store, now, report);
    let mut leases = back.iter().map(renew).collect::<Result<Vec<_>, _>>()?;
    let hold = report.hold.as_ref().map(|hold| lease::hold(store, now, hold)).transpose()?;
    if has.alerts
        && let (Some(wanted), Some(Held::Refused { refusal })) = (&report.hold, &hold)
    {
        let _ = alert::watch_refusal(store, now, &wanted.key, refusal);
    }
    leases.extend(rest.iter().map(renew).collect::<Result<Vec<_>, _>>()?);
    let byok_used = byok::used_in_month(store, now)?;
    Ok(Answer::Reported(Reported { charges, hold, leases, next_alarm: next_alarm(store)?, byok_used }))
}
