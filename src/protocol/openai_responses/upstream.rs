//! A conversation as a request to a provider of Responses. The provider is asked to keep nothing,
//! so what it has to remember of its reasoning travels with the conversation, sealed.

use super::seal::OWN_ID;
use super::tools::free_name;
use crate::chat::Conversation;
use crate::chat::conversation::{
    Effort, Format, Issuer, Part, Reasoning, ReasoningKind, Role, Seal, Source, Tool, ToolCall, ToolChoice,
    ToolKind, ToolResult, Turn,
};
use crate::error::Failure;
use crate::json::quote;
use crate::protocol::lane::{Renamed, Target, Written};
use crate::protocol::writing::{FOREIGN, UNNAMED, budget_loss, document_text};

/// The longest name of a tool and the longest id of a call.
const LONGEST: usize = 64;

/// Writes the request. `losses` names what Responses has no word for.
pub fn write_conversation(
    conversation: &Conversation,
    target: &Target<'_>,
    stream: bool,
) -> Result<Written, Failure> {
    let mut writing = Writing::new(conversation, target);
    writing.write_turns();
    if writing.items.is_empty() {
        return Err(Failure::invalid("The conversation is empty: there is nothing to answer."));
    }
    let mut members = vec![format!("\"model\":{}", quote(target.model))];
    members.extend(writing.instructions.take().map(|text| format!("\"instructions\":{}", quote(&text))));
    members.push(format!("\"input\":[{}]", writing.items.join(",")));
    writing.write_tools(&mut members);
    writing.write_settings(&mut members);
    members.push("\"store\":false".to_owned());
    members.push(format!("\"stream\":{stream}"));
    let body = format!("{{{}}}", members.join(",")).into_bytes();
    Ok(Written { body, losses: writing.losses, names: writing.names, ..Written::default() })
}

struct Writing<'a> {
    conversation: &'a Conversation,
    target: &'a Target<'a>,
    instructions: Option<String>,
    items: Vec<String>,
    names: Vec<Renamed>,
    /// Ids of calls that are too long, each with the one that stands for it.
    ids: Vec<(String, String)>,
    losses: Vec<String>,
    /// A seal of the provider's own was sent.
    sealed: bool,
}

impl<'a> Writing<'a> {
    fn new(conversation: &'a Conversation, target: &'a Target<'a>) -> Writing<'a> {
        let losses = Vec::new();
        let (names, ids) = (short_names(conversation), short_ids(conversation));
        Writing {
            conversation,
            target,
            instructions: None,
            items: Vec::new(),
            names,
            ids,
            losses,
            sealed: false,
        }
    }

    fn lose(&mut self, loss: &str) {
        if !self.losses.iter().any(|known| known == loss) {
            self.losses.push(loss.to_owned());
        }
    }

    fn write_turns(&mut self) {
        let turns = &self.conversation.turns;
        // What leads is `instructions`, unless there is nothing else to answer.
        let leads = turns.iter().any(|turn| turn.role != Role::System);
        for (position, turn) in turns.iter().enumerate() {
            match turn.role {
                Role::System if position == 0 && leads && is_text(turn) => {
                    self.note_marks(&turn.parts);
                    self.instructions = Some(joined(&turn.parts)).filter(|text| !text.is_empty());
                }
                Role::System => self.write_message("system", "input_text", &turn.parts),
                Role::User => self.write_user(turn),
                Role::Assistant => self.write_assistant(turn),
            }
        }
    }

    fn write_user(&mut self, turn: &Turn) {
        for run in turn.parts.chunk_by(|one, other| is_result(one) == is_result(other)) {
            match run.first() {
                Some(Part::ToolResult(_)) => run.iter().for_each(|part| self.write_result(part)),
                Some(_) | None => self.write_message("user", "input_text", run),
            }
        }
    }

    /// Words, calls and reasoning are items of their own, in the order they were said.
    fn write_assistant(&mut self, turn: &Turn) {
        let is_said = |part: &Part| matches!(part, Part::Text { .. } | Part::Refusal { .. });
        let is_thought = |part: &Part| matches!(part, Part::Reasoning { .. });
        // A reasoning item ends with its seal.
        let together = |one: &Part, other: &Part| {
            is_said(one) && is_said(other)
                || is_thought(one)
                    && is_thought(other)
                    && !matches!(one, Part::Reasoning { seal: Some(_), .. })
        };
        let runs: Vec<&[Part]> = turn.parts.chunk_by(together).collect();
        for (position, run) in runs.iter().enumerate() {
            let led_to = |run: &&[Part]| {
                matches!(run.first(), Some(Part::Text { .. } | Part::Refusal { .. } | Part::ToolCall(_)))
            };
            let last = !runs[position + 1..].iter().any(led_to);
            match run.first() {
                Some(Part::Text { .. } | Part::Refusal { .. }) => {
                    self.write_message("assistant", "output_text", run);
                }
                Some(Part::ToolCall(call)) => self.write_call(call),
                Some(Part::Reasoning { .. }) => self.write_reasoning(run, last),
                Some(Part::SealedReasoning { seal }) => self.write_seal(seal, &[], last),
                Some(Part::ToolResult(_)) => run.iter().for_each(|part| self.write_result(part)),
                Some(Part::Image { .. } | Part::File { .. } | Part::Audio { .. }) => {
                    self.lose("messages.content: what a model made cannot be given back to it in Responses");
                }
                None => {}
            }
        }
    }

    fn write_message(&mut self, role: &str, kind: &str, parts: &[Part]) {
        self.note_marks(parts);
        let written: Vec<String> = parts.iter().filter_map(|part| self.write_part(kind, part)).collect();
        if !written.is_empty() {
            let content = written.join(",");
            self.items.push(format!(r#"{{"type":"message","role":"{role}","content":[{content}]}}"#));
        }
    }

    /// Providers of Responses find a cached prefix by themselves.
    fn note_marks(&mut self, parts: &[Part]) {
        let marked = parts.iter().any(|part| part.marks() > 0);
        if marked {
            self.lose("cache_control: the provider caches by itself");
        }
    }

    fn write_part(&mut self, kind: &str, part: &Part) -> Option<String> {
        match part {
            Part::Text { text, .. } if text.is_empty() => None,
            Part::Text { text, .. } => Some(format!(r#"{{"type":"{kind}","text":{}}}"#, quote(text))),
            Part::Refusal { text } => Some(format!(r#"{{"type":"refusal","refusal":{}}}"#, quote(text))),
            Part::Image { source, detail, .. } => {
                let source = match source {
                    Source::FileId(id) => format!("\"file_id\":{}", quote(id)),
                    Source::Url(url) => format!("\"image_url\":{}", quote(url)),
                    Source::Inline { media_type, base64 } => {
                        format!("\"image_url\":{}", quote(&format!("data:{media_type};base64,{base64}")))
                    }
                    Source::Text(text) => {
                        return Some(format!(r#"{{"type":"{kind}","text":{}}}"#, quote(text)));
                    }
                };
                let detail = detail.as_deref().unwrap_or("auto");
                Some(format!(r#"{{"type":"input_image",{source},"detail":{}}}"#, quote(detail)))
            }
            Part::File { name, source, .. } => {
                if name.is_some() && matches!(source, Source::FileId(_) | Source::Url(_)) {
                    self.lose("file.filename: a file that is fetched has its own name");
                }
                Some(write_file(kind, name.as_deref(), source))
            }
            Part::Audio { base64, format } => {
                let (data, format) = (quote(base64), quote(format));
                Some(format!(r#"{{"type":"input_audio","input_audio":{{"data":{data},"format":{format}}}}}"#))
            }
            Part::Reasoning { .. }
            | Part::SealedReasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_) => {
                self.lose("messages.content: a part stands where Responses has no place for it");
                None
            }
        }
    }

    fn call_id(&self, id: &str) -> String {
        let known = self.ids.iter().find(|(own, _)| own == id);
        quote(known.map_or(id, |(_, sent)| sent))
    }

    fn sent_name(&self, name: &str) -> String {
        let known = self.names.iter().find(|renamed| renamed.own == name);
        quote(known.map_or(name, |renamed| &renamed.sent))
    }

    fn write_call(&mut self, call: &ToolCall) {
        let (id, name) = (self.call_id(&call.id), self.sent_name(&call.name));
        if call.seal.is_some() {
            self.lose(FOREIGN);
        }
        let arguments = if call.arguments.is_empty() && !call.custom { "{}" } else { &call.arguments };
        let arguments = quote(arguments);
        self.items.push(match call.custom {
            true => {
                format!(r#"{{"type":"custom_tool_call","call_id":{id},"name":{name},"input":{arguments}}}"#)
            }
            false => {
                format!(r#"{{"type":"function_call","call_id":{id},"name":{name},"arguments":{arguments}}}"#)
            }
        });
    }

    fn write_result(&mut self, part: &Part) {
        let Part::ToolResult(result) = part else { return };
        self.note_marks(std::slice::from_ref(part));
        let id = self.call_id(&result.call);
        let kind = if result.custom { "custom_tool_call_output" } else { "function_call_output" };
        let output = self.write_output(result);
        self.items.push(format!(r#"{{"type":"{kind}","call_id":{id},"output":{output}}}"#));
    }

    /// Text alone is a string. A failure has no member of its own, so words say it.
    fn write_output(&mut self, result: &ToolResult) -> String {
        let mut parts = result.parts.clone();
        if result.is_error {
            self.lose("tool_result.is_error: said as \"Error: \" before the result");
            match parts.first_mut() {
                Some(Part::Text { text, .. }) => text.insert_str(0, "Error: "),
                Some(_) | None => parts.insert(0, Part::Text { text: "Error: ".to_owned(), cache: None }),
            }
        }
        match parts.as_slice() {
            [] => "\"\"".to_owned(),
            [Part::Text { text, .. }] => quote(text),
            parts => {
                let parts: Vec<String> =
                    parts.iter().filter_map(|part| self.write_part("input_text", part)).collect();
                format!("[{}]", parts.join(","))
            }
        }
    }

    fn write_reasoning(&mut self, run: &[Part], last: bool) {
        let seal = run.iter().find_map(|part| {
            let Part::Reasoning { seal, .. } = part else { return None };
            seal.as_ref()
        });
        match seal {
            Some(seal) => self.write_seal(seal, run, last),
            None => self.lose("reasoning: only what the provider sealed itself can be given back to it"),
        }
    }

    /// An item of reasoning with the seal of its texts. One that nothing follows is refused.
    fn write_seal(&mut self, seal: &Seal, run: &[Part], last: bool) {
        let own = match self.target.quirks.sealer {
            Issuer::Unknown => Issuer::OpenAi,
            sealer => sealer,
        };
        if seal.issuer != own {
            self.lose(FOREIGN);
            return;
        }
        if last {
            self.lose("reasoning: the last of a turn has nothing that it led to");
            return;
        }
        self.sealed = true;
        let id = seal.id.as_deref().filter(|id| id.starts_with("rs_") && !id.contains(OWN_ID));
        let id = id.map(|id| format!("\"id\":{},", quote(id))).unwrap_or_default();
        let texts = |wanted: ReasoningKind, name: &str| {
            let texts = run.iter().filter_map(|part| {
                let Part::Reasoning { text, kind, .. } = part else { return None };
                (*kind == wanted).then_some(text)
            });
            texts
                .map(|text| format!(r#"{{"type":"{name}","text":{}}}"#, quote(text)))
                .collect::<Vec<_>>()
                .join(",")
        };
        let summary = texts(ReasoningKind::Summary, "summary_text");
        let content = texts(ReasoningKind::Full, "reasoning_text");
        let content = if content.is_empty() { content } else { format!("\"content\":[{content}],") };
        self.items.push(format!(
            r#"{{"type":"reasoning",{id}"summary":[{summary}],{content}"encrypted_content":{}}}"#,
            quote(&seal.data)
        ));
    }

    fn write_tools(&mut self, members: &mut Vec<String>) {
        let conversation = self.conversation;
        if conversation.tools.iter().any(|tool| tool.cache.is_some()) {
            self.lose("cache_control: the provider caches by itself");
        }
        if !conversation.tools.is_empty() {
            let tools: Vec<String> = conversation.tools.iter().map(|tool| self.tool(tool)).collect();
            members.push(format!("\"tools\":[{}]", tools.join(",")));
        }
        let choice = conversation.tool_choice.as_ref().map(|choice| match choice {
            ToolChoice::Auto => "\"auto\"".to_owned(),
            ToolChoice::None => "\"none\"".to_owned(),
            ToolChoice::Required => "\"required\"".to_owned(),
            ToolChoice::Named(name) => {
                let tool = conversation.tools.iter().find(|tool| tool.name == *name);
                let custom = tool.is_some_and(|tool| matches!(tool.kind, ToolKind::Custom { .. }));
                let kind = if custom { "custom" } else { "function" };
                format!(r#"{{"type":"{kind}","name":{}}}"#, self.sent_name(name))
            }
        });
        members.extend(choice.map(|choice| format!("\"tool_choice\":{choice}")));
    }

    fn tool(&self, tool: &Tool) -> String {
        let name = self.sent_name(&tool.name);
        let description = tool
            .description
            .as_ref()
            .map(|text| format!(",\"description\":{}", quote(text)))
            .unwrap_or_default();
        match &tool.kind {
            ToolKind::Function { parameters, strict } => {
                let parameters = parameters.as_deref().unwrap_or(r#"{"type":"object","properties":{}}"#);
                // Left out it would mean true, which refuses schemas that other protocols take.
                let strict = strict.unwrap_or(false);
                format!(
                    r#"{{"type":"function","name":{name}{description},"parameters":{parameters},"strict":{strict}}}"#
                )
            }
            ToolKind::Custom { format } => {
                let format =
                    format.as_ref().map(|format| format!(",\"format\":{format}")).unwrap_or_default();
                format!(r#"{{"type":"custom","name":{name}{description}{format}}}"#)
            }
        }
    }

    fn write_settings(&mut self, members: &mut Vec<String>) {
        let conversation = self.conversation;
        let sampling = &conversation.sampling;
        let mut add = |key: &str, value: Option<String>| {
            members.extend(value.map(|value| format!("\"{key}\":{value}")));
        };
        add("max_output_tokens", conversation.max_tokens.map(|limit| limit.to_string()));
        add("temperature", sampling.temperature.clone());
        add("top_p", sampling.top_p.clone());
        add("parallel_tool_calls", conversation.parallel_tool_calls.map(|parallel| parallel.to_string()));
        add("user", conversation.user.as_deref().map(quote));
        add("service_tier", conversation.service_tier.as_deref().map(quote));
        add("prompt_cache_key", conversation.prompt_cache_key.as_deref().map(quote));
        add("metadata", conversation.metadata.clone());
        add("text", text_settings(conversation));
        let budget = conversation.reasoning.as_ref().and_then(budget_loss);
        let reasoning = conversation.reasoning.as_ref().and_then(|it| self.reasoning(it));
        // Models that do not reason refuse to be asked for encrypted reasoning.
        let thinks = reasoning.as_ref().is_some_and(|text| !text.contains("\"effort\":\"none\""));
        add("reasoning", reasoning);
        add("include", (thinks || self.sealed).then(|| "[\"reasoning.encrypted_content\"]".to_owned()));
        let unsayable = [
            ("top_k", sampling.top_k.is_some()),
            ("min_p", sampling.min_p.is_some()),
            ("frequency_penalty", sampling.frequency_penalty.is_some()),
            ("presence_penalty", sampling.presence_penalty.is_some()),
            ("repetition_penalty", sampling.repetition_penalty.is_some()),
            ("seed", sampling.seed.is_some()),
            ("stop", !sampling.stop.is_empty()),
        ];
        for (name, _) in unsayable.iter().filter(|(_, sent)| *sent) {
            self.lose(&format!("{name}: not expressible in OpenAI Responses"));
        }
        self.losses.extend(budget);
        for path in &conversation.unspoken {
            self.lose(&format!("{path}: not expressible in OpenAI Responses"));
        }
    }

    fn reasoning(&self, reasoning: &Reasoning) -> Option<String> {
        let room = self.conversation.max_tokens.or(self.target.max_output).unwrap_or(32_000);
        let budget = reasoning.max_tokens.map(|budget| Effort::nearest(budget, room));
        let effort = match (reasoning.enabled, reasoning.effort.or(budget)) {
            (Some(false), _) => Some(Effort::None),
            (Some(true), None) => Some(Effort::Medium),
            (Some(true) | None, effort) => effort,
        };
        let effort = effort.map(|effort| format!("\"effort\":\"{}\"", effort.name()));
        let summary = reasoning.summary.as_ref().filter(|_| !reasoning.exclude);
        let summary = summary.map(|summary| format!("\"summary\":{}", quote(summary)));
        let members: Vec<String> = effort.into_iter().chain(summary).collect();
        (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
    }
}

fn is_text(turn: &Turn) -> bool {
    turn.parts.iter().all(|part| matches!(part, Part::Text { .. }))
}

fn is_result(part: &Part) -> bool {
    matches!(part, Part::ToolResult(_))
}

fn joined(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| {
        let Part::Text { text, .. } = part else { return None };
        Some(text.as_str())
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

fn write_file(kind: &str, name: Option<&str>, source: &Source) -> String {
    let named = name;
    let name = |default: Option<&str>| {
        let name = named.or(default);
        name.map(|name| format!("\"filename\":{},", quote(name))).unwrap_or_default()
    };
    match source {
        Source::FileId(id) => format!(r#"{{"type":"input_file","file_id":{}}}"#, quote(id)),
        Source::Url(url) => format!(r#"{{"type":"input_file","file_url":{}}}"#, quote(url)),
        Source::Inline { media_type, base64 } => {
            let data = quote(&format!("data:{media_type};base64,{base64}"));
            // OpenAI refuses data without a name.
            let name = name(Some(if media_type == "application/pdf" { "document.pdf" } else { "document" }));
            format!(r#"{{"type":"input_file",{name}"file_data":{data}}}"#)
        }
        Source::Text(text) => {
            format!(r#"{{"type":"{kind}","text":{}}}"#, quote(&document_text(named, text)))
        }
    }
}

fn text_settings(conversation: &Conversation) -> Option<String> {
    let format = match &conversation.format {
        Format::Text => None,
        Format::JsonObject => Some(r#""format":{"type":"json_object"}"#.to_owned()),
        Format::JsonSchema { name, description, schema, strict } => {
            let description = description
                .as_ref()
                .map(|text| format!(",\"description\":{}", quote(text)))
                .unwrap_or_default();
            let strict = strict.map(|strict| format!(",\"strict\":{strict}")).unwrap_or_default();
            Some(format!(
                r#""format":{{"type":"json_schema","name":{}{description},"schema":{schema}{strict}}}"#,
                quote(name.as_deref().unwrap_or(UNNAMED))
            ))
        }
    };
    let verbosity =
        conversation.verbosity.as_ref().map(|verbosity| format!("\"verbosity\":{}", quote(verbosity)));
    let members: Vec<String> = format.into_iter().chain(verbosity).collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}

fn fits(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    plain && !name.is_empty() && name.len() <= LONGEST
}

/// Names for the tools whose own are too long or hold what OpenAI refuses; also of calls whose
/// tool is offered no more.
fn short_names(conversation: &Conversation) -> Vec<Renamed> {
    let tools = conversation.tools.iter().map(|tool| &tool.name);
    let calls = calls(conversation).map(|call| &call.name);
    let all: Vec<String> = tools.chain(calls).cloned().collect();
    short(&all, fits).into_iter().map(|(own, sent)| Renamed { sent, own, custom: false }).collect()
}

fn short_ids(conversation: &Conversation) -> Vec<(String, String)> {
    let ids: Vec<String> = calls(conversation).map(|call| call.id.clone()).collect();
    short(&ids, |id| id.len() <= LONGEST)
}

fn calls(conversation: &Conversation) -> impl Iterator<Item = &ToolCall> {
    conversation.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| {
        let Part::ToolCall(call) = part else { return None };
        Some(call)
    })
}

/// A name like it for each of `names` that does not fit, unlike all others.
fn short(names: &[String], fits: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut taken = names.to_vec();
    let mut pairs: Vec<(String, String)> = Vec::new();
    for name in names.iter().filter(|name| !fits(name)) {
        if pairs.iter().any(|(own, _)| own == name) {
            continue;
        }
        let base = if name.is_empty() { "tool" } else { name };
        let sent = free_name(base, LONGEST, &taken);
        taken.push(sent.clone());
        pairs.push((name.clone(), sent));
    }
    pairs
}
