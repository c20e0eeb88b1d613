//! Builds responses: heads, bodies, and what browsers need to see them.

use web_sys::{Headers, ReadableStream, Response, ResponseInit};

use crate::error::Failure;
use crate::exchange::{Head, rate_headers};
use crate::protocol::bridge::Face;
use crate::shell::edge;

/// Headers of ours that scripts in a browser may read.
const EXPOSED: &str = "x-generation-id, retry-after, etag, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-next-cursor, link, x-overhead-ms, server-timing";

pub fn whole(head: &Head, body: &[u8]) -> Response {
    edge::reply(head.status, &lines(&head.headers), body).expect("statuses and header names are ours")
}

pub fn stream(head: &Head, body: &ReadableStream) -> Response {
    edge::streamed(head.status, &lines(&head.headers), body).expect("statuses and header names are ours")
}

pub fn json(status: u16, body: &str) -> Response {
    let headers = vec![("content-type", "application/json".to_owned())];
    whole(&Head { status, headers }, body.as_bytes())
}

/// A page for people: no script of another site may read it.
pub fn page(status: u16, headers: &[(&'static str, String)], html: &str) -> Response {
    let init = init_of(status, headers.iter().map(|(name, value)| (*name, value.as_str())));
    Response::new_with_opt_str_and_init(Some(html), &init).expect("statuses and header names are ours")
}

/// A status without a body: 304.
pub fn empty(status: u16, headers: &[(&'static str, String)]) -> Response {
    Response::new_with_opt_str_and_init(None, &init(status, headers))
        .expect("statuses and header names are ours")
}

pub fn failure(face: Face, failure: &Failure) -> Response {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    if let Some(seconds) = failure.retry_after_s {
        headers.push(("retry-after", seconds.to_string()));
    }
    headers.extend(rate_headers(failure));
    if let Some(allow) = failure.metadata.get("allow").and_then(|allow| allow.as_str()) {
        headers.push(("allow", allow.to_owned()));
    }
    whole(&Head { status: failure.cause.status(), headers }, &face.write_error(failure, None))
}

/// Adds headers to a response that was made here.
pub fn add(response: &Response, headers: &[(&'static str, String)]) {
    for (name, value) in headers {
        response.headers().set(name, value).expect("header values are plain text");
    }
}

/// The answer to a browser that asks whether it may.
pub fn preflight() -> Response {
    let headers = vec![
        ("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()),
        ("access-control-allow-headers", "*, authorization".to_owned()),
        ("access-control-max-age", "86400".to_owned()),
    ];
    empty(204, &headers)
}

fn init(status: u16, headers: &[(&'static str, String)]) -> ResponseInit {
    init_of(status, with_cors(headers))
}

fn init_of<'a>(status: u16, headers: impl Iterator<Item = (&'a str, &'a str)>) -> ResponseInit {
    let list = Headers::new().expect("an empty list of headers is always possible");
    for (name, value) in headers {
        list.set(name, value).expect("header values are plain text");
    }
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(&list);
    init
}

fn lines(headers: &[(&'static str, String)]) -> String {
    edge::lines(with_cors(headers))
}

fn with_cors<'h>(headers: &'h [(&'static str, String)]) -> impl Iterator<Item = (&'h str, &'h str)> {
    let cors = [("access-control-allow-origin", "*"), ("access-control-expose-headers", EXPOSED)];
    headers.iter().map(|(name, value)| (*name, value.as_str())).chain(cors)
}
