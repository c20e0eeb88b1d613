//! A conversation as the body of Converse and ConverseStream, which are the same; the path tells
//! them apart, and names the model.

use super::cache::Points;
use super::content::{Blocks, text_block};
use super::history::{History, arrange};
use super::model::{Claude, Family};
use super::tools;
use crate::chat::Conversation;
use crate::chat::conversation::{Effort, Format, Reasoning, ToolChoice};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::{Target, Written};
use crate::protocol::writing;

const WIRE: &str = "not expressible in Bedrock Converse";
/// The output that a budget is a share of, where nobody set a limit.
const USUAL_OUTPUT: u64 = 16_384;
const LEAST_BUDGET: u64 = 1024;

/// Writes the request for Bedrock. `stream` changes the path alone: see `converse_path`.
pub fn write_conversation(
    conversation: &Conversation,
    target: &Target<'_>,
    _stream: bool,
) -> Result<Written, Failure> {
    let family = Family::of(target.model);
    let names = tools::names(conversation);
    let mut losses = spare_members(conversation);
    let history = arrange(conversation, family, &mut losses)?;
    let mut points = Points::new(conversation, family, &mut losses);
    let tool_config =
        tools::config(conversation, &history.messages, family, &names, &mut points, &mut losses);
    let mut blocks = Blocks::new(&names, points, losses);
    let mut system = blocks.write_system(&history.system)?;
    let mut messages = Vec::new();
    for message in &history.messages {
        messages.extend(blocks.write_message(message)?);
    }
    let mut losses = blocks.losses;
    let format = write_format(&conversation.format, &mut system, &mut losses);
    let settings = Settings::new(conversation, target, &history, &mut losses);
    let mut members = vec![format!(r#""messages":[{}]"#, messages.join(","))];
    if !system.is_empty() {
        members.push(format!(r#""system":[{}]"#, system.join(",")));
    }
    members.push(format!(r#""inferenceConfig":{{{}}}"#, settings.inference.join(",")));
    members.extend(tool_config.map(|config| format!(r#""toolConfig":{config}"#)));
    if !settings.model_fields.is_empty() {
        let fields = settings.model_fields.join(",");
        members.push(format!(r#""additionalModelRequestFields":{{{fields}}}"#));
    }
    members.extend(format);
    members.extend(service_tier(conversation, &mut losses));
    let body = format!("{{{}}}", members.join(",")).into_bytes();
    Ok(Written { body, losses, names, ..Written::default() })
}

/// What Converse has no place for at all.
fn spare_members(conversation: &Conversation) -> Vec<String> {
    let sampling = &conversation.sampling;
    let given = [
        ("reasoning.summary", conversation.reasoning.as_ref().is_some_and(|it| it.summary.is_some())),
        ("min_p", sampling.min_p.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("repetition_penalty", sampling.repetition_penalty.is_some()),
        ("seed", sampling.seed.is_some()),
        ("verbosity", conversation.verbosity.is_some()),
        ("user", conversation.user.is_some()),
        ("prompt_cache_key", conversation.prompt_cache_key.is_some()),
        // `requestMetadata` is for the account's own logs, and its alphabet is narrow.
        ("metadata", conversation.metadata.is_some()),
    ];
    writing::unsayable(&given, conversation, WIRE)
}

fn write_format(format: &Format, system: &mut Vec<String>, losses: &mut Vec<String>) -> Option<String> {
    match format {
        Format::Text => None,
        Format::JsonObject => {
            system.push(text_block("Answer with one JSON object and nothing else."));
            losses.push("response_format: Bedrock Converse has no JSON mode; the model is asked".to_owned());
            None
        }
        Format::JsonSchema { name, description, schema, strict } => {
            losses.extend(writing::loose_schema(*strict));
            let description =
                description.as_deref().map(|text| format!(r#","description":{}"#, json::quote(text)));
            // The schema goes as a string.
            Some(format!(
                concat!(
                    r#""outputConfig":{{"textFormat":{{"type":"json_schema","structure":{{"#,
                    r#""jsonSchema":{{"schema":{},"name":{}{}}}}}}}}}"#,
                ),
                json::quote(schema),
                json::quote(name.as_deref().unwrap_or(writing::UNNAMED)),
                description.unwrap_or_default(),
            ))
        }
    }
}

fn service_tier(conversation: &Conversation, losses: &mut Vec<String>) -> Option<String> {
    let tier = conversation.service_tier.as_deref()?;
    match tier {
        "default" | "priority" | "flex" | "reserved" => Some(format!(r#""serviceTier":{{"type":"{tier}"}}"#)),
        _ => {
            losses.push("service_tier: Bedrock has no tier of that name".to_owned());
            None
        }
    }
}

/// Limits, sampling and reasoning: what Converse knows, and what only the model knows.
struct Settings {
    inference: Vec<String>,
    model_fields: Vec<String>,
}

/// How a model is made to think.
enum Thinking {
    /// Nothing is said.
    Unsaid,
    /// Claude, with a budget.
    Budget(u64),
    /// By members of the model's own.
    Fields(Vec<String>),
}

impl Settings {
    fn new(
        conversation: &Conversation,
        target: &Target<'_>,
        history: &History<'_>,
        losses: &mut Vec<String>,
    ) -> Settings {
        let family = Family::of(target.model);
        let mut settings = Settings { inference: Vec::new(), model_fields: Vec::new() };
        let mut thinking = thinking(conversation, target, family, losses);
        if matches!(thinking, Thinking::Budget(_)) && history.lost_thoughts() {
            let what = "reasoning: this model thinks on in a loop of tools only with its earlier thoughts";
            losses.push(what.to_owned());
            thinking = Thinking::Unsaid;
        }
        let limit = match (conversation.max_tokens, &thinking) {
            (Some(limit), _) => Some(limit.min(target.max_output.unwrap_or(limit))),
            // The budget has to stay below a limit that both sides know.
            (None, Thinking::Budget(budget)) => target.max_output.or(Some(budget.saturating_mul(2))),
            (None, Thinking::Unsaid | Thinking::Fields(_)) => None,
        };
        settings.inference.extend(limit.map(|limit| format!(r#""maxTokens":{limit}"#)));
        let thinks = matches!(thinking, Thinking::Budget(_));
        settings.sample(conversation, family, thinks, losses);
        match thinking {
            Thinking::Unsaid => {}
            Thinking::Budget(budget) => settings
                .model_fields
                .push(format!(r#""thinking":{{"type":"enabled","budget_tokens":{budget}}}"#)),
            Thinking::Fields(mut fields) => settings.model_fields.append(&mut fields),
        }
        settings.forbid_parallel_calls(conversation, family, losses);
        settings
    }

    fn sample(
        &mut self,
        conversation: &Conversation,
        family: Family,
        thinks: bool,
        losses: &mut Vec<String>,
    ) {
        let sampling = &conversation.sampling;
        if thinks || family == Family::Claude(Claude::Adaptive) {
            let given = [
                ("temperature", &sampling.temperature),
                ("top_p", &sampling.top_p),
                ("top_k", &sampling.top_k),
            ];
            let given = given.into_iter().filter(|(_, value)| value.is_some());
            losses.extend(given.map(|(name, _)| format!("{name}: this model refuses it while it thinks")));
        } else {
            if let Some(temperature) = &sampling.temperature {
                let above = json::number(temperature).is_some_and(|number| number > 1.0);
                if above {
                    losses.push("temperature: Bedrock Converse takes no more than 1".to_owned());
                }
                let number = if above { "1" } else { temperature };
                self.inference.push(format!(r#""temperature":{number}"#));
            }
            self.inference.extend(sampling.top_p.as_ref().map(|number| format!(r#""topP":{number}"#)));
            self.top_k(sampling.top_k.as_deref(), family, losses);
        }
        let stop: Vec<String> =
            sampling.stop.iter().filter(|s| !s.is_empty()).map(|s| json::quote(s)).collect();
        if !stop.is_empty() {
            self.inference.push(format!(r#""stopSequences":[{}]"#, stop.join(",")));
        }
    }

    fn top_k(&mut self, top_k: Option<&str>, family: Family, losses: &mut Vec<String>) {
        let Some(number) = top_k else { return };
        match family {
            Family::Claude(_) | Family::Mistral => self.model_fields.push(format!(r#""top_k":{number}"#)),
            Family::Nova { .. } => {
                self.model_fields.push(format!(r#""inferenceConfig":{{"topK":{number}}}"#));
            }
            Family::GptOss | Family::Other => losses.push(format!("top_k: {WIRE} for this model")),
        }
    }

    fn forbid_parallel_calls(
        &mut self,
        conversation: &Conversation,
        family: Family,
        losses: &mut Vec<String>,
    ) {
        if conversation.parallel_tool_calls != Some(false) || conversation.tools.is_empty() {
            return;
        }
        let free = matches!(conversation.tool_choice, None | Some(ToolChoice::Auto));
        if free && family.is_claude() {
            let choice = r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#;
            self.model_fields.push(choice.to_owned());
        } else {
            losses.push(format!("parallel_tool_calls: {WIRE} for this model and choice"));
        }
    }
}

fn thinking(
    conversation: &Conversation,
    target: &Target<'_>,
    family: Family,
    losses: &mut Vec<String>,
) -> Thinking {
    let Some(reasoning) = &conversation.reasoning else { return Thinking::Unsaid };
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    if !reasoning.is_asked() {
        return Thinking::Unsaid;
    }
    match family {
        Family::Claude(Claude::Budget) if off => Thinking::Unsaid,
        Family::Claude(Claude::Budget) => budget(conversation, reasoning, target, losses),
        Family::Claude(Claude::Adaptive) if off => {
            Thinking::Fields(vec![r#""thinking":{"type":"disabled"}"#.to_owned()])
        }
        Family::Claude(Claude::Adaptive) => adaptive(conversation, reasoning, losses),
        Family::Nova { thinks: true } if off => {
            Thinking::Fields(vec![r#""reasoningConfig":{"type":"disabled"}"#.to_owned()])
        }
        Family::Nova { thinks: true } => {
            let level = level(effort_of(conversation, reasoning));
            losses.extend(measure_loss(reasoning, level));
            let config = format!(r#""reasoningConfig":{{"type":"enabled","maxReasoningEffort":"{level}"}}"#);
            Thinking::Fields(vec![config])
        }
        Family::GptOss => {
            // It always thinks; the least is `low`.
            let level = if off { "low" } else { level(effort_of(conversation, reasoning)) };
            losses.extend(measure_loss(reasoning, level));
            Thinking::Fields(vec![format!(r#""reasoning_effort":"{level}""#)])
        }
        Family::Nova { thinks: false } | Family::Mistral | Family::Other => {
            if !off {
                losses.push(format!("reasoning: {WIRE} for this model"));
            }
            Thinking::Unsaid
        }
    }
}

/// The budget of an older Claude: at least 1024 tokens, and less than the whole output.
fn budget(
    conversation: &Conversation,
    reasoning: &Reasoning,
    target: &Target<'_>,
    losses: &mut Vec<String>,
) -> Thinking {
    let forced = matches!(conversation.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    if forced {
        losses.push("reasoning: this model does not think where a tool call is forced".to_owned());
        return Thinking::Unsaid;
    }
    let limit = conversation.max_tokens.map(|own| own.min(target.max_output.unwrap_or(own)));
    let output = limit.or(target.max_output).unwrap_or(USUAL_OUTPUT);
    if output <= LEAST_BUDGET {
        losses.push("reasoning: max_tokens leaves no room for it".to_owned());
        return Thinking::Unsaid;
    }
    let wanted = reasoning.max_tokens.unwrap_or_else(|| {
        let effort = reasoning.effort.unwrap_or(Effort::Medium);
        effort.budget(output)
    });
    Thinking::Budget(wanted.clamp(LEAST_BUDGET, output - 1))
}

fn adaptive(conversation: &Conversation, reasoning: &Reasoning, losses: &mut Vec<String>) -> Thinking {
    let display = if reasoning.exclude { "omitted" } else { "summarized" };
    let mut fields = vec![format!(r#""thinking":{{"type":"adaptive","display":"{display}"}}"#)];
    if reasoning.effort.is_some() || reasoning.max_tokens.is_some() {
        let effort = match effort_of(conversation, reasoning) {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Xhigh => "xhigh",
            Effort::Max => "max",
        };
        losses.extend(measure_loss(reasoning, effort));
        fields.push(format!(r#""output_config":{{"effort":"{effort}"}}"#));
    }
    Thinking::Fields(fields)
}

/// What is lost of an effort or a budget that goes as `sent`.
fn measure_loss(reasoning: &Reasoning, sent: &str) -> Option<String> {
    let budget = writing::budget_loss(reasoning);
    budget.or_else(|| reasoning.effort.and_then(|effort| writing::other_effort(effort, sent)))
}

fn effort_of(conversation: &Conversation, reasoning: &Reasoning) -> Effort {
    let output = conversation.max_tokens.unwrap_or(USUAL_OUTPUT);
    let nearest = reasoning.max_tokens.map(|budget| Effort::nearest(budget, output));
    reasoning.effort.or(nearest).unwrap_or(Effort::Medium)
}

/// The three levels that Nova and gpt-oss know.
fn level(effort: Effort) -> &'static str {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Xhigh | Effort::Max => "high",
    }
}
