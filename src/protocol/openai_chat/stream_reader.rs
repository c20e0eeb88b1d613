//! A provider's stream as events, for clients of another protocol.

use super::choice::Form;
use super::events::Choices;
use super::intake::{Chunk, Intake, Taker};
use super::plain::Plain;
use crate::chat::{Event, Facts, Quirks, Says, WITHOUT_A_REASON};
use crate::json::Words;
use crate::protocol::lane::{Reader, Renamed};

/// Reads one stream.
#[derive(Clone, Debug)]
pub struct StreamReader {
    intake: Intake,
    choices: Choices,
    quirks: Quirks,
}

impl StreamReader {
    pub fn new(quirks: Quirks, names: Vec<Renamed>) -> StreamReader {
        StreamReader { intake: Intake::new(quirks), choices: Choices::new(names), quirks }
    }
}

impl StreamReader {
    /// The provider's `[DONE]` is an end where a reason to finish came before it, or where the
    /// provider never gives one.
    fn take_end(&mut self, events: &mut Vec<Event>) {
        if !self.intake.ends_unsaid() {
            return;
        }
        match self.quirks.silent_finish {
            true => self.choices.finish_unsaid(self.intake.facts_mut(), events),
            false => self.intake.facts_mut().cut_short(WITHOUT_A_REASON),
        }
    }
}

/// The choices, and where what they say goes.
struct Reading<'a> {
    choices: &'a mut Choices,
    events: &'a mut Vec<Event>,
}

impl Taker for Reading<'_> {
    fn take_plain(&mut self, chunk: &Plain<'_>, facts: &mut Facts) -> bool {
        self.choices.read_plain(chunk, facts, self.events)
    }

    fn take_alike(&mut self, says: Says, words: &Words<'_>, facts: &mut Facts) {
        self.choices.read_plain(&Plain::saying(says, words), facts, self.events);
    }

    fn take(&mut self, chunk: &Chunk<'_>, facts: &mut Facts) {
        self.choices.read(chunk.members, chunk.choices, Form::Part, facts, self.events);
    }
}

impl Reader for StreamReader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        self.intake.read(bytes, &mut Reading { choices: &mut self.choices, events });
        self.take_end(events);
    }

    fn end_of_input(&mut self, events: &mut Vec<Event>) {
        self.intake.end(&mut Reading { choices: &mut self.choices, events });
        if self.intake.facts().fault.is_none() {
            self.choices.end(events);
        }
        self.take_end(events);
    }

    fn facts(&self) -> &Facts {
        self.intake.facts()
    }
}
