//! How often an account may ask for free models: so many requests a minute and a day, by the clock in
//! UTC. Failed requests count. Facts: OpenRouter's limits of `:free` models.

use crate::error::{Cause, Failure};
use crate::id::AccountId;
use crate::time::Time;
use serde_json::json;
use std::collections::HashMap;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;
/// As many accounts as one isolate counts; beyond them those whose day is over go.
const MOST: usize = 8192;

/// Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeLimits {
    pub per_minute: u32,
    pub per_day: u32,
}

impl Default for FreeLimits {
    fn default() -> FreeLimits {
        FreeLimits { per_minute: 20, per_day: 1000 }
    }
}

/// What accounts asked for in the current minute and day.
#[derive(Debug, Default)]
pub struct FreeCounts(HashMap<AccountId, Count>);

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    minute: u64,
    in_minute: u32,
    day: u64,
    in_day: u32,
}

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    pub span: Span,
    pub limit: u32,
    pub resets_at: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Minute,
    Day,
}

/// Whether requests for a model are counted.
pub fn is_free(slug: &str) -> bool {
    slug.ends_with(":free")
}

impl FreeCounts {
    /// Counts a request of `account` at `now`, or says which limit it is beyond; that one is not counted.
    pub fn admit(&mut self, account: &AccountId, limits: FreeLimits, now: Time) -> Result<(), Limited> {
        let (minute, day) = (now.ms() / MINUTE_MS, now.ms() / DAY_MS);
        if self.0.len() >= MOST && !self.0.contains_key(account) {
            self.0.retain(|_, count| count.day == day);
        }
        let mut count = self.0.get(account).copied().unwrap_or_default();
        if count.day != day {
            (count.day, count.in_day) = (day, 0);
        }
        if count.minute != minute {
            (count.minute, count.in_minute) = (minute, 0);
        }
        let spans = [
            (Span::Day, count.in_day, limits.per_day, (day + 1) * DAY_MS),
            (Span::Minute, count.in_minute, limits.per_minute, (minute + 1) * MINUTE_MS),
        ];
        for (span, used, limit, reset) in spans {
            if limit > 0 && used >= limit {
                return Err(Limited { span, limit, resets_at: Time::from_ms(reset) });
            }
        }
        count.in_minute = count.in_minute.saturating_add(1);
        count.in_day = count.in_day.saturating_add(1);
        // A day with more accounts than are counted leaves the later ones without a limit here.
        if self.0.len() < MOST || self.0.contains_key(account) {
            self.0.insert(account.clone(), count);
        }
        Ok(())
    }
}

impl Limited {
    /// What the client is told, with the headers as `metadata.headers` and on the response.
    pub fn failure(&self, now: Time) -> Failure {
        let span = match self.span {
            Span::Minute => "free-models-per-min",
            Span::Day => "free-models-per-day",
        };
        let wait_ms = self.resets_at.ms().saturating_sub(now.ms());
        let wait_s = u32::try_from(wait_ms.div_ceil(1000)).unwrap_or(u32::MAX);
        let headers = json!({
            "X-RateLimit-Limit": self.limit.to_string(),
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": self.resets_at.ms().to_string(),
        });
        Failure::new(Cause::RateLimited, format!("Rate limit exceeded: {span}"))
            .with("headers", headers)
            .with("limit_source", "openrouter_free_tier_daily")
            .retry_after(wait_s)
    }
}
