//! A provider's choice, whole or chunk by chunk, as events. Only the first choice is read: of
//! several the other protocols know nothing.

use super::choice::{Form, joined_text, split_content};
use super::details::{Thoughts, google_seal};
use super::plain::Plain;
use super::wire;
use crate::chat::conversation::{ReasoningKind, Seal};
use crate::chat::{Citation, Event, Facts, Finish, WITHIN_A_CALL};
use crate::json::{self, Balance, Members};
use crate::protocol::fields::is_hollow;
use crate::protocol::lane::Renamed;

/// Reads the choices of one reply.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices {
    thoughts: Thoughts,
    calls: Vec<Call>,
    /// Perplexity's sources, which every chunk repeats.
    sources: Vec<String>,
    /// Sources that were named beside the text.
    cited: bool,
    opened: usize,
    finished: bool,
    /// The tools that the provider knows by other names than the client.
    names: Vec<Renamed>,
}

/// A call of a tool, which may come in pieces.
#[derive(Clone, Debug, Default)]
struct Call {
    /// The provider's index.
    index: Option<u64>,
    id: String,
    name: String,
    custom: bool,
    /// The arguments that came before the name.
    held: String,
    /// The number under which it was opened.
    number: Option<usize>,
    /// All arguments so far.
    arguments: String,
    /// The free text of a custom tool, wrapped in an object. Given out when it is whole.
    wrapped: bool,
}

/// One piece of a call as the wire has it.
struct Piece {
    index: Option<u64>,
    id: String,
    name: String,
    custom: bool,
    arguments: String,
    seal: Option<Seal>,
}

impl Choices {
    pub(super) fn new(names: Vec<Renamed>) -> Choices {
        Choices { names, ..Choices::default() }
    }

    /// Reads one chunk or the whole reply, and what it shows into `facts`.
    pub(super) fn read(
        &mut self,
        reply: &Members<'_>,
        choices: &[&str],
        form: Form,
        facts: &mut Facts,
        events: &mut Vec<Event>,
    ) {
        let from = events.len();
        self.read_sources(reply);
        let first = choices.iter().filter_map(|choice| json::members(choice).ok());
        let first = first.into_iter().find(|choice| choice.get("index").is_none_or(|index| index == "0"));
        if choices.len() > 1 || first.is_none() && !choices.is_empty() {
            facts.lose("choices: only the first is told");
        }
        if let Some(choice) = first.filter(|_| !self.finished) {
            let content = choice.object(if form == Form::Part { "delta" } else { "message" });
            note_losses(&choice, content.as_ref(), facts);
            if let Some(content) = content {
                self.read_content(&content, form, events);
            }
            match choice.string("finish_reason").filter(|finish| !finish.is_empty()) {
                Some(native) => self.finish(&native, own_native(&choice), facts, events),
                None if form == Form::Whole => self.finish("stop", own_native(&choice), facts, events),
                None => {}
            }
        }
        facts.began |= events.len() > from;
        facts.output_bytes += events[from..].iter().map(bytes).sum::<u64>();
    }

    /// Reads a plain chunk; says whether that was all there is to it.
    pub(super) fn read_plain(
        &mut self,
        chunk: &Plain<'_>,
        facts: &mut Facts,
        events: &mut Vec<Event>,
    ) -> bool {
        if self.finished || chunk.index != 0 {
            return false;
        }
        let from = events.len();
        let said = [chunk.reasoning, chunk.content].map(|value| value.filter(|value| !json::is_null(value)));
        // Of two names with the same text the other may be sound.
        if said.iter().flatten().any(|value| json::string_len(value).is_none()) {
            return false;
        }
        let [thought, text] = said.map(|value| value.and_then(json::string).filter(|text| !text.is_empty()));
        if let Some(thought) = thought {
            self.thoughts.text(thought.into_owned(), ReasoningKind::Full, events);
        }
        if let Some(text) = text {
            self.push(text.into_owned(), Event::Text, events);
        }
        facts.began |= events.len() > from;
        facts.output_bytes += events[from..].iter().map(bytes).sum::<u64>();
        true
    }

    /// Gives out what was held back: nothing follows.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) {
        self.thoughts.flush(events);
    }

    fn read_content(&mut self, content: &Members<'_>, form: Form, events: &mut Vec<Event>) {
        let (text, thought) = split_content(content.get("content"));
        let readable = self.thoughts.read(content, events);
        if !readable {
            // vLLM and others send both names with the same text.
            let named = content.string("reasoning").or_else(|| content.string("reasoning_content"));
            let thought = named.or_else(|| Some(json::string(&thought?)?.into_owned().into()));
            if let Some(thought) = thought.filter(|thought| !thought.is_empty()) {
                self.thoughts.text(thought.into_owned(), ReasoningKind::Full, events);
            }
        }
        if let Some(text) = text {
            // An array that is no text alone still has text in it.
            self.push(joined_text(&text), Event::Text, events);
        }
        self.push(content.string("refusal").unwrap_or_default().into_owned(), Event::Refusal, events);
        self.read_images(content, events);
        for raw in content.array("annotations").unwrap_or_default() {
            if let Some(citation) = read_citation(raw) {
                self.cited = true;
                self.thoughts.close(events);
                events.push(Event::Citation(citation));
            }
        }
        for raw in content.array("tool_calls").unwrap_or_default() {
            self.read_call(raw, form, events);
        }
        if let Some(raw) = content.value("function_call") {
            self.read_call(&format!("{{\"index\":0,\"function\":{raw}}}"), form, events);
        }
    }

    fn push(&mut self, text: String, event: impl Fn(String) -> Event, events: &mut Vec<Event>) {
        if !text.is_empty() {
            self.thoughts.close(events);
            events.push(event(text));
        }
    }

    fn read_images(&mut self, content: &Members<'_>, events: &mut Vec<Event>) {
        for raw in content.array("images").unwrap_or_default() {
            let image = json::members(raw).ok().and_then(|image| image.object("image_url"));
            if let Some(url) = image.and_then(|image| image.string("url")) {
                self.push(url.into_owned(), |url| Event::Image { url }, events);
            }
        }
    }

    fn read_sources(&mut self, reply: &Members<'_>) {
        let Some(sources) = reply.array("citations").filter(|sources| !sources.is_empty()) else { return };
        self.sources = sources.into_iter().filter_map(json::string).map(|url| url.into_owned()).collect();
    }

    fn read_call(&mut self, raw: &str, form: Form, events: &mut Vec<Event>) {
        let Some(piece) = Piece::read(raw) else { return };
        let at = self.place(&piece, form);
        let call = &mut self.calls[at];
        if call.name.is_empty() {
            call.name = piece.name;
        }
        if call.id.is_empty() {
            call.id = piece.id;
        }
        call.custom |= piece.custom;
        call.held.push_str(&piece.arguments);
        self.open(at, piece.seal, events);
        let call = &mut self.calls[at];
        let Some(number) = call.number.filter(|_| !call.held.is_empty()) else { return };
        let text = std::mem::take(&mut call.held);
        call.arguments.push_str(&text);
        self.thoughts.close(events);
        if call.wrapped {
            return;
        }
        events.push(Event::Arguments { call: number, text });
    }

    /// Which call the piece goes on with. Some providers give no index, or the same to all calls
    /// of a reply: then a new id begins a new call, and so does a name after a name.
    fn place(&mut self, piece: &Piece, form: Form) -> usize {
        let same = |call: &Call| match (piece.index, call.index) {
            (Some(one), Some(other)) => one == other,
            (Some(_) | None, _) => piece.id.is_empty() || call.id == piece.id,
        };
        let begins = |call: &Call| {
            let named = !piece.name.is_empty() && !call.name.is_empty();
            let other_id = !piece.id.is_empty() && !call.id.is_empty() && call.id != piece.id;
            named && (other_id || piece.index.is_none() && piece.id.is_empty())
        };
        let found = self.calls.iter().rposition(|call| same(call) && !begins(call));
        found.filter(|_| form == Form::Part).unwrap_or_else(|| {
            self.calls.push(Call { index: piece.index, ..Call::default() });
            self.calls.len() - 1
        })
    }

    /// Opens a call as soon as its name is known.
    fn open(&mut self, at: usize, seal: Option<Seal>, events: &mut Vec<Event>) {
        let call = &mut self.calls[at];
        if call.number.is_some() || call.name.is_empty() {
            return;
        }
        let number = self.opened;
        if call.id.is_empty() {
            call.id = format!("call_{number}");
        }
        call.number = Some(number);
        self.opened += 1;
        let seal = seal.or_else(|| self.thoughts.take_seal(&call.id));
        self.thoughts.close(events);
        let renamed = self.names.iter().find(|renamed| renamed.sent == call.name);
        call.wrapped = renamed.is_some_and(|renamed| renamed.custom) && !call.custom;
        let name = renamed.map_or(&call.name, |renamed| &renamed.own).clone();
        let (id, custom) = (call.id.clone(), call.custom || call.wrapped);
        events.push(Event::ToolCall { call: number, id, name, custom, seal });
    }

    /// Ends a reply whose provider gives no reason to finish.
    pub(super) fn finish_unsaid(&mut self, facts: &mut Facts, events: &mut Vec<Event>) {
        self.finish("stop", None, facts, events);
    }

    /// `own` is the reason in the words of the provider's provider.
    fn finish(&mut self, native: &str, own: Option<String>, facts: &mut Facts, events: &mut Vec<Event>) {
        self.finished = true;
        self.thoughts.close(events);
        let reason = self.reason(native);
        if reason.claims_whole() && self.calls.iter().any(Call::is_half) {
            return facts.cut_short(WITHIN_A_CALL);
        }
        for call in self.calls.iter().filter(|call| call.is_whole(reason)) {
            call.end(events);
        }
        if !self.cited {
            let citation = |url: &String| Citation { url: url.clone(), ..Citation::default() };
            events.extend(self.sources.iter().map(citation).map(Event::Citation));
        }
        let native = own.unwrap_or_else(|| native.to_owned());
        facts.finish = Some(native.clone());
        facts.finish_reason = Some(reason.reason());
        events.push(Event::Finish { reason, native });
    }

    /// Groq, Mistral and local servers say `stop` at times though tools were called.
    fn reason(&self, native: &str) -> Finish {
        match wire::finish_reason(native) {
            "stop" if self.opened > 0 => Finish::ToolCalls,
            "stop" => Finish::Stop,
            "tool_calls" => Finish::ToolCalls,
            "length" => Finish::Length,
            "content_filter" => Finish::ContentFilter,
            _ => Finish::Error,
        }
    }
}

impl Call {
    /// Something in the arguments is open that nothing closes.
    fn is_half(&self) -> bool {
        let mut balance = Balance::default();
        balance.read(&self.arguments);
        self.is_json() && balance.is_half()
    }

    /// The provider's own custom tools take free text.
    fn is_json(&self) -> bool {
        self.wrapped || !self.custom
    }

    /// Whether the call can be ended. The limit of tokens may have cut off free text as well.
    fn is_whole(&self, reason: Finish) -> bool {
        match is_complete(&self.arguments) {
            true => true,
            false if !reason.claims_whole() => false,
            // A model that did not keep to the form of a custom tool is taken at its word.
            false => !self.is_json() || self.wrapped || self.arguments.trim().is_empty(),
        }
    }

    fn end(&self, events: &mut Vec<Event>) {
        let Some(call) = self.number else { return };
        if self.wrapped {
            let input = json::members(&self.arguments).ok().and_then(|object| object.string("input"));
            let text = input.map_or_else(|| self.arguments.clone(), |input| input.into_owned());
            events.push(Event::Arguments { call, text });
        }
        events.push(Event::ToolCallEnd { call });
    }
}

impl Piece {
    fn read(raw: &str) -> Option<Piece> {
        let call = json::members(raw).ok()?;
        let custom = call.value("custom").is_some();
        let inner = call.object(if custom { "custom" } else { "function" });
        let input = if custom { "input" } else { "arguments" };
        let own = |object: &Members<'_>, key: &str| object.string(key).unwrap_or_default().into_owned();
        let arguments = inner.as_ref().and_then(|inner| inner.value(input));
        Some(Piece {
            index: call.value("index").and_then(json::whole),
            id: own(&call, "id"),
            name: inner.as_ref().map(|inner| own(inner, "name")).unwrap_or_default(),
            custom,
            // Some local servers leave the object unquoted.
            arguments: arguments
                .map(|value| json::string(value).map_or_else(|| value.to_owned(), |text| text.into_owned()))
                .unwrap_or_default(),
            seal: google_seal(&call),
        })
    }
}

/// Takes note of what a choice says that has no event.
fn note_losses(choice: &Members<'_>, content: Option<&Members<'_>>, facts: &mut Facts) {
    if choice.value("logprobs").is_some_and(|value| !is_hollow(value)) {
        facts.lose("choices[0].logprobs: no other protocol's");
    }
    let Some(content) = content else { return };
    if content.value("audio").is_some() {
        facts.lose("choices[0].message.audio: sound goes to clients of Chat Completions alone");
    }
    let is_file = |raw: &&str| read_citation(raw).is_none();
    if content.array("annotations").unwrap_or_default().iter().any(is_file) {
        facts.lose("choices[0].message.annotations: of a file, which has no address");
    }
}

fn own_native(choice: &Members<'_>) -> Option<String> {
    choice.string("native_finish_reason").map(|native| native.into_owned())
}

fn is_complete(arguments: &str) -> bool {
    json::members(arguments).is_ok()
}

fn read_citation(raw: &str) -> Option<Citation> {
    let annotation = json::members(raw).ok()?;
    // Some gateways leave the inner object out.
    let cited = annotation.object("url_citation").unwrap_or_else(|| annotation.clone());
    let own = |key| cited.string(key).map(|text| text.into_owned());
    Some(Citation {
        url: own("url")?,
        title: own("title"),
        content: own("content"),
        start: cited.value("start_index").and_then(json::whole),
        end: cited.value("end_index").and_then(json::whole),
    })
}

fn bytes(event: &Event) -> u64 {
    match event {
        Event::Text(text) | Event::Refusal(text) => text.len() as u64,
        Event::Reasoning { text, .. } | Event::Arguments { text, .. } => text.len() as u64,
        Event::Seal { .. }
        | Event::ToolCall { .. }
        | Event::ToolCallEnd { .. }
        | Event::Image { .. }
        | Event::Citation(_)
        | Event::Finish { .. } => 0,
    }
}
