//! A stream from a provider to a client of the same protocol: bytes in, bytes out, however they
//! are cut. Each chunk keeps its members' bytes; the gateway's own members are put before them.
//! What the gateway has to know of the stream gathers in [`Facts`].

use super::choice::{Form, Seen, write_member};
use super::closing;
use super::intake::{Chunk, Intake, Taker};
use super::plain::Plain;
use crate::chat::{Bill, Facts, Identity, Quirks, Says, WITHIN_A_CALL};
use crate::error::Failure;
use crate::json::{Members, Words};
use crate::protocol::lane::Lane;
use crate::protocol::openai_wire;
use crate::sse;

/// Rewrites one stream.
#[derive(Clone, Debug)]
pub struct Splice {
    intake: Intake,
    chunks: Chunks,
}

/// The chunks on their way.
#[derive(Clone, Debug)]
struct Chunks {
    /// The members that open every chunk, from the brace on.
    opening: Vec<u8>,
    seen: Seen,
    /// What was written before the words of the last plain chunk, and behind them.
    around: [Vec<u8>; 2],
}

impl Splice {
    pub fn new(identity: Identity, quirks: Quirks) -> Splice {
        let opening = openai_wire::opening(&identity, closing::OBJECT);
        Splice {
            intake: Intake::new(quirks),
            chunks: Chunks { opening, seen: Seen::default(), around: Default::default() },
        }
    }

    /// What the model thought is not shown.
    pub fn without_reasoning(mut self) -> Splice {
        self.chunks.seen.hide_reasoning();
        self
    }

    /// Reads on, and appends the whole frames for the client that this completes. The provider's
    /// comments, padding, usage and `[DONE]` are not among them.
    pub fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.intake.read(bytes, &mut Writing { chunks: &mut self.chunks, out, is_wanted: true });
        self.take_end();
    }

    /// Ends the input: a last frame without its blank line is read, and so is an error that
    /// stands bare behind the frames.
    pub fn end_of_input(&mut self, out: &mut Vec<u8>) {
        self.intake.end(&mut Writing { chunks: &mut self.chunks, out, is_wanted: true });
        self.take_end();
    }

    /// The provider's `[DONE]` is an end where a reason to finish came before it, or where the
    /// provider never gives one.
    fn take_end(&mut self) {
        if !self.intake.ends_unsaid() {
            return;
        }
        let progress = &self.chunks.seen.progress;
        let reason = if progress.any_called() { "tool_calls" } else { "stop" };
        self.intake.take_silence(progress.any_half(), reason);
    }

    pub fn facts(&self) -> &Facts {
        self.intake.facts()
    }

    /// Appends the chunk that carries usage and cost, and the end of the stream.
    pub fn write_end(&self, bill: &Bill, out: &mut Vec<u8>) {
        let facts = self.facts();
        openai_wire::write_end(
            &self.chunks.opening,
            closing::write_choice,
            facts.finish_reason,
            facts.finish.as_deref(),
            bill,
            out,
        );
    }

    /// Appends the chunk that carries an error, then usage if any was incurred, then the end.
    pub fn write_error(&self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        openai_wire::write_failed_end(
            &self.chunks.opening,
            closing::write_choice,
            self.facts().finish.as_deref(),
            failure,
            bill,
            out,
        );
    }
}

impl Lane for Splice {
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        Splice::read(self, bytes, out);
    }

    fn look(&mut self, bytes: &[u8]) {
        let mut out = Vec::new();
        self.intake.read(bytes, &mut Writing { chunks: &mut self.chunks, out: &mut out, is_wanted: false });
        self.take_end();
    }

    fn end_of_input(&mut self, out: &mut Vec<u8>) {
        Splice::end_of_input(self, out);
    }

    fn facts(&self) -> &Facts {
        Splice::facts(self)
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        Splice::write_end(self, bill, out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        Splice::write_error(self, failure, bill, out);
    }

    fn keep_alive(&self) -> &'static [u8] {
        openai_wire::KEEP_ALIVE
    }
}

/// The chunks, and where they go.
struct Writing<'a> {
    chunks: &'a mut Chunks,
    out: &'a mut Vec<u8>,
    /// Whether anybody gets what is written.
    is_wanted: bool,
}

impl Taker for Writing<'_> {
    fn take_plain(&mut self, chunk: &Plain<'_>, facts: &mut Facts) -> bool {
        self.chunks.write_plain(chunk, facts, self.out)
    }

    fn take_alike(&mut self, _says: Says, words: &Words<'_>, facts: &mut Facts) {
        self.chunks.seen.take_words(words.said);
        facts.began |= self.chunks.seen.output;
        facts.output_bytes = self.chunks.seen.bytes;
        if self.is_wanted {
            self.chunks.write_alike(words, self.out);
        }
    }

    fn take(&mut self, chunk: &Chunk<'_>, facts: &mut Facts) {
        self.chunks.write(chunk, facts, self.out);
    }
}

impl Chunks {
    fn write_plain(&mut self, chunk: &Plain<'_>, facts: &mut Facts, out: &mut Vec<u8>) -> bool {
        if !self.seen.take_plain(chunk) {
            return false;
        }
        let start = out.len();
        let place = chunk.write(&self.opening, out);
        if let (Some(place), Some((_, words))) = (place, chunk.words()) {
            let [before, behind] = &mut self.around;
            before.clear();
            before.extend_from_slice(&out[start..place]);
            behind.clear();
            behind.extend_from_slice(&out[place + words.len()..]);
        }
        facts.began |= self.seen.output;
        facts.output_bytes = self.seen.bytes;
        true
    }

    fn write_alike(&self, words: &Words<'_>, out: &mut Vec<u8>) {
        let [before, behind] = &self.around;
        out.reserve(before.len() + words.json.len() + behind.len());
        out.extend_from_slice(before);
        out.extend_from_slice(words.json.as_bytes());
        out.extend_from_slice(behind);
    }

    fn write(&mut self, chunk: &Chunk<'_>, facts: &mut Facts, out: &mut Vec<u8>) {
        let mut data = self.opening.clone();
        write_others(chunk.members, &mut data);
        data.extend_from_slice(b",\"choices\":");
        self.seen.write_choices(chunk.choices, Form::Part, &mut data);
        data.push(b'}');
        sse::write_frame(&data, out);
        facts.began |= self.seen.output || self.seen.finish.is_some();
        facts.output_bytes = self.seen.bytes;
        let all_finished = self.seen.progress.all_finished();
        facts.finish_reason = self.seen.finish_reason().filter(|_| all_finished);
        facts.finish = self.seen.finish.clone().filter(|_| all_finished);
        if self.seen.half {
            facts.cut_short(WITHIN_A_CALL);
        }
    }
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
