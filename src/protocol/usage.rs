//! The numbers of a provider's usage, which may be absurd, and what the writers of ours share. The
//! names of the members are for the protocols to know.

use crate::chat::{Bill, Quirks};
use crate::json::{self, Members};
use crate::money::{Money, MoneyError};

/// The greatest whole number that every JSON reader takes exactly: 2^53 - 1.
const SAFE_INTEGER: u64 = 9_007_199_254_740_991;

/// A count under `key`, however absurd: beyond the range it is the nearest end of it.
pub fn count(members: &Members<'_>, key: &str) -> Option<u64> {
    read_count(members.value(key)?)
}

/// A count from the JSON text of a number.
pub fn read_count(text: &str) -> Option<u64> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return None;
    }
    // A cast from a float saturates, and makes 0 of what is below it.
    json::whole(text).or_else(|| json::number(text).map(|number| number as u64))
}

/// Overwrites what was counted, if there is a newer count.
pub fn update<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}

/// Takes a part away from the rest, at most all of it: providers have reported greater ones.
pub fn part(left: &mut u64, part: Option<u64>) -> u64 {
    let part = part.unwrap_or(0).min(*left);
    *left -= part;
    part
}

/// Picodollars in a tick, xAI's unit of cost: 10^10 of them are a dollar.
const PICO_PER_TICK: i64 = 100;
/// More digits than any amount has that means something.
const MOST_DIGITS: usize = 48;

/// What a `usage` object says that the reply cost, in whichever words: `cost` in dollars (OpenRouter,
/// Vercel), an object of that name with a `total_cost` (Perplexity), `cost_in_usd_ticks` (xAI),
/// `estimated_cost` (DeepInfra). `None` where the provider's row does not say that it may be read.
pub fn reported_cost(usage: &Members<'_>, quirks: &Quirks) -> Option<Money> {
    if !quirks.reports_cost {
        return None;
    }
    let ticks = || {
        let ticks = i64::try_from(json::whole(usage.value("cost_in_usd_ticks")?)?).ok()?;
        ticks.checked_mul(PICO_PER_TICK).map(Money::from_pico)
    };
    let total = || {
        let cost = usage.object("cost")?;
        let foreign = cost.string("currency").is_some_and(|currency| currency != "USD");
        cost.value("total_cost").filter(|_| !foreign).and_then(dollars)
    };
    let plain = |key| usage.value(key).and_then(dollars);
    let found = ticks().or_else(total).or_else(|| plain("cost")).or_else(|| plain("estimated_cost"))?;
    (!found.is_negative()).then_some(found)
}

/// Reads an amount of dollars. A provider's own float noise below a picodollar is rounded up.
pub fn dollars(text: &str) -> Option<Money> {
    match Money::parse_usd(text) {
        Ok(money) => Some(money),
        Err(MoneyError::TooFine) => {
            let (mantissa, exponent) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
            let point = mantissa.find('.')?;
            let longest = mantissa.len().min(MOST_DIGITS);
            let cut = (point..longest)
                .rev()
                .find_map(|end| Money::parse_usd(&format!("{}{exponent}", mantissa.get(..end)?)).ok());
            cut?.checked_add(Money::from_pico(1))
        }
        Err(MoneyError::NotANumber | MoneyError::TooLarge | MoneyError::Negative) => None,
    }
}

/// A count as it may be written.
pub fn safe(count: u64) -> u64 {
    count.min(SAFE_INTEGER)
}

/// What the provider is owed: its parts, or the whole where they are not known.
pub fn upstream_cost(bill: &Bill) -> Money {
    let parts = bill.prompt_cost.checked_add(bill.completion_cost);
    match parts.and_then(|sum| sum.checked_add(bill.search_cost)) {
        Some(sum) if sum > Money::ZERO || bill.is_byok => sum,
        Some(_) | None => bill.cost,
    }
}

/// `,"server_tool_cost":…` for `cost_details`, where the web was searched.
pub fn search_cost(bill: &Bill) -> String {
    match bill.usage.web_searches {
        0 => String::new(),
        _ => format!(",\"server_tool_cost\":{}", bill.search_cost.to_usd()),
    }
}

/// `,"server_tool_use_details":{…}` behind a member of `usage`, where the web was searched.
pub fn search_details(bill: &Bill) -> String {
    match safe(bill.usage.web_searches) {
        0 => String::new(),
        count => format!(",\"server_tool_use_details\":{{\"web_search_requests\":{count}}}"),
    }
}

/// How often the web was searched, by the counts of OpenRouter's wire, as of others that follow it.
pub fn web_searches(usage: &Members<'_>) -> Option<u64> {
    let details = usage.object("server_tool_use_details").or_else(|| usage.object("server_tool_use"))?;
    count(&details, "web_search_requests")
}

/// The members that say what the reply costs: `"cost":…,"is_byok":…,"cost_details":{…}`.
pub fn cost_members(bill: &Bill) -> String {
    format!(
        concat!(
            r#""cost":{},"is_byok":{},"cost_details":{{"upstream_inference_cost":{},"#,
            r#""upstream_inference_prompt_cost":{},"upstream_inference_completions_cost":{}{}}}{}"#,
        ),
        bill.cost.to_usd(),
        bill.is_byok,
        upstream_cost(bill).to_usd(),
        bill.prompt_cost.to_usd(),
        bill.completion_cost.to_usd(),
        search_cost(bill),
        search_details(bill),
    )
}
