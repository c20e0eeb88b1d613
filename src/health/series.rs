//! What happened at an endpoint, by time: counts of five seconds for outages, minutes with speeds
//! for routing and lists, hours for the day. Slots are named by absolute time, so series from
//! different edges add up; only the newest slots are kept.

use litemap::LiteMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Histogram, Public};
use crate::time::Time;

/// The span of a slot in milliseconds, and how many are kept: one more than the window has, since
/// a window ends within a slot.
const MOMENT: (u64, usize) = (5_000, 7);
const MINUTE: (u64, usize) = (60_000, 31);
const HOUR: (u64, usize) = (3_600_000, 25);
/// 2^16 · 2^(−minutes/4): half of it after four minutes.
const FADING: [u32; 4] = [65_536, 55_109, 46_341, 38_968];
/// Of fewer streams than this nobody knows how slow the slowest are.
const ENOUGH_FOR_PACE: u64 = 20;
const DAY: Duration = Duration::from_secs(86_400);

/// How attempts ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub ok: u32,
    pub failed: u32,
    /// Turned away for the time being (429): neither a success nor an error.
    pub limited: u32,
}

/// Replies that called tools, and calls that the provider itself threw away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    pub called: u32,
    /// The reply finished for a call that could not be read.
    pub malformed: u32,
    /// The provider answered with an error because the model had called wrongly.
    pub refused: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Minute {
    counts: Counts,
    latency_ms: Histogram,
    throughput: Histogram,
    tools: Tools,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    moments: Slots<Counts>,
    minutes: Slots<Minute>,
    hours: Slots<Counts>,
}

/// Slots by their number since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
struct Slots<T>(#[serde(serialize_with = "super::write_map")] LiteMap<u64, T>);

trait Sum: Default {
    fn merge(&mut self, other: &Self);
}

impl Series {
    /// The windows in which routing and lists look.
    pub const FIVE_MINUTES: Duration = Duration::from_secs(300);
    pub const HALF_HOUR: Duration = Duration::from_secs(1800);

    pub fn count(&mut self, now: Time, counts: Counts) {
        self.moments.update(now, MOMENT, |moment| moment.merge(&counts));
        self.minutes.update(now, MINUTE, |minute| minute.counts.merge(&counts));
        self.hours.update(now, HOUR, |hour| hour.merge(&counts));
    }

    pub fn add_latency(&mut self, now: Time, ms: u32) {
        self.minutes.update(now, MINUTE, |minute| minute.latency_ms.add(ms));
    }

    pub fn add_throughput(&mut self, now: Time, tokens_per_second: u32) {
        self.minutes.update(now, MINUTE, |minute| minute.throughput.add(tokens_per_second));
    }

    pub fn add_tools(&mut self, now: Time, tools: Tools) {
        if tools == Tools::default() {
            return;
        }
        self.minutes.update(now, MINUTE, |minute| minute.tools.merge(&tools));
    }

    pub fn merge(&mut self, other: &Series) {
        self.moments.merge(&other.moments, MOMENT.1);
        self.minutes.merge(&other.minutes, MINUTE.1);
        self.hours.merge(&other.hours, HOUR.1);
    }

    /// What came in the last `window` before `now`, and not before `start`.
    pub fn counts(&self, now: Time, window: Duration, start: Time) -> Counts {
        let mut sum = Counts::default();
        let first = start.ms().div_ceil(MOMENT.0);
        for (_, counts) in self.moments.last(now, window, MOMENT.0).filter(|(slot, _)| **slot >= first) {
            sum.merge(counts);
        }
        sum
    }

    pub fn latency(&self, now: Time, window: Duration) -> Histogram {
        self.gather(now, window, |minute| &minute.latency_ms)
    }

    pub fn throughput(&self, now: Time, window: Duration) -> Histogram {
        self.gather(now, window, |minute| &minute.throughput)
    }

    pub fn tools(&self, now: Time, window: Duration) -> Tools {
        let mut sum = Tools::default();
        for (_, minute) in self.minutes.last(now, window, MINUTE.0) {
            sum.merge(&minute.tools);
        }
        sum
    }

    pub fn public(&self, now: Time) -> Public {
        let in_minutes = |window| {
            let mut sum = Counts::default();
            self.minutes.last(now, window, MINUTE.0).for_each(|(_, minute)| sum.merge(&minute.counts));
            sum.uptime_ppm()
        };
        let mut day = Counts::default();
        self.hours.last(now, DAY, HOUR.0).for_each(|(_, counts)| day.merge(counts));
        Public {
            latency_30m: self.latency(now, Series::HALF_HOUR).percentiles(),
            throughput_30m: self.throughput(now, Series::HALF_HOUR).percentiles(),
            uptime_5m_ppm: in_minutes(Series::FIVE_MINUTES),
            uptime_30m_ppm: in_minutes(Series::HALF_HOUR),
            uptime_1d_ppm: day.uptime_ppm(),
            latency_trend_ms: self.latency_trend(now),
            throughput_trend: self.throughput_trend(now),
            latency_p95_30m: self.pace(now, 950),
        }
    }

    /// The milliseconds within which so many of a thousand streams began: of the last five minutes or,
    /// if those are too few, of the last half hour.
    pub fn pace(&self, now: Time, permille: u32) -> Option<u32> {
        let windows = [Series::FIVE_MINUTES, Series::HALF_HOUR];
        let mut found = windows.into_iter().map(|window| self.latency(now, window));
        found.find(|known| known.len() >= ENOUGH_FOR_PACE)?.quantile(permille)
    }

    pub fn latency_trend(&self, now: Time) -> Option<u32> {
        self.trend(now, |minute| &minute.latency_ms)
    }

    pub fn throughput_trend(&self, now: Time) -> Option<u32> {
        self.trend(now, |minute| &minute.throughput)
    }

    /// The mean of the last half hour, weighted by age. Minutes are named by absolute time and add
    /// up, so the means of what edges saw need no state of their own to add up as well.
    fn trend(&self, now: Time, of: impl Fn(&Minute) -> &Histogram) -> Option<u32> {
        let newest = now.ms() / MINUTE.0;
        let (mut weighed, mut weights) = (0u128, 0u128);
        for (slot, minute) in self.minutes.last(now, Series::HALF_HOUR, MINUTE.0) {
            let age = newest - slot;
            let weight = u128::from(FADING[(age % 4) as usize] >> (age / 4));
            weighed += weight * of(minute).sum();
            weights += weight * u128::from(of(minute).len());
        }
        u32::try_from(weighed.checked_div(weights)?).ok()
    }

    /// As much as routing needs: the last five minutes.
    pub fn recent(&self, now: Time) -> Series {
        let minutes = self.minutes.last(now, Series::FIVE_MINUTES, MINUTE.0);
        Series {
            moments: self.moments.clone(),
            minutes: Slots(minutes.map(|(slot, minute)| (*slot, minute.clone())).collect()),
            hours: Slots::default(),
        }
    }

    /// Takes out what claims to be from the future, by which a wrong clock would push out the rest.
    pub fn drop_future(&mut self, now: Time) {
        self.moments.0.retain(|slot, _| *slot <= now.ms() / MOMENT.0 + 1);
        self.minutes.0.retain(|slot, _| *slot <= now.ms() / MINUTE.0 + 1);
        self.hours.0.retain(|slot, _| *slot <= now.ms() / HOUR.0 + 1);
    }

    /// Slots and buckets in use, which is what it weighs.
    pub fn weight(&self) -> usize {
        let buckets = |minute: &Minute| 1 + minute.latency_ms.buckets() + minute.throughput.buckets();
        self.moments.0.len() + self.hours.0.len() + self.minutes.0.values().map(buckets).sum::<usize>()
    }

    /// The most that [`Series::weight`] can be.
    pub const HEAVIEST: usize = MOMENT.1 + HOUR.1 + MINUTE.1 * (1 + 2 * Histogram::BUCKETS);

    fn gather(&self, now: Time, window: Duration, of: impl Fn(&Minute) -> &Histogram) -> Histogram {
        let mut sum = Histogram::default();
        for (_, minute) in self.minutes.last(now, window, MINUTE.0) {
            sum.merge(of(minute));
        }
        sum
    }
}

impl Counts {
    pub const OK: Counts = Counts { ok: 1, failed: 0, limited: 0 };
    pub const FAILED: Counts = Counts { ok: 0, failed: 1, limited: 0 };
    pub const LIMITED: Counts = Counts { ok: 0, failed: 0, limited: 1 };

    fn uptime_ppm(self) -> Option<u32> {
        let all = u64::from(self.ok) + u64::from(self.failed);
        let ppm = (u64::from(self.ok) * 1_000_000).checked_div(all)?;
        u32::try_from(ppm).ok()
    }
}

impl Tools {
    /// Fewer replies with tools than this say nothing.
    const ENOUGH: u32 = 10;

    /// Of a million replies that meant to call a tool, how many could not.
    pub fn errors_ppm(self) -> Option<u32> {
        let bad = u64::from(self.malformed) + u64::from(self.refused);
        let all = u64::from(self.called) + bad;
        let ppm = (all >= u64::from(Tools::ENOUGH)).then(|| bad * 1_000_000 / all)?;
        u32::try_from(ppm).ok()
    }
}

impl<T: Sum> Slots<T> {
    fn update(&mut self, now: Time, (span, kept): (u64, usize), change: impl FnOnce(&mut T)) {
        change(self.0.entry(now.ms() / span).or_default());
        self.keep(kept);
    }

    fn merge(&mut self, other: &Slots<T>, kept: usize) {
        for (slot, value) in &other.0 {
            self.0.entry(*slot).or_default().merge(value);
        }
        self.keep(kept);
    }

    /// Forgets what is older than the newest `kept` slots would be.
    fn keep(&mut self, kept: usize) {
        let newest = self.0.keys().next_back().copied().unwrap_or(0);
        self.0.retain(|slot, _| slot + kept as u64 > newest);
    }

    fn last(&self, now: Time, window: Duration, span: u64) -> impl Iterator<Item = (&u64, &T)> {
        let newest = now.ms() / span;
        let first = (newest + 1).saturating_sub(window.as_millis() as u64 / span);
        let slots = self.0.iter().skip_while(move |(slot, _)| **slot < first);
        slots.take_while(move |(slot, _)| **slot <= newest)
    }
}

impl Sum for Counts {
    fn merge(&mut self, other: &Counts) {
        self.ok = self.ok.saturating_add(other.ok);
        self.failed = self.failed.saturating_add(other.failed);
        self.limited = self.limited.saturating_add(other.limited);
    }
}

impl Sum for Tools {
    fn merge(&mut self, other: &Tools) {
        self.called = self.called.saturating_add(other.called);
        self.malformed = self.malformed.saturating_add(other.malformed);
        self.refused = self.refused.saturating_add(other.refused);
    }
}

impl Sum for Minute {
    fn merge(&mut self, other: &Minute) {
        self.counts.merge(&other.counts);
        self.latency_ms.merge(&other.latency_ms);
        self.throughput.merge(&other.throughput);
        self.tools.merge(&other.tools);
    }
}
