//! Purchases, top-ups and codes as clients and operators see them. Dollars are decimal strings.

use super::reply::Page;
use crate::account::billing::{CodeRow, PurchaseRow, ReversalState, TopUpRow};
use crate::billing::fee::from_cents;
use crate::money::Money;
use crate::time::Time;
use serde_json::{Value, json};

pub fn write_page(page: &Page, credit_cents: u64, fee_cents: u64) -> String {
    let usd = |cents: u64| from_cents(cents).map(Money::to_usd);
    let total = credit_cents.saturating_add(fee_cents);
    data(json!({
        "id": page.id, "url": page.url,
        "amount": usd(credit_cents), "fee": usd(fee_cents), "total": usd(total), "currency": super::CURRENCY,
    }))
}

pub fn write_purchases(rows: &[PurchaseRow]) -> String {
    let row = |row: &PurchaseRow| {
        json!({
            "payment": row.payment,
            "amount": row.credit.to_usd(),
            "total": row.paid.to_usd(),
            "taken_back": row.credit.checked_sub(row.net).unwrap_or_default().to_usd(),
            "automatic": row.automatic,
            "created_at": row.at.to_iso8601(),
        })
    };
    data(rows.iter().map(row).collect())
}

pub fn write_top_up(row: &TopUpRow) -> String {
    data(json!({
        "enabled": row.rule.enabled,
        "threshold": row.rule.threshold.to_usd(),
        "amount": row.rule.amount.to_usd(),
        "monthly_cap": row.rule.monthly_cap.map(Money::to_usd),
        "has_payment_method": row.has_card,
        "pending": row.pending,
        "failures": row.failures,
        "last_error": row.reason,
    }))
}

pub fn write_refund(id: &str, payment: &str, amount: Money, state: ReversalState) -> String {
    let status = if state.takes() { "made" } else { "failed" };
    data(json!({ "id": id, "payment": payment, "amount": amount.to_usd(), "status": status }))
}

/// The only body that ever holds the code itself.
pub fn write_new_code(code: &str, row: &CodeRow) -> String {
    json!({ "data": code_view(row), "code": code }).to_string()
}

pub fn write_codes(rows: &[CodeRow]) -> String {
    data(rows.iter().map(code_view).collect())
}

pub fn write_code(row: &CodeRow) -> String {
    data(code_view(row))
}

pub fn write_redeemed(amount: Money, already: bool, available: Money) -> String {
    data(json!({ "amount": amount.to_usd(), "already": already, "available": available.to_usd() }))
}

fn code_view(row: &CodeRow) -> Value {
    json!({
        "hash": row.hash.as_str(),
        "label": row.label,
        "reason": row.reason,
        "amount": row.amount.to_usd(),
        "uses": row.uses,
        "used": row.used,
        "expires_at": row.expires_at.map(Time::to_iso8601),
        "revoked": row.revoked,
        "created_at": row.created_at.to_iso8601(),
    })
}

fn data(value: Value) -> String {
    json!({ "data": value }).to_string()
}
