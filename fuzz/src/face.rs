//! Faces: any body is refused with a reason or crosses to every wire, in that wire's grammar.

use millrace::catalog::Protocol;
use millrace::chat::{ChatRequest, Quirks};
use millrace::error::Failure;
use millrace::json::{self, Outlined};
use millrace::media::Fetched;
use millrace::protocol::bridge::{Crossing, Face, cross};
use millrace::protocol::lane::Target;

use crate::check::{bounded, number, provider, show};
use crate::grammar;

pub const WIRES: [Protocol; 7] = [
    Protocol::OpenAiChat,
    Protocol::OpenAiResponses,
    Protocol::AnthropicMessages,
    Protocol::Gemini,
    Protocol::Cohere,
    Protocol::Bedrock,
    Protocol::Ollama,
];

/// How long a body is made whose lists repeat.
const GROWN: usize = 256 * 1024;

pub fn check(face: Face, data: &[u8]) {
    // Where the client keeps to its own grammar, so does the gateway to the provider's.
    check_body(face, data, grammar::check_own_request(face, data).is_ok());
    // Every list of a request may be long.
    if number(data).is_multiple_of(256)
        && let Some(grown) = grow(data)
    {
        check_body(face, grown.as_bytes(), false);
    }
}

fn check_body(face: Face, body: &[u8], is_sound: bool) {
    bounded(body.len(), || {
        let body = &Outlined::new(body.to_vec());
        match face.read_request(body, "models/gemini-2.5-flash", true) {
            Err(failure) => check_refusal(&failure),
            Ok(request) => {
                let check = |wire| check_crossing(face, wire, body, &request, is_sound);
                WIRES.into_iter().for_each(check);
            }
        }
    });
}

fn check_crossing(face: Face, wire: Protocol, body: &Outlined, request: &ChatRequest, is_sound: bool) {
    let crossing = match to_wire(face, wire, body, request) {
        Err(failure) => return check_refusal(&failure),
        Ok(crossing) => crossing,
    };
    let written = &crossing.body;
    assert!(serde_json::from_slice::<serde_json::Value>(written).is_ok(), "no JSON: {}", show(written));
    let losses: usize = crossing.bridge.losses().iter().map(String::len).sum();
    assert!(losses <= 4096 + 8 * body.bytes().len(), "{losses} bytes of losses");
    // What is spliced is the client's own word.
    if is_sound && is_translated(face, wire) {
        let checked = grammar::check_request(wire, written);
        assert_eq!(checked, Ok(()), "\n{face:?} -> {wire:?}: {}", show(written));
    }
}

/// The request as an endpoint that speaks `wire` gets it.
pub fn to_wire(
    face: Face,
    wire: Protocol,
    body: &Outlined,
    request: &ChatRequest,
) -> Result<Crossing, Failure> {
    let (provider, model) = provider(wire);
    let target = Target { model, quirks: &Quirks::NONE, max_output: Some(8192) };
    cross(face, wire, body, request, provider, &target, &Fetched::default())
}

pub fn is_translated(face: Face, wire: Protocol) -> bool {
    match (face, wire) {
        (Face::Chat, Protocol::OpenAiChat) | (Face::Responses, Protocol::OpenAiResponses) => false,
        (Face::Messages, Protocol::AnthropicMessages) | (Face::Gemini(_), Protocol::Gemini) => false,
        (Face::Embeddings | Face::Rerank, _) => false,
        (Face::Chat | Face::Completions | Face::Responses | Face::Messages | Face::Gemini(_), _) => true,
    }
}

/// A refusal is the client's fault and says why, shortly.
fn check_refusal(failure: &Failure) {
    assert!((400..500).contains(&failure.cause.status()), "{failure:?}");
    assert!(!failure.message.is_empty() && failure.message.len() < 2048, "{failure:?}");
}

/// The object with every list in it repeated until the whole is long.
fn grow(body: &[u8]) -> Option<String> {
    let members = json::members(std::str::from_utf8(body).ok()?).ok()?;
    let lists = members.iter().filter_map(|member| json::elements(member.value).ok());
    let bytes: usize = lists.map(|list| list.iter().map(|element| element.len() + 1).sum::<usize>()).sum();
    let times = GROWN.checked_div(bytes)?;
    let edit = |member: &json::Member<'_>| match json::elements(member.value) {
        Ok(list) if !list.is_empty() => {
            let list = vec![list.join(","); times].join(",");
            json::Edit::Value(format!("[{list}]"))
        }
        _ => json::Edit::Keep,
    };
    Some(members.edit(edit, &[]))
}
