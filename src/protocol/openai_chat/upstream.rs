//! The request as a provider gets it: the client's bytes with the few members changed that the
//! gateway owns. Nothing is rebuilt, so what the gateway does not know arrives as it was sent.

use super::strict;
use super::write_conversation::{NO_WORD, effort_of};
use crate::chat::conversation::Reasoning;
use crate::chat::{MaxTokensName, StreamUsage};
use crate::json::{self, Edit, Member, Members, Outlined};
use crate::protocol::fields::{accepted, note_others, note_stream_options, unheeded};
use crate::protocol::lane::{Target, Written};
use crate::protocol::openai_wire::stream_options;
use crate::protocol::writing::AS_EFFORT;

/// Members that speak to the gateway. No provider gets them.
const OWN: &[&str] = &[
    // Which endpoints may serve the request.
    "models",
    "route",
    "provider",
    "preset",
    // What the gateway would do to prompt and reply; the face refuses what it does not do.
    "plugins",
    "transforms",
    "max_tool_calls",
    "stop_server_tools_when",
    "deferred_tools",
    // Usage is always reported.
    "usage",
    // The client's own bookkeeping.
    "session_id",
    "trace",
    "debug",
    // OpenRouter's spelling; the effort goes on as `reasoning_effort`.
    "reasoning",
    "include_reasoning",
];

/// Of them those that the gateway does not heed.
pub(super) const UNHEEDED: &[&str] = &["max_tool_calls", "trace", "debug"];

/// Writes the request for a provider. `body` is one that `read_request` accepted.
pub fn splice_request(body: &Outlined, target: &Target<'_>) -> Written {
    let request = accepted(body);
    let streams = request.get("stream").and_then(json::boolean) == Some(true);
    let ask = streams && target.quirks.stream_usage == StreamUsage::Ask;
    let model = json::quote(target.model);
    let limit = Limit::of(&request, target.quirks.max_tokens);
    let changed = request.get("messages").and_then(|messages| strict::change(messages, target.quirks));
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "model" => Edit::Value(model.clone()),
        "messages" => changed.as_ref().map_or(Edit::Keep, |it| Edit::Value(it.messages.clone())),
        "stream_options" if ask => Edit::Value(stream_options(member.value)),
        "stream_options" => Edit::Drop,
        "max_tokens" | "max_completion_tokens" => limit.edit(member),
        key if OWN.contains(&key) => Edit::Drop,
        _ => Edit::Keep,
    };
    let body = request.edit(edit, &additions(&request, target, ask)).into_bytes();
    let mut losses = losses(&request, ask);
    losses.extend(changed.into_iter().flat_map(|it| it.losses));
    Written { body, losses, ..Written::default() }
}

/// What of the gateway's own members no one heeds.
fn losses(request: &Members<'_>, ask: bool) -> Vec<String> {
    let mut losses = unheeded(request, UNHEEDED);
    let mut unspoken = Vec::new();
    if !ask {
        note_stream_options(request, &mut unspoken);
    }
    if let Some(reasoning) = request.object("reasoning") {
        note_others(&reasoning, "reasoning", &["effort", "max_tokens", "enabled", "exclude"], &mut unspoken);
        let measured = reasoning.value("max_tokens").is_some() && !request.has("reasoning_effort");
        losses.extend(measured.then(|| AS_EFFORT.to_owned()));
    }
    losses.extend(unspoken.into_iter().map(|path| format!("{path}: {NO_WORD}")));
    losses
}

/// The members that the provider needs and the client did not send.
fn additions(request: &Members<'_>, target: &Target<'_>, ask: bool) -> Vec<String> {
    let mut more = Vec::new();
    if !request.has("model") {
        more.push(format!("\"model\":{}", json::quote(target.model)));
    }
    if ask && !request.has("stream_options") {
        more.push(format!("\"stream_options\":{}", stream_options("null")));
    }
    if let Some(effort) = reasoning_effort(request, target) {
        more.push(format!("\"reasoning_effort\":{effort}"));
    }
    more
}

/// OpenRouter's `reasoning` as the `reasoning_effort` that providers know, unless the client
/// sent that as well. Enabled without a word on the effort means medium; of a budget the nearest
/// effort is taken.
fn reasoning_effort(request: &Members<'_>, target: &Target<'_>) -> Option<String> {
    if request.has("reasoning_effort") {
        return None;
    }
    let reasoning = request.object("reasoning")?;
    match (reasoning.value("effort"), reasoning.get("enabled").and_then(json::boolean)) {
        (_, Some(false)) => Some("\"none\"".to_owned()),
        (Some(effort), Some(true) | None) => Some(effort.to_owned()),
        (None, enabled) => {
            let limit = |key| request.value(key).and_then(json::whole);
            let limits = [limit("max_completion_tokens"), limit("max_tokens")];
            let room = limits.into_iter().flatten().min().or(target.max_output);
            let max_tokens = reasoning.value("max_tokens").and_then(json::whole);
            let reasoning = Reasoning { max_tokens, enabled, ..Reasoning::default() };
            effort_of(&reasoning, room).map(|effort| format!("\"{}\"", effort.name()))
        }
    }
}

/// The limit of output tokens under the name that the provider knows.
struct Limit {
    /// The name, where it is not left as it was sent.
    name: Option<&'static str>,
    /// The smaller of the two limits, where both were sent.
    smaller: Option<String>,
}

impl Limit {
    fn of(request: &Members<'_>, name: MaxTokensName) -> Limit {
        let name = match name {
            MaxTokensName::AsSent => None,
            MaxTokensName::MaxTokens => Some("max_tokens"),
            MaxTokensName::MaxCompletionTokens => Some("max_completion_tokens"),
        };
        let sent = |key| request.value(key).and_then(json::whole);
        let smaller = match (sent("max_tokens"), sent("max_completion_tokens")) {
            (Some(one), Some(other)) => Some(one.min(other).to_string()),
            (Some(_) | None, _) => None,
        };
        Limit { name, smaller }
    }

    fn edit(&self, member: &Member<'_>) -> Edit {
        match (self.name, &self.smaller) {
            (None, _) => Edit::Keep,
            (Some(_), _) if json::is_null(member.value) => Edit::Drop,
            (Some(name), Some(smaller)) if member.key == name => Edit::Value(smaller.clone()),
            (Some(_), Some(_)) => Edit::Drop,
            (Some(name), None) if member.key == name => Edit::Keep,
            (Some(name), None) => Edit::Member(format!("\"{name}\":{}", member.value)),
        }
    }
}
