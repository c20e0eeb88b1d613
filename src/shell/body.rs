//! Reads a request's body as bytes, never more than the limit.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{ReadableStreamDefaultReader, Request};

use crate::error::{Cause, Failure};
use crate::shell::edge::Incoming;
use crate::shell::wait::Wait;

/// The whole body, or 413 as soon as it is known to be longer than `limit` bytes.
pub async fn read(request: &Incoming, limit: u64) -> Result<Vec<u8>, Failure> {
    match request.header("content-length").and_then(|length| length.parse::<u64>().ok()) {
        Some(length) if length > limit => {
            discard(request, limit).await;
            Err(too_large(limit))
        }
        Some(_) => read_at_once(request, limit).await,
        None => read_in_pieces(request, limit).await,
    }
}

async fn read_at_once(request: &Request, limit: u64) -> Result<Vec<u8>, Failure> {
    let promise = request.array_buffer().map_err(|_| broken())?;
    let buffer = Wait::from(promise).await.map_err(|_| broken())?;
    let array = Uint8Array::new(&buffer);
    if u64::from(array.length()) > limit {
        return Err(too_large(limit));
    }
    Ok(array.to_vec())
}

/// A body whose length is not declared.
async fn read_in_pieces(request: &Request, limit: u64) -> Result<Vec<u8>, Failure> {
    let Some(stream) = request.body() else {
        return Ok(Vec::new());
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut body = Vec::new();
    loop {
        let piece = Wait::from(reader.read()).await.map_err(|_| broken())?;
        let Some(bytes) = piece_bytes(&piece) else {
            return Ok(body);
        };
        if body.len() as u64 + u64::from(bytes.length()) > limit {
            // What the promise says is of no interest: the request is refused either way.
            let _ = reader.cancel();
            return Err(too_large(limit));
        }
        let start = body.len();
        body.resize(start + bytes.length() as usize, 0);
        bytes.copy_to(&mut body[start..]);
    }
}

/// Takes in as much of a refused body as an accepted one could be, and forgets it: a client that is
/// cut off while it sends sees a broken connection and never the answer.
async fn discard(request: &Request, limit: u64) {
    let Some(stream) = request.body() else {
        return;
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut taken = 0;
    while taken <= limit.saturating_mul(2) {
        match Wait::from(reader.read()).await.ok().as_ref().and_then(piece_bytes) {
            Some(bytes) => taken += u64::from(bytes.length()),
            None => return,
        }
    }
    // What the promise says is of no interest: the request is refused either way.
    let _ = reader.cancel();
}

/// The bytes of what a reader's `read` gave; `None` at the end.
pub fn piece_bytes(piece: &JsValue) -> Option<Uint8Array> {
    let value = Reflect::get(piece, &JsValue::from_str("value")).ok()?;
    value.dyn_into::<Uint8Array>().ok()
}

fn too_large(limit: u64) -> Failure {
    let words = format!("The request body is larger than the limit of {limit} bytes");
    Failure::new(Cause::PayloadTooLarge, words).with("limit_bytes", limit)
}

fn broken() -> Failure {
    Failure::invalid("The request body broke off")
}
