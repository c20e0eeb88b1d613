//! An exchange from arrival to settlement, told as scripts: what happened, and what was to be
//! done about it. No script waits; time is what the script says.

mod admission;
mod charges;
mod hedging;
pub mod play;
mod purse;
mod region;
mod timing;
mod verbatim;

use millrace::account::GenerationRecord;
use millrace::account::budget::{Per, Scope};
use millrace::account::rate::{Limited, Measure, RateLimit};
use millrace::account::record::Basis;
use millrace::chat::conversation::Source;
use millrace::media::{Kind, Link};
use millrace::money::Money;
use millrace::time::Time;
use play::{Play, delta, finish, reply, usage};

const COST_OF_REPORTED_USAGE: &str = "0.000012";

#[test]
fn a_whole_reply_is_held_sent_answered_and_settled_once() {
    let mut play = Play::new(r#""model":"millrace/echo","max_tokens":10"#);
    play.expect(&["hold"]);
    play.held().expect(&["send embedded"]);
    play.head(200).chunk(&reply("hi", 4, 4)).end();
    play.expect(&["log complete", "reply 200", "settle 0.000012", "release", "done"]);
}

#[test]
fn a_stream_begins_with_its_first_content() {
    let mut play = Play::stream(r#""model":"millrace/echo""#);
    play.held().skip().head(200);
    play.chunk(&delta(r#"{"role":"assistant","content":""}"#)).expect(&[]);
    play.chunk(&delta(r#"{"content":"hel"}"#)).expect(&["begin 200", "write content content"]);
    play.chunk(&delta(r#"{"content":"lo"}"#)).expect(&["write content"]);
    play.chunk(&finish("stop")).expect(&["write finish"]);
    play.chunk(&usage(4, 4)).expect(&[]);
    play.chunk("data: [DONE]\n\n").expect(&[
        "log complete",
        "write finish usage done",
        "close",
        &format!("settle {COST_OF_REPORTED_USAGE}"),
        "release",
        "done",
    ]);
}

/// The account has the charge before the client has the end.
#[test]
fn an_end_can_wait_for_its_charge() {
    let ask = |stream: bool| {
        let messages = r#"[{"role":"user","content":"PROMPT-CANARY"}]"#;
        let body = format!(r#"{{"model":"openai/gpt-4.1-mini","stream":{stream},"messages":{messages}}}"#);
        let before = [("OPENAI_API_KEY", "sk-a"), ("MILLRACE_SETTLE", "before")];
        let mut play = Play::of(body, &before, false);
        play.held().skip();
        play
    };
    let settled = "settle first 0.000008";
    let mut play = ask(true);
    play.head(200).chunk(&delta(r#"{"content":"hi"}"#)).chunk(&finish("stop")).skip();
    play.chunk(&usage(4, 4)).chunk("data: [DONE]\n\n");
    play.expect(&["log complete", settled, "write finish usage done", "close", "release", "done"]);

    let mut play = ask(false);
    play.head(200).chunk(&reply("hi", 4, 4)).end();
    play.expect(&["log complete", settled, "reply 200", "release", "done"]);

    let mut play = ask(true);
    play.head(200).chunk(&delta(r#"{"content":"some words"}"#)).skip().broken();
    let steps = play.steps();
    assert!(steps[2].starts_with("settle first") && steps[3] == "write error usage done", "{steps:?}");

    let mut play = ask(true);
    play.head(200).chunk(&delta(r#"{"content":"some words"}"#)).skip().client_gone();
    assert!(play.steps()[2].starts_with("settle first"));

    // Nothing is lost where nothing is charged.
    let mut play = ask(false);
    play.head(400).end().expect(&["cancel", "reply 400", "log failed", "settle 0", "done"]);
}

#[test]
fn every_fault_before_the_first_content_tries_the_next_endpoint() {
    type Fail = fn(&mut Play) -> &mut Play;
    let faults: &[(&str, Fail)] = &[
        ("refused", |play| play.unreachable()),
        ("reset in the head", |play| play.broken()),
        ("500", |play| play.head(500).chunk(r#"{"error":{"message":"x"}}"#).end()),
        ("429", |play| play.head(429).end()),
        ("408", |play| play.head(408).end()),
        ("529", |play| play.head(529).end()),
        ("401", |play| play.head(401).end()),
        ("404", |play| play.head(404).end()),
        ("302", |play| play.head(302).end()),
        ("200 with an error", |play| play.head(200).chunk("data: {\"error\":{\"message\":\"x\"}}\n\n")),
        ("200 with a bare error", |play| play.head(200).chunk("{\"error\":{\"code\":499}}").end()),
        ("200 and nothing", |play| play.head(200).end()),
        ("200 and only an end", |play| play.head(200).chunk("data: [DONE]\n\n")),
        ("200 and a page", |play| play.head(200).chunk("<html>").end()),
        ("reset before content", |play| play.head(200).chunk(&delta(r#"{"role":"assistant"}"#)).broken()),
        ("silence before the head", |play| play.after_ms(60_000)),
        ("silence before content", |play| play.head(200).after_ms(180_000)),
    ];
    for (name, fail) in faults {
        let mut play = Play::stream(TWO_PROVIDERS);
        play.held().expect(&["send https://api.groq.com/openai/v1/chat/completions"]);
        fail(&mut play);
        let sent = play
            .steps()
            .into_iter()
            .filter(|step| !step.starts_with("begin") && !step.starts_with("write comment"));
        let sent: Vec<String> = sent.collect();
        assert_eq!(sent, ["cancel", "send https://api.deepinfra.com/v1/openai/chat/completions"], "{name}");
    }
}

#[test]
fn the_callers_own_fault_does_not_rotate() {
    for (status, told) in [(400, 400), (413, 413), (422, 422)] {
        let mut play = Play::stream(TWO_PROVIDERS);
        play.held().skip().head(status).chunk(r#"{"error":{"message":"bad temperature"}}"#).end();
        play.expect(&["cancel", &format!("reply {told}"), "log failed", "settle 0", "done"]);
        assert!(play.body().contains("bad temperature") && play.body().contains("Groq"), "{}", play.body());
    }
}

#[test]
fn a_prompt_that_is_too_long_tries_an_endpoint_that_may_take_more() {
    let too_long = r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#;
    let mut play = Play::stream(TWO_PROVIDERS);
    play.held().skip().head(400).chunk(too_long).end();
    play.expect(&["cancel", "send https://api.deepinfra.com/v1/openai/chat/completions"]);
    play.head(400).chunk(too_long).end();
    play.expect(&["cancel", "reply 400", "log failed", "settle 0", "done"]);
    assert!(play.body().contains("context_length_exceeded"), "{}", play.body());
}

#[test]
fn the_last_failure_is_told_with_those_before() {
    let mut play = Play::stream(TWO_PROVIDERS);
    play.held().skip().head(500).chunk(r#"{"error":{"message":"first"}}"#).end().skip();
    play.head_retry(429, 7).chunk(r#"{"error":{"message":"second"}}"#).end();
    play.expect(&["cancel", "reply 429 retry-after 7", "log failed", "settle 0", "done"]);
    for words in ["first", "second", "previous_errors", "rate_limit_exceeded"] {
        assert!(play.body().contains(words), "{words} in {}", play.body());
    }
}

#[test]
fn after_the_first_content_nothing_else_is_tried() {
    type Fail = fn(&mut Play) -> &mut Play;
    let faults: &[(&str, Fail)] = &[
        ("reset", |play| play.broken()),
        ("end without a finish", |play| play.end()),
        ("an error in the stream", |play| {
            play.chunk("data: {\"error\":{\"message\":\"x\",\"code\":500}}\n\n")
        }),
        ("silence", |play| play.after_ms(120_000)),
    ];
    for (name, fail) in faults {
        let mut play = Play::stream(TWO_PROVIDERS);
        play.held().skip().head(200).chunk(&delta(r#"{"content":"four"}"#)).skip();
        fail(&mut play);
        let steps = play.steps();
        assert!(!steps.iter().any(|step| step.starts_with("send")), "{name}: {steps:?}");
        assert!(steps.contains(&"write error usage done".to_owned()), "{name}: {steps:?}");
        assert!(steps.contains(&"log broken_off".to_owned()), "{name}: {steps:?}");
        assert_eq!(steps.iter().filter(|step| step.starts_with("settle")).count(), 1, "{name}: {steps:?}");
        let free = *name == "an error in the stream";
        assert_eq!(play.settled() == "0", free, "{name}: what was delivered is charged");
    }
}

#[test]
fn an_end_that_is_none_is_a_reply_that_broke_off() {
    let call = r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":"}}]}"#;
    let ends = [
        ("within a call", delta(call), finish("tool_calls")),
        ("without a reason", delta(r#"{"content":"a"}"#), "data: [DONE]\n\n".to_owned()),
    ];
    for (name, begin, end) in ends {
        let mut play = Play::stream(TWO_PROVIDERS);
        play.held().skip().head(200).chunk(&begin).skip().chunk(&end);
        let told = play.steps();
        let has = |word: &str| told.iter().any(|step| step.contains(word));
        assert!(has("cancel") && has("error") && has("log broken_off"), "{name}: {told:?}");
        let free = told.iter().any(|step| step == "settle 0");
        assert!(!has("send") && !free, "{name}: what came is paid for: {told:?}");
        assert!(play.log().contains("truncated"), "{name}: {}", play.log());
    }
}

#[test]
fn a_stream_that_finished_needs_no_terminator() {
    for close in [Play::end as fn(&mut Play) -> &mut Play, Play::broken] {
        let mut play = Play::stream(r#""model":"millrace/echo""#);
        play.held().skip().head(200).chunk(&delta(r#"{"content":"x"}"#)).chunk(&finish("stop")).skip();
        close(&mut play);
        assert!(play.steps().contains(&"log complete".to_owned()));
    }
}

#[test]
fn a_client_that_leaves_cancels_and_pays_for_what_came() {
    let mut play = Play::stream(r#""model":"millrace/echo""#);
    play.held().skip().head(200).chunk(&delta(r#"{"content":"four"}"#)).skip();
    play.client_gone();
    let steps = play.steps();
    assert_eq!(steps[0], "cancel");
    assert_eq!(steps[1], "log cancelled");
    assert!(steps[2].starts_with("settle 0.0000"), "{steps:?}");
    assert_eq!(&steps[3..], ["done"]);
}

#[test]
fn a_count_from_the_middle_of_a_stream_is_topped_up_with_what_was_delivered() {
    let events = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",",
        "\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"forty bytes of text are ten tokens about\"}}\n\n",
    );
    let mut play = Play::stream(r#""model":"anthropic/claude-sonnet-4.5","max_tokens":50"#);
    play.held().expect(&["send https://api.anthropic.com/v1/messages"]);
    play.head(200).chunk(events).skip();
    // 25 tokens in at $3 a million, and ten out at $15.
    play.client_gone().expect(&["cancel", "log cancelled", "settle 0.000225", "done"]);
}

#[test]
fn a_client_that_leaves_before_content_pays_nothing() {
    let mut play = Play::stream(TWO_PROVIDERS);
    play.held().skip().client_gone();
    play.expect(&["cancel", "log cancelled", "settle 0", "done"]);

    let mut play = Play::stream(TWO_PROVIDERS);
    play.expect(&["hold"]);
    play.client_gone().expect(&[]);
    play.held().expect(&["log cancelled", "settle 0", "done"]);

    let mut play = Play::new(TWO_PROVIDERS);
    play.held().skip().head(200).chunk("{").client_gone();
    play.expect(&["cancel", "log cancelled", "settle 0", "done"]);
}

#[test]
fn comments_keep_a_silent_stream_alive() {
    let mut play = Play::stream(TWO_PROVIDERS);
    play.held().skip();
    play.after_ms(999).expect(&[]);
    play.after_ms(1).expect(&["begin 200", "write comment"]);
    play.after_ms(2_000).expect(&["write comment"]);
    play.head(200).chunk(&delta(r#"{"content":"x"}"#)).expect(&["write content"]);
    play.after_ms(2_000).expect(&["write comment"]);
}

#[test]
fn a_failure_after_comments_is_told_in_the_stream() {
    let mut play = Play::stream(r#""model":"openai/gpt-4.1-mini""#);
    play.held().skip().after_ms(1_000).expect(&["begin 200", "write comment"]);
    play.head(500).end();
    play.expect(&["cancel", "write error done", "close", "log failed", "settle 0", "done"]);
}

#[test]
fn comments_do_not_put_the_idle_limit_off() {
    let mut play = Play::stream(r#""model":"openai/gpt-4.1-mini""#);
    play.held().skip().head(200).chunk(&delta(r#"{"content":"x"}"#)).skip();
    for _ in 0..23 {
        play.after_ms(5_000).chunk(": keep-alive\n\n").expect(&["write comment"]);
    }
    play.after_ms(5_000);
    assert!(play.steps().contains(&"write error usage done".to_owned()));
}

#[test]
fn the_total_limit_ends_everything() {
    let mut play = Play::new(TWO_PROVIDERS);
    play.held().skip().after_ms(900_000);
    play.expect(&["cancel", "reply 504", "log failed", "settle 0", "done"]);
}

#[test]
fn a_whole_reply_that_is_no_answer_tries_the_next_endpoint() {
    let bodies = [
        "",
        "<html>",
        "{}",
        r#"{"choices":[]}"#,
        r#"{"error":{"message":"x","code":500}}"#,
        r#"{"choices":[{"index":0,"message":{"role":"assistant","content":""},"finish_reason":null}]}"#,
    ];
    for body in bodies {
        let mut play = Play::new(TWO_PROVIDERS);
        play.held().skip().head(200).chunk(body).end();
        play.expect(&["cancel", "send https://api.deepinfra.com/v1/openai/chat/completions"]);
    }
}

#[test]
fn an_error_of_the_callers_inside_a_200_does_not_rotate() {
    let mut play = Play::new(TWO_PROVIDERS);
    play.held().skip().head(200).chunk(r#"{"error":{"message":"too long","code":400}}"#).end();
    play.expect(&["cancel", "reply 400", "log failed", "settle 0", "done"]);
}

#[test]
fn the_next_key_of_a_provider_comes_before_the_next_provider() {
    let mut play = Play::with_keys(TWO_PROVIDERS, "gsk-a|1000000,gsk-b");
    play.held().expect(&["send https://api.groq.com/openai/v1/chat/completions"]);
    let first = play.key();
    play.head(429).end().expect(&["cancel", "send https://api.groq.com/openai/v1/chat/completions"]);
    assert_ne!(play.key(), first);
    play.head(500).end().expect(&["cancel", "send https://api.deepinfra.com/v1/openai/chat/completions"]);
}

#[test]
fn a_refusal_sends_nothing() {
    let mut play = Play::new(r#""model":"millrace/echo","max_tokens":10"#);
    play.expect(&["hold"]);
    play.refused_credit("0.000005", "0.000015").expect(&["reply 402", "log refused", "done"]);
    for words in ["\"missing\":\"0.000015\"", "affordable_max_tokens", "openrouter_credits"] {
        assert!(play.body().contains(words), "{words} in {}", play.body());
    }
    let mut play = Play::new(r#""model":"millrace/echo""#);
    play.account_down();
    play.expect(&["hold", "reply 503 retry-after 2", "log refused", "done"]);
}

#[test]
fn a_limit_of_rate_is_told_by_its_name_with_headers() {
    let limit = RateLimit {
        id: "team".into(),
        scope: Scope::Workspace,
        subject: "w".into(),
        per: Per::All,
        model: None,
        requests_per_minute: Some(50),
        tokens_per_minute: None,
        concurrent_requests: None,
    };
    let limited = |measure, limit| Limited {
        measure,
        most: 50,
        remaining: 0,
        resets_at: Time::from_ms(1_787_184_000_000),
        wait_ms: 1_001,
        limit,
    };
    for (limited, words) in [
        (
            limited(Measure::RequestsPerMinute, Some(limit)),
            &[
                "requests_per_minute. The workspace's limit 'team' is 50",
                r#""limit_source":"millrace_rate_limit""#,
                r#""rate_limit_id":"team""#,
            ],
        ),
        (
            limited(Measure::FreePerDayLow, None),
            &[
                "Rate limit exceeded: free-models-per-day. Add credits",
                r#""limit_source":"openrouter_free_tier_daily""#,
                r#""X-RateLimit-Reset":"1787184000000""#,
            ],
        ),
    ] {
        let mut play = Play::new(r#""model":"millrace/echo""#);
        play.expect(&["hold"]);
        play.refused_rate(limited).expect(&["reply 429 retry-after 2", "log refused", "done"]);
        for words in words {
            assert!(play.body().contains(words), "{words} in {}", play.body());
        }
        let told = ["X-RateLimit-Limit: 50", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1787184000000"];
        assert_eq!(play.rate_headers(), told);
    }
}

#[test]
fn a_provider_key_that_comes_back_in_an_error_is_taken_out() {
    let mut play = Play::with_keys(TWO_PROVIDERS, "gsk-canary");
    play.held().skip().head(400).chunk(r#"{"error":{"message":"key gsk-canary is bad"}}"#).end();
    assert!(play.steps().contains(&"reply 400".to_owned()));
    assert!(!play.body().contains("gsk-canary"), "{}", play.body());
    assert!(!play.log().contains("gsk-canary"));
}

#[test]
fn logs_and_records_hold_no_words() {
    let mut play = Play::stream(r#""model":"openai/gpt-4.1-mini""#);
    play.held().skip().head(200).chunk(&delta(r#"{"content":"REPLY-CANARY"}"#)).chunk(&finish("stop")).end();
    play.steps();
    for text in [play.log(), play.record()] {
        assert!(!text.contains("REPLY-CANARY") && !text.contains("PROMPT-CANARY"), "{text}");
    }
}

/// Whatever the end of an exchange, its record has lines that add up to what was charged.
#[test]
fn a_receipt_adds_up_to_what_was_charged() {
    type Script = fn(&mut Play) -> &mut Play;
    let scripts: &[(&str, &str, Script)] = &[
        ("complete", "0.000012", |play| {
            play.head(200).chunk(&delta(r#"{"content":"a"}"#)).chunk(&finish("stop"));
            play.chunk(&usage(4, 4)).chunk("data: [DONE]\n\n")
        }),
        ("cut short", "0.00003", |play| {
            play.head(200).chunk(&delta(r#"{"content":"some words"}"#)).skip().broken()
        }),
        ("nothing", "0", |play| play.head(200).broken()),
        ("refused", "0", |play| play.head(400).chunk("{}").end()),
    ];
    for (name, charged, script) in scripts {
        let mut play = Play::stream(r#""model":"millrace/echo""#);
        play.held().skip();
        script(&mut play).steps();
        let record: GenerationRecord = serde_json::from_str(play.record()).expect("a record");
        let receipt = record.receipt.expect("a receipt");
        assert_eq!((play.settled(), receipt.basis), (*charged, Basis::Prices), "{name}");
        assert_eq!(receipt.list_cost().map(Money::to_usd).as_deref(), Some(*charged), "{name}");
        assert_eq!((receipt.permaslug.as_str(), receipt.endpoint.as_str()), ("millrace/echo", "millrace"));
        assert_eq!(receipt.prices.len(), 16);
    }
}

#[test]
fn attempts_are_shown_on_request() {
    let mut play = Play::showing_attempts(TWO_PROVIDERS);
    play.held().skip().head(500).end().skip();
    play.head(200).chunk(&reply("hi", 1, 1)).end().steps();
    for words in
        ["openrouter_metadata", "\"provider\":\"Groq\"", "\"provider\":\"DeepInfra\"", "\"status\":500"]
    {
        assert!(play.body().contains(words), "{words} in {}", play.body());
    }
}

#[test]
fn what_either_side_could_not_say_is_told_with_the_reply() {
    const CLAUDE: &str = r#""model":"anthropic/claude-haiku-4.5","seed":7,"trace":{"trace_id":"t"}"#;
    const DROPPED: &str = concat!(
        r#""dropped":["seed: not expressible in Anthropic Messages","trace: the gateway hands on no traces","#,
        r#""reply.content: what Anthropic's own tools did"]"#,
    );
    let blocks =
        [r#"{"type":"server_tool_use","id":"s","name":"n","input":{}}"#, r#"{"type":"text","text":"hi"}"#];
    let mut play = Play::new(CLAUDE);
    let whole = format!(r#"{{"type":"message","content":[{}],"stop_reason":"end_turn"}}"#, blocks.join(","));
    play.held().skip().head(200).chunk(&whole).end().skip();
    assert!(play.body().contains(DROPPED), "{}", play.body());

    let mut play = Play::stream(CLAUDE);
    play.held().skip().head(200);
    for block in blocks {
        play.chunk(&format!("data: {{\"type\":\"content_block_start\",\"content_block\":{block}}}\n\n"));
    }
    play.chunk("data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n");
    play.chunk("data: {\"type\":\"message_stop\"}\n\n").end().skip();
    assert!(play.body().contains(DROPPED), "{}", play.body());
}

/// A session stays where its prompt is cached, or from its first reply if the client named it.
#[test]
fn a_session_is_remembered_where_it_was_served() {
    let cached = |tokens| {
        format!(
            r#"{{"id":"c","choices":[{{"message":{{"content":"hi"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{{"cached_tokens":{tokens}}}}}}}"#
        )
    };
    let named = format!(r#"{TWO_PROVIDERS},"session_id":"s""#);
    for (members, tokens, remembers) in
        [(TWO_PROVIDERS, 0, false), (TWO_PROVIDERS, 5, true), (&named, 0, true)]
    {
        let mut play = Play::new(members);
        play.held().skip().head(200).chunk(&cached(tokens)).end();
        let steps = play.steps();
        assert_eq!(steps.contains(&"remember openai/gpt-oss-20b groq".to_owned()), remembers, "{steps:?}");
    }
    let mut failed = Play::new(&named);
    failed.held().skip().head(500).end();
    assert!(!failed.steps().iter().any(|step| step.starts_with("remember")));
}

/// What is asked of the provider is what will be billed: the tier of the endpoint.
#[test]
fn an_ordinary_endpoint_is_not_asked_for_another_tier() {
    for (tier, sent) in [
        (r#""service_tier":"priority""#, false),
        (r#""service_tier":"flex""#, false),
        (r#""speed":"fast""#, false),
        (r#""service_tier":"auto""#, true),
    ] {
        let mut play = Play::new(&format!("{TWO_PROVIDERS},{tier}"));
        play.held().skip();
        assert_eq!(play.sent().contains(tier), sent, "{tier}: {}", play.sent());
        assert!(play.sent().contains("PROMPT-CANARY"));
    }
}

#[test]
fn whatever_comes_in_whatever_order_settles_at_most_once() {
    play::any_order_settles_at_most_once(TWO_PROVIDERS);
}

#[test]
fn links_are_fetched_once_before_the_first_attempt_that_needs_their_bytes() {
    let (mut play, links) = with_link();
    play.held().expect(&["fetch 1"]);
    let bytes = Source::Inline { media_type: "image/png".into(), base64: "AAAA".into() };
    play.fetched(&links, Ok(bytes)).expect(&[BEDROCK]);
    play.head(429).end().expect(&["cancel", BEDROCK]);
    play.fetched(&links, Err("late".into())).expect(&[]);
    play.head(200).chunk(CONVERSE).end();
    let steps = play.steps();
    assert_eq!(steps[..2], ["log complete", "reply 200"], "{steps:?}");
}

#[test]
fn a_link_that_cannot_be_fetched_is_the_callers_fault_and_free() {
    let (mut play, links) = with_link();
    play.held().skip().fetched(&links, Err("The image at a.example cannot be fetched: it is slow.".into()));
    play.expect(&["cancel", "reply 400", "log failed", "settle 0", "done"]);
    assert!(play.body().contains("The image at a.example cannot be fetched"), "{}", play.body());
}

#[test]
fn a_client_that_leaves_while_links_are_fetched_pays_nothing() {
    let (mut play, links) = with_link();
    play.held().skip().client_gone().expect(&["cancel", "log cancelled", "settle 0", "done"]);
    play.fetched(&links, Err("late".into())).expect(&["done"]);
}

const BEDROCK: &str =
    "send https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse";
const CONVERSE: &str = r#"{"output":{"message":{"role":"assistant","content":[{"text":"A square."}]}},
    "stopReason":"end_turn","usage":{"inputTokens":5,"outputTokens":7,"totalTokens":12}}"#;

/// A request with a picture behind a link, for Bedrock with two keys.
fn with_link() -> (Play, Vec<Link>) {
    let url = "https://a.example/one.png";
    let body = format!(
        r#"{{"model":"amazon/nova-lite-v1","max_tokens":9,"messages":[{{"role":"user","content":[
            {{"type":"text","text":"?"}},{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
    );
    let links = vec![Link { url: url.to_owned(), kind: Kind::Image }];
    (Play::of(body, &[("AWS_BEARER_TOKEN_BEDROCK", "one,two")], false), links)
}

const TWO_PROVIDERS: &str =
    r#""model":"openai/gpt-oss-20b","provider":{"order":["groq","deepinfra"],"only":["groq","deepinfra"]}"#;
const ONE: &str = r#""model":"openai/gpt-4.1-mini","provider":{"only":["openai"]}"#;
const GROQ: &str = "send https://api.groq.com/openai/v1/chat/completions";
