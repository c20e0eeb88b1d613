//! Reads a reply of Ollama. A whole reply is a stream of one line.

use super::wire;
use crate::chat::conversation::ReasoningKind;
use crate::chat::{Event, Facts, ProviderError, Quirks, ReplyFault};
use crate::json::{self, Members};
use crate::protocol::fault;
use crate::protocol::lane::{Reader, Renamed, Teller, WholeReply};

/// Reads one stream of lines.
#[derive(Clone, Debug, Default)]
pub struct StreamReader {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    reply: Reply,
}

/// What the lines make.
#[derive(Clone, Debug, Default)]
struct Reply {
    teller: Teller,
    calls: usize,
}

const LINE_LIMIT: usize = 16 * 1024 * 1024;

impl StreamReader {
    /// `names` are those of the written request.
    pub fn new(_quirks: Quirks, names: Vec<Renamed>) -> StreamReader {
        let reply = Reply { teller: Teller::new(names), calls: 0 };
        StreamReader { line: Vec::new(), reply }
    }
}

impl Reader for StreamReader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.hold(&rest[..end]);
            rest = &rest[end + 1..];
            self.reply.read_line(&self.line, events);
            self.line.clear();
        }
        self.hold(rest);
    }

    fn end_of_input(&mut self, events: &mut Vec<Event>) {
        let line = std::mem::take(&mut self.line);
        // A line that breaks off is no JSON, and no answer either.
        if json::members(&crate::bytes::text(&line)).is_ok() {
            self.reply.read_line(&line, events);
        }
    }

    fn facts(&self) -> &Facts {
        &self.reply.teller.facts
    }
}

impl StreamReader {
    fn hold(&mut self, part: &[u8]) {
        let is_over = self.reply.is_over();
        if !is_over && self.line.len() + part.len() > LINE_LIMIT {
            self.reply.fail_with("The provider sent a line that is too long.", "");
        }
        if !is_over {
            self.line.extend_from_slice(part);
        }
    }
}

/// Reads a body that came with status 200. `names` are those of the written request.
pub fn read_whole(body: &[u8], _quirks: &Quirks, names: &[Renamed]) -> Result<WholeReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let line = json::members(&text).map_err(|error| ReplyFault::NotJson(error.to_string()))?;
    let (mut reply, mut events) = (Reply { teller: Teller::new(names.to_vec()), calls: 0 }, Vec::new());
    reply.read(&line, text.trim(), &mut events);
    let facts = reply.teller.facts;
    match facts.reply_fault() {
        Some(fault) => Err(fault),
        None if facts.done => Ok(WholeReply { events, facts }),
        None => Err(ReplyFault::Empty),
    }
}

impl Reply {
    fn is_over(&self) -> bool {
        self.teller.facts.done || self.teller.facts.fault.is_some()
    }

    fn read_line(&mut self, line: &[u8], events: &mut Vec<Event>) {
        let text = crate::bytes::text(line);
        let text = text.trim();
        if self.is_over() || text.is_empty() {
            return;
        }
        match json::members(text) {
            Ok(line) => self.read(&line, text, events),
            Err(_) => self.fail_with("The provider sent a line that is not a JSON object.", text),
        }
    }

    fn read(&mut self, line: &Members<'_>, text: &str, events: &mut Vec<Event>) {
        if line.value("error").is_some() {
            self.fail(wire::read_error(text.as_bytes()));
            return;
        }
        if line.value("logprobs").is_some() {
            self.teller.facts.lose("logprobs: no other protocol's");
        }
        if let Some(message) = line.object("message") {
            let created = line.string("created_at").unwrap_or_default();
            self.read_message(&message, &created, events);
        }
        if line.get("done").and_then(json::boolean) == Some(true) {
            let native = line.string("done_reason").unwrap_or_default().into_owned();
            let reason = wire::finish(&native);
            self.teller.tell(Event::Finish { reason, native }, events);
            self.teller.facts.usage = wire::usage(line);
            self.teller.facts.done = self.teller.facts.fault.is_none();
        }
    }

    fn read_message(&mut self, message: &Members<'_>, created: &str, events: &mut Vec<Event>) {
        if let Some(text) = message.string("thinking") {
            let text = text.into_owned();
            self.teller.tell(Event::Reasoning { text, kind: ReasoningKind::Full }, events);
        }
        if let Some(text) = message.string("content") {
            self.teller.tell(Event::Text(text.into_owned()), events);
        }
        for tool in message.array("tool_calls").unwrap_or_default() {
            if let Ok(tool) = json::members(tool) {
                self.read_call(&tool, created, events);
            }
        }
    }

    fn read_call(&mut self, tool: &Members<'_>, created: &str, events: &mut Vec<Event>) {
        let Some(function) = tool.object("function") else { return };
        let own = tool.string("id").filter(|id| !id.is_empty()).map(|id| id.into_owned());
        // Older servers give no id. The moment tells calls of different replies apart.
        let moment: String = created.chars().filter(char::is_ascii_alphanumeric).take(30).collect();
        let id = own.unwrap_or_else(|| format!("call_{moment}_{}", self.calls));
        self.calls += 1;
        let call = self.teller.open_call(id, &function.string("name").unwrap_or_default(), events);
        self.teller.arguments(call, function.value("arguments").unwrap_or("{}"), events);
        self.teller.end_call(call, events);
    }

    fn fail(&mut self, fault: ProviderError) {
        self.teller.facts.fault.get_or_insert(fault);
    }

    fn fail_with(&mut self, message: &str, raw: &str) {
        let raw = fault::cut(raw).to_owned();
        self.fail(ProviderError { message: message.to_owned(), raw, ..ProviderError::default() });
    }
}
