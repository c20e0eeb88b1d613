//! Limits of rate: how many requests and tokens a minute, and how many requests at once, an account, a
//! workspace, a key or a member may have, or each key, member or end user of theirs. Minutes are those of
//! the object's clock. What isolates lease of a minute counts as taken until they give it back.

pub mod command;
mod free;

pub(super) use free::{admit as admit_free, per_day as free_per_day, used_today};

use super::budget::{ABOUT, Aim, Per, Scope, Tags};
use super::store::Column;
use super::store::{Fault, Row, Store};
use crate::routing::rate::FreeLimits;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The most limits that an account may have.
pub const MOST: u64 = 1_000;
/// The highest that a limit may be: sums of a minute's counts stay far from what numbers can hold.
pub const HIGHEST: u64 = 1_000_000_000_000;
pub(super) const MINUTE_MS: u64 = 60_000;
/// An isolate's slice is at most this part of what is left with it: where that is none, each request asks.
const PART: u64 = 16;
/// After so long a slot may be free again.
const SLOT_WAIT_MS: u64 = 1_000;

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// The caller's name for it: setting it again replaces it.
    pub id: String,
    pub scope: Scope,
    /// A key's hash, a member's or a workspace's id; empty for the account.
    pub subject: String,
    pub per: Per,
    /// A slug, in which stars stand for anything; `None` for all models.
    pub model: Option<String>,
    pub requests_per_minute: Option<u64>,
    pub tokens_per_minute: Option<u64>,
    pub concurrent_requests: Option<u64>,
}

/// What a request takes of limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// Tokens that it may use, by estimate.
    pub tokens: u64,
    /// What its model's being free limits it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<FreeLimits>,
}

/// What a request that was counted has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Used {
    /// When it was admitted, in minutes since 1970.
    pub minute: u64,
    /// Tokens beyond its estimate; below zero where it used fewer.
    pub beyond: i64,
}

/// What an isolate's lease may take of limits. `None` is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    pub minute: u64,
    /// How soon after the report was sent the minute is over at the latest.
    pub ends_ms: u64,
    /// Requests and tokens beside those it has of this minute.
    pub requests: Option<u64>,
    pub tokens: Option<u64>,
    /// Requests that may be under way, in all.
    pub slots: Option<u64>,
}

/// What an isolate says of its slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceReport {
    pub minute: u64,
    /// How many more it wants; below zero what it gives back.
    pub requests: i64,
    pub tokens: i64,
    /// Requests under way on the lease.
    pub running: u64,
    /// How many it wants to have under way, no fewer.
    pub slots: u64,
}

/// What a limit is a limit of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    RequestsPerMinute,
    TokensPerMinute,
    ConcurrentRequests,
    FreePerMinute,
    FreePerDay,
    /// As the last, for an account that was given little.
    FreePerDayLow,
}

/// A limit that a request is beyond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    pub measure: Measure,
    pub most: u64,
    pub remaining: u64,
    pub resets_at: Time,
    /// How long until then.
    pub wait_ms: u64,
    /// `None` for a limit of free models.
    pub limit: Option<RateLimit>,
}

/// A limit as it stands for one of those it is counted for.
pub(super) struct Standing {
    number: u64,
    limit: RateLimit,
    who: String,
    /// What was taken in this minute.
    requests: u64,
    tokens: u64,
    /// Requests that may be under way on leases; counted only where that is limited.
    slots: u64,
}

impl Measure {
    pub fn as_str(self) -> &'static str {
        match self {
            Measure::RequestsPerMinute => "requests_per_minute",
            Measure::TokensPerMinute => "tokens_per_minute",
            Measure::ConcurrentRequests => "concurrent_requests",
            Measure::FreePerMinute => "free-models-per-min",
            Measure::FreePerDay | Measure::FreePerDayLow => "free-models-per-day",
        }
    }
}

pub fn minute_of(now: Time) -> u64 {
    now.ms() / MINUTE_MS
}

fn minute_ends(now: Time) -> Time {
    Time::from_ms((minute_of(now) + 1) * MINUTE_MS)
}

const COLUMNS: &str = "CAST(number AS TEXT), id, scope, subject, per, model,
    CAST(rate_limit.requests AS TEXT), CAST(rate_limit.tokens AS TEXT), CAST(concurrent AS TEXT)";

/// How every limit stands that is about requests with these tags, the narrowest first.
pub(super) fn standings(store: &Store, now: Time, tags: &Tags) -> Result<Vec<Standing>, Fault> {
    let mut cells = tags.cells().to_vec();
    cells.push(minute_of(now).cell());
    let rows = store.rows(
        &format!(
            "SELECT {COLUMNS}, CAST(COALESCE(taken.requests, 0) AS TEXT), CAST(COALESCE(taken.tokens, 0) AS TEXT)
             FROM rate_limit LEFT JOIN rate_count AS taken ON taken.rate = rate_limit.number
             AND taken.who = CASE per WHEN 'key' THEN ?1 WHEN 'user' THEN ?3 WHEN 'end_user' THEN ?4 ELSE '' END
             AND taken.minute >= CAST(?5 AS INTEGER) WHERE {ABOUT}"
        ),
        &cells,
    )?;
    let mut found = Vec::new();
    for mut row in rows {
        let (number, limit) = (row.next()?, RateLimit::read(&mut row)?);
        let Some(who) = limit.aim().whose(tags) else { continue };
        let (requests, tokens) = (row.next()?, row.next()?);
        let slots = match limit.concurrent_requests {
            Some(_) => under_way(store, &limit.aim(), &who)?,
            None => 0,
        };
        found.push(Standing { number, limit, who, requests, tokens, slots });
    }
    found.sort_by_key(|standing| (standing.limit.aim().breadth(), standing.limit.id.clone()));
    Ok(found)
}

/// Requests that may be under way on leases that a limit is about. Leases are few: the sum is taken where
/// it is asked for, and cannot go wrong.
fn under_way(store: &Store, aim: &Aim<'_>, who: &str) -> Result<u64, Fault> {
    let rows = store.rows(
        "SELECT models, CAST(SUM(slots) AS TEXT) FROM lease WHERE slots > 0
         AND CASE ?1 WHEN 'account' THEN 1 WHEN 'workspace' THEN workspace_id = ?2
         WHEN 'user' THEN creator_user_id = ?2 ELSE COALESCE(line, key_hash) = ?2 END
         AND CASE ?3 WHEN 'key' THEN COALESCE(line, key_hash) = ?4 WHEN 'user' THEN creator_user_id = ?4
         WHEN 'end_user' THEN COALESCE(end_user, '') = ?4 ELSE 1 END GROUP BY models",
        &[aim.scope.cell(), aim.subject.to_owned().cell(), aim.per.cell(), who.to_owned().cell()],
    )?;
    let mut total = 0u64;
    for mut row in rows {
        let (models, slots): (String, u64) = (row.next()?, row.next()?);
        let models: Vec<String> = models.split_whitespace().map(str::to_owned).collect();
        if Tags::may_go(&models, aim.model) {
            total = total.saturating_add(slots);
        }
    }
    Ok(total)
}

/// The first limit that a request is beyond, if it is beyond any. One whose estimate is more than a
/// minute's tokens has a minute for itself.
pub(super) fn refusal(now: Time, standings: &[Standing], take: &Take) -> Option<Limited> {
    standings.iter().find_map(|standing| {
        let limit = &standing.limit;
        let (ends, free) = (minute_ends(now), Time::from_ms(now.ms() + SLOT_WAIT_MS));
        let used = |tokens: u64| if tokens == 0 { 0 } else { take.tokens.max(1) };
        let measures = [
            (Measure::RequestsPerMinute, limit.requests_per_minute, standing.requests, 1, ends),
            (Measure::TokensPerMinute, limit.tokens_per_minute, standing.tokens, used(standing.tokens), ends),
            (Measure::ConcurrentRequests, limit.concurrent_requests, standing.slots, 1, free),
        ];
        let beyond = measures.into_iter().find_map(|(measure, most, taken, needed, resets_at)| {
            let most = most?;
            let remaining = most.saturating_sub(taken);
            (remaining < needed || most == 0).then_some((measure, most, remaining, resets_at))
        });
        let (measure, most, remaining, resets_at) = beyond?;
        let wait_ms = resets_at.ms().saturating_sub(now.ms());
        Some(Limited { measure, most, remaining, resets_at, wait_ms, limit: Some(limit.clone()) })
    })
}

/// Counts a request that was admitted.
pub(super) fn take(store: &Store, now: Time, standings: &[Standing], take: &Take) -> Result<(), Fault> {
    for standing in standings {
        standing.count(store, now, 1, tokens(take.tokens))?;
    }
    Ok(())
}

/// Gives an isolate's lease its slice of every limit and says how many slots it has; `slots` it had.
pub(super) fn renew(
    store: &Store,
    now: Time,
    standings: &[Standing],
    slots: u64,
    report: Option<&SliceReport>,
) -> Result<Slice, Fault> {
    let minute = minute_of(now);
    let none = SliceReport { minute, requests: 0, tokens: 0, running: 0, slots: 0 };
    let report = report.unwrap_or(&none);
    let slice = |more: i64, left: &dyn Fn(&Standing) -> Option<u64>| -> Option<i64> {
        let least = standings.iter().filter_map(left).min()?;
        // What is given back of a minute that is over is worth nothing.
        let back = if report.minute == minute { more.min(0) } else { 0 };
        Some(if more > 0 { more.min(tokens(least / PART)) } else { back })
    };
    let requests = slice(report.requests, &|one| {
        one.limit.requests_per_minute.map(|most| most.saturating_sub(one.requests))
    });
    let taken =
        slice(report.tokens, &|one| one.limit.tokens_per_minute.map(|most| most.saturating_sub(one.tokens)));
    for standing in standings {
        standing.count(store, now, requests.unwrap_or(0), taken.unwrap_or(0))?;
    }
    let given = |count: Option<i64>| count.map(|count| count.max(0).unsigned_abs());
    let room =
        standings.iter().filter_map(|one| Some(one.limit.concurrent_requests?.saturating_sub(one.slots)));
    let slots = room.min().map(|room| {
        let more = slots.max(report.slots.min(slots.saturating_add(room / PART)));
        // What runs, runs: it may have begun before there was a limit.
        more.min(report.slots).max(report.running)
    });
    let ends_ms = minute_ends(now).ms().saturating_sub(now.ms());
    Ok(Slice { minute, ends_ms, requests: given(requests), tokens: given(taken), slots })
}

/// Puts right what a request was counted with, once it is known what it used. What it used beyond its
/// estimate counts for the minute in which it is told; what it did not use is given back to its own.
pub(super) fn correct(store: &Store, now: Time, tags: &Tags, used: &Used) -> Result<(), Fault> {
    if used.beyond == 0 || (used.beyond < 0 && used.minute != minute_of(now)) {
        return Ok(());
    }
    for standing in standings(store, now, tags)? {
        standing.count(store, now, 0, used.beyond)?;
    }
    Ok(())
}

/// Whether any of them tells models or end users apart.
pub(super) fn is_tagged(standings: &[Standing]) -> bool {
    standings.iter().any(|standing| standing.limit.aim().is_tagged())
}

/// The fewest requests that a key may make in a minute, whatever they are for; `None` without a limit.
pub(super) fn least_requests(standings: &[Standing]) -> Option<u64> {
    let plain = standings.iter().filter(|standing| !standing.limit.aim().is_tagged());
    plain.filter_map(|standing| standing.limit.requests_per_minute).min()
}

/// Drops what was counted in minutes that are over.
pub(super) fn drop_old(store: &Store, now: Time) -> Result<(), Fault> {
    store.write(
        "DELETE FROM rate_count WHERE rate > 0 AND minute < CAST(?1 AS INTEGER)",
        &[minute_of(now).cell()],
    )
}

fn tokens(count: u64) -> i64 {
    count.min(HIGHEST) as i64
}

/// Adds to a count of a minute, or a day; from one that is over nothing is left.
fn count(store: &Store, rate: u64, who: &str, minute: u64, requests: i64, tokens: i64) -> Result<(), Fault> {
    store.write(
        "INSERT INTO rate_count (rate, who, minute, requests, tokens) VALUES (CAST(?1 AS INTEGER), ?2,
         CAST(?3 AS INTEGER), MAX(0, CAST(?4 AS INTEGER)), MAX(0, CAST(?5 AS INTEGER)))
         ON CONFLICT (rate, who) DO UPDATE SET
         requests = MAX(0, CAST(?4 AS INTEGER) + CASE WHEN minute < excluded.minute THEN 0 ELSE requests END),
         tokens = MAX(0, CAST(?5 AS INTEGER) + CASE WHEN minute < excluded.minute THEN 0 ELSE tokens END),
         minute = MAX(minute, excluded.minute)",
        &[
            rate.cell(),
            who.to_owned().cell(),
            minute.cell(),
            Some(requests.to_string()),
            Some(tokens.to_string()),
        ],
    )
}

impl Standing {
    fn count(&self, store: &Store, now: Time, requests: i64, tokens: i64) -> Result<(), Fault> {
        let requests = self.limit.requests_per_minute.map_or(0, |_| requests);
        let tokens = self.limit.tokens_per_minute.map_or(0, |_| tokens);
        match (requests, tokens) {
            (0, 0) => Ok(()),
            _ => count(store, self.number, &self.who, minute_of(now), requests, tokens),
        }
    }
}

impl RateLimit {
    /// What makes it senseless in any account, if anything does.
    pub fn flaw(&self) -> Option<&'static str> {
        let measures = [self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests];
        let high = measures.iter().flatten().any(|most| *most > HIGHEST);
        let flaws = [
            (high, "a limit of rate is 1000000000000 at most"),
            (
                measures == [None; 3],
                "requests_per_minute, tokens_per_minute or concurrent_requests is required",
            ),
        ];
        flaws.into_iter().find(|(is, _)| *is).map(|(_, words)| words).or_else(|| self.aim().flaw(&self.id))
    }

    pub(super) fn aim(&self) -> Aim<'_> {
        let RateLimit { scope, subject, per, model, .. } = self;
        Aim { scope: *scope, subject, per: *per, model: model.as_deref() }
    }

    fn read(row: &mut Row) -> Result<RateLimit, Fault> {
        Ok(RateLimit {
            id: row.next()?,
            scope: row.next()?,
            subject: row.next()?,
            per: row.next()?,
            model: row.next()?,
            requests_per_minute: row.next()?,
            tokens_per_minute: row.next()?,
            concurrent_requests: row.next()?,
        })
    }
}
