//! Which endpoints a request may be sent to, and in which order. Knows the catalog, the request and
//! how endpoints stand, not the outcome of any attempt of its own.

mod auto;
mod candidate;
mod cutoff;
mod explain;
mod order;
mod plan;
mod policy;
mod preference;
pub mod rate;
mod slug;
pub mod sticky;
pub mod task;
mod tasks;
pub mod verdict;

pub use crate::catalog::pattern;
pub use auto::{AutoRules, Choice, CostTier};
pub use candidate::{Candidate, Filter, admits};
pub use cutoff::Cutoffs;
pub use explain::{availability, describe, exhausted, untried};
pub use order::Entry;
pub use plan::{About, Plan, Query, Removed, Strategy, Survey, plan, survey, survey_of};
pub use policy::{Policy, TrainingDenied, Zdr};
pub use preference::{MaxPrice, Partition, Preference, ProviderName, Sort};
pub use slug::{Asked, Name, Router, Target, names_router};
