//! What health has to say of an exchange's attempts, and what it is told of them.

use super::play::{Play, delta, finish, reply, usage};
use super::{GROQ, ONE, TWO_PROVIDERS};

const DEEPINFRA: &str = "send https://api.deepinfra.com/v1/openai/chat/completions";

#[test]
fn what_an_attempt_was_like_is_noted() {
    type Tell = fn(&mut Play) -> &mut Play;
    let cases: &[(&str, Tell, &[&str])] = &[
        (
            "a stream",
            |play| speak(play.after_ms(150).head(200)),
            &[
                "groq Began { latency_ms: Some(150) }",
                "groq Complete { throughput: Some(75), tools: Tools { called: 0, malformed: 0, refused: 0 } }",
            ],
        ),
        ("400", |play| play.head(400).end(), &["groq Failed(Nobody { bad_call: false })"]),
        (
            "a call that could not be read",
            |play| play.head(400).chunk(r#"{"error":{"message":"x","code":"tool_use_failed"}}"#).end(),
            &["groq Failed(Nobody { bad_call: true })"],
        ),
        ("left", |play| play.client_gone(), &["groq Failed(Nobody { bad_call: false })"]),
        (
            "left within",
            |play| play.head(200).chunk(&delta(r#"{"content":"x"}"#)).client_gone(),
            &["groq Began { latency_ms: Some(0) }", "groq Failed(Nobody { bad_call: false })"],
        ),
        ("401", |play| play.head(401).end(), &["groq Failed(Key)"]),
        ("402", |play| play.head(402).end(), &["groq Failed(Key)"]),
        ("403", |play| play.head(403).end(), &["groq Failed(Denied)"]),
        ("429", |play| play.head(429).end(), &["groq Failed(Limited { until: None })"]),
        ("503", |play| play.head(503).end(), &["groq Failed(Busy { until: None })"]),
        ("500", |play| play.head(500).end(), &["groq Failed(Endpoint)"]),
        ("unreachable", |play| play.unreachable(), &["groq Failed(Endpoint)"]),
        ("silent", |play| play.after_ms(60_000), &["groq Failed(Endpoint)"]),
        (
            "broken off",
            |play| play.head(200).chunk(&delta(r#"{"content":"x"}"#)).broken(),
            &["groq Began { latency_ms: Some(0) }", "groq Failed(Endpoint)"],
        ),
    ];
    for (name, tell, expected) in cases {
        let mut play = Play::stream(TWO_PROVIDERS);
        play.held().expect(&[GROQ]);
        tell(&mut play).skip();
        let news = play.news();
        assert_eq!(news[..expected.len()], **expected, "{name}: {news:?}");
    }
}

#[test]
fn spent_credit_is_the_keys_fault_whatever_its_status() {
    let cases = [
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."}}"#,
        ),
        (
            429,
            r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota, please check your plan and billing details."}}"#,
        ),
    ];
    for (status, body) in cases {
        let mut play = Play::with_keys(TWO_PROVIDERS, "gsk-a|1000000,gsk-b");
        play.held().expect(&[GROQ]);
        play.head(status).chunk(body).end().expect(&["cancel", GROQ]);
        assert_eq!(play.news(), ["groq Failed(Key)"]);
    }
}

#[test]
fn the_total_limit_is_held_against_nobody_who_had_little_time() {
    let mut play = Play::new(ONE);
    play.held().skip().after_ms(900_000).skip();
    assert_eq!(play.news(), ["openai Failed(Endpoint)"]);
    let mut play = Play::new(TWO_PROVIDERS);
    play.held().skip().after_ms(800_000).unreachable().skip();
    play.after_ms(100_000).skip();
    assert_eq!(play.news(), ["groq Failed(Endpoint)", "deepinfra Failed(Nobody { bad_call: false })"]);
}

#[test]
fn what_is_out_is_tried_when_nothing_else_is_left() {
    let mut play = Play::stream(TWO_PROVIDERS);
    for _ in 0..3 {
        play = play.again(TWO_PROVIDERS, "gsk-a", true, 0);
        play.held().expect(&[GROQ]);
        play.head(500).end().expect(&["cancel", DEEPINFRA]);
        speak(play.head(200)).skip();
    }
    // Its breaker is open.
    let mut play = play.again(TWO_PROVIDERS, "gsk-a", true, 1000);
    play.held().expect(&[DEEPINFRA]);
    play.head(500).end().expect(&["cancel", GROQ]);
    speak(play.head(200));
    assert!(play.steps().contains(&"log complete".to_owned()));
    // It was answered: all is well.
    play.again(TWO_PROVIDERS, "gsk-a", true, 0).held().expect(&[GROQ]);
}

#[test]
fn a_provider_that_asks_for_a_wait_is_not_asked_before() {
    let mut play = Play::stream(ONE);
    play.held().skip().head_retry(429, 30).end();
    play.expect(&["cancel", "reply 429 retry-after 30", "log failed", "settle 0", "done"]);
    let mut play = play.again(ONE, "", true, 10_000);
    play.held().expect(&["reply 429 retry-after 20", "log failed", "settle 0", "done"]);
    assert!(play.body().contains("asked for a wait"), "{}", play.body());
    play.again(ONE, "", true, 20_000).held().expect(&[OPENAI]);
}

#[test]
fn a_short_wait_is_waited_for_and_no_longer_than_twice() {
    let mut play = Play::stream(ONE);
    play.held().expect(&[OPENAI]);
    play.head_retry(429, 1).end().expect(&["cancel"]);
    play.after_ms(999).expect(&[]);
    play.after_ms(201).expect(&[OPENAI]);
    play.head_retry(503, 2).end().expect(&["cancel"]);
    // A comment would send the head, and there would be no status to tell of the failure.
    play.after_ms(1_000).expect(&[]);
    play.after_ms(1_400).expect(&[OPENAI]);
    play.head_retry(429, 1).end();
    play.expect(&["cancel", "reply 429 retry-after 1", "log failed", "settle 0", "done"]);
}

#[test]
fn of_several_waits_the_first_to_end_is_told() {
    for (groq, deepinfra) in [(10, 30), (30, 10)] {
        let mut play = Play::stream(TWO_PROVIDERS);
        play.held().skip().head_retry(429, groq).end().expect(&["cancel", DEEPINFRA]);
        play.head_retry(429, deepinfra).end();
        play.expect(&["cancel", "reply 429 retry-after 10", "log failed", "settle 0", "done"]);
    }
}

#[test]
fn a_wait_that_does_not_fit_is_told() {
    let mut play = Play::new(ONE);
    play.held().skip().after_ms(898_000).head_retry(429, 2).end();
    play.expect(&["cancel", "reply 429 retry-after 2", "log failed", "settle 0", "done"]);
}

#[test]
fn a_client_that_leaves_during_a_wait_pays_nothing() {
    let mut play = Play::stream(ONE);
    play.held().skip().head_retry(429, 1).end().expect(&["cancel"]);
    play.client_gone().expect(&["log cancelled", "settle 0", "done"]);
}

#[test]
fn a_key_whose_allowance_has_run_out_makes_way_for_the_next() {
    let mut play = Play::with_keys(TWO_PROVIDERS, "gsk-a|1000000,gsk-b");
    play.held().expect(&[GROQ]);
    let first = play.key();
    speak(play.head_exhausted(200, 60)).skip();
    let mut play = play.again(TWO_PROVIDERS, "gsk-a|1000000,gsk-b", true, 1000);
    play.held().expect(&[GROQ]);
    assert_ne!(play.key(), first);
}

#[test]
fn a_reply_that_came_whole_says_nothing_of_the_first_token() {
    let mut play = Play::new(TWO_PROVIDERS);
    play.held().skip().after_ms(500).head(200).chunk(&reply("hi", 10, 50)).end().skip();
    assert_eq!(
        play.news(),
        [
            "groq Began { latency_ms: None }",
            "groq Complete { throughput: Some(100), tools: Tools { called: 0, malformed: 0, refused: 0 } }",
        ]
    );
}

const OPENAI: &str = "send https://api.openai.com/v1/chat/completions";

/// A stream of 30 tokens in 400 milliseconds.
fn speak(play: &mut Play) -> &mut Play {
    play.chunk(&delta(r#"{"content":"x"}"#)).after_ms(400).chunk(&finish("stop")).chunk(&usage(10, 30)).end()
}
