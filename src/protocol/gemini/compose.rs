//! A conversation as Gemini gets it: the body of `generateContent`, the same at AI Studio and at
//! Vertex. The model and whether to stream stand in the URL.

use super::contents::Contents;
use super::family::{self, Family};
use super::names::Names;
use super::schema;
use crate::chat::Conversation;
use crate::chat::conversation::{Format, Tool, ToolChoice, ToolKind};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::{Target, Written};
use crate::protocol::writing::{self, bare_schema};

/// Google's own bound.
const MOST_STOPS: usize = 5;
/// What the newest models write at most, where the endpoint does not say.
const MAX_OUTPUT: u64 = 65_536;

/// Writes the request for a provider. Whether it streams is said in the URL alone.
pub fn write_conversation(
    conversation: &Conversation,
    target: &Target<'_>,
    _stream: bool,
) -> Result<Written, Failure> {
    let family = Family::of(target.model);
    let names = Names::of(conversation);
    let mut losses: Vec<String> =
        conversation.unspoken.iter().map(|path| format!("{path}: not expressible in Gemini")).collect();
    note_losses(conversation, &mut losses);
    let mut contents = Contents::new(family, &names, &mut losses);
    for turn in &conversation.turns {
        contents.add(turn)?;
    }
    let (instructions, contents) = contents.write();
    let mut members = vec![format!("\"contents\":{contents}")];
    if !instructions.is_empty() {
        members.push(format!("\"systemInstruction\":{{\"parts\":[{}]}}", instructions.join(",")));
    }
    members.extend(tools(conversation, family, &names, &mut losses));
    members.extend(tool_config(conversation, &names));
    members.extend(generation_config(conversation, family, target, &mut losses)?);
    members.extend(service_tier(conversation, &mut losses));
    let body = format!("{{{}}}", members.join(",")).into_bytes();
    Ok(Written { body, losses, names: names.renamed(), ..Written::default() })
}

/// Wishes for which Gemini has no word at all.
fn note_losses(conversation: &Conversation, losses: &mut Vec<String>) {
    let sampling = &conversation.sampling;
    let wishes = [
        ("parallel_tool_calls", conversation.parallel_tool_calls == Some(false)),
        ("verbosity", conversation.verbosity.is_some()),
        ("reasoning.summary", conversation.reasoning.as_ref().is_some_and(|it| it.summary.is_some())),
        ("user", conversation.user.is_some()),
        ("prompt_cache_key", conversation.prompt_cache_key.is_some()),
        ("metadata", conversation.metadata.is_some()),
        ("min_p", sampling.min_p.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
    ];
    for (name, wished) in wishes {
        if wished {
            losses.push(format!("{name}: not expressible in Gemini"));
        }
    }
    losses.extend(bare_schema(&conversation.format, "not expressible in Gemini"));
    if marks_cache(conversation) {
        losses.push("cache_control: Gemini caches prompts of its own accord".to_owned());
    }
}

fn marks_cache(conversation: &Conversation) -> bool {
    let mut parts = conversation.turns.iter().flat_map(|turn| &turn.parts);
    conversation.tools.iter().any(|tool| tool.cache.is_some()) || parts.any(|part| part.marks() > 0)
}

fn tools(
    conversation: &Conversation,
    family: Family,
    names: &Names,
    losses: &mut Vec<String>,
) -> Option<String> {
    if conversation.tools.is_empty() {
        return None;
    }
    let declare = |tool| declaration(tool, family, names, losses);
    let declarations: Vec<String> = conversation.tools.iter().map(declare).collect();
    Some(format!("\"tools\":[{{\"functionDeclarations\":[{}]}}]", declarations.join(",")))
}

fn declaration(tool: &Tool, family: Family, names: &Names, losses: &mut Vec<String>) -> String {
    let mut members = vec![format!("\"name\":{}", json::quote(names.sent(&tool.name)))];
    if let Some(description) = writing::description(tool) {
        members.push(format!("\"description\":{}", json::quote(&description)));
    }
    let path = format!("tools.{}", tool.name);
    let parameters = match &tool.kind {
        ToolKind::Function { parameters, strict } => {
            if *strict == Some(true) {
                losses.push(format!("{path}.strict: not expressible in Gemini"));
            }
            parameters.clone()
        }
        ToolKind::Custom { format } => {
            if format.is_some() {
                losses.push(format!("{path}.format: not expressible in Gemini"));
            }
            Some(writing::FREE_TEXT.to_owned())
        }
    };
    match parameters {
        Some(schema) if family.takes_json_schema() => {
            members.push(format!("\"parametersJsonSchema\":{schema}"));
        }
        Some(schema) => {
            let schema = schema::to_gemini(&schema, &format!("{path}.parameters"), losses);
            members.extend(schema.map(|schema| format!("\"parameters\":{schema}")));
        }
        None => {}
    }
    format!("{{{}}}", members.join(","))
}

fn tool_config(conversation: &Conversation, names: &Names) -> Option<String> {
    let calling = match conversation.tool_choice.as_ref()? {
        ToolChoice::Auto => "\"mode\":\"AUTO\"".to_owned(),
        ToolChoice::None => "\"mode\":\"NONE\"".to_owned(),
        ToolChoice::Required => "\"mode\":\"ANY\"".to_owned(),
        ToolChoice::Named(name) => {
            let name = json::quote(names.sent(name));
            format!("\"mode\":\"ANY\",\"allowedFunctionNames\":[{name}]")
        }
    };
    // Gemini refuses a choice where there is nothing to choose from.
    let any = !conversation.tools.is_empty();
    any.then(|| format!("\"toolConfig\":{{\"functionCallingConfig\":{{{calling}}}}}"))
}

fn generation_config(
    conversation: &Conversation,
    family: Family,
    target: &Target<'_>,
    losses: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    let mut members = sampling(conversation, losses);
    if let Some(limit) = conversation.max_tokens {
        members.push(format!("\"maxOutputTokens\":{limit}"));
    }
    members.extend(format(conversation, family, losses)?);
    if let Some(reasoning) = &conversation.reasoning {
        let most = target.max_output.unwrap_or(MAX_OUTPUT);
        let most = conversation.max_tokens.map_or(most, |limit| limit.min(most));
        let thinking = family::thinking(family, reasoning, most, losses)?;
        members.extend(thinking.map(|thinking| format!("\"thinkingConfig\":{{{thinking}}}")));
    }
    let any = !members.is_empty();
    Ok(any.then(|| format!("\"generationConfig\":{{{}}}", members.join(","))))
}

fn sampling(conversation: &Conversation, losses: &mut Vec<String>) -> Vec<String> {
    let sampling = &conversation.sampling;
    // Gemini's seed has 32 bits.
    let seed = sampling.seed.as_ref().filter(|seed| seed.parse::<i32>().is_ok());
    if seed.is_none() && sampling.seed.is_some() {
        losses.push("seed: beyond what Gemini takes".to_owned());
    }
    let numbers = [
        ("temperature", sampling.temperature.as_ref()),
        ("topP", sampling.top_p.as_ref()),
        ("topK", sampling.top_k.as_ref()),
        ("frequencyPenalty", sampling.frequency_penalty.as_ref()),
        ("presencePenalty", sampling.presence_penalty.as_ref()),
        ("seed", seed),
    ];
    let number = |(name, value): (&str, Option<&String>)| value.map(|value| format!("\"{name}\":{value}"));
    let mut members: Vec<String> = numbers.into_iter().filter_map(number).collect();
    let stops: Vec<&String> = sampling.stop.iter().filter(|stop| !stop.is_empty()).collect();
    if stops.len() > MOST_STOPS {
        losses.push(format!("stop: Gemini takes {MOST_STOPS} at most"));
    }
    let stops: Vec<String> = stops.into_iter().take(MOST_STOPS).map(|stop| json::quote(stop)).collect();
    if !stops.is_empty() {
        members.push(format!("\"stopSequences\":[{}]", stops.join(",")));
    }
    members
}

fn format(
    conversation: &Conversation,
    family: Family,
    losses: &mut Vec<String>,
) -> Result<Vec<String>, Failure> {
    let json = "\"responseMimeType\":\"application/json\"".to_owned();
    let members = match &conversation.format {
        Format::Text => return Ok(Vec::new()),
        Format::JsonObject => vec![json],
        Format::JsonSchema { schema, .. } if family.takes_json_schema() => {
            vec![json, format!("\"responseJsonSchema\":{schema}")]
        }
        Format::JsonSchema { schema, .. } => {
            let schema = schema::to_gemini(schema, "response_format", losses);
            let schema = schema.map(|schema| format!("\"responseSchema\":{schema}"));
            [json].into_iter().chain(schema).collect()
        }
    };
    if !conversation.tools.is_empty() && !family.wants_signatures() {
        return Err(Failure::invalid("`response_format`: this Gemini model takes no tools beside it."));
    }
    Ok(members)
}

fn service_tier(conversation: &Conversation, losses: &mut Vec<String>) -> Option<String> {
    match conversation.service_tier.as_deref()? {
        "auto" | "default" => None,
        tier @ ("standard" | "flex" | "priority") => Some(format!("\"serviceTier\":\"{tier}\"")),
        _ => {
            losses.push("service_tier: not one of Gemini's".to_owned());
            None
        }
    }
}
