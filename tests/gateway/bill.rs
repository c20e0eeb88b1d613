//! The bills that tests of replies are given.

use millrace::chat::{Bill, Usage};
use millrace::money::Money;

/// A bill of `cost`, all of it for the prompt.
pub fn for_prompt(usage: Usage, cost: Money) -> Bill {
    Bill {
        usage,
        cost,
        prompt_cost: cost,
        completion_cost: Money::ZERO,
        search_cost: Money::ZERO,
        is_byok: false,
        metadata: None,
    }
}
