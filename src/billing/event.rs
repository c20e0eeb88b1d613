//! From one of Stripe's events to what the account has to be told. Every event names the payment it
//! is about, and the account by the payment's metadata; a dispute has none of its own.

use super::{ACCOUNT, ATTEMPT, CREDIT_CENTS, CURRENCY, REFUND, from_cents};
use crate::account::billing::{BillingCommand, Card, Payment, Reversal, ReversalState, TopUpOutcome};
use crate::error::{Cause, Failure};
use crate::id::AccountId;
use crate::json;
use crate::money::Money;
use crate::time::Time;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// The events that an operator selects.
pub const EVENTS: [&str; 14] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "charge.refunded",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
];

/// What an event means.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Nothing that an account has to know.
    Nothing,
    ForAccount(AccountId, BillingCommand),
    /// The event does not say whose payment it is; Stripe does, when asked for the payment.
    ForOwnerOf(String, BillingCommand),
}

/// Reads the body of a webhook whose signature is good. Fails where an event about our own sale says
/// what no sale of ours can: so that the operator sees it in Stripe's list of deliveries.
pub fn read_event(body: &[u8]) -> Result<Told, Failure> {
    let (kind, object) = match Event::read(body).ok_or_else(foreign)? {
        // Another business, for which the operator is a platform: what it writes into metadata is its own.
        Event { account: Some(_), .. } => return Ok(Told::Nothing),
        Event { account: None, kind, object } => (kind, object.as_bytes()),
    };
    match kind.as_ref() {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => session(read(object)?),
        "payment_intent.succeeded" => read::<Intent>(object)?.told(),
        "payment_intent.payment_failed" => read::<Intent>(object)?.told_failure(),
        "charge.refunded" => charge(read(object)?),
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            refund(read(object)?)
        }
        "charge.dispute.created"
        | "charge.dispute.updated"
        | "charge.dispute.funds_withdrawn"
        | "charge.dispute.funds_reinstated"
        | "charge.dispute.closed" => dispute(&kind, read(object)?),
        // A session that failed or expired took no money.
        _ => Ok(Told::Nothing),
    }
}

/// Whose payment an answer to `GET /v1/payment_intents/{id}` is; `None` for one that is not ours.
pub fn read_owner(body: &[u8]) -> Result<Option<AccountId>, Failure> {
    Ok(read::<Intent>(body)?.metadata.account())
}

/// What an answer to `POST /v1/payment_intents` tells the account, if the payment is made.
pub fn read_payment(body: &[u8]) -> Result<Told, Failure> {
    let intent: Intent = read(body)?;
    if intent.status.as_deref() == Some("succeeded") { intent.told() } else { Ok(Told::Nothing) }
}

struct Event<'a> {
    kind: Cow<'a, str>,
    account: Option<Cow<'a, str>>,
    /// The JSON text of what it is about.
    object: &'a str,
}

impl<'a> Event<'a> {
    fn read(body: &'a [u8]) -> Option<Event<'a>> {
        let members = json::members(std::str::from_utf8(body).ok()?).ok()?;
        let account = members.value("account").map(json::string);
        Some(Event {
            kind: members.string("type")?,
            account: if let Some(account) = account { Some(account?) } else { None },
            object: members.object("data")?.get("object")?,
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(transparent)]
struct Metadata(Option<BTreeMap<String, String>>);

impl Metadata {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(String::as_str)
    }

    fn account(&self) -> Option<AccountId> {
        AccountId::parse(self.get(ACCOUNT)?)
    }

    fn attempt(&self) -> Option<u64> {
        self.get(ATTEMPT)?.parse().ok()
    }
}

/// The id of an object that is named, or given whole.
struct Reference(String);

impl Reference {
    fn into_id(self) -> String {
        self.0
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an id, or an object that has one")
    }

    fn visit_str<E>(self, id: &str) -> Result<Reference, E> {
        Ok(Reference(id.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Reference, A::Error> {
        #[derive(Deserialize)]
        struct Whole {
            id: String,
        }
        Whole::deserialize(MapAccessDeserializer::new(members)).map(|whole| Reference(whole.id))
    }
}

#[derive(Deserialize)]
struct Session {
    payment_intent: Option<Reference>,
    payment_status: Option<String>,
    amount_total: Option<u64>,
    currency: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Intent {
    id: String,
    #[serde(default)]
    amount_received: u64,
    currency: Option<String>,
    #[serde(default)]
    created: u64,
    status: Option<String>,
    customer: Option<Reference>,
    payment_method: Option<Reference>,
    setup_future_usage: Option<String>,
    last_payment_error: Option<PaymentError>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct PaymentError {
    message: Option<String>,
}

#[derive(Deserialize)]
struct Charge {
    payment_intent: Option<Reference>,
    amount_refunded: u64,
    currency: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    amount: u64,
    currency: Option<String>,
    payment_intent: Option<Reference>,
    status: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Dispute {
    id: String,
    amount: u64,
    currency: Option<String>,
    payment_intent: Option<Reference>,
    status: Option<String>,
}

fn session(session: Session) -> Result<Told, Failure> {
    let (Some(account), Some(payment)) = (session.metadata.account(), session.payment_intent) else {
        return Ok(Told::Nothing);
    };
    // "unpaid" until a slow way of paying has paid.
    if session.payment_status.as_deref() != Some("paid") {
        return Ok(Told::Nothing);
    }
    let total = session.amount_total.unwrap_or_default();
    let (credit, paid) = sale(&session.metadata, session.currency.as_deref(), total)?;
    let payment = Payment { id: payment.into_id(), credit, paid, attempt: None, card: None };
    Ok(Told::ForAccount(account, BillingCommand::Paid(payment)))
}

impl Intent {
    fn told(self) -> Result<Told, Failure> {
        let Some(account) = self.metadata.account() else {
            return Ok(Told::Nothing);
        };
        let (credit, paid) = sale(&self.metadata, self.currency.as_deref(), self.amount_received)?;
        let saved = self.setup_future_usage.as_deref() == Some("off_session");
        let saved_at = Time::from_ms(self.created.saturating_mul(1000));
        let card = match (self.customer, self.payment_method) {
            (Some(customer), Some(method)) if saved => {
                Some(Card { customer: customer.into_id(), method: method.into_id(), saved_at })
            }
            (_, _) => None,
        };
        let attempt = self.metadata.attempt();
        Ok(Told::ForAccount(
            account,
            BillingCommand::Paid(Payment { id: self.id, credit, paid, attempt, card }),
        ))
    }

    /// Only of a top-up: who pays by hand sees for themselves.
    fn told_failure(self) -> Result<Told, Failure> {
        let (Some(account), Some(attempt)) = (self.metadata.account(), self.metadata.attempt()) else {
            return Ok(Told::Nothing);
        };
        let words = self.last_payment_error.and_then(|error| error.message);
        let outcome = TopUpOutcome::Declined(words.unwrap_or_else(|| "the payment failed".to_owned()));
        Ok(Told::ForAccount(account, BillingCommand::TopUpEnded { attempt, outcome }))
    }
}

/// What was sold, and for how much with the fee.
fn sale(metadata: &Metadata, currency: Option<&str>, paid_cents: u64) -> Result<(Money, Money), Failure> {
    let paid = dollars(paid_cents, currency)?;
    let credit = metadata
        .get(CREDIT_CENTS)
        .and_then(|cents| from_cents(cents.parse().ok()?))
        .ok_or_else(|| refused("the payment does not say how much credit it buys"))?;
    if paid < credit {
        return Err(refused("less was paid than the credit is worth"));
    }
    Ok((credit, paid))
}

fn charge(charge: Charge) -> Result<Told, Failure> {
    let Some(payment) = charge.payment_intent.map(Reference::into_id) else {
        return Ok(Told::Nothing);
    };
    let Some(account) = charge.metadata.account() else {
        return Ok(Told::Nothing);
    };
    let total = dollars(charge.amount_refunded, charge.currency.as_deref())?;
    Ok(Told::ForAccount(account, BillingCommand::Refunded { payment, total }))
}

fn refund(refund: Refund) -> Result<Told, Failure> {
    let Some(payment) = refund.payment_intent.map(Reference::into_id) else {
        return Ok(Told::Nothing);
    };
    let state = match refund.status.as_deref() {
        Some("failed" | "canceled") => ReversalState::RefundFailed,
        _ => ReversalState::RefundMade,
    };
    let id = refund.metadata.get(REFUND).map_or(refund.id, str::to_owned);
    // One that another business's payment had in another currency is told of its owner below.
    let told = reversal(id, payment, refund.amount, refund.currency.as_deref(), state);
    match refund.metadata.account() {
        Some(account) => Ok(Told::ForAccount(account, told?.1)),
        None => Ok(told.map_or(Told::Nothing, |(payment, command)| Told::ForOwnerOf(payment, command))),
    }
}

fn dispute(kind: &str, dispute: Dispute) -> Result<Told, Failure> {
    let Some(payment) = dispute.payment_intent.map(Reference::into_id) else {
        return Ok(Told::Nothing);
    };
    let state = match (kind, dispute.status.as_deref().unwrap_or_default()) {
        (_, "won") => ReversalState::DisputeWon,
        (_, "lost" | "prevented") => ReversalState::DisputeLost,
        ("charge.dispute.funds_reinstated", _) => ReversalState::DisputeReinstated,
        ("charge.dispute.funds_withdrawn", _) => ReversalState::DisputeTaken,
        (_, status) if status.starts_with("warning_") => ReversalState::DisputeWarned,
        (_, _) => ReversalState::DisputeTaken,
    };
    // Disputes of what others sold, in whatever currency, are none of our business.
    let told = reversal(dispute.id, payment, dispute.amount, dispute.currency.as_deref(), state);
    Ok(told.map_or(Told::Nothing, |(payment, command)| Told::ForOwnerOf(payment, command)))
}

fn reversal(
    id: String,
    payment: String,
    cents: u64,
    currency: Option<&str>,
    state: ReversalState,
) -> Result<(String, BillingCommand), Failure> {
    let amount = dollars(cents, currency)?;
    Ok((payment.clone(), BillingCommand::Reversed(Reversal { id, payment, amount, state })))
}

fn dollars(cents: u64, currency: Option<&str>) -> Result<Money, Failure> {
    if currency != Some(CURRENCY) {
        return Err(refused("credit is sold for US dollars only"));
    }
    from_cents(cents).ok_or_else(|| refused("the amount is too large"))
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    json::read_bytes(body).ok_or_else(foreign)
}

fn foreign() -> Failure {
    Failure::invalid("This is not one of Stripe's objects")
}

fn refused(words: &str) -> Failure {
    Failure::new(Cause::Unprocessable, words)
}
