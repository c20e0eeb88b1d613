//! A reply for a client of Gemini's protocol: as SSE, as the JSON array that a stream without
//! `alt=sse` is, or whole. A call is written once it is complete: Gemini's clients take no less.

use super::{citation, error, seal, wire};
use crate::chat::conversation::Seal;
use crate::chat::{Bill, Citation, Event, Facts, Finish, Identity};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::Writer;

/// How the responses of a stream are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// `alt=sse`; lines end as Google's do.
    #[default]
    Sse,
    /// The elements of one JSON array.
    Array,
}

/// A line break says nothing in either framing. A comment would be a fault to Google's SDKs.
pub const KEEP_ALIVE: &[u8] = b"\r\n";

/// Puts responses into a stream.
#[derive(Clone, Debug)]
pub(super) struct Frames {
    framing: Framing,
    opened: bool,
}

impl Frames {
    pub(super) fn new(framing: Framing) -> Frames {
        Frames { framing, opened: false }
    }

    pub(super) fn write(&mut self, response: &[u8], out: &mut Vec<u8>) {
        match self.framing {
            Framing::Sse => {
                out.extend_from_slice(b"data: ");
                // A line break within JSON stands between tokens, where a blank does as well.
                out.extend(
                    response.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
                );
                out.extend_from_slice(b"\r\n\r\n");
            }
            Framing::Array => {
                out.extend_from_slice(if self.opened { b",\r\n" } else { b"[" });
                out.extend_from_slice(response);
            }
        }
        self.opened = true;
    }

    /// An error stands bare behind the frames, as Google writes it and its SDKs look for it.
    pub(super) fn write_error(&mut self, error: &[u8], out: &mut Vec<u8>) {
        match self.framing {
            Framing::Sse => {
                out.extend_from_slice(error);
                out.extend_from_slice(b"\r\n");
            }
            Framing::Array => self.write(error, out),
        }
        self.end(out);
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        match (self.framing, self.opened) {
            (Framing::Sse, _) => {}
            (Framing::Array, true) => out.extend_from_slice(b"]\r\n"),
            (Framing::Array, false) => out.extend_from_slice(b"[]\r\n"),
        }
    }
}

/// Writes one stream.
#[derive(Clone, Debug)]
pub struct StreamWriter {
    identity: Identity,
    frames: Frames,
    said: Said,
}

impl StreamWriter {
    pub fn new(identity: Identity) -> StreamWriter {
        StreamWriter { identity, frames: Frames::new(Framing::Sse), said: Said::default() }
    }

    pub fn framed(mut self, framing: Framing) -> StreamWriter {
        self.frames = Frames::new(framing);
        self
    }
}

impl Writer for StreamWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        for part in self.said.read(event) {
            let mut response =
                format!(r#"{{"candidates":[{{"content":{{"role":"model","parts":[{part}]}},"index":0}}],"#);
            response.push_str(&identity_members(&self.identity));
            response.push('}');
            self.frames.write(response.as_bytes(), out);
        }
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        let parts = self.said.complete_calls();
        let response = last_response(&parts, &self.said, &self.identity, bill);
        self.frames.write(&response, out);
        self.frames.end(out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        if let Some(bill) = bill {
            let mut response = b"{\"candidates\":[],\"usageMetadata\":".to_vec();
            wire::write_usage(bill, &mut response);
            response.push(b',');
            response.extend_from_slice(closing_members(&self.identity, bill).as_bytes());
            response.push(b'}');
            self.frames.write(&response, out);
        }
        let error = error::write_error(failure, Some(&self.identity.generation));
        self.frames.write_error(&error, out);
    }

    fn loss(&self, event: &Event) -> Option<&'static str> {
        match event {
            Event::Citation(citation) if citation.content.is_some() => {
                Some("citations: the words of the sources; grounding names them alone")
            }
            Event::Finish { reason: Finish::StopSequence, .. } => {
                Some("stop_reason: a stop sequence is `STOP`")
            }
            Event::Finish { reason: Finish::Pause, .. } => Some("stop_reason: a pause is `STOP`"),
            Event::Text(_) | Event::Reasoning { .. } | Event::Seal { .. } | Event::Refusal(_) => None,
            Event::ToolCall { .. } | Event::Arguments { .. } | Event::ToolCallEnd { .. } => None,
            Event::Image { .. } | Event::Citation(_) | Event::Finish { .. } => None,
        }
    }

    fn keep_alive(&self) -> &'static [u8] {
        KEEP_ALIVE
    }
}

/// Writes a whole reply.
pub fn write_whole(events: &[Event], facts: &Facts, identity: &Identity, bill: &Bill) -> Vec<u8> {
    let mut said = Said::default();
    let mut parts: Vec<String> = joined(events).iter().flat_map(|event| said.read(event)).collect();
    parts.extend(said.complete_calls());
    if said.finish.is_none() {
        let native = facts.finish.clone().unwrap_or_default();
        said.finish = Some((wire::finish(&native, false), native));
    }
    last_response(&parts, &said, identity, bill)
}

/// Text and reasoning that came in pieces, in one.
fn joined(events: &[Event]) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        match (all.last_mut(), event) {
            (Some(Event::Text(text)), Event::Text(more)) => text.push_str(more),
            (Some(Event::Reasoning { text, .. }), Event::Reasoning { text: more, .. }) => text.push_str(more),
            (_, event) => all.push(event.clone()),
        }
    }
    all
}

/// What was said so far, as far as the rest depends on it.
#[derive(Clone, Debug, Default)]
struct Said {
    /// All text, for the places of citations.
    text: String,
    calls: Vec<Call>,
    citations: Vec<Citation>,
    finish: Option<(Finish, String)>,
}

#[derive(Clone, Debug)]
struct Call {
    call: usize,
    id: String,
    name: String,
    custom: bool,
    seal: Option<Seal>,
    arguments: String,
    complete: bool,
    written: bool,
}

impl Said {
    /// The parts that an event makes ready.
    fn read(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::Text(text) | Event::Refusal(text) if text.is_empty() => Vec::new(),
            Event::Text(text) | Event::Refusal(text) => {
                self.text.push_str(text);
                vec![format!("{{\"text\":{}}}", json::quote(text))]
            }
            Event::Reasoning { text, .. } if text.is_empty() => Vec::new(),
            Event::Reasoning { text, .. } => {
                vec![format!("{{\"text\":{},\"thought\":true}}", json::quote(text))]
            }
            Event::Seal { seal, hidden } => {
                let thought = if *hidden { "" } else { ",\"thought\":true" };
                vec![format!("{{\"text\":\"\"{thought}{}}}", signature(seal))]
            }
            Event::ToolCall { call, id, name, custom, seal } => {
                self.calls.push(Call {
                    call: *call,
                    id: id.clone(),
                    name: name.clone(),
                    custom: *custom,
                    seal: seal.clone(),
                    arguments: String::new(),
                    complete: false,
                    written: false,
                });
                Vec::new()
            }
            Event::Arguments { call, text } => {
                if let Some(call) = self.call(*call) {
                    call.arguments.push_str(text);
                }
                Vec::new()
            }
            Event::ToolCallEnd { call } => {
                if let Some(call) = self.call(*call) {
                    call.complete = true;
                }
                self.next_calls()
            }
            Event::Image { url } => vec![image(url)],
            Event::Citation(citation) => {
                self.citations.push(citation.clone());
                Vec::new()
            }
            Event::Finish { reason, native } => {
                self.finish = Some((*reason, native.clone()));
                Vec::new()
            }
        }
    }

    fn call(&mut self, number: usize) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.call == number && !call.complete)
    }

    /// Complete calls before the first that is not: they are written in the order they opened.
    fn next_calls(&mut self) -> Vec<String> {
        let ready = self.calls.iter_mut().take_while(|call| call.complete);
        ready.filter(|call| !call.written).map(Call::write).collect()
    }

    /// All that are complete at the end. A call that was cut off is none.
    fn complete_calls(&mut self) -> Vec<String> {
        self.calls.iter_mut().filter(|call| call.complete && !call.written).map(Call::write).collect()
    }
}

impl Call {
    fn write(&mut self) -> String {
        self.written = true;
        let mark = self.seal.as_ref().map(signature).unwrap_or_default();
        format!(
            "{{\"functionCall\":{{\"id\":{},\"name\":{},\"args\":{}}}{mark}}}",
            json::quote(&self.id),
            json::quote(&self.name),
            self.arguments()
        )
    }

    /// Arguments are an object here: what is none goes as a text in one.
    fn arguments(&self) -> String {
        let text = self.arguments.trim();
        if self.custom {
            return format!("{{\"input\":{}}}", json::quote(&self.arguments));
        }
        match json::members(text) {
            Ok(_) => text.to_owned(),
            Err(_) if text.is_empty() => "{}".to_owned(),
            Err(_) => format!("{{\"_raw\":{}}}", json::quote(text)),
        }
    }
}

fn signature(mark: &Seal) -> String {
    format!(",\"thoughtSignature\":{}", json::quote(&seal::write(mark)))
}

fn image(url: &str) -> String {
    match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
        Some((media_type, data)) => format!(
            "{{\"inlineData\":{{\"mimeType\":{},\"data\":{}}}}}",
            json::quote(media_type),
            json::quote(data)
        ),
        None => format!("{{\"fileData\":{{\"fileUri\":{}}}}}", json::quote(url)),
    }
}

fn identity_members(identity: &Identity) -> String {
    let (model, generation) = (json::quote(&identity.model), json::quote(&identity.generation));
    format!("\"modelVersion\":{model},\"responseId\":{generation}")
}

/// The members that end the last response: who answered, and OpenRouter's metadata if asked for.
fn closing_members(identity: &Identity, bill: &Bill) -> String {
    let mut text = identity_members(identity);
    text.push_str(&format!(",\"provider\":{}", json::quote(&identity.provider)));
    if let Some(metadata) = &bill.metadata {
        text.push_str(&format!(",\"openrouter_metadata\":{metadata}"));
    }
    text
}

fn last_response(parts: &[String], said: &Said, identity: &Identity, bill: &Bill) -> Vec<u8> {
    let (reason, native) = said.finish.clone().unwrap_or((Finish::Error, String::new()));
    // A content without parts is none to Google's SDKs.
    let parts = if parts.is_empty() { r#"{"text":""}"#.to_owned() } else { parts.join(",") };
    let mut text = format!(
        r#"{{"candidates":[{{"content":{{"role":"model","parts":[{parts}]}},"finishReason":"{}","index":0"#,
        wire::finish_reason(reason, &native),
    );
    if !said.citations.is_empty() {
        text.push_str(&format!(",\"groundingMetadata\":{}", citation::write(&said.citations, &said.text)));
    }
    text.push_str("}],\"usageMetadata\":");
    let mut out = text.into_bytes();
    wire::write_usage(bill, &mut out);
    out.push(b',');
    out.extend_from_slice(closing_members(identity, bill).as_bytes());
    out.push(b'}');
    out
}
