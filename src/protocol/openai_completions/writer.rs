//! Events of a chat as a completion: text, and beside it the reasoning under OpenRouter's name.
//! Tool calls and pictures have no place in a completion; its face lets no one ask for them.

use super::wire;
use crate::chat::{Bill, Event, Facts, Identity};
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
    /// The reason to finish, in OpenRouter's and in the provider's words.
    finish: Option<(&'static str, String)>,
}

/// What an event says in a completion.
enum Said<'a> {
    Text(&'a str),
    Reasoning(&'a str),
    Finish(&'static str, &'a str),
    Nothing,
}

fn said(event: &Event) -> Said<'_> {
    match event {
        Event::Text(text) | Event::Refusal(text) => Said::Text(text),
        Event::Reasoning { text, .. } => Said::Reasoning(text),
        Event::Finish { reason, native } => Said::Finish(reason.reason(), native),
        Event::Seal { .. }
        | Event::ToolCall { .. }
        | Event::Arguments { .. }
        | Event::ToolCallEnd { .. }
        | Event::Image { .. }
        | Event::Citation(_) => Said::Nothing,
    }
}

impl StreamWriter {
    pub fn new(identity: Identity) -> StreamWriter {
        StreamWriter { opening: openai_wire::opening(&identity, wire::OBJECT), finish: None }
    }

    fn write_choice(&self, choice: &str, out: &mut Vec<u8>) {
        let mut chunk = self.opening.clone();
        chunk.extend_from_slice(format!(",\"choices\":[{choice}]}}").as_bytes());
        sse::write_frame(&chunk, out);
    }
}

impl Writer for StreamWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        match said(event) {
            Said::Text("") | Said::Reasoning("") | Said::Nothing => {}
            Said::Text(text) => self.write_choice(&choice(text, None, [None, None]), out),
            Said::Reasoning(text) => self.write_choice(&choice("", Some(text), [None, None]), out),
            Said::Finish(reason, native) => {
                self.write_choice(&choice("", None, [Some(reason), Some(native)]), out);
                self.finish = Some((reason, native.to_owned()));
            }
        }
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        let finish = self.finish.as_ref();
        let (reason, native) = (finish.map(|it| it.0), finish.map(|it| it.1.as_str()));
        openai_wire::write_end(&self.opening, wire::write_choice, reason, native, bill, out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        let native = self.finish.as_ref().map(|it| it.1.as_str());
        openai_wire::write_failed_end(&self.opening, wire::write_choice, native, failure, bill, out);
    }

    fn keep_alive(&self) -> &'static [u8] {
        openai_wire::KEEP_ALIVE
    }

    fn loss(&self, event: &Event) -> Option<&'static str> {
        match event {
            Event::Seal { .. } => Some("reasoning_details: a completion has no signatures"),
            Event::ToolCall { .. } | Event::Arguments { .. } | Event::ToolCallEnd { .. } => {
                Some("tool_calls: a completion has none")
            }
            Event::Image { .. } => Some("images: a completion has none"),
            Event::Citation(_) => Some("annotations: a completion has none"),
            Event::Text(_) | Event::Refusal(_) | Event::Reasoning { .. } | Event::Finish { .. } => None,
        }
    }
}

/// `finish` in OpenRouter's words, then in the provider's.
fn choice(text: &str, reasoning: Option<&str>, finish: [Option<&str>; 2]) -> String {
    let quoted = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), json::quote);
    let reasoning = reasoning.map(|it| format!(",\"reasoning\":{}", json::quote(it))).unwrap_or_default();
    format!(
        r#"{{"text":{}{reasoning},"index":0,"logprobs":null,"finish_reason":{},"native_finish_reason":{}}}"#,
        json::quote(text),
        quoted(finish[0]),
        quoted(finish[1]),
    )
}

/// Writes a whole reply.
pub fn write_whole(events: &[Event], facts: &Facts, identity: &Identity, bill: &Bill) -> Vec<u8> {
    let (mut text, mut reasoning, mut finish) = (String::new(), String::new(), None);
    for event in events {
        match said(event) {
            Said::Text(more) => text.push_str(more),
            Said::Reasoning(more) => reasoning.push_str(more),
            Said::Finish(reason, native) => finish = Some((reason, native)),
            Said::Nothing => {}
        }
    }
    let known = facts.finish_reason.map(|reason| (reason, facts.finish.as_deref().unwrap_or(reason)));
    // A whole reply's `native_finish_reason` is a string to the clients that declare it.
    let finish = match finish.or(known) {
        Some((reason, native)) => [Some(reason), Some(native)],
        None => [None, Some("")],
    };
    let reasoning = (!reasoning.is_empty()).then_some(reasoning.as_str());
    let mut out = openai_wire::opening(identity, wire::OBJECT);
    if let Some(fingerprint) = &facts.system_fingerprint {
        out.extend_from_slice(format!(",\"system_fingerprint\":{}", json::quote(fingerprint)).as_bytes());
    }
    out.extend_from_slice(format!(",\"choices\":[{}]", choice(&text, reasoning, finish)).as_bytes());
    openai_wire::write_closing(bill, &mut out);
    out
}
