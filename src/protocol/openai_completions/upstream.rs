//! The request as a provider gets it: the client's bytes with the few members changed that the
//! gateway owns.

use crate::chat::StreamUsage;
use crate::json::{self, Edit, Member, Members, Outlined};
use crate::protocol::fields::{accepted, is_hollow, note_stream_options, unheeded};
use crate::protocol::lane::{Target, Written};
use crate::protocol::openai_wire::stream_options;

/// Members that speak to the gateway. No provider gets them.
const OWN: &[&str] = &[
    "models",
    "route",
    "provider",
    "preset",
    "plugins",
    "transforms",
    // Usage is always reported.
    "usage",
    "session_id",
    "trace",
    "debug",
    // Completions are text from the first token on: there is no reasoning to steer.
    "reasoning",
    "include_reasoning",
];

/// Of them those that the gateway does not heed.
pub(super) const UNHEEDED: &[&str] = &["trace", "debug"];

/// Writes the request for a provider. `body` is one that `read_request` accepted.
pub fn splice_request(body: &Outlined, target: &Target<'_>) -> Written {
    let request = accepted(body);
    let streams = request.get("stream").and_then(json::boolean) == Some(true);
    let ask = streams && target.quirks.stream_usage == StreamUsage::Ask;
    let model = json::quote(target.model);
    let limits: Vec<u64> = ["max_tokens", "max_completion_tokens"]
        .iter()
        .filter_map(|key| request.value(key).and_then(json::whole))
        .collect();
    let smaller = limits.iter().min().map(u64::to_string);
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "model" => Edit::Value(model.clone()),
        "stream_options" if ask => Edit::Value(stream_options(member.value)),
        "stream_options" => Edit::Drop,
        "max_tokens" if limits.len() == 2 => smaller.clone().map_or(Edit::Keep, Edit::Value),
        // A name that came with chat.
        "max_completion_tokens" if limits.len() == 1 && request.value("max_tokens").is_none() => {
            smaller.clone().map_or(Edit::Drop, |limit| Edit::Member(format!("\"max_tokens\":{limit}")))
        }
        "max_completion_tokens" => Edit::Drop,
        "max_tokens" if json::is_null(member.value) => Edit::Drop,
        key if OWN.contains(&key) => Edit::Drop,
        _ => Edit::Keep,
    };
    let mut more = Vec::new();
    if !request.has("model") {
        more.push(format!("\"model\":{model}"));
    }
    if ask && !request.has("stream_options") {
        more.push(format!("\"stream_options\":{}", stream_options("null")));
    }
    Written {
        body: request.edit(edit, &more).into_bytes(),
        losses: losses(&request, ask),
        ..Written::default()
    }
}

fn losses(request: &Members<'_>, ask: bool) -> Vec<String> {
    let mut losses = unheeded(request, UNHEEDED);
    let given = |name: &&str| request.value(name).is_some_and(|value| !is_hollow(value));
    let given = ["reasoning", "include_reasoning"].into_iter().filter(given);
    losses.extend(given.map(|name| format!("{name}: completions are text from the first token on")));
    let mut unspoken = Vec::new();
    if !ask {
        note_stream_options(request, &mut unspoken);
    }
    losses.extend(unspoken.into_iter().map(|path| format!("{path}: not taken by this provider")));
    losses
}
