//! What credit costs: its amount and a fee, in whole cents.

use crate::money::{Money, PICO_PER_USD};

const PICO_PER_CENT: i64 = PICO_PER_USD / 100;

/// A share of what is bought, but never less than a minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    /// Hundredths of a percent.
    pub basis_points: u64,
    pub minimum_cents: u64,
}

impl Default for Fee {
    /// OpenRouter's: 5.5 %, at least $0.80.
    fn default() -> Fee {
        Fee { basis_points: 550, minimum_cents: 80 }
    }
}

impl Fee {
    /// The fee for credit of so many cents. Half a cent is rounded up, in the operator's favour.
    pub fn cents(&self, credit_cents: u64) -> u64 {
        let share = u128::from(credit_cents) * u128::from(self.basis_points);
        u64::try_from((share + 5_000) / 10_000).unwrap_or(u64::MAX).max(self.minimum_cents)
    }
}

/// `None` beyond what an amount can hold.
pub fn from_cents(cents: u64) -> Option<Money> {
    i64::try_from(cents).ok()?.checked_mul(PICO_PER_CENT).map(Money::from_pico)
}

/// `None` for less than nothing and for parts of a cent.
pub fn to_cents(amount: Money) -> Option<u64> {
    let pico = amount.pico();
    (pico >= 0 && pico % PICO_PER_CENT == 0).then_some((pico / PICO_PER_CENT) as u64)
}
