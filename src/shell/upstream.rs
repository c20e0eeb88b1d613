//! Sends an attempt to a provider, or to the one inside the worker, and gives what comes back.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, AbortSignal, ReadableStreamDefaultReader, Response};

use crate::config::Secret;
use crate::exchange::{Input, Outgoing};
use crate::health::quota;
use crate::media::{Fetched, Hosts, Link};
use crate::protocol::millrace;
use crate::shell::clock::now;
use crate::shell::{bindings, body, media, tokens};
use crate::time::Time;

/// A connection to a provider, from the first byte sent to the last received.
pub enum Connection {
    Closed,
    /// It could not even be tried.
    Failed,
    /// Links on their way, before anything is sent.
    Fetching {
        fetched: LocalBoxFuture<'static, Fetched>,
        abort: AbortController,
    },
    Opening {
        answer: LocalBoxFuture<'static, Result<JsValue, JsValue>>,
        abort: AbortController,
    },
    Open {
        reader: ReadableStreamDefaultReader,
        read: Option<JsFuture>,
        abort: AbortController,
    },
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
        let Ok(abort) = AbortController::new() else {
            return Connection::Failed;
        };
        let signal = abort.signal();
        let answer = async move {
            match outgoing.embedded {
                true => Ok(answer_embedded(&outgoing)),
                false => send(outgoing, signal).await,
            }
        };
        Connection::Opening { answer: answer.boxed_local(), abort }
    }

    /// The next thing the provider does; nothing where none was asked. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Event {
        match self {
            Connection::Closed => std::future::pending().await,
            Connection::Failed => {
                *self = Connection::Closed;
                Event::Unreachable
            }
            Connection::Fetching { fetched, .. } => {
                let fetched = fetched.await;
                *self = Connection::Closed;
                Event::Fetched(fetched)
            }
            Connection::Opening { answer, .. } => {
                let answer = answer.await;
                self.take_answer(answer)
            }
            Connection::Open { reader, read, .. } => {
                let pending = read.get_or_insert_with(|| JsFuture::from(reader.read()));
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
        let Connection::Opening { abort, .. } = std::mem::replace(self, Connection::Closed) else {
            return Event::Unreachable;
        };
        let Ok(response) = answer.and_then(|value| value.dyn_into::<Response>()) else {
            return Event::Unreachable;
        };
        // An answer without a body gets an empty one, so that its end is read like any other.
        let stream = response.body().or_else(|| Response::new_with_opt_str(Some("")).ok()?.body());
        let Some(stream) = stream else {
            return Event::Unreachable;
        };
        let reader = stream.get_reader().unchecked_into();
        let header = |name: &str| response.headers().get(name).ok().flatten();
        let event = Event::Head {
            status: response.status(),
            retry_after_s: retry_after(&response),
            error_type: header("x-amzn-errortype"),
            exhausted_until: quota::exhausted_until(&header, now()),
        };
        *self = Connection::Open { reader, read: None, abort };
        event
    }

    /// The reader of an open connection that has no read under way.
    pub fn idle_reader(&self) -> Option<&ReadableStreamDefaultReader> {
        match self {
            Connection::Open { reader, read: None, .. } => Some(reader),
            Connection::Open { .. } | Connection::Opening { .. } => None,
            Connection::Fetching { .. } | Connection::Closed | Connection::Failed => None,
        }
    }

    /// Closes the connection at once: the provider is to stop.
    pub fn cancel(&mut self) {
        match std::mem::replace(self, Connection::Closed) {
            Connection::Closed | Connection::Failed => {}
            Connection::Fetching { abort, .. } | Connection::Opening { abort, .. } => abort.abort(),
            Connection::Open { abort, reader, .. } => {
                abort.abort();
                drop(reader);
            }
        }
    }

    /// Lets go of a connection whose answer is complete.
    pub async fn release(&mut self) {
        let connection = std::mem::replace(self, Connection::Closed);
        if let Some(reader) = connection.idle_reader() {
            // Nothing depends on how it ended.
            let _ = JsFuture::from(bindings::release(reader, RELEASE_MS)).await;
        }
    }
}

/// How long a provider that has said everything may keep its connection open.
const RELEASE_MS: u32 = 200;

async fn send(mut outgoing: Outgoing, signal: AbortSignal) -> Result<JsValue, JsValue> {
    if let Some(login) = &outgoing.login {
        let bearer = format!("Bearer {}", tokens::token(login).await?);
        outgoing.headers.push(("authorization", Secret::new(bearer)));
    }
    let init = request_init(&outgoing, &signal)?;
    JsFuture::from(bindings::fetch(&outgoing.url, &init)?).await
}

fn request_init(outgoing: &Outgoing, signal: &AbortSignal) -> Result<JsValue, JsValue> {
    let headers = object(&[
        ("content-type", "application/json".into()),
        ("accept", if outgoing.stream { "text/event-stream, */*" } else { "application/json" }.into()),
        // A compressed stream is held back by whoever compresses it.
        ("accept-encoding", "identity".into()),
        ("user-agent", concat!("millrace/", env!("CARGO_PKG_VERSION")).into()),
    ])?;
    for (name, value) in &outgoing.headers {
        Reflect::set(&headers, &JsValue::from_str(name), &value.expose().into())?;
    }
    object(&[
        ("method", "POST".into()),
        ("headers", headers),
        ("body", Uint8Array::from(outgoing.body.as_slice()).into()),
        // A redirect would carry our key to an address that nobody configured.
        ("redirect", "manual".into()),
        ("signal", signal.into()),
    ])
}

pub fn object(members: &[(&str, JsValue)]) -> Result<JsValue, JsValue> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &JsValue::from_str(name), value)?;
    }
    Ok(object.into())
}

/// Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or a date); at least 1.
fn retry_after(response: &Response) -> Option<u32> {
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let from_ms =
        header("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()).map(|ms| ms / 1000.0);
    let from_seconds = || header("retry-after").and_then(|text| text.trim().parse::<f64>().ok());
    let from_date = || {
        let at = js_sys::Date::parse(&header("retry-after")?);
        at.is_finite().then(|| (at - js_sys::Date::now()) / 1000.0)
    };
    let seconds = from_ms.or_else(from_seconds).or_else(from_date)?;
    seconds.is_finite().then(|| seconds.ceil().clamp(1.0, 86_400.0) as u32)
}

fn answer_embedded(outgoing: &Outgoing) -> JsValue {
    let answer = millrace::answer(&outgoing.body);
    let (status, content_type) = (answer.status, answer.content_type);
    bindings::embedded(EmbeddedSource { answer: AssertUnwindSafe(answer) }, status, content_type).into()
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
