//! The turns of a conversation as this protocol wants them: instructions apart, roles in
//! alternation, no empty text, each call answered in the very next message and before all else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::tools::{Names, call_id};
use super::whole;
use crate::chat::conversation::{CacheMark, Conversation, Part, Role, ToolCall, ToolResult, Turn};
use crate::error::Failure;
use crate::json;
use crate::protocol::writing::is_detailed;

mod part;

use part::{file_block, image_block, reasoning_block, text_block};

/// The most breakpoints that a request may set for the cache.
const MOST_MARKS: usize = 4;

/// The instructions and messages, as JSON.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    pub system: Vec<String>,
    pub messages: Vec<String>,
}

/// Counts the marks for the cache; the earliest go where there are too many.
#[derive(Debug)]
pub(super) struct Marks {
    skip: usize,
}

impl Marks {
    pub(super) fn new(conversation: &Conversation, losses: &mut Vec<String>) -> Marks {
        let tools = conversation.tools.iter().filter(|tool| tool.cache.is_some()).count();
        let parts = conversation.turns.iter().flat_map(|turn| &turn.parts).map(Part::marks).sum::<usize>();
        let skip = (tools + parts).saturating_sub(MOST_MARKS);
        if skip > 0 {
            losses.push(format!("cache_control: only the last {MOST_MARKS} of {} are sent", tools + parts));
        }
        Marks { skip }
    }

    /// The member for a mark, with the comma before it.
    pub(super) fn write(&mut self, mark: Option<CacheMark>) -> &'static str {
        match mark {
            None => "",
            Some(_) if self.skip > 0 => {
                self.skip -= 1;
                ""
            }
            Some(CacheMark::FiveMinutes) => r#","cache_control":{"type":"ephemeral"}"#,
            Some(CacheMark::OneHour) => r#","cache_control":{"type":"ephemeral","ttl":"1h"}"#,
        }
    }
}

/// Writes all turns.
pub(super) fn write(
    conversation: &Conversation,
    names: &Names,
    marks: &mut Marks,
    losses: &mut Vec<String>,
) -> Result<Prompt, Failure> {
    let turns = &conversation.turns;
    let leading = turns.iter().take_while(|turn| turn.role == Role::System).count();
    // Instructions alone are a question.
    let leading = if leading == turns.len() { leading.saturating_sub(1) } else { leading };
    let mut system = Vec::new();
    for part in turns[..leading].iter().flat_map(|turn| &turn.parts) {
        match part {
            Part::Text { text, cache } => system.extend(text_block(text, marks.write_for(text, *cache))),
            other => lose(losses, "system", kind_of(other), "instructions are text only"),
        }
    }
    let mut writer = Messages::new(names, marks, losses);
    for (i, turn) in turns.iter().enumerate().skip(leading) {
        writer.write_turn(turn, i, i + 1 == turns.len())?;
    }
    let messages = writer.end()?;
    match messages.is_empty() {
        true => Err(Failure::invalid("`messages` hold nothing that can be sent to the chosen model.")),
        false => Ok(Prompt { system, messages }),
    }
}

impl Marks {
    /// As [`Marks::write`], of a text that is no block if it is blank.
    fn write_for(&mut self, text: &str, mark: Option<CacheMark>) -> &'static str {
        if text.trim().is_empty() { "" } else { self.write(mark) }
    }
}

fn lose(losses: &mut Vec<String>, path: &str, what: &str, why: &str) {
    losses.push(format!("{path}: {what}: {why}"));
}

fn kind_of(part: &Part) -> &'static str {
    match part {
        Part::Text { .. } => "text",
        Part::Image { .. } => "an image",
        Part::File { .. } => "a file",
        Part::Audio { .. } => "audio",
        Part::Reasoning { .. } | Part::SealedReasoning { .. } => "reasoning",
        Part::ToolCall(_) => "a tool call",
        Part::ToolResult(_) => "a tool result",
        Part::Refusal { .. } => "a refusal",
    }
}

/// The calls that wait for their results, in their order.
#[derive(Debug, Default)]
struct OpenCalls {
    calls: VecDeque<OpenCall>,
    /// Where in `calls` those of an id stand.
    places: BTreeMap<String, VecDeque<usize>>,
    /// No call before this one waits.
    first: usize,
}

#[derive(Debug)]
struct OpenCall {
    /// The id that was written.
    sent: String,
    name: String,
    answered: bool,
}

impl OpenCalls {
    fn push(&mut self, id: &str, sent: String, name: &str) {
        self.places.entry(id.to_owned()).or_default().push_back(self.calls.len());
        self.calls.push_back(OpenCall { sent, name: name.to_owned(), answered: false });
    }

    /// The call that waits longest.
    fn first(&mut self) -> Option<usize> {
        while self.calls.get(self.first)?.answered {
            self.first += 1;
        }
        Some(self.first)
    }

    /// Answers the first call of the id; a result without an id answers the first there is.
    fn answer(&mut self, id: &str) -> Option<String> {
        let named = |places: &mut VecDeque<usize>| {
            std::iter::from_fn(|| places.pop_front()).find(|place| !self.calls[*place].answered)
        };
        let place = match id {
            "" => self.first(),
            id => self.places.get_mut(id).and_then(named),
        }?;
        let call = self.calls.get_mut(place)?;
        call.answered = true;
        Some(call.sent.clone())
    }
}

#[derive(Debug)]
struct Messages<'a> {
    names: &'a Names,
    marks: &'a mut Marks,
    losses: &'a mut Vec<String>,
    done: Vec<String>,
    assistant: bool,
    results: Vec<String>,
    blocks: Vec<String>,
    open: OpenCalls,
    ids: BTreeSet<String>,
}

impl<'a> Messages<'a> {
    fn new(names: &'a Names, marks: &'a mut Marks, losses: &'a mut Vec<String>) -> Messages<'a> {
        Messages {
            names,
            marks,
            losses,
            done: Vec::new(),
            assistant: false,
            results: Vec::new(),
            blocks: Vec::new(),
            open: OpenCalls::default(),
            ids: BTreeSet::new(),
        }
    }

    fn write_turn(&mut self, turn: &Turn, position: usize, last: bool) -> Result<(), Failure> {
        let path = format!("turn {position}");
        for (i, part) in turn.parts.iter().enumerate() {
            match (turn.role, part) {
                (_, Part::ToolResult(result)) => self.write_result(result, &path)?,
                (Role::Assistant, part) => {
                    let end = last && i + 1 == turn.parts.len();
                    self.write_assistant(part, &path, end)?;
                }
                (Role::User, part) => self.write_user(part, &path)?,
                (Role::System, part) => self.write_late_system(part, &path, position == 0)?,
            }
        }
        Ok(())
    }

    /// Puts what was said so far into messages, if the other side speaks now.
    fn speak(&mut self, assistant: bool) -> Result<(), Failure> {
        if self.assistant == assistant {
            return Ok(());
        }
        self.close_message();
        self.assistant = assistant;
        if assistant {
            self.check_answered()?;
            self.open = OpenCalls::default();
        }
        Ok(())
    }

    fn close_message(&mut self) {
        let mut blocks = std::mem::take(&mut self.results);
        blocks.append(&mut self.blocks);
        if blocks.is_empty() {
            return;
        }
        if self.assistant && self.done.is_empty() {
            let text = r#"{"type":"text","text":"(The conversation begins with the assistant.)"}"#;
            self.done.push(format!(r#"{{"role":"user","content":[{text}]}}"#));
            self.losses.push("messages: the first has to be the user's, so one was put before".to_owned());
        }
        let role = if self.assistant { "assistant" } else { "user" };
        self.done.push(format!(r#"{{"role":"{role}","content":[{}]}}"#, blocks.join(",")));
    }

    fn check_answered(&mut self) -> Result<(), Failure> {
        match self.open.first() {
            Some(place) => {
                let name = json::quote(&self.open.calls[place].name);
                Err(Failure::invalid(format!(
                    "`messages`: a call of the tool {name} is not answered by the messages right after it."
                )))
            }
            None => Ok(()),
        }
    }

    fn end(mut self) -> Result<Vec<String>, Failure> {
        if !self.assistant {
            self.check_answered()?;
        }
        self.close_message();
        Ok(self.done)
    }

    fn write_user(&mut self, part: &Part, path: &str) -> Result<(), Failure> {
        match part {
            Part::Text { text, cache } => {
                let mark = self.marks.write_for(text, *cache);
                let block = text_block(text, mark);
                self.say(false, block)
            }
            Part::Image { source, detail, cache } => {
                self.note_detail(detail.as_deref(), path);
                let mark = self.marks.write(*cache);
                let block = image_block(source, mark)?;
                self.say(false, Some(block))
            }
            Part::File { name, source, cache } => {
                let mark = self.marks.write(*cache);
                let block = file_block(name.as_deref(), source, mark)?;
                self.say(false, Some(block))
            }
            Part::Audio { .. } => Err(no_audio()),
            Part::Refusal { text } => self.say(false, text_block(text, "")),
            Part::Reasoning { .. }
            | Part::SealedReasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_) => {
                lose(self.losses, path, kind_of(part), "not the user's to say");
                Ok(())
            }
        }
    }

    fn note_detail(&mut self, detail: Option<&str>, path: &str) {
        if is_detailed(detail) {
            lose(self.losses, path, "image detail", "not expressible in Anthropic Messages");
        }
    }

    fn write_assistant(&mut self, part: &Part, path: &str, end: bool) -> Result<(), Failure> {
        match part {
            Part::Text { text, cache } => {
                // The last words are refused if blanks end them.
                let text = if end { text.trim_end() } else { text };
                let mark = self.marks.write_for(text, *cache);
                self.say(true, text_block(text, mark))
            }
            Part::Refusal { text } => self.say(true, text_block(text, "")),
            Part::Reasoning { .. } | Part::SealedReasoning { .. } => {
                let block = reasoning_block(part);
                if block.is_none() {
                    lose(self.losses, path, "reasoning", "not sealed by Anthropic");
                }
                self.say(true, block)
            }
            Part::ToolCall(call) => self.write_call(call, path),
            Part::Audio { .. } => Err(no_audio()),
            Part::Image { .. } | Part::File { .. } | Part::ToolResult(_) => {
                lose(self.losses, path, kind_of(part), "not the assistant's to say in Anthropic Messages");
                Ok(())
            }
        }
    }

    /// Instructions in the middle: the user's words, marked as what they are.
    fn write_late_system(&mut self, part: &Part, path: &str, alone: bool) -> Result<(), Failure> {
        match part {
            Part::Text { text, cache } if !text.trim().is_empty() => {
                let mark = self.marks.write(*cache);
                if alone {
                    self.losses.push("system: sent as the user's, for there is no message".to_owned());
                    return self.say(false, text_block(text, mark));
                }
                lose(self.losses, path, "instructions", "sent as the user's in <system> tags");
                self.say(false, text_block(&format!("<system>\n{text}\n</system>"), mark))
            }
            Part::Text { .. } => Ok(()),
            other => self.write_user(other, path),
        }
    }

    fn say(&mut self, assistant: bool, block: Option<String>) -> Result<(), Failure> {
        if let Some(block) = block {
            self.speak(assistant)?;
            self.blocks.push(block);
        }
        Ok(())
    }

    fn write_call(&mut self, call: &ToolCall, path: &str) -> Result<(), Failure> {
        self.speak(true)?;
        if call.seal.is_some() {
            lose(self.losses, path, "the seal of a tool call", "not Anthropic's");
        }
        let input = whole::input(&call.arguments, call.custom);
        if !call.custom && input.starts_with(r#"{"_raw":"#) && !call.arguments.contains("_raw") {
            lose(self.losses, path, "arguments that are no JSON object", "sent as {\"_raw\": …}");
        }
        let sent = self.fresh_id(&call.id);
        let name = self.names.send(&call.name);
        self.blocks.push(format!(
            r#"{{"type":"tool_use","id":{},"name":{},"input":{input}}}"#,
            json::quote(&sent),
            json::quote(name),
        ));
        self.open.push(&call.id, sent, &call.name);
        Ok(())
    }

    /// The id under which a call is written: never one that was there before.
    fn fresh_id(&mut self, id: &str) -> String {
        let mut sent = call_id(id);
        let mut count = self.ids.len();
        while !self.ids.insert(sent.clone()) {
            sent = call_id(&format!("{id}#{count}"));
            count += 1;
        }
        sent
    }

    fn write_result(&mut self, result: &ToolResult, path: &str) -> Result<(), Failure> {
        self.speak(false)?;
        let sent = self.open.answer(&result.call);
        let mark = self.marks.write(result.cache);
        let content = self.result_content(result, path)?;
        let Some(sent) = sent else {
            lose(self.losses, path, "a tool result", "without a call right before it, sent as text");
            self.blocks.extend(text_block("Result of a tool:", ""));
            self.blocks.extend(content);
            return Ok(());
        };
        let content = content.join(",");
        let error = if result.is_error { r#","is_error":true"# } else { "" };
        self.results.push(format!(
            r#"{{"type":"tool_result","tool_use_id":{},"content":[{content}]{error}{mark}}}"#,
            json::quote(&sent),
        ));
        Ok(())
    }

    fn result_content(&mut self, result: &ToolResult, path: &str) -> Result<Vec<String>, Failure> {
        let mut content = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text { text, cache } => {
                    let mark = self.marks.write_for(text, *cache);
                    content.extend(text_block(text, mark));
                }
                Part::Refusal { text } => content.extend(text_block(text, "")),
                Part::Image { source, detail, cache } => {
                    self.note_detail(detail.as_deref(), path);
                    content.push(image_block(source, self.marks.write(*cache))?);
                }
                Part::File { name, source, cache } => {
                    content.push(file_block(name.as_deref(), source, self.marks.write(*cache))?);
                }
                Part::Audio { .. } => return Err(no_audio()),
                Part::Reasoning { .. }
                | Part::SealedReasoning { .. }
                | Part::ToolCall(_)
                | Part::ToolResult(_) => lose(self.losses, path, kind_of(part), "no part of a result"),
            }
        }
        Ok(content)
    }
}

fn no_audio() -> Failure {
    Failure::invalid("`messages`: the chosen model's protocol, Anthropic Messages, takes no audio.")
}
