//! What Stripe is asked: forms, with brackets for what is inside (docs.stripe.com/api).

use super::fee::to_cents;
use super::request::CheckoutRequest;
use super::{ACCOUNT, ATTEMPT, CREDIT_CENTS, CURRENCY, REFUND};
use crate::account::billing::TopUpAttempt;
use crate::id::AccountId;
use crate::money::Money;

/// The version of Stripe's API whose members are read and written here.
pub const VERSION: &str = "2026-10-28.endive";

/// A request to Stripe: the same key again is the same request, done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    pub path: &'static str,
    pub idempotency_key: String,
    pub fields: Vec<(String, String)>,
}

impl Form {
    fn new(path: &'static str, idempotency_key: String) -> Form {
        Form { path, idempotency_key, fields: Vec::new() }
    }

    fn add(mut self, name: &str, value: impl ToString) -> Form {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    fn add_known<T: ToString>(self, name: &str, value: Option<T>) -> Form {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    /// `application/x-www-form-urlencoded`
    pub fn body(&self) -> String {
        let encoded = |(name, value): &(String, String)| format!("{}={}", encode(name), encode(value));
        self.fields.iter().map(encoded).collect::<Vec<_>>().join("&")
    }
}

/// A page where `credit_cents` are paid for, with the fee as a line of its own.
pub fn checkout(
    account: &AccountId,
    request: &CheckoutRequest,
    fee_cents: u64,
    customer: Option<&str>,
) -> Form {
    let mut form = Form::new("/v1/checkout/sessions", format!("checkout-{account}-{}", request.id))
        .add("mode", "payment")
        .add("success_url", &request.success_url)
        .add("cancel_url", &request.cancel_url)
        .add("client_reference_id", account)
        // Otherwise the amounts could come in the customer's own currency.
        .add("adaptive_pricing[enabled]", "false");
    let lines = [("Credit", request.credit_cents), ("Fee", fee_cents)];
    for (at, (name, cents)) in lines.into_iter().filter(|(_, cents)| *cents > 0).enumerate() {
        let line = format!("line_items[{at}]");
        form = form
            .add(&format!("{line}[quantity]"), 1)
            .add(&format!("{line}[price_data][currency]"), CURRENCY)
            .add(&format!("{line}[price_data][unit_amount]"), cents)
            .add(&format!("{line}[price_data][product_data][name]"), name);
    }
    for prefix in ["metadata", "payment_intent_data[metadata]"] {
        form = form
            .add(&format!("{prefix}[{ACCOUNT}]"), account)
            .add(&format!("{prefix}[{CREDIT_CENTS}]"), request.credit_cents);
    }
    if request.save_payment_method {
        form = form.add("payment_intent_data[setup_future_usage]", "off_session");
        if customer.is_none() {
            form = form.add("customer_creation", "always");
        }
    }
    form.add_known("customer", customer)
}

/// Charges a saved card without its owner. `None` for an amount of no whole cents.
pub fn top_up(attempt: &TopUpAttempt, fee: impl Fn(u64) -> u64) -> Option<Form> {
    let credit_cents = to_cents(attempt.amount)?;
    let account = &attempt.account;
    let total = credit_cents.checked_add(fee(credit_cents))?;
    let form = Form::new("/v1/payment_intents", format!("top-up-{account}-{}", attempt.attempt))
        .add("amount", total)
        .add("currency", CURRENCY)
        .add("customer", &attempt.customer)
        .add("payment_method", &attempt.method)
        .add("off_session", "true")
        .add("confirm", "true")
        .add("description", "Credit (automatic top-up)")
        .add("automatic_payment_methods[enabled]", "true")
        .add("automatic_payment_methods[allow_redirects]", "never")
        .add(&format!("metadata[{ACCOUNT}]"), account)
        .add(&format!("metadata[{CREDIT_CENTS}]"), credit_cents)
        .add(&format!("metadata[{ATTEMPT}]"), attempt.attempt);
    Some(form)
}

/// Gives part of a payment back. `None` for an amount of no whole cents.
pub fn refund(account: &AccountId, id: &str, payment: &str, amount: Money) -> Option<Form> {
    let form = Form::new("/v1/refunds", format!("{id}-{account}"))
        .add("payment_intent", payment)
        .add("amount", to_cents(amount)?)
        .add("reason", "requested_by_customer")
        .add(&format!("metadata[{ACCOUNT}]"), account)
        .add(&format!("metadata[{REFUND}]"), id);
    Some(form)
}

/// Where a payment can be looked up. `None` for what is no id of one.
pub fn payment_path(payment: &str) -> Option<String> {
    let plain = payment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (plain && payment.starts_with("pi_")).then(|| format!("/v1/payment_intents/{payment}"))
}

fn encode(text: &str) -> String {
    crate::protocol::bedrock::percent_encode(text, b"")
}
