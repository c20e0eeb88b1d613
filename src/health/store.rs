//! What one edge knows of every provider: its own news at once, and what the others reported,
//! which it learns by reporting. Answers plans and admits attempts.

use litemap::LiteMap;
use std::time::Duration;

use super::allowance::Allowance;
use super::breaker::Position;
use super::news::{endpoint_name, provider_of};
use super::shard::{Reply, Report, SCHEMA};
use super::{Blame, EndpointHealth, Event, Health, Knowledge, News, Public, Standing, Subject};
use crate::time::Time;

/// How long a probe may take before another may be sent.
const PROBE: Duration = Duration::from_secs(60);
/// Reports of one edge about one provider are at least so far apart …
const PAUSE: Duration = Duration::from_secs(5);
/// … and so much further after one that failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Ordinary outcomes are told when there are so many of them, or when they are so old.
const BATCH: u32 = 100;
const OLD: Duration = Duration::from_secs(60);
/// A provider that plans name but nobody asks is asked about after so many plans.
const PLANS: u32 = 1000;
/// A report that failed is made again until it is so old.
const STALE: Duration = Duration::from_secs(240);

/// Whether an attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Free,
    /// It is the one probe of something that was out.
    Probe,
    /// Only when nothing better is left.
    Later,
    /// The provider has asked for a wait until then.
    Not {
        until: Time,
    },
}

#[derive(Clone, Debug)]
pub struct Store {
    edge: String,
    /// The digests of our keys, by provider.
    keys: LiteMap<String, Vec<String>>,
    providers: LiteMap<String, Provider>,
    /// Probes under way, each with the time when it no longer counts.
    probes: LiteMap<String, Time>,
    seconds: Allowance,
}

#[derive(Clone, Debug, Default)]
struct Provider {
    known: Knowledge,
    /// What happened since the last report.
    pending: Knowledge,
    /// How many outcomes that is, and plans that named the provider.
    outcomes: u32,
    plans: u32,
    urgent: bool,
    /// A report without an answer yet.
    outbox: Option<(Time, Report)>,
    sequence: u64,
    /// What the shard last said of its own state; `None` before it was ever asked.
    since: Option<(String, u64)>,
    reported: Time,
    not_before: Time,
}

impl Store {
    /// `edge` names this store among all that report; `keys` are the digests of our keys by
    /// provider.
    pub fn new(edge: String, keys: LiteMap<String, Vec<String>>) -> Store {
        Store {
            edge,
            keys,
            providers: LiteMap::new_vec(),
            probes: LiteMap::new_vec(),
            seconds: Allowance::default(),
        }
    }

    /// Takes in what happened at `now`.
    pub fn take(&mut self, now: Time, news: &News) {
        let is_outcome =
            matches!(news.event, Event::Complete { .. } | Event::Failed(_) | Event::Outrun { .. });
        let name = news.subject.endpoint();
        if news.probe && (is_outcome || matches!(news.event, Event::Began { .. })) {
            self.probes.remove(&name);
            self.probes.remove(&key_probe(&news.subject));
        }
        let provider = self.providers.entry(news.subject.provider().to_owned()).or_default();
        let key = news.subject.key.as_ref();
        let before = provider.position(&name, key, now);
        provider.known.take(now, news);
        provider.pending.tally(now, news, &provider.known);
        provider.outcomes = provider.outcomes.saturating_add(u32::from(is_outcome));
        provider.urgent |= is_urgent(news.event) || provider.position(&name, key, now) != before;
    }

    /// A plan names this provider: something should be known of it.
    pub fn expect(&mut self, tag: &str) {
        let provider = self.providers.entry(provider_of(tag).to_owned()).or_default();
        provider.plans = provider.plans.saturating_add(1);
    }

    /// Decides whether an attempt may be made at `now`. Of something that is to be probed, only
    /// one attempt at a time is let through.
    pub fn admit(&mut self, subject: &Subject, now: Time) -> Admission {
        let Some(provider) = self.providers.get(subject.provider()) else {
            return Admission::Free;
        };
        let name = subject.endpoint();
        let endpoint = provider.known.endpoints.get(&name);
        let key = subject.key.as_deref().unwrap_or("");
        let rests: Vec<_> = endpoint
            .into_iter()
            .flat_map(|endpoint| [Some(&endpoint.rest), endpoint.keys.get(key)])
            .flatten()
            .collect();
        let firm = rests.iter().map(|rest| rest.firm).max().unwrap_or_default();
        if firm > now {
            return Admission::Not { until: firm };
        }
        if rests.iter().any(|rest| rest.soft > now) {
            return Admission::Later;
        }
        let breakers = [
            (name, endpoint.map(|endpoint| &endpoint.breaker)),
            (key_probe(subject), provider.known.keys.get(key)),
        ];
        let mut claims = Vec::new();
        for (name, breaker) in breakers {
            match breaker.map_or(Position::Closed, |breaker| breaker.position(now)) {
                Position::Closed => {}
                Position::Open { .. } => return Admission::Later,
                Position::HalfOpen if self.probes.get(&name).is_some_and(|until| *until > now) => {
                    return Admission::Later;
                }
                Position::HalfOpen => claims.push(name),
            }
        }
        if claims.is_empty() {
            return Admission::Free;
        }
        self.probes.retain(|_, until| *until > now);
        self.probes.extend(claims.into_iter().map(|name| (name, now.plus(PROBE))));
        Admission::Probe
    }

    /// How long is long for the first token of an endpoint: of a thousand streams so many begin
    /// sooner, by the last five minutes or, if that is too few, the last half hour. `None` where that
    /// is too few as well. Each call stands for one stream, of which some may have a second attempt.
    pub fn pace(&mut self, subject: &Subject, permille: u32, now: Time) -> Option<Duration> {
        self.seconds.earn();
        let endpoint = self.endpoint(&subject.model, &subject.tag)?;
        endpoint.pace(now, permille).map(|ms| Duration::from_millis(u64::from(ms)))
    }

    /// As [`Store::admit`], for a second attempt beside a slow one. When all is slow, these would
    /// double the load just then: no more than one stream in ten gets one.
    pub fn admit_second(&mut self, subject: &Subject, now: Time) -> Admission {
        if !self.seconds.has() {
            return Admission::Later;
        }
        let admission = self.admit(subject, now);
        if matches!(admission, Admission::Free | Admission::Probe) {
            self.seconds.spend();
        }
        admission
    }

    /// What anybody may be told of an endpoint; `None` if nothing is known of it.
    pub fn public(&self, model: &str, tag: &str, now: Time) -> Option<Public> {
        self.endpoint(model, tag).map(|endpoint| endpoint.public(now))
    }

    /// Every endpoint that is known, by tag and model, with its standing.
    pub fn standings(&self, now: Time) -> Vec<(String, String, Standing)> {
        let names = self.providers.values().flat_map(|provider| provider.known.endpoints.keys());
        names
            .filter_map(|name| name.split_once(' '))
            .map(|(tag, model)| (tag.to_owned(), model.to_owned(), self.standing(model, tag, now)))
            .collect()
    }

    /// Keys that are passed over, by provider and digest, and until when.
    pub fn refused_keys(&self, now: Time) -> Vec<(String, String, Time)> {
        let all = self.providers.iter().flat_map(|(slug, provider)| {
            provider.known.keys.iter().map(move |(key, breaker)| (slug, key, breaker))
        });
        all.filter(|(.., breaker)| breaker.position(now) != Position::Closed)
            .map(|(slug, key, breaker)| (slug.clone(), key.clone(), breaker.until))
            .collect()
    }

    /// When the next report is due, if one is: the earliest moment at which there is something to
    /// tell or to learn.
    pub fn next_report(&self, now: Time) -> Option<Time> {
        self.providers.values().filter_map(|provider| provider.due_at(now)).min()
    }

    /// Takes the reports that are due at `now`, with the provider's slug. Each is to be answered
    /// by [`Store::learn`].
    pub fn take_reports(&mut self, now: Time) -> Vec<(String, Report)> {
        let mut reports = Vec::new();
        for (slug, provider) in &mut self.providers {
            if provider.due_at(now).is_some_and(|at| at <= now) {
                reports.push((slug.clone(), provider.report(now, &self.edge)));
            }
        }
        reports
    }

    /// Takes in the answer to a report about `provider`; `None` if there was none.
    pub fn learn(&mut self, now: Time, provider: &str, reply: Option<Reply>) {
        let Some(provider) = self.providers.get_mut(provider) else { return };
        match reply {
            Some(reply) => provider.learn(now, reply),
            // What was reported is known here; it is reported again.
            None => provider.not_before = now.plus(PAUSE_AFTER_FAILURE),
        }
    }

    fn endpoint(&self, model: &str, tag: &str) -> Option<&EndpointHealth> {
        self.providers.get(provider_of(tag))?.known.endpoints.get(&endpoint_name(model, tag))
    }
}

impl Health for Store {
    fn standing(&self, model: &str, tag: &str, now: Time) -> Standing {
        let slug = provider_of(tag);
        let Some(provider) = self.providers.get(slug) else {
            return Standing::default();
        };
        let name = endpoint_name(model, tag);
        let unknown = EndpointHealth::default();
        let endpoint = provider.known.endpoints.get(&name).unwrap_or(&unknown);
        let keys = self.keys.get(slug).map_or(&[][..], Vec::as_slice);
        let probed = self.probes.get(&name).copied();
        endpoint.standing(now, provider.keys_out(endpoint, keys, now), probed)
    }
}

impl Provider {
    /// When the first of `keys` may be used again, where none may be used at `now`.
    fn keys_out(&self, endpoint: &EndpointHealth, keys: &[String], now: Time) -> Option<Time> {
        let until = |key: &str| {
            let rest = endpoint.keys.get(key).and_then(|rest| rest.until(now));
            match self.known.keys.get(key).map(|breaker| breaker.position(now)) {
                Some(Position::Open { until }) => rest.max(Some(until)),
                Some(Position::Closed | Position::HalfOpen) | None => rest,
            }
        };
        if keys.is_empty() {
            return until("");
        }
        keys.iter().map(|key| until(key)).collect::<Option<Vec<Time>>>()?.into_iter().min()
    }

    /// How an endpoint stands, by its name, and a key.
    fn position(
        &self,
        endpoint: &str,
        key: Option<&String>,
        now: Time,
    ) -> (Option<Position>, Option<Position>) {
        let endpoint = self.known.endpoints.get(endpoint);
        let key = key.and_then(|key| self.known.keys.get(key));
        (endpoint.map(|endpoint| endpoint.breaker.position(now)), key.map(|key| key.position(now)))
    }

    fn due_at(&self, now: Time) -> Option<Time> {
        let is_old = now >= self.reported.plus(OLD);
        let wanted = self.urgent
            || self.since.is_none()
            || self.outbox.is_some()
            || self.outcomes >= BATCH
            || self.plans >= PLANS
            || (is_old && self.outcomes > 0);
        wanted.then_some(self.not_before.max(self.reported.plus(PAUSE)))
    }

    fn report(&mut self, now: Time, edge: &str) -> Report {
        self.reported = now;
        if let Some((_, report)) = self.outbox.as_ref().filter(|(made, _)| now.since(*made) < STALE) {
            return report.clone();
        }
        self.sequence += 1;
        let report = Report {
            schema: SCHEMA,
            edge: edge.to_owned(),
            sequence: self.sequence,
            since: self.since.clone(),
            news: std::mem::take(&mut self.pending),
        };
        (self.outcomes, self.plans, self.urgent) = (0, 0, false);
        self.outbox = Some((now, report.clone()));
        report
    }

    /// What the shard knows takes the place of what was known, but for what happened since and
    /// for waits, which only grow.
    fn learn(&mut self, now: Time, reply: Reply) {
        self.outbox = None;
        self.since = Some((reply.epoch, reply.version));
        self.not_before = now.plus(Duration::from_secs(u64::from(reply.again_s)));
        for (name, mut learned) in reply.known.endpoints {
            if let Some(pending) = self.pending.endpoints.get(&name) {
                learned.merge(pending);
            }
            if let Some(before) = self.known.endpoints.get(&name) {
                learned.merge_waits(before);
            }
            self.known.endpoints.insert(name, learned);
        }
        self.known.merge(&Knowledge { keys: reply.known.keys, ..Knowledge::default() });
    }
}

/// Whether others should soon know.
fn is_urgent(event: Event) -> bool {
    match event {
        Event::Failed(Blame::Nobody { .. })
        | Event::Began { .. }
        | Event::Complete { .. }
        | Event::Outrun { .. } => false,
        Event::Failed(
            Blame::Endpoint | Blame::Busy { .. } | Blame::Limited { .. } | Blame::Denied | Blame::Key,
        )
        | Event::Exhausted { .. } => true,
    }
}

/// The name of a key's probe; endpoints have a space in theirs.
fn key_probe(subject: &Subject) -> String {
    [subject.provider(), subject.key.as_deref().unwrap_or("")].join("#")
}
