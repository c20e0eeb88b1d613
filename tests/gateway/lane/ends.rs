//! Where a reply ends, for every provider's protocol and every client's: an end within a tool call,
//! or without a reason, is none, and half a call is never closed.

use crate::bill::for_prompt;
use crate::outlined;
use millrace::catalog::{self, Protocol};
use millrace::chat::{Facts, Identity, Quirks, ReplyFault};
use millrace::error::{Cause, Failure};
use millrace::media::Fetched;
use millrace::money::Money;
use millrace::protocol::bridge::{Bridge, Face, cross};
use millrace::protocol::gemini::Framing;
use millrace::protocol::lane::Target;
use serde_json::{Value, json};

use crate::bedrock;

/// Why the scripted reply ends, in no provider's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Call,
    Stop,
    Length,
    /// The terminator, and no reason.
    Silent,
}

const WHOLE: &str = r#"{"city":"Par\"is"}"#;
const HALF: &str = r#"{"city":"Par"#;
const FACES: &[Face] = &[Face::Chat, Face::Responses, Face::Messages, Face::Gemini(Framing::Sse)];

type Script = fn(&str, Why) -> Vec<u8>;

/// The protocols whose calls come in pieces, each with a reply that is one call.
const UPSTREAMS: &[(&str, Protocol, Script)] = &[
    ("openai", Protocol::OpenAiChat, chat),
    ("openai", Protocol::OpenAiResponses, responses),
    ("anthropic", Protocol::AnthropicMessages, messages),
    ("amazon-bedrock", Protocol::Bedrock, converse),
    ("cohere", Protocol::Cohere, cohere),
];

#[test]
fn a_whole_call_is_ended_at_every_face() {
    each(|face, slug, wire, script| {
        for why in [Why::Call, Why::Stop] {
            let (out, facts) = play(face, slug, wire, Quirks::NONE, &script(WHOLE, why));
            assert!(facts.fault.is_none() && facts.finish.is_some(), "{facts:?}");
            assert!(closes(face, &out), "{out}");
            let (_, facts) = play(face, slug, wire, Quirks::NONE, &script("", why));
            assert!(facts.fault.is_none(), "no arguments are whole: {facts:?}");
        }
    });
}

#[test]
fn an_end_within_a_call_is_none_at_any_face() {
    each(|face, slug, wire, script| {
        for why in [Why::Call, Why::Stop] {
            let (out, facts) = play(face, slug, wire, Quirks::NONE, &script(HALF, why));
            assert!(facts.truncated && !facts.done, "{why:?}: {facts:?}");
            assert_eq!((facts.finish, facts.finish_reason), (None, None), "{why:?}");
            assert!(!closes(face, &out), "{why:?}: {out}");
            assert!(fails(face, &out), "{why:?}: {out}");
        }
    });
}

#[test]
fn a_limit_may_cut_a_call_and_the_reply_says_so() {
    each(|face, slug, wire, script| {
        let (out, facts) = play(face, slug, wire, Quirks::NONE, &script(HALF, Why::Length));
        assert_eq!((facts.fault, facts.finish_reason), (None, Some("length")));
        let says = match face {
            Face::Chat => r#""finish_reason":"length""#,
            Face::Responses => r#""type":"response.incomplete""#,
            Face::Messages => r#""stop_reason":"max_tokens""#,
            _ => r#""finishReason":"MAX_TOKENS""#,
        };
        assert!(out.contains(says), "{out}");
        assert!(!fails(face, &out), "{out}");
    });
}

#[test]
fn a_terminator_alone_is_no_end_unless_the_provider_is_known_for_it() {
    let known = Quirks { silent_finish: true, ..Quirks::NONE };
    each(|face, slug, wire, script| {
        let silent = script(WHOLE, Why::Silent);
        let (out, facts) = play(face, slug, wire, Quirks::NONE, &silent);
        if wire == Protocol::OpenAiResponses {
            // Its terminator is its reason.
            return;
        }
        assert!(facts.truncated && fails(face, &out), "{facts:?} {out}");
        if wire == Protocol::OpenAiChat {
            let (out, facts) = play(face, slug, wire, known, &silent);
            assert_eq!((facts.fault, facts.finish_reason), (None, Some("tool_calls")));
            assert!(closes(face, &out), "{out}");
            let (out, facts) = play(face, slug, wire, known, &script(HALF, Why::Silent));
            assert!(facts.truncated && !closes(face, &out), "{out}");
        }
    });
}

#[test]
fn a_whole_body_with_half_a_call_is_no_reply() {
    let chat = |arguments: &str, finish: Value| {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        json!({"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}]})
    };
    let responses = |arguments: &str, status: &str| {
        let call =
            json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": arguments});
        json!({"id": "r", "object": "response", "status": status, "output": [call]})
    };
    let rows = [
        ("openai", Protocol::OpenAiChat, chat(HALF, json!("tool_calls")), false),
        ("openai", Protocol::OpenAiChat, chat(HALF, json!("stop")), false),
        ("openai", Protocol::OpenAiChat, chat(HALF, json!(null)), false),
        ("openai", Protocol::OpenAiChat, chat(HALF, json!("length")), true),
        ("openai", Protocol::OpenAiChat, chat(WHOLE, json!("tool_calls")), true),
        ("openai", Protocol::OpenAiChat, chat("", json!("tool_calls")), true),
        ("openai", Protocol::OpenAiResponses, responses(HALF, "completed"), false),
        ("openai", Protocol::OpenAiResponses, responses(HALF, "incomplete"), true),
        ("openai", Protocol::OpenAiResponses, responses(WHOLE, "completed"), true),
    ];
    for (slug, wire, body, good) in rows {
        for face in FACES {
            let read =
                bridge(*face, slug, wire, false).read_whole(body.to_string().as_bytes(), &Quirks::NONE);
            let truncated = matches!(read, Err(ReplyFault::Truncated(_)));
            assert_eq!((read.is_ok(), truncated), (good, !good), "{face:?} {wire:?} {body}");
        }
    }
}

#[test]
fn a_choice_that_never_finishes_is_no_end_of_several() {
    let choice = |index: u64, finish: Value| json!({"id": "1", "choices": [{"index": index, "delta": {"content": "a"}, "finish_reason": finish}]});
    let stream = sse(&[choice(0, json!("stop")), choice(1, json!(null))], "data: [DONE]\n\n");
    let (_, facts) = play(Face::Chat, "openai", Protocol::OpenAiChat, Quirks::NONE, &stream);
    assert!(facts.truncated, "{facts:?}");
}

#[test]
fn a_call_of_geminis_that_is_still_coming_is_not_whole() {
    let part = |call: Value, finish: Value| json!({"candidates": [{"content": {"role": "model", "parts": [{"functionCall": call}]}, "finishReason": finish}]});
    let piece = json!({"jsonPath": "$.city", "stringValue": "Par", "willContinue": true});
    let open = part(json!({"name": "f", "willContinue": true}), json!(null));
    for (finish, truncated) in [("STOP", true), ("MAX_TOKENS", false)] {
        let more = part(json!({"partialArgs": [piece], "willContinue": true}), json!(finish));
        let stream = sse(&[open.clone(), more], "");
        for face in FACES {
            let (out, facts) = play(*face, "google-ai-studio", Protocol::Gemini, Quirks::NONE, &stream);
            assert_eq!((facts.truncated, fails(*face, &out)), (truncated, truncated), "{face:?} {out}");
        }
    }
}

fn each(check: impl Fn(Face, &str, Protocol, Script)) {
    for (slug, wire, script) in UPSTREAMS {
        for face in FACES {
            println!("{wire:?} to {face:?}");
            check(*face, slug, *wire, *script);
        }
    }
}

/// Whether the client is given to understand that the call is whole.
fn closes(face: Face, out: &str) -> bool {
    match face {
        Face::Chat => {
            out.contains(r#""finish_reason":"tool_calls""#) || out.contains(r#""finish_reason":"stop""#)
        }
        Face::Responses => {
            let done = out.contains("response.output_item.done") && !out.contains(r#""status":"incomplete""#);
            done || out.contains("response.function_call_arguments.done")
                || out.contains("response.completed")
        }
        Face::Messages => out.contains("content_block_stop") || out.contains(r#""stop_reason":"tool_use""#),
        _ => out.contains("functionCall") || out.contains(r#""finishReason":"STOP""#),
    }
}

/// Whether the stream ends with an error in the client's grammar.
fn fails(face: Face, out: &str) -> bool {
    match face {
        Face::Chat => out.contains(r#""finish_reason":"error""#) && out.contains(r#""error":{"#),
        Face::Responses => out.contains(r#""type":"response.failed""#),
        Face::Messages => out.contains("event: error"),
        _ => out.contains(r#""error":{"#) || out.contains(r#""error": {"#),
    }
}

pub fn bridge(face: Face, slug: &str, wire: Protocol, stream: bool) -> Bridge {
    let provider = catalog::provider(slug).expect("a row of the catalog");
    let target = Target { model: "m", quirks: &Quirks::NONE, max_output: Some(99) };
    let body = match face {
        Face::Responses => json!({"model": "m", "stream": stream, "input": "a"}),
        Face::Gemini(_) => json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}),
        _ => {
            json!({"model": "m", "stream": stream, "max_tokens": 9, "messages": [{"role": "user", "content": "a"}]})
        }
    };
    let body = body.to_string();
    let request = face.read_request(&outlined(&body), "m", stream).expect("well formed");
    cross(face, wire, &outlined(&body), &request, provider, &target, &Fetched::default())
        .expect("it can be said")
        .bridge
}

/// The reply cut into single bytes, as the exchange would end it.
fn play(face: Face, slug: &str, wire: Protocol, quirks: Quirks, stream: &[u8]) -> (String, Facts) {
    let identity =
        Identity { generation: "gen-1".into(), created: 1, model: "a/m".into(), provider: "P".into() };
    let mut lane = bridge(face, slug, wire, true).lane(identity, quirks);
    let mut out = Vec::new();
    stream.iter().for_each(|byte| lane.read(&[*byte], &mut out));
    lane.end_of_input(&mut out);
    let facts = lane.facts().clone();
    let (usage, cost) = (facts.usage.unwrap_or_default(), Money::ZERO);
    let bill = for_prompt(usage, cost);
    match &facts.fault {
        None => lane.write_end(&bill, &mut out),
        Some(fault) => {
            let failure = Failure::new(Cause::ProviderUnavailable, fault.message.clone());
            lane.write_error(&failure, Some(&bill), &mut out);
        }
    }
    (String::from_utf8(out).expect("text"), facts)
}

fn sse(frames: &[Value], end: &str) -> Vec<u8> {
    let mut text: String = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect();
    text.push_str(end);
    text.into_bytes()
}

/// The two halves of the arguments.
fn pieces(arguments: &str) -> (&str, &str) {
    arguments.split_at(arguments.len() / 2)
}

fn chat(arguments: &str, why: Why) -> Vec<u8> {
    let (one, other) = pieces(arguments);
    let chunk = |delta: Value, finish: Value| json!({"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let call =
        json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": one}});
    let more = json!({"index": 0, "function": {"arguments": other}});
    let finish = match why {
        Why::Call => json!("tool_calls"),
        Why::Stop => json!("stop"),
        Why::Length => json!("length"),
        Why::Silent => json!(null),
    };
    let chunks = [
        chunk(json!({"role": "assistant", "tool_calls": [call]}), json!(null)),
        // Some send the last piece along with the finish.
        chunk(json!({"tool_calls": [more]}), finish),
    ];
    sse(&chunks, "data: [DONE]\n\n")
}

fn responses(arguments: &str, why: Why) -> Vec<u8> {
    let (one, other) = pieces(arguments);
    let item = |arguments: &str| json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": arguments});
    let delta = |text: &str| json!({"type": "response.function_call_arguments.delta", "item_id": "fc", "output_index": 0, "delta": text});
    let (kind, status) = match why {
        Why::Call | Why::Stop | Why::Silent => ("response.completed", "completed"),
        Why::Length => ("response.incomplete", "incomplete"),
    };
    let response = json!({"id": "r", "object": "response", "status": status, "output": [item(arguments)],
        "incomplete_details": if why == Why::Length { json!({"reason": "max_output_tokens"}) } else { json!(null) }});
    let events = [
        json!({"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("")}),
        delta(one),
        delta(other),
        json!({"type": "response.function_call_arguments.done", "item_id": "fc", "output_index": 0, "arguments": arguments}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item(arguments)}),
        json!({"type": kind, "response": response}),
    ];
    sse(&events, "")
}

fn messages(arguments: &str, why: Why) -> Vec<u8> {
    let (one, other) = pieces(arguments);
    let delta = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}});
    let block = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}});
    let reason = match why {
        Why::Call => json!("tool_use"),
        Why::Stop => json!("end_turn"),
        Why::Length => json!("max_tokens"),
        Why::Silent => json!(null),
    };
    let events = [
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        delta(one),
        delta(other),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    sse(&events, "")
}

fn converse(arguments: &str, why: Why) -> Vec<u8> {
    let (one, other) = pieces(arguments);
    let delta =
        |text: &str| json!({"contentBlockIndex": 0, "delta": {"toolUse": {"input": text}}}).to_string();
    let stop = match why {
        Why::Call => json!({"stopReason": "tool_use"}),
        Why::Stop => json!({"stopReason": "end_turn"}),
        Why::Length => json!({"stopReason": "max_tokens"}),
        Why::Silent => json!({}),
    };
    let messages = [
        ("messageStart", r#"{"role":"assistant"}"#.to_owned()),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"f"}}}"#.to_owned(),
        ),
        ("contentBlockDelta", delta(one)),
        ("contentBlockDelta", delta(other)),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#.to_owned()),
        ("messageStop", stop.to_string()),
        ("metadata", r#"{"usage":{"inputTokens":3,"outputTokens":4}}"#.to_owned()),
    ];
    messages.iter().flat_map(|(name, payload)| bedrock::event(name, payload)).collect()
}

fn cohere(arguments: &str, why: Why) -> Vec<u8> {
    let (one, other) = pieces(arguments);
    let call = |call: Value| json!({"message": {"tool_calls": call}});
    let reason = match why {
        Why::Call => json!("TOOL_CALL"),
        Why::Stop => json!("COMPLETE"),
        Why::Length => json!("MAX_TOKENS"),
        Why::Silent => json!(null),
    };
    let events = [
        json!({"type": "message-start", "id": "m", "delta": {"message": {"role": "assistant"}}}),
        json!({"type": "tool-call-start", "index": 0, "delta": call(json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": one}}))}),
        json!({"type": "tool-call-delta", "index": 0, "delta": call(json!({"function": {"arguments": other}}))}),
        json!({"type": "tool-call-end", "index": 0}),
        json!({"type": "message-end", "delta": {"finish_reason": reason, "usage": {"tokens": {"input_tokens": 3, "output_tokens": 4}}}}),
    ];
    sse(&events, "data: [DONE]\n\n")
}
