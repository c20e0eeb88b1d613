//! Sends a request on and returns the answer, by the means of the `worker` crate. No byte of either
//! enters the module.

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::WorkerGlobalScope;
use worker::{Context, Env, Request, Response, Result, event};

#[event(fetch)]
async fn pass(request: Request, env: Env, _context: Context) -> Result<Response> {
    let url = format!("{}{}", env.var("UPSTREAM")?.to_string(), request.path());
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    // A request has every member that is asked of its init.
    let sent = scope.fetch_with_str_and_init(&url, request.inner().unchecked_ref());
    let answer: web_sys::Response = JsFuture::from(sent).await?.unchecked_into();
    Ok(answer.into())
}
