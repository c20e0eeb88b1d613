//! Takes in a request to a model, in whatever protocol, and sets its exchange going.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, join, select};
use serde_json::json;
use wasm_bindgen::JsValue;
use web_sys::{AbortSignal, Response};

use crate::account::key::KeySnapshot;
use crate::byok::Own;
use crate::chat::ChatRequest;
use crate::config::Config;
use crate::endpoint;
use crate::error::{Cause, Failure};
use crate::exchange::{Arrival, Caller, Exchange, Intent, Route, Routed, routes, routes_with};
use crate::guard::Rules;
use crate::id::GenerationId;
use crate::json::Outlined;
use crate::protocol::bridge::Face;
use crate::routing::sticky::{Pin, Pins};
use crate::routing::{Plan, describe, plan, survey, untried};
use crate::shell::accounts::AccountClient;
use crate::shell::auth::authenticate_inference;
use crate::shell::bindings::{Context, random};
use crate::shell::driver::Driver;
use crate::shell::edge::Incoming;
use crate::shell::wait::Client;
use crate::shell::wallets::{self, Background};
use crate::shell::{body, byok, clock, health, overlay, presets, reply, rules};
use crate::time::Time;

thread_local! {
    /// Where the sessions that this isolate served have their caches.
    static PINS: RefCell<Pins> = RefCell::new(Pins::default());
}

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
    request: &Incoming,
    env: &JsValue,
    context: Context,
    mut asked: Asked,
) -> Result<Response, Failure> {
    let arrived = clock::now();
    // An isolate that knows neither reads both from KV at once.
    let (config, key) = join(overlay::config(env, &context), authenticate_inference(request, env)).await;
    let (config, key) = (&*config, key?);
    let body = Outlined::new(body::read(request, config.limits.body_bytes).await?);
    let (body, preset_id) = presets::apply(env, &key.account, &mut asked, body).await?;
    let rules = rules::of(&key)?;
    let (body, found) = rules::screened(&key, &rules, body)?;
    let chat = with_default(asked.face.read_request(&body, &asked.model, asked.stream)?, &rules);
    let intent = intent(request, asked.face, &body, &chat, &key, arrived)?.within(&rules.policy);
    let seed = u64::from_le_bytes(random());
    let told = told(request);
    let own = byok::of(env, &key, config).await?;
    let plan = health::with(config, |health| {
        let query = intent.query(&chat, config.catalog, health, arrived);
        plan(&query, &|provider| config.is_live(provider) || own.opens(provider), seed)
    });
    let region = intent.region;
    let plan = plan.map_err(|failure| if told { explained(&chat, region, failure) } else { failure })?;
    health::expect(&plan);
    let routes = routes_of(&plan, config, &own, seed)?;
    let hedge = intent.hedge(&config.hedging)?;
    let routed = Routed { about: plan.about.clone(), region: intent.region, session: intent.session, hedge };
    let account = AccountClient::new(env, &key.account);
    let arrival = Arrival {
        now: arrived,
        generation: GenerationId::new(arrived, &random()),
        key,
        face: asked.face,
        body,
        request: chat,
        limits: config.limits,
        settling: config.settling,
        show_attempts: told,
        caller: Caller { preset_id, found, ..caller(request) },
        routed,
    };
    let mut exchange = Exchange::new(arrival, routes);
    if exchange.has_own_keys() {
        exchange = exchange.with_own_keys(config.byok.terms, wallets::byok_used(account.account()));
    }
    start(exchange, account, config, request.signal(), context, env.clone()).await
}

/// The attempts that may be made, with the account's own keys.
fn routes_of(plan: &Plan, config: &Config, own: &Own, seed: u64) -> Result<Vec<Route>, Failure> {
    if own.is_empty() {
        return Ok(routes(plan, config, seed));
    }
    let routes = routes_with(plan, config, own, seed);
    if routes.is_empty() {
        let words = "The model is served by your own keys alone, and none of them can be used for it. A key that \
                     cannot be opened any more has to be sent again with PATCH /api/v1/byok/{id}";
        return Err(Failure::new(Cause::NoEndpoint, words));
    }
    Ok(routes)
}

/// Says how a request would be routed: everything that its plan would be made of, and nothing sent.
pub async fn explain(
    request: &Incoming,
    env: &JsValue,
    config: &Config,
    face: Face,
) -> Result<Response, Failure> {
    let arrived = clock::now();
    let key = authenticate_inference(request, env).await?;
    let body = Outlined::new(body::read(request, config.limits.body_bytes).await?);
    let mut asked = Asked { face, model: String::new(), stream: false };
    let (body, _) = presets::apply(env, &key.account, &mut asked, body).await?;
    let rules = rules::of(&key)?;
    let (body, _) = rules::screened(&key, &rules, body)?;
    let chat = with_default(face.read_request(&body, &asked.model, false)?, &rules);
    let intent = intent(request, face, &body, &chat, &key, arrived)?.within(&rules.policy);
    let seed = u64::from_le_bytes(random());
    let own = byok::of(env, &key, config).await?;
    let told = health::with(config, |health| {
        let query = intent.query(&chat, config.catalog, health, arrived);
        let survey = survey(&query, &|provider| config.is_live(provider) || own.opens(provider), seed)?;
        Ok(json!({ "data": describe(&query, &survey) }))
    })?;
    Ok(reply::json(200, &told.to_string()))
}

/// A request that names no model asks for its workspace's.
fn with_default(mut chat: ChatRequest, rules: &Rules) -> ChatRequest {
    if chat.model.is_none() && chat.models.is_empty() {
        chat.model.clone_from(&rules.model);
    }
    chat
}

/// Whether the client wants to be told how its request was routed.
fn told(request: &Incoming) -> bool {
    request.header("x-openrouter-metadata").is_some_and(|value| value.eq_ignore_ascii_case("enabled"))
}

fn explained(chat: &ChatRequest, region: Option<&'static str>, failure: Failure) -> Failure {
    let told = untried(&chat.candidates(), region, &failure);
    failure.with("openrouter_metadata", told)
}

/// Reads where a request wants to go, with what this isolate remembers of its session.
fn intent(
    request: &Incoming,
    face: Face,
    body: &Outlined,
    chat: &ChatRequest,
    key: &KeySnapshot,
    now: Time,
) -> Result<Intent, Failure> {
    let session = header(request, "x-session-id");
    let mut intent = Intent::read(face, body, chat, key, session.as_deref())?;
    intent.keep_in(endpoint::region(request.address()));
    if let Some(session) = &mut intent.session {
        session.pin = PINS.with_borrow(|pins| pins.get(session.hash, now).cloned());
    }
    Ok(intent)
}

/// Has a session stay where its prompts are cached.
pub fn remember(session: u64, pin: Pin, long: bool) {
    PINS.with_borrow_mut(|pins| pins.note(session, pin, long, clock::now()));
}

/// Runs the exchange until it has its answer, and in the background what is left of it then, so that it settles
/// even without its client.
async fn start(
    exchange: Exchange,
    account: AccountClient,
    config: &Config,
    signal: AbortSignal,
    context: Context,
    env: JsValue,
) -> Result<Response, Failure> {
    let (sender, receiver) = oneshot::channel();
    let background = Background::new(context);
    let mut client = Client::of(&signal, background.context());
    let (hosts, free) = (config.media_hosts.clone(), config.free);
    let driver = Driver::new(exchange, account, hosts, free, background.clone(), signal, sender);
    // A panic ends this exchange alone; what was set aside for it is given back.
    let run = async move {
        let run = AssertUnwindSafe(driver.run(&mut client)).catch_unwind();
        let _ = join(run, health::report(&env)).await;
        // What the exchange had to tell may be urgent.
        health::report(&env).await;
    };
    match select(Box::pin(run), receiver).await {
        Either::Left(((), receiver)) => receiver.now_or_never().and_then(Result::ok).ok_or_else(internal),
        Either::Right((answer, rest)) => {
            background.run(rest).map_err(|_| internal())?;
            answer.map_err(|_| internal())
        }
    }
}

fn caller(request: &Incoming) -> Caller {
    Caller {
        referer: header(request, "http-referer").or_else(|| header(request, "referer")),
        user_agent: header(request, "user-agent"),
        betas: request.header("anthropic-beta").map(str::to_owned),
        preset_id: None,
        found: Vec::new(),
        verbatim: request.header("x-millrace-stream") == Some("verbatim"),
    }
}

fn header(request: &Incoming, name: &str) -> Option<String> {
    let value = request.header(name)?;
    let is_short = value.len() <= MAX_HEADER;
    Some(if is_short { value.to_owned() } else { value.chars().take(MAX_HEADER).collect() })
}

fn internal() -> Failure {
    Failure::new(Cause::Internal, "Internal Server Error")
}
