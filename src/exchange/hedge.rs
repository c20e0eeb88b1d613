//! A second attempt beside one that is slow to begin: made once in a request at most, at another
//! endpoint of its plan, before any content came. Whoever brings content first has won; the other
//! is cancelled, and what it may cost is the operator's. One of the two is the exchange's current
//! attempt, the other waits as its rival; what happens to a rival makes it the current one.

use crate::health::{Admission, Event};
use crate::money::Money;
use crate::pricing;
use crate::protocol::bridge::Bridge;
use crate::time::Time;

use super::admission::Turn;
use super::step::Racer;
use super::{Attempt, Exchange, Stage, Step};

/// How far the second attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Second {
    /// None is to be made as things are.
    Idle,
    /// It is made at that moment, if nothing has begun by then.
    Due(Time),
    /// Whether this route may be used for it.
    Asking(usize),
    /// It is under way by this route.
    Made(usize),
    /// It is over, or there was nobody to make it at.
    Over,
}

/// The attempt that is under way beside the current one.
pub(super) struct Rival {
    racer: Racer,
    route: usize,
    probe: bool,
    sent: Time,
    bridge: Option<Bridge>,
    stage: Stage,
}

impl Exchange {
    /// Which of two attempts is the current one: whose chunks a stream that has begun is made of.
    pub fn racer(&self) -> Racer {
        self.racer
    }

    /// Makes the attempt current to which something happened. False if it is not under way.
    pub(super) fn turn_to(&mut self, racer: Racer) -> bool {
        if racer != self.racer && self.rival.as_ref().is_some_and(|rival| rival.racer == racer) {
            self.change_places();
        }
        racer == self.racer
    }

    /// The current attempt was sent: asks how long is long for it, if a second may be made.
    pub(super) fn consider_second(&mut self) {
        let Some(hedge) = self.arrival.routed.hedge.filter(|_| self.arrival.request.stream) else { return };
        // A second attempt by a customer's own key would be at the customer's cost.
        if self.has_own_keys() {
            return;
        }
        let may_be = matches!(self.second, Second::Idle | Second::Due(_) | Second::Asking(_));
        if may_be && self.next_second(0).is_some() {
            self.second = Second::Idle;
            self.outbox.push_back(Step::Pace(self.subject(), hedge.permille));
        }
    }

    /// So soon nearly all streams of the current endpoint begin.
    pub(super) fn take_pace(&mut self, slow: Option<std::time::Duration>) {
        let waits = matches!(self.stage, Stage::Sending | Stage::Peeking(..));
        if let (Some(hedge), Some(slow), Second::Idle, true) =
            (self.arrival.routed.hedge, slow, self.second, waits)
        {
            self.second = Second::Due(self.sent.plus(slow.max(hedge.floor)));
        }
    }

    /// When the second attempt is due, if one is.
    pub(super) fn second_due(&self) -> Option<Time> {
        match (self.second, &self.stage) {
            (Second::Due(at), Stage::Sending | Stage::Peeking(..)) => Some(at),
            _ => None,
        }
    }

    /// Asks whether the second attempt may be made at the first endpoint after `from` that is left.
    pub(super) fn ask_second(&mut self, from: usize) {
        self.second = match self.next_second(from) {
            Some(route) => {
                self.outbox.push_back(Step::AdmitSecond(self.subject_of(route)));
                Second::Asking(route)
            }
            None => Second::Over,
        };
    }

    pub(super) fn take_second_admission(&mut self, now: Time, route: usize, admission: Admission) {
        match (admission, &self.stage) {
            (Admission::Free | Admission::Probe, Stage::Sending | Stage::Peeking(..)) => {
                self.second = Second::Made(route);
                let racer = self.racer.other();
                let probe = admission == Admission::Probe;
                let stage = Stage::Sending;
                self.rival = Some(Rival { racer, route, probe, sent: now, bridge: None, stage });
                self.change_places();
                self.send(now);
            }
            (Admission::Later | Admission::Not { .. }, Stage::Sending | Stage::Peeking(..)) => {
                self.ask_second(route + 1);
            }
            _ => self.second = Second::Idle,
        }
    }

    /// After the current attempt has failed: says whether another goes on, which is then the current one.
    pub(super) fn rival_goes_on(&mut self) -> bool {
        if let Second::Due(_) | Second::Asking(_) = self.second {
            self.second = Second::Idle;
        }
        let goes_on = self.rival.is_some();
        self.change_places();
        self.rival = None;
        goes_on
    }

    /// The current attempt has won: the other is cancelled, and its cost noted.
    pub(super) fn cancel_rival(&mut self, now: Time) {
        if self.rival.is_none() {
            return;
        }
        self.change_places();
        self.outbox.push_back(Step::Cancel(self.racer));
        // Its provider was as slow as that at least. Of a second attempt that had little time, that
        // says nothing.
        let waited = u32::try_from(now.since(self.sent).as_millis()).unwrap_or(u32::MAX);
        let is_second = self.second == Second::Made(self.current);
        self.note(Event::Outrun { waited_ms: (!is_second).then_some(waited) });
        let cost = self.estimated_cost();
        let status = matches!(self.stage, Stage::Peeking(..)).then_some(200);
        self.note_attempt(now, status, None, None);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.outrun = Some(cost);
        }
        self.change_places();
        self.rival = None;
    }

    /// The client has left: so the other attempt ends as well.
    pub(super) fn leave_rival(&mut self, now: Time) {
        if self.rival.is_some() {
            self.change_places();
            self.outbox.push_back(Step::Cancel(self.racer));
            self.note_leave();
            self.note_attempt(now, None, None, None);
            self.change_places();
            self.rival = None;
        }
    }

    /// Makes the rival current where one of its limits of time has run out.
    pub(super) fn turn_to_late(&mut self, now: Time) {
        let late = |rival: &Rival| self.limits_of(&rival.stage, rival.sent).iter().any(|(at, _)| now >= *at);
        if self.rival.as_ref().is_some_and(late) {
            self.change_places();
        }
    }

    /// When the first of the rival's limits of time runs out.
    pub(super) fn rival_deadline(&self) -> Option<Time> {
        let rival = self.rival.as_ref()?;
        self.limits_of(&rival.stage, rival.sent).into_iter().map(|(at, _)| at).min()
    }

    /// What attempts cost that were outrun, as far as can be told; `None` if there was none.
    pub(super) fn hedge_loser_cost(&self) -> Option<Money> {
        let costs = self.attempts.iter().filter_map(|attempt| attempt.outrun);
        costs.reduce(|sum, cost| sum.checked_add(cost).unwrap_or(Money::MAX))
    }

    /// The first route from `from` on that is due and leads to another endpoint than the current one.
    fn next_second(&self, from: usize) -> Option<usize> {
        let offer = self.routes[self.current].offer;
        let fits = |route: &usize| self.turns[*route] == Turn::Due && self.routes[*route].offer != offer;
        (from..self.routes.len()).find(fits)
    }

    /// What the current attempt costs if its provider reads the prompt to its end.
    fn estimated_cost(&self) -> Money {
        let written = match &self.stage {
            Stage::Peeking(lane, _) => lane.facts().output_bytes,
            _ => 0,
        };
        let usage = pricing::estimate_usage(&self.arrival.request.size, written);
        let prices = &self.routes[self.current].candidate.prices;
        pricing::cost(prices, &usage).unwrap_or_default().total
    }

    fn change_places(&mut self) {
        if let Some(rival) = &mut self.rival {
            std::mem::swap(&mut self.racer, &mut rival.racer);
            std::mem::swap(&mut self.current, &mut rival.route);
            std::mem::swap(&mut self.probe, &mut rival.probe);
            std::mem::swap(&mut self.sent, &mut rival.sent);
            std::mem::swap(&mut self.bridge, &mut rival.bridge);
            std::mem::swap(&mut self.stage, &mut rival.stage);
        }
    }
}

impl Attempt {
    /// Puts what is the request's own fault last, which is what a client is told.
    pub(super) fn told_last(attempts: &mut [Attempt]) {
        attempts.sort_by_key(Attempt::is_final);
    }
}
