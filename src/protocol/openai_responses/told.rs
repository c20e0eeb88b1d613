//! What was told of the items of a reply. Items are known by `output_index`, since relays rotate
//! their ids; where a server gives none, by id. What a delta left out, the event that ends its part
//! or item makes up for, and nothing is said twice.

use super::seal::{self, Sealed};
use crate::chat::conversation::{Issuer, ReasoningKind};
use crate::chat::{Citation, Event};
use crate::json::{self, Balance, Members};
use crate::protocol::fields::is_hollow;
use crate::protocol::lane::{Renamed, Teller};
use crate::protocol::usage;

/// The items of a reply, and how much of each has become events.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub teller: Teller,
    pub items: Vec<Item>,
    /// How many calls were opened.
    pub calls: usize,
    /// The calls that take free text.
    free: Vec<usize>,
    sealer: Issuer,
    names: Vec<Renamed>,
}

/// The loss of a citation of what only the vendor keeps.
const FILE_NOTE: &str = "output.content.annotations: of a file, which has no address";

/// More items than any reply has; each costs memory.
const MOST_ITEMS: usize = 65_536;

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub index: Option<u64>,
    id: String,
    kind: Kind,
    parts: Vec<Part>,
    done: bool,
    /// Of the arguments of a call.
    balance: Balance,
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
pub(super) enum Channel {
    Text,
    Refusal,
    Summary,
    Thought,
    Input,
}

impl Told {
    pub fn new(sealer: Issuer, names: Vec<Renamed>) -> Told {
        Told { teller: Teller::default(), items: Vec::new(), calls: 0, free: Vec::new(), sealer, names }
    }

    /// The item that an event is about.
    pub fn find(&self, event: &Members<'_>) -> Option<usize> {
        if let Some(index) = usage::count(event, "output_index") {
            return self.items.iter().position(|item| item.index == Some(index));
        }
        match event.string("item_id") {
            Some(id) => self.items.iter().rposition(|item| item.id == id),
            None => self.items.len().checked_sub(1),
        }
    }

    /// Finds or opens the item that `event` brings.
    pub fn open(&mut self, event: &Members<'_>, item: &Members<'_>, events: &mut Vec<Event>) -> usize {
        let index = usage::count(event, "output_index");
        let known = match (index, item.string("id")) {
            (Some(index), _) => self.items.iter().position(|known| known.index == Some(index)),
            (None, Some(id)) => self.items.iter().rposition(|known| known.id == id),
            (None, None) => None,
        };
        known.unwrap_or_else(|| self.push(index, item, events))
    }

    pub fn push(&mut self, index: Option<u64>, item: &Members<'_>, events: &mut Vec<Event>) -> usize {
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
            let (parts, balance) = (Vec::new(), Balance::default());
            self.items.push(Item { index, id, kind, parts, done: false, balance });
        }
        self.items.len() - 1
    }

    /// An item whose opening never came.
    pub fn open_unseen(&mut self, channel: Channel, event: &Members<'_>, _events: &mut [Event]) -> usize {
        let kind = match channel {
            Channel::Text | Channel::Refusal => Kind::Message,
            Channel::Summary | Channel::Thought => Kind::Reasoning,
            // Without its name a call is nothing; its item tells all of it when it is done.
            Channel::Input => Kind::Other,
        };
        let id = event.string("item_id").unwrap_or_default().into_owned();
        self.keep(usage::count(event, "output_index"), id, kind)
    }

    fn open_call(&mut self, item: &Members<'_>, custom: bool, events: &mut Vec<Event>) -> Kind {
        let call = self.calls;
        self.calls += 1;
        if custom {
            self.free.push(call);
        }
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
    pub fn part(
        &mut self,
        item: usize,
        channel: Channel,
        index: Option<u64>,
        events: &mut Vec<Event>,
    ) -> usize {
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
    pub fn tell(&mut self, item: usize, part: usize, text: &str, whole: bool, events: &mut Vec<Event>) {
        let Item { kind, parts, balance, .. } = &mut self.items[item];
        let part = &mut parts[part];
        let text = if whole { text.get(part.bytes..).unwrap_or_default() } else { text };
        part.bytes += text.len();
        let is_input = part.channel == Channel::Input;
        if is_input != matches!(kind, Kind::Call(_)) {
            part.bytes -= text.len();
            return;
        }
        if is_input && !self.free.contains(&kind.call()) {
            balance.read(text);
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

    pub fn read_note(&mut self, event: &Members<'_>, events: &mut Vec<Event>) {
        let Some(note) = event.value("annotation") else { return };
        let position = self.find(event).unwrap_or_else(|| self.open_unseen(Channel::Text, event, events));
        let part = self.part(position, Channel::Text, usage::count(event, "content_index"), events);
        self.items[position].parts[part].notes += 1;
        match read_citation(note) {
            Some(citation) => self.teller.tell(Event::Citation(citation), events),
            None => self.teller.facts.lose(FILE_NOTE),
        }
    }

    /// Tells what an item that is done holds beyond what was told.
    pub fn complete(&mut self, position: usize, item: &Members<'_>, events: &mut Vec<Event>) {
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
            (Kind::Other, Some("function_call" | "custom_tool_call"))
                if self.items[position].parts.len() == 1 =>
            {
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
            (Kind::Other, Some("function_call" | "custom_tool_call")) | (Kind::Other, None) => {}
            (Kind::Other, Some(kind)) => {
                // Only searching is paid, not opening what was found (OpenAI, "Web search").
                let action =
                    item.object("action").and_then(|action| action.string("type").map(|it| it == "search"));
                let searches = kind == "web_search_call" && action != Some(false);
                self.teller.facts.web_searches += u64::from(searches);
                self.teller.facts.lose("output: what the vendor's own tools did");
            }
        }
    }

    /// Whether the arguments of the item that an event is about lack their end.
    pub fn is_half(&self, event: &Members<'_>) -> bool {
        self.find(event).is_some_and(|position| self.items[position].balance.is_half())
    }

    /// Whether those of any item do.
    pub fn any_half(&self) -> bool {
        self.items.iter().any(|item| item.balance.is_half())
    }

    pub fn end_call(&mut self, position: usize, cut: bool, events: &mut Vec<Event>) {
        if let (Kind::Call(call), false) = (self.items[position].kind, cut) {
            self.teller.tell(Event::ToolCallEnd { call }, events);
            self.items[position].kind = Kind::Other;
        }
    }

    fn complete_message(&mut self, position: usize, item: &Members<'_>, events: &mut Vec<Event>) {
        if item.value("phase").is_some() {
            self.teller.facts.lose("output.phase: no other protocol tells commentary from the answer");
        }
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

    fn complete_text(
        &mut self,
        item: usize,
        order: usize,
        text: &str,
        part: &Members<'_>,
        events: &mut Vec<Event>,
    ) {
        let nth = self.items[item].parts.iter().enumerate().filter(|(_, part)| part.channel == Channel::Text);
        let known = nth.map(|(position, _)| position).nth(order);
        let own = match known {
            Some(known) => known,
            None => self.part(item, Channel::Text, Some(u64::MAX - order as u64), events),
        };
        self.tell(item, own, text, true, events);
        let notes = part.array("annotations").unwrap_or_default();
        let told = self.items[item].parts[own].notes;
        for note in notes.iter().skip(told) {
            match read_citation(note) {
                Some(citation) => self.teller.tell(Event::Citation(citation), events),
                None => self.teller.facts.lose(FILE_NOTE),
            }
        }
        if part.value("logprobs").is_some_and(|value| !is_hollow(value)) {
            self.teller.facts.lose("output.content.logprobs: no other protocol's");
        }
    }

    fn complete_reasoning(&mut self, position: usize, item: &Members<'_>, events: &mut Vec<Event>) {
        self.tell_all(position, Channel::Summary, &texts_of(item, "summary", "text"), events);
        self.tell_all(position, Channel::Thought, &texts_of(item, "content", "text"), events);
        let Some((mut seal, sealed)) = seal::read(item) else { return };
        if item.value("format").is_none() && self.sealer != Issuer::Unknown {
            seal.issuer = self.sealer;
        }
        let silent = self.items[position].parts.iter().all(|part| part.bytes == 0);
        self.teller.tell(Event::Seal { seal, hidden: silent || sealed != Sealed::Text }, events);
    }
}

impl Channel {
    /// The channel of an event of text, with the member that holds the whole if it ends the text.
    pub fn of(kind: &str) -> Option<(Channel, Option<&'static str>)> {
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
    parts
        .into_iter()
        .filter_map(|part| json::members(part).ok()?.string(key).map(|text| text.into_owned()))
        .collect()
}

/// Sources that are pages; of files and containers only the vendor knows.
fn read_citation(note: &str) -> Option<Citation> {
    let note =
        json::members(note).ok().filter(|note| note.string("type").as_deref() == Some("url_citation"))?;
    Some(Citation {
        url: note.string("url")?.into_owned(),
        title: note.string("title").map(|title| title.into_owned()),
        content: note.string("content").map(|content| content.into_owned()),
        start: usage::count(&note, "start_index"),
        end: usage::count(&note, "end_index"),
    })
}
