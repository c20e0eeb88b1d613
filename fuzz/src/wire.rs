//! Wires: whatever a provider sends, each client gets its own grammar, the same however the bytes
//! were cut, and never the end of what has not ended.

use millrace::catalog::Protocol;
use millrace::chat::{Facts, Quirks};
use millrace::error::{Cause, Failure};
use millrace::json::Outlined;
use millrace::protocol::bedrock::crc32;
use millrace::protocol::bridge::{Bridge, Face};
use millrace::protocol::gemini::Framing;

use crate::check::{bill, bounded, identity, number, pieces, show};
use crate::face::{is_translated, to_wire};
use crate::grammar;

const FACES: [Face; 6] = [
    Face::Chat,
    Face::Completions,
    Face::Responses,
    Face::Messages,
    Face::Gemini(Framing::Sse),
    Face::Gemini(Framing::Array),
];

/// How long a stream is made that repeats itself.
const GROWN: usize = 256 * 1024;

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Played {
    out: Vec<u8>,
    facts: Facts,
    whole: bool,
}

pub fn check(wire: Protocol, data: &[u8]) {
    for face in FACES {
        let bridge = bridge(face, wire, request(face));
        check_stream(face, wire, &bridge, data);
        check_whole(face, wire, &bridge, data);
    }
    if number(data).is_multiple_of(256) && !data.is_empty() {
        let grown = data.repeat(GROWN.div_ceil(data.len()));
        let face = FACES[(number(data) / 256) as usize % FACES.len()];
        let bridge = bridge(face, wire, request(face));
        bounded(grown.len(), || drop(play(&bridge, pieces(&grown))));
    }
}

/// Checksums are beyond what mutation finds: lines like `messageStart {…}` become sound frames.
/// What begins with a zero, as frames do, is taken as it is.
pub fn check_bedrock(data: &[u8]) {
    match data.first() {
        Some(0 | b'{') => check(Protocol::Bedrock, data),
        _ => check(Protocol::Bedrock, &frames(data)),
    }
}

/// Replies with embeddings or ranks, as every provider words them.
pub fn check_vectors(data: &[u8]) {
    for wire in [Protocol::OpenAiChat, Protocol::Gemini, Protocol::Cohere] {
        for (face, body) in [(Face::Embeddings, FLOATS), (Face::Embeddings, BASE64), (Face::Rerank, RANKS)] {
            let bridge = bridge(face, wire, body);
            bounded(data.len(), || drop(bridge.read_error(None, data)));
            let Ok(whole) = bridge.read_whole(data, &Quirks::NONE) else { continue };
            let out = bridge.write_whole(&whole, data, &identity(), &bill(whole.facts()));
            let checked = match face {
                Face::Rerank => grammar::rerank::check_whole(&out, 2),
                _ => grammar::embeddings::check_whole(&out, body == BASE64, 2),
            };
            assert_eq!(checked, Ok(()), "\n{wire:?} -> {face:?}: {}", show(&out));
        }
    }
}

fn check_stream(face: Face, wire: Protocol, bridge: &Bridge, data: &[u8]) {
    let mut played = None;
    bounded(data.len(), || played = Some(play(bridge, vec![data])));
    let played = played.expect("it was played");
    let cut = play(bridge, pieces(data));
    assert!(played == cut, "\n{wire:?} -> {face:?}: cut\n{played:?}\nis\n{cut:?}");
    assert!(!played.whole || played.facts.finish.is_some() || played.facts.done, "{:?}", played.facts);
    // What has not begun is answered as a whole, by the exchange; what is spliced is as good as
    // it came.
    if !played.facts.began || !is_translated(face, wire) {
        return;
    }
    let checked = tolerant(grammar::check_stream(face, &played.out));
    assert_eq!(checked, Ok(()), "\n{wire:?} -> {face:?}: {}", show(&played.out));
    // What a model left unfinished of a call is an error only to those who look into it.
    let within_a_call = |message: &str| message.ends_with("within a tool call.");
    let sound = read_again(face, &played.out).is_none_or(|again| match again.fault {
        None => played.whole,
        // `[DONE]` without a reason to finish is told as each face can.
        Some(fault) => !played.whole || played.facts.finish.is_none() || within_a_call(&fault.message),
    });
    assert!(sound, "\n{wire:?} -> {face:?}: {} is not {}", show(&played.out), played.whole);
}

fn check_whole(face: Face, wire: Protocol, bridge: &Bridge, data: &[u8]) {
    let mut read = None;
    bounded(data.len(), || {
        bridge.read_error(None, data);
        bridge.retry_after_s(data);
        read = bridge.read_whole(data, &Quirks::NONE).ok();
    });
    let Some(whole) = read else { return };
    let out = bridge.write_whole(&whole, data, &identity(), &bill(whole.facts()));
    let is_json = serde_json::from_slice::<serde_json::Value>(&out).is_ok();
    assert!(is_json, "\n{wire:?} -> {face:?}: {}", show(&out));
    if is_translated(face, wire) {
        let checked = tolerant(grammar::check_whole(face, &out));
        assert_eq!(checked, Ok(()), "\n{wire:?} -> {face:?}: {}", show(&out));
    }
}

const EMPTY: [&str; 3] = ["the arguments of a function", "\"name\":\"\"", "\"id\":\"\""];

/// A provider that leaves the name or the id of a call empty, or vouches for arguments that are no
/// JSON, is taken at its word.
fn tolerant(checked: grammar::Checked) -> grammar::Checked {
    let theirs = ["name", "arguments", "id", "half a call that is completed"];
    let is_theirs = |error: &str| {
        theirs.iter().any(|word| error.starts_with(word)) || EMPTY.iter().any(|word| error.contains(word))
    };
    checked.or_else(|error| if is_theirs(&error) { Ok(()) } else { Err(error) })
}

/// Plays a stream as the exchange does, to its end.
fn play(bridge: &Bridge, pieces: Vec<&[u8]>) -> Played {
    let mut lane = bridge.lane(identity(), Quirks::NONE);
    let mut out = Vec::new();
    pieces.into_iter().for_each(|piece| lane.read(piece, &mut out));
    lane.end_of_input(&mut out);
    let facts = lane.facts().clone();
    let whole = facts.fault.is_none() && (facts.finish.is_some() || facts.done);
    match whole {
        true => lane.write_end(&bill(&facts), &mut out),
        false => {
            let failure = Failure::new(Cause::ProviderUnavailable, "The provider broke off.");
            lane.write_error(&failure, Some(&bill(&facts)), &mut out);
        }
    }
    Played { out, facts, whole }
}

/// What a client of the face takes from a stream; `None` for those that are read nowhere here.
fn read_again(face: Face, out: &[u8]) -> Option<Facts> {
    let wire = match face {
        Face::Chat => Protocol::OpenAiChat,
        Face::Responses => Protocol::OpenAiResponses,
        Face::Messages => Protocol::AnthropicMessages,
        Face::Gemini(Framing::Sse) => Protocol::Gemini,
        Face::Completions | Face::Gemini(Framing::Array) | Face::Embeddings | Face::Rerank => return None,
    };
    let bridge = bridge(Face::Completions, wire, request(Face::Completions));
    let mut lane = bridge.lane(identity(), Quirks::NONE);
    let mut ignored = Vec::new();
    lane.read(out, &mut ignored);
    lane.end_of_input(&mut ignored);
    Some(lane.facts().clone())
}

fn bridge(face: Face, wire: Protocol, body: &str) -> Bridge {
    let body = Outlined::new(body.into());
    let request = face.read_request(&body, "gemini-2.5-flash", true).expect("a sound request");
    to_wire(face, wire, &body, &request).expect("a request that every wire can say").bridge
}

/// A request with a tool whose name no provider takes.
fn request(face: Face) -> &'static str {
    match face {
        Face::Chat | Face::Embeddings | Face::Rerank => {
            r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"a"}],"tools":[
            {"type":"function","function":{"name":"get weather","parameters":{"type":"object"}}},
            {"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}"#
        }
        Face::Completions => r#"{"model":"m","stream":true,"prompt":"a"}"#,
        Face::Responses => {
            r#"{"model":"m","stream":true,"input":"a","tools":[
            {"type":"function","name":"f","parameters":{"type":"object"}},{"type":"custom","name":"patch"}]}"#
        }
        Face::Messages => {
            r#"{"model":"m","stream":true,"max_tokens":99,"messages":[{"role":"user","content":"a"}],
            "tools":[{"name":"f","input_schema":{"type":"object"}}]}"#
        }
        Face::Gemini(_) => r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}]}"#,
    }
}

const FLOATS: &str = r#"{"model":"m","input":["a","b"],"encoding_format":"float"}"#;
const BASE64: &str = r#"{"model":"m","input":["a","b"],"encoding_format":"base64"}"#;
const RANKS: &str = r#"{"model":"m","query":"q","documents":["a","b"]}"#;

/// A frame for each line: the type of its event, a blank, its payload. `!` makes it an exception.
fn frames(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let blank = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let (name, payload) = line.split_at(blank);
        let (kind, name_header, name) = match name.strip_prefix(b"!") {
            Some(name) => (&b"exception"[..], &b":exception-type"[..], name),
            None => (&b"event"[..], &b":event-type"[..], name),
        };
        let mut head = Vec::new();
        header(b":message-type", kind, &mut head);
        header(name_header, name, &mut head);
        frame(&head, payload, &mut out);
    }
    out
}

fn header(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let value = &value[..value.len().min(1000)];
    out.push(name.len() as u8);
    out.extend_from_slice(name);
    out.push(7);
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
}

fn frame(head: &[u8], payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&((head.len() + payload.len() + 16) as u32).to_be_bytes());
    out.extend_from_slice(&(head.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32(&out[start..]).to_be_bytes());
    out.extend_from_slice(head);
    out.extend_from_slice(payload);
    let checksum = crc32(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}
