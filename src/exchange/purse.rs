//! Money for a request that sets no limit of output and was admitted with less than it might cost. A
//! stream is metered: it asks for more as tokens flow, and ends as cut by a limit of length where
//! there is none. A whole reply is limited beforehand to what is held.

use crate::account::rate::Take;
use crate::chat::Output;
use crate::chat::RequestSize;
use crate::error::Failure;
use crate::json::{self, Edit, Member, Outlined};
use crate::money::Money;
use crate::pricing;
use crate::protocol::bridge::Face;
use crate::routing::rate::{FreeLimits, is_free};
use crate::time::Time;
use std::borrow::Cow;

use super::ending::last_words;
use super::{Exchange, Outcome, Route, Stage, Step};

/// Output tokens that a stream begins with, and by which it grows at least.
const FIRST_TOKENS: u64 = 512;
/// Bytes of what is delivered that count as a token, until the provider's own count comes: fewer than
/// text of almost any language has.
const BYTES_PER_TOKEN: u64 = 3;
/// Output tokens that limits of rate take a choice to have where the request does not say.
const USUAL_TOKENS: u64 = 1024;

/// What is held for a request that was admitted in part.
pub(super) struct Purse {
    held: Money,
    /// Output tokens that are paid for at the endpoint in use, once a reply is metered.
    covers: Option<u64>,
    asked: Asked,
    /// What the provider has said since the last token that is paid for, unread.
    waiting: Vec<u8>,
    ended: Option<Ended>,
}

/// Whether more was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    No,
    /// While there was slack.
    Early,
    Refused,
    /// Nothing is left: no answer but yes lets the reply go on.
    Late,
}

/// How the provider ended while its words waited.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    Whole,
    Broken,
}

impl Purse {
    pub fn new(held: Money) -> Purse {
        Purse { held, covers: None, asked: Asked::No, waiting: Vec::new(), ended: None }
    }
}

impl Exchange {
    pub fn is_streamed(&self) -> bool {
        self.arrival.request.stream
    }

    /// The models that may serve the request, each once.
    pub fn models(&self) -> Vec<String> {
        let mut models: Vec<String> = Vec::with_capacity(1);
        for route in &self.routes {
            if !models.iter().any(|model| *model == *route.candidate.model) {
                models.push(route.candidate.model.to_string());
            }
        }
        models
    }

    /// What it takes of limits of rate: about as many tokens as its prompt has and its output may have.
    /// One for a free model is counted by the account, where `free` limits anything.
    pub fn take(&self, free: FreeLimits) -> Take {
        let size = &self.arrival.request.size;
        let output = size.max_tokens.unwrap_or(USUAL_TOKENS).saturating_mul(u64::from(size.choices.max(1)));
        let output = if size.inputs > 0 { 0 } else { output };
        let is_free = self.routes.first().is_some_and(|route| is_free(&route.candidate.model));
        Take {
            tokens: pricing::estimate_usage(size, 0).total().saturating_add(output),
            free: Some(free).filter(|free| is_free && free.is_any()),
        }
    }

    /// The `user` that the request names.
    pub fn end_user(&self) -> Option<String> {
        self.arrival.request.user.clone()
    }

    /// The most tokens of output that `available` would pay for on every endpoint that may serve.
    pub(super) fn affordable_max_tokens(&self, available: Money) -> u64 {
        let size = &self.arrival.request.size;
        let affordable = |route: &Route| {
            let candidate = &route.candidate;
            let available = self.worth(route, available);
            pricing::affordable_max_tokens(&candidate.prices, size, candidate.context_length, available)
        };
        self.routes.iter().map(affordable).min().unwrap_or(0)
    }

    /// Asks for the most that any endpoint of the plan may charge.
    pub(super) fn hold(&mut self) {
        let size = &self.arrival.request.size;
        let ceiling = |route: &Route| {
            let candidate = &route.candidate;
            let prices = &candidate.prices;
            let most = pricing::ceiling(prices, size, candidate.context_length, candidate.max_output)?;
            Some(self.due(route, most))
        };
        let ceilings: Option<Vec<Money>> = self.routes.iter().map(ceiling).collect();
        let Some(amount) = ceilings.and_then(|ceilings| ceilings.into_iter().max()) else {
            let failure = Failure::invalid("The most this request could cost is beyond what can be held");
            return self.refuse(self.arrival.now, failure);
        };
        let limits = &self.arrival.limits;
        let expires_at = self.arrival.now.plus(limits.total).plus(limits.hold_grace);
        let least = self.least().filter(|least| *least < amount);
        self.outbox.push_back(Step::Hold { amount, least, expires_at });
    }

    /// What the request can begin with: its prompt and a few tokens. `None` where it sets a limit of
    /// its own, or nothing could be cut.
    pub(super) fn least(&self) -> Option<Money> {
        let request = &self.arrival.request;
        let size = &request.size;
        let one = size.choices <= 1 && size.max_tokens.is_none();
        if !one || request.needs.output != Output::Text {
            return None;
        }
        let ceilings: Option<Vec<Money>> =
            self.routes.iter().map(|route| self.ceiling(route, FIRST_TOKENS)).collect();
        ceilings?.into_iter().max()
    }

    /// Whether the reply is to be counted as it flows.
    pub fn is_metered(&self) -> bool {
        self.purse.is_some() && self.arrival.request.stream
    }

    /// The body with a limit of output that what is held pays for, where the reply cannot be metered.
    pub(super) fn limited<'a>(&self, body: Cow<'a, Outlined>) -> Cow<'a, Outlined> {
        match &self.purse {
            Some(purse) if !self.arrival.request.stream => {
                let limit = self.covered(purse.held).max(1);
                Cow::Owned(Outlined::new(with_limit(self.arrival.face, body.bytes(), limit)))
            }
            Some(_) | None => body,
        }
    }

    /// What the client is told of a reply that was limited beforehand.
    pub(super) fn note_limit(&mut self) {
        let Some(held) = self.purse.as_ref().map(|purse| purse.held) else { return };
        let tokens = self.covered(held);
        self.reply_losses.push(format!("max_tokens: {tokens} was set, which is what the credit pays for"));
    }

    /// Keeps what the provider says while nothing that is paid for is left. Says whether it does.
    pub(super) fn withholds(&mut self, bytes: &[u8], ended: Option<Ended>) -> bool {
        let Some(purse) = self.purse.as_mut().filter(|purse| purse.asked == Asked::Late) else {
            return false;
        };
        purse.waiting.extend_from_slice(bytes);
        purse.ended = purse.ended.or(ended);
        true
    }

    /// Counts what was delivered, and asks for more before it is gone.
    pub(super) fn meter(&mut self) {
        let (Some(purse), Stage::Streaming(lane)) = (&self.purse, &self.stage) else {
            return;
        };
        let facts = lane.facts();
        if facts.finish.is_some() || facts.done {
            return;
        }
        let counted = facts.usage.map_or(0, |usage| usage.total_output());
        let written = counted.max(facts.output_bytes.div_ceil(BYTES_PER_TOKEN));
        let covers = purse.covers.unwrap_or_else(|| self.covered(purse.held));
        let asked = match (purse.asked, covers.saturating_sub(written)) {
            (Asked::No, 0) | (Asked::Refused, 0) | (Asked::Early, 0) => Asked::Late,
            (Asked::No, left) if left <= covers / 2 => Asked::Early,
            (asked, _) => asked,
        };
        self.ask_for_more(covers, asked);
    }

    fn ask_for_more(&mut self, covers: u64, asked: Asked) {
        let route = &self.routes[self.current];
        let (amount, minimum) =
            (self.ceiling(route, covers.saturating_mul(2)), self.ceiling(route, covers + FIRST_TOKENS));
        let Some(purse) = &mut self.purse else { return };
        purse.covers = Some(covers);
        let (Some(minimum), Some(amount)) = (minimum, amount) else {
            return;
        };
        if minimum <= purse.held {
            // The endpoint writes no more than that.
            self.purse = None;
            return;
        }
        let before = std::mem::replace(&mut purse.asked, asked);
        match (before, asked) {
            (Asked::No | Asked::Refused, Asked::Early | Asked::Late) => {
                self.outbox.push_back(Step::Grow { amount: amount.max(minimum), minimum });
            }
            // The answer that is awaited decides.
            (Asked::Early | Asked::Late, Asked::Late) => {}
            (_, Asked::No | Asked::Refused | Asked::Early) => {}
        }
    }

    /// More is held now, `held` in all; or the account had no more.
    pub(super) fn take_growth(&mut self, now: Time, held: Option<Money>) {
        let Some(purse) = &mut self.purse else { return };
        let before = std::mem::replace(&mut purse.asked, Asked::No);
        match held {
            Some(held) => (purse.held, purse.covers) = (held, None),
            None if before == Asked::Late => return self.cut_off(now),
            None => purse.asked = Asked::Refused,
        }
        let (bytes, ended) = (std::mem::take(&mut purse.waiting), purse.ended.take());
        if !bytes.is_empty() {
            self.take_chunk(now, &bytes);
        }
        match ended {
            // What waited has ended the stream already.
            Some(_) if matches!(self.stage, Stage::Ended) => {}
            Some(Ended::Whole) => self.take_end(now),
            Some(Ended::Broken) => self.take_break(now),
            None => {}
        }
    }

    /// Ends a stream that nobody pays for any longer, as a limit of length would.
    fn cut_off(&mut self, now: Time) {
        let Stage::Streaming(mut lane) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            return;
        };
        self.outbox.push_back(Step::Cancel(self.racer));
        let mut out = Vec::new();
        lane.cut(&mut out);
        self.note_attempt(now, Some(200), None, None);
        self.note_success(now, lane.facts(), &[]);
        self.reply_losses = lane.losses();
        let words = "reply: cut off because the credit or a limit is used up; more was not set aside";
        self.reply_losses.push(words.to_owned());
        let charge = self.charge(&Outcome::UsedUp, Some(lane.facts()));
        lane.write_end(&self.bill(&charge), &mut out);
        self.conclude(now, last_words(out), Outcome::UsedUp, charge, Some(lane.facts()));
    }

    /// Output tokens that `money` pays for at the endpoint in use.
    fn covered(&self, money: Money) -> u64 {
        let route = &self.routes[self.current];
        let (candidate, money) = (&route.candidate, self.worth(route, money));
        let size = &self.arrival.request.size;
        pricing::affordable_max_tokens(&candidate.prices, size, candidate.context_length, money)
    }

    /// The most that the request costs at a route with so many tokens of output.
    fn ceiling(&self, route: &Route, tokens: u64) -> Option<Money> {
        let candidate = &route.candidate;
        let size = RequestSize { max_tokens: Some(tokens), ..self.arrival.request.size };
        let prices = &candidate.prices;
        let most = pricing::ceiling(prices, &size, candidate.context_length, candidate.max_output)?;
        Some(self.due(route, most))
    }
}

/// Adds a limit of output to a request of `face` that has none.
fn with_limit(face: Face, body: &[u8], limit: u64) -> Vec<u8> {
    let members = std::str::from_utf8(body).ok().and_then(|text| json::members(text).ok());
    let Some(members) = members else { return body.to_vec() };
    // A null is as good as nothing, but must not stand twice.
    let more = |name: &str| {
        let drop = |member: &Member<'_>| if member.key == name { Edit::Drop } else { Edit::Keep };
        members.edit(drop, &[format!("{}:{limit}", json::quote(name))]).into_bytes()
    };
    match face {
        Face::Responses => more("max_output_tokens"),
        Face::Gemini(_) => {
            let names = ["generationConfig", "generation_config"];
            let name = names.into_iter().find(|name| members.value(name).is_some());
            let limit = format!("\"maxOutputTokens\":{limit}");
            let Some((name, config)) = name.and_then(|name| Some((name, members.object(name)?))) else {
                return members
                    .edit(|_| Edit::Keep, &[format!("\"generationConfig\":{{{limit}}}")])
                    .into_bytes();
            };
            let config = config.edit(|_| Edit::Keep, &[limit]);
            let put = |member: &Member<'_>| match member.key == name {
                true => Edit::Value(config.clone()),
                false => Edit::Keep,
            };
            members.edit(put, &[]).into_bytes()
        }
        Face::Chat | Face::Completions | Face::Messages => more("max_tokens"),
        Face::Embeddings | Face::Rerank => body.to_vec(),
    }
}
