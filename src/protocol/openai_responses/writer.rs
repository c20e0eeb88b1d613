//! Events as a streamed response, and a whole response as a stream that is folded.

use super::echo::{Echo, State};
use super::items::Items;
use super::wire;
use crate::chat::{Bill, Event, Facts, Finish, Identity};
use crate::error::Failure;
use crate::protocol::lane::Writer;
use crate::protocol::openai_wire;

/// Writes one streamed response.
#[derive(Clone, Debug)]
pub struct StreamWriter {
    identity: Identity,
    echo: Echo,
    items: Items,
    finish: Option<Finish>,
    opened: bool,
}

impl StreamWriter {
    pub fn new(identity: Identity, echo: Echo) -> StreamWriter {
        let items = Items::new(&identity.generation);
        StreamWriter { identity, echo, items, finish: None, opened: false }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        if self.opened {
            return;
        }
        self.opened = true;
        let state = State { status: "in_progress", output: "[]".to_owned(), ..State::default() };
        let response = format!(",\"response\":{}", self.echo.response(&self.identity, None, &state));
        self.items.emit("response.created", &response, out);
        self.items.emit("response.in_progress", &response, out);
    }

    /// How the response ended, with its items as they are.
    fn ended(&self) -> State {
        let mut state = State {
            status: "completed",
            output: self.items.output(),
            output_text: self.items.text.clone(),
            ..State::default()
        };
        let incomplete = match self.finish {
            Some(Finish::Length) => Some("max_output_tokens"),
            Some(Finish::ContentFilter) => Some("content_filter"),
            // A model that refuses in words of its own has completed its answer.
            Some(Finish::Refusal) if self.items.refused => None,
            Some(Finish::Refusal) => Some("content_filter"),
            Some(Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Pause) => None,
            Some(Finish::Error) => {
                state.status = "failed";
                state.error = Some(
                    r#"{"code":"server_error","message":"The provider ended the reply with an error."}"#
                        .to_owned(),
                );
                state.error_type = Some("server");
                return state;
            }
            None => None,
        };
        // No reason is known, but half a call shows that something was cut.
        let incomplete = incomplete.or_else(|| self.items.cut.then_some("max_output_tokens"));
        if incomplete.is_some() {
            state.status = "incomplete";
            state.incomplete = incomplete;
        }
        state
    }

    fn end(&mut self, state: State, out: &mut Vec<u8>) {
        let kind = format!("response.{}", state.status);
        let response = self.echo.response(&self.identity, None, &state);
        self.items.emit(&kind, &format!(",\"response\":{response}"), out);
        wire::write_done(out);
    }
}

impl Writer for StreamWriter {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        self.open(out);
        if let Event::Finish { reason, .. } = event {
            self.finish = Some(*reason);
        }
        self.items.tell(event, &self.echo, out);
    }

    fn write_end(&mut self, bill: &Bill, out: &mut Vec<u8>) {
        self.open(out);
        self.items.close(out);
        let state = State { usage: Some(wire::usage(bill)), metadata: bill.metadata.clone(), ..self.ended() };
        self.end(state, out);
    }

    /// What is open stays open: Codex would run a call whose item is done.
    fn write_error(&mut self, failure: &Failure, bill: Option<&Bill>, out: &mut Vec<u8>) {
        self.open(out);
        let state = State {
            status: "failed",
            error: Some(wire::error_field(failure)),
            error_type: Some(failure.cause.error_type()),
            incomplete: None,
            output: self.items.output(),
            output_text: self.items.text.clone(),
            usage: bill.map(wire::usage),
            metadata: bill.and_then(|bill| bill.metadata.clone()),
        };
        self.end(state, out);
    }

    fn loss(&self, event: &Event) -> Option<&'static str> {
        let Event::Finish { reason, .. } = event else { return None };
        match reason {
            Finish::StopSequence => Some("stop_reason: a stop sequence; a response is merely completed"),
            Finish::Pause => Some("stop_reason: a pause; a response is merely completed"),
            Finish::Stop | Finish::Length | Finish::ToolCalls | Finish::ContentFilter => None,
            Finish::Refusal | Finish::Error => None,
        }
    }

    fn keep_alive(&self) -> &'static [u8] {
        openai_wire::KEEP_ALIVE
    }
}

/// Writes a whole response.
pub fn write_whole(
    events: &[Event],
    facts: &Facts,
    identity: &Identity,
    bill: &Bill,
    echo: &Echo,
) -> Vec<u8> {
    let mut writer = StreamWriter::new(identity.clone(), echo.clone());
    // The frames of a stream that nobody reads.
    let mut frames = Vec::new();
    for event in events {
        writer.write(event, &mut frames);
        frames.clear();
    }
    writer.items.close(&mut frames);
    let state = State { usage: Some(wire::usage(bill)), metadata: bill.metadata.clone(), ..writer.ended() };
    writer.echo.response(identity, Some(facts), &state).into_bytes()
}
