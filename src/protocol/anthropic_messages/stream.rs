//! Events written as a stream of the Messages API: blocks one after the other, never within each
//! other. What comes while a tool's block is open waits until that block is closed.

use std::collections::VecDeque;

use serde_json::Value;

use super::seal;
use super::wire::{self, write_event};
use crate::chat::conversation::Seal;
use crate::chat::{Bill, Citation, Event, Finish, Identity, Usage};
use crate::error::{Cause, Failure};
use crate::json::{self, Raw};
use crate::protocol::lane::Writer;

/// Writes one streamed reply.
#[derive(Clone, Debug)]
pub struct StreamWriter {
    identity: Identity,
    estimated_input: u64,
    started: bool,
    open: Open,
    /// The index of the block that is open, or of the next.
    index: u64,
    waiting: VecDeque<Waiting>,
    seen: Seen,
    finish: Option<(Finish, String)>,
}

/// What a reply held, for the reason why it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub opened_call: bool,
    pub ended_call: bool,
    pub refused: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Thinking { sealed: bool },
    Tool { call: usize, custom: bool },
}

#[derive(Clone, Debug)]
enum Waiting {
    Said(Event),
    Call(Call),
}

/// A call whose turn has not come.
#[derive(Clone, Debug)]
struct Call {
    call: usize,
    id: String,
    name: String,
    custom: bool,
    seal: Option<Seal>,
    arguments: String,
    ended: bool,
}

/// A frame that keeps a connection alive.
pub const PING: &[u8] = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";

impl Seen {
    pub(super) fn stop_reason(self, finish: Finish, native: &str) -> &'static str {
        let called = self.ended_call || self.opened_call && finish == Finish::ToolCalls;
        wire::stop_reason(finish, native, called, self.refused)
    }
}

impl StreamWriter {
    /// `estimated_input_tokens` stand in the opening, from which agents tell how full their
    /// context is, until the true count comes at the end.
    pub fn new(identity: Identity, estimated_input_tokens: u64) -> StreamWriter {
        StreamWriter {
            identity,
            estimated_input: estimated_input_tokens,
            started: false,
            open: Open::Nothing,
            index: 0,
            waiting: VecDeque::new(),
            seen: Seen::default(),
            finish: None,
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let usage = Usage { input: self.estimated_input, ..Usage::default() };
        let mut members = wire::usage_members(&usage);
        members.extend(wire::whole_usage_members());
        let data = format!(
            r#"{{"type":"message_start","message":{},"content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{}}}}}"#,
            wire::message_opening(&self.identity),
            wire::object(&members),
        );
        write_event(b"message_start", data.as_bytes(), out);
    }

    /// Writes what may be written now, or keeps it until the open tool's block is closed.
    fn take(&mut self, event: &Event, out: &mut Vec<u8>) {
        let Open::Tool { call: open, .. } = self.open else {
            self.say(event, out);
            return;
        };
        match event {
            Event::Arguments { call, text } if *call == open => self.arguments(text, out),
            Event::ToolCallEnd { call } if *call == open => {
                self.end_call(out);
                self.write_waiting(out);
            }
            Event::ToolCall { call, id, name, custom, seal } => self.waiting.push_back(Waiting::Call(Call {
                call: *call,
                id: id.clone(),
                name: name.clone(),
                custom: *custom,
                seal: seal.clone(),
                arguments: String::new(),
                ended: false,
            })),
            Event::Arguments { call, text } => {
                if let Some(waiting) = self.waiting_call(*call) {
                    waiting.arguments.push_str(text);
                }
            }
            Event::ToolCallEnd { call } => {
                if let Some(waiting) = self.waiting_call(*call) {
                    waiting.ended = true;
                }
            }
            Event::Text(_)
            | Event::Reasoning { .. }
            | Event::Seal { .. }
            | Event::Refusal(_)
            | Event::Image { .. }
            | Event::Citation(_) => self.waiting.push_back(Waiting::Said(event.clone())),
            Event::Finish { reason, native } => self.close_all(*reason, native, out),
        }
    }

    fn waiting_call(&mut self, wanted: usize) -> Option<&mut Call> {
        self.waiting.iter_mut().rev().find_map(|waiting| match waiting {
            Waiting::Call(call) if call.call == wanted => Some(call),
            Waiting::Call(_) | Waiting::Said(_) => None,
        })
    }

    fn write_waiting(&mut self, out: &mut Vec<u8>) {
        while !matches!(self.open, Open::Tool { .. }) {
            match self.waiting.pop_front() {
                Some(Waiting::Said(event)) => self.say(&event, out),
                Some(Waiting::Call(call)) => {
                    self.open_call(call.call, &call.id, &call.name, call.custom, call.seal.as_ref(), out);
                    if !call.arguments.is_empty() {
                        self.arguments(&call.arguments, out);
                    }
                    if call.ended {
                        self.end_call(out);
                    }
                }
                None => return,
            }
        }
    }

    /// Writes an event while no tool's block is open.
    fn say(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Text(text) => self.text(text, out),
            Event::Refusal(text) => {
                self.seen.refused = true;
                self.text(text, out);
            }
            Event::Reasoning { text, .. } => self.reasoning(text, out),
            Event::Seal { seal, hidden: false } => self.seal(seal, out),
            Event::Seal { seal, hidden: true } => self.redacted(&seal::write(Some(seal), None), out),
            Event::ToolCall { call, id, name, custom, seal } => {
                self.open_call(*call, id, name, *custom, seal.as_ref(), out);
            }
            Event::Image { url } => {
                self.close(out);
                self.text(&image_text(url), out);
                self.close(out);
            }
            Event::Citation(citation) => {
                self.ensure_text(out);
                self.delta("citations_delta", "citation", &Raw(citation_json(citation)), out);
            }
            Event::Finish { reason, native } => self.close_all(*reason, native, out),
            // Of a call that is not open, and so has ended.
            Event::Arguments { .. } | Event::ToolCallEnd { .. } => {}
        }
    }

    fn ensure_text(&mut self, out: &mut Vec<u8>) {
        if self.open != Open::Text {
            self.close(out);
            self.open_block(r#"{"type":"text","text":"","citations":null}"#, out);
            self.open = Open::Text;
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.ensure_text(out);
            self.delta("text_delta", "text", &text, out);
        }
    }

    fn ensure_thinking(&mut self, out: &mut Vec<u8>) {
        if self.open != (Open::Thinking { sealed: false }) {
            self.close(out);
            self.open_block(r#"{"type":"thinking","thinking":"","signature":""}"#, out);
            self.open = Open::Thinking { sealed: false };
        }
    }

    fn reasoning(&mut self, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.ensure_thinking(out);
            self.delta("thinking_delta", "thinking", &text, out);
        }
    }

    fn seal(&mut self, seal: &Seal, out: &mut Vec<u8>) {
        self.ensure_thinking(out);
        self.delta("signature_delta", "signature", &seal::write(Some(seal), None).as_str(), out);
        self.open = Open::Thinking { sealed: true };
    }

    fn redacted(&mut self, data: &str, out: &mut Vec<u8>) {
        self.close(out);
        self.open_block(&format!(r#"{{"type":"redacted_thinking","data":{}}}"#, json::quote(data)), out);
        self.close_block(out);
    }

    fn open_call(
        &mut self,
        call: usize,
        id: &str,
        name: &str,
        custom: bool,
        seal: Option<&Seal>,
        out: &mut Vec<u8>,
    ) {
        self.close(out);
        if let Some(seal) = seal {
            self.redacted(&seal::write(Some(seal), Some(id)), out);
        }
        let (id, name) = (json::quote(id), json::quote(name));
        self.open_block(&format!(r#"{{"type":"tool_use","id":{id},"name":{name},"input":{{}}}}"#), out);
        self.seen.opened_call = true;
        self.open = Open::Tool { call, custom };
        self.partial_json(if custom { "{\"input\":\"" } else { "" }, out);
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        match self.open {
            Open::Tool { custom: true, .. } => {
                let quoted = json::quote(text);
                self.partial_json(&quoted[1..quoted.len() - 1], out);
            }
            Open::Tool { custom: false, .. } if !text.is_empty() => self.partial_json(text, out),
            Open::Tool { .. } | Open::Nothing | Open::Text | Open::Thinking { .. } => {}
        }
    }

    fn partial_json(&mut self, text: &str, out: &mut Vec<u8>) {
        self.delta("input_json_delta", "partial_json", &text, out);
    }

    /// Ends the open call, whose arguments are complete.
    fn end_call(&mut self, out: &mut Vec<u8>) {
        if let Open::Tool { custom: true, .. } = self.open {
            self.partial_json("\"}", out);
        }
        self.seen.ended_call = true;
        self.open = Open::Nothing;
        self.close_block(out);
    }

    /// The reply is complete: every block is closed, also that of a call which a limit cut off.
    fn close_all(&mut self, reason: Finish, native: &str, out: &mut Vec<u8>) {
        loop {
            self.close(out);
            if self.waiting.is_empty() {
                break;
            }
            self.write_waiting(out);
        }
        self.finish.get_or_insert((reason, native.to_owned()));
    }

    fn open_block(&mut self, block: &str, out: &mut Vec<u8>) {
        let data =
            format!(r#"{{"type":"content_block_start","index":{},"content_block":{block}}}"#, self.index);
        write_event(b"content_block_start", data.as_bytes(), out);
    }

    fn delta(&mut self, kind: &str, member: &str, value: &dyn json::Value, out: &mut Vec<u8>) {
        let mut data = Vec::with_capacity(256);
        json::put(
            &mut data,
            &[
                &Raw(r#"{"type":"content_block_delta","index":"#),
                &self.index,
                &Raw(r#","delta":{"type":""#),
                &Raw(kind),
                &Raw(r#"",""#),
                &Raw(member),
                &Raw(r#"":"#),
                value,
                &Raw("}}"),
            ],
        );
        write_event(b"content_block_delta", &data, out);
    }

    /// Closes what is open, if something is.
    fn close(&mut self, out: &mut Vec<u8>) {
        match self.open {
            Open::Nothing => return,
            Open::Thinking { sealed: false } => {
                self.delta("signature_delta", "signature", &seal::write(None, None).as_str(), out);
            }
            Open::Text | Open::Thinking { sealed: true } | Open::Tool { .. } => {}
        }
        self.open = Open::Nothing;
        self.close_block(out);
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        let data = format!(r#"{{"type":"content_block_stop","index":{}}}"#, self.index);
        write_event(b"content_block_stop", data.as_bytes(), out);
        self.index += 1;
    }
}

impl Writer for StreamWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.finish.is_none() {
            self.start(out);
            self.take(event, out);
        }
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        let broken = self.finish.is_none() && matches!(self.open, Open::Tool { .. });
        if broken {
            let failure = Failure::new(Cause::ProviderUnavailable, "The reply broke off within a tool call.");
            self.write_error(&failure, Some(bill), out);
            return;
        }
        self.start(out);
        self.close(out);
        let (finish, native) = self.finish.clone().unwrap_or((Finish::Stop, String::new()));
        write_closing(self.seen.stop_reason(finish, &native), bill, out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        write_error_event(&self.identity, failure, bill, out);
    }

    fn loss(&self, event: &Event) -> Option<&'static str> {
        let Event::Citation(citation) = event else { return None };
        let placed = citation.start.is_some() || citation.end.is_some();
        placed.then_some("citations: their places in the text; a block has none")
    }

    fn keep_alive(&self) -> &'static [u8] {
        PING
    }
}

fn write_closing(stop_reason: &str, bill: &Bill, out: &mut Vec<u8>) {
    let mut usage = wire::usage_members(&bill.usage);
    usage.extend(wire::bill_members(bill));
    let data = format!(
        r#"{{"type":"message_delta","delta":{{"stop_reason":"{stop_reason}","stop_sequence":null,"stop_details":null,"container":null}},"usage":{}}}"#,
        wire::object(&usage),
    );
    write_event(b"message_delta", data.as_bytes(), out);
    write_stop(bill, out);
}

pub(super) fn write_stop(bill: &Bill, out: &mut Vec<u8>) {
    let data = format!(r#"{{"type":"message_stop"{}}}"#, wire::metadata(bill));
    write_event(b"message_stop", data.as_bytes(), out);
}

/// Ends a stream with an error, and with what was delivered before it, for the bill.
pub(super) fn write_error_event(
    identity: &Identity,
    failure: &Failure,
    bill: Option<&Bill>,
    out: &mut Vec<u8>,
) {
    let mut envelope = wire::error_envelope(failure);
    envelope.insert("request_id".to_owned(), identity.generation.clone().into());
    if bill.is_some_and(|bill| bill.metadata.is_some()) {
        envelope.remove("openrouter_metadata");
    }
    let mut data = Value::Object(envelope).to_string();
    if let Some(bill) = bill {
        let mut usage = wire::usage_members(&bill.usage);
        usage.extend(wire::bill_members(bill));
        data.pop();
        data.push_str(&format!(",\"usage\":{}{}}}", wire::object(&usage), wire::metadata(bill)));
    }
    write_event(b"error", data.as_bytes(), out);
}

/// Pictures have no block of their own in this protocol.
pub(super) fn image_text(url: &str) -> String {
    format!("![image]({url})")
}

/// A citation in the form that Anthropic gives to pages of the web. Its `encrypted_index` is a
/// mark by which the citation is left out when a client sends it back.
pub(super) fn citation_json(citation: &Citation) -> String {
    let title = citation.title.as_deref().map_or_else(|| "null".to_owned(), json::quote);
    format!(
        r#"{{"type":"web_search_result_location","url":{},"title":{title},"encrypted_index":{},"cited_text":{}}}"#,
        json::quote(&citation.url),
        json::quote(&seal::write(None, None)),
        json::quote(citation.content.as_deref().unwrap_or_default()),
    )
}
