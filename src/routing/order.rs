//! The order in which the endpoints of a model are tried. Knows what each costs and how each
//! stands, and draws by a seed; no endpoint is left out here. Facts: OpenRouter's provider routing.

use super::candidate::Candidate;
use super::preference::{Preference, Sort};
use crate::health::{Condition, Standing};
use std::cmp::Reverse;

/// A candidate that passed every filter, with what speaks for and against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub candidate: Candidate,
    pub standing: Standing,
    /// Slower than `preferred_min_throughput` or `preferred_max_latency` allow.
    pub slow: bool,
    /// The session's last reply came from here.
    pub pinned: bool,
    /// How likely it was to be the first of its model, in millionths, before anything was drawn.
    pub share_ppm: u32,
}

/// How to order.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub preference: &'a Preference,
    pub sort: Option<Sort>,
    /// The tier of service to try first.
    pub tier: Option<&'a str>,
    /// Tools will be called, so that endpoints known to call them badly come later.
    pub tools: bool,
    /// A session's, or one for this request alone.
    pub seed: u64,
}

impl Entry {
    pub fn new(candidate: Candidate, standing: Standing, preference: &Preference) -> Entry {
        let slow = preference.min_throughput.missed(standing.throughput)
            || preference.max_latency.exceeded(standing.latency_ms, 1000.0);
        Entry { candidate, standing, slow, pinned: false, share_ppm: 0 }
    }

    pub fn is_out(&self) -> bool {
        matches!(self.standing.condition, Condition::Out { .. })
    }

    fn price(&self) -> i128 {
        self.candidate.prices.blend()
    }
}

/// Puts endpoints in order, all of one model or those of several that are sorted together.
///
/// First by `provider.order`, a sort, or price; then, each time keeping that order, those behind
/// that lack a parameter, are slow, failed lately, or are out. Where neither an order nor a sort
/// was asked for, the first of the best is drawn with weight 1/price².
pub(super) fn arrange(entries: &mut [Entry], wish: &Wish) {
    let ordered = !wish.preference.order.is_empty();
    let sort = wish.sort.or_else(|| wish.auto_exacto(entries));
    entries.sort_by_key(Entry::price);
    match sort {
        _ if ordered => entries.sort_by_key(|entry| place(entry, wish.preference)),
        None | Some(Sort::Price) => {}
        Some(Sort::Throughput) => entries.sort_by_key(|entry| Reverse(throughput(entry))),
        Some(Sort::Latency) => entries.sort_by_key(latency),
        Some(Sort::Exacto) => entries.sort_by_key(quality),
    }
    if let Some(tier) = wish.tier.filter(|_| !ordered) {
        entries.sort_by_key(|entry| {
            let first = entry.candidate.service_tier == Some(tier);
            (!first, first.then(|| Reverse(throughput(entry))))
        });
    }
    let drawn = !ordered && wish.sort.is_none();
    let weakness = |entry: &Entry| weakness(entry, ordered, drawn);
    entries.sort_by_key(weakness);
    let Some(best) = entries.first().map(weakness) else { return };
    let pool = entries.iter().take_while(|entry| weakness(entry) == best).count();
    put_first(&mut entries[..pool], ordered, drawn && sort.is_none() && wish.tier.is_none(), wish.seed);
}

impl Wish<'_> {
    /// Requests with tools go by quality where enough is measured of it (OpenRouter's Auto Exacto).
    fn auto_exacto(&self, entries: &[Entry]) -> Option<Sort> {
        let measured = entries.iter().any(|entry| entry.standing.tool_errors_ppm.is_some());
        (self.tools && measured && self.preference.order.is_empty()).then_some(Sort::Exacto)
    }
}

/// Puts one of the best before the others: the session's, or one that is drawn.
fn put_first(pool: &mut [Entry], ordered: bool, drawn: bool, seed: u64) {
    if drawn {
        share(pool);
    } else if let Some(first) = pool.first_mut() {
        first.share_ppm = PPM;
    }
    let pinned = pool.iter().position(|entry| entry.pinned).filter(|_| !ordered);
    let first = match pinned {
        Some(pinned) => pinned,
        None if drawn => draw(pool, seed),
        None => 0,
    };
    pool[..=first].rotate_right(1);
}

/// What makes an endpoint be tried later, the gravest first: `Out` ones by when they may be back.
/// An order or a sort is the client's to choose, so that failures short of that do not change it.
fn weakness(entry: &Entry, ordered: bool, drawn: bool) -> (u64, bool, bool, bool) {
    let out = match entry.standing.condition {
        Condition::Stable | Condition::Shaky => 0,
        Condition::Out { until } => until.ms().max(1),
    };
    let shaky = drawn && entry.standing.condition == Condition::Shaky;
    (out, entry.slow, !ordered && !entry.candidate.honours_all, shaky)
}

fn place(entry: &Entry, preference: &Preference) -> usize {
    let Candidate { provider, tag, service_tier, .. } = entry.candidate;
    let named = preference.order.iter().position(|name| name.means(provider, tag, service_tier));
    named.unwrap_or(usize::MAX)
}

/// The median, or the trend where that says more; zero, so last, if nothing was measured.
fn throughput(entry: &Entry) -> u32 {
    entry.standing.usual_throughput().unwrap_or(0)
}

/// The median, or the trend where that says more; last if nothing was measured.
fn latency(entry: &Entry) -> u32 {
    entry.standing.usual_latency_ms().unwrap_or(u32::MAX)
}

/// Invalid calls in steps, so that differences within the noise of some dozen samples do not
/// count, then throughput. What was not measured stands between good and poor.
fn quality(entry: &Entry) -> (u8, Reverse<u32>) {
    let step = match entry.standing.tool_errors_ppm {
        Some(0..=10_000) => 0,
        None | Some(10_001..=30_000) => 1,
        Some(30_001..=100_000) => 2,
        Some(_) => 3,
    };
    (step, Reverse(throughput(entry)))
}

const PPM: u32 = 1_000_000;

/// Notes how likely each is to be drawn.
fn share(pool: &mut [Entry]) {
    // Relative to the cheapest a weight is at most 2^60, so that sums and products fit.
    const SCALE: i128 = 1 << 30;
    let cheapest = pool.iter().map(Entry::price).min().unwrap_or(0);
    let weight = |entry: &Entry| -> u128 {
        match (cheapest, entry.price()) {
            (0, 0) => 1,
            (0, _) => 0,
            (cheapest, price) => (SCALE * cheapest / price).unsigned_abs().pow(2),
        }
    };
    let total: u128 = pool.iter().map(weight).sum();
    for entry in pool {
        entry.share_ppm = (weight(entry) * u128::from(PPM)).checked_div(total).unwrap_or(0) as u32;
    }
}

/// Draws an index with weight 1/price². A race: each runs for a time that is exponential with its
/// weight as the rate, and the shortest wins. Each one's time depends on the seed and itself alone:
/// with the same seed the winner only changes where it leaves or a faster one comes. Where
/// something is free, the draw is among what is free.
fn draw(pool: &[Entry], seed: u64) -> usize {
    let time = |entry: &Entry| {
        let random = hash(seed, entry.candidate.model.as_bytes(), entry.candidate.tag.as_bytes());
        // Beyond 2^46 the product would not fit: that is some 70 dollars a token.
        let price = entry.price().unsigned_abs().min(1 << 46);
        (price * price * u128::from(minus_log2(random)), random)
    };
    let race = pool.iter().map(time).enumerate().min_by_key(|(_, time)| *time);
    race.map_or(0, |(index, _)| index)
}

/// −log₂ of `random`/2⁶⁴ with 26 bits behind the point: exponentially distributed where `random` is
/// uniform.
fn minus_log2(random: u64) -> u64 {
    const BITS: u32 = 26;
    let zeros = random.leading_zeros().min(63);
    // From 2^31, which is one, up to 2^32, which is two.
    let mut mantissa = (u128::from(random | 1) << zeros >> 32) as u64;
    let mut fraction: u64 = 0;
    for _ in 0..BITS {
        mantissa = (mantissa * mantissa) >> 31;
        fraction <<= 1;
        if mantissa >> 32 != 0 {
            fraction |= 1;
            mantissa >>= 1;
        }
    }
    (u64::from(zeros + 1) << BITS) - fraction
}

/// A number that is unrelated for each seed, and for each pair of texts.
pub(super) fn hash(seed: u64, one: &[u8], other: &[u8]) -> u64 {
    // FNV-1a, and SplitMix64's finaliser for bits that are good everywhere.
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = one.iter().fold(scramble(seed), step);
    let hash = step(hash, &0xff);
    scramble(other.iter().fold(hash, step))
}

/// SplitMix64's finaliser: neighbouring seeds give unrelated numbers.
pub(super) fn scramble(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
