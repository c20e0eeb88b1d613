//! A provider's reply as events: streamed over SSE, or whole.

use super::reply::Reply;
use crate::chat::{Event, Facts, Quirks, ReplyFault};
use crate::json;
use crate::protocol::fault::first_object;
use crate::protocol::lane::{self, Reader, Renamed, WholeReply};
use crate::sse;

/// The greatest frame that is taken: generated pictures come in one.
pub(super) const FRAME_LIMIT: usize = 16 * 1024 * 1024;

/// Reads one stream.
#[derive(Clone, Debug)]
pub struct StreamReader {
    frames: sse::Reader,
    reply: Reply,
}

impl StreamReader {
    /// `names` are those that `write_conversation` gave.
    pub fn new(_quirks: Quirks, names: Vec<Renamed>) -> StreamReader {
        StreamReader { frames: sse::Reader::new(FRAME_LIMIT), reply: Reply::new(names) }
    }
}

impl Reader for StreamReader {
    fn read(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        let reply = &mut self.reply;
        let read = self.frames.read(bytes, |frame| _ = read_frame(reply, frame, events));
        if read.is_err() {
            self.reply.fail("The provider sent a frame that is too long.", "", None);
        }
    }

    fn end_of_input(&mut self, events: &mut Vec<Event>) {
        let reply = &mut self.reply;
        if lane::end_of_json(&mut self.frames, |frame| _ = read_frame(reply, frame, events)).is_err() {
            self.reply.fail("The provider sent a frame that is too long.", "", None);
        }
        read_stray(&mut self.reply, self.frames.stray());
        self.reply.end(events);
    }

    fn facts(&self) -> &Facts {
        &self.reply.facts
    }
}

/// Reads one frame; `true` if it was a response of the model's.
pub(super) fn read_frame(reply: &mut Reply, frame: sse::Frame<'_>, events: &mut Vec<Event>) -> bool {
    let text = crate::bytes::text(frame.data);
    let text = text.trim();
    // Those who imitate Google may end as OpenAI does.
    if reply.facts.fault.is_some() || text == "[DONE]" {
        return false;
    }
    match json::members(first_object(text)) {
        Ok(response) => {
            reply.read(&response, text, events);
            reply.facts.fault.is_none()
        }
        Err(_) if text.starts_with(['{', '[']) => {
            reply.fail("The provider sent a frame that is not valid JSON.", text, None);
            false
        }
        Err(_) => false,
    }
}

/// Google ends a broken stream with its error's JSON, bare behind the frames.
pub(super) fn read_stray(reply: &mut Reply, stray: &[u8]) {
    let stray = crate::bytes::text(stray);
    let stray = stray.trim();
    let Ok(members) = json::members(first_object(stray)) else {
        if !stray.is_empty() {
            reply.fail("The provider's stream holds what is no frame.", stray, None);
        }
        return;
    };
    if members.has("error") {
        reply.read(&members, stray, &mut Vec::new());
    }
}

/// Reads a body that came with status 200: one response, or the array of them that a stream
/// without `alt=sse` is.
pub fn read_whole(body: &[u8], _quirks: &Quirks, names: &[Renamed]) -> Result<WholeReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let text = text.trim();
    let mut reply = Reply::new(names.to_vec());
    let mut events = Vec::new();
    let responses = json::elements(text).unwrap_or_else(|_| vec![text]);
    for response in responses {
        let members = json::members(response).map_err(|error| ReplyFault::NotJson(error.to_string()))?;
        reply.read(&members, response, &mut events);
    }
    // A whole body is whole, whatever it says of its end.
    reply.end_whole(&mut events);
    match reply.facts.reply_fault() {
        Some(fault) => Err(fault),
        None if !reply.facts.done => Err(ReplyFault::Empty),
        None => Ok(WholeReply { events, facts: reply.facts }),
    }
}
