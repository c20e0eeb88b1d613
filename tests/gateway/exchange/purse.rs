//! Requests without a limit of output on a small balance: streams that are metered, ask for more and
//! end as by a limit of length; whole replies that are limited beforehand.

use super::play::{Play, delta, finish, reply, usage};
use millrace::protocol::bridge::Face;
use millrace::protocol::gemini::Framing;

const ECHO: &str = r#""model":"millrace/echo""#;

/// A piece of text that counts as so many tokens while a stream is metered.
fn tokens(count: usize) -> String {
    delta(&format!(r#"{{"content":"{}"}}"#, "abc".repeat(count)))
}

/// A stream that was admitted on money for its prompt and 600 tokens.
fn small() -> Play {
    let mut play = Play::stream(ECHO);
    play.expect(&["hold"]);
    let held = play.prompt_and(600);
    play.held_in_part(held).expect(&["send embedded"]);
    play.head(200);
    play
}

#[test]
fn only_a_request_without_a_limit_begins_with_less() {
    for (members, grows) in [
        (ECHO.to_owned(), true),
        (format!(r#"{ECHO},"max_tokens":null"#), true),
        (format!(r#"{ECHO},"max_tokens":9000"#), false),
        (format!(r#"{ECHO},"max_completion_tokens":9000"#), false),
        (format!(r#"{ECHO},"n":2"#), false),
    ] {
        let mut play = Play::stream(&members);
        play.steps();
        assert_eq!(play.least().is_some(), grows, "{members}");
    }
}

#[test]
fn a_stream_asks_for_more_before_it_runs_out_and_goes_on() {
    let mut play = small();
    play.chunk(&tokens(200)).expect(&["begin 200", "write content"]);
    play.chunk(&tokens(150)).expect(&["write content", "grow"]);
    play.chunk(&tokens(150)).expect(&["write content"]);
    let more = play.prompt_and(1200);
    play.grown(Some(more)).expect(&[]);
    play.chunk(&tokens(90)).expect(&["write content"]);
    play.chunk(&tokens(90)).expect(&["write content", "grow"]);
    play.chunk(&finish("stop")).expect(&["write finish"]);
    play.chunk(&usage(4, 4)).chunk("data: [DONE]\n\n");
    play.expect(&["log complete", "write finish usage done", "close", "settle 0.000012", "release", "done"]);
}

#[test]
fn a_stream_that_gets_no_more_is_cut_as_by_a_limit_of_length() {
    let mut play = small();
    play.chunk(&tokens(400)).expect(&["begin 200", "write content", "grow"]);
    play.grown(None).expect(&[]);
    // What is held is used up all the same, and asked about once more.
    play.chunk(&tokens(300)).expect(&["write content", "grow"]);
    play.chunk(&tokens(50)).expect(&[]);
    play.grown(None);
    let steps = play.steps();
    let told = ["cancel", "log used_up", "write finish finish usage done", "close"];
    assert_eq!(steps[..4], told, "{steps:?}");
    assert_eq!(steps[5..], ["done"], "{steps:?}");
    assert!(play.settled_pico() <= play.prompt_and(700), "{}", play.settled());
    for words in [r#""finish_reason":"length""#, "cut off", "[DONE]"] {
        assert!(play.body().contains(words), "{words} in {}", play.body());
    }
    assert!(!play.body().contains(&"abc".repeat(701)));
}

#[test]
fn what_waited_for_the_answer_comes_in_order() {
    let mut play = small();
    play.chunk(&tokens(650)).expect(&["begin 200", "write content", "grow"]);
    play.chunk(&delta(r#"{"content":"LAST"}"#)).chunk(&finish("stop")).expect(&[]);
    play.chunk("data: [DONE]\n\n").end().expect(&[]);
    let more = play.prompt_and(9000);
    play.grown(Some(more));
    let steps = play.steps();
    assert_eq!(steps[1..4], ["log complete", "write finish usage done", "close"], "{steps:?}");
    assert!(play.body().contains("LAST"));
}

#[test]
fn an_end_that_waited_is_the_end_whatever_closed_the_connection() {
    for broken in [false, true] {
        let mut play = small();
        play.chunk(&tokens(650)).skip();
        play.chunk("data: [DONE]\n\n");
        if broken {
            play.broken();
        } else {
            play.end();
        }
        let more = play.prompt_and(9000);
        play.grown(Some(more));
        let steps = play.steps();
        assert_eq!(steps.iter().filter(|step| step.starts_with("settle")).count(), 1, "{steps:?}");
        assert!(steps.contains(&"log broken_off".to_owned()), "{steps:?}");
    }
}

#[test]
fn a_client_that_leaves_pays_for_what_was_delivered_alone() {
    let mut play = small();
    play.chunk(&tokens(650)).skip();
    play.chunk(&tokens(9000)).expect(&[]);
    play.client_gone();
    let more = play.prompt_and(90_000);
    play.grown(Some(more));
    let steps = play.steps();
    assert_eq!(steps[..2], ["cancel", "log cancelled"], "{steps:?}");
    assert_eq!(steps[3..], ["done"], "{steps:?}");
    assert!(play.settled_pico() <= play.prompt_and(650), "{}", play.settled());
}

#[test]
fn every_face_is_told_in_its_own_words_that_the_length_was_limited() {
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let prompt = r#"{"model":"millrace/echo","prompt":"hi","stream":true}"#;
    let input = r#"{"model":"millrace/echo","input":"hi","stream":true}"#;
    for (face, body, words) in [
        (Face::Completions, prompt, &[r#""finish_reason":"length""#, "[DONE]"][..]),
        (Face::Responses, input, &["response.incomplete", "max_output_tokens"]),
        (Face::Gemini(Framing::Sse), contents, &[r#""finishReason":"MAX_TOKENS""#]),
        (Face::Gemini(Framing::Array), contents, &[r#""finishReason":"MAX_TOKENS""#]),
    ] {
        let mut play = Play::facing(face, body);
        play.skip();
        let held = play.least().expect("it sets no limit");
        play.held_in_part(held).skip();
        play.head(200).chunk(&tokens(900));
        play.grown(None);
        let steps = play.steps();
        assert_eq!(steps.last().map(String::as_str), Some("done"), "{face:?} {steps:?}");
        assert!(play.log().contains("used_up"), "{face:?} {}", play.log());
        for words in words {
            assert!(play.body().contains(words), "{face:?}: {words} in {}", play.body());
        }
    }
}

#[test]
fn a_whole_reply_is_limited_to_what_is_held_and_says_so() {
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let limited =
        r#"{"generationConfig":{"temperature":1},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    for (face, body) in [
        (Face::Chat, r#"{"model":"millrace/echo","messages":[{"role":"user","content":"hi"}]}"#),
        (
            Face::Chat,
            r#"{"model":"millrace/echo","max_tokens":null,"messages":[{"role":"user","content":"hi"}]}"#,
        ),
        (Face::Completions, r#"{"model":"millrace/echo","prompt":"hi"}"#),
        (Face::Responses, r#"{"model":"millrace/echo","input":"hi"}"#),
        (Face::Gemini(Framing::Sse), contents),
        (Face::Gemini(Framing::Sse), limited),
    ] {
        let mut play = Play::whole(face, body);
        play.skip();
        let held = play.prompt_and(700);
        play.held_in_part(held).skip();
        let sent = play.sent().to_owned();
        let limit =
            sent.split("max_tokens\":").nth(1).or_else(|| sent.split("max_completion_tokens\":").nth(1));
        let limit = limit.unwrap_or_else(|| panic!("{face:?} {sent}"));
        let limit: String = limit.chars().take_while(char::is_ascii_digit).collect();
        assert_eq!(limit, "700", "{face:?} {sent}");
        play.head(200).chunk(&reply("hi", 4, 4)).end();
        play.skip();
        assert!(play.body().contains("max_tokens: 700 was set"), "{face:?} {}", play.body());
    }
}
