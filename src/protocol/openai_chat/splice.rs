//! A stream from a provider to a client of the same protocol: bytes in, bytes out, however they
//! are cut. Each chunk keeps its members' bytes; the gateway's own members are put before them.
//! What the gateway has to know of the stream gathers in [`Facts`].

use super::choice::{Form, Seen, write_member};
use super::wire::{self, Counts};
use crate::chat::{Bill, Facts, Identity, ProviderError as Fault, Quirks};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::sse::{self, Frame, Reader};

/// Rewrites one stream.
#[derive(Clone, Debug)]
pub struct Splice {
    reader: Reader,
    chunks: Chunks,
}

/// All of a splice but the reader that feeds it.
#[derive(Clone, Debug)]
struct Chunks {
    /// The members that open every chunk, from the brace on.
    opening: Vec<u8>,
    quirks: Quirks,
    counts: Counts,
    seen: Seen,
    facts: Facts,
}

/// The greatest frame that is taken: generated pictures come in one.
const FRAME_LIMIT: usize = 16 * 1024 * 1024;

impl Splice {
    pub fn new(identity: Identity, quirks: Quirks) -> Splice {
        let chunks = Chunks {
            opening: wire::opening(&identity, "chat.completion.chunk"),
            quirks,
            counts: Counts::default(),
            seen: Seen::default(),
            facts: Facts::default(),
        };
        Splice { reader: Reader::new(FRAME_LIMIT), chunks }
    }

    /// Reads on, and appends the whole frames for the client that this completes. The provider's
    /// comments, padding, usage and `[DONE]` are not among them.
    pub fn read(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let read = self.reader.read(chunk, |frame| self.chunks.read_frame(frame, out));
        if read.is_err() {
            self.chunks.fail("The provider sent a frame that is too long.", "");
        }
    }

    /// Ends the input: a last frame without its blank line is read, and so is an error that
    /// stands bare behind the frames.
    pub fn end_of_input(&mut self, out: &mut Vec<u8>) {
        let end = self.reader.end(|frame| self.chunks.read_frame(frame, out));
        if end.is_err() {
            self.chunks.fail("The provider sent a frame that is too long.", "");
        }
        let stray = String::from_utf8_lossy(self.reader.stray());
        let stray = stray.trim();
        if let Ok(members) = json::members(wire::first_object(stray)) {
            self.chunks.read_fault(&members, stray);
        }
    }

    pub fn facts(&self) -> &Facts {
        &self.chunks.facts
    }

    /// Appends the chunk that carries usage and cost, and the end of the stream.
    pub fn write_end(&self, bill: &Bill, out: &mut Vec<u8>) {
        let facts = &self.chunks.facts;
        self.write_last(facts.finish_reason, facts.finish.as_deref(), bill, out);
        sse::write_frame(b"[DONE]", out);
    }

    /// Appends the chunk that carries an error, then usage if any was incurred, then the end.
    pub fn write_error(&self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        let native = self.chunks.facts.finish.as_deref().unwrap_or("error");
        let mut chunk = self.chunks.opening.clone();
        chunk.extend_from_slice(format!(",\"error\":{}", wire::error_object(failure)).as_bytes());
        write_closing_choice(Some("error"), Some(native), &mut chunk);
        chunk.push(b'}');
        sse::write_frame(&chunk, out);
        if let Some(bill) = bill {
            self.write_last(Some("error"), Some(native), bill, out);
        }
        sse::write_frame(b"[DONE]", out);
    }

    /// The reason to finish is repeated beside the usage, as OpenRouter does.
    fn write_last(&self, finish: Option<&str>, native: Option<&str>, bill: &Bill, out: &mut Vec<u8>) {
        let mut chunk = self.chunks.opening.clone();
        write_closing_choice(finish, native, &mut chunk);
        chunk.extend_from_slice(b",\"usage\":");
        wire::write_usage(bill, &mut chunk);
        wire::write_metadata(bill, &mut chunk);
        chunk.push(b'}');
        sse::write_frame(&chunk, out);
    }
}

impl Chunks {
    fn read_frame(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        if self.facts.fault.is_some() || self.facts.done {
            return;
        }
        let text = String::from_utf8_lossy(frame.data);
        let text = text.trim();
        if text == "[DONE]" {
            self.facts.done = true;
            return;
        }
        // A line break within JSON stands between tokens, where a blank does as well.
        let joined = text.contains('\n').then(|| text.replace('\n', " "));
        let text = joined.as_deref().unwrap_or(text);
        match json::members(wire::first_object(text)) {
            Ok(members) => self.read_chunk(&members, frame.event, text, out),
            Err(_) if frame.event == b"error" => self.fail(text, text),
            Err(_) if text.starts_with(['{', '[']) => {
                self.fail("The provider sent a frame that is not valid JSON.", text);
            }
            // Words between the frames (`ping`) are nobody's answer.
            Err(_) => {}
        }
    }

    fn read_chunk(&mut self, chunk: &Members<'_>, event: &[u8], text: &str, out: &mut Vec<u8>) {
        if self.read_fault(chunk, text) {
            return;
        }
        if event == b"error" {
            self.fail("The provider reported an error.", text);
            return;
        }
        self.read_facts(chunk);
        let choices = chunk.array("choices").unwrap_or_default();
        // Usage alone, or Azure's verdict on the prompt: nothing for the client.
        if choices.is_empty() {
            return;
        }
        if let Some(fault) = choices.iter().find_map(|choice| choice_fault(choice, text)) {
            self.facts.fault = Some(fault);
            return;
        }
        let mut data = self.opening.clone();
        write_others(chunk, &mut data);
        data.extend_from_slice(b",\"choices\":");
        self.seen.write_choices(&choices, Form::Part, &mut data);
        data.push(b'}');
        sse::write_frame(&data, out);
        self.facts.began |= self.seen.output || self.seen.finish.is_some();
        self.facts.output_bytes = self.seen.bytes;
        self.facts.finish_reason = self.seen.finish_reason();
        self.facts.finish.clone_from(&self.seen.finish);
    }

    /// Takes note of what the chunk says besides its choices.
    fn read_facts(&mut self, chunk: &Members<'_>) {
        if self.facts.upstream_id.is_none() {
            self.facts.upstream_id = own_string(chunk, "id");
        }
        if self.facts.system_fingerprint.is_none() {
            self.facts.system_fingerprint = own_string(chunk, "system_fingerprint");
        }
        if self.facts.service_tier.is_none() {
            self.facts.service_tier = own_string(chunk, "service_tier");
        }
        let groq = chunk.object("x_groq");
        let usages = [groq.as_ref().and_then(|groq| groq.value("usage")), chunk.value("usage")];
        for usage in usages.into_iter().flatten() {
            self.counts.read(usage);
            self.facts.usage = self.counts.usage(&self.quirks);
            self.facts.cost = self.counts.cost(&self.quirks);
        }
    }

    /// Takes note of the error that the object reports, if it reports one.
    fn read_fault(&mut self, members: &Members<'_>, text: &str) -> bool {
        let groq = members.object("x_groq").filter(|groq| groq.value("error").is_some());
        let fault = wire::fault_in(groq.as_ref().unwrap_or(members), text);
        let found = fault.is_some();
        if self.facts.fault.is_none() {
            self.facts.fault = fault;
        }
        found
    }

    fn fail(&mut self, message: &str, raw: &str) {
        let fault = Fault { message: message.to_owned(), ..wire::read_error(raw.as_bytes()) };
        self.facts.fault.get_or_insert(fault);
    }
}

/// The error of one choice: its own `error`, or a reason to finish that is one.
fn choice_fault(choice: &str, text: &str) -> Option<Fault> {
    let choice = json::members(choice).ok()?;
    if choice.value("error").is_some() {
        return wire::fault_in(&choice, text);
    }
    let finish = choice.string("finish_reason")?;
    let message = format!("The provider ended the reply with `{finish}`.");
    let failed = wire::finish_reason(&finish) == "error";
    failed.then(|| Fault { message, code: Some(finish.into_owned()), ..wire::read_error(text.as_bytes()) })
}

fn own_string(chunk: &Members<'_>, key: &str) -> Option<String> {
    chunk.string(key).filter(|text| !text.is_empty()).map(|text| text.into_owned())
}

/// Writes the chunk's members that neither the opening nor the gateway replaces.
fn write_others(chunk: &Members<'_>, out: &mut Vec<u8>) {
    for member in chunk.iter() {
        match member.key.as_ref() {
            "id" | "object" | "created" | "model" | "provider" | "choices" => {}
            // Billed by the gateway, in its last chunk.
            "usage" | "x_groq" | "openrouter_metadata" => {}
            // Padding against traffic analysis: OpenAI's and Mistral's.
            "obfuscation" | "p" => {}
            "system_fingerprint" if !member.value.starts_with('"') => {}
            "error" => {}
            _ => write_member(member.text, out),
        }
    }
}

fn write_closing_choice(finish: Option<&str>, native: Option<&str>, out: &mut Vec<u8>) {
    let quoted = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), json::quote);
    let choice = format!(
        concat!(
            r#","choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"#,
            r#""finish_reason":{},"native_finish_reason":{}}}]"#,
        ),
        quoted(finish),
        quoted(native),
    );
    out.extend_from_slice(choice.as_bytes());
}
