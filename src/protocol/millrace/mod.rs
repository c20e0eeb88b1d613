//! The provider that is built in: it answers every request with the request's own words, so
//! that a gateway can be tried and tested without a key. Speaks Chat Completions on its wire.
//!
//! The reply is the last user message. A token is a word: a longest run without whitespace; a
//! piece of a stream is a word with the whitespace before it, so that the pieces add up to the
//! message. `max_tokens` cuts it after that many words. A required tool is called with the
//! message, if that is a JSON object, or with `{"input": message}`. Where JSON is asked for, the
//! message that is none comes as `{"echo": message}`. An empty message is answered "(empty)".

mod read;
mod write;

use write::Writer;

/// The answer of the built-in provider: a head, and the body as an iterator.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// All at once; `None` when it was taken.
    Whole(Option<Vec<u8>>),
    Stream(Box<Writer>),
}

/// Answers a chat request.
pub fn answer(body: &[u8]) -> Answer {
    match read::read_request(body) {
        Ok(request) if request.stream => Answer {
            status: 200,
            content_type: "text/event-stream",
            body: Body::Stream(Box::new(Writer::new(request))),
        },
        Ok(request) => Answer::whole(200, write::write_reply(&request)),
        Err(refusal) => Answer::whole(400, write::write_error(&refusal)),
    }
}

impl Answer {
    fn whole(status: u16, body: Vec<u8>) -> Answer {
        Answer { status, content_type: "application/json", body: Body::Whole(Some(body)) }
    }
}

/// The body, a piece at a time: an event of a stream, or the whole reply.
impl Iterator for Answer {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match &mut self.body {
            Body::Whole(body) => body.take(),
            Body::Stream(writer) => writer.next(),
        }
    }
}
