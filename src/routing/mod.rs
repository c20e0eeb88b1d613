//! Which offers a request may be sent to, and in which order. Knows the catalog and the request,
//! not the outcome of any attempt.

mod candidate;
mod plan;
mod preference;
pub mod verdict;

pub use candidate::{Candidate, Filter};
pub use plan::{Plan, Query, plan};
pub use preference::{MaxPrice, Partition, Preference, ProviderName, Sort};
