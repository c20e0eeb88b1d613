//! What the targets share: providers to talk to, pieces to cut into, bounds to keep.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use millrace::catalog::{self, Protocol, Provider};
use millrace::chat::{Bill, Facts, Identity};
use millrace::money::Money;

use crate::memory::allocated;

/// Allocations and time that no input may exceed, far above what any takes that is read in
/// linear time.
const BASE_BYTES: usize = 16 << 20;
const BYTES_PER_BYTE: usize = 4096;
const LONGEST: Duration = Duration::from_secs(4);
const WORTH_ASKING: usize = 64 * 1024;

/// A number that depends on the input alone, so that a finding is found again.
pub fn number(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    hasher.finish()
}

/// Cuts `data` in one of a few ways: into bytes, in two, or into pieces of any size.
pub fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let mut draw = number(data);
    let most = [1, data.len().max(1), 7, 64][(draw % 4) as usize];
    let mut pieces = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (piece, behind) = rest.split_at(rest.len().min(1 + (draw >> 33) as usize % most));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// Does `work` on `length` bytes of input, and holds it to its bounds.
pub fn bounded(length: usize, work: impl FnOnce()) {
    let began = Work::now(length);
    let bytes = allocated(work);
    assert!(bytes <= BASE_BYTES + BYTES_PER_BYTE * length, "{bytes} bytes allocated for {length}");
    let spent = began.spent();
    assert!(spent < LONGEST, "{spent:?} for {length} bytes");
}

/// The time that this thread has worked, where Linux tells it and it is worth asking; else the
/// time that went by.
enum Work {
    Own(Duration),
    Wall(Instant),
}

impl Work {
    fn now(length: usize) -> Work {
        let asked = if length < WORTH_ASKING { None } else { own_time() };
        asked.map_or_else(|| Work::Wall(Instant::now()), Work::Own)
    }

    fn spent(&self) -> Duration {
        match self {
            Work::Own(began) => own_time().unwrap_or_default().saturating_sub(*began),
            Work::Wall(began) => began.elapsed(),
        }
    }
}

fn own_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// A provider that speaks `wire`, and a model it might have.
pub fn provider(wire: Protocol) -> (&'static Provider, &'static str) {
    let (slug, model) = match wire {
        Protocol::OpenAiChat | Protocol::Millrace => ("groq", "gpt-oss-120b"),
        Protocol::OpenAiResponses => ("openai", "gpt-5-mini"),
        Protocol::AnthropicMessages => ("anthropic", "claude-sonnet-4-5-20250929"),
        Protocol::Gemini => ("google-ai-studio", "gemini-2.5-flash"),
        Protocol::Cohere => ("cohere", "command-a-03-2025"),
        Protocol::Bedrock => ("amazon-bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        Protocol::Ollama => ("ollama-native", "llama3.2"),
    };
    (catalog::provider(slug).expect("a row of the catalog"), model)
}

pub fn identity() -> Identity {
    Identity {
        generation: "gen-1-abc".into(),
        created: 1_800_000_000,
        model: "author/model".into(),
        provider: "Some \"Provider\"".into(),
    }
}

pub fn bill(facts: &Facts) -> Bill {
    let cost = Money::from_pico(123_456_789);
    let usage = facts.usage.unwrap_or_default();
    Bill { usage, cost, prompt_cost: cost, completion_cost: Money::ZERO, is_byok: false, search_cost: Money::ZERO, metadata: None }
}

pub fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(6000)]).into_owned()
}
