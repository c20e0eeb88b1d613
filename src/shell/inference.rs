//! Takes in a request to a model, in whatever protocol, and sets its exchange going.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::join;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{AbortSignal, Request, Response};
use worker::worker_sys;

use crate::account::key::KeyKind;
use crate::config::Config;
use crate::error::{Cause, Failure};
use crate::exchange::{Arrival, Caller, Exchange, account_down, routes};
use crate::id::GenerationId;
use crate::media::Hosts;
use crate::protocol::bridge::Face;
use crate::routing::{Preference, Query, plan};
use crate::shell::accounts::AccountClient;
use crate::shell::auth::authenticate_as;
use crate::shell::bindings::random;
use crate::shell::driver::Driver;
use crate::shell::{body, clock, health, presets};

/// As much of a header as a record keeps, in characters.
const MAX_HEADER: usize = 200;

/// What a request's path says of it.
pub struct Asked {
    pub face: Face,
    /// The model and whether to stream, where the body does not say.
    pub model: String,
    pub stream: bool,
}

pub async fn answer(
    request: Request,
    env: &JsValue,
    config: &Config,
    context: worker_sys::Context,
    asked: Asked,
) -> Result<Response, Failure> {
    let arrived = clock::now();
    let key = authenticate_as(KeyKind::Inference, &request, env).await?;
    let body = body::read(&request, config.limits.body_bytes).await?;
    let body = presets::apply(env, &key.account, asked.face, body).await?;
    let chat = asked.face.read_request(&body, &asked.model, asked.stream)?;
    let preference = Preference::read(chat.provider.as_deref())?;
    let candidates = chat.candidates();
    let seed = u64::from_le_bytes(random());
    let plan = health::with(config, |health| {
        let query = Query {
            catalog: config.catalog,
            health,
            now: arrived,
            models: &candidates,
            preference: &preference,
            needs: &chat.needs,
            size: &chat.size,
        };
        plan(&query, &|provider| config.is_live(provider), seed)
    })?;
    health::expect(&plan);
    let routes = routes(&plan, config, seed);
    let account = AccountClient::new(env, &key.account).map_err(|_| account_down())?;
    let arrival = Arrival {
        now: arrived,
        generation: GenerationId::new(arrived, &random()),
        key,
        face: asked.face,
        body,
        request: chat,
        limits: config.limits,
        show_attempts: header(&request, "x-openrouter-metadata")
            .is_some_and(|v| v.eq_ignore_ascii_case("enabled")),
        caller: caller(&request),
    };
    let exchange = Exchange::new(arrival, routes);
    start(exchange, account, config.media_hosts.clone(), request.signal(), context, env.clone()).await
}

/// Runs the exchange in the background, so that it settles even without its client, and waits
/// for its answer.
async fn start(
    exchange: Exchange,
    account: AccountClient,
    hosts: Hosts,
    signal: AbortSignal,
    context: worker_sys::Context,
    env: JsValue,
) -> Result<Response, Failure> {
    let (sender, receiver) = oneshot::channel();
    let driver = Driver::new(exchange, account, hosts, signal, sender);
    let background = future_to_promise(AssertUnwindSafe(async move {
        // A panic ends this exchange alone. Its hold is given back by the account's alarm.
        let run = AssertUnwindSafe(driver.run()).catch_unwind();
        let _ = join(run, health::report(&env)).await;
        // What the exchange had to tell may be urgent.
        health::report(&env).await;
        Ok(JsValue::UNDEFINED)
    }));
    context.wait_until(&background).map_err(|_| internal())?;
    receiver.await.map_err(|_| internal())
}

fn caller(request: &Request) -> Caller {
    Caller {
        referer: header(request, "http-referer").or_else(|| header(request, "referer")),
        user_agent: header(request, "user-agent"),
        betas: request.headers().get("anthropic-beta").ok().flatten(),
    }
}

fn header(request: &Request, name: &str) -> Option<String> {
    let value = request.headers().get(name).ok().flatten()?;
    Some(value.chars().take(MAX_HEADER).collect())
}

fn internal() -> Failure {
    Failure::new(Cause::Internal, "Internal Server Error")
}
