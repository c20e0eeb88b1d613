//! A provider's reply, in a stream or whole, read into events. Both go through one reader of
//! blocks, so that they cannot tell different things.

use super::plain::{Plain, Plains};
use super::wire::{self, Counts};
use crate::chat::conversation::{Issuer, ReasoningKind, Seal};
use crate::chat::{
    Citation, Event, Facts, Finish, ProviderError as Fault, Quirks, ReplyFault, Says, WITHIN_A_CALL,
    WITHOUT_A_REASON,
};
use crate::json::{self, Balance, Members};
use crate::protocol::calls::Call;
use crate::protocol::lane::{self, Reader, Renamed, WholeReply};
use crate::protocol::usage;
use crate::sse::{self, Frame};

/// The greatest frame that is taken: results of server tools come in one.
pub(super) const FRAME_LIMIT: usize = 16 * 1024 * 1024;

/// Reads a streamed reply.
#[derive(Clone, Debug)]
pub struct StreamReader {
    frames: sse::Reader,
    reply: Reply,
}

/// What was read of a reply, and the block that is open in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub facts: Facts,
    quirks: Option<Quirks>,
    names: Vec<Renamed>,
    plains: Plains,
    counts: Counts,
    block: Block,
    calls: usize,
    /// Those that are complete.
    pub made: Vec<Call>,
    started: bool,
    /// The arguments of a call have ended and are not whole.
    half: bool,
    stop_reason: Option<String>,
}

#[derive(Clone, Debug, Default)]
enum Block {
    /// None, or one whose kind says nothing here.
    #[default]
    Other,
    Text,
    Thinking,
    Tool(Tool),
}

#[derive(Clone, Debug, Default)]
struct Tool {
    call: usize,
    name: String,
    /// The arguments so far, to see in the end whether they are complete.
    arguments: String,
    /// `input` as the block opened with it, for those who send it there.
    input: String,
    custom: bool,
}

impl StreamReader {
    /// `names` are those of the [`crate::protocol::lane::Written`] request.
    pub fn new(quirks: Quirks, names: Vec<Renamed>) -> StreamReader {
        StreamReader { frames: sse::Reader::new(FRAME_LIMIT), reply: Reply::new(&quirks, names) }
    }
}

impl Reader for StreamReader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let reply = &mut self.reply;
        let read = self.frames.read(bytes, |frame| match reply.read_plain(frame) {
            Some(plain) => say(plain, events),
            None => drop(reply.read_frame(frame, events)),
        });
        if read.is_err() {
            self.reply.fail("The provider sent a frame that is too long.", "");
        }
    }

    fn end_of_input(&mut self, events: &mut Vec<Event>) {
        let reply = &mut self.reply;
        if lane::end_of_json(&mut self.frames, |frame| drop(reply.read_frame(frame, events))).is_err() {
            self.reply.fail("The provider sent a frame that is too long.", "");
        }
        self.reply.read_stray(self.frames.stray());
    }

    fn facts(&self) -> &Facts {
        &self.reply.facts
    }
}

/// Reads a body that came with status 200. `names` are those of the written request.
pub fn read_whole(body: &[u8], quirks: &Quirks, names: &[Renamed]) -> Result<WholeReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let text = text.trim();
    let message = json::members(text).map_err(|error| ReplyFault::NotJson(error.to_string()))?;
    if message.value("content").is_none() {
        return Err(wire::fault_in(&message, text).map_or(ReplyFault::Empty, ReplyFault::Error));
    }
    let mut reply = Reply::new(quirks, names.to_vec());
    let mut events = Vec::new();
    reply.read_opening(&message);
    let blocks = message.array("content").unwrap_or_default();
    for block in blocks.iter().filter_map(|block| json::members(block).ok()) {
        reply.read_whole_block(&block, &mut events);
    }
    reply.read_stop(&message);
    reply.read_usage(&message);
    if blocks.is_empty() && reply.stop_reason.is_none() {
        return Err(ReplyFault::Empty);
    }
    // A whole body is whole, whatever it says of its end.
    reply.stop_reason.get_or_insert_with(|| "end_turn".to_owned());
    reply.finish(&mut events);
    reply.facts.reply_fault().map_or(Ok(WholeReply { events, facts: reply.facts }), Err)
}

impl Reply {
    pub(super) fn new(quirks: &Quirks, names: Vec<Renamed>) -> Reply {
        Reply { quirks: Some(*quirks), names, ..Reply::default() }
    }

    /// Takes note of a frame that says a piece of text or of a thought, and nothing else.
    pub(super) fn read_plain<'a>(&mut self, frame: Frame<'a>) -> Option<Plain<'a>> {
        if self.facts.fault.is_some() || self.facts.done {
            return None;
        }
        let plain = self.plains.read(frame.data)?;
        self.facts.output_bytes = self.facts.output_bytes.saturating_add(plain.said as u64);
        self.facts.began |= plain.said > 0;
        Some(plain)
    }

    /// Reads one frame; its type, if it is an event that can be read.
    pub(super) fn read_frame(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) -> Option<String> {
        if self.facts.fault.is_some() || self.facts.done {
            return None;
        }
        let text = crate::bytes::text(frame.data);
        let text = text.trim();
        match json::members(text) {
            Ok(members) => self.read_event(&members, frame.event, text, events),
            Err(_) if frame.event == b"error" || text.starts_with(['{', '[']) => {
                self.fail("The provider sent a frame that is not valid JSON.", text);
                None
            }
            // Words between the frames are nobody's answer.
            Err(_) => None,
        }
    }

    /// An error may stand bare behind the frames.
    pub(super) fn read_stray(&mut self, stray: &[u8]) {
        let stray = crate::bytes::text(stray);
        let stray = stray.trim();
        if self.facts.fault.is_none() && !self.facts.done {
            self.facts.fault = json::members(stray).ok().and_then(|it| wire::fault_in(&it, stray));
        }
    }

    fn read_event(
        &mut self,
        members: &Members<'_>,
        name: &[u8],
        text: &str,
        events: &mut Vec<Event>,
    ) -> Option<String> {
        let kind = members.string("type").map(|kind| kind.into_owned());
        let kind = kind.unwrap_or_else(|| crate::bytes::text(name).into_owned());
        match kind.as_str() {
            "message_start" if self.started && self.facts.began => {
                self.fail("The provider began a second message within the reply.", "");
            }
            "message_start" => {
                self.started = true;
                if let Some(message) = members.object("message") {
                    self.read_opening(&message);
                }
            }
            // Only at the end can a limit have cut a call.
            "content_block_start" if self.half => self.facts.cut_short(WITHIN_A_CALL),
            "content_block_start" => {
                if let Some(block) = members.object("content_block") {
                    self.open(&block, events);
                }
            }
            "content_block_delta" => {
                if let Some(delta) = members.object("delta") {
                    self.read_delta(&delta, events);
                }
            }
            "content_block_stop" => self.close(events),
            "message_delta" => {
                self.close(events);
                self.read_message_delta(members);
            }
            "message_stop" => self.finish(events),
            "ping" => {}
            _ if kind == "error" || members.value("error").is_some() => {
                let fault = wire::fault_in(members, text);
                self.facts.fault = fault.or_else(|| Some(wire::read_error(text.as_bytes())));
            }
            // Anthropic adds kinds of events without a new version.
            _ => {}
        }
        Some(kind)
    }

    pub(super) fn fail(&mut self, message: &str, raw: &str) {
        let fault = Fault { message: message.to_owned(), ..wire::read_error(raw.as_bytes()) };
        self.facts.fault.get_or_insert(fault);
    }

    /// Reads what a message says of itself and of usage.
    fn read_opening(&mut self, message: &Members<'_>) {
        self.facts.upstream_id = message.string("id").map(|id| id.into_owned());
        self.read_usage(message);
    }

    fn read_usage(&mut self, parent: &Members<'_>) {
        let Some(usage) = parent.object("usage") else { return };
        self.counts.read(&usage, &self.quirks.unwrap_or(Quirks::NONE));
        self.facts.usage = self.counts.usage();
        // What was seen counts until it is counted: searches that fail cost nothing.
        self.facts.web_searches = usage::web_searches(&usage).unwrap_or(self.facts.web_searches);
        self.facts.cost = self.counts.cost();
        if let Some(tier) = usage.string("service_tier") {
            self.facts.service_tier = Some(tier.into_owned());
        }
    }

    fn read_message_delta(&mut self, members: &Members<'_>) {
        self.read_usage(members);
        if let Some(delta) = members.object("delta") {
            self.read_stop(&delta);
        }
    }

    fn read_stop(&mut self, members: &Members<'_>) {
        let Some(reason) = members.string("stop_reason") else { return };
        self.facts.began = true;
        self.stop_reason = Some(reason.into_owned());
    }

    /// The reply is complete: only now, for what breaks off before never was.
    fn finish(&mut self, events: &mut Vec<Event>) {
        let native = self.stop_reason.clone().unwrap_or_default();
        let reason = match self.stop_reason {
            Some(_) => wire::finish_of(&native),
            None if self.calls > 0 => Finish::ToolCalls,
            None => Finish::Stop,
        };
        if self.stop_reason.is_none() && !self.quirks.is_some_and(|quirks| quirks.silent_finish) {
            return self.facts.cut_short(WITHOUT_A_REASON);
        }
        if self.ends_half() {
            return self.facts.cut_short(WITHIN_A_CALL);
        }
        self.facts.finish = Some(self.stop_reason.clone().unwrap_or_else(|| "end_turn".to_owned()));
        self.facts.finish_reason = Some(reason.reason());
        self.facts.done = true;
        events.push(Event::Finish { reason, native });
    }

    /// A call has ended whose arguments have not.
    pub(super) fn is_half(&self) -> bool {
        self.half
    }

    /// The reply says that it is whole, and a call in it is not.
    pub(super) fn ends_half(&self) -> bool {
        let reason = self.stop_reason.as_deref().map_or(Finish::Stop, wire::finish_of);
        self.half && reason.claims_whole()
    }

    fn open(&mut self, block: &Members<'_>, events: &mut Vec<Event>) {
        let kind = block.string("type").unwrap_or_default();
        self.block = Block::Other;
        match kind.as_ref() {
            "text" => {
                self.block = Block::Text;
                self.text(block.string("text").unwrap_or_default().into_owned(), events);
                for citation in block.array("citations").unwrap_or_default() {
                    self.citation(citation, events);
                }
            }
            "thinking" => {
                self.block = Block::Thinking;
                self.thinking(block.string("thinking").unwrap_or_default().into_owned(), events);
                self.signature(block.string("signature").unwrap_or_default().into_owned(), events);
            }
            "redacted_thinking" => {
                self.facts.began = true;
                let data = block.string("data").unwrap_or_default().into_owned();
                events.push(Event::Seal { seal: own_seal(data), hidden: true });
            }
            "tool_use" => self.open_tool(block, events),
            // A server tool's call or result: something for clients of this very protocol.
            _ => {
                let searches =
                    kind == "server_tool_use" && block.string("name").as_deref() == Some("web_search");
                self.facts.web_searches += u64::from(searches);
                self.facts.began = true;
                self.facts.lose("content: what Anthropic's own tools did");
            }
        }
    }

    fn open_tool(&mut self, block: &Members<'_>, events: &mut Vec<Event>) {
        self.facts.began = true;
        let name = block.string("name").unwrap_or_default().into_owned();
        let renamed = self.names.iter().find(|renamed| renamed.sent == name);
        let custom = renamed.is_some_and(|renamed| renamed.custom);
        let name = renamed.map_or(name, |renamed| renamed.own.clone());
        let call = self.calls;
        self.calls += 1;
        let id = block.string("id").unwrap_or_default().into_owned();
        events.push(Event::ToolCall { call, id, name: name.clone(), custom, seal: None });
        let input = block.value("input").filter(|input| *input != "{}").unwrap_or_default().to_owned();
        self.block = Block::Tool(Tool { call, name, arguments: String::new(), input, custom });
    }

    fn read_delta(&mut self, delta: &Members<'_>, events: &mut Vec<Event>) {
        let own = |key: &str| delta.string(key).unwrap_or_default().into_owned();
        match delta.string("type").unwrap_or_default().as_ref() {
            "text_delta" => self.text(own("text"), events),
            "thinking_delta" => self.thinking(own("thinking"), events),
            "signature_delta" => self.signature(own("signature"), events),
            "input_json_delta" => self.arguments(own("partial_json"), events),
            "citations_delta" => self.citation(delta.get("citation").unwrap_or_default(), events),
            _ => {}
        }
    }

    fn saw(&mut self, text: &str) -> bool {
        self.facts.output_bytes = self.facts.output_bytes.saturating_add(text.len() as u64);
        self.facts.began |= !text.is_empty();
        !text.is_empty()
    }

    fn text(&mut self, text: String, events: &mut Vec<Event>) {
        if self.saw(&text) {
            events.push(Event::Text(text));
        }
    }

    fn thinking(&mut self, text: String, events: &mut Vec<Event>) {
        if self.saw(&text) {
            events.push(Event::Reasoning { text, kind: ReasoningKind::Full });
        }
    }

    /// Citations of pages have an address. Those of the client's own documents have none, and no
    /// word in other protocols.
    fn citation(&mut self, raw: &str, events: &mut Vec<Event>) {
        match read_citation(raw) {
            Some(citation) => events.push(Event::Citation(citation)),
            None => self.facts.lose("content.citations: of a document, which has no address"),
        }
    }

    fn signature(&mut self, data: String, events: &mut Vec<Event>) {
        if !data.is_empty() {
            self.facts.began = true;
            events.push(Event::Seal { seal: own_seal(data), hidden: false });
        }
    }

    fn arguments(&mut self, text: String, events: &mut Vec<Event>) {
        if text.is_empty() || !matches!(self.block, Block::Tool(_)) {
            return;
        }
        self.saw(&text);
        let Block::Tool(tool) = &mut self.block else { return };
        tool.arguments.push_str(&text);
        if !tool.custom {
            events.push(Event::Arguments { call: tool.call, text });
        }
    }

    fn read_whole_block(&mut self, block: &Members<'_>, events: &mut Vec<Event>) {
        self.open(block, events);
        self.close(events);
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        let Block::Tool(tool) = std::mem::take(&mut self.block) else { return };
        let (call, streamed) = (tool.call, !tool.arguments.is_empty());
        let arguments = if streamed { tool.arguments } else { tool.input };
        if !streamed {
            self.saw(&arguments);
        }
        // A call that a limit cut off is closed on the wire all the same.
        if !arguments.is_empty() && json::members(&arguments).is_err() {
            let mut balance = Balance::default();
            balance.read(&arguments);
            self.half |= balance.is_half();
            return;
        }
        if !tool.custom {
            self.made.push(Call { name: tool.name, arguments: arguments.clone() });
        }
        let text = if tool.custom { free_text(&arguments) } else { arguments };
        if !text.is_empty() && (tool.custom || !streamed) {
            events.push(Event::Arguments { call, text });
        }
        events.push(Event::ToolCallEnd { call });
    }
}

fn say(plain: Plain<'_>, events: &mut Vec<Event>) {
    let Some(words) = json::string(plain.words).filter(|words| !words.is_empty()) else { return };
    let text = words.into_owned();
    events.push(match plain.says {
        Says::Text => Event::Text(text),
        Says::Thought => Event::Reasoning { text, kind: ReasoningKind::Full },
    });
}

/// The text in `{"input": …}`, as a custom tool was described to the model.
fn free_text(arguments: &str) -> String {
    let input = json::members(arguments).ok().and_then(|it| it.string("input").map(|it| it.into_owned()));
    input.unwrap_or_else(|| arguments.to_owned())
}

fn own_seal(data: String) -> Seal {
    Seal { issuer: Issuer::Anthropic, data, id: None }
}

fn read_citation(raw: &str) -> Option<Citation> {
    let citation = json::members(raw).ok()?;
    let own = |key: &str| citation.string(key).map(|text| text.into_owned());
    let url = own("url").or_else(|| own("source"))?;
    Some(Citation { url, title: own("title"), content: own("cited_text"), start: None, end: None })
}
