//! Events as a stream for a client, one chunk for each. Calls of tools may interleave here, so
//! nothing is held back.

use super::closing;
use super::details::DetailWriter;
use super::whole::{write_citation, write_image};
use crate::chat::{Bill, Event, Identity};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::Writer;
use crate::protocol::openai_wire;
use crate::sse;

/// Writes one stream.
#[derive(Clone, Debug)]
pub struct StreamWriter {
    /// The members that open every chunk, from the brace on.
    opening: Vec<u8>,
    details: DetailWriter,
    calls: Vec<Call>,
    images: usize,
    finish: Option<(&'static str, String)>,
}

/// What has to be known of a call that was opened.
#[derive(Clone, Debug)]
struct Call {
    number: usize,
    custom: bool,
    empty: bool,
}

impl StreamWriter {
    pub fn new(identity: Identity) -> StreamWriter {
        StreamWriter {
            opening: openai_wire::opening(&identity, closing::OBJECT),
            details: DetailWriter::default(),
            calls: Vec::new(),
            images: 0,
            finish: None,
        }
    }

    /// The members of the delta that says the event, behind the role; `None` where there is
    /// nothing to say.
    fn delta(&mut self, event: &Event) -> Option<String> {
        match event {
            Event::Reasoning { .. } => {}
            Event::Seal { .. } => {}
            Event::Text(_)
            | Event::ToolCall { .. }
            | Event::Arguments { .. }
            | Event::ToolCallEnd { .. }
            | Event::Refusal(_)
            | Event::Image { .. }
            | Event::Citation(_)
            | Event::Finish { .. } => self.details.close(),
        }
        match event {
            Event::Text(text) => Some(["\"content\":", &json::quote(text)].concat()),
            Event::Reasoning { text, kind } => {
                let detail = self.details.text(text, *kind);
                let text = json::quote(text);
                Some(
                    ["\"content\":\"\",\"reasoning\":", &text, ",\"reasoning_details\":[", &detail, "]"]
                        .concat(),
                )
            }
            Event::Seal { seal, hidden } => {
                let detail = self.details.seal(seal, *hidden);
                Some(format!("\"content\":\"\",\"reasoning_details\":[{detail}]"))
            }
            Event::ToolCall { call, id, name, custom, seal } => {
                self.calls.push(Call { number: *call, custom: *custom, empty: true });
                let seal = seal.as_ref().map(|seal| self.details.call_seal(seal, id));
                let details = seal.map(|detail| format!(",\"reasoning_details\":[{detail}]"));
                let opening = open_call(self.calls.len() - 1, id, name, *custom);
                Some(format!("\"content\":null,\"tool_calls\":[{opening}]{}", details.unwrap_or_default()))
            }
            Event::Arguments { call, text } => self.arguments(*call, text),
            Event::ToolCallEnd { call } => {
                let known = self.calls.iter().find(|other| other.number == *call)?;
                // No arguments at all are no JSON.
                if known.empty && !known.custom { self.arguments(*call, "{}") } else { None }
            }
            Event::Refusal(text) => Some(format!("\"content\":null,\"refusal\":{}", json::quote(text))),
            Event::Image { url } => {
                let image = write_image(url);
                let index = self.images;
                self.images += 1;
                let image = format!("{},\"index\":{index}}}", image.strip_suffix('}').unwrap_or(&image));
                Some(format!("\"content\":\"\",\"images\":[{image}]"))
            }
            Event::Citation(citation) => {
                Some(format!("\"content\":\"\",\"annotations\":[{}]", write_citation(citation)))
            }
            Event::Finish { .. } => None,
        }
    }

    fn arguments(&mut self, number: usize, text: &str) -> Option<String> {
        let index = self.calls.iter().position(|call| call.number == number)?;
        let call = &mut self.calls[index];
        call.empty &= text.is_empty();
        let text = json::quote(text);
        let input = match call.custom {
            true => format!("\"custom\":{{\"input\":{text}}}"),
            false => format!("\"function\":{{\"arguments\":{text}}}"),
        };
        Some(format!("\"content\":null,\"tool_calls\":[{{\"index\":{index},{input}}}]"))
    }

    fn native(&self) -> Option<&str> {
        self.finish.as_ref().map(|(_, native)| native.as_str())
    }
}

fn open_call(index: usize, id: &str, name: &str, custom: bool) -> String {
    let (id, name) = (json::quote(id), json::quote(name));
    match custom {
        true => format!(
            "{{\"index\":{index},\"id\":{id},\"type\":\"custom\",\"custom\":{{\"name\":{name},\"input\":\"\"}}}}"
        ),
        false => format!(
            "{{\"index\":{index},\"id\":{id},\"type\":\"function\",\
             \"function\":{{\"name\":{name},\"arguments\":\"\"}}}}"
        ),
    }
}

impl Writer for StreamWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        let mut chunk = self.opening.clone();
        if let Some(delta) = self.delta(event) {
            chunk.extend_from_slice(b",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",");
            chunk.extend_from_slice(delta.as_bytes());
            chunk.extend_from_slice(b"},\"finish_reason\":null,\"native_finish_reason\":null}]");
        } else if let Event::Finish { reason, native } = event {
            closing::write_choice(Some(reason.reason()), Some(native), &mut chunk);
            self.finish = Some((reason.reason(), native.clone()));
        } else {
            return;
        }
        chunk.push(b'}');
        sse::write_frame(&chunk, out);
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        let reason = self.finish.as_ref().map(|(reason, _)| *reason);
        openai_wire::write_end(&self.opening, closing::write_choice, reason, self.native(), bill, out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        openai_wire::write_failed_end(
            &self.opening,
            closing::write_choice,
            self.native(),
            failure,
            bill,
            out,
        );
    }

    fn keep_alive(&self) -> &'static [u8] {
        openai_wire::KEEP_ALIVE
    }
}
