//! What a reply used is the same however it comes: each recorded whole reply is told as the stream
//! that would have brought it, and recordings of one request, streamed and whole, are compared.

use std::collections::BTreeMap;

use millrace::chat::{Facts, Quirks, Usage};
use millrace::protocol::lane::Lane;
use millrace::protocol::openai_completions;
use serde_json::{Value, json};

use super::{Recording, Reply, Wire, all, frames};
use crate::grid::rows::upstreams;

#[test]
fn every_recorded_reply_uses_as_much_as_the_stream_that_would_have_brought_it() {
    for recording in all() {
        let Some(body) = recording.whole() else { continue };
        let reply: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(stream) = as_stream(recording.wire, &reply) else { continue };
        let Some(whole) = facts(recording.wire, &Reply::Whole(body.to_vec()), recording.quirks()) else {
            continue;
        };
        let streamed = facts(recording.wire, &Reply::Stream(stream), recording.quirks()).expect("facts");
        assert_eq!(streamed.usage, whole.usage, "{}", recording.name);
        assert_eq!(streamed.cost, whole.cost, "{}", recording.name);
    }
}

/// Two recordings of one request say the same of their input, if their providers counted the same.
#[test]
fn recorded_pairs_use_alike() {
    let mut asked: BTreeMap<String, Vec<&Recording>> = BTreeMap::new();
    for recording in all().iter().filter(|recording| recording.wire != Wire::Other) {
        let request = recording.request.as_deref().and_then(|body| serde_json::from_slice(body).ok());
        let Some(Value::Object(mut request)) = request else { continue };
        ["stream", "stream_options"].iter().for_each(|key| drop(request.remove(*key)));
        let method =
            recording.url.replace("streamGenerate", "generate").replace("/converse-stream", "/converse");
        let key = format!("{method} {}", Value::Object(request));
        asked.entry(key).or_default().push(recording);
    }
    let mut compared = 0;
    for alike in asked.values() {
        let streams = alike.iter().filter_map(|it| Some((it, counted(it, it.stream()?)?)));
        let streams: Vec<_> = streams.collect();
        for (whole, (counts, usage)) in alike.iter().filter_map(|it| Some((it, counted(it, it.whole()?)?))) {
            for (stream, (other, streamed)) in streams.iter().filter(|(_, (other, _))| *other == counts) {
                assert_eq!(input(*streamed), input(usage), "{} {}: {other:?}", whole.name, stream.name);
                compared += 1;
            }
        }
    }
    println!("{compared} pairs of a stream and a whole reply to the same request");
}

/// The provider's counts of the input, and our reading of them.
fn counted(recording: &Recording, body: &[u8]) -> Option<(BTreeMap<String, u64>, Usage)> {
    let usage = facts(recording.wire, recording.reply.as_ref()?, recording.quirks())?.usage?;
    let mut counts = BTreeMap::new();
    let whole = serde_json::from_slice(body).map(|value| vec![value]);
    whole.unwrap_or_else(|_| frames(body)).iter().for_each(|value| leaves(value, &mut counts));
    (!counts.is_empty()).then_some((counts, usage))
}

fn leaves(value: &Value, found: &mut BTreeMap<String, u64>) {
    match value {
        Value::Object(all) => all.iter().for_each(|(key, value)| {
            let about_input =
                ["input", "prompt", "cache"].iter().any(|word| key.to_lowercase().contains(word));
            if let Some(count) = value.as_u64().filter(|count| about_input && *count > 0) {
                found.insert(key.clone(), count);
            }
            leaves(value, found);
        }),
        Value::Array(all) => all.iter().for_each(|value| leaves(value, found)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn input(usage: Usage) -> Usage {
    Usage { output: 0, reasoning: 0, output_audio: 0, output_image: 0, ..usage }
}

/// What our readers make of a reply; `None` if it is none, or of no chat.
pub fn facts(wire: Wire, reply: &Reply, quirks: Quirks) -> Option<Facts> {
    if wire == Wire::Completions {
        return match reply {
            Reply::Whole(body) => Some(openai_completions::read_whole(body, &quirks).ok()?.facts),
            Reply::Stream(bytes) => {
                let mut splice = openai_completions::Splice::new(crate::grid::identity(), quirks);
                splice.read(bytes, &mut Vec::new());
                splice.end_of_input(&mut Vec::new());
                Some(splice.facts().clone())
            }
        };
    }
    let upstream = upstreams().into_iter().find(|upstream| upstream.wire == wire)?;
    match reply {
        Reply::Whole(body) => Some((upstream.read_whole)(body, &quirks, &[]).ok()?.facts),
        Reply::Stream(bytes) => {
            let mut reader = (upstream.reader)(quirks, Vec::new());
            reader.read(bytes, &mut Vec::new());
            reader.end_of_input(&mut Vec::new());
            Some(reader.facts().clone())
        }
    }
}

/// The end of the stream that would have brought a whole reply.
fn as_stream(wire: Wire, reply: &Value) -> Option<Vec<u8>> {
    let frames = match wire {
        Wire::Chat => {
            let choice = json!({"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"});
            let head = json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]});
            let mut tail = reply.clone();
            tail.as_object_mut()?.insert("choices".into(), json!([]));
            vec![head, tail]
        }
        Wire::Completions => vec![reply.clone()],
        Wire::Responses => vec![json!({"type": "response.completed", "response": reply})],
        Wire::Messages => {
            let delta = json!({"stop_reason": reply["stop_reason"], "stop_sequence": null});
            vec![
                json!({"type": "message_start", "message": reply}),
                json!({"type": "message_delta", "delta": delta, "usage": reply["usage"]}),
                json!({"type": "message_stop"}),
            ]
        }
        Wire::Gemini => vec![reply.clone()],
        Wire::Cohere => {
            let delta = json!({"finish_reason": reply["finish_reason"], "usage": reply["usage"]});
            vec![
                json!({"type": "message-start", "id": reply["id"], "delta": {"message": {"role": "assistant"}}}),
                json!({"type": "message-end", "delta": delta}),
            ]
        }
        Wire::Ollama => return Some(format!("{reply}\n").into_bytes()),
        // As frames of the event stream: `bedrock/recorded.rs`.
        Wire::Bedrock | Wire::GeminiCount | Wire::Other => return None,
        Wire::Embeddings | Wire::GeminiEmbeddings | Wire::CohereEmbeddings | Wire::VertexEmbeddings => {
            return None;
        }
    };
    if !reply.is_object() {
        return None;
    }
    let mut text: String = frames
        .iter()
        .map(|frame| match frame["type"].as_str() {
            Some(kind) => format!("event: {kind}\ndata: {frame}\n\n"),
            None => format!("data: {frame}\n\n"),
        })
        .collect();
    if matches!(wire, Wire::Chat | Wire::Completions) {
        text.push_str("data: [DONE]\n\n");
    }
    Some(text.into_bytes())
}
