//! Keys and credits as OpenRouter's management API shows them. Dollars are JSON numbers
//! with every digit they need: their text is spliced in, no float is involved.

use super::budget::{Per, Scope, Standing};
use super::command::{KeyRow, Spending};
use super::key::KeyKind;
use super::limit::LimitReset;
use super::rate;
use crate::id::KeyHash;
use crate::money::Money;
use crate::routing::rate::FreeLimits;
use crate::time::Time;
use serde::Serialize;
use serde_json::value::RawValue;

pub(super) type Number = Box<RawValue>;

/// The body of `GET` and `PATCH /keys/{hash}`.
pub fn write_key(row: &KeyRow) -> String {
    json(&Data { data: KeyObject::new(row) })
}

/// The body of `GET /keys`.
pub fn write_keys(rows: &[KeyRow]) -> String {
    json(&Data { data: rows.iter().map(KeyObject::new).collect::<Vec<_>>() })
}

/// The body of `POST /keys`: the only one that ever holds the key itself.
pub fn write_created_key(row: &KeyRow, key: &str) -> String {
    #[derive(Serialize)]
    struct Created<'a> {
        data: KeyObject<'a>,
        key: &'a str,
    }
    json(&Created { data: KeyObject::new(row), key })
}

/// The body of `POST /keys/{hash}/rotate`: the new key as `POST /keys` would show it, and until when
/// the old one is good.
pub fn write_rotated_key(row: &KeyRow, key: &str, old_expires_at: Time) -> String {
    #[derive(Serialize)]
    struct Rotated<'a> {
        data: KeyObject<'a>,
        key: &'a str,
        old_key_expires_at: String,
    }
    json(&Rotated { data: KeyObject::new(row), key, old_key_expires_at: old_expires_at.to_iso8601() })
}

/// The body of `DELETE /keys/{hash}`.
pub fn write_deleted_key() -> String {
    r#"{"deleted":true}"#.to_owned()
}

/// The body of `GET /key`: the key as it sees itself.
pub fn write_current_key(row: &KeyRow, free: FreeLimits) -> String {
    json(&Data { data: CurrentKey::new(row, free) })
}

/// The body of `GET /credits`.
pub fn write_credits(granted: Money, used: Money) -> String {
    #[derive(Serialize)]
    struct Credits {
        total_credits: Number,
        total_usage: Number,
    }
    json(&Data { data: Credits { total_credits: usd(granted), total_usage: usd(used) } })
}

#[derive(Serialize)]
pub(super) struct Data<T> {
    pub data: T,
}

#[derive(Serialize)]
struct Usage {
    usage: Number,
    usage_daily: Number,
    usage_weekly: Number,
    usage_monthly: Number,
    byok_usage: Number,
    byok_usage_daily: Number,
    byok_usage_weekly: Number,
    byok_usage_monthly: Number,
}

#[derive(Serialize)]
struct KeyObject<'a> {
    hash: &'a str,
    label: &'a str,
    name: &'a str,
    disabled: bool,
    limit: Option<Number>,
    limit_remaining: Option<Number>,
    limit_reset: Option<LimitReset>,
    include_byok_in_limit: bool,
    #[serde(flatten)]
    usage: Usage,
    created_at: String,
    updated_at: Option<String>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    creator_user_id: &'a Option<String>,
    external_user: &'a Option<String>,
    workspace_id: &'a str,
    #[serde(flatten)]
    own: OwnMembers<'a>,
}

/// What OpenRouter's keys do not have, there where it says something.
#[derive(Serialize)]
struct OwnMembers<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    external_key: Option<&'a str>,
    /// The host of the app that the key was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    /// The hash of the key that this one came after.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<&'a str>,
}

#[derive(Serialize)]
struct CurrentKey<'a> {
    label: &'a str,
    limit: Option<Number>,
    limit_remaining: Option<Number>,
    limit_reset: Option<LimitReset>,
    include_byok_in_limit: bool,
    #[serde(flatten)]
    usage: Usage,
    is_free_tier: bool,
    is_management_key: bool,
    is_provisioning_key: bool,
    creator_user_id: &'a Option<String>,
    organization_id: Option<String>,
    workspace_id: &'a str,
    expires_at: Option<String>,
    allowed_data_regions: [&'static str; 1],
    free_model_daily_requests: FreeModelDailyRequests,
    budgets: Vec<Budget<'a>>,
    /// The one with the least left.
    effective_budget: Option<Budget<'a>>,
    rate_limit: RateLimit,
}

/// -1 says that there is no limit, as it does in `rate_limit`.
#[derive(Serialize)]
struct FreeModelDailyRequests {
    used: i64,
    limit: i64,
    remaining: i64,
}

#[derive(Serialize)]
struct Budget<'a> {
    scope: &'static str,
    guardrail_id: Option<&'a str>,
    budget_id: Option<&'a String>,
    limit_usd: Number,
    spend_usd: Number,
    remaining_usd: Number,
    reset_interval: Option<LimitReset>,
    resets_at: Option<String>,
    include_byok: bool,
}

#[derive(Serialize)]
struct RateLimit {
    requests: i64,
    interval: &'static str,
    note: &'static str,
}

impl Usage {
    fn new(usage: &Spending, byok: &Spending) -> Usage {
        Usage {
            usage: usd(usage.total),
            usage_daily: usd(usage.daily),
            usage_weekly: usd(usage.weekly),
            usage_monthly: usd(usage.monthly),
            byok_usage: usd(byok.total),
            byok_usage_daily: usd(byok.daily),
            byok_usage_weekly: usd(byok.weekly),
            byok_usage_monthly: usd(byok.monthly),
        }
    }
}

impl KeyObject<'_> {
    fn new(row: &KeyRow) -> KeyObject<'_> {
        KeyObject {
            hash: row.hash.as_str(),
            label: &row.label,
            name: &row.name,
            disabled: row.disabled,
            limit: row.limit.map(usd),
            limit_remaining: row.limit_remaining.map(usd),
            limit_reset: row.limit_reset,
            include_byok_in_limit: row.include_byok_in_limit,
            usage: Usage::new(&row.usage, &row.byok_usage),
            created_at: row.created_at.to_iso8601(),
            updated_at: row.updated_at.map(Time::to_iso8601),
            expires_at: row.expires_at.map(Time::to_iso8601),
            last_used_at: row.last_used_at.map(Time::to_iso8601),
            creator_user_id: &row.holder.creator_user_id,
            external_user: &row.holder.external_user,
            workspace_id: &row.workspace_id,
            own: OwnMembers {
                external_key: row.holder.external_key.as_deref(),
                app: row.holder.app.as_deref(),
                replaces: row.replaces.as_ref().map(KeyHash::as_str),
            },
        }
    }
}

impl CurrentKey<'_> {
    fn new(row: &KeyRow, free: FreeLimits) -> CurrentKey<'_> {
        let management = row.kind == KeyKind::Management;
        CurrentKey {
            label: &row.label,
            limit: row.limit.map(usd),
            limit_remaining: row.limit_remaining.map(usd),
            limit_reset: row.limit_reset,
            include_byok_in_limit: row.include_byok_in_limit,
            usage: Usage::new(&row.usage, &row.byok_usage),
            is_free_tier: row.is_free_tier,
            is_management_key: management,
            is_provisioning_key: management,
            creator_user_id: &row.holder.creator_user_id,
            organization_id: None,
            workspace_id: &row.workspace_id,
            expires_at: row.expires_at.map(Time::to_iso8601),
            allowed_data_regions: ["global"],
            free_model_daily_requests: FreeModelDailyRequests::new(row, free),
            budgets: row.budgets.iter().filter_map(Budget::new).collect(),
            effective_budget: row.budgets.iter().min_by_key(|one| remaining(one)).and_then(Budget::new),
            rate_limit: RateLimit::new(row.requests_per_minute),
        }
    }
}

impl FreeModelDailyRequests {
    fn new(row: &KeyRow, free: FreeLimits) -> FreeModelDailyRequests {
        let used = i64::try_from(row.free_requests_today).unwrap_or(i64::MAX);
        let (limit, remaining) = match rate::free_per_day(free, row.granted) {
            (0, _) => (-1, -1),
            (limit, _) => (i64::from(limit), i64::from(limit).saturating_sub(used).max(0)),
        };
        FreeModelDailyRequests { used, limit, remaining }
    }
}

impl RateLimit {
    fn new(requests_per_minute: Option<u64>) -> RateLimit {
        let (requests, interval) = match requests_per_minute {
            Some(requests) => (i64::try_from(requests).unwrap_or(i64::MAX), "60s"),
            None => (-1, "10s"),
        };
        RateLimit { requests, interval, note: "This field is deprecated and safe to ignore." }
    }
}

impl Budget<'_> {
    fn new(standing: &Standing) -> Option<Budget<'_>> {
        let budget = &standing.budget;
        let guardrail = budget.source.as_deref().and_then(|source| source.strip_prefix("guardrail:"));
        let by_default = guardrail.is_some() && budget.per != Per::All;
        Some(Budget {
            scope: match (budget.scope, budget.per) {
                (_, Per::User) if by_default => "workspace_default_member",
                (_, Per::Key) if by_default => "workspace_default_key",
                (Scope::User, _) | (_, Per::User) => "member",
                (Scope::Key, _) | (_, Per::Key) => "api_key",
                (Scope::Workspace, _) => "workspace",
                // OpenRouter has no word for a budget of a whole account.
                (Scope::Account, _) => return None,
            },
            guardrail_id: guardrail,
            budget_id: guardrail.is_none().then_some(&budget.id),
            limit_usd: usd(budget.amount),
            spend_usd: usd(standing.spent),
            remaining_usd: usd(remaining(standing)),
            reset_interval: budget.window,
            resets_at: standing.resets_at.map(Time::to_iso8601),
            include_byok: budget.include_byok,
        })
    }
}

/// Never below zero.
fn remaining(standing: &Standing) -> Money {
    let left = standing.budget.amount.checked_sub(standing.spent).filter(|left| !left.is_negative());
    left.unwrap_or(Money::ZERO)
}

/// Dollars as a JSON number, exactly.
pub(super) fn usd(amount: Money) -> Number {
    RawValue::from_string(amount.to_usd()).expect("a plain decimal is a JSON number")
}

pub(super) fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("strings, numbers and booleans are always JSON")
}
