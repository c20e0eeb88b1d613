//! Text completions: requests read, translated and spliced, streams and replies spliced and written.

pub mod grammar;
mod recorded;
mod request;
mod stream;

use millrace::chat::conversation::{Effort, Part, ReasoningKind, Role, Seal};
use millrace::chat::{
    Bill, Citation, Event, Facts, Finish, Identity, Quirks, ReplyFault, StreamUsage, Usage,
};
use millrace::error::{Cause, Failure};
use millrace::money::Money;
use millrace::protocol::lane::{Lane, Target, WholeReply, Writer};
use millrace::protocol::openai_completions::{
    Splice, StreamWriter, finish_reason, read_conversation, read_error, read_request, read_whole,
    splice_request, splice_whole, usage_from, write_error, write_whole,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ALWAYS: Quirks = Quirks { stream_usage: StreamUsage::Always, ..Quirks::NONE };

fn identity() -> Identity {
    Identity { generation: "gen-1".into(), created: 7, model: "a/b".into(), provider: "P \"Q\"".into() }
}

fn bill(usage: Usage) -> Bill {
    Bill {
        usage,
        cost: Money::from_pico(123_000_000),
        prompt_cost: Money::from_pico(100_000_000),
        completion_cost: Money::from_pico(23_000_000),
        search_cost: Money::ZERO,
        is_byok: false,
        metadata: None,
    }
}

/// What is left of a stream for the client, and the splice behind it.
fn splice<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Splice) {
    let mut splice = Splice::new(identity(), Quirks::NONE);
    let mut out = Vec::new();
    for piece in pieces {
        splice.read(piece, &mut out);
    }
    splice.end_of_input(&mut out);
    (out, splice)
}

/// The chunks of a stream, read as simply as can be.
fn chunks(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| *data != "[DONE]").filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// Text and reason to finish of every choice, by index.
fn said(chunks: &[Value]) -> Vec<(String, Value)> {
    let mut said: Vec<(String, Value)> = Vec::new();
    for choice in chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten() {
        let index = choice["index"].as_u64().unwrap_or(0) as usize;
        said.resize(said.len().max(index + 1), Default::default());
        said[index].0.push_str(choice["text"].as_str().unwrap_or_default());
        if !choice["finish_reason"].is_null() {
            said[index].1 = choice["finish_reason"].clone();
        }
    }
    said
}
