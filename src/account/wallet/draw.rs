//! What a request asks of a wallet, and what it is given.

use crate::account::rate::{HIGHEST, Take, Used};
use crate::account::report::{Hold, Part};
use crate::id::{GenerationId, KeyHash, LeaseId};
use crate::money::Money;
use crate::time::Time;

/// What a request needs before it may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    pub generation: GenerationId,
    pub key: KeyHash,
    /// The most the request can cost.
    pub amount: Money,
    /// When its charge will have come at the latest.
    pub expires_at: Time,
    /// What it can begin with, where the account has less than the amount.
    pub minimum: Option<Money>,
    /// Whether a hold of the minimum is to grow later; else it gets what there is.
    pub part: Part,
    /// The models that may serve it.
    pub models: Vec<String>,
    /// The `user` that it names.
    pub end_user: Option<String>,
    /// What it takes of limits of rate.
    pub take: Take,
}

/// Money set aside for one request. Ends by [`super::Wallet::settle`] or [`super::Wallet::abandon`], once.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) generation: GenerationId,
    pub(super) key: KeyHash,
    pub(super) held: Money,
    /// The lease it is drawn from; `None` for a hold of its own.
    pub(super) lease: Option<LeaseId>,
    /// The minute of its admission and the tokens it was counted with, where limits of rate ask.
    pub(super) counted: Option<(u64, u64)>,
}

impl Ticket {
    /// What is set aside.
    pub fn held(&self) -> Money {
        self.held
    }

    /// The isolate's lease that it is drawn from, if it is.
    pub fn lease(&self) -> Option<&LeaseId> {
        self.lease.as_ref()
    }
}

impl Draw {
    pub(super) fn hold(&self) -> Hold {
        let Draw { generation, key, amount, expires_at, minimum, part, models, end_user, take } =
            self.clone();
        Hold { generation, key, amount, minimum, part, expires_at, models, end_user, take }
    }
}

/// What limits of rate are told of a request that was counted, and has used so many tokens.
pub(super) fn used(counted: Option<(u64, u64)>, tokens: u64) -> Option<Used> {
    let (minute, counted) = counted?;
    let bounded = |tokens: u64| tokens.min(HIGHEST) as i64;
    let beyond = bounded(tokens) - bounded(counted);
    (beyond != 0).then_some(Used { minute, beyond })
}
