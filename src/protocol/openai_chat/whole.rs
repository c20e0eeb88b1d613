//! Whole replies by way of events: read from a provider for clients of another protocol, and
//! written for a client whoever made them.

use super::choice::Form;
use super::details::DetailWriter;
use super::events::Choices;
use super::reply::read_reply;
use crate::chat::conversation::{ReasoningKind, Seal};
use crate::chat::{Bill, Citation, Event, Facts, Identity, Quirks, ReplyFault};
use crate::json;
use crate::protocol::fault;
use crate::protocol::lane::{Renamed, WholeReply};
use crate::protocol::openai_wire;

/// Reads a body that came with status 200.
pub fn read_whole(body: &[u8], quirks: &Quirks, names: &[Renamed]) -> Result<WholeReply, ReplyFault> {
    let mut facts = read_reply(body, quirks)?.facts;
    let text = crate::bytes::text(body);
    let reply = json::members(fault::first_object(&text)).map_err(|e| ReplyFault::NotJson(e.to_string()))?;
    let choices = reply.array("choices").unwrap_or_default();
    let (mut told, mut events) = (Facts::default(), Vec::new());
    Choices::new(names.to_vec()).read(&reply, &choices, Form::Whole, &mut told, &mut events);
    facts.losses = std::mem::take(&mut told.losses);
    told.reply_fault().map_or(Ok(WholeReply { events, facts }), Err)
}

/// Writes a whole reply.
pub fn write_whole(events: &[Event], facts: &Facts, identity: &Identity, bill: &Bill) -> Vec<u8> {
    let mut message = Message::default();
    events.iter().for_each(|event| message.take(event));
    let mut out = openai_wire::opening(identity, "chat.completion");
    let fingerprint = facts.system_fingerprint.as_deref().map_or("null".to_owned(), json::quote);
    out.extend_from_slice(format!(",\"system_fingerprint\":{fingerprint}").as_bytes());
    if let Some(tier) = &facts.service_tier {
        out.extend_from_slice(format!(",\"service_tier\":{}", json::quote(tier)).as_bytes());
    }
    out.extend_from_slice(b",\"choices\":[");
    message.write(&mut out);
    out.push(b']');
    openai_wire::write_closing(bill, &mut out);
    out
}

/// What the events of a reply add up to.
#[derive(Debug, Default)]
struct Message {
    text: String,
    reasoning: String,
    thoughts: Vec<Thought>,
    refusal: String,
    calls: Vec<Call>,
    images: Vec<String>,
    annotations: Vec<String>,
    finish: Option<(&'static str, String)>,
}

/// A piece of reasoning with nothing else in between.
#[derive(Debug)]
enum Thought {
    Text { text: String, kind: ReasoningKind, open: bool },
    Seal { seal: Seal, hidden: bool },
    OfCall { seal: Seal, call: String },
}

#[derive(Debug)]
struct Call {
    number: usize,
    id: String,
    name: String,
    custom: bool,
    arguments: String,
}

impl Message {
    fn take(&mut self, event: &Event) {
        if !matches!(event, Event::Reasoning { .. })
            && let Some(Thought::Text { open, .. }) = self.thoughts.last_mut()
        {
            *open = false;
        }
        match event {
            Event::Text(text) => self.text.push_str(text),
            Event::Reasoning { text, kind } => self.take_reasoning(text, *kind),
            Event::Seal { seal, hidden } => {
                self.thoughts.push(Thought::Seal { seal: seal.clone(), hidden: *hidden });
            }
            Event::ToolCall { call, id, name, custom, seal } => {
                if let Some(seal) = seal {
                    self.thoughts.push(Thought::OfCall { seal: seal.clone(), call: id.clone() });
                }
                let (id, name, arguments) = (id.clone(), name.clone(), String::new());
                self.calls.push(Call { number: *call, id, name, custom: *custom, arguments });
            }
            Event::Arguments { call, text } => {
                if let Some(call) = self.calls.iter_mut().find(|other| other.number == *call) {
                    call.arguments.push_str(text);
                }
            }
            Event::ToolCallEnd { call } => {
                if let Some(call) = self.calls.iter_mut().find(|other| other.number == *call)
                    && call.arguments.is_empty()
                    && !call.custom
                {
                    call.arguments.push_str("{}");
                }
            }
            Event::Refusal(text) => self.refusal.push_str(text),
            Event::Image { url } => self.images.push(write_image(url)),
            Event::Citation(citation) => self.annotations.push(write_citation(citation)),
            Event::Finish { reason, native } => self.finish = Some((reason.reason(), native.clone())),
        }
    }

    fn take_reasoning(&mut self, more: &str, more_kind: ReasoningKind) {
        self.reasoning.push_str(more);
        match self.thoughts.last_mut() {
            Some(Thought::Text { text, kind, open: true }) if *kind == more_kind => text.push_str(more),
            Some(_) | None => {
                self.thoughts.push(Thought::Text { text: more.to_owned(), kind: more_kind, open: true });
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let text = |text: &str| if text.is_empty() { "null".to_owned() } else { json::quote(text) };
        let (content, reasoning, refusal) = (text(&self.text), text(&self.reasoning), text(&self.refusal));
        let mut choice = format!(
            "{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":{content},\
             \"reasoning\":{reasoning},\"refusal\":{refusal}",
        );
        let calls = self.calls.iter().map(Call::write).collect();
        let lists = [
            ("reasoning_details", self.details()),
            ("tool_calls", calls),
            ("images", self.images.clone()),
            ("annotations", self.annotations.clone()),
        ];
        for (name, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
            choice.push_str(&format!(",\"{name}\":[{}]", list.join(",")));
        }
        let (reason, native) = match &self.finish {
            Some((reason, native)) => (format!("\"{reason}\""), native.as_str()),
            None => ("null".to_owned(), ""),
        };
        let native = json::quote(native);
        choice.push_str(&format!("}},\"finish_reason\":{reason},\"native_finish_reason\":{native},"));
        choice.push_str("\"logprobs\":null}");
        out.extend_from_slice(choice.as_bytes());
    }

    fn details(&self) -> Vec<String> {
        let mut writer = DetailWriter::default();
        let mut details = Vec::new();
        let mut thoughts = self.thoughts.iter().peekable();
        while let Some(thought) = thoughts.next() {
            details.push(match thought {
                Thought::Text { text, kind, .. } => {
                    let seal = thoughts.next_if(|next| {
                        matches!(next, Thought::Seal { seal, hidden: false }
                        if *kind == ReasoningKind::Full && DetailWriter::signs(seal, false))
                    });
                    writer.close();
                    match seal {
                        Some(Thought::Seal { seal, .. }) => writer.signed(text, seal),
                        Some(Thought::Text { .. } | Thought::OfCall { .. }) | None => {
                            writer.text(text, *kind)
                        }
                    }
                }
                Thought::Seal { seal, hidden } => {
                    writer.close();
                    writer.seal(seal, *hidden)
                }
                Thought::OfCall { seal, call } => writer.call_seal(seal, call),
            });
        }
        details
    }
}

impl Call {
    fn write(&self) -> String {
        let (id, name) = (json::quote(&self.id), json::quote(&self.name));
        let arguments = json::quote(&self.arguments);
        if self.custom {
            let custom = format!("{{\"name\":{name},\"input\":{arguments}}}");
            return format!("{{\"id\":{id},\"type\":\"custom\",\"custom\":{custom}}}");
        }
        let function = format!("{{\"name\":{name},\"arguments\":{arguments}}}");
        format!("{{\"id\":{id},\"type\":\"function\",\"function\":{function}}}")
    }
}

pub(super) fn write_image(url: &str) -> String {
    format!("{{\"type\":\"image_url\",\"image_url\":{{\"url\":{}}}}}", json::quote(url))
}

pub(super) fn write_citation(citation: &Citation) -> String {
    let mut out =
        format!("{{\"type\":\"url_citation\",\"url_citation\":{{\"url\":{}", json::quote(&citation.url));
    // Clients declare the title as required.
    let title = citation.title.as_deref().unwrap_or(&citation.url);
    out.push_str(&format!(",\"title\":{}", json::quote(title)));
    if let Some(content) = &citation.content {
        out.push_str(&format!(",\"content\":{}", json::quote(content)));
    }
    let (start, end) = (citation.start.unwrap_or(0), citation.end.unwrap_or(0));
    out.push_str(&format!(",\"start_index\":{start},\"end_index\":{end}}}}}"));
    out
}
