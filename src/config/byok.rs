//! Keys that customers bring: what seals them, and what using them costs.

use super::Secret;
use crate::id::KeyHash;
use crate::money::Money;
use crate::pricing::ByokTerms;

/// Characters of a digest that names a secret.
const ID: usize = 12;
const MOST_BASIS_POINTS: i64 = 10_000;

/// How the keys of customers are kept and charged for.
#[derive(Clone, Debug, Default)]
pub struct ByokConfig {
    /// The first seals; all of them open. Empty where nothing may be kept.
    pub seals: Vec<SealSecret>,
    pub terms: ByokTerms,
}

/// A secret that seals.
#[derive(Clone, Debug)]
pub struct SealSecret {
    /// Names it in what it sealed.
    pub id: String,
    pub secret: Secret,
}

impl ByokConfig {
    pub(super) fn read(set: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> ByokConfig {
        let own = set("MILLRACE_SEAL_KEY").unwrap_or_default();
        let own: Vec<&str> = own.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
        if own.iter().any(|secret| secret.len() < 16) {
            problems.push("MILLRACE_SEAL_KEY has fewer than 16 characters".to_owned());
        }
        // The root secret seals where nothing else is set, and opens what it sealed afterwards.
        let root = set("MILLRACE_ADMIN_KEY");
        let seals = own.into_iter().map(str::to_owned).chain(root).map(SealSecret::new).collect();
        let default = ByokTerms::default();
        let mut amount = |name: &str, default: Money| match set(name).map(|text| Money::parse_usd(&text)) {
            None => default,
            Some(Ok(amount)) if !amount.is_negative() => amount,
            Some(_) => {
                problems.push(format!("{name} is not an amount"));
                default
            }
        };
        let free = amount("MILLRACE_BYOK_FREE", default.free);
        // A percent with two decimals has as many hundredths as dollars have cents.
        let percent = amount("MILLRACE_BYOK_FEE_PERCENT", Money::from_pico(i64::MIN));
        let basis_points = match percent.pico() {
            i64::MIN => default.basis_points,
            pico if pico % PICO_PER_POINT == 0 && pico / PICO_PER_POINT <= MOST_BASIS_POINTS => {
                (pico / PICO_PER_POINT) as u64
            }
            _ => {
                problems
                    .push("MILLRACE_BYOK_FEE_PERCENT is not a percent with two decimals at most".to_owned());
                default.basis_points
            }
        };
        ByokConfig { seals, terms: ByokTerms { free, basis_points } }
    }
}

const PICO_PER_POINT: i64 = crate::money::PICO_PER_USD / 100;

impl SealSecret {
    fn new(secret: String) -> SealSecret {
        let id = KeyHash::of(&format!("millrace seal {secret}")).as_str()[..ID].to_owned();
        SealSecret { id, secret: Secret::new(secret) }
    }
}
