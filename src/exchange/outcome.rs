//! How exchanges end, and what each end costs.

use crate::chat::{Bill, Facts, Usage};
use crate::error::Cause;
use crate::money::Money;
use crate::pricing::{self, Cost};

use super::Exchange;

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is complete.
    Complete,
    /// The client left.
    Cancelled,
    /// The reply began and could not go on.
    BrokenOff(Cause),
    /// No provider gave an answer.
    Failed(Cause),
    /// The account did not admit it.
    Refused(Cause),
}

/// What an exchange used and costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub usage: Usage,
    pub cost: Cost,
    /// The provider gave no count: the usage is an estimate from the bytes that passed.
    pub estimated: bool,
}

/// What the account is to charge, and what it is to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub amount: Money,
    /// JSON of a [`crate::account::GenerationRecord`].
    pub record: String,
}

impl Outcome {
    /// A word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Cancelled => "cancelled",
            Outcome::BrokenOff(_) => "broken_off",
            Outcome::Failed(_) => "failed",
            Outcome::Refused(_) => "refused",
        }
    }

    /// The status that stands for the outcome, whatever the client could still be told.
    pub fn status(&self) -> u16 {
        match self {
            Outcome::Complete => 200,
            Outcome::Cancelled => Cause::ClientClosed.status(),
            Outcome::BrokenOff(cause) | Outcome::Failed(cause) | Outcome::Refused(cause) => cause.status(),
        }
    }
}

impl Exchange {
    /// The policy of what is charged. `facts` are those of a reply that has begun.
    ///
    /// | end | charged |
    /// |---|---|
    /// | complete, or cut by a length limit | the usage that the provider reported; without a report an estimate |
    /// | client left, or broken off, after content | the usage if it was reported; what it leaves out of the prompt or of what was delivered, by an estimate |
    /// | nothing delivered, whatever the reason | nothing |
    pub(super) fn charge(&self, outcome: &Outcome, facts: Option<&Facts>) -> Charge {
        let delivered = match (outcome, facts) {
            (Outcome::Failed(_) | Outcome::Refused(_), _) | (_, None) => None,
            (Outcome::Complete | Outcome::Cancelled | Outcome::BrokenOff(_), Some(facts)) => Some(facts),
        };
        let Some(facts) = delivered.filter(|facts| facts.began) else {
            return Charge { usage: Usage::default(), cost: Cost::default(), estimated: false };
        };
        let size = &self.arrival.request.size;
        let estimate = || pricing::estimate_usage(size, facts.output_bytes);
        let (usage, estimated) = match facts.usage {
            Some(usage) if *outcome == Outcome::Complete || facts.finish.is_some() => (usage, false),
            Some(usage) => topped_up(usage, estimate().output),
            None => (estimate(), true),
        };
        let prices = &self.routes[self.current].candidate.prices;
        match pricing::cost(prices, &usage) {
            Some(cost) => Charge { usage, cost, estimated },
            // A count so absurd that its price does not fit is no count.
            None => {
                let usage = estimate();
                let cost = pricing::cost(prices, &usage).unwrap_or_default();
                Charge { usage, cost, estimated: true }
            }
        }
    }

    pub(super) fn bill(&self, charge: &Charge) -> Bill {
        // What was dropped is told whether it was asked for or not.
        let tell = self.arrival.show_attempts || !self.losses().is_empty();
        Bill {
            usage: charge.usage,
            cost: charge.cost.total,
            prompt_cost: charge.cost.prompt,
            completion_cost: charge.cost.completion,
            is_byok: false,
            metadata: tell.then(|| self.attempts_view().to_string()),
        }
    }
}

/// A count from the middle of a reply, with what was delivered since: Messages count the prompt at
/// the beginning of a stream, and the output only at its end. Says whether anything was added.
fn topped_up(usage: Usage, delivered: u64) -> (Usage, bool) {
    let missing = delivered.saturating_sub(usage.total_output());
    (Usage { output: usage.output.saturating_add(missing), ..usage }, missing > 0)
}
