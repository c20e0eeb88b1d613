//! What the holder of a key may ask for, whatever a request says: set for an account, a key or a
//! workspace. A request can only narrow it.

use super::preference::{ProviderName, Sort};
use crate::catalog::pattern::Pattern;

/// The default allows everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Nobody else may be tried; `None` for anybody.
    pub providers: Option<Vec<ProviderName>>,
    pub ignored_providers: Vec<ProviderName>,
    /// No other model may be asked for; `None` for any.
    pub models: Option<Vec<Pattern>>,
    /// Only endpoints known to retain nothing.
    pub zdr: bool,
    /// Only endpoints known not to train on what they see.
    pub data_collection_deny: bool,
    /// Only endpoints known to compute in one of these. Empty: anywhere.
    pub regions: Vec<String>,
    /// The order where the request names none.
    pub sort: Option<Sort>,
}
