//! Time as an argument: the core never reads a clock. Calendar arithmetic in UTC, by the
//! days-from-civil method (Howard Hinnant, "chrono-compatible low-level date algorithms").

use std::time::Duration;

use serde::{Deserialize, Serialize};

const MS_PER_DAY: u64 = 86_400_000;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(u64);

/// A day in UTC: days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Time {
    pub const fn from_ms(ms: u64) -> Time {
        Time(ms)
    }

    pub const fn ms(self) -> u64 {
        self.0
    }

    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    pub fn plus(self, span: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    pub fn day(self) -> Day {
        Day((self.0 / MS_PER_DAY) as i64)
    }

    /// Writes `2026-11-21T14:13:27.042Z`.
    pub fn to_iso8601(self) -> String {
        let (year, month, day) = self.day().civil();
        let ms = self.0 % MS_PER_DAY;
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            ms / 3_600_000,
            ms / 60_000 % 60,
            ms / 1000 % 60,
            ms % 1000
        )
    }

    /// Reads `2027-12-31T23:59:59Z`, with or without a fraction of a second, with `Z` or an
    /// offset such as `+02:00`. Seconds are required. `None` for anything else.
    pub fn parse_iso8601(text: &str) -> Option<Time> {
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            digits.parse().ok()
        };
        let sign_at =
            |at: usize, sign: &str| text.get(at..at + 1).is_some_and(|c| c.eq_ignore_ascii_case(sign));
        if !(sign_at(4, "-") && sign_at(7, "-") && sign_at(10, "T") && sign_at(13, ":") && sign_at(16, ":")) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let date = Day::from_civil(year as i64, month as u32, day as u32)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (ms, zone) = read_fraction(text.get(19..)?)?;
        let offset_minutes = read_zone(zone)?;
        let local = date.0 * MS_PER_DAY as i64 + ((hour * 60 + minute) * 60 + second) as i64 * 1000 + ms;
        u64::try_from(local - offset_minutes * 60_000).ok().map(Time)
    }
}

impl Day {
    pub const fn from_number(number: i64) -> Day {
        Day(number)
    }

    pub const fn number(self) -> i64 {
        self.0
    }

    /// Its first moment; 1970 for a day before.
    pub fn start(self) -> Time {
        Time(u64::try_from(self.0).map_or(0, |days| days.saturating_mul(MS_PER_DAY)))
    }

    /// Writes `2026-11-21`.
    pub fn to_iso8601(self) -> String {
        let (year, month, day) = self.civil();
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// Reads `2026-11-21`.
    pub fn parse_iso8601(text: &str) -> Option<Day> {
        let digits =
            |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let sound = digits(year, 4) && digits(month, 2) && digits(day, 2);
        Day::from_civil(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).filter(|_| sound)
    }

    /// The Monday of this day's week.
    pub fn week_start(self) -> Day {
        // 1970-01-01 was a Thursday, three days after a Monday.
        Day(self.0 - (self.0 + 3).rem_euclid(7))
    }

    pub fn month_start(self) -> Day {
        Day(self.0 - i64::from(self.civil().2) + 1)
    }

    /// The first day of the month after this day's.
    pub fn next_month_start(self) -> Day {
        // 31 days after the first of a month is always in the next one.
        Day(self.month_start().0 + 31).month_start()
    }

    /// Year, month (1 to 12) and day of the month (1 to 31).
    pub fn civil(self) -> (i64, u32, u32) {
        let z = self.0 + 719_468;
        let era = z.div_euclid(146_097);
        let day_of_era = z.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        (year_of_era + era * 400 + i64::from(month <= 2), month as u32, day as u32)
    }

    /// `None` where there is no such day.
    pub fn from_civil(year: i64, month: u32, day: u32) -> Option<Day> {
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let shifted = if month <= 2 { year - 1 } else { year };
        let era = shifted.div_euclid(400);
        let year_of_era = shifted.rem_euclid(400);
        let month_index = (i64::from(month) + 9) % 12;
        let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let found = Day(era * 146_097 + day_of_era - 719_468);
        (found.civil() == (year, month, day)).then_some(found)
    }
}

/// Splits `.042Z` into milliseconds and the zone.
fn read_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let digits = &rest[..length];
    if digits.is_empty() {
        return None;
    }
    let ms = format!("{digits:0<3}")[..3].parse().ok()?;
    Some((ms, &rest[length..]))
}

fn read_zone(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 23 && minutes <= 59).then_some(sign * (i64::from(hours) * 60 + i64::from(minutes)))
}
