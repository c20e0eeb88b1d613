//! `reasoning_details`, OpenRouter's list of what a model thought: text with a signature,
//! summaries, ciphertext. In a stream each comes in pieces that share an `index`; a signature is
//! a later piece of its text. Read and written here for requests and replies alike.

use crate::chat::Event;
use crate::chat::conversation::{Issuer, Part, ReasoningKind, Seal};
use crate::error::Failure;
use crate::json::{self, Members, Object};

/// One detail, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Detail {
    kind: Kind,
    /// The text, the summary or the ciphertext.
    text: String,
    signature: Option<String>,
    id: Option<String>,
    issuer: Option<Issuer>,
    index: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Summary,
    Encrypted,
}

impl Detail {
    /// `None` for what is no reasoning, such as the calls of server tools.
    fn read(raw: &str) -> Option<Detail> {
        let detail = json::members(raw).ok()?;
        let (kind, text) = match detail.string("type")?.as_ref() {
            "reasoning.text" => (Kind::Text, "text"),
            "reasoning.summary" => (Kind::Summary, "summary"),
            "reasoning.encrypted" => (Kind::Encrypted, "data"),
            _ => return None,
        };
        let own = |key| detail.string(key).filter(|text| !text.is_empty()).map(|text| text.into_owned());
        Some(Detail {
            kind,
            text: own(text).unwrap_or_default(),
            signature: own("signature").filter(|_| kind == Kind::Text),
            id: own("id"),
            issuer: own("format").map(|format| Issuer::of_format(&format)),
            index: detail.value("index").and_then(json::whole),
        })
    }

    fn continues(&self, before: &Detail) -> bool {
        self.index.is_some() && self.index == before.index && self.kind == before.kind
    }

    fn append(&mut self, more: Detail) {
        self.text.push_str(&more.text);
        if let Some(signature) = more.signature {
            self.signature.get_or_insert_default().push_str(&signature);
        }
        self.id = self.id.take().or(more.id);
        self.issuer = match self.issuer {
            None | Some(Issuer::Unknown) => more.issuer.or(self.issuer),
            Some(_) => self.issuer,
        };
    }

    /// `anthropic-claude-v1` is the format where none is named.
    fn seal(&self, data: String) -> Seal {
        Seal { issuer: self.issuer.unwrap_or(Issuer::Anthropic), data, id: self.id.clone() }
    }
}

/// What an assistant's message thought, and the seals of its calls by the calls' ids. The plain
/// text under `reasoning` counts only where there are no details.
pub(super) fn read_message(
    message: &Members<'_>,
    path: &str,
    unspoken: &mut Vec<String>,
) -> Result<(Vec<Part>, Vec<Seal>), Failure> {
    let raw = message.array("reasoning_details").unwrap_or_default();
    let mut details: Vec<Detail> = Vec::with_capacity(raw.len());
    for (position, raw) in raw.iter().enumerate() {
        match (Detail::read(raw), details.last_mut()) {
            (Some(detail), Some(last)) if detail.continues(last) => last.append(detail),
            (Some(detail), _) => details.push(detail),
            (None, _) => unspoken.push(format!("{path}.reasoning_details[{position}]")),
        }
    }
    if details.is_empty() {
        let text = ["reasoning", "reasoning_content"].into_iter().find_map(|key| message.string(key));
        let text = text.filter(|text| !text.is_empty());
        let part = text.map(|text| reasoning(text.into_owned(), ReasoningKind::Full, None));
        return Ok((part.into_iter().collect(), Vec::new()));
    }
    Ok(sort_parts(details, &call_ids(message)))
}

fn sort_parts(details: Vec<Detail>, calls: &[String]) -> (Vec<Part>, Vec<Seal>) {
    let (mut parts, mut seals) = (Vec::new(), Vec::new());
    for mut detail in details {
        let text = std::mem::take(&mut detail.text);
        match detail.kind {
            Kind::Text => {
                let seal = detail.signature.take().map(|data| detail.seal(data));
                if seal.is_some() || !text.is_empty() {
                    parts.push(reasoning(text, ReasoningKind::Full, seal));
                }
            }
            Kind::Summary => parts.push(reasoning(text, ReasoningKind::Summary, None)),
            Kind::Encrypted if detail.id.as_ref().is_some_and(|id| calls.contains(id)) => {
                seals.push(detail.seal(text));
            }
            Kind::Encrypted => {
                let seal = detail.seal(text);
                match parts.last_mut() {
                    Some(Part::Reasoning { seal: open @ None, .. }) if seal.issuer != Issuer::Anthropic => {
                        *open = Some(seal);
                    }
                    Some(_) | None => parts.push(Part::SealedReasoning { seal }),
                }
            }
        }
    }
    (parts, seals)
}

fn reasoning(text: String, kind: ReasoningKind, seal: Option<Seal>) -> Part {
    Part::Reasoning { text, kind, seal }
}

fn call_ids(message: &Members<'_>) -> Vec<String> {
    let calls = message.array("tool_calls").unwrap_or_default();
    let id = |call: &str| json::members(call).ok()?.string("id").map(|id| id.into_owned());
    calls.into_iter().filter_map(id).collect()
}

/// Mistral's part `{"type":"thinking","thinking":[{"type":"text","text":…}]}`.
pub(super) fn mistral_thinking(part: &Members<'_>) -> Part {
    let text = part.value("thinking").map(super::choice::joined_text).unwrap_or_default();
    reasoning(text, ReasoningKind::Full, None)
}

/// Gemini's thought signature as its own OpenAI-like endpoint puts it on a call.
pub(super) fn google_seal(call: &Members<'_>) -> Option<Seal> {
    let google = call.object("extra_content")?.object("google")?;
    let data = google.string("thought_signature")?.into_owned();
    Some(Seal { issuer: Issuer::Gemini, data, id: None })
}

/// Turns the details of a reply, whole or in pieces, into events.
#[derive(Clone, Debug, Default)]
pub(super) struct Thoughts {
    /// A signature or a ciphertext that may go on.
    held: Option<Detail>,
    /// Reasoning came that nothing has sealed.
    open: bool,
    /// Seals of calls, by the calls' ids.
    of_calls: Vec<Seal>,
}

impl Thoughts {
    /// Reads the `reasoning_details` of a message or a delta; whether they hold text that may be
    /// read.
    pub(super) fn read(&mut self, content: &Members<'_>, events: &mut Vec<Event>) -> bool {
        let Some(raw) = content.array("reasoning_details") else { return false };
        let calls = call_ids(content);
        let mut readable = false;
        for mut detail in raw.iter().filter_map(|raw| Detail::read(raw)) {
            if detail.kind != Kind::Encrypted && !detail.text.is_empty() {
                readable = true;
                self.flush(events);
                let kind =
                    if detail.kind == Kind::Text { ReasoningKind::Full } else { ReasoningKind::Summary };
                self.text(std::mem::take(&mut detail.text), kind, events);
            }
            if detail.kind == Kind::Encrypted && detail.id.as_ref().is_some_and(|id| calls.contains(id)) {
                let data = std::mem::take(&mut detail.text);
                self.of_calls.push(detail.seal(data));
            } else if detail.kind == Kind::Encrypted || detail.signature.is_some() {
                self.hold(detail, events);
            }
        }
        readable
    }

    pub(super) fn text(&mut self, text: String, kind: ReasoningKind, events: &mut Vec<Event>) {
        self.flush(events);
        self.open = true;
        events.push(Event::Reasoning { text, kind });
    }

    fn hold(&mut self, detail: Detail, events: &mut Vec<Event>) {
        match &mut self.held {
            Some(held) if detail.continues(held) => held.append(detail),
            Some(_) | None => {
                self.flush(events);
                self.held = Some(detail);
            }
        }
    }

    /// Gives out the seal that is held: something else follows it.
    pub(super) fn flush(&mut self, events: &mut Vec<Event>) {
        let Some(mut held) = self.held.take() else { return };
        let text = std::mem::take(&mut held.text);
        let (seal, hidden) = match held.signature.take() {
            Some(signature) => (held.seal(signature), false),
            None => {
                let seal = held.seal(text);
                let hidden = seal.issuer == Issuer::Anthropic || !self.open;
                (seal, hidden)
            }
        };
        self.open = false;
        events.push(Event::Seal { seal, hidden });
    }

    /// The seal of the call of that id, which may be the one that is held.
    pub(super) fn take_seal(&mut self, call: &str) -> Option<Seal> {
        if let Some(at) = self.of_calls.iter().position(|seal| seal.id.as_deref() == Some(call)) {
            return Some(self.of_calls.remove(at));
        }
        let mut held =
            self.held.take_if(|held| held.kind == Kind::Encrypted && held.id.as_deref() == Some(call))?;
        let data = std::mem::take(&mut held.text);
        Some(held.seal(data))
    }

    /// Something else than reasoning came.
    pub(super) fn close(&mut self, events: &mut Vec<Event>) {
        self.flush(events);
        self.open = false;
    }
}

/// Writes details, each as the JSON text of one, with the index that it has.
#[derive(Clone, Debug, Default)]
pub(super) struct DetailWriter {
    next: u64,
    /// The kind of the text that the next piece may go on with, and its index.
    open: Option<(ReasoningKind, u64)>,
}

impl DetailWriter {
    pub(super) fn text(&mut self, text: &str, kind: ReasoningKind) -> String {
        let index = match self.open {
            Some((open, index)) if open == kind => index,
            Some(_) | None => self.take_index(),
        };
        self.open = Some((kind, index));
        let (name, member) = match kind {
            ReasoningKind::Full => ("reasoning.text", "text"),
            ReasoningKind::Summary => ("reasoning.summary", "summary"),
        };
        write_detail(name, &[(member, text)], None, index)
    }

    /// The signature of the text that came last, or a ciphertext of its own.
    pub(super) fn seal(&mut self, seal: &Seal, hidden: bool) -> String {
        let open = self.open.take();
        if !DetailWriter::signs(seal, hidden) {
            let index = self.take_index();
            return write_detail("reasoning.encrypted", &[("data", &seal.data)], Some(seal), index);
        }
        match open {
            Some((ReasoningKind::Full, index)) => {
                write_detail("reasoning.text", &[("signature", &seal.data)], Some(seal), index)
            }
            // A signature over thoughts that are not shown.
            Some((ReasoningKind::Summary, _)) | None => {
                let index = self.take_index();
                let members = [("text", ""), ("signature", seal.data.as_str())];
                write_detail("reasoning.text", &members, Some(seal), index)
            }
        }
    }

    /// Whether a seal is a signature beside its text. The others hide what they seal.
    pub(super) fn signs(seal: &Seal, hidden: bool) -> bool {
        !hidden && matches!(seal.issuer, Issuer::Anthropic | Issuer::Unknown)
    }

    /// A text and its signature at once.
    pub(super) fn signed(&mut self, text: &str, seal: &Seal) -> String {
        self.close();
        let index = self.take_index();
        let members = [("text", text), ("signature", seal.data.as_str())];
        write_detail("reasoning.text", &members, Some(seal), index)
    }

    /// The seal of a call, which is known by the call's id.
    pub(super) fn call_seal(&mut self, seal: &Seal, call: &str) -> String {
        self.close();
        let seal = Seal { id: Some(call.to_owned()), ..seal.clone() };
        let index = self.take_index();
        write_detail("reasoning.encrypted", &[("data", &seal.data)], Some(&seal), index)
    }

    /// What comes next begins a detail of its own.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    fn take_index(&mut self) -> u64 {
        let index = self.next;
        self.next += 1;
        index
    }
}

fn write_detail(kind: &str, members: &[(&str, &str)], seal: Option<&Seal>, index: u64) -> String {
    let mut out = Object::with_capacity(128);
    out.put("type", kind);
    for (name, text) in members {
        out.put(name, *text);
    }
    if let Some(seal) = seal {
        out.put_some("id", seal.id.as_ref());
        out.put("format", seal.issuer.format());
    }
    out.put("index", index);
    out.end()
}

/// The details that a turn's reasoning is; `parts` of other kinds are passed over.
pub(super) fn write_parts(parts: &[Part]) -> Vec<String> {
    let mut writer = DetailWriter::default();
    let mut out = Vec::new();
    for part in parts {
        match part {
            Part::Reasoning { text, kind, seal } => {
                let full = *kind == ReasoningKind::Full;
                let signs = seal.as_ref().filter(|seal| full && DetailWriter::signs(seal, false));
                match (signs, seal) {
                    (Some(seal), _) => out.push(writer.signed(text, seal)),
                    (None, seal) => {
                        out.push(writer.text(text, *kind));
                        out.extend(seal.as_ref().map(|seal| writer.seal(seal, true)));
                    }
                }
                writer.close();
            }
            Part::SealedReasoning { seal } => out.push(writer.seal(seal, true)),
            Part::ToolCall(call) => {
                out.extend(call.seal.as_ref().map(|seal| writer.call_seal(seal, &call.id)));
            }
            Part::Text { .. }
            | Part::Image { .. }
            | Part::File { .. }
            | Part::Audio { .. }
            | Part::ToolResult(_)
            | Part::Refusal { .. } => {}
        }
    }
    out
}
