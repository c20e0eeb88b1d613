//! What is fuzzed, as functions from bytes: one for each target. `cargo fuzz` and `npm run fuzz`
//! call the same ones. They panic where an invariant breaks.

mod account;
mod billing;
mod check;
mod exchange;
mod face;
mod grammar;
mod ledger;
mod memory;
mod text;
mod wallet;
mod wire;

use millrace::catalog::Protocol;
use millrace::protocol::bridge::Face;
use millrace::protocol::gemini::Framing;

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// Every target, by its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("face_openai_chat", |data| face::check(Face::Chat, data)),
    ("face_openai_completions", |data| face::check(Face::Completions, data)),
    ("face_openai_responses", |data| face::check(Face::Responses, data)),
    ("face_anthropic_messages", |data| face::check(Face::Messages, data)),
    ("face_gemini", |data| face::check(Face::Gemini(Framing::Sse), data)),
    ("face_embeddings", |data| face::check(Face::Embeddings, data)),
    ("face_rerank", |data| face::check(Face::Rerank, data)),
    ("wire_openai_chat", |data| wire::check(Protocol::OpenAiChat, data)),
    ("wire_openai_responses", |data| wire::check(Protocol::OpenAiResponses, data)),
    ("wire_anthropic_messages", |data| wire::check(Protocol::AnthropicMessages, data)),
    ("wire_gemini", |data| wire::check(Protocol::Gemini, data)),
    ("wire_cohere", |data| wire::check(Protocol::Cohere, data)),
    ("wire_bedrock", wire::check_bedrock),
    ("wire_ollama", |data| wire::check(Protocol::Ollama, data)),
    ("wire_vectors", wire::check_vectors),
    ("exchange", exchange::check),
    ("wallet", wallet::check),
    ("account_ledger", ledger::check),
    ("billing_events", billing::check),
    ("sse", text::check_sse),
    ("json", text::check_json),
    ("numbers", text::check_numbers),
];

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of that name");
    target(data);
}

/// The target that `MILLRACE_FUZZ_TARGET` names, for the one binary that holds all of them.
pub fn run_named(data: &[u8]) {
    static NAME: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        std::env::var("MILLRACE_FUZZ_TARGET").expect("MILLRACE_FUZZ_TARGET names a target")
    });
    run(&NAME, data);
}
