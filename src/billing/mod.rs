//! Buying credit: what it costs, what Stripe is asked and what it tells. Stripe's API and its events
//! are those of docs.stripe.com/api; nothing here talks to it.

pub mod event;
pub mod fee;
pub mod form;
pub mod reply;
pub mod request;
pub mod signature;
pub mod view;

pub use event::{Told, read_event};
pub use fee::{Fee, from_cents, to_cents};
pub use form::Form;
pub use request::{CheckoutRequest, NewCodeRequest, RefundRequest, read_code, read_top_up_rule};
pub use signature::{SignatureFlaw, verify};

/// Members of `metadata` that tie what Stripe has to an account. What we did not sell has none.
pub const ACCOUNT: &str = "millrace_account";
pub const CREDIT_CENTS: &str = "millrace_credit_cents";
/// The number of an automatic top-up.
pub const ATTEMPT: &str = "millrace_attempt";
/// The id of a refund that was asked for here.
pub const REFUND: &str = "millrace_refund";
/// The only currency that credit is sold for.
pub const CURRENCY: &str = "usd";
