//! A provider's stream as events, for clients of another protocol.

use super::choice::Form;
use super::events::Choices;
use super::intake::Intake;
use crate::chat::{Event, Facts, Quirks};
use crate::protocol::lane::{Reader, Renamed};

/// Reads one stream.
#[derive(Clone, Debug)]
pub struct StreamReader {
    intake: Intake,
    choices: Choices,
}

impl StreamReader {
    pub fn new(quirks: Quirks, names: Vec<Renamed>) -> StreamReader {
        StreamReader { intake: Intake::new(quirks), choices: Choices::new(names) }
    }
}

impl Reader for StreamReader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        self.intake.read(bytes, |chunk, facts| {
            self.choices.read(chunk.members, chunk.choices, Form::Part, facts, events);
        });
    }

    fn end_of_input(&mut self, events: &mut Vec<Event>) {
        self.intake.end(|chunk, facts| {
            self.choices.read(chunk.members, chunk.choices, Form::Part, facts, events);
        });
        if self.intake.facts().fault.is_none() {
            self.choices.end(events);
        }
    }

    fn facts(&self) -> &Facts {
        self.intake.facts()
    }
}
