//! The bodies of `GET` and `PUT /alerts`.

use super::{FallbackSpike, Settings, Standing, UnusualSpend};
use crate::account::request::{Fields, text};
use crate::error::Failure;
use crate::media::{Address, Hosts};
use crate::money::{Money, PICO_PER_USD};
use crate::time::Time;
use serde_json::json;

/// Who does not say gets these: OpenRouter's threshold of a low balance, and figures that a quiet
/// account does not reach by chance.
const LOW_BALANCE: Money = Money::from_pico(100 * PICO_PER_USD);
const UNUSUAL: UnusualSpend = UnusualSpend { factor: 5, floor: Money::from_pico(10 * PICO_PER_USD) };
const SPIKE: FallbackSpike = FallbackSpike { percent: 50, requests: 20 };
const MOST_FACTOR: u64 = 1000;
const MOST_REQUESTS: u64 = 1_000_000;

/// Reads settings, and whether another secret is wanted. What is absent is as it is by default, what is
/// null is never told.
pub fn read(body: &[u8], hosts: &Hosts) -> Result<(Settings, bool), Failure> {
    let known = ["url", "enabled", "low_balance", "unusual_spend", "fallback_spike", "renew_secret"];
    let fields = Fields::read(text(body)?, &known)?;
    let url = fields.text("url")?.ok_or_else(|| Failure::invalid("url: this member is required"))?;
    check_url(&url, hosts).map_err(|why| Failure::invalid(format!("url: cannot be asked: {why}")))?;
    let low_balance = match (fields.is_null("low_balance"), fields.money("low_balance")?) {
        (true, _) => None,
        (false, given) => Some(not_below("low_balance", given.unwrap_or(LOW_BALANCE))?),
    };
    let settings = Settings {
        url,
        enabled: fields.boolean("enabled")?.unwrap_or(true),
        low_balance,
        unusual_spend: read_unusual(&fields)?,
        fallback_spike: read_spike(&fields)?,
    };
    Ok((settings, fields.boolean("renew_secret")?.unwrap_or(false)))
}

/// Why an address may not be asked, in a few words.
pub fn check_url(url: &str, hosts: &Hosts) -> Result<Address, &'static str> {
    Address::read(url, hosts)
}

fn read_unusual(fields: &Fields<'_>) -> Result<Option<UnusualSpend>, Failure> {
    if fields.is_null("unusual_spend") {
        return Ok(None);
    }
    let Some(own) = fields.object("unusual_spend", &["factor", "floor"])? else {
        return Ok(Some(UNUSUAL));
    };
    let factor = own.count("factor")?.unwrap_or(UNUSUAL.factor);
    if !(1..=MOST_FACTOR).contains(&factor) {
        return Err(Failure::invalid("unusual_spend.factor: must be a whole number from 1 to 1000"));
    }
    let floor = not_below("unusual_spend.floor", own.money("floor")?.unwrap_or(UNUSUAL.floor))?;
    Ok(Some(UnusualSpend { factor, floor }))
}

fn read_spike(fields: &Fields<'_>) -> Result<Option<FallbackSpike>, Failure> {
    if fields.is_null("fallback_spike") {
        return Ok(None);
    }
    let Some(own) = fields.object("fallback_spike", &["percent", "requests"])? else {
        return Ok(Some(SPIKE));
    };
    let percent = own.count("percent")?.unwrap_or(SPIKE.percent);
    let requests = own.count("requests")?.unwrap_or(SPIKE.requests);
    if !(1..=100).contains(&percent) || !(1..=MOST_REQUESTS).contains(&requests) {
        return Err(Failure::invalid(
            "fallback_spike: percent must be from 1 to 100, requests from 1 to 1000000",
        ));
    }
    Ok(Some(FallbackSpike { percent, requests }))
}

fn not_below(name: &str, amount: Money) -> Result<Money, Failure> {
    if amount.is_negative() {
        return Err(Failure::invalid(format!("{name}: must not be negative")));
    }
    Ok(amount)
}

/// Without settings, `data` is null. The secret is there only if it is new.
pub fn write(standing: Option<&Standing>, new_secret: Option<&str>) -> String {
    let Some(standing) = standing else {
        return json!({ "data": null }).to_string();
    };
    let Settings { url, enabled, low_balance, unusual_spend, fallback_spike } = &standing.settings;
    let unusual = unusual_spend.as_ref();
    let spike = fallback_spike.as_ref();
    let mut body = json!({ "data": {
        "url": url,
        "enabled": enabled,
        "low_balance": low_balance.map(Money::to_usd),
        "unusual_spend": unusual.map(|each| json!({ "factor": each.factor, "floor": each.floor.to_usd() })),
        "fallback_spike": spike.map(|each| json!({ "percent": each.percent, "requests": each.requests })),
        "waiting": standing.waiting,
        "lost": standing.lost,
        "last_delivered_at": standing.last_delivered_at.map(Time::to_iso8601),
        "last_error": standing.last_error,
    } });
    if let Some(secret) = new_secret {
        body["secret"] = secret.into();
    }
    body.to_string()
}
