//! What every request crosses, with one call each into `edge.js`: the head of what comes in, an attempt
//! at a provider, the reply. Headers cross as lines, which no value can break: the runtime refuses them.

use std::ops::Deref;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ReadableStream, ReadableStreamDefaultReader, Request, Response};

use crate::bytes;

#[wasm_bindgen(module = "/src/shell/edge.js")]
extern "C" {
    fn head(request: &Request) -> String;

    /// One request to a provider.
    #[derive(Clone)]
    pub type Attempt;
    #[wasm_bindgen(constructor)]
    pub fn new() -> Attempt;
    #[wasm_bindgen(method, catch)]
    pub fn send(this: &Attempt, url: &str, headers: &str, body: &[u8], most: u32)
    -> Result<Promise, JsValue>;
    #[wasm_bindgen(method)]
    pub fn abort(this: &Attempt);

    /// What a provider answered, with as much of the body as was asked for.
    pub type Answer;
    #[wasm_bindgen(method, getter)]
    pub fn status(this: &Answer) -> u16;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &Answer) -> String;
    #[wasm_bindgen(method, getter)]
    pub fn bytes(this: &Answer) -> Option<Uint8Array>;
    /// Of `edge.js`, which has what is called here of the runtime's.
    #[wasm_bindgen(method, getter)]
    pub fn reader(this: &Answer) -> Option<ReadableStreamDefaultReader>;
    /// What the reader reads.
    #[wasm_bindgen(method, getter)]
    pub fn body(this: &Answer) -> Option<ReadableStream>;

    /// The answer in a response that was made here.
    #[wasm_bindgen(catch)]
    pub fn take(response: &Response, most: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn reply(status: u16, headers: &str, body: &[u8]) -> Result<Response, JsValue>;
    #[wasm_bindgen(catch)]
    pub fn streamed(status: u16, headers: &str, body: &ReadableStream) -> Result<Response, JsValue>;
}

/// Headers that [`Incoming::header`] knows, in the order of `edge.js`.
const READ: [&str; 11] = [
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "content-length",
    "x-session-id",
    "x-openrouter-metadata",
    "http-referer",
    "referer",
    "user-agent",
    "anthropic-beta",
    "x-millrace-stream",
];

/// The method, the address, and what is [`READ`].
const LINES: usize = READ.len() + 2;

/// A request with its head read; the runtime's own is behind it, for what the head does not have.
pub struct Incoming {
    request: Request,
    head: String,
    /// Where each line of the head ends.
    ends: [usize; LINES],
}

impl Incoming {
    pub fn new(request: Request) -> Incoming {
        let head = head(&request);
        let mut ends = [head.len(); LINES];
        let mut rest = head.as_str();
        for end in &mut ends {
            let Some((_, after)) = first_line(rest) else { break };
            *end = head.len() - after.len() - 1;
            rest = after;
        }
        Incoming { request, head, ends }
    }

    /// As [`Request::method`] gives it.
    pub fn verb(&self) -> &str {
        self.line(0)
    }

    /// As [`Request::url`] gives it.
    pub fn address(&self) -> &str {
        self.line(1)
    }

    /// A header that is there and not empty. Only for those in [`READ`].
    pub fn header(&self, name: &str) -> Option<&str> {
        let at = READ.iter().position(|known| bytes::same(known, name))?;
        Some(self.line(at + 2)).filter(|value| !value.is_empty())
    }

    fn line(&self, number: usize) -> &str {
        let start = if number == 0 { 0 } else { self.ends[number - 1] + 1 };
        self.head.get(start..self.ends[number]).unwrap_or("")
    }
}

impl Deref for Incoming {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

/// The headers of a provider's answer that say something to a gateway.
pub struct Told(String);

impl Told {
    pub fn of(answer: &Answer) -> Told {
        Told(answer.headers())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let mut rest = self.0.as_str();
        loop {
            let (known, after) = first_line(rest)?;
            let (value, after) = first_line(after)?;
            if bytes::same(known, name) {
                return Some(value);
            }
            rest = after;
        }
    }
}

/// A line that ends, and what is behind it.
fn first_line(text: &str) -> Option<(&str, &str)> {
    let end = bytes::find(text.as_bytes(), b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

/// Headers as they cross. A value of several lines is one that the runtime refuses.
pub fn lines<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> String {
    let mut text = String::with_capacity(512);
    for (name, value) in headers {
        let start = text.len() + name.len() + 1;
        text.extend([name, "\n", value.trim_ascii()]);
        if bytes::find(&text.as_bytes()[start..], b'\n').is_some() {
            text.replace_range(start.., "\0");
        }
        text.push('\n');
    }
    text
}
