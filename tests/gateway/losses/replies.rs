//! Nothing of a reply is dropped in silence either: each event, and each part of one, shows in the
//! bytes that a face writes, streamed and whole, or the face names the loss. Told by the
//! difference that it makes.

use crate::bill::for_prompt;
use crate::outlined;
use millrace::catalog::{self, Protocol};
use millrace::chat::conversation::{Issuer, ReasoningKind, Seal};
use millrace::chat::{Bill, Citation, Event, Facts, Finish, Quirks, Usage};
use millrace::media::Fetched;
use millrace::money::Money;
use millrace::protocol::bridge::{Bridge, Face, cross};
use millrace::protocol::gemini::Framing;
use millrace::protocol::lane::Target;

use crate::grid::identity;
use crate::grid::rows::faces;

/// A name, what is said, and what is said without it, both before the end.
type Case = (&'static str, Vec<Event>, Vec<Event>);

fn text(text: &str) -> Event {
    Event::Text(text.into())
}

fn seal() -> Seal {
    Seal { issuer: Issuer::OpenAi, data: "sealed".into(), id: Some("rs_1".into()) }
}

fn call(id: &str, custom: bool, seal: Option<Seal>, arguments: &str) -> Vec<Event> {
    let open = Event::ToolCall { call: 0, id: id.into(), name: "f".into(), custom, seal };
    vec![open, Event::Arguments { call: 0, text: arguments.into() }, Event::ToolCallEnd { call: 0 }]
}

fn cited(change: impl Fn(&mut Citation)) -> Vec<Event> {
    let mut citation = Citation { url: "https://a.b".into(), ..Citation::default() };
    change(&mut citation);
    vec![text("words"), Event::Citation(citation)]
}

fn placed(citation: &mut Citation) {
    (citation.start, citation.end) = (Some(1), Some(3));
}

fn cases() -> Vec<Case> {
    let thought = |text: &str| Event::Reasoning { text: text.into(), kind: ReasoningKind::Full };
    let image = Event::Image { url: "data:image/png;base64,AAAA".into() };
    let plain = || cited(|_| {});
    vec![
        ("text", vec![text("a")], vec![text("b")]),
        ("reasoning", vec![thought("t"), text("a")], vec![text("a")]),
        (
            "seal",
            vec![thought("t"), Event::Seal { seal: seal(), hidden: false }, text("a")],
            vec![thought("t"), text("a")],
        ),
        ("hidden seal", vec![Event::Seal { seal: seal(), hidden: true }, text("a")], vec![text("a")]),
        ("tool call", call("c1", false, None, "{}"), vec![]),
        ("id of a call", call("c1", false, None, "{}"), call("c2", false, None, "{}")),
        ("custom call", call("c1", true, None, "x"), call("c1", false, None, r#"{"y":1}"#)),
        ("arguments", call("c1", false, None, r#"{"a":1}"#), call("c1", false, None, "{}")),
        ("seal of a call", call("c1", false, Some(seal()), "{}"), call("c1", false, None, "{}")),
        ("refusal", vec![Event::Refusal("no".into())], vec![]),
        ("image", vec![text("a"), image], vec![text("a")]),
        ("citation", plain(), vec![text("words")]),
        ("title of a citation", cited(|it| it.title = Some("t".into())), plain()),
        ("words of a citation", cited(|it| it.content = Some("c".into())), plain()),
        ("place of a citation", cited(placed), plain()),
    ]
}

/// That tools were called, the calls say.
const REASONS: [(&str, Finish); 5] = [
    ("stop_sequence", Finish::StopSequence),
    ("max_tokens", Finish::Length),
    ("content_filter", Finish::ContentFilter),
    ("refusal", Finish::Refusal),
    ("pause_turn", Finish::Pause),
];

#[test]
fn every_event_is_said_or_lost_by_every_face() {
    let end = |reason, native: &str| Event::Finish { reason, native: native.into() };
    let mut all: Vec<Case> = cases();
    for (_, with, without) in &mut all {
        with.push(end(Finish::Stop, "stop"));
        without.push(end(Finish::Stop, "stop"));
    }
    for (native, reason) in REASONS {
        let said = |event: Event| vec![text("a"), event];
        all.push((native, said(end(reason, native)), said(end(Finish::Stop, "stop"))));
    }
    let mut wrong = Vec::new();
    for face in faces() {
        for (name, with, without) in &all {
            let writer = (face.writer)(identity());
            let lost =
                with.iter().filter(|event| !without.contains(event)).any(|it| writer.loss(it).is_some());
            let streamed = |events: &[Event]| {
                let (mut writer, mut out) = ((face.writer)(identity()), Vec::new());
                events.iter().for_each(|event| writer.write(event, &mut out));
                writer.write_end(&bill(), &mut out);
                out
            };
            let whole =
                |events: &[Event]| (face.write_whole)(events, &Facts::default(), &identity(), &bill());
            if !lost && (streamed(with) == streamed(without) || whole(with) == whole(without)) {
                wrong.push(format!("{}: {name}", face.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are dropped in silence:\n{}", wrong.len(), wrong.join("\n"));
}

fn bill() -> Bill {
    let (usage, cost) = (Usage::default(), Money::ZERO);
    for_prompt(usage, cost)
}

/// A bridge to a Cohere that thinks aloud, whatever it was asked.
fn bridge(face: Face, request: &str) -> Bridge {
    let read = face.read_request(&outlined(request), "a/m", false).expect("a good request");
    let provider = catalog::provider("cohere").expect("a row of the catalog");
    let target = Target { model: "command-a-reasoning", quirks: &Quirks::NONE, max_output: Some(8192) };
    let crossing =
        cross(face, Protocol::Cohere, &outlined(request), &read, provider, &target, &Fetched::default());
    crossing.expect("it can be said").bridge
}

const THINKS: &str = r#"{"id":"1","finish_reason":"COMPLETE","message":{"role":"assistant","content":[
    {"type":"thinking","thinking":"secret"},{"type":"text","text":"aloud"}]},
    "logprobs":[{"token_ids":[1],"text":"a","logprobs":[-1]}]}"#;

fn whole(face: Face, request: &str) -> (String, Vec<String>) {
    let bridge = bridge(face, request);
    let whole = bridge.read_whole(THINKS.as_bytes(), &Quirks::NONE).unwrap_or_else(|_| panic!("a reply"));
    let out = bridge.write_whole(&whole, THINKS.as_bytes(), &identity(), &bill());
    (String::from_utf8(out).expect("text"), whole.losses().to_vec())
}

fn streamed(face: Face, request: &str) -> (String, Vec<String>) {
    let frames = [
        r#"{"type":"message-start","id":"1"}"#,
        r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":"secret"}}}}"#,
        r#"{"type":"content-start","index":1,"logprobs":{"text":"a"},"delta":{"message":{"content":{"type":"text","text":"aloud"}}}}"#,
        r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#,
    ];
    let (mut lane, mut out) = (bridge(face, request).lane(identity(), Quirks::NONE), Vec::new());
    for frame in frames {
        lane.read(format!("data: {frame}\n\n").as_bytes(), &mut out);
    }
    lane.write_end(&bill(), &mut out);
    (String::from_utf8(out).expect("text"), lane.losses())
}

#[test]
fn what_a_client_does_not_want_to_see_is_not_shown_whoever_says_it() {
    let chat = r#"{"messages":[{"role":"user","content":"a"}],"reasoning":{"effort":"low""#;
    let thinking =
        r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":9,"thinking":{"type":"adaptive""#;
    let gemini =
        r#"{"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"thinkingConfig":{"thinkingBudget":9"#;
    let rows = [
        (Face::Chat, format!("{chat},\"exclude\":true}}}}"), format!("{chat}}}}}")),
        (
            Face::Completions,
            r#"{"prompt":"a","reasoning":{"exclude":true}}"#.to_owned(),
            r#"{"prompt":"a"}"#.to_owned(),
        ),
        (
            Face::Responses,
            r#"{"input":"a","reasoning":{"effort":"low","exclude":true}}"#.to_owned(),
            r#"{"input":"a"}"#.to_owned(),
        ),
        (Face::Messages, format!("{thinking},\"display\":\"omitted\"}}}}"), format!("{thinking}}}}}")),
        (
            Face::Gemini(Framing::Sse),
            format!("{gemini}}}}}}}"),
            format!("{gemini},\"includeThoughts\":true}}}}}}"),
        ),
    ];
    for (face, hidden, shown) in rows {
        for play in [whole, streamed] {
            let (out, losses) = play(face, &hidden);
            assert!(out.contains("aloud") && !out.contains("secret"), "{face:?}: {out}");
            assert_eq!(losses, ["reply.logprobs: no other protocol's"], "{face:?}");
            let (out, _) = play(face, &shown);
            assert!(out.contains("aloud") && out.contains("secret"), "{face:?}: {out}");
        }
    }
}
