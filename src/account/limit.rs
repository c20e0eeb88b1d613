//! The window of a key's limit: since when spending counts and when it starts again. UTC, weeks
//! from Monday.

use crate::time::{Day, Time};
use serde::{Deserialize, Serialize};

const MS_PER_DAY: u64 = 86_400_000;

/// How often a key's limit starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitReset {
    Daily,
    Weekly,
    Monthly,
}

impl LimitReset {
    pub fn as_str(self) -> &'static str {
        match self {
            LimitReset::Daily => "daily",
            LimitReset::Weekly => "weekly",
            LimitReset::Monthly => "monthly",
        }
    }

    pub fn parse(text: &str) -> Option<LimitReset> {
        match text {
            "daily" => Some(LimitReset::Daily),
            "weekly" => Some(LimitReset::Weekly),
            "monthly" => Some(LimitReset::Monthly),
            _ => None,
        }
    }

    /// The first day of the window that holds `day`.
    pub fn window_start(self, day: Day) -> Day {
        match self {
            LimitReset::Daily => day,
            LimitReset::Weekly => day.week_start(),
            LimitReset::Monthly => day.month_start(),
        }
    }

    /// The midnight at which the window that holds `now` ends.
    pub fn resets_at(self, now: Time) -> Time {
        let start = self.window_start(now.day()).number();
        let next = match self {
            LimitReset::Daily => start + 1,
            LimitReset::Weekly => start + 7,
            // 31 days after the first of a month is always in the next one.
            LimitReset::Monthly => Day::from_number(start + 31).month_start().number(),
        };
        Time::from_ms(u64::try_from(next).map_or(0, |days| days.saturating_mul(MS_PER_DAY)))
    }
}
