//! What streams cost: bytes to frames, and a reply's way from each protocol into each.

use std::hint::black_box;

use millrace::catalog::{self, Protocol};
use millrace::exchange::{Input, Step};
use millrace::json::Outlined;
use millrace::media::Fetched;
use millrace::protocol::bridge::{Face, cross};
use millrace::protocol::gemini::Framing;
use millrace::protocol::lane::{Lane, Target};
use millrace::sse;

use crate::Case;
use crate::request::{NOW, bill, identity, streaming};

/// Chunks of a measured stream, each of one event and twelve tokens or so.
const CHUNKS: u32 = 200;

pub const CASES: &[Case] = &[
    Case { name: "scan frames of 1 KB", unit: "KB", prepare: scan, bytes: || 1024 },
    Case { name: "chat to chat", unit: "chunk", prepare: || lane(Face::Chat, Protocol::OpenAiChat), bytes: || chunk(Protocol::OpenAiChat) },
    Case { name: "chat to chat, through the exchange", unit: "chunk", prepare: through, bytes: || chunk(Protocol::OpenAiChat) },
    Case { name: "Messages to Messages", unit: "chunk", prepare: || lane(Face::Messages, Protocol::AnthropicMessages), bytes: || chunk(Protocol::AnthropicMessages) },
    Case { name: "Messages to chat", unit: "chunk", prepare: || lane(Face::Chat, Protocol::AnthropicMessages), bytes: || chunk(Protocol::AnthropicMessages) },
    Case { name: "chat to Messages", unit: "chunk", prepare: || lane(Face::Messages, Protocol::OpenAiChat), bytes: || chunk(Protocol::OpenAiChat) },
    Case { name: "Gemini to chat", unit: "chunk", prepare: || lane(Face::Chat, Protocol::Gemini), bytes: || chunk(Protocol::Gemini) },
    Case { name: "chat to Gemini", unit: "chunk", prepare: || lane(Face::Gemini(Framing::Sse), Protocol::OpenAiChat), bytes: || chunk(Protocol::OpenAiChat) },
    Case { name: "chat to Responses", unit: "chunk", prepare: || lane(Face::Responses, Protocol::OpenAiChat), bytes: || chunk(Protocol::OpenAiChat) },
];

/// How long a chunk is.
fn chunk(wire: Protocol) -> usize {
    let chunks = reply(wire);
    chunks[1..].iter().map(Vec::len).sum::<usize>() / (chunks.len() - 1)
}

fn scan() -> (Box<dyn FnOnce()>, u32) {
    let frame = format!("data: {}\n\n", "x".repeat(1016)).into_bytes();
    let work = move || {
        let mut reader = sse::Reader::new(1 << 20);
        for _ in 0..CHUNKS {
            let read = reader.read(black_box(&frame), |frame| {
                black_box(frame.data.len());
            });
            read.expect("short frames");
        }
    };
    (Box::new(work), CHUNKS)
}

fn lane(face: Face, wire: Protocol) -> (Box<dyn FnOnce()>, u32) {
    let chunks = reply(wire);
    let mut lane = lane_of(face, wire);
    let mut out = Vec::with_capacity(64 * 1024);
    lane.read(&chunks[0], &mut out);
    let units = chunks.len() as u32 - 1;
    let work = move || {
        for chunk in &chunks[1..] {
            out.clear();
            lane.read(black_box(chunk), &mut out);
            black_box(out.len());
        }
        assert!(lane.facts().output_bytes > 1000 && lane.facts().fault.is_none(), "{:?}", lane.facts());
        lane.write_end(&bill(), &mut out);
    };
    (Box::new(work), units)
}

fn through() -> (Box<dyn FnOnce()>, u32) {
    let mut chunks = reply(Protocol::OpenAiChat);
    chunks[0] = [&chunks[0][..], &chunks[1]].concat();
    let body = r#"{"model":"millrace/echo","stream":true,"max_tokens":99,"messages":[{"role":"user","content":"a"}]}"#;
    let mut exchange = streaming(body.as_bytes(), &chunks[0]);
    let units = chunks.len() as u32 - 1;
    let work = move || {
        for chunk in &chunks[1..] {
            exchange.feed(NOW, Input::Chunk(black_box(chunk)));
            loop {
                match exchange.step() {
                    Step::Write(bytes) => exchange.take_back(black_box(bytes)),
                    Step::Wait { .. } => break,
                    step => panic!("{step:?}"),
                }
            }
        }
    };
    (Box::new(work), units)
}

fn lane_of(face: Face, wire: Protocol) -> Box<dyn Lane> {
    let body = match face {
        Face::Responses => r#"{"model":"a/b","stream":true,"input":"a"}"#,
        Face::Gemini(_) => r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}]}"#,
        _ => r#"{"model":"a/b","stream":true,"max_tokens":99,"messages":[{"role":"user","content":"a"}]}"#,
    };
    let body = Outlined::new(body.into());
    let request = face.read_request(&body, "a/b", true).expect("a sound request");
    let provider = catalog::providers().iter().find(|one| one.protocol == wire).expect("a provider");
    let target = Target { model: "some-model", quirks: &provider.quirks, max_output: Some(8192) };
    let crossing = cross(face, wire, &body, &request, provider, &target, &Fetched::default()).expect("it can be said");
    crossing.bridge.lane(identity(), provider.quirks)
}

/// A reply as a provider of that protocol streams it, without its end.
fn reply(wire: Protocol) -> Vec<Vec<u8>> {
    let text = |index: u32| format!("token {index} of a reply that says \\\"little\\\", ");
    let (first, each): (&str, &dyn Fn(u32) -> String) = match wire {
        Protocol::AnthropicMessages => (
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            &|index| format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{}\"}}}}\n\n", text(index)),
        ),
        Protocol::Gemini => (
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\",\"responseId\":\"r\"}\n\n",
            &|index| format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{}\"}}],\"role\":\"model\"}},\"index\":0}}],\"usageMetadata\":{{\"promptTokenCount\":10,\"candidatesTokenCount\":{index},\"totalTokenCount\":{}}},\"modelVersion\":\"m\",\"responseId\":\"r\"}}\n\n", text(index), index + 10),
        ),
        _ => (
            "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
            &|index| format!("data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}},\"finish_reason\":null}}]}}\n\n", text(index)),
        ),
    };
    std::iter::once(first.to_owned()).chain((0..CHUNKS).map(each)).map(String::into_bytes).collect()
}
