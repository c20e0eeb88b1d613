//! Which route is next. Routes are tried in the plan's order; health may put one off, so that it is
//! tried when nothing else is left, or bar it for a time that its provider named. Where only such
//! routes are left and the time is short, it is waited for.

use std::time::Duration;

use crate::error::{Cause, Failure};
use crate::health::Admission;
use crate::routing::verdict::{Fault, Verdict};
use crate::time::Time;

use super::{Attempt, Exchange, Second, Stage, Step};

/// Whether a route is still to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Due,
    /// Health prefers any other.
    Last,
    /// Its provider has asked for a wait until then.
    Resting(Time),
    Spent,
}

/// A client's own library waits better than a request that is kept open; only so much is waited
/// for here, and so often.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const MAX_PAUSES: u32 = 2;
/// What is left of the total limit after a pause must be worth trying.
const WORTH_TRYING: Duration = Duration::from_secs(1);
/// Requests that wait for the same moment are spread over so much time after it, and twice as
/// much each further time.
const SPREAD_MS: u64 = 200;

impl Attempt {
    /// Whether its provider had no room, and said when it will have.
    pub(super) fn named_a_wait(&self) -> bool {
        matches!(self.fault, Some(Fault::Capacity { retry_after_s: Some(_), .. }))
    }
}

impl Exchange {
    /// Starts the next attempt, waits until one may be made, or gives up.
    pub(super) fn advance(&mut self, now: Time) {
        if let Some(next) = self.turns.iter().position(|turn| *turn == Turn::Due) {
            self.current = next;
            if self.routes[next].byok.is_some() {
                // Health is of the gateway's own keys: customers neither ask nor tell of theirs.
                self.probe = false;
                return self.send(now);
            }
            self.stage = Stage::Asking;
            self.outbox.push_back(Step::Admit(self.subject()));
        } else if let Some(next) = self.turns.iter().position(|turn| *turn == Turn::Last) {
            self.current = next;
            self.probe = false;
            self.send(now);
        } else if let Some(until) = self.pause_until(now) {
            self.pauses += 1;
            self.stage = Stage::Pausing(until);
            // A comment would send the head, and a failure after it could have no status.
            if !self.begun {
                self.next_comment = until.plus(self.arrival.limits.comment_after);
            }
        } else {
            self.give_up(now);
        }
    }

    pub(super) fn take_admission(&mut self, now: Time, admission: Admission) {
        if let Second::Asking(route) = self.second {
            return self.take_second_admission(now, route, admission);
        }
        if !matches!(self.stage, Stage::Asking) {
            return;
        }
        let put_off = match admission {
            Admission::Free | Admission::Probe => {
                self.probe = admission == Admission::Probe;
                return self.send(now);
            }
            Admission::Later => Turn::Last,
            Admission::Not { until } => Turn::Resting(until),
        };
        self.turns[self.current] = put_off;
        self.advance(now);
    }

    /// After a failed attempt: its route is not used again, unless its provider said when; nor
    /// are others to the same endpoint where the fault is not the key's.
    pub(super) fn spend(&mut self, now: Time, fault: &Fault) {
        let offer = self.routes[self.current].offer;
        self.turns[self.current] = match fault {
            Fault::Capacity { retry_after_s: Some(seconds), .. } => {
                Turn::Resting(now.plus(Duration::from_secs(u64::from(*seconds))))
            }
            _ => Turn::Spent,
        };
        if fault.verdict() == Verdict::NextOffer {
            let same = self.routes.iter().zip(&mut self.turns).filter(|(route, _)| route.offer == offer);
            same.for_each(|(_, turn)| *turn = Turn::Spent);
        }
    }

    /// A pause is over: what rested is due again.
    pub(super) fn resume(&mut self, now: Time) {
        for turn in &mut self.turns {
            if matches!(turn, Turn::Resting(until) if *until <= now) {
                *turn = Turn::Due;
            }
        }
        self.advance(now);
    }

    /// What the client is told when every endpoint has asked for a wait and none was tried.
    pub(super) fn not_admitted(&self, now: Time) -> Failure {
        let words = "Every provider of this model has asked for a wait (rate limit)";
        Failure { retry_after_s: self.first_rest_s(now), ..Failure::new(Cause::RateLimited, words) }
    }

    /// Seconds until the first provider that has asked for a wait may be asked again.
    pub(super) fn first_rest_s(&self, now: Time) -> Option<u32> {
        let wait = self.first_rest()?.since(now);
        Some(u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1))
    }

    fn first_rest(&self) -> Option<Time> {
        let rests = self.turns.iter().filter_map(|turn| match turn {
            Turn::Resting(until) => Some(*until),
            Turn::Due | Turn::Last | Turn::Spent => None,
        });
        rests.min()
    }

    /// Until when to wait, if waiting makes sense.
    fn pause_until(&self, now: Time) -> Option<Time> {
        let rest = self.first_rest()?;
        let until = rest.plus(Duration::from_millis(self.jitter() % (SPREAD_MS << self.pauses)));
        let end = self.arrival.now.plus(self.arrival.limits.total);
        let sensible = rest.since(now) <= LONGEST_PAUSE && until.plus(WORTH_TRYING) <= end;
        (self.pauses < MAX_PAUSES && sensible).then_some(until)
    }

    /// A number that differs between requests: the generation's id is random.
    fn jitter(&self) -> u64 {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let id = self.arrival.generation.as_str().bytes();
        let hash = id.chain([self.pauses as u8]).fold(0xcbf2_9ce4_8422_2325, mix);
        // The low bits of FNV-1a know little of each other.
        hash >> 16
    }
}
