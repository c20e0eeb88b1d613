//! Embeddings: requests read and written for each upstream, replies brought into one shape.

mod grammar;
mod recorded;
mod reply;
mod request;
mod routed;

use crate::bill::for_prompt;
use millrace::chat::{Bill, Identity, Quirks, ReplyFault, Usage};
use millrace::error::Failure;
use millrace::money::Money;
use millrace::protocol::embeddings::{
    Dialect, EmbeddingsReply, EmbeddingsRequest, Encoding, InputKind, cohere, gemini, read_error, read_reply,
    read_request, vertex, write_error, write_reply, write_request,
};
use millrace::protocol::lane::Target;
use proptest::prelude::*;
use serde_json::{Value, json};

const TRUSTED: Quirks = Quirks { reports_cost: true, ..Quirks::NONE };
const TARGET: Target<'static> = Target { model: "up/m", quirks: &Quirks::NONE, max_output: None };

fn identity() -> Identity {
    Identity {
        generation: "gen-emb-1-abc".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P \"Q\"".into(),
    }
}

fn bill(usage: Usage) -> Bill {
    let cost = Money::from_pico(140_000);
    for_prompt(usage, cost)
}

fn asked(count: usize, encoding: &str) -> EmbeddingsRequest {
    let input = vec!["x"; count];
    read_request(json!({"model": "m", "input": input, "encoding_format": encoding}).to_string().as_bytes())
        .expect("good")
}

fn written(reply: &EmbeddingsReply) -> Vec<u8> {
    write_reply(reply, &identity(), &bill(reply.facts.usage.unwrap_or_default()))
}

/// The numbers of every embedding of a reply, however they are packed.
fn vectors(reply: &[u8]) -> Vec<Vec<f32>> {
    let reply: Value = serde_json::from_slice(reply).expect("JSON");
    let vector = |item: &Value| match &item["embedding"] {
        Value::String(text) => unpack(text),
        // Through the text: a float of 64 bits in between would round twice.
        other => {
            other.as_array().expect("numbers").iter().map(|it| it.to_string().parse().expect("f32")).collect()
        }
    };
    reply["data"].as_array().expect("data").iter().map(vector).collect()
}

/// Base64 bit by bit, unlike the code under test.
fn bytes_of(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = text.chars().filter(|letter| *letter != '=');
    let bits: Vec<u8> = letters
        .flat_map(|letter| {
            let value = ALPHABET.find(letter).expect("base64") as u8;
            (0..6).rev().map(move |bit| value >> bit & 1)
        })
        .collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | bit)).collect()
}

fn unpack(text: &str) -> Vec<f32> {
    let bytes = bytes_of(text);
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("four"))).collect()
}
