//! Waiting until the account has a charge. Those who wait share reports: while one is on its way,
//! what ends gathers for the next.

use std::time::Duration;

use super::{BATCH, Flight, Next, PATIENCE, Wallet};
use crate::id::GenerationId;
use crate::time::Time;

/// A report that is on its way for longer does not hold back the next.
const GATHERED: Duration = Duration::from_millis(100);
/// The first wait for a report on its way; those after it are half as long as it took so far.
const SOON: Duration = Duration::from_millis(1);

impl Wallet {
    /// What one is to do who waits until the charge of `generation` is where it outlives the isolate;
    /// [`Next::Done`] once it is.
    pub fn until_charged(&mut self, now: Time, generation: &GenerationId) -> Next {
        self.lose_flights(now);
        if !self.outbox.iter().any(|(_, settle)| settle.generation == *generation) {
            let flight = self.flights.values().find(|flight| flight.charges_for(generation));
            return flight.map_or(Next::Done, |flight| Next::Wait(flight.look_again(now)));
        }
        if let Some(failing) = self.failing.filter(|failing| now < failing.until) {
            let patient = now.since(failing.since) < PATIENCE;
            return if patient { Next::Wait(failing.until) } else { Next::Keep(self.keep()) };
        }
        let recent = |flight: &&Flight| !flight.charges.is_empty() && now.since(flight.sent_at) < GATHERED;
        match self.flights.values().rfind(recent) {
            Some(flight) if self.outbox.len() < BATCH => Next::Wait(flight.look_again(now)),
            Some(_) | None => Next::Send(self.report(now)),
        }
    }
}

impl Flight {
    fn charges_for(&self, generation: &GenerationId) -> bool {
        self.charges.iter().any(|(_, settle)| settle.generation == *generation)
    }

    fn look_again(&self, now: Time) -> Time {
        now.plus((now.since(self.sent_at) / 2).max(SOON))
    }
}
