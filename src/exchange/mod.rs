//! One request from its arrival to its settlement, without waiting: `step` says what to do next,
//! `feed` says what happened. A fallback, a client that leaves and a limit that runs out are
//! inputs like any other. Knows nothing of how its steps are carried out.

mod admission;
mod clock;
mod ending;
mod hedge;
mod intent;
mod news;
mod outcome;
mod outgoing;
mod passing;
mod purse;
mod record;
mod route;
mod stage;
mod step;
mod timing;
mod view;

use std::collections::VecDeque;
use std::time::Duration;

use crate::chat::{Identity, ProviderError, Quirks};
use crate::id::{GenerationId, KeyHash};
use crate::media::Fetched;
use crate::money::Money;
use crate::pricing::ByokTerms;
use crate::protocol::bridge::{Bridge, Crossing, cross, links};
use crate::protocol::calls::Calls;
use crate::protocol::lane::Target;
use crate::routing::verdict::{Fault, classify};
use crate::time::Time;

use admission::Turn;
use ending::last_words;
use hedge::{Rival, Second};
pub use intent::{Intent, Routed};
pub use outcome::Settlement;
use outcome::{Charge, Outcome};
pub use outgoing::{Outgoing, ServiceLogin};
use purse::{Ended, Purse};
pub use route::{Route, routes, routes_with};
use stage::{Attempt, Failing, Stage};
pub use step::{Arrival, Caller, Head, Input, Racer, Reply, Step};
pub use timing::Timing;
pub use view::{account_down, key_refusal, rate_headers};

/// The largest reply that is not streamed, in bytes.
const MAX_REPLY: usize = 64 * 1024 * 1024;
/// As much of a provider's error as is read.
const MAX_ERROR: usize = 64 * 1024;
/// How long the body of a provider's error may take.
const ERROR_BODY: Duration = Duration::from_secs(5);

pub struct Exchange {
    arrival: Arrival,
    routes: Vec<Route>,
    /// Which routes are still to be tried; one for each.
    turns: Vec<Turn>,
    /// The route of the current attempt.
    current: usize,
    /// The current attempt probes what was out.
    probe: bool,
    pauses: u32,
    sent: Time,
    /// What brings the current attempt's reply to the client.
    bridge: Option<Bridge>,
    /// What the client's protocol could not say of the reply.
    reply_losses: Vec<String>,
    /// What is held, where that is less than the request might cost.
    purse: Option<Purse>,
    attempts: Vec<Attempt>,
    stage: Stage,
    /// Which of two the current attempt is.
    racer: Racer,
    rival: Option<Rival>,
    second: Second,
    outbox: VecDeque<Step>,
    /// What was fetched for an attempt serves those after it.
    fetched: Fetched,
    /// What the account's own keys cost to use, and for how much they were used this month.
    own_keys: (ByokTerms, Money),
    /// The head of a streamed reply is with the client, if only for comments.
    begun: bool,
    client_gone: bool,
    first_token: Option<Time>,
    last_progress: Time,
    next_comment: Time,
    /// Room for the next bytes to write.
    spare: Vec<u8>,
}

impl Exchange {
    /// `routes` is not empty.
    pub fn new(arrival: Arrival, routes: Vec<Route>) -> Exchange {
        let now = arrival.now;
        let next_comment = now.plus(arrival.limits.comment_after);
        let mut exchange = Exchange {
            arrival,
            turns: vec![Turn::Due; routes.len()],
            routes,
            current: 0,
            probe: false,
            pauses: 0,
            sent: now,
            bridge: None,
            reply_losses: Vec::new(),
            purse: None,
            attempts: Vec::new(),
            stage: Stage::Holding,
            racer: Racer::First,
            rival: None,
            second: Second::Idle,
            outbox: VecDeque::new(),
            fetched: Fetched::default(),
            own_keys: Default::default(),
            begun: false,
            client_gone: false,
            first_token: None,
            last_progress: now,
            next_comment,
            spare: Vec::new(),
        };
        exchange.hold();
        exchange
    }

    /// The next thing to do.
    pub fn step(&mut self) -> Step {
        match self.take_step() {
            Some(step) => step,
            None if matches!(self.stage, Stage::Ended) => Step::Done,
            None => Step::Wait { until: self.deadline() },
        }
    }

    /// The next thing to do, where something is due.
    pub fn take_step(&mut self) -> Option<Step> {
        self.outbox.pop_front()
    }

    /// Takes in what happened at `now`, if to an attempt then to the current one.
    pub fn feed(&mut self, now: Time, input: Input<'_>) {
        self.feed_from(now, self.racer, input);
    }

    /// Takes in what happened at `now` to one of two attempts.
    pub fn feed_from(&mut self, now: Time, racer: Racer, input: Input<'_>) {
        if !self.turn_to(racer) {
            return;
        }
        let about_hold =
            matches!(input, Input::Held | Input::HeldInPart(_) | Input::Refused(_) | Input::AccountDown);
        let holding = matches!(self.stage, Stage::Holding);
        let late = about_hold && !holding;
        if late || matches!(self.stage, Stage::Ended) {
            return;
        }
        match input {
            Input::Held | Input::HeldInPart(_) if self.client_gone => self.end(now, Outcome::Cancelled),
            Input::Held => self.advance(now),
            Input::HeldInPart(amount) => {
                self.purse = Some(Purse::new(amount));
                self.advance(now);
            }
            Input::Grown(held) => self.take_growth(now, held),
            Input::Admission(admission) => self.take_admission(now, admission),
            Input::Pace(slow) => self.take_pace(slow),
            Input::Refused(refusal) => {
                let failure = view::refusal(&refusal, |available| self.affordable_max_tokens(available));
                self.refuse(now, failure);
            }
            Input::AccountDown => self.refuse(now, view::account_down()),
            Input::Fetched(fetched) => self.take_fetched(now, fetched),
            Input::Head { status, retry_after_s, error_type, exhausted_until } => {
                self.note_allowance(exhausted_until);
                self.take_head(now, status, retry_after_s, error_type);
            }
            Input::Chunk(bytes) => self.take_chunk(now, bytes),
            Input::Passed(bytes) => self.take_passed(now, bytes),
            Input::End => self.take_end(now),
            Input::Unreachable | Input::Broken => self.take_break(now),
            Input::Clock => self.take_time(now),
            Input::ClientGone => self.take_leave(now),
        }
    }

    /// Whether the reply has begun and only needs its chunks moved: from here on each chunk of
    /// the provider's, and nothing else, leads to a [`Step::Write`].
    pub fn is_streaming(&self) -> bool {
        matches!(self.stage, Stage::Streaming(_))
    }

    pub fn generation(&self) -> &GenerationId {
        &self.arrival.generation
    }

    pub fn key(&self) -> &KeyHash {
        &self.arrival.key.hash
    }

    /// Starts the attempt of the current route.
    fn send(&mut self, now: Time) {
        self.sent = now;
        let route = &self.routes[self.current];
        let candidate = &route.candidate;
        let provider = candidate.provider;
        let quirks = &provider.quirks;
        let target = Target { model: &candidate.upstream_model, quirks, max_output: candidate.max_output };
        let Arrival { face, body, request, .. } = &self.arrival;
        let wire = outgoing::wire(candidate, &self.arrival);
        let links = links(*face, wire, body, request);
        if !links.iter().all(|link| self.fetched.has(link)) {
            self.stage = Stage::Fetching(links.clone());
            self.outbox.push_back(Step::Fetch(self.racer, links));
            return;
        }
        if let Some(why) = self.fetched.failure(&links) {
            let said = ProviderError { message: why.to_owned(), ..ProviderError::default() };
            return self.fail_attempt(now, Fault::Unfit, Some(said));
        }
        let body = route::in_tier(body, candidate.service_tier, request.asks.service_tier.as_deref());
        let body = self.limited(body);
        let crossing = cross(*face, wire, &body, request, provider, &target, &self.fetched);
        let crossing = crossing.and_then(|crossing| match &request.needs.web_search {
            Some(search) => crossing.searching(search, candidate.prices.web_search.is_some()),
            None => Ok(crossing),
        });
        match crossing {
            Ok(Crossing { body, bridge }) => {
                let outgoing = outgoing::write(route, &self.arrival, body, now);
                self.bridge = Some(if self.is_metered() { bridge.metered() } else { bridge });
                self.stage = Stage::Sending;
                self.outbox.push_back(Step::Send(self.racer, outgoing));
                self.consider_second();
            }
            Err(failure) => {
                let said = ProviderError { message: failure.message, ..ProviderError::default() };
                self.fail_attempt(now, Fault::Unfit, Some(said));
            }
        }
    }

    fn take_fetched(&mut self, now: Time, fetched: Fetched) {
        if let Stage::Fetching(links) = &self.stage {
            self.fetched.add(fetched, links);
            self.send(now);
        }
    }

    fn take_head(&mut self, now: Time, status: u16, retry_after_s: Option<u32>, error_type: Option<&str>) {
        if !matches!(self.stage, Stage::Sending) {
            return;
        }
        let lane = || self.bridge.as_ref().map(|bridge| self.lane(bridge));
        self.stage = match (classify(status, retry_after_s), self.arrival.request.stream) {
            (Some(fault), _) => {
                let (until, error_type) = (now.plus(ERROR_BODY), error_type.map(str::to_owned));
                Stage::Failing(Failing { fault, until, error_type, body: Vec::new() })
            }
            (None, true) => lane().map_or(Stage::Sending, |lane| Stage::Peeking(lane, Vec::new())),
            (None, false) => Stage::Collecting(Vec::new()),
        };
    }

    fn take_chunk(&mut self, now: Time, bytes: &[u8]) {
        if self.withholds(bytes, None) {
            return;
        }
        match &mut self.stage {
            Stage::Holding | Stage::Asking | Stage::Pausing(_) | Stage::Fetching(_) => {}
            Stage::Sending | Stage::Ended => {}
            Stage::Collecting(body) if body.len() + bytes.len() > MAX_REPLY => {
                let message = "longer than the gateway takes".to_owned();
                self.fail_attempt(
                    now,
                    Fault::BadReply,
                    Some(ProviderError { message, ..Default::default() }),
                );
            }
            Stage::Collecting(body) => body.extend_from_slice(bytes),
            Stage::Failing(Failing { body, .. }) => {
                let room = MAX_ERROR - body.len();
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if body.len() == MAX_ERROR {
                    self.take_end(now);
                }
            }
            Stage::Peeking(lane, held) => {
                lane.read(bytes, held);
                self.advance_peek(now);
            }
            Stage::Streaming(lane) => {
                let mut out = std::mem::take(&mut self.spare);
                lane.read(bytes, &mut out);
                self.advance_stream(now, out);
            }
        }
    }

    /// After more of a stream was read that has not begun: begins it, fails it, or goes on waiting.
    fn advance_peek(&mut self, now: Time) {
        let Stage::Peeking(lane, _) = &self.stage else {
            return;
        };
        let facts = lane.facts();
        if facts.began {
            self.begin(now);
        } else if let Some(fault) = &facts.fault {
            let said = fault.clone();
            let fault = view::stream_fault(facts, &said);
            self.fail_attempt(now, fault, Some(said));
        } else if facts.done {
            self.fail_attempt(now, Fault::BadReply, None);
        }
    }

    /// Commits to this attempt: what was held back goes to the client.
    fn begin(&mut self, now: Time) {
        let Stage::Peeking(lane, held) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            return;
        };
        self.stage = Stage::Streaming(lane);
        self.cancel_rival(now);
        self.first_token = Some(now);
        self.note_beginning(now, true);
        self.begin_head();
        self.advance_stream(now, held);
    }

    fn begin_head(&mut self) {
        if !self.begun {
            self.begun = true;
            self.outbox
                .push_back(Step::Begin(view::stream_head(self.arrival.face, &self.arrival.generation)));
        }
    }

    /// Sends what was read and ends the reply where the provider has.
    fn advance_stream(&mut self, now: Time, out: Vec<u8>) {
        if out.is_empty() {
            self.take_back(out);
        } else {
            self.last_progress = now;
            self.next_comment = now.plus(self.arrival.limits.comment_every);
            self.outbox.push_back(Step::Write(out));
        }
        let Stage::Streaming(lane) = &self.stage else {
            return;
        };
        if let Some(fault) = &lane.facts().fault {
            let said = fault.clone();
            let fault = view::stream_fault(lane.facts(), &said);
            self.break_off(now, fault, Some(said));
        } else if lane.facts().done {
            self.complete_stream(now);
        } else {
            self.meter();
        }
    }

    fn take_end(&mut self, now: Time) {
        if self.withholds(&[], Some(Ended::Whole)) {
            return;
        }
        match std::mem::replace(&mut self.stage, Stage::Sending) {
            stage @ (Stage::Holding | Stage::Asking | Stage::Pausing(_)) => self.stage = stage,
            Stage::Fetching(_) | Stage::Sending | Stage::Ended => {
                self.fail_attempt(now, Fault::Unreachable, None)
            }
            Stage::Collecting(body) => self.take_reply(now, &body),
            Stage::Failing(Failing { fault, error_type, body, .. }) => {
                let error_type = error_type.as_deref();
                let read = |bridge: &Bridge| bridge.read_error(error_type, &body);
                let said = self.bridge.as_ref().map(read).unwrap_or_default();
                let wait_s = self.bridge.as_ref().and_then(|bridge| bridge.retry_after_s(&body));
                self.fail_attempt(now, view::told_fault(fault, wait_s, &said), Some(said));
            }
            Stage::Peeking(mut lane, mut held) => {
                lane.end_of_input(&mut held);
                self.stage = Stage::Peeking(lane, held);
                let racer = self.racer;
                self.advance_peek(now);
                match &self.stage {
                    // Its rival goes on, whatever that waits for.
                    _ if self.racer != racer => {}
                    Stage::Peeking(..) => self.fail_attempt(now, Fault::Truncated, None),
                    Stage::Streaming(_) => self.end_stream(now),
                    // Another attempt has begun or is waited for, or there is none to make.
                    Stage::Asking
                    | Stage::Pausing(_)
                    | Stage::Fetching(_)
                    | Stage::Sending
                    | Stage::Ended => {}
                    // A peek leads to none of these.
                    Stage::Holding | Stage::Collecting(_) | Stage::Failing(..) => {}
                }
            }
            Stage::Streaming(mut lane) => {
                let mut out = Vec::new();
                lane.end_of_input(&mut out);
                self.stage = Stage::Streaming(lane);
                self.advance_stream(now, out);
                self.end_stream(now);
            }
        }
    }

    /// The provider closed the stream: complete if it said so by a finish, else broken off.
    fn end_stream(&mut self, now: Time) {
        let Stage::Streaming(lane) = &self.stage else {
            return;
        };
        match lane.facts().finish {
            Some(_) => self.complete_stream(now),
            None => self.break_off(now, Fault::Truncated, None),
        }
    }

    fn complete_stream(&mut self, now: Time) {
        let Stage::Streaming(mut lane) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            return;
        };
        self.note_attempt(now, Some(200), None, None);
        self.reply_losses = lane.losses();
        self.note_success(now, lane.facts(), lane.calls());
        let charge = self.charge(&Outcome::Complete, Some(lane.facts()));
        self.remember(&charge.usage);
        let mut out = Vec::new();
        lane.write_end(&self.bill(&charge), &mut out);
        self.conclude(now, last_words(out), Outcome::Complete, charge, Some(lane.facts()));
        self.outbox.push_back(Step::Release(self.racer));
    }

    fn take_reply(&mut self, now: Time, body: &[u8]) {
        let Some(bridge) = self.bridge.take() else {
            return self.fail_attempt(now, Fault::BadReply, None);
        };
        let whole = match bridge.read_whole(body, &self.quirks()) {
            Ok(whole) => whole,
            Err(fault) => {
                let (kind, said) = view::reply_fault(fault);
                return self.fail_attempt(now, kind, said);
            }
        };
        self.stage = Stage::Ended;
        self.note_attempt(now, Some(200), None, None);
        self.note_beginning(now, false);
        let calls = match whole.facts().finish_reason {
            Some("tool_calls") => bridge.calls(body, &self.quirks()),
            Some(_) | None => Calls::default(),
        };
        self.note_success(now, whole.facts(), calls.made());
        self.first_token = Some(now);
        self.reply_losses = whole.losses().to_vec();
        self.note_limit();
        let charge = self.charge(&Outcome::Complete, Some(whole.facts()));
        self.remember(&charge.usage);
        self.bridge = Some(bridge);
        let bill = self.bill(&charge);
        let body =
            self.bridge.as_ref().map(|bridge| bridge.write_whole(&whole, body, &self.identity(), &bill));
        let head = view::json_head(200, &self.arrival.generation);
        let reply = Step::Reply(Reply { head, body: body.unwrap_or_default() });
        self.conclude(now, [reply], Outcome::Complete, charge, Some(whole.facts()));
        self.outbox.push_back(Step::Release(self.racer));
    }

    fn take_break(&mut self, now: Time) {
        if self.withholds(&[], Some(Ended::Broken)) {
            return;
        }
        match &self.stage {
            Stage::Holding | Stage::Asking | Stage::Pausing(_) | Stage::Ended => {}
            Stage::Fetching(_) | Stage::Sending => self.fail_attempt(now, Fault::Unreachable, None),
            Stage::Collecting(_) | Stage::Peeking(..) => self.fail_attempt(now, Fault::Truncated, None),
            Stage::Failing(failing) => self.fail_attempt(now, failing.fault.clone(), None),
            Stage::Streaming(lane) if lane.facts().finish.is_some() => self.complete_stream(now),
            Stage::Streaming(_) => self.break_off(now, Fault::Truncated, None),
        }
    }

    fn quirks(&self) -> Quirks {
        self.routes[self.current].candidate.provider.quirks
    }

    fn identity(&self) -> Identity {
        let candidate = &self.routes[self.current].candidate;
        Identity {
            generation: self.arrival.generation.as_str().to_owned(),
            created: self.arrival.now.seconds(),
            model: candidate.model.to_string(),
            provider: candidate.provider.name.to_owned(),
        }
    }
}
