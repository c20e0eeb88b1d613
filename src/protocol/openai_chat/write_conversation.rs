//! A conversation as a provider's request. What Chat Completions cannot say, or this provider
//! does not take, is listed with a reason. The messages are written in `write_messages.rs`.

use super::strict;
use super::write_messages::write_messages;
use crate::chat::conversation::{
    CacheMark, Conversation, Effort, Format, Part, Reasoning, Sampling, Tool, ToolChoice, ToolKind,
};
use crate::chat::{MaxTokensName, Quirks, StreamUsage};
use crate::error::Failure;
use crate::json;
use crate::protocol::call_ids::CallIds;
use crate::protocol::lane::{Renamed, Target, Written, rename, sent_name};
use crate::protocol::writing::{self, FREE_TEXT, UNNAMED, budget_loss};

/// A request in the making: members of an object, and what got lost.
pub(super) struct Draft<'a> {
    pub target: &'a Target<'a>,
    pub names: Vec<Renamed>,
    pub ids: CallIds,
    pub losses: Vec<String>,
    out: Vec<u8>,
}

impl Draft<'_> {
    /// Appends a member whose value is JSON text.
    pub(super) fn member(&mut self, name: &str, value: &str) {
        self.out.push(if self.out.is_empty() { b'{' } else { b',' });
        self.out.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
    }

    fn string(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.member(name, &json::quote(value));
        }
    }

    fn number(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    pub(super) fn lose(&mut self, what: &str, why: &str) {
        let loss = format!("{what}: {why}");
        if !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }
}

const NOT_HERE: &str = "not taken by this provider";
/// Why a member without a word in Chat Completions is lost.
pub(super) const NO_WORD: &str = "not expressible in Chat Completions";

/// Writes the request for a provider.
pub fn write_conversation(
    conversation: &Conversation,
    target: &Target<'_>,
    stream: bool,
) -> Result<Written, Failure> {
    let names = rename_tools(conversation);
    let ids = call_ids(conversation, target.quirks);
    let mut draft = Draft { target, names, ids, losses: Vec::new(), out: Vec::new() };
    for path in &conversation.unspoken {
        draft.lose(path, NO_WORD);
    }
    draft.member("model", &json::quote(target.model));
    let mut messages = write_messages(conversation, &mut draft)?;
    if let Some(changed) = strict::change(&messages, target.quirks) {
        messages = changed.messages;
        changed.losses.into_iter().for_each(|loss| draft.losses.push(loss));
    }
    draft.member("messages", &messages);
    write_stream(stream, &mut draft);
    write_limit(conversation, &mut draft);
    write_sampling(&conversation.sampling, &mut draft);
    write_tools(conversation, &mut draft);
    write_format(&conversation.format, &mut draft);
    write_reasoning(conversation, &mut draft);
    draft.string("verbosity", conversation.verbosity.as_ref());
    draft.string("user", conversation.user.as_ref());
    draft.string("service_tier", conversation.service_tier.as_ref());
    draft.string("prompt_cache_key", conversation.prompt_cache_key.as_ref());
    draft.number("metadata", conversation.metadata.as_ref());
    draft.out.push(b'}');
    Ok(Written { body: draft.out, losses: draft.losses, names: draft.names, ..Written::default() })
}

fn write_stream(stream: bool, draft: &mut Draft<'_>) {
    if !stream {
        return;
    }
    draft.member("stream", "true");
    if draft.target.quirks.stream_usage == StreamUsage::Ask {
        draft.member("stream_options", "{\"include_usage\":true}");
    }
}

fn call_ids(conversation: &Conversation, quirks: &Quirks) -> CallIds {
    let parts = conversation.turns.iter().flat_map(|turn| &turn.parts);
    let ids = parts.filter_map(|part| match part {
        Part::ToolCall(call) => Some(call.id.as_str()),
        Part::ToolResult(result) => Some(result.call.as_str()),
        _ => None,
    });
    CallIds::new(ids, quirks.call_ids)
}

/// OpenAI takes names of 64 letters, digits, `_` and `-`.
fn rename_tools(conversation: &Conversation) -> Vec<Renamed> {
    const LONGEST: usize = 64;
    let tools = conversation
        .tools
        .iter()
        .map(|tool| (tool.name.as_str(), matches!(tool.kind, ToolKind::Custom { .. })));
    let calls = conversation.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
        Part::ToolCall(call) => Some((call.name.as_str(), call.custom)),
        _ => None,
    });
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    rename(tools.chain(calls), LONGEST, |name| (1..=LONGEST).contains(&name.len()) && name.bytes().all(plain))
}

/// Reasoning models of OpenAI refuse the old name, and most others know both.
fn write_limit(conversation: &Conversation, draft: &mut Draft<'_>) {
    let Some(limit) = conversation.max_tokens else { return };
    let name = match draft.target.quirks.max_tokens {
        MaxTokensName::AsSent | MaxTokensName::MaxCompletionTokens => "max_completion_tokens",
        MaxTokensName::MaxTokens => "max_tokens",
    };
    draft.member(name, &limit.to_string());
}

fn write_sampling(sampling: &Sampling, draft: &mut Draft<'_>) {
    draft.number("temperature", sampling.temperature.as_ref());
    draft.number("top_p", sampling.top_p.as_ref());
    draft.number("frequency_penalty", sampling.frequency_penalty.as_ref());
    draft.number("presence_penalty", sampling.presence_penalty.as_ref());
    draft.number("seed", sampling.seed.as_ref());
    let more = [
        ("top_k", &sampling.top_k),
        ("min_p", &sampling.min_p),
        ("repetition_penalty", &sampling.repetition_penalty),
    ];
    for (name, value) in more.into_iter().filter(|(_, value)| value.is_some()) {
        match draft.target.quirks.more_sampling {
            true => draft.number(name, value.as_ref()),
            false => draft.lose(name, NOT_HERE),
        }
    }
    if !sampling.stop.is_empty() {
        let stop: Vec<String> = sampling.stop.iter().map(|stop| json::quote(stop)).collect();
        draft.member("stop", &format!("[{}]", stop.join(",")));
    }
}

/// `tool_choice` and `parallel_tool_calls` are refused where there are no tools.
fn write_tools(conversation: &Conversation, draft: &mut Draft<'_>) {
    if conversation.tools.is_empty() {
        return;
    }
    let tools: Vec<String> = conversation.tools.iter().map(|tool| write_tool(tool, draft)).collect();
    draft.member("tools", &format!("[{}]", tools.join(",")));
    if let Some(choice) = &conversation.tool_choice {
        let choice = write_tool_choice(choice, &draft.names);
        draft.member("tool_choice", &choice);
    }
    if let Some(parallel) = conversation.parallel_tool_calls {
        draft.member("parallel_tool_calls", if parallel { "true" } else { "false" });
    }
}

fn write_tool(tool: &Tool, draft: &mut Draft<'_>) -> String {
    let mut inner = format!("{{\"name\":{}", json::quote(sent_name(&draft.names, &tool.name)));
    let mut member = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            inner.push_str(&format!(",\"{name}\":{value}"));
        }
    };
    member("description", writing::description(tool).map(|text| json::quote(&text)));
    let mut custom_format = false;
    match &tool.kind {
        ToolKind::Function { parameters, strict } => {
            member("parameters", parameters.clone());
            member("strict", strict.map(|strict| strict.to_string()));
        }
        ToolKind::Custom { format } => {
            member("parameters", Some(FREE_TEXT.to_owned()));
            custom_format = format.is_some();
        }
    }
    member("cache_control", tool.cache.and_then(|mark| write_mark(mark, draft)));
    if custom_format {
        draft.lose("tools.custom.format", "the provider's tools take JSON, not a grammar");
    }
    format!("{{\"type\":\"function\",\"function\":{inner}}}}}")
}

fn write_tool_choice(choice: &ToolChoice, names: &[Renamed]) -> String {
    match choice {
        ToolChoice::Auto => "\"auto\"".to_owned(),
        ToolChoice::None => "\"none\"".to_owned(),
        ToolChoice::Required => "\"required\"".to_owned(),
        ToolChoice::Named(name) => {
            let name = json::quote(sent_name(names, name));
            format!("{{\"type\":\"function\",\"function\":{{\"name\":{name}}}}}")
        }
    }
}

/// The JSON of a cache mark; `None`, and a loss, where the provider knows none.
pub(super) fn write_mark(mark: CacheMark, draft: &mut Draft<'_>) -> Option<String> {
    if !draft.target.quirks.cache_marks {
        draft.lose("cache_control", "this provider caches on its own");
        return None;
    }
    Some(match mark {
        CacheMark::FiveMinutes => "{\"type\":\"ephemeral\"}".to_owned(),
        CacheMark::OneHour => "{\"type\":\"ephemeral\",\"ttl\":\"1h\"}".to_owned(),
    })
}

fn write_format(format: &Format, draft: &mut Draft<'_>) {
    match format {
        Format::Text => {}
        Format::JsonObject => draft.member("response_format", "{\"type\":\"json_object\"}"),
        Format::JsonSchema { name, description, schema, strict } => {
            let name = name.as_deref().unwrap_or(UNNAMED);
            let mut inner = format!("{{\"name\":{}", json::quote(name));
            if let Some(description) = description {
                inner.push_str(&format!(",\"description\":{}", json::quote(description)));
            }
            inner.push_str(&format!(",\"schema\":{schema}"));
            if let Some(strict) = strict {
                inner.push_str(&format!(",\"strict\":{strict}"));
            }
            let value = format!("{{\"type\":\"json_schema\",\"json_schema\":{inner}}}}}");
            draft.member("response_format", &value);
        }
    }
}

fn write_reasoning(conversation: &Conversation, draft: &mut Draft<'_>) {
    let Some(reasoning) = &conversation.reasoning else { return };
    let room = conversation.max_tokens.or(draft.target.max_output);
    if let Some(effort) = effort_of(reasoning, room) {
        draft.member("reasoning_effort", &format!("\"{}\"", effort.name()));
    }
    if reasoning.summary.is_some() {
        draft.lose("reasoning.summary", "Chat Completions has no summaries");
    }
    draft.losses.extend(budget_loss(reasoning));
}

/// The one word that these providers know for all of it.
pub(super) fn effort_of(reasoning: &Reasoning, room: Option<u64>) -> Option<Effort> {
    /// The output that a budget is measured against where no limit is known.
    const ROOM: u64 = 32_000;
    match (reasoning.enabled, reasoning.effort, reasoning.max_tokens) {
        (Some(false), _, _) => Some(Effort::None),
        (Some(true) | None, Some(effort), _) => Some(effort),
        (Some(true) | None, None, Some(budget)) => Some(Effort::nearest(budget, room.unwrap_or(ROOM))),
        (Some(true), None, None) => Some(Effort::Medium),
        (None, None, None) => None,
    }
}
