//! Sends an attempt to a provider, or to the one inside the worker, and gives what comes back.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, ReadableStream, ReadableStreamDefaultReader, Response};

use crate::config::Secret;
use crate::exchange::{Input, Outgoing};
use crate::health::quota;
use crate::json;
use crate::media::{Fetched, Hosts, Link};
use crate::protocol::millrace;
use crate::shell::clock::now;
use crate::shell::edge::{self, Answer, Attempt, Told};
use crate::shell::wait::Wait;
use crate::shell::{bindings, body, media, tokens};
use crate::time::Time;

/// A connection to a provider, from the first byte sent to the last received.
pub enum Connection {
    Closed,
    /// Links on their way, before anything is sent.
    Fetching {
        fetched: LocalBoxFuture<'static, Fetched>,
        abort: AbortController,
    },
    Opening {
        answer: LocalBoxFuture<'static, Result<JsValue, JsValue>>,
        attempt: Attempt,
        source: Source,
    },
    Open {
        /// What the reader reads.
        body: ReadableStream,
        source: Source,
        reader: ReadableStreamDefaultReader,
        read: Option<Wait>,
        attempt: Attempt,
    },
    /// The runtime moves the body; this ends its connection.
    Moved(Attempt),
    /// The whole answer is here; `None` where it broke off.
    Whole(Option<Uint8Array>),
    /// And was given.
    Over,
}

/// Where an answer's bytes come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The runtime has them.
    Network,
    /// The provider inside the worker makes them.
    Embedded,
}

/// What a provider did.
pub enum Event {
    Fetched(Fetched),
    Head {
        status: u16,
        retry_after_s: Option<u32>,
        error_type: Option<String>,
        exhausted_until: Option<Time>,
    },
    Unreachable,
    Chunk(Vec<u8>),
    End,
    Broken,
}

impl Event {
    /// Gives what was fetched away: it may be large.
    pub fn as_input(&mut self) -> Input<'_> {
        match self {
            Event::Fetched(fetched) => Input::Fetched(std::mem::take(fetched)),
            Event::Head { status, retry_after_s, error_type, exhausted_until } => Input::Head {
                status: *status,
                retry_after_s: *retry_after_s,
                error_type: error_type.as_deref(),
                exhausted_until: *exhausted_until,
            },
            Event::Unreachable => Input::Unreachable,
            Event::Chunk(bytes) => Input::Chunk(bytes),
            Event::End => Input::End,
            Event::Broken => Input::Broken,
        }
    }
}

impl Connection {
    pub fn fetch(links: Vec<Link>, hosts: Hosts) -> Connection {
        let Ok(abort) = AbortController::new() else {
            return Connection::Closed;
        };
        Connection::Fetching { fetched: media::fetch(links, hosts, abort.clone()).boxed_local(), abort }
    }

    pub fn open(outgoing: Outgoing) -> Connection {
        let attempt = Attempt::new();
        let source = if outgoing.embedded { Source::Embedded } else { Source::Network };
        let answer = send(outgoing, attempt.clone());
        Connection::Opening { answer: answer.boxed_local(), attempt, source }
    }

    /// The next thing the provider does; nothing where none was asked. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Event {
        match self {
            Connection::Closed => std::future::pending().await,
            Connection::Fetching { fetched, .. } => {
                let fetched = fetched.await;
                *self = Connection::Closed;
                Event::Fetched(fetched)
            }
            Connection::Opening { answer, .. } => {
                let answer = answer.await;
                self.take_answer(answer)
            }
            Connection::Whole(bytes) => match bytes.take() {
                Some(bytes) => {
                    *self = Connection::Over;
                    Event::Chunk(bytes.to_vec())
                }
                None => {
                    *self = Connection::Closed;
                    Event::Broken
                }
            },
            Connection::Over => {
                *self = Connection::Closed;
                Event::End
            }
            Connection::Moved(_) => Event::Broken,
            Connection::Open { reader, read, .. } => {
                let pending = read.get_or_insert_with(|| Wait::from(reader.read()));
                let piece = pending.await;
                *read = None;
                match piece {
                    Ok(piece) => match body::piece_bytes(&piece) {
                        Some(bytes) => Event::Chunk(bytes.to_vec()),
                        None => Event::End,
                    },
                    Err(_) => Event::Broken,
                }
            }
        }
    }

    fn take_answer(&mut self, answer: Result<JsValue, JsValue>) -> Event {
        let Connection::Opening { attempt, source, .. } = std::mem::replace(self, Connection::Closed) else {
            return Event::Unreachable;
        };
        let Ok(answer) = answer.map(|value| value.unchecked_into::<Answer>()) else {
            return Event::Unreachable;
        };
        let told = Told::of(&answer);
        *self = match answer.bytes() {
            Some(bytes) => Connection::Whole(Some(bytes)),
            None => match (answer.body(), answer.reader()) {
                (Some(body), Some(reader)) => Connection::Open { body, source, reader, read: None, attempt },
                (_, _) => Connection::Whole(None),
            },
        };
        let header = |name: &str| told.get(name).map(str::to_owned);
        Event::Head {
            status: answer.status(),
            retry_after_s: retry_after(&told),
            error_type: header("x-amzn-errortype"),
            exhausted_until: quota::exhausted_until(&header, now()),
        }
    }

    /// The reader of an open connection that has no read under way.
    pub fn idle_reader(&self) -> Option<&ReadableStreamDefaultReader> {
        match self {
            Connection::Open { reader, read: None, .. } => Some(reader),
            Connection::Open { .. } | Connection::Opening { .. } => None,
            Connection::Fetching { .. } | Connection::Moved(_) => None,
            Connection::Whole(_) | Connection::Over | Connection::Closed => None,
        }
    }

    /// The body itself, without its reader, and what ends its connection: for the runtime to move. From
    /// here on nothing is read here.
    pub fn give_away(&mut self) -> Option<(ReadableStream, Attempt)> {
        match std::mem::replace(self, Connection::Closed) {
            Connection::Open { body, source: Source::Network, reader, read: None, attempt } => {
                reader.release_lock();
                *self = Connection::Moved(attempt.clone());
                Some((body, attempt))
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// Closes the connection at once: the provider is to stop.
    pub fn cancel(&mut self) {
        match std::mem::replace(self, Connection::Closed) {
            Connection::Whole(_) | Connection::Over | Connection::Closed => {}
            Connection::Fetching { abort, .. } => abort.abort(),
            Connection::Opening { attempt, .. } | Connection::Moved(attempt) => attempt.abort(),
            Connection::Open { attempt, reader, .. } => {
                attempt.abort();
                drop(reader);
            }
        }
    }

    /// Lets go of a connection whose answer is complete.
    pub async fn release(&mut self) {
        let connection = std::mem::replace(self, Connection::Closed);
        if let Some(reader) = connection.idle_reader() {
            // Nothing depends on how it ended.
            let _ = Wait::from(bindings::release(reader, RELEASE_MS)).await;
        }
    }
}

/// How long a provider that has said everything may keep its connection open.
const RELEASE_MS: u32 = 200;

/// The longest answer that is read whole in one go, in bytes. What is longer comes in pieces.
const MOST: u32 = 1 << 20;

async fn send(mut outgoing: Outgoing, attempt: Attempt) -> Result<JsValue, JsValue> {
    let most = if outgoing.stream { 0 } else { MOST };
    if outgoing.embedded {
        return edge::take(&answer_embedded(&outgoing), most);
    }
    if let Some(login) = &outgoing.login {
        let bearer = format!("Bearer {}", tokens::token(login).await?);
        outgoing.headers.push(("authorization", Secret::new(bearer)));
    }
    let headers = outgoing.headers.iter().map(|(name, value)| (*name, value.expose()));
    let headers = edge::lines(headers_of_ours(outgoing.stream).into_iter().chain(headers));
    Wait::from(attempt.send(&outgoing.url, &headers, &outgoing.body, most)?).await
}

fn headers_of_ours(stream: bool) -> [(&'static str, &'static str); 4] {
    [
        ("content-type", "application/json"),
        ("accept", if stream { "text/event-stream, */*" } else { "application/json" }),
        // A compressed stream is held back by whoever compresses it.
        ("accept-encoding", "identity"),
        ("user-agent", concat!("millrace/", env!("CARGO_PKG_VERSION"))),
    ]
}

pub fn object(members: &[(&str, JsValue)]) -> Result<JsValue, JsValue> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &JsValue::from_str(name), value)?;
    }
    Ok(object.into())
}

/// Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or a date); at least 1.
fn retry_after(told: &Told) -> Option<u32> {
    let from_ms = told.get("retry-after-ms").and_then(|text| json::number(text.trim())).map(|ms| ms / 1000.0);
    let from_seconds = || told.get("retry-after").and_then(|text| json::number(text.trim()));
    let from_date = || {
        let at = js_sys::Date::parse(told.get("retry-after")?);
        at.is_finite().then(|| (at - js_sys::Date::now()) / 1000.0)
    };
    let seconds = from_ms.or_else(from_seconds).or_else(from_date)?;
    seconds.is_finite().then(|| seconds.ceil().clamp(1.0, 86_400.0) as u32)
}

fn answer_embedded(outgoing: &Outgoing) -> Response {
    let answer = millrace::answer(&outgoing.body);
    let (status, content_type) = (answer.status, answer.content_type);
    bindings::embedded(EmbeddedSource { answer: AssertUnwindSafe(answer) }, status, content_type)
}

/// The pieces of the embedded provider's answer, pulled one at a time.
#[wasm_bindgen]
pub struct EmbeddedSource {
    answer: AssertUnwindSafe<millrace::Answer>,
}

#[wasm_bindgen]
impl EmbeddedSource {
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Vec<u8>> {
        self.answer.next()
    }
}
