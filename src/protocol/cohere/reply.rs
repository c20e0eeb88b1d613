//! Reads a whole reply of Cohere into the events that its stream would have given.

use super::wire::{self, Offsets};
use crate::chat::conversation::ReasoningKind;
use crate::chat::{Event, Finish, Quirks, ReplyFault};
use crate::json::{self, Members};
use crate::protocol::lane::{Renamed, Teller, WholeReply};

/// Reads a body that came with status 200. `names` are those of the written request.
pub fn read_whole(body: &[u8], _quirks: &Quirks, names: &[Renamed]) -> Result<WholeReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = json::members(&text).map_err(|error| ReplyFault::NotJson(error.to_string()))?;
    let native = reply.string("finish_reason").unwrap_or_default().into_owned();
    let Some(message) = reply.object("message") else {
        // An error's `message` is a string.
        return Err(if reply.string("message").is_some() {
            ReplyFault::Error(wire::read_error(body))
        } else {
            ReplyFault::Empty
        });
    };
    let (mut teller, mut events) = (Teller::new(names.to_vec()), Vec::new());
    read_message(&message, &mut teller, &mut events);
    if reply.value("logprobs").is_some() {
        teller.facts.lose(wire::LOGPROBS);
    }
    let reason = wire::finish(&native);
    if events.is_empty() && native.is_empty() {
        return Err(ReplyFault::Empty);
    }
    if events.is_empty() && reason == Finish::Error {
        return Err(ReplyFault::Error(wire::fault(&native, &reply, text.trim())));
    }
    teller.tell(Event::Finish { reason, native }, &mut events);
    teller.facts.usage = reply.value("usage").and_then(wire::usage_from);
    teller.facts.upstream_id = reply.string("id").map(|id| id.into_owned());
    teller.facts.done = true;
    let facts = teller.facts;
    facts.reply_fault().map_or(Ok(WholeReply { events, facts }), Err)
}

fn read_message(message: &Members<'_>, teller: &mut Teller, events: &mut Vec<Event>) {
    let mut offsets = Offsets::default();
    let think = |text: &str| Event::Reasoning { text: text.to_owned(), kind: ReasoningKind::Full };
    if let Some(plan) = message.string("tool_plan") {
        teller.tell(think(&plan), events);
    }
    if let Some(text) = message.string("content") {
        offsets.add(0, &text);
        teller.tell(Event::Text(text.into_owned()), events);
    }
    for (index, part) in message.array("content").unwrap_or_default().into_iter().enumerate() {
        let Ok(part) = json::members(part) else { continue };
        if let Some(text) = part.string("thinking") {
            teller.tell(think(&text), events);
        }
        if let Some(text) = part.string("text") {
            offsets.add(index as u64, &text);
            teller.tell(Event::Text(text.into_owned()), events);
        }
    }
    for citation in message.array("citations").unwrap_or_default() {
        for citation in wire::citations(citation, &offsets, &mut teller.facts) {
            teller.tell(Event::Citation(citation), events);
        }
    }
    for call in message.array("tool_calls").unwrap_or_default() {
        if let Ok(call) = json::members(call) {
            read_call(&call, teller, events);
        }
    }
}

fn read_call(tool: &Members<'_>, teller: &mut Teller, events: &mut Vec<Event>) {
    let Some(function) = tool.object("function") else { return };
    let id = tool.string("id").unwrap_or_default().into_owned();
    let call = teller.open_call(id, &function.string("name").unwrap_or_default(), events);
    // `null` and `"null"` stand for no arguments.
    let arguments = function.string("arguments").unwrap_or_default();
    if arguments != "null" {
        teller.arguments(call, &arguments, events);
    }
    teller.end_call(call, events);
}
