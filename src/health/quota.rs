//! What providers say of our allowance in the heads of their answers. Facts: OpenAI's and Groq's
//! `x-ratelimit-remaining-requests` with `x-ratelimit-reset-requests: 6m0s` or `20ms`, Anthropic's
//! `anthropic-ratelimit-tokens-remaining` with a time in `-reset`, Cerebras' `…-requests-day` with
//! seconds, OpenRouter's `x-ratelimit-reset` in milliseconds since 1970.

use std::time::Duration;

use crate::json;
use crate::time::Time;

/// The headers that may hold a remaining allowance, each with the one that says when it is renewed.
pub const HEADERS: [(&str, &str); 12] = [
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining-requests-minute", "x-ratelimit-reset-requests-minute"),
    ("x-ratelimit-remaining-tokens-minute", "x-ratelimit-reset-tokens-minute"),
    ("x-ratelimit-remaining-requests-day", "x-ratelimit-reset-requests-day"),
    ("x-ratelimit-remaining-tokens-day", "x-ratelimit-reset-tokens-day"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
];

/// Numbers from here on are seconds since 1970, and from there on milliseconds.
const EPOCH_S: f64 = 1e9;
const EPOCH_MS: f64 = 1e12;

/// Until when nothing is left, if anything has run out by the answer's headers.
pub fn exhausted_until(header: &dyn Fn(&str) -> Option<String>, now: Time) -> Option<Time> {
    let spent = |(remaining, reset): &(&str, &str)| {
        let left = json::number(header(remaining)?.trim())?;
        (left <= 0.0).then(|| read_reset(header(reset)?.trim(), now))?
    };
    HEADERS.iter().filter_map(spent).max().filter(|until| *until > now)
}

/// Reads `20ms`, `6m0s`, `1h2m3.5s`, `59.5`, a time of day since 1970 or an RFC 3339 time.
fn read_reset(text: &str, now: Time) -> Option<Time> {
    if let Some(number) = json::number(text) {
        return match number {
            n if !n.is_finite() || n < 0.0 => None,
            n if n >= EPOCH_MS => Some(Time::from_ms(n as u64)),
            n if n >= EPOCH_S => Some(Time::from_ms((n * 1000.0) as u64)),
            n => Some(now.plus(Duration::from_millis((n * 1000.0).ceil() as u64))),
        };
    }
    Time::parse_iso8601(text).or_else(|| read_span(text).map(|span| now.plus(span)))
}

fn read_span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut ms = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = json::number(&rest[..digits])?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let scale = match &rest[..unit] {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        ms += number * scale;
        rest = &rest[unit..];
    }
    (ms > 0.0).then(|| Duration::from_millis(ms.ceil() as u64))
}
