//! How a reply gets from a provider's protocol into a client's: a lane. Where both are the same a
//! lane splices bytes; else it translates event by event. The exchange knows no other difference.

use super::calls::{Call, Calls};
use crate::chat::{Bill, Event, Facts, Finish, Quirks, ReplyFault, WITHIN_A_CALL};
use crate::error::Failure;
use crate::json;
use crate::sse::{self, Frame, TooLong};

/// Carries one streamed reply.
pub trait Lane {
    /// Takes in bytes, however they are cut, and appends whole frames for the client.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>);
    /// Takes in bytes that the client has already: what would be written for them is of no use.
    fn look(&mut self, bytes: &[u8]) {
        self.read(bytes, &mut Vec::new());
    }
    /// The provider closed the stream.
    fn end_of_input(&mut self, out: &mut Vec<u8>);
    fn facts(&self) -> &Facts;
    /// What the client's protocol could not say of the reply so far, each with a reason.
    fn losses(&self) -> Vec<String> {
        Vec::new()
    }
    /// The calls of tools in the reply so far, where they are at hand.
    fn calls(&self) -> &[Call] {
        &[]
    }
    /// Ends the reply in the client's grammar, with what it used and costs.
    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>);
    /// Says that the reply ends here by a limit of length. Only lanes that translate can; it is for
    /// [`Lane::write_end`] to follow.
    fn cut(&mut self, _out: &mut Vec<u8>) {}
    /// Ends the reply with an error in the client's grammar; `bill` for what was delivered.
    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>);
    /// A frame that says nothing, for between frames; empty where there is no room for one.
    fn keep_alive(&self) -> &'static [u8];
    /// Every byte goes on as it comes: whoever can may move them without asking.
    fn is_verbatim(&self) -> bool {
        false
    }
}

/// Reads a provider's streamed reply into events. Like a [`Lane`], it survives any cut.
pub trait Reader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>);
    fn end_of_input(&mut self, events: &mut Vec<Event>);
    /// `began`, `finish`, `done`, `usage`, `fault`, `upstream_id` and the like, kept by the reader.
    fn facts(&self) -> &Facts;
}

/// Writes events as a client's streamed reply.
pub trait Writer {
    /// Appends whole frames. The first call may write what opens a reply.
    fn write(&mut self, event: &Event, out: &mut Vec<u8>);
    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>);
    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>);
    fn keep_alive(&self) -> &'static [u8];
    /// What is lost where the protocol has no place for an event, or for a part of it: the
    /// place, and why.
    fn loss(&self, _event: &Event) -> Option<&'static str> {
        None
    }
}

/// A provider's whole reply, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WholeReply {
    pub events: Vec<Event>,
    pub facts: Facts,
}

/// The endpoint that a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    pub quirks: &'a Quirks,
    /// The most output tokens the endpoint writes, for protocols that demand a limit.
    pub max_output: Option<u64>,
}

/// A request in a provider's words, and what those words could not say: paths of the client's
/// members, each with a reason, for the reply's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub body: Vec<u8>,
    pub losses: Vec<String>,
    /// For the reader of the reply; empty where every tool went as the client gave it.
    pub names: Vec<Renamed>,
    /// What is to be kept from the client, if the provider shows it all the same.
    pub hidden: Hidden,
}

/// A tool that the provider got under another name or in another form than the client gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renamed {
    /// The name that the provider knows.
    pub sent: String,
    /// The client's name.
    pub own: String,
    /// The client's tool takes free text; the provider's a JSON object `{"input": …}` of it.
    pub custom: bool,
}

/// A lane between two protocols.
pub struct Translate {
    reader: Box<dyn Reader>,
    writer: Box<dyn Writer>,
    events: Vec<Event>,
    /// The calls whose arguments are still coming.
    open: Vec<usize>,
    /// The reply has told its reason to finish. What a provider says after that is not said on.
    finished: bool,
    /// The facts of a reply that claimed its end within a call, or that was cut.
    broken: Option<Facts>,
    hidden: Hidden,
    /// What the writer had no place for, among what the reader lost.
    lost: Facts,
    calls: Calls,
}

/// What of a reply the client does not want to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    #[default]
    Nothing,
    /// The words of what the model thought. Seals go on, for they have to come back.
    Thoughts,
    /// And the seals with them.
    Reasoning,
}

impl Hidden {
    pub fn hides(self, event: &Event) -> bool {
        match event {
            Event::Reasoning { .. } => self != Hidden::Nothing,
            Event::Seal { .. } => self == Hidden::Reasoning,
            Event::Text(_) | Event::ToolCall { .. } | Event::Arguments { .. } => false,
            Event::ToolCallEnd { .. } | Event::Refusal(_) | Event::Image { .. } => false,
            Event::Citation(_) | Event::Finish { .. } => false,
        }
    }
}

impl Translate {
    pub fn new(reader: Box<dyn Reader>, writer: Box<dyn Writer>) -> Translate {
        Translate {
            reader,
            writer,
            events: Vec::new(),
            open: Vec::new(),
            finished: false,
            broken: None,
            hidden: Hidden::Nothing,
            lost: Facts::default(),
            calls: Calls::default(),
        }
    }

    pub fn without(mut self, hidden: Hidden) -> Translate {
        self.hidden = hidden;
        self
    }

    fn write_events(&mut self, out: &mut Vec<u8>) {
        let mut broken = self.broken.is_some();
        for event in self.events.drain(..) {
            broken |= ends_within_a_call(&event, &mut self.open);
            self.calls.note(&event);
            if !broken && !self.finished && !self.hidden.hides(&event) {
                self.writer.write(&event, out);
                if let Some(loss) = self.writer.loss(&event) {
                    self.lost.lose(loss);
                }
            }
            self.finished |= matches!(event, Event::Finish { .. });
        }
        self.broken = broken.then(|| broken_off(self.reader.facts()));
    }
}

impl Lane for Translate {
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.reader.read(bytes, &mut self.events);
        self.write_events(out);
    }

    fn end_of_input(&mut self, out: &mut Vec<u8>) {
        self.reader.end_of_input(&mut self.events);
        self.write_events(out);
    }

    fn facts(&self) -> &Facts {
        self.broken.as_ref().unwrap_or_else(|| self.reader.facts())
    }

    fn losses(&self) -> Vec<String> {
        self.facts().losses.iter().chain(&self.lost.losses).cloned().collect()
    }

    fn calls(&self) -> &[Call] {
        self.calls.made()
    }

    fn cut(&mut self, out: &mut Vec<u8>) {
        let mut facts = self.facts().clone();
        if !self.finished && self.broken.is_none() {
            let native = Finish::Length.reason().to_owned();
            self.writer.write(&Event::Finish { reason: Finish::Length, native: native.clone() }, out);
            (facts.finish, facts.finish_reason) = (Some(native), Some(Finish::Length.reason()));
            self.finished = true;
        }
        self.broken = Some(facts);
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        self.writer.write_end(bill, out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        self.writer.write_error(failure, bill, out);
    }

    fn keep_alive(&self) -> &'static [u8] {
        self.writer.keep_alive()
    }
}

/// Whether `event` ends a reply, as one meant to, with a call of `open` unfinished: what the
/// client has of the call would pass for a whole one. Keeps `open`.
fn ends_within_a_call(event: &Event, open: &mut Vec<usize>) -> bool {
    match event {
        Event::ToolCall { call, .. } => open.push(*call),
        Event::ToolCallEnd { call } => open.retain(|other| other != call),
        Event::Finish { reason, .. } => return reason.claims_whole() && !open.is_empty(),
        Event::Text(_) | Event::Reasoning { .. } | Event::Seal { .. } | Event::Arguments { .. } => {}
        Event::Refusal(_) | Event::Image { .. } | Event::Citation(_) => {}
    }
    false
}

fn broken_off(facts: &Facts) -> Facts {
    let mut facts = facts.clone();
    facts.cut_short(WITHIN_A_CALL);
    facts
}

/// Ends the input of a stream whose events are JSON. One that breaks off within it was cut by the
/// end of the stream, and says nothing.
pub fn end_of_json(frames: &mut sse::Reader, mut each: impl FnMut(Frame<'_>)) -> Result<(), TooLong> {
    frames.end(|frame| {
        let mut balance = json::Balance::default();
        balance.read(&crate::bytes::text(frame.data));
        if !balance.is_half() {
            each(frame);
        }
    })
}

/// A whole reply that may be told in another protocol: one that claims its end within a call is
/// none.
pub fn whole(mut reply: WholeReply) -> Result<WholeReply, ReplyFault> {
    let mut open = Vec::new();
    if reply.events.iter().any(|event| ends_within_a_call(event, &mut open)) {
        reply.facts.cut_short(WITHIN_A_CALL);
    }
    reply.facts.reply_fault().map_or(Ok(reply), Err)
}

/// Finds names for the tools that a target refuses: letters, digits, `_` and `-`, at most `most`
/// (16 or more) of them. No two tools ever get the same. `tools` are names, each with whether it
/// is a custom tool.
pub fn rename<'a>(
    tools: impl IntoIterator<Item = (&'a str, bool)>,
    most: usize,
    fits: impl Fn(&str) -> bool,
) -> Vec<Renamed> {
    let tools: Vec<(&str, bool)> = tools.into_iter().collect();
    let mut names: Vec<Renamed> = Vec::new();
    for (own, custom) in tools.iter().copied().filter(|(own, custom)| *custom || !fits(own)) {
        if names.iter().any(|renamed| renamed.own == own) {
            continue;
        }
        let taken = |found: &String| {
            tools.iter().any(|(own, _)| own == found) || names.iter().any(|renamed| renamed.sent == *found)
        };
        let sent = match fits(own) {
            true => Some(own.to_owned()),
            false => {
                let stem = stem(own, most);
                let alike = names.iter().filter(|renamed| renamed.sent.starts_with(&stem)).count();
                (alike + 1..).map(|number| format!("{stem}{number}")).find(|found| !taken(found))
            }
        };
        names.extend(sent.map(|sent| Renamed { sent, own: own.to_owned(), custom }));
    }
    names
}

/// The name under which the provider knows the client's tool.
pub fn sent_name<'a>(names: &'a [Renamed], own: &'a str) -> &'a str {
    names.iter().find(|renamed| renamed.own == own).map_or(own, |renamed| &renamed.sent)
}

/// `name` cut down to what every provider takes; a number behind it makes it unlike others.
fn stem(name: &str, most: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let kept: String = name.chars().map(plain).take(most.saturating_sub(12)).collect();
    format!("t{kept}_")
}

/// Hands out the events of a reply and keeps the facts that follow from them. Gives tools back
/// the names and the form that the client gave them.
#[derive(Clone, Debug, Default)]
pub struct Teller {
    pub facts: Facts,
    names: Vec<Renamed>,
    calls: usize,
    open: Vec<OpenCall>,
    /// A call ended whose arguments are not whole.
    half: bool,
}

/// A call whose arguments are still coming.
#[derive(Clone, Debug)]
struct OpenCall {
    call: usize,
    custom: bool,
    arguments: String,
}

impl Teller {
    pub fn new(names: Vec<Renamed>) -> Teller {
        Teller { names, ..Teller::default() }
    }

    /// Appends `event`, unless it says nothing. For calls there are functions of their own.
    pub fn tell(&mut self, event: Event, events: &mut Vec<Event>) {
        let event = match event {
            Event::Finish { reason: Finish::Stop, native } if self.calls > 0 => {
                Event::Finish { reason: Finish::ToolCalls, native }
            }
            other => other,
        };
        let bytes = match &event {
            Event::Text(text) | Event::Reasoning { text, .. } | Event::Refusal(text) => Some(text.len()),
            Event::Arguments { text, .. } => Some(text.len()),
            Event::Seal { .. } | Event::ToolCall { .. } | Event::ToolCallEnd { .. } => None,
            Event::Image { .. } | Event::Citation(_) | Event::Finish { .. } => None,
        };
        if bytes == Some(0) {
            return;
        }
        self.facts.began = true;
        self.facts.output_bytes += bytes.unwrap_or(0) as u64;
        if let Event::Finish { reason, native } = &event {
            if reason.claims_whole() && (self.half || !self.open.is_empty()) {
                return self.facts.cut_short(WITHIN_A_CALL);
            }
            self.facts.finish = Some(native.clone());
            self.facts.finish_reason = Some(reason.reason());
        }
        events.push(event);
    }

    /// Opens a call of the tool that the provider knows as `sent`, and returns its number.
    pub fn open_call(&mut self, id: String, sent: &str, events: &mut Vec<Event>) -> usize {
        let call = self.calls;
        self.calls += 1;
        let renamed = self.names.iter().find(|renamed| renamed.sent == sent);
        let name = renamed.map_or(sent, |renamed| &renamed.own).to_owned();
        let custom = renamed.is_some_and(|renamed| renamed.custom);
        self.open.push(OpenCall { call, custom, arguments: String::new() });
        self.tell(Event::ToolCall { call, id, name, custom, seal: None }, events);
        call
    }

    /// More arguments. A custom tool's are held back until the free text within is whole.
    pub fn arguments(&mut self, call: usize, text: &str, events: &mut Vec<Event>) {
        let Some(open) = self.open.iter_mut().find(|open| open.call == call) else { return };
        open.arguments.push_str(text);
        if !open.custom {
            self.tell(Event::Arguments { call, text: text.to_owned() }, events);
        }
    }

    /// Ends a call, if its arguments are whole: a limit of output may have cut them.
    pub fn end_call(&mut self, call: usize, events: &mut Vec<Event>) {
        let Some(place) = self.open.iter().position(|open| open.call == call) else { return };
        let OpenCall { custom, arguments, .. } = self.open.remove(place);
        let object = json::members(&arguments);
        if object.is_err() && !arguments.is_empty() {
            self.half = true;
            return;
        }
        if custom {
            let input = object.ok().and_then(|object| object.string("input").map(|text| text.into_owned()));
            self.tell(Event::Arguments { call, text: input.unwrap_or_default() }, events);
        }
        self.tell(Event::ToolCallEnd { call }, events);
    }
}
