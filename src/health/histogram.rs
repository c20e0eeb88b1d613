//! Values counted in fixed buckets, each an eighth of an octave wide: 160 of them reach from 0 to
//! four million, and a percentile is within 7% of the truth. Histograms add up.

use serde::{Deserialize, Serialize};

use super::Percentiles;

/// Values beyond this count as this: 70 minutes in milliseconds.
const LARGEST: u32 = (1 << 22) - 1;
/// Buckets to an octave, as a power of two.
const SPLIT: u32 = 3;

/// Counts by bucket, sorted; empty buckets are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram(Vec<(u8, u32)>);

impl Histogram {
    /// No histogram has more buckets.
    pub const BUCKETS: usize = bucket(LARGEST) as usize + 1;

    pub fn add(&mut self, value: u32) {
        self.count(bucket(value), 1);
    }

    pub fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in &other.0 {
            self.count(*bucket, *count);
        }
    }

    /// How many values were added.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many buckets are in use, which is what it weighs.
    pub fn buckets(&self) -> usize {
        self.0.len()
    }

    /// The value below or at which `permille` of the values lie (nearest rank). `None` if empty.
    pub fn quantile(&self, permille: u32) -> Option<u32> {
        let rank = (self.len() * u64::from(permille.min(1000))).div_ceil(1000).max(1);
        let mut seen = 0;
        let reached = |(_, count): &&(u8, u32)| {
            seen += u64::from(*count);
            seen >= rank
        };
        self.0.iter().find(reached).map(|(bucket, _)| middle(*bucket))
    }

    /// The sum of all values, each as the middle of its bucket.
    pub fn sum(&self) -> u128 {
        self.0.iter().map(|(bucket, count)| u128::from(middle(*bucket)) * u128::from(*count)).sum()
    }

    pub fn percentiles(&self) -> Option<Percentiles> {
        Some(Percentiles {
            p50: self.quantile(500)?,
            p75: self.quantile(750)?,
            p90: self.quantile(900)?,
            p99: self.quantile(990)?,
        })
    }

    fn count(&mut self, bucket: u8, count: u32) {
        match self.0.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            // What came from elsewhere may name buckets that do not exist.
            Err(_) if usize::from(bucket) >= Histogram::BUCKETS => {}
            Err(at) => self.0.insert(at, (bucket, count)),
        }
    }
}

/// Small values have a bucket each; above, the three bits after the first choose it.
const fn bucket(value: u32) -> u8 {
    let value = if value > LARGEST { LARGEST } else { value };
    if value < 1 << SPLIT {
        return value as u8;
    }
    let octave = value.ilog2();
    let within = (value >> (octave - SPLIT)) & ((1 << SPLIT) - 1);
    (((octave - SPLIT + 1) << SPLIT) + within) as u8
}

/// The value in the middle of a bucket.
fn middle(bucket: u8) -> u32 {
    let bucket = u32::from(bucket);
    if bucket < 1 << SPLIT {
        return bucket;
    }
    let shift = (bucket >> SPLIT) - 1;
    let lowest = ((1 << SPLIT) + (bucket & ((1 << SPLIT) - 1))) << shift;
    lowest + ((1 << shift) >> 1)
}
