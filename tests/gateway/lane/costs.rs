//! Every reply of every face says what it cost, whatever its provider speaks, streamed and whole.

use crate::outlined;
use millrace::catalog::{self, Protocol};
use millrace::chat::{Bill, Usage};
use millrace::media::Fetched;
use millrace::money::Money;
use millrace::protocol::bridge::{Bridge, Face, cross};
use millrace::protocol::gemini::Framing;
use millrace::protocol::lane::Target;
use serde_json::Value;

use crate::grid::identity;

/// A face and a request to it.
const FACES: &[(Face, &str)] = &[
    (Face::Chat, r#"{"model":"m","messages":[{"role":"user","content":"?"}]}"#),
    (Face::Completions, r#"{"model":"m","prompt":"?"}"#),
    (Face::Responses, r#"{"model":"m","input":"?"}"#),
    (Face::Messages, r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"?"}]}"#),
    (Face::Gemini(Framing::Sse), GEMINI_REQUEST),
    (Face::Gemini(Framing::Array), GEMINI_REQUEST),
];
const GEMINI_REQUEST: &str = r#"{"contents":[{"role":"user","parts":[{"text":"?"}]}]}"#;

/// A protocol, a whole reply in it, and a stream.
const WIRES: &[(Protocol, &str, &str)] = &[
    (
        Protocol::OpenAiChat,
        r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#,
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ),
    (
        Protocol::OpenAiResponses,
        r#"{"id":"r","object":"response","status":"completed","output":[{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hi","annotations":[]}]}]}"#,
        "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}\n\n\
         data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}\n\n",
    ),
    (
        Protocol::AnthropicMessages,
        r#"{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#,
        "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n\
         data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
         data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\n\
         data: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
         data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\n\
         data: {\"type\":\"message_stop\"}\n\n",
    ),
    (
        Protocol::Gemini,
        r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},"finishReason":"STOP"}]}"#,
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hi\"}]},\"finishReason\":\"STOP\"}]}\n\n",
    ),
];

#[test]
fn every_reply_of_every_face_says_what_it_cost() {
    for (face, body) in FACES {
        for (wire, whole, stream) in WIRES {
            let name = format!("{face:?} by {wire:?}");
            check(&name, &written(&bridge(*face, *wire, body, false), whole));
            let mut lane = bridge(*face, *wire, body, true).lane(identity(), catalog::providers()[0].quirks);
            let mut out = Vec::new();
            lane.read(stream.as_bytes(), &mut out);
            lane.write_end(&bill(), &mut out);
            check(&format!("{name}, streamed"), &String::from_utf8(out).unwrap());
        }
    }
}

#[test]
fn replies_without_words_say_what_they_cost_too() {
    let rows = [
        (
            Face::Embeddings,
            r#"{"model":"m","input":"?"}"#,
            r#"{"data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":1}}"#,
            Protocol::OpenAiChat,
        ),
        (
            Face::Rerank,
            r#"{"model":"m","query":"?","documents":["a"]}"#,
            r#"{"results":[{"index":0,"relevance_score":0.5}]}"#,
            Protocol::Cohere,
        ),
    ];
    for (face, body, reply, wire) in rows {
        check(&format!("{face:?}"), &written(&bridge(face, wire, body, false), reply));
    }
}

fn bridge(face: Face, wire: Protocol, body: &str, stream: bool) -> Bridge {
    let mut request = face.read_request(&outlined(body), "m", stream).expect("well formed");
    request.stream = stream;
    let provider = catalog::providers().iter().find(|provider| provider.protocol == wire);
    let provider = provider.unwrap_or(&catalog::providers()[0]);
    let target = Target { model: "m", quirks: &provider.quirks, max_output: Some(100) };
    cross(face, wire, &outlined(body), &request, provider, &target, &Fetched::default())
        .expect("can be said")
        .bridge
}

fn written(bridge: &Bridge, body: &str) -> String {
    let whole = bridge.read_whole(body.as_bytes(), &catalog::providers()[0].quirks).expect("a reply");
    String::from_utf8(bridge.write_whole(&whole, body.as_bytes(), &identity(), &bill())).expect("text")
}

/// A bill of one's own key: the fee is charged, and the provider is owed more than that.
fn bill() -> Bill {
    let (prompt_cost, completion_cost) = (Money::from_pico(300), Money::from_pico(700));
    let usage = Usage { input: 1, output: 1, ..Usage::default() };
    Bill {
        usage,
        cost: Money::from_pico(50),
        prompt_cost,
        completion_cost,
        is_byok: true,
        search_cost: Money::ZERO,
        metadata: None,
    }
}

/// The last object that says what the reply cost says all of it.
fn check(name: &str, text: &str) {
    let pieces: Vec<Value> = match serde_json::from_str(text) {
        Ok(whole) => vec![whole],
        Err(_) => text
            .lines()
            .filter_map(|line| serde_json::from_str(line.trim_start_matches("data: ")).ok())
            .collect(),
    };
    let found = pieces.iter().rev().find_map(|piece| with_member(piece, "cost"));
    let found = found.unwrap_or_else(|| panic!("{name}: no cost in {text}"));
    assert_eq!(found["cost"].to_string().parse::<f64>().unwrap(), 0.000_000_000_05, "{name}");
    assert_eq!(found["is_byok"], true, "{name}: {found}");
    let parts = found["cost_details"].as_object().unwrap_or_else(|| panic!("{name}: no details in {found}"));
    let values: Vec<f64> = parts.values().map(|part| part.to_string().parse().unwrap()).collect();
    assert!(values.contains(&0.000_000_001), "{name}: what the provider is owed: {found}");
}

fn with_member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) if members.contains_key(name) => Some(value),
        Value::Object(members) => members.values().find_map(|inner| with_member(inner, name)),
        Value::Array(items) => items.iter().rev().find_map(|inner| with_member(inner, name)),
        _ => None,
    }
}
