//! A conversation written as a request for a provider of this protocol.

use std::collections::BTreeSet;

use super::family::Family;
use super::prompt::{self, Marks};
use super::tools::{Names, input_schema};
use crate::chat::conversation::{Conversation, Effort, Format, Part, Reasoning, Tool, ToolChoice, ToolKind};
use crate::error::Failure;
use crate::json::{self, quote};
use crate::protocol::lane::{Target, Written};
use crate::protocol::writing::{self, FREE_TEXT, bare_schema, other_effort};

/// The least budget of thinking.
const LEAST_BUDGET: u64 = 1024;
/// Anthropic's bound on `metadata.user_id`.
const MOST_USER_ID: usize = 256;
const NOT_SAYABLE: &str = "not expressible in Anthropic Messages";

/// Writes the request, or says what in it cannot be asked of this provider.
pub fn write_conversation(
    conversation: &Conversation,
    target: &Target<'_>,
    stream: bool,
) -> Result<Written, Failure> {
    let family = Family::of(target.model);
    let mut losses: Vec<String> =
        conversation.unspoken.iter().map(|path| format!("{path}: {NOT_SAYABLE}")).collect();
    let names = Names::new(all_names(conversation));
    let mut marks = Marks::new(conversation, &mut losses);
    let limit = conversation.max_tokens.or(target.max_output).unwrap_or(family.max_output);
    let tools = write_tools(conversation, &family, &names, &mut marks, &mut losses);
    let mut prompt = prompt::write(conversation, &names, &mut marks, &mut losses)?;
    let thinking = Thinking::of(conversation, &family, limit, &mut losses);
    let format = write_format(&conversation.format, &family, &mut prompt.system, &mut losses)?;

    let mut body = vec![format!("\"model\":{}", quote(target.model)), format!("\"max_tokens\":{limit}")];
    if !prompt.system.is_empty() {
        body.push(format!("\"system\":[{}]", prompt.system.join(",")));
    }
    body.push(format!("\"messages\":[{}]", prompt.messages.join(",")));
    if !tools.is_empty() {
        body.push(format!("\"tools\":[{}]", tools.join(",")));
        body.extend(write_choice(conversation, &names));
    }
    body.extend(thinking.member.as_ref().map(|member| format!("\"thinking\":{member}")));
    body.extend(write_config(conversation, &family, &thinking, format, &mut losses));
    write_sampling(conversation, &family, &thinking, &mut body, &mut losses);
    write_hints(conversation, &mut body, &mut losses);
    if stream {
        body.push("\"stream\":true".to_owned());
    }
    Ok(Written {
        body: format!("{{{}}}", body.join(",")).into_bytes(),
        losses,
        names: names.renamed(),
        ..Written::default()
    })
}

/// The names of all tools that are there, were called or are chosen.
fn all_names(conversation: &Conversation) -> impl Iterator<Item = (&str, bool)> {
    let tools = conversation.tools.iter().map(|tool| {
        let custom = match tool.kind {
            ToolKind::Custom { .. } => true,
            ToolKind::Function { .. } => false,
        };
        (tool.name.as_str(), custom)
    });
    tools.chain(calls(conversation))
}

fn calls(conversation: &Conversation) -> impl Iterator<Item = (&str, bool)> {
    conversation.turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match part {
        Part::ToolCall(call) => Some((call.name.as_str(), call.custom)),
        Part::Text { .. }
        | Part::Image { .. }
        | Part::File { .. }
        | Part::Audio { .. }
        | Part::Reasoning { .. }
        | Part::SealedReasoning { .. }
        | Part::ToolResult(_)
        | Part::Refusal { .. } => None,
    })
}

fn write_tools(
    conversation: &Conversation,
    family: &Family,
    names: &Names,
    marks: &mut Marks,
    losses: &mut Vec<String>,
) -> Vec<String> {
    let tools = conversation.tools.iter().enumerate();
    let mut written: Vec<String> =
        tools.map(|(i, tool)| write_tool(tool, i, family, names, marks, losses)).collect();
    if written.is_empty() {
        written = called_tools(conversation, names);
        if !written.is_empty() {
            losses.push("tools: those that were called before are named, for they have to be".to_owned());
        }
    }
    written
}

/// Tools that stand in the history are refused if no tool is given.
fn called_tools(conversation: &Conversation, names: &Names) -> Vec<String> {
    let called: BTreeSet<&str> = calls(conversation).map(|(name, _)| name).collect();
    let write =
        |name| format!(r#"{{"name":{},"input_schema":{{"type":"object"}}}}"#, quote(names.send(name)));
    called.into_iter().map(write).collect()
}

fn write_tool(
    tool: &Tool,
    position: usize,
    family: &Family,
    names: &Names,
    marks: &mut Marks,
    losses: &mut Vec<String>,
) -> String {
    let path = format!("tools[{position}]");
    let (schema, strict) = match &tool.kind {
        ToolKind::Function { parameters, strict } => {
            let (schema, left_out) = input_schema(parameters.as_deref());
            losses.extend(left_out.iter().map(|key| format!("{path}.parameters.{key}: refused at the root")));
            (schema, *strict == Some(true))
        }
        ToolKind::Custom { format } => {
            losses.push(format!("{path}: sent as a function of one text"));
            if format.as_deref().is_some_and(|format| !format.contains("\"text\"")) {
                losses.push(format!("{path}.format: {NOT_SAYABLE}"));
            }
            (FREE_TEXT.to_owned(), false)
        }
    };
    let mut members = vec![format!("\"name\":{}", quote(names.send(&tool.name)))];
    if let Some(description) = writing::description(tool) {
        members.push(format!("\"description\":{}", quote(&description)));
    }
    members.push(format!("\"input_schema\":{schema}"));
    if strict && family.structured {
        members.push("\"strict\":true".to_owned());
    } else if strict {
        losses.push(format!("{path}.strict: the model does not know it"));
    }
    format!("{{{}{}}}", members.join(","), marks.write(tool.cache))
}

fn write_choice(conversation: &Conversation, names: &Names) -> Option<String> {
    if conversation.tools.is_empty() {
        return Some(r#""tool_choice":{"type":"none"}"#.to_owned());
    }
    let one = conversation.parallel_tool_calls == Some(false);
    let single = if one { r#","disable_parallel_tool_use":true"# } else { "" };
    let choice = match &conversation.tool_choice {
        None if !one => return None,
        None | Some(ToolChoice::Auto) => format!(r#"{{"type":"auto"{single}}}"#),
        Some(ToolChoice::Required) => format!(r#"{{"type":"any"{single}}}"#),
        Some(ToolChoice::Named(name)) => {
            format!(r#"{{"type":"tool","name":{}{single}}}"#, quote(names.send(name)))
        }
        Some(ToolChoice::None) => r#"{"type":"none"}"#.to_owned(),
    };
    Some(format!("\"tool_choice\":{choice}"))
}

/// How the model is to think.
#[derive(Debug, Default)]
struct Thinking {
    /// The value of `thinking`.
    member: Option<String>,
    on: bool,
    effort: Option<&'static str>,
}

impl Thinking {
    fn of(conversation: &Conversation, family: &Family, limit: u64, losses: &mut Vec<String>) -> Thinking {
        let Some(reasoning) = conversation.reasoning.as_ref().filter(|it| it.is_asked()) else {
            return Thinking::default();
        };
        if reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None) {
            // An older Claude does not think unless it is asked to.
            let said = family.adaptive || !family.claude;
            let member = said.then(|| r#"{"type":"disabled"}"#.to_owned());
            return Thinking { member, ..Thinking::default() };
        }
        let display = display(reasoning, family, losses);
        if family.adaptive {
            return Thinking::adaptive(reasoning, family, limit, display, losses);
        }
        let forced = matches!(conversation.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        if forced && !conversation.tools.is_empty() {
            losses.push("reasoning: this model does not think when a tool is forced".to_owned());
            return Thinking::default();
        }
        Thinking::budgeted(reasoning, limit, display, losses)
    }

    fn adaptive(
        reasoning: &Reasoning,
        family: &Family,
        limit: u64,
        display: &str,
        losses: &mut Vec<String>,
    ) -> Thinking {
        let effort = match (reasoning.effort, reasoning.max_tokens) {
            (Some(effort), budget) => {
                if budget.is_some() {
                    losses.push("reasoning.max_tokens: the model goes by the effort".to_owned());
                }
                Some(effort)
            }
            (None, Some(budget)) => {
                losses.push("reasoning.max_tokens: sent as the nearest effort".to_owned());
                Some(Effort::nearest(budget, limit))
            }
            (None, None) => None,
        };
        let sent = effort.and_then(|effort| effort_name(effort, family));
        losses.extend(reasoning.effort.zip(sent).and_then(|(own, sent)| other_effort(own, sent)));
        let effort = sent;
        Thinking { member: Some(format!(r#"{{"type":"adaptive"{display}}}"#)), on: true, effort }
    }

    /// A budget is at least 1024, and less than the limit of output that it is a part of.
    fn budgeted(reasoning: &Reasoning, limit: u64, display: &str, losses: &mut Vec<String>) -> Thinking {
        if limit <= LEAST_BUDGET {
            losses.push(format!("reasoning: no room to think within {limit} output tokens"));
            return Thinking::default();
        }
        let wanted = reasoning.max_tokens.unwrap_or_else(|| {
            let effort = reasoning.effort.unwrap_or(Effort::Medium);
            effort.budget(limit)
        });
        let budget = wanted.clamp(LEAST_BUDGET, limit - 1);
        if reasoning.max_tokens.is_some_and(|wanted| wanted != budget) {
            losses.push(format!("reasoning.max_tokens: {budget} instead, to fit the output tokens"));
        }
        let member = format!(r#"{{"type":"enabled","budget_tokens":{budget}{display}}}"#);
        Thinking { member: Some(member), on: true, effort: None }
    }
}

fn display(reasoning: &Reasoning, family: &Family, losses: &mut Vec<String>) -> &'static str {
    if reasoning.summary.as_deref().is_some_and(|summary| summary != "auto") {
        losses.push(format!("reasoning.summary: {NOT_SAYABLE}"));
    }
    match (reasoning.exclude, family.claude) {
        (true, true) => r#","display":"omitted""#,
        (true, false) => {
            losses.push("reasoning.exclude: the provider does not know it".to_owned());
            ""
        }
        (false, _) => "",
    }
}

fn effort_name(effort: Effort, family: &Family) -> Option<&'static str> {
    match effort {
        Effort::None => None,
        Effort::Minimal | Effort::Low => Some("low"),
        Effort::Medium => Some("medium"),
        Effort::High => Some("high"),
        Effort::Xhigh => Some(if family.xhigh { "xhigh" } else { "high" }),
        Effort::Max => Some("max"),
    }
}

/// The value of `output_config.format`, or a sentence among the instructions.
fn write_format(
    format: &Format,
    family: &Family,
    system: &mut Vec<String>,
    losses: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    match format {
        Format::Text => Ok(None),
        Format::JsonObject => {
            let words = "Answer with one JSON object and nothing else.";
            system.push(format!(r#"{{"type":"text","text":"{words}"}}"#));
            losses.push("response_format: json_object was asked for in words".to_owned());
            Ok(None)
        }
        Format::JsonSchema { schema, .. } if family.structured => {
            losses.extend(bare_schema(format, NOT_SAYABLE));
            Ok(Some(format!(r#"{{"type":"json_schema","schema":{schema}}}"#)))
        }
        Format::JsonSchema { .. } => Err(Failure::invalid(
            "`response_format`: the chosen model cannot be held to a JSON schema by its provider.",
        )),
    }
}

fn write_config(
    conversation: &Conversation,
    family: &Family,
    thinking: &Thinking,
    format: Option<String>,
    losses: &mut Vec<String>,
) -> Option<String> {
    let mut effort = thinking.effort;
    if let Some(verbosity) = &conversation.verbosity {
        let wanted = Effort::parse(verbosity).filter(|_| family.adaptive && effort.is_none());
        effort = effort.or_else(|| wanted.and_then(|wanted| effort_name(wanted, family)));
        if wanted.is_none() {
            losses.push(format!("verbosity: {NOT_SAYABLE}"));
        }
    }
    let members: Vec<String> = [
        effort.map(|effort| format!("\"effort\":\"{effort}\"")),
        format.map(|format| format!("\"format\":{format}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!members.is_empty()).then(|| format!("\"output_config\":{{{}}}", members.join(",")))
}

fn write_sampling(
    conversation: &Conversation,
    family: &Family,
    thinking: &Thinking,
    body: &mut Vec<String>,
    losses: &mut Vec<String>,
) {
    let sampling = &conversation.sampling;
    let number = |text: &str| json::number(text).unwrap_or(0.0);
    let both = family.structured && sampling.temperature.is_some();
    // Each with the value to send, or the reason why none is sent.
    let temperature = |text: &String| match number(text) {
        value if value > 1.0 && !thinking.on => Ok("1".to_owned()),
        value if thinking.on && value != 1.0 => Err("must be 1 where the model thinks"),
        _ => Ok(text.clone()),
    };
    let top_p = |text: &String| match number(text) {
        _ if both => Err("not taken together with temperature"),
        value if thinking.on && value < 0.95 => Err("must be 0.95 or more where the model thinks"),
        _ => Ok(text.clone()),
    };
    let top_k = |text: &String| match thinking.on {
        true => Err("not taken where the model thinks"),
        false => Ok(text.clone()),
    };
    let sent = [
        ("temperature", &sampling.temperature, sampling.temperature.as_ref().map(temperature)),
        ("top_p", &sampling.top_p, sampling.top_p.as_ref().map(top_p)),
        ("top_k", &sampling.top_k, sampling.top_k.as_ref().map(top_k)),
    ];
    for (name, own, value) in sent {
        match value {
            None => {}
            Some(_) if family.fixed_sampling => losses.push(format!("{name}: the model refuses it")),
            Some(Err(why)) => losses.push(format!("{name}: {why}")),
            Some(Ok(value)) => {
                if own.as_ref() != Some(&value) {
                    losses.push(format!("{name}: {value} instead, the most there is"));
                }
                body.push(format!("\"{name}\":{value}"));
            }
        }
    }
    write_stop(&sampling.stop, body, losses);
    let unknown = [
        ("min_p", &sampling.min_p),
        ("frequency_penalty", &sampling.frequency_penalty),
        ("presence_penalty", &sampling.presence_penalty),
        ("repetition_penalty", &sampling.repetition_penalty),
        ("seed", &sampling.seed),
    ];
    let sent = unknown.into_iter().filter(|(_, value)| value.is_some());
    losses.extend(sent.map(|(name, _)| format!("{name}: {NOT_SAYABLE}")));
}

/// Blank stop sequences are refused.
fn write_stop(stop: &[String], body: &mut Vec<String>, losses: &mut Vec<String>) {
    let (kept, blank): (Vec<&String>, Vec<&String>) = stop.iter().partition(|text| !text.trim().is_empty());
    if !blank.is_empty() {
        losses.push("stop: blank sequences are refused".to_owned());
    }
    if !kept.is_empty() {
        let texts: Vec<String> = kept.into_iter().map(|text| quote(text)).collect();
        body.push(format!("\"stop_sequences\":[{}]", texts.join(",")));
    }
}

fn write_hints(conversation: &Conversation, body: &mut Vec<String>, losses: &mut Vec<String>) {
    match &conversation.user {
        Some(user) if user.chars().count() <= MOST_USER_ID => {
            body.push(format!("\"metadata\":{{\"user_id\":{}}}", quote(user)));
        }
        Some(_) => losses.push(format!("user: longer than {MOST_USER_ID} characters")),
        None => {}
    }
    match conversation.service_tier.as_deref() {
        Some("auto") => body.push("\"service_tier\":\"auto\"".to_owned()),
        Some("standard_only" | "default" | "standard") => {
            body.push("\"service_tier\":\"standard_only\"".to_owned());
        }
        Some(_) => losses.push(format!("service_tier: {NOT_SAYABLE}")),
        None => {}
    }
    if conversation.prompt_cache_key.is_some() {
        losses.push(format!("prompt_cache_key: {NOT_SAYABLE}"));
    }
    if conversation.metadata.is_some() {
        losses.push(format!("metadata: {NOT_SAYABLE}"));
    }
}
