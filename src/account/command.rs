//! What an account object can be told and what it answers: JSON, `{"grant":{…}}` or, for one without
//! members, `"describe"`. (Telling them apart by a member `type` would compile every reading twice.)
//! Amounts are picodollars in strings, times milliseconds since 1970.

use super::billing::{BillingAnswer, BillingCommand};
use super::budget::Standing;
use super::key::{KeyKind, KeyRefusal, KeySnapshot};
use super::limit::LimitReset;
use super::rate::Limited;
use super::report::{Report, Reported};
use super::text;
use crate::id::{AccountId, GenerationId, KeyHash};
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// A command. One that changes anything names what it changes by an id of the caller's making, so
/// that a replay changes nothing and is answered as the first was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Brings the account into being. The only command that writes to an object that has none.
    Create {
        #[serde(with = "text")]
        account: AccountId,
        name: String,
    },
    /// Asks for the totals, after open holds whose time is over have been given back.
    Describe,
    /// Adds money. A negative amount takes back what was not spent or held.
    Grant {
        id: String,
        #[serde(with = "text")]
        amount: Money,
        reason: String,
    },
    /// Asks what was granted and used, for `GET /credits`.
    Credits,
    CreateKey(NewKeyPolicy),
    /// Asks for a page of 100 inference keys, oldest first; never lists management keys.
    ListKeys {
        #[serde(default)]
        offset: u64,
        #[serde(default)]
        include_disabled: bool,
        #[serde(default)]
        include_expired: bool,
        /// Also those that apps were authorized to have.
        #[serde(default)]
        include_apps: bool,
        /// Those in one workspace, by id or slug, empty for the default one; `None` for all.
        #[serde(default)]
        workspace: Option<String>,
        /// Those that a user made; `None` for all.
        #[serde(default)]
        creator: Option<String>,
    },
    /// Asks for one key. With `only`, a key of the other kind is as good as unknown.
    GetKey {
        #[serde(with = "text")]
        hash: KeyHash,
        #[serde(default)]
        only: Option<KeyKind>,
    },
    UpdateKey(KeyChange),
    /// Ends a key for good. Its open holds stay until they are settled or expire.
    DeleteKey {
        #[serde(with = "text")]
        hash: KeyHash,
        #[serde(default)]
        only: Option<KeyKind>,
    },
    /// Asks whether a key is good, for an edge whose copy of the key is missing or old.
    Authenticate {
        #[serde(with = "text")]
        hash: KeyHash,
    },
    /// Charges, holds and renews: all that inference asks of an account.
    Report(Report),
    /// Gives back every hold whose time is over and drops records beyond their retention. What
    /// the alarm runs.
    ExpireHolds,
    /// Asks for the record of one reply.
    Generation {
        #[serde(with = "text")]
        id: GenerationId,
    },
    /// A [`super::document::DocumentCommand`] as JSON.
    Document {
        command: String,
    },
    /// A [`super::budget::command::BudgetCommand`] as JSON.
    Budget {
        command: String,
    },
    /// A [`super::team::TeamCommand`] as JSON.
    Team {
        command: String,
    },
    /// Purchases, top-ups and codes.
    Billing {
        #[serde(with = "text::nested")]
        command: BillingCommand,
    },
    /// A [`super::books::BooksCommand`] as JSON.
    Books {
        command: String,
    },
    /// A [`super::access::AccessCommand`] as JSON.
    Access {
        command: String,
    },
    /// A [`super::alert::AlertCommand`] as JSON.
    Alert {
        command: String,
    },
    /// A [`super::byok::ByokCommand`] as JSON.
    Byok {
        command: String,
    },
    /// A command as JSON, and the management key whose holder gives it: carried out if the key may.
    Acting {
        #[serde(with = "text")]
        by: KeyHash,
        command: String,
    },
}

/// The longest name, label, reason or id of a grant, in bytes.
pub const TEXT_BYTES: usize = 1024;

impl Command {
    /// What serde writes; of a report without another look at it.
    pub fn to_json(&self) -> String {
        if let Command::Report(report) = self {
            return [r#"{"report":"#, &report.to_json(), "}"].concat();
        }
        serde_json::to_string(self).expect("texts, numbers and flags are always JSON")
    }

    /// The command as the holder of a management key gives it.
    pub fn acting(&self, by: KeyHash) -> serde_json::Result<Command> {
        serde_json::to_string(self).map(|command| Command::Acting { by, command })
    }

    /// What makes the command senseless in any account, if anything does.
    pub fn flaw(&self) -> Option<&'static str> {
        let long = |text: &str| text.len() > TEXT_BYTES;
        let unnamed = |name: &str| name.is_empty() || long(name);
        let flaws = match self {
            Command::Create { name, .. } => {
                [(long(name), "an account's name has at most 1024 bytes"), NO_FLAW]
            }
            Command::Grant { id, amount, reason } => [
                (unnamed(id) || long(reason), "a grant needs an id; id and reason have at most 1024 bytes"),
                (*amount == Money::ZERO, "a grant of nothing"),
            ],
            Command::CreateKey(policy) => [
                (unnamed(&policy.name) || long(&policy.label), "a key's name has 1 to 1024 bytes"),
                (policy.limit.is_some_and(Money::is_negative), "a limit below zero"),
            ],
            Command::UpdateKey(change) => [
                (change.name.as_deref().is_some_and(unnamed), "a key's name has 1 to 1024 bytes"),
                (change.limit.flatten().is_some_and(Money::is_negative), "a limit below zero"),
            ],
            Command::Report(report) => return report.flaw(),
            Command::Billing { command } => return command.flaw(),
            Command::Describe
            | Command::Credits
            | Command::ListKeys { .. }
            | Command::GetKey { .. }
            | Command::DeleteKey { .. }
            | Command::Authenticate { .. }
            | Command::ExpireHolds
            | Command::Document { .. }
            | Command::Books { .. }
            | Command::Access { .. }
            | Command::Alert { .. }
            | Command::Team { .. }
            | Command::Budget { .. }
            | Command::Byok { .. }
            | Command::Acting { .. }
            | Command::Generation { .. } => [NO_FLAW, NO_FLAW],
        };
        flaws.into_iter().find(|(is, _)| *is).map(|(_, words)| words)
    }
}

const NO_FLAW: (bool, &str) = (false, "");

/// A key to be made. The hash is its id: the same hash again changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKeyPolicy {
    #[serde(with = "text")]
    pub hash: KeyHash,
    /// What of the key may be shown: `sk-mr-v1-Abc...xyz`.
    pub label: String,
    pub name: String,
    pub kind: KeyKind,
    /// The most the key may spend in one window, or in all if there is no window; `None` for no limit.
    #[serde(with = "text::optional", default)]
    pub limit: Option<Money>,
    #[serde(default)]
    pub limit_reset: Option<LimitReset>,
    #[serde(default)]
    pub include_byok_in_limit: bool,
    #[serde(with = "text::optional_ms", default)]
    pub expires_at: Option<Time>,
    #[serde(default)]
    pub holder: Holder,
    /// By id or slug; empty for the default one. A management key that is made in one acts for it alone.
    #[serde(default)]
    pub workspace: String,
}

/// Whose a key is, as far as its account says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The user who made the key. A management key acts by the roles of that member.
    #[serde(default)]
    pub creator_user_id: Option<String>,
    /// The user of the caller's that it is for.
    #[serde(default)]
    pub external_user: Option<String>,
    /// What the caller calls the key.
    #[serde(default)]
    pub external_key: Option<String>,
    /// The host of the app that was authorized to have it.
    #[serde(default)]
    pub app: Option<String>,
}

/// A change to a key. `None` leaves a property as it is; `Some(None)` clears it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    #[serde(with = "text")]
    pub hash: KeyHash,
    /// With a kind, a key of the other kind is as good as unknown.
    #[serde(default)]
    pub only: Option<KeyKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::patch")]
    pub limit: Option<Option<Money>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::patch::plain")]
    pub limit_reset: Option<Option<LimitReset>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_byok_in_limit: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// This object has no account. Nothing was written.
    Missing,
    /// To `Create`.
    Created { already: bool, account: AccountRow },
    /// To `Describe`.
    Account { account: AccountRow },
    /// To `Grant`. `amount` is the first that came under this id.
    Granted {
        already: bool,
        #[serde(with = "text")]
        amount: Money,
        account: AccountRow,
    },
    /// To `Credits`.
    Credits {
        #[serde(with = "text")]
        granted: Money,
        #[serde(with = "text")]
        used: Money,
    },
    /// To `CreateKey`. The snapshot is for KV.
    KeyCreated { already: bool, key: KeyRow, snapshot: KeySnapshot },
    /// To `GetKey`.
    Key { key: KeyRow },
    /// To `UpdateKey`. The snapshot is for KV.
    KeyUpdated { key: KeyRow, snapshot: KeySnapshot },
    /// To `DeleteKey`. The snapshot is a tombstone for KV.
    KeyDeleted { already: bool, snapshot: KeySnapshot },
    /// To `ListKeys`.
    Keys { keys: Vec<KeyRow> },
    /// To `Authenticate`.
    Authenticated { snapshot: KeySnapshot },
    /// To `Report`.
    Reported(Reported),
    /// To `ExpireHolds`.
    Expired {
        holds: u64,
        records: u64,
        #[serde(with = "text::optional_ms")]
        next_alarm: Option<Time>,
    },
    /// To `Generation`.
    Found {
        #[serde(with = "text")]
        id: GenerationId,
        #[serde(with = "text")]
        cost: Money,
        record: String,
    },
    /// To `Generation`: a hold is open, the charge has not come.
    Pending,
    /// To `Billing`.
    Billing {
        #[serde(with = "text::nested")]
        answer: BillingAnswer,
    },
    /// To `Team`: a [`super::team::TeamAnswer`] as JSON.
    Team { answer: String },
    /// To `Document`: a [`super::document::DocumentAnswer`] as JSON.
    Document { answer: String },
    /// To `Books`: what [`super::books`] says of each command.
    Books { answer: String },
    /// To `Access`: an [`super::access::AccessAnswer`] as JSON, and what KV is to have of keys.
    Access { answer: String, snapshots: Vec<KeySnapshot> },
    /// To `Alert`: an [`super::alert::AlertAnswer`] as JSON, and when the alarm has to deliver.
    Alert {
        answer: String,
        #[serde(with = "text::optional_ms")]
        next_alarm: Option<Time>,
    },
    /// To `Budget`: every [`super::budget::Standing`] as a JSON list.
    Budgets { standings: String },
    /// To `Byok`: a [`super::byok::ByokAnswer`] as JSON.
    Byok { answer: String },
    /// To `Acting`: what the key acts as, and what the command needs. Nothing was changed.
    Forbidden { role: String, needed: String },
    /// No such key, generation or document.
    NotFound,
    /// To `Grant`, `CreateKey` and `Authenticate`: nothing was changed.
    Refused { refusal: Refusal },
    /// The command makes no sense. Nothing was changed.
    Invalid { message: String },
    /// The database failed, or is not one this program may touch. All that the command wrote
    /// must be rolled back.
    Fault { message: String },
}

/// Why money was not set aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The key may not spend at all.
    Key { reason: KeyRefusal },
    /// The account has too little left.
    Credit {
        /// What is left beside charges and open holds. Below zero after a charge beyond its hold.
        #[serde(with = "text")]
        available: Money,
        #[serde(with = "text")]
        missing: Money,
    },
    /// The key's own limit has too little left.
    KeyLimit {
        #[serde(with = "text")]
        available: Money,
        #[serde(with = "text")]
        missing: Money,
        /// When the window ends; `None` for a limit without one.
        #[serde(with = "text::optional_ms")]
        resets_at: Option<Time>,
    },
    /// A budget has too little left.
    Budget {
        standing: Box<Standing>,
        #[serde(with = "text")]
        available: Money,
        #[serde(with = "text")]
        missing: Money,
    },
    /// A limit of rate has too little left.
    Rate(Box<Limited>),
    /// The hold's time was over when it was asked for, or its generation was settled or expired.
    Ended,
}

/// The account and its totals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccountRow {
    #[serde(with = "text")]
    pub id: AccountId,
    pub name: String,
    #[serde(with = "text::ms")]
    pub created_at: Time,
    #[serde(with = "text")]
    pub granted: Money,
    #[serde(with = "text")]
    pub charged: Money,
    #[serde(with = "text")]
    pub held: Money,
    /// Granted less charged less held.
    #[serde(with = "text")]
    pub available: Money,
}

/// A key as its owner may see it, with what it spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRow {
    #[serde(with = "text")]
    pub account: AccountId,
    #[serde(with = "text")]
    pub hash: KeyHash,
    pub label: String,
    pub name: String,
    pub kind: KeyKind,
    pub disabled: bool,
    #[serde(with = "text::optional")]
    pub limit: Option<Money>,
    /// The limit less what was spent in its window and less open holds. Below zero after a
    /// charge beyond its hold or when the limit was lowered.
    #[serde(with = "text::optional")]
    pub limit_remaining: Option<Money>,
    pub limit_reset: Option<LimitReset>,
    #[serde(with = "text::optional_ms")]
    pub limit_resets_at: Option<Time>,
    pub include_byok_in_limit: bool,
    pub usage: Spending,
    pub byok_usage: Spending,
    #[serde(with = "text")]
    pub held: Money,
    #[serde(with = "text::ms")]
    pub created_at: Time,
    #[serde(with = "text::optional_ms")]
    pub updated_at: Option<Time>,
    #[serde(with = "text::optional_ms")]
    pub expires_at: Option<Time>,
    #[serde(with = "text::optional_ms")]
    pub last_used_at: Option<Time>,
    #[serde(default)]
    pub holder: Holder,
    /// The key that this one came after.
    #[serde(default, with = "text::optional")]
    pub replaces: Option<KeyHash>,
    /// The account has been given no credit.
    #[serde(default)]
    pub is_free_tier: bool,
    /// As clients see it.
    #[serde(default)]
    pub workspace_id: String,
    /// To `GetKey`: how those stand that it is under, whatever it asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Standing>,
    /// Requests for free models in the day so far, and what the account was given in all; 0 in lists.
    #[serde(default)]
    pub free_requests_today: u64,
    #[serde(with = "text", default)]
    pub granted: Money,
    /// The fewest requests that a limit of rate lets it make in a minute; `None` in lists.
    #[serde(default)]
    pub requests_per_minute: Option<u64>,
}

/// What a key spent: in all, and in the day, week (from Monday) and month in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spending {
    #[serde(with = "text")]
    pub total: Money,
    #[serde(with = "text")]
    pub daily: Money,
    #[serde(with = "text")]
    pub weekly: Money,
    #[serde(with = "text")]
    pub monthly: Money,
}
