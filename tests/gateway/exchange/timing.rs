//! Whose time a reply took.

use super::play::{Play, delta, reply};
use millrace::exchange::Timing;
use std::time::Duration;

#[test]
fn the_wait_for_providers_is_not_the_gateways() {
    type Script = fn(&mut Play) -> &mut Play;
    let rows: [(&str, Play, Script, (u128, u128)); 3] = [
        (
            "the hold is the gateway's",
            Play::new(r#""model":"millrace/echo""#),
            |play| {
                play.after_ms(20).held().skip();
                play.after_ms(300).head(200).after_ms(5).chunk(&reply("hi", 4, 4)).end()
            },
            (20, 305),
        ),
        (
            "what failed before is its provider's",
            Play::stream(r#""model":"openai/gpt-oss-120b","provider":{"only":["groq","deepinfra"]}"#),
            |play| {
                play.held().skip().after_ms(100).head(529).end().skip();
                play.after_ms(40).head(200).chunk(&delta(r#"{"content":"a"}"#))
            },
            (0, 140),
        ),
        (
            "a provider that has not answered yet",
            Play::stream(r#""model":"millrace/echo""#),
            |play| play.after_ms(7).held().skip().after_ms(1_500),
            (7, 1_500),
        ),
    ];
    let mut failures = Vec::new();
    for (name, mut play, script, expected) in rows {
        let told = script(&mut play).timing();
        if told != expected {
            failures.push(format!("{name}: {told:?}, not {expected:?}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn headers_are_in_milliseconds() {
    let timing = Timing { gateway: Duration::from_micros(2_900), upstream: Duration::from_secs(3) };
    let [(_, both), (name, gateway)] = timing.headers();
    assert_eq!(
        (both.as_str(), name, gateway.as_str()),
        ("gateway;dur=2, upstream;dur=3000", "x-overhead-ms", "2")
    );
}
