//! The limits of time: which apply at each stage, and what follows when one runs out.

use crate::routing::verdict::{Awaited, Fault};
use crate::time::Time;

use super::{Exchange, Stage};

impl Exchange {
    pub(super) fn take_time(&mut self, now: Time) {
        if matches!(self.stage, Stage::Holding | Stage::Ended) {
            return;
        }
        self.turn_to_late(now);
        if let Some(awaited) = self.late(now) {
            return match &self.stage {
                Stage::Asking | Stage::Pausing(_) => self.give_up(now),
                Stage::Failing(failing) => self.fail_attempt(now, failing.fault.clone(), None),
                // All that a provider can still add after its finish is usage.
                Stage::Streaming(lane) if lane.facts().finish.is_some() => self.complete_stream(now),
                Stage::Streaming(_) => self.break_off(now, Fault::Late(awaited), None),
                _ => self.fail_attempt(now, Fault::Late(awaited), None),
            };
        }
        if matches!(self.stage, Stage::Pausing(until) if now >= until) {
            return self.resume(now);
        }
        if self.second_due().is_some_and(|at| now >= at) {
            self.ask_second(0);
        }
        if self.arrival.request.stream && now >= self.next_comment {
            self.begin_head();
            self.write(self.keep_alive().to_vec());
            self.next_comment = now.plus(self.arrival.limits.comment_every);
        }
    }

    /// Which limit has run out, if any.
    pub(super) fn late(&self, now: Time) -> Option<Awaited> {
        self.limits_of(&self.stage, self.sent)
            .into_iter()
            .find(|(at, _)| now >= *at)
            .map(|(_, awaited)| awaited)
    }

    /// The limits that apply to a stage of an attempt that was sent at `sent`.
    pub(super) fn limits_of(&self, stage: &Stage, sent: Time) -> Vec<(Time, Awaited)> {
        let limits = &self.arrival.limits;
        let mut found = vec![(self.arrival.now.plus(limits.total), Awaited::End)];
        match stage {
            Stage::Holding | Stage::Asking | Stage::Pausing(_) | Stage::Fetching(_) => {}
            Stage::Collecting(_) | Stage::Ended => {}
            Stage::Sending if self.arrival.request.stream => {
                found.push((sent.plus(limits.headers), Awaited::Head));
                found.push((sent.plus(limits.first_token), Awaited::FirstToken));
            }
            Stage::Sending => {}
            Stage::Failing(failing) => found.push((failing.until, Awaited::Head)),
            Stage::Peeking(..) => found.push((sent.plus(limits.first_token), Awaited::FirstToken)),
            Stage::Streaming(_) => found.push((self.last_progress.plus(limits.idle), Awaited::NextToken)),
        }
        found
    }

    /// When the exchange wants to know that time has passed. While a reply goes on, only ever later.
    pub fn deadline(&self) -> Time {
        let limits = self.limits_of(&self.stage, self.sent).into_iter().map(|(at, _)| at);
        let comment = self.arrival.request.stream.then_some(self.next_comment);
        let pause = if let Stage::Pausing(until) = self.stage { Some(until) } else { None };
        limits
            .chain(comment)
            .chain(pause)
            .chain(self.second_due())
            .chain(self.rival_deadline())
            .min()
            .expect("the total limit always applies")
    }

    /// A frame that says nothing, in the client's grammar.
    fn keep_alive(&self) -> &'static [u8] {
        match &self.stage {
            Stage::Streaming(lane) => lane.keep_alive(),
            // Nothing of the reply has been written.
            Stage::Peeking(..)
            | Stage::Holding
            | Stage::Asking
            | Stage::Pausing(_)
            | Stage::Fetching(_)
            | Stage::Sending
            | Stage::Collecting(_)
            | Stage::Failing(..)
            | Stage::Ended => self.arrival.face.keep_alive(),
        }
    }
}
