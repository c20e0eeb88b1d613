//! How often an account may ask for free models: so many requests a minute, and a day in UTC, whichever
//! key asks. Who counts is the account. Facts: OpenRouter's limits of `:free` models.

use serde::{Deserialize, Serialize};

/// Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeLimits {
    pub per_minute: u32,
    pub per_day: u32,
    /// The day's limit of an account that was given less than `credits` dollars.
    pub per_day_low: u32,
    pub credits: u32,
}

impl Default for FreeLimits {
    fn default() -> FreeLimits {
        FreeLimits { per_minute: 20, per_day: 1000, per_day_low: 50, credits: 10 }
    }
}

impl FreeLimits {
    /// Whether there is any.
    pub fn is_any(&self) -> bool {
        self.per_minute > 0 || self.per_day > 0
    }

    /// The limit of a day for an account that was given so many dollars, and whether it is the lower one.
    /// Where days have no limit, the lower one is none either.
    pub fn of_day(&self, dollars: i64) -> (u32, bool) {
        let low =
            self.per_day_low > 0 && self.per_day_low < self.per_day && dollars < i64::from(self.credits);
        if low { (self.per_day_low, true) } else { (self.per_day, false) }
    }
}

/// Whether requests for a model are counted.
pub fn is_free(slug: &str) -> bool {
    slug.ends_with(":free")
}
