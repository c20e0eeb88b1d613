//! How a reply gets from a provider's protocol into a client's: a lane. Where both are the same a
//! lane splices bytes; else it translates event by event. The exchange knows no other difference.

use crate::chat::{Bill, Event, Facts, Quirks};
use crate::error::Failure;

/// Carries one streamed reply.
pub trait Lane {
    /// Takes in bytes, however they are cut, and appends whole frames for the client.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>);
    /// The provider closed the stream.
    fn end_of_input(&mut self, out: &mut Vec<u8>);
    fn facts(&self) -> &Facts;
    /// Ends the reply in the client's grammar, with what it used and costs.
    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>);
    /// Ends the reply with an error in the client's grammar; `bill` for what was delivered.
    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>);
    /// A frame that says nothing, for between frames.
    fn keep_alive(&self) -> &'static [u8];
}

/// Reads a provider's streamed reply into events. Like a [`Lane`], it survives any cut.
pub trait Reader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>);
    fn end_of_input(&mut self, events: &mut Vec<Event>);
    /// `began`, `finish`, `done`, `usage`, `fault`, `upstream_id` and the like, kept by the reader.
    fn facts(&self) -> &Facts;
}

/// Writes events as a client's streamed reply.
pub trait Writer {
    /// Appends whole frames. The first call may write what opens a reply.
    fn write(&mut self, event: &Event, out: &mut Vec<u8>);
    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>);
    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>);
    fn keep_alive(&self) -> &'static [u8];
}

/// A provider's whole reply, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WholeReply {
    pub events: Vec<Event>,
    pub facts: Facts,
}

/// The endpoint that a request is written for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    pub quirks: &'a Quirks,
    /// The most output tokens the endpoint writes, for protocols that demand a limit.
    pub max_output: Option<u64>,
}

/// A request in a provider's words, and what those words could not say: paths of the client's
/// members, each with a reason, for the reply's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub body: Vec<u8>,
    pub losses: Vec<String>,
}

/// A lane between two protocols.
pub struct Translate {
    reader: Box<dyn Reader>,
    writer: Box<dyn Writer>,
    events: Vec<Event>,
}

impl Translate {
    pub fn new(reader: Box<dyn Reader>, writer: Box<dyn Writer>) -> Translate {
        Translate { reader, writer, events: Vec::new() }
    }

    fn write_events(&mut self, out: &mut Vec<u8>) {
        for event in self.events.drain(..) {
            self.writer.write(&event, out);
        }
    }
}

impl Lane for Translate {
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.reader.read(bytes, &mut self.events);
        self.write_events(out);
    }

    fn end_of_input(&mut self, out: &mut Vec<u8>) {
        self.reader.end_of_input(&mut self.events);
        self.write_events(out);
    }

    fn facts(&self) -> &Facts {
        self.reader.facts()
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        self.writer.write_end(bill, out);
    }

    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        self.writer.write_error(failure, bill, out);
    }

    fn keep_alive(&self) -> &'static [u8] {
        self.writer.keep_alive()
    }
}
