//! Reads a streamed reply of Cohere: named events, of which the last carries the reason to finish,
//! the usage, and at times the error that a reply with status 200 ended with.

use super::wire::{self, Offsets};
use crate::chat::conversation::ReasoningKind;
use crate::chat::{Event, Facts, Finish, ProviderError, Quirks, WITHOUT_A_REASON};
use crate::json::{self, Members};
use crate::protocol::fault;
use crate::protocol::lane::{self, Reader, Renamed, Teller};
use crate::sse;

/// Reads one stream.
#[derive(Clone, Debug)]
pub struct StreamReader {
    frames: sse::Reader,
    reply: Reply,
}

/// What the events make.
#[derive(Clone, Debug, Default)]
struct Reply {
    teller: Teller,
    offsets: Offsets,
    open: Vec<Call>,
}

/// A call by the provider's index.
#[derive(Clone, Debug)]
struct Call {
    index: u64,
    call: usize,
    /// The beginning of what may become `null`, which stands for no arguments; `None` once it is
    /// known for something else.
    held: Option<String>,
}

const FRAME_LIMIT: usize = 16 * 1024 * 1024;

impl StreamReader {
    /// `names` are those of the written request.
    pub fn new(_quirks: Quirks, names: Vec<Renamed>) -> StreamReader {
        let reply = Reply { teller: Teller::new(names), ..Reply::default() };
        StreamReader { frames: sse::Reader::new(FRAME_LIMIT), reply }
    }
}

impl Reader for StreamReader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let read = self.frames.read(bytes, |frame| self.reply.read_frame(frame.data, events));
        if read.is_err() {
            self.reply.fail_with("The provider sent a frame that is too long.", "");
        }
    }

    fn end_of_input(&mut self, events: &mut Vec<Event>) {
        let end = lane::end_of_json(&mut self.frames, |frame| self.reply.read_frame(frame.data, events));
        if end.is_err() {
            self.reply.fail_with("The provider sent a frame that is too long.", "");
        }
        let stray = crate::bytes::text(self.frames.stray());
        if json::members(&stray).is_ok_and(|stray| stray.has("message")) && !self.facts().done {
            self.reply.fail(wire::read_error(stray.as_bytes()));
        }
    }

    fn facts(&self) -> &Facts {
        &self.reply.teller.facts
    }
}

impl Reply {
    fn read_frame(&mut self, data: &[u8], events: &mut Vec<Event>) {
        if self.teller.facts.done || self.teller.facts.fault.is_some() {
            return;
        }
        let text = crate::bytes::text(data);
        let text = text.trim();
        match json::members(text) {
            Ok(event) => self.read_event(&event, text, events),
            Err(_) if text.starts_with(['{', '[']) && text != "[DONE]" => {
                self.fail_with("The provider sent a frame that is not valid JSON.", text);
            }
            Err(_) => {}
        }
    }

    fn read_event(&mut self, event: &Members<'_>, text: &str, events: &mut Vec<Event>) {
        let index = event.get("index").and_then(json::whole).unwrap_or(0);
        if event.value("logprobs").is_some() {
            self.teller.facts.lose(wire::LOGPROBS);
        }
        let delta = event.object("delta");
        let message = delta.as_ref().and_then(|delta| delta.object("message"));
        let inner = |key: &str| message.as_ref().and_then(|message| message.object(key));
        match event.string("type").unwrap_or_default().as_ref() {
            "message-start" => {
                self.teller.facts.upstream_id = event.string("id").map(|id| id.into_owned());
            }
            "content-start" | "content-delta" => {
                if let Some(content) = inner("content") {
                    self.read_content(index, &content, events);
                }
            }
            "tool-plan-delta" => {
                let plan = message.as_ref().and_then(|message| message.string("tool_plan"));
                self.think(plan.unwrap_or_default().into_owned(), events);
            }
            "tool-call-start" => {
                if let Some(call) = inner("tool_calls") {
                    self.open_call(index, &call, events);
                }
            }
            "tool-call-delta" => {
                if let Some(call) = inner("tool_calls") {
                    self.read_arguments(index, &call, events);
                }
            }
            "tool-call-end" => self.close_call(index, events),
            "citation-start" => {
                let raw = message.as_ref().and_then(|message| message.value("citations"));
                for citation in
                    wire::citations(raw.unwrap_or_default(), &self.offsets, &mut self.teller.facts)
                {
                    self.teller.tell(Event::Citation(citation), events);
                }
            }
            "message-end" => self.end(delta.as_ref(), text, events),
            "" if event.has("message") => self.fail(wire::read_error(text.as_bytes())),
            // `content-end`, `citation-end` and `debug` say nothing.
            _ => {}
        }
    }

    fn read_content(&mut self, index: u64, content: &Members<'_>, events: &mut Vec<Event>) {
        if let Some(text) = content.string("text") {
            self.offsets.add(index, &text);
            self.teller.tell(Event::Text(text.into_owned()), events);
        }
        if let Some(text) = content.string("thinking") {
            self.think(text.into_owned(), events);
        }
    }

    fn think(&mut self, text: String, events: &mut Vec<Event>) {
        self.teller.tell(Event::Reasoning { text, kind: ReasoningKind::Full }, events);
    }

    fn open_call(&mut self, index: u64, tool: &Members<'_>, events: &mut Vec<Event>) {
        let id = tool.string("id").unwrap_or_default().into_owned();
        let name = tool.object("function").and_then(|it| it.string("name").map(|name| name.into_owned()));
        let call = self.teller.open_call(id, &name.unwrap_or_default(), events);
        self.open.push(Call { index, call, held: Some(String::new()) });
        self.read_arguments(index, tool, events);
    }

    fn read_arguments(&mut self, index: u64, tool: &Members<'_>, events: &mut Vec<Event>) {
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else { return };
        let function = tool.object("function");
        let text = function.as_ref().and_then(|function| function.string("arguments")).unwrap_or_default();
        let Some(held) = &mut open.held else {
            return self.teller.arguments(open.call, &text, events);
        };
        held.push_str(&text);
        if !"null".starts_with(held.as_str()) {
            self.teller.arguments(open.call, held, events);
            open.held = None;
        }
    }

    fn close_call(&mut self, index: u64, events: &mut Vec<Event>) {
        let Some(place) = self.open.iter().position(|open| open.index == index) else { return };
        let open = self.open.remove(place);
        let begun = open.held.unwrap_or_default();
        if begun != "null" {
            self.teller.arguments(open.call, &begun, events);
        }
        self.teller.end_call(open.call, events);
    }

    fn end(&mut self, delta: Option<&Members<'_>>, text: &str, events: &mut Vec<Event>) {
        let Some(delta) = delta else { return };
        let facts = &mut self.teller.facts;
        facts.usage = delta.value("usage").and_then(wire::usage_from).or(facts.usage);
        let native = delta.string("finish_reason").unwrap_or_default().into_owned();
        let reason = wire::finish(&native);
        if reason == Finish::Error || delta.value("error").is_some() {
            self.fail(wire::fault(&native, delta, text));
            return;
        }
        if native.is_empty() {
            return self.teller.facts.cut_short(WITHOUT_A_REASON);
        }
        self.teller.tell(Event::Finish { reason, native }, events);
        // `[DONE]` follows, and nothing else.
        self.teller.facts.done = self.teller.facts.fault.is_none();
    }

    fn fail(&mut self, fault: ProviderError) {
        self.teller.facts.fault.get_or_insert(fault);
    }

    fn fail_with(&mut self, message: &str, raw: &str) {
        let raw = fault::cut(raw).to_owned();
        self.fail(ProviderError { message: message.to_owned(), raw, ..ProviderError::default() });
    }
}
