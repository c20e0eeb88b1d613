//! A provider's response as events, streamed or whole: its frames, its end, its errors and usage.
//! What it says in between is the business of [`Told`].

use super::told::{Channel, Told};
use super::wire;
use crate::chat::{Event, Facts, Finish, ProviderError, Quirks, ReplyFault, WITHIN_A_CALL};
use crate::json::{self, Form, Hole, Members};
use crate::protocol::fault;
use crate::protocol::lane::{self, Reader, Renamed, WholeReply};
use crate::protocol::usage;
use crate::sse::{self, Frame};

/// The greatest frame that is taken: generated pictures come in one.
pub(super) const FRAME_LIMIT: usize = 16 * 1024 * 1024;

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
    told: Told,
    alike: Alike,
}

/// The form of the last event, if it was a piece of text, and where what it says belongs.
#[derive(Clone, Debug, Default)]
struct Alike {
    form: Form,
    item: usize,
    part: usize,
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
        let end = lane::end_of_json(&mut self.frames, |frame| {
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
    let text = crate::bytes::text(body);
    let text = text.trim();
    let response = json::members(text).map_err(|error| ReplyFault::NotJson(error.to_string()))?;
    let fault = wire::fault_in(&response, text);
    let failed = response.value("error").is_some() || response.value("output").is_none();
    if let Some(fault) = fault.filter(|_| failed) {
        return Err(ReplyFault::Error(fault));
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
    let facts = telling.told.teller.facts;
    facts.reply_fault().map_or(Ok(WholeReply { events, facts }), Err)
}

/// The fault of a response that failed without a word.
fn status_fault(response: &Members<'_>, text: &str) -> ProviderError {
    let status = response.string("status").unwrap_or_default();
    let message = format!("The provider ended the reply with the status `{status}`.");
    ProviderError { message, code: Some(status.into_owned()), raw: fault::cut(text).to_owned(), status: None }
}

impl Telling {
    pub fn new(quirks: Quirks, names: Vec<Renamed>) -> Telling {
        Telling { quirks, told: Told::new(quirks.sealer, names), alike: Alike::default() }
    }

    pub fn facts(&self) -> &Facts {
        &self.told.teller.facts
    }

    /// Whether the call that an event is about lacks the end of its arguments.
    pub fn is_half(&self, event: &Members<'_>) -> bool {
        self.told.is_half(event)
    }

    /// The reply goes on where only its end could be.
    pub fn cut_short(&mut self) {
        self.told.teller.facts.cut_short(WITHIN_A_CALL);
    }

    pub fn is_over(&self) -> bool {
        self.facts().done || self.facts().fault.is_some()
    }

    fn read_frame(&mut self, frame: Frame<'_>, events: &mut Vec<Event>) {
        if self.read_alike(frame, |_| true, events) {
            return;
        }
        if let Some(text) = self.frame_text(frame) {
            self.read_event(&text, frame.event, events);
        }
    }

    /// Reads a frame that is as the one before but for its words and its number, if that one was a piece of
    /// text and the number is as it should be.
    pub fn read_alike(
        &mut self,
        frame: Frame<'_>,
        fits: impl Fn(u64) -> bool,
        events: &mut Vec<Event>,
    ) -> bool {
        let Some(words) = self.alike.form.words(frame.data).filter(|words| fits(words.number)) else {
            return false;
        };
        let Some(text) = json::string(words.json).filter(|_| !self.is_over()) else { return false };
        self.told.tell(self.alike.item, self.alike.part, &text, false, events);
        true
    }

    /// The JSON of a frame that says something; takes note of what is no JSON.
    pub fn frame_text(&mut self, frame: Frame<'_>) -> Option<String> {
        if self.is_over() {
            return None;
        }
        let text = crate::bytes::text(frame.data);
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
        self.alike.form.forget();
        let Ok(event) = json::members(text) else { return };
        let kind = event.string("type").unwrap_or_else(|| crate::bytes::text(name));
        match kind.as_ref() {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = event.object("response") {
                    self.read_facts(&response);
                }
            }
            "response.output_item.added" => {
                if let Some(item) = event.object("item") {
                    self.told.open(&event, &item, events);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.object("item") {
                    let position = self.told.open(&event, &item, events);
                    self.told.complete(position, &item, events);
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
            "response.output_text.annotation.added" => self.told.read_note(&event, events),
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
        let position = self.told.find(event).unwrap_or_else(|| self.told.open_unseen(channel, event, events));
        let index = ["content_index", "summary_index"].into_iter().find_map(|key| usage::count(event, key));
        let part = self.told.part(position, channel, index, events);
        self.told.tell(position, part, &words, whole.is_some(), events);
        if whole.is_none() {
            let holes =
                [("delta", Hole::Words), ("sequence_number", Hole::Number), ("obfuscation", Hole::String)];
            let values = holes.into_iter().filter_map(|(name, hole)| Some((hole, event.get(name)?)));
            self.alike.form.learn(text, &values.collect::<Vec<_>>());
            (self.alike.item, self.alike.part) = (position, part);
        }
    }

    fn read_fault(&mut self, event: &Members<'_>, text: &str) {
        let response = event.object("response");
        let own = response.as_ref().filter(|response| response.value("error").is_some()).unwrap_or(event);
        let fault = wire::fault_in(own, text).or_else(|| response.as_ref().map(|it| status_fault(it, text)));
        let raw = fault::cut(text).to_owned();
        let mut fault =
            fault.unwrap_or_else(|| ProviderError { raw: raw.clone(), ..ProviderError::default() });
        fault.raw = raw;
        if let Some(usage) = response.as_ref().and_then(|response| response.value("usage")) {
            self.read_usage(usage);
        }
        self.told.teller.facts.fault.get_or_insert(fault);
    }

    pub fn fail(&mut self, message: &str, raw: &str) {
        let fault = ProviderError { message: message.to_owned(), ..wire::read_error(raw.as_bytes()) };
        self.told.teller.facts.fault.get_or_insert(fault);
    }

    /// An error that stands bare behind the frames.
    pub fn read_stray(&mut self, stray: &[u8]) {
        let stray = crate::bytes::text(stray);
        if let Some(fault) = json::members(stray.trim()).ok().and_then(|it| wire::fault_in(&it, stray.trim()))
        {
            self.told.teller.facts.fault.get_or_insert(fault);
        }
    }

    fn read_facts(&mut self, response: &Members<'_>) {
        let own = |key| response.string(key).filter(|text| !text.is_empty()).map(|text| text.into_owned());
        let facts = &mut self.told.teller.facts;
        facts.upstream_id = own("id").or(facts.upstream_id.take());
        facts.service_tier = own("service_tier").or(facts.service_tier.take());
        if let Some(usage) = response.value("usage") {
            self.read_usage(usage);
        }
    }

    fn read_usage(&mut self, usage: &str) {
        if let Some(counts) = wire::read_usage(usage, &self.quirks) {
            self.told.teller.facts.usage = Some(counts);
            self.told.teller.facts.cost = wire::read_cost(usage, &self.quirks);
        }
    }

    /// Ends the reply: what its items hold beyond what was told, and why it ended.
    fn finish(&mut self, response: &Members<'_>, events: &mut Vec<Event>) {
        self.read_facts(response);
        let incomplete = response.string("status").as_deref() == Some("incomplete");
        for (position, item) in response.array("output").unwrap_or_default().into_iter().enumerate() {
            let Ok(item) = json::members(item) else { continue };
            let known = self.told.items.iter().position(|known| known.index == Some(position as u64));
            let position = match known {
                Some(known) => known,
                None => self.told.push(Some(position as u64), &item, events),
            };
            self.told.complete(position, &item, events);
        }
        if let Some(counted) = wire::web_searches(response) {
            self.told.teller.facts.web_searches = counted;
        }
        if !incomplete && self.told.any_half() {
            return self.told.teller.facts.cut_short(WITHIN_A_CALL);
        }
        for position in 0..self.told.items.len() {
            self.told.end_call(position, incomplete, events);
        }
        let details = response.object("incomplete_details");
        let reason = details.and_then(|details| details.string("reason").map(|reason| reason.into_owned()));
        let (reason, native) = match (incomplete, reason) {
            (true, Some(native)) if native == "content_filter" => (Finish::ContentFilter, native),
            (true, Some(native)) => (Finish::Length, native),
            (true, None) => (Finish::Length, "incomplete".to_owned()),
            (false, _) if self.told.calls > 0 => (Finish::ToolCalls, "completed".to_owned()),
            (false, _) => (Finish::Stop, "completed".to_owned()),
        };
        self.told.teller.tell(Event::Finish { reason, native }, events);
        self.told.teller.facts.done = true;
    }
}
