//! A stream from a provider of completions to a client of them: bytes in, bytes out, however they
//! are cut. Choices keep their members' bytes; the gateway's own members are put before them.

use super::wire::{self, Counts};
use crate::chat::{Bill, Facts, Identity, ProviderError, Quirks, WITHOUT_A_REASON};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::protocol::fault;
use crate::protocol::lane::{self, Lane};
use crate::protocol::openai_wire::{self, Data};
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

/// What was seen in the choices of a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Text or reasoning came.
    pub output: bool,
    /// Bytes of text and reasoning, unescaped.
    pub bytes: u64,
    /// The last reason to finish, in the provider's words.
    pub finish: Option<String>,
    /// The choices that have begun and not finished.
    open: Vec<u64>,
    /// Those that have finished.
    finished: Vec<u64>,
}

/// The greatest frame that is taken.
const FRAME_LIMIT: usize = 4 * 1024 * 1024;
const TOO_LONG: &str = "The provider sent a frame that is too long.";

impl Splice {
    pub fn new(identity: Identity, quirks: Quirks) -> Splice {
        let chunks = Chunks {
            opening: openai_wire::opening(&identity, wire::OBJECT),
            quirks,
            counts: Counts::default(),
            seen: Seen::default(),
            facts: Facts::default(),
        };
        Splice { reader: Reader::new(FRAME_LIMIT), chunks }
    }
}

impl Lane for Splice {
    /// The provider's comments, padding, usage and `[DONE]` do not come through.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let read = self.reader.read(bytes, |frame| self.chunks.read_frame(frame, out));
        if read.is_err() {
            self.chunks.fail(TOO_LONG, "");
        }
    }

    /// A last frame without its blank line is read, and so is an error that stands bare behind the
    /// frames.
    fn end_of_input(&mut self, out: &mut Vec<u8>) {
        if lane::end_of_json(&mut self.reader, |frame| self.chunks.read_frame(frame, out)).is_err() {
            self.chunks.fail(TOO_LONG, "");
        }
        let stray = crate::bytes::text(self.reader.stray());
        let stray = stray.trim();
        if let Ok(members) = json::members(fault::first_object(stray)) {
            self.chunks.read_fault(&members, stray);
        }
    }

    fn facts(&self) -> &Facts {
        &self.chunks.facts
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        let facts = &self.chunks.facts;
        openai_wire::write_end(
            &self.chunks.opening,
            wire::write_choice,
            facts.finish_reason,
            facts.finish.as_deref(),
            bill,
            out,
        );
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        openai_wire::write_failed_end(
            &self.chunks.opening,
            wire::write_choice,
            self.chunks.facts.finish.as_deref(),
            failure,
            bill,
            out,
        );
    }

    fn keep_alive(&self) -> &'static [u8] {
        openai_wire::KEEP_ALIVE
    }
}

impl Chunks {
    fn read_frame(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) {
        if self.facts.fault.is_some() || self.facts.done {
            return;
        }
        openai_wire::read_frame(&frame, |text, data| match data {
            Data::Done => self.end(),
            Data::Object(members) => self.read_chunk(&members, frame.event, text, out),
            Data::Broken(message) => self.fail(message, text),
        });
    }

    /// `[DONE]` is an end where a reason to finish came before it, or where the provider never
    /// gives one.
    fn end(&mut self) {
        self.facts.done = true;
        match (&self.facts.finish, self.facts.began, self.quirks.silent_finish) {
            (Some(_), ..) | (None, false, _) => {}
            (None, true, true) => {
                self.facts.finish = Some("stop".to_owned());
                self.facts.finish_reason = Some("stop");
            }
            (None, true, false) => self.facts.cut_short(WITHOUT_A_REASON),
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
        if let Some(fault) =
            choices.iter().find_map(|choice| openai_wire::choice_fault(choice, text, wire::finish_reason))
        {
            self.facts.fault = Some(fault);
            return;
        }
        // Usage alone is nothing for the client.
        if choices.is_empty() {
            return;
        }
        let mut data = self.opening.clone();
        write_others(chunk, &mut data);
        data.extend_from_slice(b",\"choices\":");
        self.seen.write_choices(&choices, Absent::Null, &mut data);
        data.push(b'}');
        sse::write_frame(&data, out);
        self.facts.began |= self.seen.output || self.seen.finish.is_some();
        self.facts.output_bytes = self.seen.bytes;
        let finish = self.seen.finish.clone().filter(|_| self.seen.open.is_empty());
        self.facts.finish_reason = finish.as_deref().map(wire::finish_reason);
        self.facts.finish = finish;
    }

    /// Takes note of what the chunk says besides its choices.
    fn read_facts(&mut self, chunk: &Members<'_>) {
        let own = |key: &str| chunk.string(key).filter(|it| !it.is_empty()).map(|it| it.into_owned());
        let facts = &mut self.facts;
        facts.upstream_id = facts.upstream_id.take().or_else(|| own("id"));
        facts.system_fingerprint = facts.system_fingerprint.take().or_else(|| own("system_fingerprint"));
        facts.service_tier = facts.service_tier.take().or_else(|| own("service_tier"));
        if let Some(usage) = chunk.value("usage") {
            self.counts.read(usage, &self.quirks);
            facts.usage = self.counts.usage(&self.quirks);
            facts.cost = self.counts.cost();
        }
    }

    /// Takes note of the error that the object reports, if it reports one.
    fn read_fault(&mut self, members: &Members<'_>, text: &str) -> bool {
        let fault = openai_wire::fault_in(members, text);
        let found = fault.is_some();
        if self.facts.fault.is_none() {
            self.facts.fault = fault;
        }
        found
    }

    fn fail(&mut self, message: &str, raw: &str) {
        let fault = ProviderError { message: message.to_owned(), ..openai_wire::read_error(raw.as_bytes()) };
        self.facts.fault.get_or_insert(fault);
    }
}

/// Writes the members that neither the opening nor the gateway replaces.
pub(super) fn write_others(reply: &Members<'_>, out: &mut Vec<u8>) {
    for member in reply.iter() {
        match member.key.as_ref() {
            "id" | "object" | "created" | "model" | "provider" | "choices" => {}
            // Billed by the gateway, in its last chunk.
            "usage" | "openrouter_metadata" | "error" => {}
            // Padding against traffic analysis.
            "obfuscation" | "p" => {}
            "system_fingerprint" if !member.value.starts_with('"') => {}
            _ => write_member(member.text, out),
        }
    }
}

fn write_member(text: &str, out: &mut Vec<u8>) {
    out.push(b',');
    out.extend_from_slice(text.as_bytes());
}

/// How a choice that has not finished says so: clients of whole replies want a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    Null,
    Empty,
}

/// As many choices as a request may ask for, for each of its prompts.
const MOST_CHOICES: usize = 4096;

impl Seen {
    /// Appends the client's form of the choices that the array `raw` holds.
    pub(super) fn write_choices(&mut self, raw: &[&str], absent: Absent, out: &mut Vec<u8>) {
        out.push(b'[');
        for (position, choice) in raw.iter().enumerate() {
            let Ok(choice) = json::members(choice) else { continue };
            if out.last() != Some(&b'[') {
                out.push(b',');
            }
            self.write_choice(&choice, position as u64, absent, out);
        }
        out.push(b']');
    }

    fn write_choice(&mut self, choice: &Members<'_>, position: u64, absent: Absent, out: &mut Vec<u8>) {
        let text = choice.get("text").filter(|text| text.starts_with('"')).unwrap_or("\"\"");
        self.count(text);
        self.count(choice.get("reasoning").unwrap_or_default());
        let index = choice.get("index").and_then(json::whole).unwrap_or(position);
        self.see(index, choice.string("finish_reason").is_some_and(|finish| !finish.is_empty()));
        let logprobs = choice.get("logprobs").unwrap_or("null");
        out.extend_from_slice(
            format!("{{\"text\":{text},\"index\":{index},\"logprobs\":{logprobs},").as_bytes(),
        );
        self.write_finish(choice, absent, out);
        for member in choice.iter() {
            match member.key.as_ref() {
                "text" | "index" | "logprobs" | "finish_reason" | "native_finish_reason" => {}
                // Together repeats the text as chat would have it.
                "delta" | "message" => {}
                "error" if json::is_null(member.value) => {}
                _ => write_member(member.text, out),
            }
        }
        out.push(b'}');
    }

    /// Takes note of a choice, and whether it finishes.
    fn see(&mut self, index: u64, finishes: bool) {
        if finishes {
            self.open.retain(|open| *open != index);
        }
        let list = if finishes { &mut self.finished } else { &mut self.open };
        if list.len() < MOST_CHOICES && !list.contains(&index) {
            list.push(index);
        }
        self.open.retain(|open| !self.finished.contains(open));
    }

    fn count(&mut self, value: &str) {
        let bytes = json::string(value).map_or(0, |text| text.len() as u64);
        self.bytes = self.bytes.saturating_add(bytes);
        self.output |= bytes > 0;
    }

    fn write_finish(&mut self, choice: &Members<'_>, absent: Absent, out: &mut Vec<u8>) {
        let Some(finish) = choice.string("finish_reason").filter(|finish| !finish.is_empty()) else {
            out.extend_from_slice(match absent {
                Absent::Null => br#""finish_reason":null,"native_finish_reason":null"#,
                Absent::Empty => br#""finish_reason":null,"native_finish_reason":"""#,
            });
            return;
        };
        let native = choice.string("native_finish_reason").unwrap_or_else(|| finish.clone());
        let normal = wire::finish_reason(&finish);
        out.extend_from_slice(format!("\"finish_reason\":\"{normal}\",\"native_finish_reason\":").as_bytes());
        json::write_string(&native, out);
        self.finish = Some(native.into_owned());
    }
}
