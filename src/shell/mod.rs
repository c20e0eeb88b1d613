//! The only code that waits. It takes requests from the runtime, asks the core what to do, does
//! it, and reports what happened.

mod access;
mod account_object;
mod accounts;
mod admin_catalog;
mod alerts;
mod auth;
mod billing;
mod bindings;
mod body;
mod books;
mod budgets;
mod byok;
mod catalog;
mod clock;
mod driver;
mod edge;
mod failpoint;
mod health;
mod health_object;
mod inference;
mod instance;
mod manage;
mod media;
mod overlay;
mod presets;
mod relay;
mod reply;
mod rules;
mod team;
mod tokens;
mod upstream;
mod wait;
mod wallets;

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use js_sys::Promise;
use serde_json::json;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{Request, Response};

use crate::config::Config;
use crate::endpoint::{self, Endpoint};
use crate::error::Failure;
use crate::exchange::Timing;
use crate::protocol::bridge::Face;
use crate::protocol::gemini::Framing;
use crate::shell::edge::Incoming;
use crate::shell::inference::Asked;
use crate::shell::manage::Call;
use crate::time::Time;

/// Answers one request. A panic rejects the promise and harms no other request: what requests
/// share is whole between any two steps.
#[wasm_bindgen]
pub fn handle(request: Request, env: JsValue, context: bindings::Context) -> Promise {
    future_to_promise(AssertUnwindSafe(clock::in_turns(async move {
        let arrived = clock::now();
        let request = Incoming::new(request);
        let (path, query) = path_and_query(request.address());
        let endpoint = endpoint::find(request.verb(), path);
        let name = endpoint.as_ref().map_or("none", Endpoint::name);
        let face = endpoint.as_ref().map_or_else(|_| endpoint::face(path), face_of);
        let asked = endpoint.as_ref().ok().and_then(|endpoint| inference_of(endpoint, query));
        let is_inference = asked.is_some();
        let answered = match (asked, endpoint) {
            (Some(asked), _) => inference::answer(&request, &env, context, asked).await,
            (None, Ok(endpoint)) => {
                let config = overlay::config(&env, &context).await;
                manage(&request, &env, &config, endpoint, query).await
            }
            (None, Err(failure)) => Err(failure),
        };
        // An exchange writes its own line, when it has ended, and times its own reply.
        let is_ours = !is_inference || answered.is_err();
        if is_ours {
            bindings::console_log(&request_line(name, &answered, arrived));
        }
        let response = answered.unwrap_or_else(|failure| reply::failure(face, &failure));
        if is_ours {
            let gateway = clock::now().since(arrived);
            reply::add(&response, &Timing { gateway, upstream: Duration::ZERO }.headers());
        }
        Ok(response.into())
    })))
}

/// The line of a request that had no exchange.
fn request_line(endpoint: &str, answered: &Result<Response, Failure>, arrived: Time) -> String {
    let ms = clock::now().since(arrived).as_millis() as u64;
    let (status, error) = match answered {
        Ok(response) => (response.status(), None),
        Err(failure) => (failure.cause.status(), Some(failure.cause.error_type())),
    };
    json!({ "event": "request", "endpoint": endpoint, "status": status, "error": error, "total_ms": ms })
        .to_string()
}

/// Answers what asks no model.
async fn manage(
    request: &Incoming,
    env: &JsValue,
    config: &Config,
    endpoint: Endpoint,
    query: &str,
) -> Result<Response, Failure> {
    match endpoint {
        #[cfg(feature = "failpoints")]
        Endpoint::Failpoint(name) => failpoint::set(&name),
        Endpoint::Route(face) => inference::explain(request, env, config, face).await,
        endpoint => Call { request, env, config, query, acting: RefCell::default() }.answer(endpoint).await,
    }
}

/// What a path asks of a model, if it does.
fn inference_of(endpoint: &Endpoint, query: &str) -> Option<Asked> {
    match endpoint {
        Endpoint::Inference(face) => Some(Asked { face: *face, model: String::new(), stream: false }),
        Endpoint::GenerateContent(model, stream) => {
            let sse = query.split('&').any(|pair| pair == "alt=sse");
            let framing = if sse { Framing::Sse } else { Framing::Array };
            Some(Asked { face: Face::Gemini(framing), model: model.clone(), stream: *stream })
        }
        _ => None,
    }
}

/// In whose words an endpoint's failures are told.
fn face_of(endpoint: &Endpoint) -> Face {
    match endpoint {
        Endpoint::Inference(face) | Endpoint::Route(face) => *face,
        Endpoint::CountTokens => Face::Messages,
        Endpoint::GenerateContent(..) | Endpoint::GeminiCountTokens(_) => Face::Gemini(Framing::Sse),
        _ => Face::Chat,
    }
}

/// Splits `https://host/path?query#fragment` without decoding anything.
fn path_and_query(url: &str) -> (&str, &str) {
    let url = url.split('#').next().unwrap_or(url);
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url[after_scheme..].find('/').map_or("/", |at| &url[after_scheme + at..]);
    path.split_once('?').unwrap_or((path, ""))
}
