//! The items of a response as they grow: each event of the neutral vocabulary becomes the events
//! that open, fill and close an item. One text at a time; calls may stay open side by side, as the
//! protocol tells them apart by `output_index`.

use super::echo::Echo;
use super::seal::{self, OWN_ID, Sealed};
use super::wire;
use crate::chat::conversation::{Issuer, ReasoningKind, Seal};
use crate::chat::{Citation, Event};
use crate::json::{self, Raw, quote};
use crate::protocol::usage;

#[derive(Clone, Debug, Default)]
pub(super) struct Items {
    sequence: u64,
    /// What makes the ids of this response's items unlike any other's.
    stem: String,
    /// By `output_index`; `None` while an item is open.
    closed: Vec<Option<String>>,
    open: Option<Open>,
    calls: Vec<Call>,
    /// All text of all messages.
    pub text: String,
    pub refused: bool,
    /// A call was closed though its arguments never ended.
    pub cut: bool,
}

#[derive(Clone, Debug)]
enum Open {
    Message(Said),
    Thought(Said),
}

/// An item of texts.
#[derive(Clone, Debug)]
struct Said {
    index: usize,
    id: String,
    /// JSON of the parts that are done: of a message, or of a reasoning item's `content`.
    parts: Vec<String>,
    summary: Vec<String>,
    part: Option<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    kind: Kind,
    text: String,
    /// JSON of the annotations.
    notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Summary,
    Thought,
}

#[derive(Clone, Debug)]
struct Call {
    call: usize,
    index: usize,
    id: String,
    name: String,
    /// `"call_id":…,"name":…` and so on: all but type, id, input and status.
    head: String,
    input: String,
    custom: bool,
    closed: bool,
}

impl Kind {
    fn part(self, text: &str, notes: &[String]) -> String {
        let text = quote(text);
        match self {
            Kind::Text => {
                let notes = notes.join(",");
                format!(r#"{{"type":"output_text","text":{text},"annotations":[{notes}],"logprobs":[]}}"#)
            }
            Kind::Refusal => format!(r#"{{"type":"refusal","refusal":{text}}}"#),
            Kind::Summary => format!(r#"{{"type":"summary_text","text":{text}}}"#),
            Kind::Thought => format!(r#"{{"type":"reasoning_text","text":{text}}}"#),
        }
    }

    fn is_message(self) -> bool {
        matches!(self, Kind::Text | Kind::Refusal)
    }

    /// The events of the text itself, without their ending.
    fn event(self) -> &'static str {
        match self {
            Kind::Text => "response.output_text",
            Kind::Refusal => "response.refusal",
            Kind::Summary => "response.reasoning_summary_text",
            Kind::Thought => "response.reasoning_text",
        }
    }

    fn part_event(self) -> &'static str {
        match self {
            Kind::Text | Kind::Refusal | Kind::Thought => "response.content_part",
            Kind::Summary => "response.reasoning_summary_part",
        }
    }
}

impl Said {
    /// The members that tell where a part is.
    fn place(&self, kind: Kind) -> String {
        let (name, index) = match kind {
            Kind::Summary => ("summary_index", self.summary.len()),
            Kind::Text | Kind::Refusal | Kind::Thought => ("content_index", self.parts.len()),
        };
        format!(r#","item_id":{},"output_index":{},"{name}":{index}"#, quote(&self.id), self.index)
    }

    fn message(&self, status: &str) -> String {
        let parts = self.with_open(&self.parts, Kind::is_message);
        let id = quote(&self.id);
        format!(
            r#"{{"type":"message","id":{id},"role":"assistant","status":"{status}","content":[{parts}]}}"#
        )
    }

    fn thought(&self, status: &str, seal: &str) -> String {
        let content = self.with_open(&self.parts, |kind| kind == Kind::Thought);
        let summary = self.with_open(&self.summary, |kind| kind == Kind::Summary);
        let content = if content.is_empty() { String::new() } else { format!(",\"content\":[{content}]") };
        let id = quote(&self.id);
        format!(
            r#"{{"type":"reasoning","id":{id},"summary":[{summary}]{content}{seal},"status":"{status}"}}"#
        )
    }

    /// The parts that are done and the open one, if it is of this list.
    fn with_open(&self, done: &[String], belongs: impl Fn(Kind) -> bool) -> String {
        let mut parts = done.to_vec();
        if let Some(part) = self.part.as_ref().filter(|part| belongs(part.kind)) {
            parts.push(part.kind.part(&part.text, &part.notes));
        }
        parts.join(",")
    }
}

impl Call {
    fn item(&self, status: &str) -> String {
        let (kind, input) =
            if self.custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        let (id, text) = (quote(&self.id), quote(&self.input));
        format!(r#"{{"type":"{kind}","id":{id},{},"{input}":{text},"status":"{status}"}}"#, self.head)
    }

    fn event(&self) -> &'static str {
        if self.custom { "response.custom_tool_call_input" } else { "response.function_call_arguments" }
    }
}

impl Items {
    pub fn new(generation: &str) -> Items {
        let stem = generation.strip_prefix("gen-").unwrap_or(generation);
        Items { stem: stem.chars().take(40).collect(), ..Items::default() }
    }

    /// Appends an event; `members` begins with a comma or is empty.
    pub fn emit(&mut self, kind: &str, members: &str, out: &mut Vec<u8>) {
        let mut data = Vec::with_capacity(members.len() + 128);
        let sequence = Raw(r#"","sequence_number":"#);
        json::put(
            &mut data,
            &[&Raw(r#"{"type":""#), &Raw(kind), &sequence, &self.sequence, &Raw(members), &Raw("}")],
        );
        self.sequence += 1;
        wire::write_event(kind.as_bytes(), &data, out);
    }

    pub fn tell(&mut self, event: &Event, echo: &Echo, out: &mut Vec<u8>) {
        match event {
            Event::Text(text) => self.say(Kind::Text, text, out),
            Event::Refusal(text) => {
                self.refused = true;
                self.say(Kind::Refusal, text, out);
            }
            Event::Reasoning { text, kind: ReasoningKind::Full } => self.say(Kind::Thought, text, out),
            Event::Reasoning { text, kind: ReasoningKind::Summary } => self.say(Kind::Summary, text, out),
            Event::Seal { seal, hidden } => self.seal(seal, *hidden, out),
            Event::ToolCall { call, id, name, custom, seal } => {
                self.close_text(out);
                if let Some(seal) = seal {
                    self.thought(seal, &Sealed::Call(id.clone()), out);
                }
                self.open_call(*call, id, name, *custom, echo, out);
            }
            Event::Arguments { call, text } => self.fill_call(*call, text, out),
            Event::ToolCallEnd { call } => self.end_call(*call, out),
            Event::Image { url } => self.image(url, out),
            Event::Citation(citation) => self.cite(citation, out),
            Event::Finish { .. } => self.close(out),
        }
    }

    /// Closes everything. A call that never ended is closed as the incomplete one it is, as OpenAI
    /// does when the limit of tokens cuts one.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.close_text(out);
        for position in 0..self.calls.len() {
            if !self.calls[position].closed {
                self.cut = true;
                self.close_call(position, "incomplete", out);
            }
        }
    }

    /// The array of all items; of those that are open, what there is.
    pub fn output(&self) -> String {
        let open = |index: usize| {
            let call = self.calls.iter().find(|call| call.index == index && !call.closed);
            call.map(|call| call.item("incomplete")).or_else(|| match &self.open {
                Some(Open::Message(said)) if said.index == index => Some(said.message("incomplete")),
                Some(Open::Thought(said)) if said.index == index => Some(said.thought("incomplete", "")),
                Some(Open::Message(_) | Open::Thought(_)) | None => None,
            })
        };
        let item = |(index, closed): (usize, &Option<String>)| closed.clone().or_else(|| open(index));
        let items: Vec<String> = self.closed.iter().enumerate().filter_map(item).collect();
        format!("[{}]", items.join(","))
    }

    fn add(&mut self, prefix: &str) -> (usize, String) {
        let index = self.closed.len();
        self.closed.push(None);
        (index, format!("{prefix}{OWN_ID}{}_{index}", self.stem))
    }

    fn added(&mut self, index: usize, item: &str, out: &mut Vec<u8>) {
        self.emit("response.output_item.added", &format!(",\"output_index\":{index},\"item\":{item}"), out);
    }

    fn done(&mut self, index: usize, item: String, out: &mut Vec<u8>) {
        self.emit("response.output_item.done", &format!(",\"output_index\":{index},\"item\":{item}"), out);
        self.closed[index] = Some(item);
    }

    fn say(&mut self, kind: Kind, text: &str, out: &mut Vec<u8>) {
        let mut said = self.open_text(kind, out);
        let place = said.place(kind);
        if kind == Kind::Text {
            self.text.push_str(text);
        }
        if let Some(part) = &mut said.part {
            part.text.push_str(text);
        }
        let logprobs = if kind == Kind::Text { ",\"logprobs\":[]" } else { "" };
        let event = format!("{}.delta", kind.event());
        self.emit(&event, &[place.as_str(), ",\"delta\":", &quote(text), logprobs].concat(), out);
        self.keep_open(kind, said);
    }

    fn keep_open(&mut self, kind: Kind, said: Said) {
        self.open = Some(if kind.is_message() { Open::Message(said) } else { Open::Thought(said) });
    }

    /// Takes the item that a text of this kind goes to, with a part of the kind open.
    fn open_text(&mut self, kind: Kind, out: &mut Vec<u8>) -> Said {
        let fits = match &self.open {
            Some(Open::Message(_)) => kind.is_message(),
            Some(Open::Thought(_)) => !kind.is_message(),
            None => false,
        };
        if !fits {
            self.close_text(out);
        }
        let mut said = match self.open.take() {
            Some(Open::Message(said) | Open::Thought(said)) => said,
            None => self.open_item(kind, None, out),
        };
        if said.part.as_ref().is_some_and(|part| part.kind != kind) {
            self.close_part(&mut said, out);
        }
        if said.part.is_none() {
            let members = format!("{},\"part\":{}", said.place(kind), kind.part("", &[]));
            self.emit(&format!("{}.added", kind.part_event()), &members, out);
            said.part = Some(Part { kind, text: String::new(), notes: Vec::new() });
        }
        said
    }

    fn open_item(&mut self, kind: Kind, own: Option<&String>, out: &mut Vec<u8>) -> Said {
        let (index, id) = self.add(if kind.is_message() { "msg" } else { "rs" });
        let said = Said {
            index,
            id: own.cloned().unwrap_or(id),
            parts: Vec::new(),
            summary: Vec::new(),
            part: None,
        };
        let item =
            if kind.is_message() { said.message("in_progress") } else { said.thought("in_progress", "") };
        self.added(index, &item, out);
        said
    }

    fn close_part(&mut self, said: &mut Said, out: &mut Vec<u8>) {
        let Some(part) = said.part.take() else { return };
        let place = said.place(part.kind);
        let name = if part.kind == Kind::Refusal { "refusal" } else { "text" };
        let logprobs = if part.kind == Kind::Text { ",\"logprobs\":[]" } else { "" };
        let whole = format!("{place},\"{name}\":{}{logprobs}", quote(&part.text));
        self.emit(&format!("{}.done", part.kind.event()), &whole, out);
        let json = part.kind.part(&part.text, &part.notes);
        self.emit(&format!("{}.done", part.kind.part_event()), &format!("{place},\"part\":{json}"), out);
        match part.kind {
            Kind::Summary => said.summary.push(json),
            Kind::Text | Kind::Refusal | Kind::Thought => said.parts.push(json),
        }
    }

    fn close_text(&mut self, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Open::Message(mut said)) => {
                self.close_part(&mut said, out);
                self.done(said.index, said.message("completed"), out);
            }
            Some(Open::Thought(said)) => self.close_thought(said, "", out),
            None => {}
        }
    }

    fn close_thought(&mut self, mut said: Said, seal: &str, out: &mut Vec<u8>) {
        self.close_part(&mut said, out);
        self.done(said.index, said.thought("completed", seal), out);
    }

    fn seal(&mut self, seal: &Seal, hidden: bool, out: &mut Vec<u8>) {
        match self.open.take() {
            Some(Open::Thought(said)) if !hidden => {
                self.close_thought(said, &seal_members(seal, &Sealed::Text), out);
            }
            open => {
                self.open = open;
                self.close_text(out);
                self.thought(seal, &Sealed::Hidden, out);
            }
        }
    }

    /// A reasoning item without text.
    fn thought(&mut self, seal: &Seal, sealed: &Sealed, out: &mut Vec<u8>) {
        // OpenAI checks that its ciphertext comes back with the id it was made for.
        let own = seal.id.as_ref().filter(|_| seal.issuer == Issuer::OpenAi);
        let said = self.open_item(Kind::Thought, own, out);
        self.close_thought(said, &seal_members(seal, sealed), out);
    }

    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let mut said = self.open_text(Kind::Text, out);
        let note = annotation(citation);
        let place = said.place(Kind::Text);
        let count = said.part.as_ref().map_or(0, |part| part.notes.len());
        let members = format!("{place},\"annotation_index\":{count},\"annotation\":{note}");
        self.emit("response.output_text.annotation.added", &members, out);
        if let Some(part) = &mut said.part {
            part.notes.push(note);
        }
        self.keep_open(Kind::Text, said);
    }

    fn open_call(&mut self, call: usize, id: &str, name: &str, custom: bool, echo: &Echo, out: &mut Vec<u8>) {
        let (index, item_id) = self.add(if custom { "ctc" } else { "fc" });
        let drawn = echo.drawers.find(name);
        let name = drawn.map_or(name, |drawn| &drawn.name).to_owned();
        let mut head = format!(r#""call_id":{},"name":{}"#, quote(id), quote(&name));
        if let Some(drawn) = drawn {
            head.push_str(&format!(",\"namespace\":{}", quote(&drawn.namespace)));
        }
        let call = Call { call, index, id: item_id, name, head, input: String::new(), custom, closed: false };
        self.added(index, &call.item("in_progress"), out);
        self.calls.push(call);
    }

    fn fill_call(&mut self, call: usize, text: &str, out: &mut Vec<u8>) {
        let Some(found) = self.calls.iter_mut().find(|it| it.call == call && !it.closed) else { return };
        found.input.push_str(text);
        let members = format!(
            r#","item_id":{},"output_index":{},"delta":{}"#,
            quote(&found.id),
            found.index,
            quote(text)
        );
        let event = format!("{}.delta", found.event());
        self.emit(&event, &members, out);
    }

    fn end_call(&mut self, call: usize, out: &mut Vec<u8>) {
        let Some(position) = self.calls.iter().position(|it| it.call == call && !it.closed) else { return };
        let found = &self.calls[position];
        // No arguments are an empty object to whoever parses them.
        if found.input.is_empty() && !found.custom {
            self.fill_call(call, "{}", out);
        }
        self.close_call(position, "completed", out);
    }

    fn close_call(&mut self, position: usize, status: &str, out: &mut Vec<u8>) {
        let call = &mut self.calls[position];
        call.closed = true;
        let call = call.clone();
        let (id, input) = (quote(&call.id), quote(&call.input));
        // @openrouter/sdk requires the name of a function here.
        let whole = match call.custom {
            true => format!("\"input\":{input}"),
            false => format!("\"name\":{},\"arguments\":{input}", quote(&call.name)),
        };
        let members = format!(",\"item_id\":{id},\"output_index\":{},{whole}", call.index);
        self.emit(&format!("{}.done", call.event()), &members, out);
        self.done(call.index, call.item(status), out);
    }

    fn image(&mut self, url: &str, out: &mut Vec<u8>) {
        self.close_text(out);
        let (index, id) = self.add("ig");
        let id = quote(&id);
        let item = |status: &str, result: &str| {
            format!(r#"{{"type":"image_generation_call","id":{id},"status":"{status}","result":{result}}}"#)
        };
        self.added(index, &item("in_progress", "null"), out);
        let place = format!(",\"item_id\":{id},\"output_index\":{index}");
        self.emit("response.image_generation_call.in_progress", &place, out);
        self.emit("response.image_generation_call.completed", &place, out);
        // The item holds the bare base64; a link stays what it is.
        let result = url.split_once(";base64,").map_or(url, |(_, base64)| base64);
        self.done(index, item("completed", &quote(result)), out);
    }
}

/// The members of a sealed item. `format` and `signature` are OpenRouter's; clients that know only
/// OpenAI's send `encrypted_content` back.
fn seal_members(seal: &Seal, sealed: &Sealed) -> String {
    let mut members = format!(r#","encrypted_content":{}"#, quote(&seal::encrypted_content(seal, sealed)));
    if seal.issuer == Issuer::Anthropic && *sealed == Sealed::Text {
        members.push_str(&format!(r#","signature":{}"#, quote(&seal.data)));
    }
    members.push_str(&format!(r#","format":"{}""#, seal.issuer.format()));
    members
}

fn annotation(citation: &Citation) -> String {
    let mut note = format!(
        r#"{{"type":"url_citation","url":{},"title":{},"start_index":{},"end_index":{}"#,
        quote(&citation.url),
        quote(citation.title.as_deref().unwrap_or_default()),
        usage::safe(citation.start.unwrap_or(0)),
        usage::safe(citation.end.unwrap_or(0)),
    );
    if let Some(content) = &citation.content {
        note.push_str(&format!(",\"content\":{}", quote(content)));
    }
    note.push('}');
    note
}
