//! How exchanges end, and what each end costs.

use crate::catalog;
use crate::chat::{Bill, Facts, Output, Usage};
use crate::error::Cause;
use crate::money::Money;
use crate::pricing::{self, Cost};
use crate::routing::Candidate;

use super::Exchange;

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is complete.
    Complete,
    /// What could be set aside for the reply is used up.
    UsedUp,
    /// The client left.
    Cancelled,
    /// The reply began and could not go on.
    BrokenOff(Cause),
    /// No provider gave an answer.
    Failed(Cause),
    /// The account did not admit it.
    Refused(Cause),
}

/// How a reply ended, as far as its price goes. `docs/money.md` has a row for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing was delivered: refused, failed everywhere, or left before the first content.
    Unbegun,
    Stop,
    Length,
    ContentFilter,
    /// The reason to finish is an error.
    ErrorFinish,
    /// The client left in the middle.
    Left,
    /// What could be set aside was used up in the middle.
    UsedUp,
    /// The provider broke off, fell silent or ran out of time in the middle.
    CutOff,
    /// The provider reported an error in the middle, or what it wrote cannot be read.
    ErrorWithin,
}

/// What follows from an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// What the provider counted; an estimate where it did not.
    Counted,
    /// What the provider counted, with what was delivered since by an estimate.
    Delivered,
}

/// What a charge rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grounds {
    /// Nothing was delivered, so nothing is due.
    Nothing,
    /// The provider's counts at our prices.
    Counted,
    /// The provider's own word on the cost.
    Reported,
    /// An estimate from the bytes that passed, as far as the provider gave no count.
    Estimated,
    /// What came is not charged: a reply of no tokens and no reason to finish, or one that ends in
    /// an error.
    Insured,
}

/// What an exchange used and costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub usage: Usage,
    /// What the provider asks for it.
    pub cost: Cost,
    /// What the account pays: the same, or a fee where the key is its own.
    pub due: Money,
    pub grounds: Grounds,
    /// What the provider says that the reply cost, believed or not.
    pub report: Option<Money>,
}

/// What the account is to charge, and what it is to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub amount: Money,
    /// JSON of a [`crate::account::GenerationRecord`].
    pub record: String,
    /// Tokens that were used, for limits of rate.
    pub tokens: u64,
}

impl Outcome {
    /// A word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::UsedUp => "used_up",
            Outcome::Cancelled => "cancelled",
            Outcome::BrokenOff(_) => "broken_off",
            Outcome::Failed(_) => "failed",
            Outcome::Refused(_) => "refused",
        }
    }

    /// The status that stands for the outcome, whatever the client could still be told.
    pub fn status(&self) -> u16 {
        match self {
            Outcome::Complete | Outcome::UsedUp => 200,
            Outcome::Cancelled => Cause::ClientClosed.status(),
            Outcome::BrokenOff(cause) | Outcome::Failed(cause) | Outcome::Refused(cause) => cause.status(),
        }
    }
}

impl End {
    fn of(outcome: &Outcome, facts: &Facts) -> End {
        match outcome {
            Outcome::Failed(_) | Outcome::Refused(_) => End::Unbegun,
            _ if !facts.began => End::Unbegun,
            Outcome::Cancelled => End::Left,
            Outcome::UsedUp => End::UsedUp,
            Outcome::BrokenOff(_) if facts.fault.is_some() && !facts.truncated => End::ErrorWithin,
            Outcome::BrokenOff(_) => End::CutOff,
            Outcome::Complete => match facts.finish_reason {
                Some("error") => End::ErrorFinish,
                Some("length") => End::Length,
                Some("content_filter") => End::ContentFilter,
                Some(_) | None => End::Stop,
            },
        }
    }

    /// The policy of what is charged, as `docs/money.md` has it.
    fn due(self) -> Due {
        match self {
            End::Unbegun => Due::Nothing,
            End::Stop => Due::Counted,
            End::Length => Due::Counted,
            End::ContentFilter => Due::Counted,
            End::ErrorFinish => Due::Nothing,
            End::Left => Due::Delivered,
            End::UsedUp => Due::Delivered,
            End::CutOff => Due::Delivered,
            End::ErrorWithin => Due::Nothing,
        }
    }
}

impl Grounds {
    /// A word for records and logs.
    pub fn name(self) -> &'static str {
        match self {
            Grounds::Nothing => "nothing",
            Grounds::Counted => "counted",
            Grounds::Reported => "reported",
            Grounds::Estimated => "estimated",
            Grounds::Insured => "insured",
        }
    }
}

impl Exchange {
    /// What an end costs. `facts` are those of a reply that has begun.
    pub(super) fn charge(&self, outcome: &Outcome, facts: Option<&Facts>) -> Charge {
        let Some((end, facts)) = facts.map(|facts| (End::of(outcome, facts), facts)) else {
            return Charge::nothing(Usage::default(), Grounds::Nothing);
        };
        let size = &self.arrival.request.size;
        let searched = |usage| Usage { web_searches: facts.web_searches, ..usage };
        let estimate = || searched(pricing::estimate_usage(size, facts.output_bytes));
        let (usage, estimated) = match (facts.usage.map(searched), end.due()) {
            (_, Due::Nothing) if end == End::Unbegun => {
                return Charge::nothing(Usage::default(), Grounds::Nothing);
            }
            (usage, Due::Nothing) => return Charge::nothing(usage.unwrap_or_default(), Grounds::Insured),
            (Some(usage), Due::Counted) => (usage, false),
            (Some(usage), Due::Delivered) if facts.finish.is_some() && end != End::UsedUp => (usage, false),
            (Some(usage), Due::Delivered) => topped_up(usage, estimate().output),
            (None, Due::Counted | Due::Delivered) => (estimate(), true),
        };
        let writes = self.arrival.request.needs.output == Output::Text;
        if writes && usage.total_output() == 0 && facts.finish.is_none() {
            return Charge::nothing(usage, Grounds::Insured);
        }
        let candidate = &self.routes[self.current].candidate;
        let Some(cost) = pricing::cost(&candidate.prices, &usage) else {
            // A count so absurd that its price does not fit is no count.
            let usage = estimate();
            let cost = pricing::cost(&candidate.prices, &usage).unwrap_or_default();
            return self.charge_of(usage, cost, Grounds::Estimated, facts.cost);
        };
        // The report of a reply that broke off may be of its beginning only.
        let whole = !estimated && end != End::UsedUp;
        let whole = whole && (*outcome == Outcome::Complete || facts.finish.is_some());
        let report = facts.cost.filter(|_| whole && has_list_price(candidate));
        match report.and_then(|report| pricing::reported(&cost, report)) {
            Some(cost) => self.charge_of(usage, cost, Grounds::Reported, report),
            None if estimated => self.charge_of(usage, cost, Grounds::Estimated, report),
            None => self.charge_of(usage, cost, Grounds::Counted, report),
        }
    }

    fn charge_of(&self, usage: Usage, cost: Cost, grounds: Grounds, report: Option<Money>) -> Charge {
        let due = self.due(&self.routes[self.current], cost.total);
        Charge { usage, cost, due, grounds, report }
    }

    pub(super) fn bill(&self, charge: &Charge) -> Bill {
        // What was dropped is told whether it was asked for or not.
        let tell = self.arrival.show_attempts || !self.losses().is_empty();
        Bill {
            usage: charge.usage,
            cost: charge.due,
            prompt_cost: charge.cost.prompt,
            completion_cost: charge.cost.completion,
            search_cost: charge.cost.search,
            is_byok: self.is_byok(self.current),
            metadata: tell.then(|| self.attempts_view().to_string()),
        }
    }
}

impl Charge {
    fn nothing(usage: Usage, grounds: Grounds) -> Charge {
        Charge { usage, cost: Cost::default(), due: Money::ZERO, grounds, report: None }
    }

    /// What the provider says that the reply cost, where that was not to be believed.
    pub(super) fn refused_report(&self) -> Option<Money> {
        self.report.filter(|_| self.grounds != Grounds::Reported)
    }
}

/// Whether a provider's word on the cost is about the price that is asked here: where an operator
/// sells what a provider of the catalog makes at a price of their own, it is not.
fn has_list_price(candidate: &Candidate) -> bool {
    if catalog::provider(candidate.provider.slug).is_none() {
        return true;
    }
    let offers = catalog::find(&candidate.model).map_or(&[][..], |model| model.offers);
    offers.iter().any(|offer| offer.tag == candidate.tag && offer.prices == candidate.prices)
}

/// A count from the middle of a reply, with what was delivered since: Messages count the prompt at
/// the beginning of a stream, and the output only at its end. Says whether anything was added.
fn topped_up(usage: Usage, delivered: u64) -> (Usage, bool) {
    let missing = delivered.saturating_sub(usage.total_output());
    (Usage { output: usage.output.saturating_add(missing), ..usage }, missing > 0)
}
