//! Sessions: what names them, and what an isolate remembers of them.

use crate::outlined;
use std::time::Duration;

use millrace::protocol::bridge::Face;
use millrace::protocol::gemini::Framing;
use millrace::routing::sticky::{Names, Pin, Pins, Session};
use proptest::prelude::*;

use super::market::NOW;

#[test]
fn the_first_name_counts_and_sessions_do_not_mix() {
    let all = Names { body: Some("b"), header: Some("h"), cache_key: Some("c"), opening: Some(7) };
    let of =
        |names: Names<'_>| Session::of("account", "x/m", &names).map(|session| (session.hash, session.named));
    let body = of(Names { body: Some("b"), ..Names::default() });
    assert_eq!(of(all), body);
    assert_eq!(of(Names { body: None, ..all }), of(Names { header: Some("h"), ..Names::default() }));
    assert_eq!(
        of(Names { body: None, header: None, ..all }),
        of(Names { cache_key: Some("c"), ..Names::default() })
    );
    let opening = of(Names { opening: Some(7), ..Names::default() });
    assert!(matches!(opening, Some((_, false))) && matches!(body, Some((_, true))));
    assert_eq!(of(Names::default()), None);
    let named = |account, model| Session::of(account, model, &all).map(|session| session.hash);
    assert_ne!(named("one", "x/m"), named("two", "x/m"));
    assert_ne!(named("one", "x/m"), named("one", "x/n"));
}

/// Each later turn of a conversation has the hash of its first; another conversation has another.
#[test]
fn a_conversation_is_known_by_how_it_begins() {
    let sse = Face::Gemini(Framing::Sse);
    for (face, first, later, other) in [
        (
            Face::Chat,
            r#"{"messages":[{"role":"system","content":"S"},{"role":"user","content":"hi"}]}"#,
            r#"{"temperature":1,"messages":[{"role":"system","content":"S"},{"content":"hi","role":"user"},{"role":"assistant","content":"yes"},{"role":"user","content":"more"}]}"#,
            r#"{"messages":[{"role":"system","content":"S"},{"role":"user","content":"ho"}]}"#,
        ),
        (
            Face::Messages,
            r#"{"max_tokens":9,"system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]}"#,
            r#"{"max_tokens":9,"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]},{"role":"assistant","content":"a"},{"role":"user","content":"b"}]}"#,
            r#"{"max_tokens":9,"system":"T","messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#,
        ),
        (
            Face::Responses,
            r#"{"instructions":"S","input":[{"role":"user","content":"hi"}]}"#,
            r#"{"instructions":"S","input":[{"role":"user","content":"hi"},{"role":"assistant","content":"a"},{"role":"user","content":"b"}]}"#,
            r#"{"instructions":"S","input":"hi there"}"#,
        ),
        (
            sse,
            r#"{"systemInstruction":{"parts":[{"text":"S"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
            r#"{"system_instruction":{"parts":[{"text":"S"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"a"}]},{"role":"user","parts":[{"text":"b"}]}]}"#,
            r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#,
        ),
    ] {
        let opening = |body: &str| face.read_request(&outlined(body), "m", false).expect(body).asks.opening;
        assert!(opening(first).is_some(), "{face:?}");
        assert_eq!(opening(first), opening(later), "{face:?}");
        assert_ne!(opening(first), opening(other), "{face:?}");
    }
}

#[test]
fn what_a_request_asks_is_read_on_every_face() {
    let claude = r#"{"max_tokens":9,"speed":"fast","metadata":{"user_id":"user_a_account__session_1"},"messages":[{"role":"user","content":"a"}]}"#;
    let asks = Face::Messages.read_request(&outlined(claude), "", false).unwrap().asks;
    assert_eq!(asks.service_tier.as_deref(), Some("fast"));
    assert_eq!(asks.prompt_cache_key.as_deref(), Some("user_a_account__session_1"));
    let codex = r#"{"input":"a","service_tier":"flex","prompt_cache_key":"k","plugins":[{"id":"auto-router","cost_tier":"high"},{"id":"web","enabled":false}]}"#;
    let asks = Face::Responses.read_request(&outlined(codex), "", false).unwrap().asks;
    assert_eq!((asks.service_tier.as_deref(), asks.prompt_cache_key.as_deref()), (Some("flex"), Some("k")));
    assert!(asks.plugins.is_some_and(|plugins| plugins.contains("cost_tier")));
}

fn pin(tag: &str) -> Pin {
    Pin { model: "x/m".into(), tag: tag.into() }
}

#[test]
fn a_session_is_remembered_as_long_as_its_cache_is_kept() {
    let after = |seconds| NOW.plus(Duration::from_secs(seconds));
    let mut pins = Pins::default();
    pins.note(1, pin("a"), false, NOW);
    assert_eq!(pins.get(1, after(599)), Some(&pin("a")));
    assert_eq!(pins.get(1, after(600)), None);
    // Each reply starts the time anew.
    pins.note(1, pin("a"), false, after(500));
    assert_eq!(pins.get(1, after(1099)), Some(&pin("a")));
    // An hour's cache is not forgotten because the next reply wrote a shorter one.
    pins.note(1, pin("a"), true, after(600));
    pins.note(1, pin("a"), false, after(700));
    assert_eq!(pins.get(1, after(4199)), Some(&pin("a")));
    // Another endpoint has its own cache.
    pins.note(1, pin("b"), false, after(800));
    assert_eq!((pins.get(1, after(1399)), pins.get(1, after(1400))), (Some(&pin("b")), None));
}

proptest! {
    #[test]
    fn what_is_remembered_is_bounded_and_keeps_the_newest(count in 4000u64..9000, step in 0u64..50) {
        let mut pins = Pins::default();
        for session in 0..count {
            pins.note(session, pin("a"), session % 7 == 0, NOW.plus(Duration::from_millis(session * step)));
        }
        prop_assert!(pins.len() <= 4096);
        let now = NOW.plus(Duration::from_millis(count * step));
        let kept = (count - 400..count).filter(|session| pins.get(*session, now).is_some()).count();
        // Without time between them none is newer than another.
        prop_assert!(step == 0 || kept == 400, "{} of the last 400", kept);
    }
}

/// The same request is the same bytes at every provider, or its cache would never be met.
#[test]
fn the_same_request_is_sent_as_the_same_bytes() {
    use millrace::catalog::Protocol;
    use millrace::protocol::bridge::cross;
    use millrace::protocol::lane::Target;
    const TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"look up!","description":"d","parameters":{"type":"object","properties":{"b":{"type":"string"},"a":{"type":"number"}}}}},{"type":"function","function":{"name":"f","parameters":{}}}]"#;
    let chat = format!(
        r#"{{"model":"m",{TOOLS},"response_format":{{"type":"json_object"}},"temperature":0.5,"messages":[{{"role":"system","content":"S"}},{{"role":"user","content":[{{"type":"text","text":"hi"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,AAAA"}}}}]}},{{"role":"assistant","content":null,"tool_calls":[{{"id":"call_1","type":"function","function":{{"name":"look up!","arguments":"{{\"b\":\"x\"}}"}}}}]}},{{"role":"tool","tool_call_id":"call_1","content":"found"}}]}}"#
    );
    let messages = r#"{"model":"m","max_tokens":99,"system":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}],"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"x"}]}]}"#;
    let responses = r#"{"model":"m","instructions":"S","input":[{"role":"user","content":"hi"},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}"#;
    let gemini = r#"{"systemInstruction":{"parts":[{"text":"S"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"a":1}}}]}]}"#;
    let wires = [
        Protocol::OpenAiChat,
        Protocol::OpenAiResponses,
        Protocol::AnthropicMessages,
        Protocol::Gemini,
        Protocol::Cohere,
        Protocol::Bedrock,
        Protocol::Ollama,
    ];
    let mut crossed = 0;
    for (face, body) in [
        (Face::Chat, chat.as_str()),
        (Face::Messages, messages),
        (Face::Responses, responses),
        (Face::Gemini(Framing::Sse), gemini),
    ] {
        let request = face.read_request(&outlined(body), "m", true).unwrap();
        for wire in wires {
            let providers = millrace::catalog::providers();
            let provider = providers.iter().find(|one| one.protocol == wire).unwrap_or(&providers[0]);
            let target = Target { model: "m", quirks: &provider.quirks, max_output: Some(1000) };
            let send = || {
                cross(face, wire, &outlined(body), &request, provider, &target, &Default::default())
                    .map(|crossing| crossing.body)
            };
            match (send(), send()) {
                (Ok(one), Ok(other)) => {
                    assert_eq!(String::from_utf8(one), String::from_utf8(other), "{face:?} to {wire:?}");
                    crossed += 1;
                }
                (Err(_), Err(_)) => {}
                _ => panic!("{face:?} to {wire:?} is decided by chance"),
            }
        }
    }
    assert!(crossed >= 20, "{crossed} of 28");
}
