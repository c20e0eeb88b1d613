//! A provider's response as events, streamed or whole. Items are known by `output_index`, since
//! relays rotate their ids; where a server gives none, by id. What a delta left out, the event
//! that ends its part or item makes up for, and nothing is said twice.

use super::seal::{self, Sealed};
use super::wire;
use crate::chat::conversation::{Issuer, ReasoningKind};
use crate::chat::{Citation, Event, Facts, Finish, ProviderError, Quirks, ReplyFault};
use crate::json::{self, Members};
use crate::protocol::lane::{Reader, Renamed, Teller, WholeReply};
use crate::sse::{self, Frame};

/// The greatest frame that is taken: generated pictures come in one.
pub(super) const FRAME_LIMIT: usize = 16 * 1024 * 1024;
/// More items than any reply has; each costs memory.
const MOST_ITEMS: usize = 65_536;

/// Reads one streamed response.
#[derive(Clone, Debug)]
pub struct StreamReader {
    frames: sse::Reader,
    telling: Telling,
}

/// All of a reader but the frames that feed it.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    quirks: Quirks,
    names: Vec<Renamed>,
    teller: Teller,
    items: Vec<Item>,
    calls: usize,
}

#[derive(Clone, Debug)]
struct Item {
    index: Option<u64>,
    id: String,
    kind: Kind,
    parts: Vec<Part>,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Reasoning,
    /// With the number of the call.
    Call(usize),
    /// What the vendor's servers do, and what is not known.
    Other,
}

/// What was told of one text of an item.
#[derive(Clone, Debug)]
struct Part {
    channel: Channel,
    index: Option<u64>,
    bytes: usize,
    notes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Text,
    Refusal,
    Summary,
    Thought,
    Input,
}

impl StreamReader {
    /// `names` are those that `write_conversation` gave for the request.
    pub fn new(quirks: Quirks, names: Vec<Renamed>) -> StreamReader {
        StreamReader { frames: sse::Reader::new(FRAME_LIMIT), telling: Telling::new(quirks, names) }
    }
}

impl Reader for StreamReader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let telling = &mut self.telling;
        let read = self.frames.read(bytes, |frame| {
            telling.read_frame(frame, events);
        });
        if read.is_err() {
            telling.fail("The provider sent a frame that is too long.", "");
        }
    }

    fn end_of_input(&mut self, events: &mut Vec<Event>) {
        let telling = &mut self.telling;
        let end = self.frames.end(|frame| {
            telling.read_frame(frame, events);
        });
        if end.is_err() {
            telling.fail("The provider sent a frame that is too long.", "");
        }
        telling.read_stray(self.frames.stray());
    }

    fn facts(&self) -> &Facts {
        self.telling.facts()
    }
}

/// Reads a whole response.
pub fn read_whole(body: &[u8], quirks: &Quirks, names: &[Renamed]) -> Result<WholeReply, ReplyFault> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let response = json::members(text).map_err(|error| ReplyFault::NotJson(error.to_string()))?;
    if response.value("error").is_some() || response.value("output").is_none() {
        if let Some(fault) = wire::fault_in(&response, text) {
            return Err(ReplyFault::Error(fault));
        }
    }
    let mut telling = Telling::new(*quirks, names.to_vec());
    let mut events = Vec::new();
    match response.string("status").as_deref() {
        Some("completed" | "incomplete") => {}
        Some("failed" | "cancelled") => return Err(ReplyFault::Error(status_fault(&response, text))),
        None if response.array("output").is_some_and(|output| !output.is_empty()) => {}
        Some(_) | None => return Err(ReplyFault::Empty),
    }
    telling.finish(&response, &mut events);
    Ok(WholeReply { events, facts: telling.teller.facts })
}

/// The fault of a response that failed without a word.
fn status_fault(response: &Members<'_>, text: &str) -> ProviderError {
    let status = response.string("status").unwrap_or_default();
    let message = format!("The provider ended the reply with the status `{status}`.");
    ProviderError { message, code: Some(status.into_owned()), raw: wire::cut(text).to_owned(), status: None }
}

impl Telling {
    pub fn new(quirks: Quirks, names: Vec<Renamed>) -> Telling {
        Telling { quirks, names, teller: Teller::default(), items: Vec::new(), calls: 0 }
    }

    pub fn facts(&self) -> &Facts {
        &self.teller.facts
    }

    pub fn is_over(&self) -> bool {
        self.facts().done || self.facts().fault.is_some()
    }

    fn read_frame(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) {
        if let Some(text) = self.frame_text(frame) {
            self.read_event(&text, frame.event, events);
        }
    }

    /// The JSON of a frame that says something; takes note of what is no JSON.
    pub fn frame_text(&mut self, frame: Frame<'_>) -> Option<String> {
        if self.is_over() {
            return None;
        }
        let text = String::from_utf8_lossy(frame.data);
        let text = text.trim();
        if text == "[DONE]" || text.is_empty() {
            return None;
        }
        // A line break within JSON stands between tokens, where a blank does as well.
        let text = text.replace('\n', " ");
        match json::members(&text) {
            Ok(_) => Some(text),
            Err(_) if frame.event == b"error" => {
                self.fail(&text, &text);
                None
            }
            Err(_) if text.starts_with('{') => {
                self.fail("The provider sent a frame that is not valid JSON.", &text);
                None
            }
            // Words between the frames are nobody's answer.
            Err(_) => None,
        }
    }

    /// Reads an event whose JSON is `text`; `name` is the frame's, for servers that put the type
    /// nowhere else.
    pub fn read_event(&mut self, text: &str, name: &[u8], events: &mut Vec<Event>) {
        let Ok(event) = json::members(text) else { return };
        let kind = event.string("type").unwrap_or_else(|| String::from_utf8_lossy(name));
        match kind.as_ref() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = event.object("response") {
                    self.read_facts(&response);
                }
            }
            "response.output_item.added" => {
                if let Some(item) = event.object("item") {
                    self.open(&event, &item, events);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.object("item") {
                    let position = self.open(&event, &item, events);
                    self.complete(position, &item, events);
                }
            }
            "response.completed" | "response.incomplete" => {
                if let Some(response) = event.object("response") {
                    self.finish(&response, events);
                }
            }
            "response.failed" | "response.cancelled" | "error" | "response.error" => {
                self.read_fault(&event, text);
            }
            "response.output_text.annotation.added" => self.read_note(&event, events),
            other => self.read_text(other, &event, text, events),
        }
    }

    fn read_text(&mut self, kind: &str, event: &Members<'_>, text: &str, events: &mut Vec<Event>) {
        let Some((channel, whole)) = Channel::of(kind) else {
            // `{"error":…}` bare, of a relay that gave up.
            if !kind.starts_with("response.") && event.value("error").is_some() {
                self.read_fault(event, text);
            }
            return;
        };
        let name = whole.unwrap_or("delta");
        let Some(words) = event.string(name) else { return };
        let position = self.find(event).unwrap_or_else(|| self.open_unseen(channel, event, events));
        let index = ["content_index", "summary_index"].into_iter().find_map(|key| wire::count(event, key));
        let part = self.part(position, channel, index, events);
        self.tell(position, part, &words, whole.is_some(), events);
    }

    fn read_fault(&mut self, event: &Members<'_>, text: &str) {
        let response = event.object("response");
        let own = response.as_ref().filter(|response| response.value("error").is_some()).unwrap_or(event);
        let fault = wire::fault_in(own, text).or_else(|| response.as_ref().map(|it| status_fault(it, text)));
        let raw = wire::cut(text).to_owned();
        let mut fault = fault.unwrap_or_else(|| ProviderError { raw: raw.clone(), ..ProviderError::default() });
        fault.raw = raw;
        if let Some(usage) = response.as_ref().and_then(|response| response.value("usage")) {
            self.read_usage(usage);
        }
        self.teller.facts.fault.get_or_insert(fault);
    }

    pub fn fail(&mut self, message: &str, raw: &str) {
        let fault = ProviderError { message: message.to_owned(), ..wire::read_error(raw.as_bytes()) };
        self.teller.facts.fault.get_or_insert(fault);
    }

    /// An error that stands bare behind the frames.
    pub fn read_stray(&mut self, stray: &[u8]) {
        let stray = String::from_utf8_lossy(stray);
        if let Some(fault) = json::members(stray.trim()).ok().and_then(|it| wire::fault_in(&it, stray.trim())) {
            self.teller.facts.fault.get_or_insert(fault);
        }
    }

    fn read_facts(&mut self, response: &Members<'_>) {
        let own = |key| response.string(key).filter(|text| !text.is_empty()).map(|text| text.into_owned());
        let facts = &mut self.teller.facts;
        facts.upstream_id = own("id").or(facts.upstream_id.take());
        facts.service_tier = own("service_tier").or(facts.service_tier.take());
        if let Some(usage) = response.value("usage") {
            self.read_usage(usage);
        }
    }

    fn read_usage(&mut self, usage: &str) {
        if let Some(counts) = wire::read_usage(usage, &self.quirks) {
            self.teller.facts.usage = Some(counts);
            self.teller.facts.cost = wire::read_cost(usage, &self.quirks);
        }
    }

    /// Ends the reply: what its items hold beyond what was told, and why it ended.
    fn finish(&mut self, response: &Members<'_>, events: &mut Vec<Event>) {
        self.read_facts(response);
        let incomplete = response.string("status").as_deref() == Some("incomplete");
        for (position, item) in response.array("output").unwrap_or_default().into_iter().enumerate() {
            let Ok(item) = json::members(item) else { continue };
            let known = self.items.iter().position(|known| known.index == Some(position as u64));
            let position = match known {
                Some(known) => known,
                None => self.push(Some(position as u64), &item, events),
            };
            self.complete(position, &item, events);
        }
        for position in 0..self.items.len() {
            self.end_call(position, incomplete, events);
        }
        let details = response.object("incomplete_details");
        let reason = details.and_then(|details| details.string("reason").map(|reason| reason.into_owned()));
        let (reason, native) = match (incomplete, reason) {
            (true, Some(native)) if native == "content_filter" => (Finish::ContentFilter, native),
            (true, Some(native)) => (Finish::Length, native),
            (true, None) => (Finish::Length, "incomplete".to_owned()),
            (false, _) if self.calls > 0 => (Finish::ToolCalls, "completed".to_owned()),
            (false, _) => (Finish::Stop, "completed".to_owned()),
        };
        self.teller.tell(Event::Finish { reason, native }, events);
        self.teller.facts.done = true;
    }

    /// The item that an event is about.
    fn find(&self, event: &Members<'_>) -> Option<usize> {
        if let Some(index) = wire::count(event, "output_index") {
            return self.items.iter().position(|item| item.index == Some(index));
        }
        match event.string("item_id") {
            Some(id) => self.items.iter().rposition(|item| item.id == id),
            None => self.items.len().checked_sub(1),
        }
    }

    /// Finds or opens the item that `event` brings.
    fn open(&mut self, event: &Members<'_>, item: &Members<'_>, events: &mut Vec<Event>) -> usize {
        let index = wire::count(event, "output_index");
        let known = match (index, item.string("id")) {
            (Some(index), _) => self.items.iter().position(|known| known.index == Some(index)),
            (None, Some(id)) => self.items.iter().rposition(|known| known.id == id),
            (None, None) => None,
        };
        known.unwrap_or_else(|| self.push(index, item, events))
    }

    fn push(&mut self, index: Option<u64>, item: &Members<'_>, events: &mut Vec<Event>) -> usize {
        let kind = match item.string("type").as_deref() {
            Some("message") => Kind::Message,
            Some("reasoning") => Kind::Reasoning,
            Some("function_call") => self.open_call(item, false, events),
            Some("custom_tool_call") => self.open_call(item, true, events),
            Some(_) | None => Kind::Other,
        };
        let id = item.string("id").unwrap_or_default().into_owned();
        self.keep(index, id, kind)
    }

    fn keep(&mut self, index: Option<u64>, id: String, kind: Kind) -> usize {
        let index = index.or(Some(self.items.len() as u64));
        if self.items.len() < MOST_ITEMS {
            self.items.push(Item { index, id, kind, parts: Vec::new(), done: false });
        }
        self.items.len() - 1
    }

    /// An item whose opening never came.
    fn open_unseen(&mut self, channel: Channel, event: &Members<'_>, _events: &mut [Event]) -> usize {
        let kind = match channel {
            Channel::Text | Channel::Refusal => Kind::Message,
            Channel::Summary | Channel::Thought => Kind::Reasoning,
            // Without its name a call is nothing; its item tells all of it when it is done.
            Channel::Input => Kind::Other,
        };
        let id = event.string("item_id").unwrap_or_default().into_owned();
        self.keep(wire::count(event, "output_index"), id, kind)
    }

    fn open_call(&mut self, item: &Members<'_>, custom: bool, events: &mut Vec<Event>) -> Kind {
        let call = self.calls;
        self.calls += 1;
        let own = |key| item.string(key).filter(|text| !text.is_empty()).map(|text| text.into_owned());
        let id = own("call_id").or_else(|| own("id")).unwrap_or_else(|| format!("call_{call}"));
        let sent = own("name").unwrap_or_default();
        let name = match self.names.iter().find(|renamed| renamed.sent == sent) {
            Some(renamed) => renamed.own.clone(),
            None => sent,
        };
        self.teller.tell(Event::ToolCall { call, id, name, custom, seal: None }, events);
        Kind::Call(call)
    }

    /// The part of an item that goes by an index, or a new one.
    fn part(&mut self, item: usize, channel: Channel, index: Option<u64>, events: &mut Vec<Event>) -> usize {
        let parts = &mut self.items[item].parts;
        let known = parts.iter().position(|part| part.channel == channel && part.index == index);
        if let Some(known) = known {
            return known;
        }
        let follows = parts.iter().any(|part| part.channel == channel && part.bytes > 0);
        parts.push(Part { channel, index, bytes: 0, notes: 0 });
        let position = parts.len() - 1;
        // Summaries are paragraphs with a title each.
        if channel == Channel::Summary && follows {
            self.teller.tell(channel.event("\n\n", self.items[item].kind), events);
        }
        position
    }

    /// Tells `text` of a part, or what is new in it if it is the whole.
    fn tell(&mut self, item: usize, part: usize, text: &str, whole: bool, events: &mut Vec<Event>) {
        let Item { kind, parts, .. } = &mut self.items[item];
        let part = &mut parts[part];
        let text = if whole { text.get(part.bytes..).unwrap_or_default() } else { text };
        part.bytes += text.len();
        let is_input = part.channel == Channel::Input;
        if is_input != matches!(kind, Kind::Call(_)) {
            part.bytes -= text.len();
            return;
        }
        let event = part.channel.event(text, *kind);
        self.teller.tell(event, events);
    }

    /// Tells the whole of the texts of one channel, in their order.
    fn tell_all(&mut self, item: usize, channel: Channel, texts: &[String], events: &mut Vec<Event>) {
        for (order, text) in texts.iter().enumerate() {
            let nth = self.items[item].parts.iter().enumerate().filter(|(_, part)| part.channel == channel);
            let known = nth.map(|(position, _)| position).nth(order);
            let part = match known {
                Some(known) => known,
                None => self.part(item, channel, Some(u64::MAX - order as u64), events),
            };
            self.tell(item, part, text, true, events);
        }
    }

    fn read_note(&mut self, event: &Members<'_>, events: &mut Vec<Event>) {
        let Some(note) = event.value("annotation") else { return };
        let position = self.find(event).unwrap_or_else(|| self.open_unseen(Channel::Text, event, events));
        let part = self.part(position, Channel::Text, wire::count(event, "content_index"), events);
        self.items[position].parts[part].notes += 1;
        if let Some(citation) = read_citation(note) {
            self.teller.tell(Event::Citation(citation), events);
        }
    }

    /// Tells what an item that is done holds beyond what was told.
    fn complete(&mut self, position: usize, item: &Members<'_>, events: &mut Vec<Event>) {
        if self.items[position].done {
            return;
        }
        self.items[position].done = true;
        match (self.items[position].kind, item.string("type").as_deref()) {
            (Kind::Message, _) => self.complete_message(position, item, events),
            (Kind::Reasoning, _) => self.complete_reasoning(position, item, events),
            (Kind::Call(_), _) => {
                let input = item.string("arguments").or_else(|| item.string("input"));
                let texts: Vec<String> = input.map(|text| text.into_owned()).into_iter().collect();
                self.tell_all(position, Channel::Input, &texts, events);
                // Some servers do not say that a limit cut the call; its arguments show it.
                let is_json = |text: &String| text.is_empty() || json::members(text).is_ok();
                let whole = item.has("input") || texts.iter().all(is_json);
                let cut = !whole || item.string("status").as_deref() == Some("incomplete");
                if !cut {
                    self.end_call(position, false, events);
                }
                self.items[position].kind = Kind::Other;
            }
            (Kind::Other, Some("function_call" | "custom_tool_call")) if self.items[position].parts.len() == 1 => {
                // Its deltas came before its name.
                self.items[position].parts.clear();
                let custom = item.string("type").as_deref() == Some("custom_tool_call");
                self.items[position].kind = self.open_call(item, custom, events);
                self.items[position].done = false;
                self.complete(position, item, events);
            }
            (Kind::Other, Some("image_generation_call")) => {
                let format = item.string("output_format").unwrap_or_else(|| "png".into());
                if let Some(result) = item.string("result").filter(|result| !result.is_empty()) {
                    let url = format!("data:image/{format};base64,{result}");
                    self.teller.tell(Event::Image { url }, events);
                }
            }
            (Kind::Other, _) => {}
        }
    }

    fn end_call(&mut self, position: usize, cut: bool, events: &mut Vec<Event>) {
        if let (Kind::Call(call), false) = (self.items[position].kind, cut) {
            self.teller.tell(Event::ToolCallEnd { call }, events);
            self.items[position].kind = Kind::Other;
        }
    }

    fn complete_message(&mut self, position: usize, item: &Members<'_>, events: &mut Vec<Event>) {
        let content = item.array("content").unwrap_or_default();
        let mut order = 0;
        for part in content.iter().filter_map(|part| json::members(part).ok()) {
            if let Some(text) = part.string("text") {
                self.complete_text(position, order, &text, &part, events);
                order += 1;
            }
        }
        let refusals = texts_of(item, "content", "refusal");
        self.tell_all(position, Channel::Refusal, &refusals, events);
    }

    fn complete_text(&mut self, item: usize, order: usize, text: &str, part: &Members<'_>, events: &mut Vec<Event>) {
        let nth = self.items[item].parts.iter().enumerate().filter(|(_, part)| part.channel == Channel::Text);
        let known = nth.map(|(position, _)| position).nth(order);
        let own = match known {
            Some(known) => known,
            None => self.part(item, Channel::Text, Some(u64::MAX - order as u64), events),
        };
        self.tell(item, own, text, true, events);
        let notes = part.array("annotations").unwrap_or_default();
        let told = self.items[item].parts[own].notes;
        for note in notes.iter().skip(told).filter_map(|note| read_citation(note)) {
            self.teller.tell(Event::Citation(note), events);
        }
    }

    fn complete_reasoning(&mut self, position: usize, item: &Members<'_>, events: &mut Vec<Event>) {
        self.tell_all(position, Channel::Summary, &texts_of(item, "summary", "text"), events);
        self.tell_all(position, Channel::Thought, &texts_of(item, "content", "text"), events);
        let Some((mut seal, sealed)) = seal::read(item) else { return };
        if item.value("format").is_none() && self.quirks.sealer != Issuer::Unknown {
            seal.issuer = self.quirks.sealer;
        }
        let silent = self.items[position].parts.iter().all(|part| part.bytes == 0);
        self.teller.tell(Event::Seal { seal, hidden: silent || sealed != Sealed::Text }, events);
    }
}

impl Channel {
    /// The channel of an event of text, with the member that holds the whole if it ends the text.
    fn of(kind: &str) -> Option<(Channel, Option<&'static str>)> {
        Some(match kind {
            "response.output_text.delta" => (Channel::Text, None),
            "response.output_text.done" => (Channel::Text, Some("text")),
            "response.refusal.delta" => (Channel::Refusal, None),
            "response.refusal.done" => (Channel::Refusal, Some("refusal")),
            "response.reasoning_summary_text.delta" => (Channel::Summary, None),
            "response.reasoning_summary_text.done" => (Channel::Summary, Some("text")),
            "response.reasoning_text.delta" => (Channel::Thought, None),
            "response.reasoning_text.done" => (Channel::Thought, Some("text")),
            "response.function_call_arguments.delta" => (Channel::Input, None),
            "response.function_call_arguments.done" => (Channel::Input, Some("arguments")),
            "response.custom_tool_call_input.delta" => (Channel::Input, None),
            "response.custom_tool_call_input.done" => (Channel::Input, Some("input")),
            _ => return None,
        })
    }

    fn event(self, text: &str, kind: Kind) -> Event {
        let text = text.to_owned();
        match self {
            Channel::Text => Event::Text(text),
            Channel::Refusal => Event::Refusal(text),
            Channel::Summary => Event::Reasoning { text, kind: ReasoningKind::Summary },
            Channel::Thought => Event::Reasoning { text, kind: ReasoningKind::Full },
            Channel::Input => Event::Arguments { call: kind.call(), text },
        }
    }
}

impl Kind {
    fn call(self) -> usize {
        match self {
            Kind::Call(call) => call,
            Kind::Message | Kind::Reasoning | Kind::Other => 0,
        }
    }
}

/// The text under `key` of every part in the array `list`.
fn texts_of(item: &Members<'_>, list: &str, key: &str) -> Vec<String> {
    let parts = item.array(list).unwrap_or_default();
    parts.into_iter().filter_map(|part| json::members(part).ok()?.string(key).map(|text| text.into_owned())).collect()
}

/// Sources that are pages; of files and containers only the vendor knows.
fn read_citation(note: &str) -> Option<Citation> {
    let note = json::members(note).ok().filter(|note| note.string("type").as_deref() == Some("url_citation"))?;
    Some(Citation {
        url: note.string("url")?.into_owned(),
        title: note.string("title").map(|title| title.into_owned()),
        content: note.string("content").map(|content| content.into_owned()),
        start: wire::count(&note, "start_index"),
        end: wire::count(&note, "end_index"),
    })
}
