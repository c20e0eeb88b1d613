//! The URLs of buying credit.

use super::Endpoint;
use crate::id::{AccountId, KeyHash};

/// What is asked for about purchases, top-ups and codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Billing {
    Checkout,
    Purchases,
    Redeem,
    GetTopUp,
    SetTopUp,
    /// Paying by crypto, which OpenRouter once had and has no longer.
    Coinbase,
    /// Stripe tells what happened.
    Webhook,
    AdminCheckout(AccountId),
    AdminPurchases(AccountId),
    AdminRefund(AccountId),
    AdminGetTopUp(AccountId),
    AdminSetTopUp(AccountId),
    AdminListCodes,
    AdminIssueCode,
    AdminRevokeCode(KeyHash),
}

impl Billing {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Billing::Checkout => "checkout",
            Billing::Purchases => "purchases",
            Billing::Redeem => "redeem",
            Billing::GetTopUp => "get_top_up",
            Billing::SetTopUp => "set_top_up",
            Billing::Coinbase => "coinbase",
            Billing::Webhook => "stripe_webhook",
            Billing::AdminCheckout(_) => "admin_checkout",
            Billing::AdminPurchases(_) => "admin_purchases",
            Billing::AdminRefund(_) => "admin_refund",
            Billing::AdminGetTopUp(_) => "admin_get_top_up",
            Billing::AdminSetTopUp(_) => "admin_set_top_up",
            Billing::AdminListCodes => "admin_list_codes",
            Billing::AdminIssueCode => "admin_issue_code",
            Billing::AdminRevokeCode(_) => "admin_revoke_code",
        }
    }
}

type Ways = Vec<(&'static str, Endpoint)>;

/// What the parts of a path after `/api/v1/` take.
pub(super) fn ways(parts: &[&str]) -> Ways {
    let ways = match parts {
        ["credits", "checkout"] => vec![("POST", Billing::Checkout)],
        ["credits", "purchases"] => vec![("GET", Billing::Purchases)],
        ["credits", "redeem"] => vec![("POST", Billing::Redeem)],
        ["credits", "auto-top-up"] => vec![("GET", Billing::GetTopUp), ("PUT", Billing::SetTopUp)],
        ["credits", "coinbase"] => vec![("POST", Billing::Coinbase)],
        ["webhooks", "stripe"] => vec![("POST", Billing::Webhook)],
        _ => Vec::new(),
    };
    endpoints(ways)
}

/// The same after `/api/v1/admin/`.
pub(super) fn admin_ways(parts: &[&str]) -> Ways {
    let account = |text: &str| AccountId::parse(text);
    let ways = match parts {
        ["codes"] => vec![("GET", Billing::AdminListCodes), ("POST", Billing::AdminIssueCode)],
        ["codes", hash] => {
            KeyHash::parse(hash).map(|hash| ("DELETE", Billing::AdminRevokeCode(hash))).into_iter().collect()
        }
        ["accounts", id, "checkout"] => of(account(id), |id| ("POST", Billing::AdminCheckout(id))),
        ["accounts", id, "purchases"] => of(account(id), |id| ("GET", Billing::AdminPurchases(id))),
        ["accounts", id, "auto-top-up"] => account(id).map_or_else(Vec::new, |id| {
            vec![("GET", Billing::AdminGetTopUp(id.clone())), ("PUT", Billing::AdminSetTopUp(id))]
        }),
        ["accounts", id, "refunds"] => of(account(id), |id| ("POST", Billing::AdminRefund(id))),
        _ => Vec::new(),
    };
    endpoints(ways)
}

type Way = (&'static str, Billing);

fn of(account: Option<AccountId>, way: impl Fn(AccountId) -> Way) -> Vec<Way> {
    account.map(way).into_iter().collect()
}

fn endpoints(ways: Vec<Way>) -> Ways {
    ways.into_iter().map(|(method, billing)| (method, Endpoint::Billing(billing))).collect()
}
