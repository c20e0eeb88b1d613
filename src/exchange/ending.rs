//! How an exchange ends, attempt by attempt: what failed is noted, the next is tried or the client
//! is told, and whatever was delivered is settled once.

use crate::chat::{Facts, ProviderError};
use crate::config::Settling;
use crate::error::{Cause, Failure};
use crate::money::Money;
use crate::protocol::bridge::Face;
use crate::routing::verdict::Fault;
use crate::time::Time;

use super::{Attempt, Charge, Exchange, Outcome, Reply, Second, Settlement, Stage, Step, view};

impl Exchange {
    /// Ends the current attempt, which has given the client nothing, and starts the next or gives up.
    pub(super) fn fail_attempt(&mut self, now: Time, fault: Fault, said: Option<ProviderError>) {
        self.outbox.push_back(Step::Cancel(self.racer));
        self.note_failure(now, &fault, said.as_ref());
        self.note_attempt(now, fault.status(), Some(fault.clone()), said);
        self.spend(now, &fault);
        if self.rival_goes_on() {
            return;
        }
        match self.attempts.iter().any(Attempt::is_final) {
            true => self.give_up(now),
            false => self.advance(now),
        }
    }

    /// Every attempt failed: the client gets the last failure, and pays nothing.
    pub(super) fn give_up(&mut self, now: Time) {
        Attempt::told_last(&mut self.attempts);
        let failure = self.failure(now);
        self.answer_failure(&failure);
        self.end(now, Outcome::Failed(failure.cause));
    }

    /// The account refused: nothing was sent and nothing is held.
    pub(super) fn refuse(&mut self, now: Time, failure: Failure) {
        if !self.client_gone {
            self.answer_failure(&failure);
        }
        self.stage = Stage::Ended;
        self.outbox.push_back(Step::Log(self.log_line(now, &Outcome::Refused(failure.cause), None)));
    }

    pub(super) fn answer_failure(&mut self, failure: &Failure) {
        if self.tells_in_stream(failure) {
            self.begin_head();
        }
        if self.begun {
            let mut out = Vec::new();
            self.arrival.face.write_failed_stream(self.identity(), failure, &mut out);
            self.outbox.push_back(Step::Write(out));
            self.outbox.push_back(Step::Close);
            return;
        }
        let head = view::failure_head(failure, &self.arrival.generation);
        let body = self.arrival.face.write_error(failure, Some(self.arrival.generation.as_str()));
        self.outbox.push_back(Step::Reply(Reply { head, body }));
    }

    /// Codex makes room only when it hears within the stream that a prompt is too long.
    fn tells_in_stream(&self, failure: &Failure) -> bool {
        let streamed = self.arrival.face == Face::Responses && self.arrival.request.stream;
        streamed && failure.cause == Cause::ContextLength
    }

    /// Ends a stream that has begun but cannot go on. No other endpoint may take over.
    pub(super) fn break_off(&mut self, now: Time, fault: Fault, said: Option<ProviderError>) {
        let Stage::Streaming(mut lane) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            return;
        };
        self.outbox.push_back(Step::Cancel(self.racer));
        self.note_failure(now, &fault, said.as_ref());
        self.note_attempt(now, fault.status(), Some(fault), said);
        self.reply_losses = lane.losses();
        let failure = self.failure(now);
        let outcome = Outcome::BrokenOff(failure.cause);
        let charge = self.charge(&outcome, Some(lane.facts()));
        let mut out = Vec::new();
        lane.write_error(&failure, Some(&self.bill(&charge)), &mut out);
        self.conclude(now, last_words(out), outcome, charge, Some(lane.facts()));
    }

    pub(super) fn take_leave(&mut self, now: Time) {
        self.client_gone = true;
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            // The hold is on its way: it is released when its answer comes.
            Stage::Holding => self.stage = Stage::Holding,
            Stage::Ended => {}
            Stage::Streaming(lane) => {
                self.drop_steps();
                self.outbox.push_back(Step::Cancel(self.racer));
                self.note_leave();
                self.note_attempt(now, Some(200), None, None);
                let charge = self.charge(&Outcome::Cancelled, Some(lane.facts()));
                self.conclude(now, [], Outcome::Cancelled, charge, Some(lane.facts()));
            }
            Stage::Fetching(_)
            | Stage::Sending
            | Stage::Collecting(_)
            | Stage::Failing(..)
            | Stage::Peeking(..) => {
                self.drop_steps();
                self.outbox.push_back(Step::Cancel(self.racer));
                self.note_leave();
                self.note_attempt(now, None, None, None);
                self.leave_rival(now);
                self.end(now, Outcome::Cancelled);
            }
            // Nothing is under way.
            Stage::Asking | Stage::Pausing(_) => {
                self.drop_steps();
                self.end(now, Outcome::Cancelled);
            }
        }
    }

    /// Takes back what has not been done yet, but for what health is to be told and what is to end.
    fn drop_steps(&mut self) {
        self.outbox.retain(|step| matches!(step, Step::Note(_) | Step::Cancel(_)));
    }

    /// Ends without anything delivered.
    pub(super) fn end(&mut self, now: Time, outcome: Outcome) {
        self.stage = Stage::Ended;
        let charge = self.charge(&outcome, None);
        self.conclude(now, [], outcome, charge, None);
    }

    /// Logs what a reply cost, gives the client its end, `last`, and charges for it.
    pub(super) fn conclude(
        &mut self,
        now: Time,
        last: impl IntoIterator<Item = Step>,
        outcome: Outcome,
        charge: Charge,
        facts: Option<&Facts>,
    ) {
        let record = self.record(now, &outcome, &charge, facts);
        let settlement = Settlement { amount: charge.due, record, tokens: charge.usage.total() };
        let line = self.log_line(now, &outcome, Some(&charge));
        // Whatever becomes of the isolate: for each reply that has ended there is a line.
        self.outbox.push_back(Step::Log(line));
        if self.arrival.settling == Settling::BeforeEnd && settlement.amount > Money::ZERO {
            self.outbox.push_back(Step::SettleFirst(settlement));
            self.outbox.extend(last);
        } else {
            self.outbox.extend(last);
            self.outbox.push_back(Step::Settle(settlement));
        }
    }

    pub(super) fn note_attempt(
        &mut self,
        now: Time,
        status: Option<u16>,
        fault: Option<Fault>,
        said: Option<ProviderError>,
    ) {
        let (route, sent) = (self.current, self.sent);
        let said = said.map(|said| self.scrub(said));
        let hedge = self.second == Second::Made(route);
        if hedge {
            self.second = Second::Over;
        }
        self.attempts.push(Attempt { route, sent, ended: now, status, fault, said, hedge, outrun: None });
    }

    /// What the client is told after the last attempt failed.
    pub(super) fn failure(&self, now: Time) -> Failure {
        let Some(last) = self.attempts.last() else {
            return self.not_admitted(now);
        };
        let fault = last.fault.clone().unwrap_or(Fault::BadReply);
        let mut failure = fault.failure(last.words());
        if self.attempts.iter().all(Attempt::named_a_wait) {
            failure.retry_after_s = self.first_rest_s(now);
        }
        self.explain(failure)
    }

    /// Takes every provider key that was used out of what a provider said.
    fn scrub(&self, said: ProviderError) -> ProviderError {
        let keys = || self.routes.iter().filter_map(|route| route.key.as_ref());
        let clean =
            |text: &str| keys().fold(text.to_owned(), |text, key| text.replace(key.secret.expose(), "[key]"));
        ProviderError { message: clean(&said.message), raw: clean(&said.raw), ..said }
    }
}

/// The end of a stream, which begins with these bytes.
pub(super) fn last_words(bytes: Vec<u8>) -> impl Iterator<Item = Step> {
    let write = Some(bytes).filter(|bytes| !bytes.is_empty()).map(Step::Write);
    write.into_iter().chain([Step::Close])
}
