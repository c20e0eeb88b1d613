//! How many second attempts may be made: a share of all streams, so that an hour in which all is
//! slow is not made worse by asking everybody twice.

/// Tenths of a second attempt that may be made now.
#[derive(Clone, Copy, Debug)]
pub struct Allowance(u32);

/// What one costs, in streams: one in ten may have one.
const COST: u32 = 10;
/// Saved up, at most: ten in a row.
const MOST: u32 = 10 * COST;

impl Default for Allowance {
    /// Two, so that it is of use from the beginning.
    fn default() -> Allowance {
        Allowance(2 * COST)
    }
}

impl Allowance {
    /// A stream was begun.
    pub fn earn(&mut self) {
        self.0 = (self.0 + 1).min(MOST);
    }

    pub fn has(&self) -> bool {
        self.0 >= COST
    }

    pub fn spend(&mut self) {
        self.0 = self.0.saturating_sub(COST);
    }
}
