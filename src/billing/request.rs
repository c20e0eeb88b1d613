//! Reads what clients and operators ask for: to buy, to redeem, to refund, to give codes out.

use crate::account::billing::{NewCode, TopUpRule};
use crate::account::request::{Fields, text};
use crate::billing::fee::to_cents;
use crate::error::Failure;
use crate::id::KeyHash;
use crate::money::Money;
use crate::time::Time;

/// How many characters a code has, beside `mr-credit-`.
pub const CODE_LENGTH: usize = 24;
const CODE_PREFIX: &str = "mr-credit-";
const MOST_USES: u64 = 1_000_000;
const MOST_ID: usize = 100;

/// How much may be bought at once, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub least_cents: u64,
    pub most_cents: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { least_cents: 500, most_cents: 1_000_000 }
    }
}

/// Credit to be bought on a page of Stripe's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutRequest {
    /// The same again is the same page.
    pub id: String,
    pub credit_cents: u64,
    pub success_url: String,
    pub cancel_url: String,
    /// For automatic top-ups.
    pub save_payment_method: bool,
}

impl CheckoutRequest {
    /// `id` is for a request that names none, `home` for one that says not where to return to.
    pub fn read(body: &[u8], bounds: Bounds, id: String, home: &str) -> Result<CheckoutRequest, Failure> {
        let fields =
            Fields::read(text(body)?, &["amount", "id", "success_url", "cancel_url", "save_payment_method"])?;
        let url = |name: &str| fields.url(name).map(|url| url.unwrap_or_else(|| home.to_owned()));
        Ok(CheckoutRequest {
            credit_cents: cents("amount", fields.required_money("amount")?, bounds)?,
            success_url: url("success_url")?,
            cancel_url: url("cancel_url")?,
            save_payment_method: fields.boolean("save_payment_method")?.unwrap_or(false),
            id: read_id(&fields)?.unwrap_or(id),
        })
    }
}

/// Reads when to buy more, and how much.
pub fn read_top_up_rule(body: &[u8], bounds: Bounds) -> Result<TopUpRule, Failure> {
    let fields = Fields::read(text(body)?, &["enabled", "threshold", "amount", "monthly_cap"])?;
    let enabled =
        fields.boolean("enabled")?.ok_or_else(|| Failure::invalid("enabled: this member is required"))?;
    if !enabled {
        return Ok(TopUpRule {
            enabled,
            threshold: fields.money("threshold")?.unwrap_or_default(),
            amount: fields.money("amount")?.unwrap_or_default(),
            monthly_cap: fields.money("monthly_cap")?,
        });
    }
    let amount = fields.required_money("amount")?;
    cents("amount", amount, bounds)?;
    let threshold = fields.required_money("threshold")?;
    if threshold.is_negative() {
        return Err(Failure::invalid("threshold: must not be negative"));
    }
    let monthly_cap = fields.money("monthly_cap")?;
    if monthly_cap.is_some_and(|cap| cap < amount) {
        return Err(Failure::invalid("monthly_cap: less than one top-up"));
    }
    Ok(TopUpRule { enabled, threshold, amount, monthly_cap })
}

fn cents(name: &str, amount: Money, bounds: Bounds) -> Result<u64, Failure> {
    let cents = to_cents(amount)
        .ok_or_else(|| Failure::invalid(format!("{name}: must be dollars and whole cents")))?;
    if (bounds.least_cents..=bounds.most_cents).contains(&cents) {
        return Ok(cents);
    }
    let dollars = |cents: u64| format!("${}.{:02}", cents / 100, cents % 100);
    let (least, most) = (dollars(bounds.least_cents), dollars(bounds.most_cents));
    Err(Failure::invalid(format!("{name}: must be from {least} to {most}")))
}

/// A refund that an operator makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    pub id: String,
    pub payment: String,
    /// `None` for all that can be refunded.
    pub amount: Option<Money>,
}

impl RefundRequest {
    /// `id` is for a request that names none.
    pub fn read(body: &[u8], id: String) -> Result<RefundRequest, Failure> {
        let fields = Fields::read(text(body)?, &["id", "payment", "amount"])?;
        let payment =
            fields.string("payment")?.ok_or_else(|| Failure::invalid("payment: this member is required"))?;
        let amount = fields.money("amount")?;
        if amount.is_some_and(|amount| to_cents(amount).is_none_or(|cents| cents == 0)) {
            return Err(Failure::invalid("amount: must be more than nothing, in dollars and whole cents"));
        }
        let id = read_id(&fields)?.unwrap_or(id);
        // So that it is never the id of one of Stripe's own.
        Ok(RefundRequest { id: format!("refund-{id}"), payment, amount })
    }
}

/// A code to be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCodeRequest {
    pub amount: Money,
    pub uses: u64,
    pub expires_at: Option<Time>,
    pub reason: String,
}

impl NewCodeRequest {
    pub fn read(body: &[u8]) -> Result<NewCodeRequest, Failure> {
        let fields = Fields::read(text(body)?, &["amount", "uses", "expires_at", "reason"])?;
        let amount = fields.required_money("amount")?;
        if amount <= Money::ZERO || amount > crate::account::billing::MOST {
            return Err(Failure::invalid("amount: must be more than nothing, and at most a million dollars"));
        }
        let uses = fields.count("uses")?.unwrap_or(1);
        if !(1..=MOST_USES).contains(&uses) {
            return Err(Failure::invalid(format!("uses: must be from 1 to {MOST_USES}")));
        }
        let reason = fields.string("reason")?.unwrap_or_default();
        Ok(NewCodeRequest { amount, uses, expires_at: fields.time("expires_at")?, reason })
    }

    /// The code that `random` makes, and what is kept of it.
    pub fn make(self, random: &[u8; CODE_LENGTH]) -> (String, NewCode) {
        let code = format!("{CODE_PREFIX}{}", crate::id::base62(random));
        let label = format!("{}…{}", &code[..CODE_PREFIX.len() + 3], &code[code.len() - 3..]);
        let NewCodeRequest { amount, uses, expires_at, reason } = self;
        let hash = KeyHash::of(&code);
        (code, NewCode { hash, label, reason, amount, uses, expires_at })
    }
}

/// Reads the code that a customer has; only its hash goes further.
pub fn read_code(body: &[u8]) -> Result<KeyHash, Failure> {
    let fields = Fields::read(text(body)?, &["code"])?;
    let code = fields.string("code")?.ok_or_else(|| Failure::invalid("code: this member is required"))?;
    Ok(KeyHash::of(code.trim()))
}

/// An id of the caller's, which becomes part of one of Stripe's headers.
fn read_id(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    match fields.string("id")? {
        Some(id) if id.is_empty() || id.len() > MOST_ID || !id.bytes().all(plain) => {
            Err(Failure::invalid(format!("id: must have 1 to {MOST_ID} letters, digits, or any of -_.:")))
        }
        id => Ok(id),
    }
}
