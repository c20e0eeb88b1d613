//! What all edges together know of one provider: the mind of its Durable Object. Edges report what
//! they saw and learn in return what the others did. Losing it loses nothing but knowledge.

use std::collections::BTreeSet;

use litemap::LiteMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EndpointHealth, Knowledge};
use crate::time::Time;

/// The shape of reports, replies and stored rows. Members may be added under the same number.
pub const SCHEMA: u32 = 1;

/// Edges that are told apart, and how long one is remembered that says nothing. An edge makes a
/// report again for less time than that.
const MAX_EDGES: usize = 4096;
const EDGE_MEMORY: Duration = Duration::from_secs(600);
/// Edges report at least so far apart, and further where they are many: all together make at
/// most so many reports a second.
const PAUSE_S: usize = 5;
const REPORTS_PER_SECOND: usize = 50;

/// What an edge saw since its last report. The same report counts once, by `edge` and `sequence`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub schema: u32,
    pub edge: String,
    pub sequence: u64,
    /// The state that the edge has learned of, by epoch and version.
    #[serde(default)]
    pub since: Option<(String, u64)>,
    pub news: Knowledge,
}

/// What changed since the state that the edge knows; all of it for one that knows none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub schema: u32,
    /// Names one life of the shard: versions are counted from its beginning.
    pub epoch: String,
    pub version: u64,
    /// When the edge may report again, in seconds.
    pub again_s: u32,
    /// The last minutes of each endpoint, with what is public of it.
    pub known: Knowledge,
}

/// A row to be stored: the name and JSON of an endpoint, or of all keys under [`KEYS_ROW`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed {
    pub name: String,
    pub body: String,
}

/// The row of the keys; endpoints have a space in their names.
const KEYS_ROW: &str = "keys";

#[derive(Debug)]
pub struct Shard {
    epoch: String,
    version: u64,
    known: Knowledge,
    /// The version in which each endpoint last changed.
    changed: LiteMap<String, u64>,
    edges: LiteMap<String, Seen>,
    unsaved: BTreeSet<String>,
}

/// Which reports of an edge were taken: the highest number, and which of the 64 up to it.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    highest: u64,
    taken: u64,
    heard: Time,
}

impl Shard {
    /// Begins a life named `epoch` with what was stored. Rows of another shape are passed over.
    pub fn new(epoch: String, rows: &[Filed]) -> Shard {
        let mut known = Knowledge::default();
        for row in rows {
            if row.name == KEYS_ROW {
                known.keys = crate::json::read(&row.body).unwrap_or_default();
            } else if let Ok(endpoint) = crate::json::read(&row.body) {
                known.endpoints.insert(row.name.clone(), endpoint);
            }
        }
        let changed = known.endpoints.keys().map(|name| (name.clone(), 1)).collect();
        Shard { epoch, version: 1, known, changed, edges: LiteMap::new_vec(), unsaved: BTreeSet::new() }
    }

    /// Takes in a report, once, and says what the edge does not know. `None` for a report of
    /// another schema.
    pub fn file(&mut self, now: Time, report: Report) -> Option<Reply> {
        if report.schema != SCHEMA {
            return None;
        }
        if self.is_new(now, &report) && !report.news.is_empty() {
            self.merge(now, report.news);
        }
        Some(self.reply(now, report.since))
    }

    /// What all edges together know.
    pub fn known(&self) -> &Knowledge {
        &self.known
    }

    /// The rows that changed since they were last taken.
    pub fn take_unsaved(&mut self) -> Vec<Filed> {
        let names = std::mem::take(&mut self.unsaved);
        let row = |name: String| {
            let body = match name.as_str() {
                KEYS_ROW => serde_json::to_string(&self.known.keys).ok(),
                _ => serde_json::to_string(self.known.endpoints.get(&name)?).ok(),
            };
            Some(Filed { name, body: body? })
        };
        names.into_iter().filter_map(row).collect()
    }

    fn merge(&mut self, now: Time, mut news: Knowledge) {
        news.drop_future(now);
        self.version += 1;
        self.known.merge(&news);
        for name in news.endpoints.keys() {
            if let Some(endpoint) = self.known.endpoints.get_mut(name) {
                // Failures that no edge alone could see as an outage.
                endpoint.judge(now);
                self.changed.insert(name.clone(), self.version);
                self.unsaved.insert(name.clone());
            }
        }
        self.changed.retain(|name, _| self.known.endpoints.contains_key(name));
        if !news.keys.is_empty() {
            self.unsaved.insert(KEYS_ROW.to_owned());
        }
    }

    fn reply(&self, now: Time, since: Option<(String, u64)>) -> Reply {
        let from = since.filter(|(epoch, _)| *epoch == self.epoch).map_or(0, |(_, version)| version);
        let news = self.changed.iter().filter(|(_, version)| **version > from);
        let endpoints = news.filter_map(|(name, _)| Some((name.clone(), self.known.endpoints.get(name)?)));
        let known = Knowledge {
            endpoints: endpoints.map(|(name, endpoint)| (name, endpoint.snapshot(now))).collect(),
            keys: self.known.keys.clone(),
        };
        let again_s = u32::try_from((self.edges.len() / REPORTS_PER_SECOND).max(PAUSE_S)).unwrap_or(u32::MAX);
        Reply { schema: SCHEMA, epoch: self.epoch.clone(), version: self.version, again_s, known }
    }

    /// Notes a report as taken; says whether it had not been.
    fn is_new(&mut self, now: Time, report: &Report) -> bool {
        self.edges.retain(|_, seen| now.since(seen.heard) < EDGE_MEMORY);
        if self.edges.len() >= MAX_EDGES && !self.edges.contains_key(&report.edge) {
            let oldest = self.edges.iter().min_by_key(|(_, seen)| seen.heard).map(|(edge, _)| edge.clone());
            self.edges.remove(&oldest.unwrap_or_default());
        }
        let seen = self.edges.entry(report.edge.clone()).or_default();
        seen.heard = seen.heard.max(now);
        seen.take(report.sequence)
    }
}

impl Seen {
    fn take(&mut self, sequence: u64) -> bool {
        if sequence > self.highest {
            let shift = u32::try_from(sequence - self.highest).unwrap_or(u32::MAX);
            self.taken = self.taken.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = sequence;
            return true;
        }
        let bit = u32::try_from(self.highest - sequence).ok().and_then(|back| 1u64.checked_shl(back));
        // What is too far back is taken for seen: a gap in knowledge is better than a wrong count.
        let Some(bit) = bit.filter(|bit| self.taken & bit == 0) else {
            return false;
        };
        self.taken |= bit;
        true
    }
}

impl EndpointHealth {
    fn snapshot(&self, now: Time) -> EndpointHealth {
        EndpointHealth {
            series: self.series.recent(now),
            public: Some(self.series.public(now)),
            ..self.clone()
        }
    }
}
