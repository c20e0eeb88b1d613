//! Reads a streamed reply of Converse. Text and reasoning have no opening event: their first piece
//! opens them. Usage comes after the reason to finish.

use litemap::LiteMap;

use super::frame::{FrameFault, FrameReader, Message};
use super::wire;
use crate::chat::conversation::{ReasoningKind, Seal};
use crate::chat::{Citation, Event, Facts, Finish, ProviderError, Quirks, WITHOUT_A_REASON};
use crate::json::{self, Members};
use crate::protocol::fault;
use crate::protocol::lane::{Reader, Renamed, Teller};

/// Reads one stream.
#[derive(Clone, Debug, Default)]
pub struct StreamReader {
    frames: FrameReader,
    reply: Blocks,
}

/// What the messages make.
#[derive(Clone, Debug, Default)]
struct Blocks {
    teller: Teller,
    open: LiteMap<u64, Block>,
    /// Characters of text so far.
    characters: u64,
    /// Where the last block that had text began and ended.
    span: Option<(u64, u64)>,
}

/// A block that has begun and not ended.
#[derive(Clone, Debug, Default)]
struct Block {
    kind: Kind,
    citations: Vec<Citation>,
}

#[derive(Clone, Debug, Default)]
enum Kind {
    /// Nothing but citations so far.
    #[default]
    Empty,
    Text {
        start: u64,
    },
    Reasoning,
    Call {
        call: usize,
    },
    /// The provider's own tool at work: none of the client's business.
    Inner,
}

/// More blocks than any model opens at once.
const MOST_OPEN: usize = 1024;

impl StreamReader {
    /// `names` are those of the written request.
    pub fn new(_quirks: Quirks, names: Vec<Renamed>) -> StreamReader {
        let reply = Blocks { teller: Teller::new(names), ..Blocks::default() };
        StreamReader { frames: FrameReader::default(), reply }
    }
}

impl Reader for StreamReader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let read = self.frames.read(bytes, |message| self.reply.read_message(&message, events));
        if let Err(fault) = read {
            self.reply.fail(damage(fault));
        }
    }

    fn end_of_input(&mut self, _events: &mut Vec<Event>) {}

    fn facts(&self) -> &Facts {
        &self.reply.teller.facts
    }
}

fn damage(fault: FrameFault) -> ProviderError {
    let what = match fault {
        FrameFault::Prelude => "the checksum of a prelude does not hold",
        FrameFault::Message => "the checksum of a message does not hold",
        FrameFault::Length => "the lengths of a message contradict each other",
        FrameFault::TooLong => "a message is too long",
        FrameFault::Header => "the headers of a message cannot be read",
    };
    let message = format!("The provider's stream is damaged: {what}.");
    ProviderError { code: Some("damaged_stream".to_owned()), message, ..ProviderError::default() }
}

impl Blocks {
    fn read_message(&mut self, message: &Message, events: &mut Vec<Event>) {
        if self.teller.facts.done || self.teller.facts.fault.is_some() {
            return;
        }
        let text = crate::bytes::text(&message.payload);
        match message.header(":message-type") {
            Some("exception") => {
                let name = message.header(":exception-type");
                self.fail(wire::read_typed_error(name, &message.payload));
            }
            Some("error") => self.fail(unmodeled(message)),
            _ => match json::members(&text) {
                Ok(payload) => self.read_event(message.header(":event-type"), &payload, events),
                Err(_) => self.fail(ProviderError {
                    message: "The provider sent an event that is not valid JSON.".to_owned(),
                    raw: fault::cut(&text).to_owned(),
                    ..ProviderError::default()
                }),
            },
        }
    }

    fn read_event(&mut self, name: Option<&str>, payload: &Members<'_>, events: &mut Vec<Event>) {
        let index = payload.get("contentBlockIndex").and_then(json::whole).unwrap_or(0);
        match name.unwrap_or_default() {
            "contentBlockStart" => {
                if let Some(start) = payload.object("start") {
                    self.open_block(index, &start, events);
                }
            }
            "contentBlockDelta" => {
                if let Some(delta) = payload.object("delta") {
                    self.read_delta(index, &delta, events);
                }
            }
            "contentBlockStop" => self.close_block(index, events),
            "messageStop" => self.stop(&payload.string("stopReason").unwrap_or_default(), events),
            "metadata" => self.end(payload),
            // `messageStart` says nothing, and what is not known here cannot be the reply.
            _ => {}
        }
    }

    fn open_block(&mut self, index: u64, start: &Members<'_>, events: &mut Vec<Event>) {
        if self.open.len() >= MOST_OPEN {
            return;
        }
        let kind = match start.object("toolUse") {
            Some(tool) if tool.string("type").as_deref() != Some("server_tool_use") => {
                let id = tool.string("toolUseId").unwrap_or_default().into_owned();
                let name = tool.string("name").unwrap_or_default();
                Kind::Call { call: self.teller.open_call(id, &name, events) }
            }
            Some(_) | None => {
                self.teller.facts.lose(wire::INNER);
                Kind::Inner
            }
        };
        self.open.insert(index, Block { kind, citations: Vec::new() });
    }

    fn read_delta(&mut self, index: u64, delta: &Members<'_>, events: &mut Vec<Event>) {
        if self.open.len() >= MOST_OPEN && !self.open.contains_key(&index) {
            return;
        }
        let block = self.open.entry(index).or_default();
        if let Some(text) = delta.string("text") {
            if !matches!(block.kind, Kind::Text { .. }) {
                block.kind = Kind::Text { start: self.characters };
            }
            self.characters += text.chars().count() as u64;
            self.teller.tell(Event::Text(text.into_owned()), events);
        }
        if let (Kind::Call { call }, Some(tool)) = (&block.kind, delta.object("toolUse")) {
            self.teller.arguments(*call, &tool.string("input").unwrap_or_default(), events);
        }
        if let Some(reasoning) = delta.object("reasoningContent") {
            block.kind = Kind::Reasoning;
            tell_reasoning(&reasoning, &mut self.teller, events);
        }
        if let Some(citation) = delta.value("citation").and_then(wire::citation) {
            block.citations.push(citation);
        }
    }

    fn close_block(&mut self, index: u64, events: &mut Vec<Event>) {
        let Some(block) = self.open.remove(&index) else { return };
        match block.kind {
            Kind::Text { start } => self.span = Some((start, self.characters)),
            Kind::Call { call } => self.teller.end_call(call, events),
            Kind::Empty | Kind::Reasoning | Kind::Inner => {}
        }
        for citation in block.citations {
            self.teller.tell(Event::Citation(placed(citation, self.span)), events);
        }
    }

    fn stop(&mut self, native: &str, events: &mut Vec<Event>) {
        let reason = wire::finish(native);
        if reason == Finish::Error {
            self.fail(wire::malformed(native));
            return;
        }
        if native.is_empty() {
            return self.teller.facts.cut_short(WITHOUT_A_REASON);
        }
        self.teller.tell(Event::Finish { reason, native: native.to_owned() }, events);
    }

    fn end(&mut self, metadata: &Members<'_>) {
        let facts = &mut self.teller.facts;
        facts.usage = metadata.value("usage").and_then(wire::usage_from).or(facts.usage);
        facts.service_tier = service_tier(metadata);
        facts.done = facts.finish.is_some();
    }

    fn fail(&mut self, fault: ProviderError) {
        self.teller.facts.fault.get_or_insert(fault);
    }
}

/// An error that the service's own list of exceptions does not name.
fn unmodeled(message: &Message) -> ProviderError {
    let said = message.header(":error-message").unwrap_or("The provider reported an error.");
    ProviderError {
        message: said.to_owned(),
        ..wire::read_typed_error(message.header(":error-code"), &message.payload)
    }
}

pub(super) fn tell_reasoning(reasoning: &Members<'_>, teller: &mut Teller, events: &mut Vec<Event>) {
    if let Some(text) = reasoning.string("text") {
        teller.tell(Event::Reasoning { text: text.into_owned(), kind: ReasoningKind::Full }, events);
    }
    let mut seal = |seal: Seal, hidden| teller.tell(Event::Seal { seal, hidden }, events);
    if let Some(data) = reasoning.string("signature").filter(|data| !data.is_empty()) {
        seal(wire::signature(&data), false);
    }
    if let Some(data) = reasoning.string("redactedContent").filter(|data| !data.is_empty()) {
        seal(wire::redacted(&data), true);
    }
}

pub(super) fn placed(citation: Citation, span: Option<(u64, u64)>) -> Citation {
    Citation { start: span.map(|span| span.0), end: span.map(|span| span.1), ..citation }
}

pub(super) fn service_tier(reply: &Members<'_>) -> Option<String> {
    reply.object("serviceTier").and_then(|tier| tier.string("type").map(|name| name.into_owned()))
}
