//! Whether the calls in a reply are such as the request's tools take: known by name, with arguments
//! that are an object with what is required, of the types and words that its schema names. Only what
//! stands at the top of a schema is looked at. Read once, when a reply is over.

use crate::chat::Event;
use crate::json::{self, Members, Outlined};

/// A call as a model made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    /// JSON text, or nothing where there are no arguments.
    pub arguments: String,
}

/// Longer arguments are not kept, and so are not judged.
const MOST_BYTES: usize = 256 * 1024;

/// Gathers the calls of a reply, event by event.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    made: Vec<Call>,
    /// The number of each call in the reply.
    numbers: Vec<usize>,
}

impl Calls {
    /// Gathers those of a reply that is there whole.
    pub fn of(events: &[Event]) -> Calls {
        let mut calls = Calls::default();
        events.iter().for_each(|event| calls.note(event));
        calls
    }

    /// Takes note of an event. Calls of tools that take free text are none to judge.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::ToolCall { call, name, custom: false, .. } => {
                self.numbers.push(*call);
                self.made.push(Call { name: name.clone(), arguments: String::new() });
            }
            Event::Arguments { call, text } => {
                let place = self.numbers.iter().rposition(|number| number == call);
                if let Some(call) = place.and_then(|place| self.made.get_mut(place)) {
                    call.arguments.push_str(text);
                    if call.arguments.len() > MOST_BYTES {
                        place.map(|place| (self.made.remove(place), self.numbers.remove(place)));
                    }
                }
            }
            Event::ToolCall { custom: true, .. } | Event::ToolCallEnd { .. } => {}
            Event::Text(_) | Event::Reasoning { .. } | Event::Seal { .. } | Event::Refusal(_) => {}
            Event::Image { .. } | Event::Citation(_) | Event::Finish { .. } => {}
        }
    }

    pub fn made(&self) -> &[Call] {
        &self.made
    }
}

/// Whether the tools of `request`, whatever client's protocol it is in, take all of these calls. What
/// cannot be told is no fault.
pub fn fit(request: &Outlined, calls: &[Call]) -> bool {
    let Some((text, list)) = request.object().and_then(|body| Some((body.source(), body.array("tools")?)))
    else {
        return true;
    };
    let tools: Vec<Members<'_>> = list.into_iter().flat_map(declarations).collect();
    let name = |tool: &Members<'_>| tool.string("name").map(|name| name.into_owned());
    // A namespace, or a tool that its vendor runs, may bring names of its own.
    let plain = |tool: &Members<'_>| tool.has("name") && !tool.has("tools");
    let closed = tools.iter().all(plain) && !text.contains("\"additional_tools\"");
    calls.iter().all(|call| {
        match tools.iter().find(|tool| name(tool).as_deref() == Some(call.name.as_str())) {
            Some(tool) => takes(schema_of(tool), &call.arguments),
            None => !closed,
        }
    })
}

/// The functions that an element of `tools` declares.
fn declarations(tool: &str) -> Vec<Members<'_>> {
    let Ok(tool) = json::members(tool) else { return Vec::new() };
    let several = tool.array("functionDeclarations").or_else(|| tool.array("function_declarations"));
    match several {
        Some(several) => several.into_iter().filter_map(|one| json::members(one).ok()).collect(),
        None => vec![tool.object("function").or_else(|| tool.object("custom")).unwrap_or(tool)],
    }
}

fn schema_of<'a>(tool: &Members<'a>) -> Option<Members<'a>> {
    ["parameters", "input_schema", "parametersJsonSchema"].into_iter().find_map(|name| tool.object(name))
}

/// Whether arguments are an object that the schema allows, as far as is looked.
fn takes(schema: Option<Members<'_>>, arguments: &str) -> bool {
    // An empty text is how OpenAI spells "no arguments".
    let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
    let Ok(given) = json::members(arguments) else { return false };
    let Some(schema) = schema else { return true };
    let required = schema.array("required").unwrap_or_default();
    let lacks = |name: &&str| json::string(name).is_some_and(|name| !given.has(&name));
    let properties = schema.object("properties");
    let allows = |name: &str, value: &str| {
        let property = properties.as_ref().and_then(|properties| properties.object(name));
        property.is_none_or(|property| allows(&property, value))
    };
    !required.iter().any(lacks) && given.iter().all(|member| allows(&member.key, member.value))
}

/// Whether a value is of a type and, where there is a list, one of the words of its schema.
fn allows(schema: &Members<'_>, value: &str) -> bool {
    if json::is_null(value) && schema.get("nullable") == Some("true") {
        return true;
    }
    let types = match schema.string("type") {
        Some(one) => vec![one],
        None => schema.array("type").unwrap_or_default().into_iter().filter_map(json::string).collect(),
    };
    let words = schema.array("enum");
    let is =
        |word: &&str| *word == value || json::string(word).is_some_and(|it| json::string(value) == Some(it));
    (types.is_empty() || types.iter().any(|kind| is_of(kind, value)))
        && words.is_none_or(|words| words.iter().any(is))
}

/// JSON Schema's types; Gemini writes them in capitals. One that is not known is any.
fn is_of(kind: &str, value: &str) -> bool {
    let number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match kind.to_ascii_lowercase().as_str() {
        "string" => value.starts_with('"'),
        "object" => value.starts_with('{'),
        "array" => value.starts_with('['),
        "boolean" => json::boolean(value).is_some(),
        "null" => json::is_null(value),
        "number" => number,
        "integer" => number && json::number(value).is_some_and(|number| number.fract() == 0.0),
        _ => true,
    }
}
