//! The frames of a provider's stream as chunks, and what every lane has to know of them: usage,
//! ids, faults, the end. What the choices say is left to who asked.

use super::plain::{self, Plain};
use super::wire::{self, Counts};
use crate::bytes;
use crate::chat::{Facts, ProviderError as Fault, Quirks, Says, WITHIN_A_CALL, WITHOUT_A_REASON};
use crate::json::{self, Form, Members, Words};
use crate::protocol::fault;
use crate::protocol::lane;
use crate::protocol::openai_wire::{self, Data};
use crate::sse::{self, Frame, Reader};

/// The greatest frame that is taken: generated pictures come in one.
const FRAME_LIMIT: usize = 16 * 1024 * 1024;
const TOO_LONG: &str = "The provider sent a frame that is too long.";

/// Reads frames, however they are cut.
#[derive(Clone, Debug)]
pub(super) struct Intake {
    reader: Reader,
    chunks: Chunks,
}

#[derive(Clone, Debug)]
struct Chunks {
    quirks: Quirks,
    counts: Counts,
    facts: Facts,
    /// The form of the last chunk, if it was plain, and what chunks of that form say.
    form: Form,
    says: Says,
}

/// One chunk with choices in it.
pub(super) struct Chunk<'a> {
    pub members: &'a Members<'a>,
    /// The JSON texts of the choices, at least one.
    pub choices: &'a [&'a str],
}

/// Who asked for the chunks.
pub(super) trait Taker {
    /// Takes a plain chunk, if there is no need to look closer.
    fn take_plain(&mut self, chunk: &Plain<'_>, facts: &mut Facts) -> bool;
    /// Takes a chunk that is as the last plain one was but for its words; there was none between.
    fn take_alike(&mut self, says: Says, words: &Words<'_>, facts: &mut Facts);
    fn take(&mut self, chunk: &Chunk<'_>, facts: &mut Facts);
}

impl Intake {
    pub(super) fn new(quirks: Quirks) -> Intake {
        let chunks = Chunks {
            quirks,
            counts: Counts::default(),
            facts: Facts::default(),
            form: Form::default(),
            says: Says::default(),
        };
        Intake { reader: Reader::new(FRAME_LIMIT), chunks }
    }

    /// Reads on, and gives every chunk that has choices.
    pub(super) fn read(&mut self, bytes: &[u8], taker: &mut impl Taker) {
        let mut rest = bytes;
        loop {
            // What is alike says itself where it ends: nothing looks for that first.
            while self.reader.is_between_frames()
                && let Some(behind) = self.chunks.skim(rest, taker)
            {
                rest = behind;
            }
            if rest.is_empty() {
                return;
            }
            let at_once = if self.chunks.form.is_empty() { rest.len() } else { sse::up_to_blank_line(rest) };
            let (part, behind) = rest.split_at(at_once);
            let read = self.reader.read(part, |frame| self.chunks.read_frame(frame, taker));
            if read.is_err() {
                return self.chunks.fail(TOO_LONG, "");
            }
            rest = behind;
        }
    }

    /// Ends the input: a last frame without its blank line is read, and so is an error that
    /// stands bare behind the frames.
    pub(super) fn end(&mut self, taker: &mut impl Taker) {
        let end = lane::end_of_json(&mut self.reader, |frame| self.chunks.read_frame(frame, taker));
        if end.is_err() {
            self.chunks.fail(TOO_LONG, "");
        }
        let stray = crate::bytes::text(self.reader.stray());
        let stray = stray.trim();
        if let Ok(members) = json::members(fault::first_object(stray)) {
            self.chunks.read_fault(&members, stray);
        }
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.chunks.facts
    }

    pub(super) fn facts_mut(&mut self) -> &mut Facts {
        &mut self.chunks.facts
    }

    /// The provider's `[DONE]` came after output, and no reason to finish before it.
    pub(super) fn ends_unsaid(&self) -> bool {
        let facts = &self.chunks.facts;
        facts.done && facts.began && facts.fault.is_none() && facts.finish.is_none()
    }

    /// Takes such an end for `reason`, if the provider is known to give none.
    pub(super) fn take_silence(&mut self, half: bool, reason: &'static str) {
        let facts = &mut self.chunks.facts;
        match self.chunks.quirks.silent_finish {
            true if half => facts.cut_short(WITHIN_A_CALL),
            true => (facts.finish, facts.finish_reason) = (Some(reason.to_owned()), Some(reason)),
            false => facts.cut_short(WITHOUT_A_REASON),
        }
    }
}

impl Chunks {
    /// What is behind a frame that is as the last plain one was, which is taken.
    fn skim<'a>(&mut self, bytes: &'a [u8], taker: &mut impl Taker) -> Option<&'a [u8]> {
        if self.facts.fault.is_some() || self.facts.done {
            return None;
        }
        let (words, behind) = self.form.open(bytes.strip_prefix(b"data: ")?)?;
        let behind = behind.strip_prefix(b"\n\n")?;
        taker.take_alike(self.says, &words, &mut self.facts);
        Some(behind)
    }

    fn read_frame(&mut self, frame: Frame<'_>, taker: &mut impl Taker) {
        if self.facts.fault.is_some() || self.facts.done {
            return;
        }
        if let Some(words) = self.form.words(frame.data).filter(|_| frame.event.is_empty()) {
            return taker.take_alike(self.says, &words, &mut self.facts);
        }
        self.form.forget();
        if self.read_plain(frame, taker).is_some() {
            return;
        }
        openai_wire::read_frame(&frame, |text, data| match data {
            Data::Done => self.facts.done = true,
            Data::Object(members) => self.read_chunk(&members, frame.event, text, taker),
            Data::Broken(message) => self.fail(message, text),
        });
    }

    fn read_plain(&mut self, frame: Frame<'_>, taker: &mut impl Taker) -> Option<()> {
        // A line break would have to be taken out of what is copied.
        if !frame.event.is_empty() || bytes::find(frame.data, b'\n').is_some() {
            return None;
        }
        let text = std::str::from_utf8(frame.data).ok()?;
        let plain = plain::read(text)?;
        if !plain.is_known(&self.facts) || !taker.take_plain(&plain, &mut self.facts) {
            return None;
        }
        plain.teach(text, &mut self.form);
        self.says = plain.words().map_or(self.says, |(says, _)| says);
        Some(())
    }

    fn read_chunk(&mut self, members: &Members<'_>, event: &[u8], text: &str, taker: &mut impl Taker) {
        if self.read_fault(members, text) {
            return;
        }
        if event == b"error" {
            self.fail("The provider reported an error.", text);
            return;
        }
        self.read_facts(members);
        let choices = members.array("choices").unwrap_or_default();
        // Usage alone, or Azure's verdict on the prompt: nothing for the client.
        if choices.is_empty() {
            return;
        }
        if let Some(fault) =
            choices.iter().find_map(|choice| openai_wire::choice_fault(choice, text, wire::finish_reason))
        {
            self.facts.fault = Some(fault);
            return;
        }
        taker.take(&Chunk { members, choices: &choices }, &mut self.facts);
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
            self.counts.read(usage, &self.quirks);
            self.facts.usage = self.counts.usage(&self.quirks);
            self.facts.web_searches = self.counts.web_searches.unwrap_or(0);
            self.facts.cost = self.counts.cost();
        }
    }

    /// Takes note of the error that the object reports, if it reports one.
    fn read_fault(&mut self, members: &Members<'_>, text: &str) -> bool {
        let groq = members.object("x_groq").filter(|groq| groq.value("error").is_some());
        let fault = openai_wire::fault_in(groq.as_ref().unwrap_or(members), text);
        let found = fault.is_some();
        if self.facts.fault.is_none() {
            self.facts.fault = fault;
        }
        found
    }

    fn fail(&mut self, message: &str, raw: &str) {
        let fault = Fault { message: message.to_owned(), ..openai_wire::read_error(raw.as_bytes()) };
        self.facts.fault.get_or_insert(fault);
    }
}

fn own_string(chunk: &Members<'_>, key: &str) -> Option<String> {
    chunk.string(key).filter(|text| !text.is_empty()).map(|text| text.into_owned())
}
