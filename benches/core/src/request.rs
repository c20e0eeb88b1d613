//! What a request costs before its provider is asked, and a whole reply after it.

use std::hint::black_box;

use millrace::account::{KeyKind, KeySnapshot};
use millrace::catalog::{self, Catalog, Protocol};
use millrace::chat::{Bill, ChatRequest, Identity, Usage};
use millrace::config::{Config, Limits, Settling};
use millrace::exchange::{Arrival, Caller, Exchange, Input, Intent, Routed, Step, routes};
use millrace::health::{Store, Unknown};
use millrace::id::{AccountId, GenerationId, KeyHash};
use millrace::json::Outlined;
use millrace::media::Fetched;
use millrace::money::Money;
use millrace::protocol::bridge::{Face, cross};
use millrace::protocol::lane::Target;
use millrace::routing::{Plan, plan};
use millrace::time::Time;

use crate::Case;

pub const CASES: &[Case] = &[
    Case { name: "find every model by its slug", unit: "model", prepare: find, bytes: || 0 },
    Case { name: "hash a key", unit: "key", prepare: hash, bytes: || 0 },
    Case { name: "read a small chat request", unit: "request", prepare: || read(small()), bytes: || 0 },
    Case { name: "read a chat request of 100 KB", unit: "request", prepare: || read(large()), bytes: || large().len() },
    Case { name: "plan a model with the most offers", unit: "plan", prepare: plan_most, bytes: || 0 },
    Case { name: "choose a model by openrouter/auto", unit: "plan", prepare: plan_auto, bytes: || 0 },
    Case { name: "splice a chat request of 100 KB", unit: "request", prepare: || crossing(Face::Chat, large(), Protocol::OpenAiChat), bytes: || large().len() },
    Case { name: "translate a chat request of 100 KB to Messages", unit: "request", prepare: || crossing(Face::Chat, large(), Protocol::AnthropicMessages), bytes: || large().len() },
    Case { name: "translate a chat request of 100 KB to Gemini", unit: "request", prepare: || crossing(Face::Chat, large(), Protocol::Gemini), bytes: || large().len() },
    Case { name: "translate a Messages request of 100 KB to chat", unit: "request", prepare: || crossing(Face::Messages, blocks(), Protocol::OpenAiChat), bytes: || blocks().len() },
    Case { name: "a small chat from arrival to settlement", unit: "request", prepare: || exchange(small()), bytes: || 0 },
    Case { name: "a chat of 100 KB from arrival to settlement", unit: "request", prepare: || exchange(large()), bytes: || large().len() },
];

pub const NOW: Time = Time::from_ms(1_795_270_407_000);

type Ready = (Box<dyn FnOnce()>, u32);

fn small() -> Vec<u8> {
    br#"{"model":"millrace/echo","messages":[{"role":"system","content":"You are brief."},{"role":"user","content":"Say hello."}],"temperature":0.7,"max_tokens":64}"#.to_vec()
}

fn large() -> Vec<u8> {
    let text = "The quick brown fox jumps over the lazy dog, says \\\"oh\\\" and goes on.\\n".repeat(65);
    let turn = format!(r#"{{"role":"user","content":"{text}"}},{{"role":"assistant","content":"{text}"}}"#);
    let turns = vec![turn; 11].join(",");
    format!(r#"{{"model":"millrace/echo","messages":[{turns},{{"role":"user","content":"Go on."}}]}}"#).into_bytes()
}

/// The same for Messages, in blocks, as agents send them.
fn blocks() -> Vec<u8> {
    let text = "The quick brown fox jumps over the lazy dog, says \\\"oh\\\" and goes on.\\n".repeat(65);
    let said = |role: &str| format!(r#"{{"role":"{role}","content":[{{"type":"text","text":"{text}"}}]}}"#);
    let turns = vec![[said("user"), said("assistant")].join(","); 11].join(",");
    format!(r#"{{"model":"millrace/echo","max_tokens":99,"messages":[{turns},{}]}}"#, said("user")).into_bytes()
}

fn find() -> Ready {
    let slugs: Vec<&str> = catalog::models().iter().map(|model| model.slug).collect();
    let units = slugs.len() as u32;
    let work = move || {
        for slug in slugs {
            black_box(Catalog::BUILT_IN.find(black_box(slug)));
        }
    };
    (Box::new(work), units)
}

fn hash() -> Ready {
    let key = "sk-mr-v1-jcKoZJHpUkHL-w7BUXqsZxqveqOq901f2Vz5hD5ICIPAzaJKJZZaPEqP";
    (Box::new(move || drop(black_box(KeyHash::of(black_box(key))))), 1)
}

fn read(body: Vec<u8>) -> Ready {
    (Box::new(move || drop(black_box(request(&Outlined::new(body))))), 1)
}

fn request(body: &Outlined) -> ChatRequest {
    Face::Chat.read_request(body, "", false).expect("a sound request")
}

fn plan_most() -> Ready {
    let most = catalog::models().iter().max_by_key(|model| model.offers.len()).expect("there are models");
    let body = format!(r#"{{"model":"{}","messages":[{{"role":"user","content":"a"}}]}}"#, most.slug);
    let body = Outlined::new(body.into());
    let request = request(&body);
    (Box::new(move || drop(black_box(plan_of(&request, &body)))), 1)
}

fn plan_auto() -> Ready {
    let body = r#"{"model":"openrouter/auto","messages":[{"role":"user","content":"Write a unit test for this function in Python."}]}"#;
    let body = Outlined::new(body.into());
    let request = request(&body);
    (Box::new(move || drop(black_box(plan_of(&request, &body)))), 1)
}

fn plan_of(request: &ChatRequest, body: &Outlined) -> (Plan, Routed) {
    let intent = Intent::read(Face::Chat, body, request, &key(), None).expect("nothing to refuse");
    let query = intent.query(request, Catalog::BUILT_IN, &Unknown, NOW);
    let plan = plan(&query, &|_| true, 7).expect("there are offers");
    let routed = Routed { about: plan.about.clone(), session: intent.session.clone(), ..Routed::default() };
    (plan, routed)
}

fn crossing(face: Face, body: Vec<u8>, wire: Protocol) -> Ready {
    let body = Outlined::new(body);
    let request = face.read_request(&body, "", false).expect("a sound request");
    let provider = catalog::providers().iter().find(|one| one.protocol == wire).expect("a provider");
    let work = move || {
        let target = Target { model: "some-model", quirks: &provider.quirks, max_output: Some(8192) };
        let crossing = cross(face, wire, black_box(&body), &request, provider, &target, &Fetched::default());
        drop(black_box(crossing.expect("it can be said")));
    };
    (Box::new(work), 1)
}

const REPLY: &[u8] = br#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":3,"total_tokens":22}}"#;

fn exchange(body: Vec<u8>) -> Ready {
    let config = Config::read(&|_| None, Catalog::BUILT_IN);
    let work = move || {
        let body = Outlined::new(body);
        let request = request(&body);
        let (plan, routed) = plan_of(&request, &body);
        let routes = routes(&plan, &config, 7);
        drive(&mut Exchange::new(arrival(body, request, routed), routes), REPLY);
    };
    (Box::new(work), 1)
}

fn arrival(body: Outlined, request: ChatRequest, routed: Routed) -> Arrival {
    Arrival {
        now: NOW,
        generation: GenerationId::new(NOW, &[7; 20]),
        key: key(),
        face: Face::Chat,
        body,
        request,
        limits: Limits::default(),
        settling: Settling::default(),
        show_attempts: false,
        caller: Caller::default(),
        routed,
    }
}

/// A stream that has begun.
pub fn streaming(body: &[u8], first: &[u8]) -> Exchange {
    let config = Config::read(&|_| None, Catalog::BUILT_IN);
    let body = Outlined::new(body.to_vec());
    let request = request(&body);
    let (plan, routed) = plan_of(&request, &body);
    let mut exchange = Exchange::new(arrival(body, request, routed), routes(&plan, &config, 7));
    drive(&mut exchange, first);
    assert!(exchange.is_streaming());
    exchange
}

fn drive(exchange: &mut Exchange, reply: &[u8]) {
    let mut health = Store::new("edge".to_owned(), Default::default());
    loop {
        let input = match exchange.step() {
            Step::Done | Step::Wait { .. } => return,
            Step::Hold { .. } => Input::Held,
            Step::Admit(subject) => Input::Admission(health.admit(&subject, NOW)),
            Step::Note(news) => {
                health.take(NOW, &news);
                continue;
            }
            Step::Send(_, outgoing) => {
                drop(black_box(outgoing));
                exchange.feed(NOW, Input::Head { status: 200, retry_after_s: None, error_type: None, exhausted_until: None });
                exchange.feed(NOW, Input::Chunk(reply));
                if exchange.is_streaming() {
                    continue;
                }
                Input::End
            }
            step => {
                drop(black_box(step));
                continue;
            }
        };
        exchange.feed(NOW, input);
    }
}

fn key() -> KeySnapshot {
    KeySnapshot {
        account: AccountId::parse("0123456789Ab").expect("an id"),
        hash: KeyHash::of("sk-mr-v1-test"),
        kind: KeyKind::Inference,
        version: 1,
        disabled: false,
        deleted: false,
        expires_at: None,
        policy: None,
        byok: false,
        workspace: None,
        member: None,
    }
}

pub fn identity() -> Identity {
    Identity {
        generation: "gen-1795270407-AAAAAAAAAAAAAAAAAAAA".to_owned(),
        created: NOW.seconds(),
        model: "some/model".to_owned(),
        provider: "Somebody".to_owned(),
    }
}

pub fn bill() -> Bill {
    Bill {
        usage: Usage::default(),
        cost: Money::ZERO,
        prompt_cost: Money::ZERO,
        completion_cost: Money::ZERO,
        search_cost: Money::ZERO,
        is_byok: false,
        metadata: None,
    }
}
