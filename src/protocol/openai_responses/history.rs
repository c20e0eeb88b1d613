//! A whole request in the words that all protocols share: `instructions` and the items of `input`
//! become turns. Items of one side in a row are one turn, as far as the model spoke them.

use super::request::{read_body, read_items, read_limit, refuse_unsupported};
use super::seal::{self, Sealed};
use super::splice::UNHEEDED;
use super::tools::{self, Drawers, elements, members};
use crate::chat::Conversation;
use crate::chat::conversation::{
    Format, Issuer, Part, Reasoning, ReasoningKind, Role, Seal, Source, ToolCall, ToolChoice, ToolResult,
    Turn,
};
use crate::error::Failure;
use crate::json::{self, Members, Outlined};
use crate::protocol::fields::{self, must_be, read_boolean, read_object, read_string};

/// Reads the whole request. Members without a word are named in `unspoken`; what cannot be said at
/// all, and would be missed, is refused.
pub fn read_conversation(outlined: &Outlined) -> Result<Conversation, Failure> {
    let body = read_body(outlined)?;
    refuse_unsupported(&body)?;
    let mut reading = Reading { drawers: Drawers::of(&body), ..Reading::default() };
    reading.read_members(&body)?;
    if let Some(instructions) = read_string(&body, "instructions")?.filter(|text| !text.is_empty()) {
        reading.push(Role::System, text(instructions), false);
    }
    match body.value("input") {
        Some(input) if input.starts_with('"') => {
            let words = json::string(input).ok_or_else(|| must_be("input", "a string"))?;
            reading.push(Role::User, text(words.into_owned()), false);
        }
        Some(input) => {
            for (position, item) in read_items(outlined, input)?.into_iter().enumerate() {
                reading.read_item(&item?, &format!("input[{position}]"))?;
            }
        }
        None => return Err(Failure::invalid("`input` is missing.")),
    }
    reading.read_choice(&body)?;
    Ok(reading.conversation)
}

#[derive(Default)]
struct Reading {
    conversation: Conversation,
    drawers: Drawers,
    /// Seals of calls that have not come yet, by the call's id.
    call_seals: Vec<(String, Seal)>,
}

fn text(text: String) -> Part {
    Part::Text { text, cache: None }
}

impl Reading {
    fn read_members(&mut self, body: &Members<'_>) -> Result<(), Failure> {
        let raw = |key| body.value(key).map(str::to_owned);
        let conversation = &mut self.conversation;
        conversation.unheeded = fields::unheeded(body, UNHEEDED);
        conversation.max_tokens = read_limit(body)?;
        conversation.parallel_tool_calls = read_boolean(body, "parallel_tool_calls")?;
        conversation.user = read_string(body, "user")?.or(read_string(body, "safety_identifier")?);
        let safety = read_string(body, "safety_identifier")?;
        if safety.is_some() && safety != conversation.user {
            conversation.unspoken.push("safety_identifier".to_owned());
        }
        conversation.service_tier = read_string(body, "service_tier")?;
        conversation.prompt_cache_key = read_string(body, "prompt_cache_key")?;
        conversation.metadata = read_object(body, "metadata")?.filter(|it| *it != "{}").map(str::to_owned);
        let sampling = &mut conversation.sampling;
        sampling.temperature = raw("temperature");
        sampling.top_p = raw("top_p");
        sampling.top_k = raw("top_k");
        sampling.min_p = raw("min_p");
        sampling.frequency_penalty = raw("frequency_penalty");
        sampling.presence_penalty = raw("presence_penalty");
        sampling.repetition_penalty = raw("repetition_penalty");
        sampling.seed = raw("seed");
        sampling.stop = read_stop(body)?;
        conversation.reasoning = read_reasoning(body, &mut conversation.unspoken)?;
        self.read_text(body)?;
        if let Some(tools) = body.value("tools") {
            self.read_tools(tools, "tools")?;
        }
        self.name_unspoken(body);
        fields::note_stream_options(body, &mut self.conversation.unspoken);
        Ok(())
    }

    fn read_tools(&mut self, list: &str, path: &str) -> Result<(), Failure> {
        let Conversation { tools, unspoken, .. } = &mut self.conversation;
        tools::read_tools(list, path, &self.drawers, tools, unspoken)
    }

    /// After the input, whose items may add tools.
    fn read_choice(&mut self, body: &Members<'_>) -> Result<(), Failure> {
        let Some(raw) = body.value("tool_choice") else { return Ok(()) };
        let tools = &mut self.conversation.tools;
        let choice = tools::read_choice(raw, &self.drawers, tools)?;
        let nothing = matches!(choice, ToolChoice::Required) && tools.is_empty();
        if nothing {
            return Err(Failure::invalid(
                "`tool_choice` demands a tool, and none of `tools` can be offered.",
            ));
        }
        self.conversation.tool_choice = Some(choice);
        Ok(())
    }

    fn read_text(&mut self, body: &Members<'_>) -> Result<(), Failure> {
        let Some(text) = read_object(body, "text")? else { return Ok(()) };
        let text = members(text, "text")?;
        fields::note_others(&text, "text", &["verbosity", "format"], &mut self.conversation.unspoken);
        self.conversation.verbosity = read_string(&text, "verbosity")?;
        if let Some(format) = text.value("format") {
            self.conversation.format = read_format(&members(format, "text.format")?)?;
        }
        Ok(())
    }

    fn name_unspoken(&mut self, body: &Members<'_>) {
        for member in body.iter().filter(|member| !json::is_null(member.value)) {
            let value = member.value;
            let unspoken = match member.key.as_ref() {
                "model" | "models" | "route" | "provider" | "preset" | "plugins" | "session_id" | "trace" => {
                    false
                }
                "debug" | "stop_server_tools_when" | "deferred_tools" | "usage" => false,
                "input" | "instructions" | "stream" | "store" | "previous_response_id" | "conversation" => {
                    false
                }
                "background" | "prompt" | "max_output_tokens" | "tools" | "tool_choice" | "text" => false,
                "reasoning" | "parallel_tool_calls" | "user" | "safety_identifier" | "service_tier" => false,
                "prompt_cache_key" | "metadata" | "temperature" | "top_p" | "top_k" | "min_p" => false,
                "frequency_penalty" | "presence_penalty" | "repetition_penalty" | "seed" | "stop" => false,
                // The answer carries encrypted reasoning whenever there is some.
                "include" => !matches!(value, "[]" | "[\"reasoning.encrypted_content\"]"),
                // Noted by its members.
                "stream_options" => false,
                "truncation" => value != "\"disabled\"",
                "top_logprobs" => value != "0",
                _ => true,
            };
            if unspoken {
                self.conversation.unspoken.push(member.key.clone().into_owned());
            }
        }
    }

    /// Appends a part. Where it is `joined`, it belongs to the turn before it of the same side.
    fn push(&mut self, role: Role, part: Part, joined: bool) {
        match self.conversation.turns.last_mut() {
            Some(turn) if joined && turn.role == role => turn.parts.push(part),
            Some(_) | None => self.conversation.turns.push(Turn { role, parts: vec![part] }),
        }
    }

    fn read_item(&mut self, item: &Members<'_>, path: &str) -> Result<(), Failure> {
        match item.string("type").as_deref() {
            Some("message") | None => self.read_message(item, path),
            Some("function_call") => self.read_call(item, "arguments", false, path),
            Some("custom_tool_call") => self.read_call(item, "input", true, path),
            Some("function_call_output") => self.read_result(item, false, path),
            Some("custom_tool_call_output") => self.read_result(item, true, path),
            Some("reasoning") => self.read_reasoning(item, path),
            Some("additional_tools" | "tool_search_output") => match item.value("tools") {
                Some(tools) => self.read_tools(tools, &format!("{path}.tools")),
                None => Ok(()),
            },
            // What the vendor's servers did, which the model's own words that follow speak of.
            Some(
                kind @ ("web_search_call"
                | "file_search_call"
                | "code_interpreter_call"
                | "image_generation_call"
                | "tool_search_call"
                | "mcp_list_tools"
                | "mcp_call"),
            ) => {
                self.conversation.unspoken.push(format!("{path} ({kind})"));
                Ok(())
            }
            Some(_) => Err(Failure::invalid(format!(
                "`{path}.type` is an item that only its vendor can read; this model cannot be given it."
            ))),
        }
    }

    /// Names the members of an item that say something and are not `known`. The id is its
    /// server's, which keeps it for nobody here.
    fn note_others(&mut self, item: &Members<'_>, path: &str, known: &[&str]) {
        let always = match item.string("status").as_deref() {
            Some("completed") => &["type", "id", "cache_control", "prompt_cache_breakpoint", "status"][..],
            Some(_) | None => &["type", "id", "cache_control", "prompt_cache_breakpoint"],
        };
        let known: Vec<&str> = known.iter().chain(always).copied().collect();
        fields::note_others(item, path, &known, &mut self.conversation.unspoken);
    }

    fn read_message(&mut self, item: &Members<'_>, path: &str) -> Result<(), Failure> {
        let role = match item.string("role").as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some("developer") => {
                self.conversation.unspoken.push(format!("{path}.role (developer)"));
                Role::System
            }
            Some(_) | None => {
                return Err(must_be(&format!("{path}.role"), "system, developer, user or assistant"));
            }
        };
        self.note_others(item, path, &["role", "content"]);
        let Some(content) = item.value("content") else { return Ok(()) };
        // What the model said in a row is one turn; a person's messages stay apart.
        let mut joined = role == Role::Assistant;
        for part in self.read_parts(content, &format!("{path}.content"))? {
            self.push(role, part, joined);
            joined = true;
        }
        Ok(())
    }

    fn read_parts(&mut self, content: &str, path: &str) -> Result<Vec<Part>, Failure> {
        if let Some(words) = json::string(content) {
            return Ok(vec![text(words.into_owned())]);
        }
        let parts = elements(content, path)?.into_iter().enumerate();
        parts.map(|(position, part)| self.read_part(part, &format!("{path}[{position}]"))).collect()
    }

    fn read_part(&mut self, raw: &str, path: &str) -> Result<Part, Failure> {
        let part = members(raw, path)?;
        let cache = tools::cache_mark(&part);
        let own = |key: &str| part.string(key).map(|text| text.into_owned());
        let need = |key: &str| own(key).ok_or_else(|| must_be(&format!("{path}.{key}"), "a string"));
        match part.string("type").as_deref() {
            Some("input_text" | "output_text" | "text") => {
                self.note_others(&part, path, &["text"]);
                Ok(Part::Text { text: need("text")?, cache })
            }
            Some("refusal") => {
                self.note_others(&part, path, &["refusal"]);
                Ok(Part::Refusal { text: need("refusal")? })
            }
            Some("input_image") => {
                let place = if part.value("file_id").is_some() { "file_id" } else { "image_url" };
                self.note_others(&part, path, &["detail", place]);
                let source = match own("file_id") {
                    Some(id) => Source::FileId(id),
                    None => read_source(need("image_url")?, "image/png"),
                };
                Ok(Part::Image { source, detail: own("detail"), cache })
            }
            Some("input_file") => {
                let places = ["file_id", "file_url", "file_data"];
                let place = places.into_iter().find(|place| part.value(place).is_some());
                self.note_others(&part, path, &["filename", place.unwrap_or_default()]);
                let source = match (own("file_id"), own("file_url")) {
                    (Some(id), _) => Source::FileId(id),
                    (None, Some(url)) => read_source(url, "application/pdf"),
                    (None, None) => read_source(need("file_data")?, "application/pdf"),
                };
                Ok(Part::File { name: own("filename"), source, cache })
            }
            Some("input_audio") => {
                self.note_others(&part, path, &["input_audio"]);
                let audio =
                    members(part.get("input_audio").unwrap_or("null"), &format!("{path}.input_audio"))?;
                let own = |key: &str| audio.string(key).map(|text| text.into_owned());
                match (own("data"), own("format")) {
                    (Some(base64), Some(format)) => Ok(Part::Audio { base64, format }),
                    (Some(_) | None, _) => Err(must_be(&format!("{path}.input_audio"), "data and format")),
                }
            }
            Some(_) => {
                Err(Failure::invalid(format!("`{path}.type` is of a kind that this model cannot be given.")))
            }
            None => Err(must_be(&format!("{path}.type"), "a string")),
        }
    }

    fn read_call(
        &mut self,
        item: &Members<'_>,
        input: &str,
        custom: bool,
        path: &str,
    ) -> Result<(), Failure> {
        self.note_others(item, path, &["call_id", "name", "namespace", input]);
        let id = read_call_id(item, path)?;
        let name = tools::chosen(item, &self.drawers)
            .ok_or_else(|| must_be(&format!("{path}.name"), "a string that is not empty"))?;
        let arguments = item.string(input).map(|text| text.into_owned()).unwrap_or_default();
        let known = self.call_seals.iter().position(|(call, _)| *call == id);
        let seal = known.map(|position| self.call_seals.swap_remove(position).1);
        self.push(Role::Assistant, Part::ToolCall(ToolCall { id, name, arguments, custom, seal }), true);
        Ok(())
    }

    fn read_result(&mut self, item: &Members<'_>, custom: bool, path: &str) -> Result<(), Failure> {
        self.note_others(item, path, &["call_id", "output"]);
        let call = read_call_id(item, path)?;
        let parts = match item.value("output") {
            Some(output) => self.read_parts(output, &format!("{path}.output"))?,
            None => Vec::new(),
        };
        let result = ToolResult { call, parts, is_error: false, custom, cache: tools::cache_mark(item) };
        // Results of one turn's calls are one turn; they do not join a person's message.
        let joined = self.conversation.turns.last().is_some_and(|turn| {
            turn.role == Role::User && turn.parts.iter().all(|part| matches!(part, Part::ToolResult(_)))
        });
        self.push(Role::User, Part::ToolResult(result), joined);
        Ok(())
    }

    /// An item may hold summaries, the reasoning itself and a seal over both; the seal goes with
    /// the last of its texts.
    fn read_reasoning(&mut self, item: &Members<'_>, path: &str) -> Result<(), Failure> {
        self.note_others(item, path, &["summary", "content", "encrypted_content", "format", "signature"]);
        let mut texts: Vec<(String, ReasoningKind)> = Vec::new();
        for (list, kind) in [("summary", ReasoningKind::Summary), ("content", ReasoningKind::Full)] {
            for part in item.value(list).map(json::elements).and_then(Result::ok).unwrap_or_default() {
                let words = json::members(part).ok().and_then(|part| part.string("text"));
                texts.extend(words.map(|words| (words.into_owned(), kind)));
            }
        }
        let sealed = match seal::read(item) {
            Some((seal, Sealed::Call(call))) => {
                self.call_seals.push((call, seal));
                None
            }
            // A signature over text that did not come along proves nothing.
            Some((seal, Sealed::Text)) if texts.is_empty() && seal.issuer == Issuer::Anthropic => {
                self.conversation.unspoken.push(format!("{path} (a signature without its text)"));
                None
            }
            Some((seal, Sealed::Text | Sealed::Hidden)) => Some(seal),
            None => None,
        };
        let last = texts.len().saturating_sub(1);
        if texts.is_empty() {
            match sealed {
                Some(seal) => self.push(Role::Assistant, Part::SealedReasoning { seal }, true),
                None if item.value("encrypted_content").is_none() => {
                    self.conversation.unspoken.push(format!("{path} (no encrypted_content)"));
                }
                None => {}
            }
            return Ok(());
        }
        for (position, (text, kind)) in texts.into_iter().enumerate() {
            let seal = sealed.clone().filter(|_| position == last);
            self.push(Role::Assistant, Part::Reasoning { text, kind, seal }, true);
        }
        Ok(())
    }
}

fn read_call_id(item: &Members<'_>, path: &str) -> Result<String, Failure> {
    let id = item.string("call_id").filter(|id| !id.is_empty());
    id.map(|id| id.into_owned())
        .ok_or_else(|| must_be(&format!("{path}.call_id"), "a string that is not empty"))
}

/// A link, or what a `data:` URL or bare base64 holds.
fn read_source(text: String, media_type: &str) -> Source {
    if let Some((head, base64)) = text.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        let named = head.split(';').next().filter(|name| !name.is_empty()).unwrap_or(media_type);
        return Source::Inline { media_type: named.to_owned(), base64: base64.to_owned() };
    }
    if text.contains("://") {
        return Source::Url(text);
    }
    Source::Inline { media_type: media_type.to_owned(), base64: text }
}

fn read_stop(body: &Members<'_>) -> Result<Vec<String>, Failure> {
    let Some(stop) = body.value("stop") else { return Ok(Vec::new()) };
    if let Some(word) = json::string(stop) {
        return Ok(vec![word.into_owned()]);
    }
    let read = |element| json::string(element).map(|word| word.into_owned());
    elements(stop, "stop")?.into_iter().map(|it| read(it).ok_or_else(|| must_be("stop", "strings"))).collect()
}

/// OpenRouter's `reasoning`, with OpenAI's older name for summaries.
fn read_reasoning(body: &Members<'_>, unspoken: &mut Vec<String>) -> Result<Option<Reasoning>, Failure> {
    let older = match body.object("reasoning") {
        Some(reasoning) => read_string(&reasoning, "generate_summary")?,
        None => None,
    };
    let reasoning = fields::read_reasoning(body, unspoken)?;
    let Some(older) = older else { return Ok(reasoning) };
    unspoken.retain(|path| path != "reasoning.generate_summary");
    let mut reasoning = reasoning.unwrap_or_default();
    reasoning.summary = reasoning.summary.or(Some(older));
    Ok(Some(reasoning))
}

fn read_format(format: &Members<'_>) -> Result<Format, Failure> {
    match format.string("type").as_deref() {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => Ok(Format::JsonSchema {
            name: read_string(format, "name")?,
            description: read_string(format, "description")?,
            schema: match format.value("schema") {
                Some(schema) => schema.to_owned(),
                None => return Err(must_be("text.format.schema", "an object")),
            },
            strict: read_boolean(format, "strict")?,
        }),
        Some(_) | None => Err(must_be("text.format.type", "text, json_object or json_schema")),
    }
}
