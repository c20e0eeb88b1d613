//! What holds for every translated stream, whoever reads and whoever writes it.

mod costs;
pub mod ends;

use crate::bill::for_prompt;
use crate::outlined;
use std::collections::BTreeSet;

use millrace::catalog::{self, Protocol};
use millrace::chat::{Facts, Identity, Quirks, Usage};
use millrace::error::{Cause, Failure};
use millrace::media::Fetched;
use millrace::money::Money;
use millrace::protocol::bridge::{Face, cross};
use millrace::protocol::lane::{Lane, Target, rename};

const REQUEST: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}]}"#;

/// A stream of Messages that says it ended to call a tool.
fn stream(blocks: &str) -> String {
    let frames = [
        r#"{"type":"message_start","message":{"id":"1","usage":{"input_tokens":9,"output_tokens":1}}}"#,
        blocks,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    frames.iter().flat_map(|frame| frame.lines()).map(|frame| format!("data: {frame}\n\n")).collect()
}

fn lane() -> Box<dyn Lane> {
    let provider = catalog::provider("anthropic").expect("a row of the catalog");
    let target = Target { model: "m", quirks: &Quirks::NONE, max_output: Some(99) };
    let request = Face::Chat.read_request(&outlined(REQUEST), "", true).expect("well formed");
    let wire = Protocol::AnthropicMessages;
    let crossing =
        cross(Face::Chat, wire, &outlined(REQUEST), &request, provider, &target, &Fetched::default());
    let identity = Identity {
        generation: "gen-1".into(),
        created: 1,
        model: "a/m".into(),
        provider: "Anthropic".into(),
    };
    crossing.expect("it can be said").bridge.lane(identity, Quirks::NONE)
}

fn play(pieces: impl Iterator<Item = u8>) -> (String, Facts) {
    let (mut lane, mut out) = (lane(), Vec::new());
    pieces.for_each(|byte| lane.read(&[byte], &mut out));
    lane.end_of_input(&mut out);
    let facts = lane.facts().clone();
    let cost = Money::ZERO;
    let usage = facts.usage.unwrap_or_default();
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

#[test]
fn many_tools_with_names_alike_get_names_of_their_own_in_time() {
    let long = "a".repeat(64);
    let own: Vec<String> = (0..3000).map(|number| format!("{long}{number}")).collect();
    let names = rename(own.iter().map(|own| (own.as_str(), false)), 64, |name| name.len() <= 64);
    let sent: BTreeSet<&str> = names.iter().map(|renamed| renamed.sent.as_str()).collect();
    assert_eq!(sent.len(), own.len());
    assert!(sent.iter().all(|name| name.len() <= 64));
}

#[test]
fn an_end_within_a_tool_call_is_no_end() {
    let open = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
    let half = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}"#;
    let (out, facts) = play(stream(&format!("{open}\n{half}")).bytes());
    assert_eq!(facts.fault.expect("a fault").message, "The provider ended the reply within a tool call.");
    assert_eq!((facts.finish, facts.finish_reason, facts.done), (None, None, false));
    assert_eq!(
        facts.usage,
        Some(Usage { input: 9, output: 5, ..Usage::default() }),
        "it is paid all the same"
    );
    assert!(out.contains(r#""finish_reason":"error""#), "{out}");
    assert!(!out.contains(r#""finish_reason":"tool_calls""#), "{out}");
}

#[test]
fn an_end_behind_a_tool_call_is_one() {
    let open = r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
    let (out, facts) = play(stream(open).bytes());
    assert_eq!(facts.fault, None);
    assert!(out.contains(r#""finish_reason":"tool_calls""#), "{out}");
}

#[test]
fn a_reason_to_finish_is_no_end_until_the_protocol_ends() {
    let text = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}"#;
    let whole = stream(text);
    let cut = whole.find("data: {\"type\":\"message_stop\"").expect("the last frame");
    let (_, facts) = play(whole.bytes().take(cut));
    assert_eq!((facts.finish, facts.finish_reason, facts.done), (None, None, false));
    let (_, facts) = play(whole.bytes());
    assert_eq!((facts.finish.as_deref(), facts.done), (Some("tool_use"), true));
}

#[test]
fn a_reply_finishes_once() {
    let twice = [
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"once"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let (out, _) = play(stream(&twice.join("\n")).into_bytes().into_iter());
    assert_eq!(out.matches("once").count(), 1, "{out}");
    // The last chunk repeats the finish beside the usage.
    let finishes = out.matches("\"finish_reason\":\"").count();
    assert_eq!(finishes, 2, "{out}");
}
