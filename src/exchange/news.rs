//! What health is told of each attempt: how fast it was, or who is to blame. What the client did,
//! asked wrongly or had no time for is nobody's fault.

use std::time::Duration;

use crate::chat::{Facts, ProviderError};
use crate::health::{Blame, Event, News, Subject, Tools};
use crate::protocol::calls::{self, Call};
use crate::routing::verdict::{Awaited, Fault};
use crate::time::Time;

use super::{Exchange, Stage, Step};

/// Fewer tokens, or less time for them, say nothing of a speed.
const ENOUGH_TOKENS: u64 = 8;
const ENOUGH_TIME: Duration = Duration::from_millis(20);

/// How providers say that a model's call of a tool could not be read.
const MALFORMED_CALLS: [&str; 2] = ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"];
const REFUSED_CALL: &str = "tool_use_failed";

impl Exchange {
    pub(super) fn subject(&self) -> Subject {
        self.subject_of(self.current)
    }

    pub(super) fn subject_of(&self, route: usize) -> Subject {
        let route = &self.routes[route];
        Subject {
            model: route.candidate.model.to_string(),
            tag: route.candidate.tag.to_owned(),
            key: route.key.as_ref().map(|key| key.digest.clone()),
        }
    }

    /// Content came. How long that took is known of streams only.
    pub(super) fn note_beginning(&mut self, now: Time, streamed: bool) {
        let ms = u32::try_from(now.since(self.sent).as_millis()).unwrap_or(u32::MAX);
        self.note(Event::Began { latency_ms: streamed.then_some(ms) });
    }

    /// `calls` are those of the reply, as far as they are at hand.
    pub(super) fn note_success(&mut self, now: Time, facts: &Facts, calls: &[Call]) {
        let native = facts.finish.as_deref().unwrap_or("");
        let ended = facts.finish_reason == Some("tool_calls");
        let malformed = MALFORMED_CALLS.contains(&native) || ended && !calls::fit(&self.arrival.body, calls);
        let called = ended && !malformed;
        let tools = Tools { called: u32::from(called), malformed: u32::from(malformed), refused: 0 };
        self.note(Event::Complete { throughput: self.throughput(now, facts), tools });
    }

    pub(super) fn note_failure(&mut self, now: Time, fault: &Fault, said: Option<&ProviderError>) {
        let blame = match &self.stage {
            // Nothing was sent yet.
            Stage::Fetching(_) => Blame::Nobody { bad_call: false },
            _ => self.blame(now, fault, said),
        };
        self.note(Event::Failed(blame));
    }

    pub(super) fn note_leave(&mut self) {
        self.note(Event::Failed(Blame::Nobody { bad_call: false }));
    }

    pub(super) fn note_allowance(&mut self, exhausted_until: Option<Time>) {
        if let (Stage::Sending, Some(until)) = (&self.stage, exhausted_until) {
            self.note(Event::Exhausted { until });
        }
    }

    pub(super) fn note(&mut self, event: Event) {
        // An own key is its account's matter: health hears nothing of it.
        if let Some(id) = &self.routes[self.current].byok {
            if matches!(event, Event::Failed(Blame::Denied | Blame::Key)) {
                self.outbox.push_back(Step::Spurned(id.clone()));
            }
            return;
        }
        let news = News { subject: self.subject(), sent: self.sent, probe: self.probe, event };
        self.outbox.push_back(Step::Note(news));
    }

    fn blame(&self, now: Time, fault: &Fault, said: Option<&ProviderError>) -> Blame {
        let until = |seconds: Option<u32>| seconds.map(|s| now.plus(Duration::from_secs(u64::from(s))));
        match fault {
            Fault::Caller { .. } => {
                let bad_call = said.is_some_and(|said| said.code.as_deref() == Some(REFUSED_CALL));
                Blame::Nobody { bad_call }
            }
            Fault::TooLong { .. } | Fault::Unfit => Blame::Nobody { bad_call: false },
            Fault::Credential { status: 403 } => Blame::Denied,
            Fault::Credential { .. } => Blame::Key,
            Fault::Capacity { status: 429 | 498, retry_after_s } => {
                Blame::Limited { until: until(*retry_after_s) }
            }
            Fault::Capacity { retry_after_s, .. } => Blame::Busy { until: until(*retry_after_s) },
            // The total limit is the request's. It says something of the endpoint only where the
            // attempt had as long as a stream has for its first content.
            Fault::Late(Awaited::End) if now.since(self.sent) < self.arrival.limits.first_token => {
                Blame::Nobody { bad_call: false }
            }
            Fault::Provider { .. } | Fault::Unreachable | Fault::Late(_) => Blame::Endpoint,
            Fault::BadReply | Fault::Truncated => Blame::Endpoint,
        }
    }

    /// Tokens of output per second, from the first content on; of a reply that came whole, from
    /// the start. `None` where that cannot be told.
    fn throughput(&self, now: Time, facts: &Facts) -> Option<u32> {
        let tokens =
            facts.usage.map(|usage| usage.total_output()).filter(|tokens| *tokens >= ENOUGH_TOKENS)?;
        let since = self.first_token.filter(|_| self.arrival.request.stream).unwrap_or(self.sent);
        let took = Some(now.since(since)).filter(|took| *took >= ENOUGH_TIME)?;
        u32::try_from(u128::from(tokens) * 1000 / took.as_millis()).ok()
    }
}
