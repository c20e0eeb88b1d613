//! Which calls of tools count as a model's errors: by each client's way to declare tools, in replies
//! of each way to carry them.

use crate::outlined;
use millrace::protocol::bridge::Face;
use millrace::protocol::calls::{Call, fit};

use super::exchange::play::Play;

const SCHEMA: &str = r#"{"type":"object","required":["city"],"properties":{"city":{"type":"string"},"unit":{"enum":["C","F"]},"days":{"type":["integer","null"]},"where":{"type":"object"},"tags":{"type":"array"},"fine":{"type":"boolean"},"any":{"$ref":"/x"},"least":{"type":"number"}}}"#;

#[test]
fn arguments_are_held_against_the_top_of_their_schema() {
    let table = [
        (r#"{"city":"Bonn"}"#, true),
        (r#"{"city":"Bonn","unit":"C","days":3,"where":{},"tags":[],"fine":true,"least":-1.5}"#, true),
        (r#"{"city":"Bonn","unit":"\u0043","days":null,"any":7,"more":[1]}"#, true),
        (r#"{"city":"Bonn","days":3.0}"#, true),
        (r#"{"city":"Bonn","days":3.5}"#, false),
        (r#"{"city":"Bonn","days":"3"}"#, false),
        (r#"{"city":"Bonn","unit":"K"}"#, false),
        (r#"{"city":"Bonn","where":"here"}"#, false),
        (r#"{"city":"Bonn","fine":"true"}"#, false),
        (r#"{"city":7}"#, false),
        (r#"{"town":"Bonn"}"#, false),
        (r#"["Bonn"]"#, false),
        (r#"{"city":"Bonn""#, false),
        ("Bonn", false),
        ("", false),
    ];
    let ways = [
        format!(r#"[{{"type":"function","function":{{"name":"f","parameters":{SCHEMA}}}}}]"#),
        format!(r#"[{{"type":"function","name":"f","parameters":{SCHEMA}}}]"#),
        format!(r#"[{{"name":"f","input_schema":{SCHEMA}}}]"#),
        format!(
            r#"[{{"functionDeclarations":[{{"name":"f","parameters":{}}}]}}]"#,
            SCHEMA.replace("\"string\"", "\"STRING\"")
        ),
    ];
    for tools in &ways {
        for (arguments, good) in table {
            assert_eq!(judged(tools, "f", arguments), good, "{tools} {arguments}");
        }
    }
}

#[test]
fn what_cannot_be_told_is_no_fault() {
    let table = [
        (r#"[{"type":"function","function":{"name":"g"}}]"#, "", true),
        (r#"[{"type":"function","function":{"name":"g"}}]"#, r#"{"a":1}"#, true),
        (r#"[{"type":"function","function":{"name":"g"}}]"#, "a", false),
        (r#"[{"type":"function","function":{"name":"h"}}]"#, "{}", false),
        (r#"[{"type":"function","name":"h"},{"type":"web_search"}]"#, "{}", true),
        (r#"[{"type":"namespace","name":"n","tools":[]}]"#, "{}", true),
        ("[]", "{}", false),
        ("7", "{}", true),
    ];
    for (tools, arguments, good) in table {
        assert_eq!(judged(tools, "g", arguments), good, "{tools} {arguments}");
    }
    assert!(fit(&outlined(b"\xff"), &[Call { name: "g".into(), arguments: "a".into() }]));
    assert!(fit(&outlined(br#"{"tools":[]}"#), &[]));
}

fn judged(tools: &str, name: &str, arguments: &str) -> bool {
    let call = Call { name: name.to_owned(), arguments: arguments.to_owned() };
    fit(&outlined(format!(r#"{{"tools":{tools}}}"#)), &[call])
}

/// What health hears of a call with these arguments: by a face, whole or streamed, from a provider.
#[test]
fn health_hears_of_calls_that_the_tools_do_not_take() {
    let good = "{\\\"city\\\":\\\"Bonn\\\"}";
    let bad = "{\\\"town\\\":\\\"Bonn\\\"}";
    for (arguments, called, malformed) in [(good, 1, 0), (bad, 0, 1)] {
        let told = format!("called: {called}, malformed: {malformed}");
        for (way, mut play) in [whole(arguments), translated(arguments), spliced(arguments)] {
            let news = play.steps().join(" ") + &play.news().join(" ");
            assert!(news.contains(&told), "{way} {arguments}: {news}");
            assert!(!play.log().contains("Bonn"), "no argument is logged");
        }
    }
}

const ASK: &str = r#""max_tokens":99,"messages":[{"role":"user","content":"x"}]"#;

fn chat_tools() -> String {
    format!(r#""tools":[{{"type":"function","function":{{"name":"f","parameters":{SCHEMA}}}}}]"#)
}

fn whole(arguments: &str) -> (&'static str, Play) {
    let body = format!(r#"{{"model":"openai/gpt-4.1-mini",{},{ASK}}}"#, chat_tools());
    let mut play = Play::asking(Face::Chat, &body, &[("OPENAI_API_KEY", "key")]);
    let call =
        format!(r#"{{"id":"c","type":"function","function":{{"name":"f","arguments":"{arguments}"}}}}"#);
    let reply = format!(
        r#"{{"choices":[{{"index":0,"finish_reason":"tool_calls","message":{{"role":"assistant","content":null,"tool_calls":[{call}]}}}}],"usage":{{"prompt_tokens":9,"completion_tokens":9}}}}"#
    );
    play.held().skip().head(200).chunk(&reply).end();
    ("whole", play)
}

fn translated(arguments: &str) -> (&'static str, Play) {
    let body = format!(r#"{{"model":"anthropic/claude-sonnet-4.5","stream":true,{},{ASK}}}"#, chat_tools());
    let mut play = Play::of(body, &[("ANTHROPIC_API_KEY", "key")], false);
    play.held().skip().head(200).chunk(&events(arguments)).end();
    ("translated", play)
}

fn spliced(arguments: &str) -> (&'static str, Play) {
    let tools = format!(r#""tools":[{{"name":"f","input_schema":{SCHEMA}}}]"#);
    let body = format!(r#"{{"model":"anthropic/claude-sonnet-4.5","stream":true,{tools},{ASK}}}"#);
    let mut play = Play::asking(Face::Messages, &body, &[("ANTHROPIC_API_KEY", "key")]);
    play.held().skip().head(200).chunk(&events(arguments)).end();
    ("spliced", play)
}

fn events(arguments: &str) -> String {
    let (first, rest) = arguments.split_at(9);
    let delta = |text: &str| {
        format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":"{text}"}}}}"#
        )
    };
    let events = [
        r#"{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#.to_owned(),
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#.to_owned(),
        delta(first),
        delta(rest),
        r#"{"type":"content_block_stop","index":0}"#.to_owned(),
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#.to_owned(),
        r#"{"type":"message_stop"}"#.to_owned(),
    ];
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}
