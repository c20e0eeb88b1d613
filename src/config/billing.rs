//! How credit is sold: Stripe's keys, the fee, and how much may be bought at once.

use super::{Secret, is_header_safe, is_web_address};
use crate::billing::fee::{Fee, to_cents};
use crate::billing::request::Bounds;
use crate::money::Money;

/// Stripe's own address.
const STRIPE_API: &str = "https://api.stripe.com";

#[derive(Clone, Debug, Default)]
pub struct BillingConfig {
    /// What Stripe may be asked with; `None` where credit is not sold.
    pub stripe: Option<Stripe>,
    /// What Stripe signs its events with: two, while one replaces the other.
    pub webhook_secrets: Vec<Secret>,
    pub fee: Fee,
    pub bounds: Bounds,
    /// Where customers return to from Stripe's page, if their request does not say.
    pub return_url: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Stripe {
    pub secret_key: Secret,
    /// Without a trailing slash.
    pub api_base: String,
}

impl BillingConfig {
    pub(super) fn read(set: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> BillingConfig {
        let secrets = ["STRIPE_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRETS"].into_iter().filter_map(set);
        let secrets = secrets.collect::<Vec<_>>().join(",");
        let secrets = secrets.split(',').map(str::trim).filter(|secret| !secret.is_empty());
        let default = Fee::default();
        let bounds = Bounds::default();
        let mut cents = |name: &str, default: u64| match set(name) {
            None => default,
            Some(text) => read_cents(&text).unwrap_or_else(|| {
                problems.push(format!("{name} is not an amount of dollars and whole cents"));
                default
            }),
        };
        // A percent with two decimals has as many hundredths as dollars have cents.
        let fee = Fee {
            basis_points: cents("MILLRACE_CREDIT_FEE_PERCENT", default.basis_points),
            minimum_cents: cents("MILLRACE_CREDIT_FEE_MINIMUM", default.minimum_cents),
        };
        let bounds = Bounds {
            least_cents: cents("MILLRACE_CREDIT_PURCHASE_MINIMUM", bounds.least_cents),
            most_cents: cents("MILLRACE_CREDIT_PURCHASE_MAXIMUM", bounds.most_cents),
        };
        BillingConfig {
            webhook_secrets: secrets.map(Secret::new).collect(),
            fee,
            bounds,
            stripe: read_stripe(set, problems),
            return_url: read_address("MILLRACE_CREDIT_RETURN_URL", set, problems),
        }
    }
}

fn read_cents(text: &str) -> Option<u64> {
    // More than a purchase may ever be worth would overflow somewhere.
    to_cents(Money::parse_usd(text).ok()?).filter(|cents| *cents <= 100_000_000)
}

fn read_stripe(set: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Option<Stripe> {
    let key = set("STRIPE_SECRET_KEY")?;
    if !is_header_safe(&key) {
        problems.push("STRIPE_SECRET_KEY is not a key".to_owned());
        return None;
    }
    let base = read_address("STRIPE_API_BASE", set, problems);
    let api_base = base.unwrap_or_else(|| STRIPE_API.to_owned()).trim_end_matches('/').to_owned();
    Some(Stripe { secret_key: Secret::new(key), api_base })
}

fn read_address(
    name: &str,
    set: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> Option<String> {
    let address = set(name)?;
    if is_web_address(&address) {
        return Some(address);
    }
    problems.push(format!("{name} is not an http or https address"));
    None
}
