//! Reads a whole reply of Converse into the events that its stream would have given.

use super::stream::{placed, service_tier, tell_reasoning};
use super::wire;
use crate::chat::{Event, Finish, Quirks, ReplyFault};
use crate::json::{self, Members};
use crate::protocol::lane::{Renamed, Teller, WholeReply};

/// Reads a body that came with status 200. `names` are those of the written request.
pub fn read_whole(body: &[u8], _quirks: &Quirks, names: &[Renamed]) -> Result<WholeReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = json::members(&text).map_err(|error| ReplyFault::NotJson(error.to_string()))?;
    let message = reply.object("output").and_then(|output| output.object("message"));
    if message.is_none() && (reply.has("message") || reply.has("Message") || reply.has("__type")) {
        return Err(ReplyFault::Error(wire::read_error(body)));
    }
    let mut blocks = Blocks { teller: Teller::new(names.to_vec()), ..Blocks::default() };
    for block in message.and_then(|message| message.array("content")).unwrap_or_default() {
        if let Ok(block) = json::members(block) {
            blocks.read(&block);
        }
    }
    blocks.finish(&reply)
}

#[derive(Default)]
struct Blocks {
    teller: Teller,
    events: Vec<Event>,
    characters: u64,
    /// Where the last text began and ended.
    span: Option<(u64, u64)>,
}

impl Blocks {
    fn read(&mut self, block: &Members<'_>) {
        if let Some(text) = block.string("text") {
            self.tell_text(text.into_owned());
        }
        if let Some(cited) = block.object("citationsContent") {
            if let Some(text) = wire::joined(&cited, "content") {
                self.tell_text(text);
            }
            for citation in cited.array("citations").unwrap_or_default() {
                if let Some(citation) = wire::citation(citation) {
                    let citation = placed(citation, self.span);
                    self.teller.tell(Event::Citation(citation), &mut self.events);
                }
            }
        }
        if let Some(reasoning) = block.object("reasoningContent") {
            let text = reasoning.object("reasoningText");
            tell_reasoning(text.as_ref().unwrap_or(&reasoning), &mut self.teller, &mut self.events);
        }
        if let Some(tool) = block.object("toolUse") {
            self.tell_call(&tool);
        }
        let told = ["text", "citationsContent", "reasoningContent", "toolUse"];
        if !told.iter().any(|name| block.has(name)) {
            self.teller.facts.lose(wire::INNER);
        }
    }

    fn tell_text(&mut self, text: String) {
        let start = self.characters;
        self.characters += text.chars().count() as u64;
        self.span = Some((start, self.characters));
        self.teller.tell(Event::Text(text), &mut self.events);
    }

    fn tell_call(&mut self, tool: &Members<'_>) {
        if tool.string("type").as_deref() == Some("server_tool_use") {
            return;
        }
        let id = tool.string("toolUseId").unwrap_or_default().into_owned();
        let name = tool.string("name").unwrap_or_default();
        let call = self.teller.open_call(id, &name, &mut self.events);
        self.teller.arguments(call, tool.value("input").unwrap_or("{}"), &mut self.events);
        self.teller.end_call(call, &mut self.events);
    }

    fn finish(mut self, reply: &Members<'_>) -> Result<WholeReply, ReplyFault> {
        let native = reply.string("stopReason").unwrap_or_default().into_owned();
        if self.events.is_empty() && native.is_empty() {
            return Err(ReplyFault::Empty);
        }
        let reason = wire::finish(&native);
        if self.events.is_empty() && reason == Finish::Error {
            return Err(ReplyFault::Error(wire::malformed(&native)));
        }
        self.teller.tell(Event::Finish { reason, native }, &mut self.events);
        let facts = &mut self.teller.facts;
        facts.usage = reply.value("usage").and_then(wire::usage_from);
        facts.service_tier = service_tier(reply);
        facts.done = true;
        let (events, facts) = (self.events, self.teller.facts);
        facts.reply_fault().map_or(Ok(WholeReply { events, facts }), Err)
    }
}
