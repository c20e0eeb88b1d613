//! Gets the bytes of pictures and documents for providers that fetch nothing. Where a fetch may go,
//! and what its bytes are, the core decides.

use std::cell::Cell;

use futures::future::{Either, join_all, select};
use js_sys::JsString;
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, AbortSignal, ReadableStreamDefaultReader, Response};

use crate::chat::conversation::Source;
use crate::media::{Fetched, Hosts, Link, MAX_BYTES, MAX_LINKS, MAX_TOTAL, Next, TIME_LIMIT_MS, Visit};
use crate::shell::bindings;
use crate::shell::body::piece_bytes;
use crate::shell::upstream::object;
use crate::shell::wait::{Delay, Wait};

/// Fetches all links at once. Whatever is still on its way when the time is over has failed.
pub async fn fetch(links: Vec<Link>, hosts: Hosts, abort: AbortController) -> Fetched {
    let mut fetched = Fetched::default();
    if links.len() > MAX_LINKS {
        let why = format!("At most {MAX_LINKS} links of a request can be fetched.");
        links.iter().for_each(|link| fetched.insert(link, Err(why.clone())));
        return fetched;
    }
    let (left, late) = (Cell::new(MAX_TOTAL), Cell::new(false));
    let signal = abort.signal();
    let all = join_all(links.iter().map(|link| fetch_one(link, &hosts, &left, &late, &signal)));
    let limit = std::pin::pin!(Delay::from(std::time::Duration::from_millis(TIME_LIMIT_MS.into())));
    let outcomes = match select(std::pin::pin!(all), limit).await {
        Either::Left((outcomes, _)) => outcomes,
        Either::Right(((), rest)) => {
            late.set(true);
            abort.abort();
            rest.await
        }
    };
    links.iter().zip(outcomes).for_each(|(link, outcome)| fetched.insert(link, outcome));
    fetched
}

async fn fetch_one(
    link: &Link,
    hosts: &Hosts,
    left: &Cell<u64>,
    late: &Cell<bool>,
    signal: &AbortSignal,
) -> Result<Source, String> {
    let mut visit = Visit::begin(link, hosts)?;
    let broken = |visit: &Visit| if late.get() { visit.too_slow() } else { visit.unreachable() };
    loop {
        let response = ask(visit.url(), signal).await.map_err(|_| broken(&visit))?;
        let header = |name: &str| response.headers().get(name).ok().flatten();
        let length = header("content-length").and_then(|text| text.parse().ok());
        let next = visit.take_head(response.status(), header("location").as_deref(), length, hosts);
        match next {
            Ok(Next::Read) => {
                let bytes = read(&response, &visit, left).await?.ok_or_else(|| broken(&visit))?;
                return visit.take_body(header("content-type").as_deref(), &bytes);
            }
            Ok(Next::Follow(_)) => drop_body(&response),
            Err(why) => {
                drop_body(&response);
                return Err(why);
            }
        }
    }
}

async fn ask(url: &str, signal: &AbortSignal) -> Result<Response, JsValue> {
    let headers = object(&[
        ("accept", "image/png, image/jpeg, image/gif, image/webp, application/pdf, text/*;q=0.5".into()),
        ("user-agent", concat!("millrace/", env!("CARGO_PKG_VERSION")).into()),
    ])?;
    let init = object(&[
        ("method", "GET".into()),
        ("headers", headers),
        // Each hop is checked before it is asked.
        ("redirect", "manual".into()),
        ("signal", signal.into()),
    ])?;
    Wait::from(bindings::fetch(url, &init)?).await?.dyn_into()
}

/// The whole body; `None` where it broke off.
async fn read(response: &Response, visit: &Visit, left: &Cell<u64>) -> Result<Option<Vec<u8>>, String> {
    let Some(stream) = response.body() else { return Ok(Some(Vec::new())) };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    loop {
        let Ok(piece) = Wait::from(reader.read()).await else { return Ok(None) };
        let Some(piece) = piece_bytes(&piece) else { return Ok(Some(bytes)) };
        let length = u64::from(piece.length());
        let fits = bytes.len() as u64 + length <= MAX_BYTES;
        let Some(rest) = left.get().checked_sub(length).filter(|_| fits) else {
            // Nothing more of it is wanted, however that ends.
            let _ = reader.cancel_with_reason(&JsString::from("too large"));
            return Err(if fits { visit.too_much() } else { visit.too_large() });
        };
        left.set(rest);
        bytes.extend_from_slice(&piece.to_vec());
    }
}

/// Lets go of an answer whose body nobody reads.
fn drop_body(response: &Response) {
    if let Some(body) = response.body() {
        let _ = body.cancel();
    }
}
