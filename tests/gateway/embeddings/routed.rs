//! Embeddings by way of the table of pairs: each provider gets and gives them in words of its own.

use crate::outlined;
use millrace::catalog::{self, Protocol};
use millrace::media::Fetched;
use millrace::protocol::bridge::{Bridge, Crossing, Face, Whole, cross, path};

use super::*;

fn ask(slug: &str, model: &str, body: &Value) -> Result<Crossing, Failure> {
    let provider = catalog::provider(slug).expect("a row of the catalog");
    let body = body.to_string();
    let request = Face::Embeddings.read_request(&outlined(&body), "", false).expect("well formed");
    let wire = Face::Embeddings.wire(provider, None, false);
    cross(
        Face::Embeddings,
        wire,
        &outlined(&body),
        &request,
        provider,
        &Target { model, ..TARGET },
        &Fetched::default(),
    )
}

fn answer(bridge: &Bridge, reply: &Value) -> Result<Vec<Vec<f32>>, ReplyFault> {
    let body = reply.to_string();
    let whole = bridge.read_whole(body.as_bytes(), &Quirks::NONE)?;
    assert!(matches!(whole, Whole::Embeddings(_)));
    Ok(vectors(&bridge.write_whole(&whole, body.as_bytes(), &identity(), &bill(Usage::default()))))
}

fn address(slug: &str, model: &str) -> String {
    let provider = catalog::provider(slug).expect("a row of the catalog");
    path(Face::Embeddings, Face::Embeddings.wire(provider, None, false), provider, model, false)
}

#[test]
fn perplexitys_packed_bytes_become_numbers() {
    let crossing =
        ask("perplexity", "pplx-embed", &json!({"model": "m", "input": "a"})).expect("it can be said");
    let reply =
        json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": "AAF/gP8="}]});
    assert_eq!(answer(&crossing.bridge, &reply).expect("a reply"), [[0.0, 1.0, 127.0, -128.0, -1.0]]);
    assert_eq!(address("perplexity", "m"), "/embeddings");
}

#[test]
fn vertex_is_asked_to_predict() {
    let body = json!({"model": "m", "input": ["a\"b", "c"], "dimensions": 2, "input_type": "search_query", "user": "u"});
    let crossing = ask("google-vertex", "text-embedding-005", &body).expect("it can be said");
    let expected = json!({
        "instances": [{"content": "a\"b", "task_type": "RETRIEVAL_QUERY"}, {"content": "c", "task_type": "RETRIEVAL_QUERY"}],
        "parameters": {"outputDimensionality": 2}
    });
    assert_eq!(serde_json::from_slice::<Value>(&crossing.body).expect("JSON"), expected);
    assert_eq!(crossing.bridge.losses().len(), 1, "the user is not told: {:?}", crossing.bridge.losses());
    assert_eq!(address("google-vertex", "text-embedding-005"), "/models/text-embedding-005:predict");
    assert_eq!(address("google-ai-studio", "m"), "/models/m:batchEmbedContents");
    let made = |values: [f64; 2], tokens: u64| json!({"embeddings": {"values": values, "statistics": {"token_count": tokens, "truncated": false}}});
    let reply = json!({"predictions": [made([0.5, 1.0], 3), made([2.0, -1.0], 4)], "metadata": {"billableCharacterCount": 9}});
    assert_eq!(answer(&crossing.bridge, &reply).expect("a reply"), [[0.5, 1.0], [2.0, -1.0]]);
    let whole = crossing.bridge.read_whole(reply.to_string().as_bytes(), &Quirks::NONE).expect("a reply");
    assert_eq!(whole.facts().usage, Some(Usage { input: 7, ..Usage::default() }));
    let short = json!({"predictions": [made([0.5, 1.0], 3)]});
    assert!(matches!(answer(&crossing.bridge, &short), Err(ReplyFault::Error(_))), "one for two");
}

#[test]
fn vertexs_newer_models_are_asked_in_geminis_words() {
    let body = json!({"model": "m", "input": ["a"], "dimensions": 2, "input_type": "search_document"});
    let crossing = ask("google-vertex", "gemini-embedding-2", &body).expect("it can be said");
    let expected = json!({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2, "taskType": "RETRIEVAL_DOCUMENT"});
    assert_eq!(serde_json::from_slice::<Value>(&crossing.body).expect("JSON"), expected);
    assert_eq!(address("google-vertex", "gemini-embedding-2"), "/models/gemini-embedding-2:embedContent");
    let reply = json!({"embedding": {"values": [0.5, 1.0]}, "usageMetadata": {"promptTokenCount": 3}});
    assert_eq!(answer(&crossing.bridge, &reply).expect("a reply"), [[0.5, 1.0]]);
}

#[test]
fn vertex_refuses_what_it_does_not_take() {
    let rows = [
        ("gemini-embedding-001", json!(["a", "b"]), "more than the 1"),
        ("gemini-embedding-2", json!(["a", "b"]), "more than the 1"),
        ("text-embedding-005", json!(vec!["a"; 251]), "more than the 250"),
        ("text-embedding-005", json!([[1, 2]]), "token ids"),
        (
            "text-embedding-005",
            json!([{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]),
            "one text",
        ),
    ];
    for (model, input, why) in rows {
        let failure =
            ask("google-vertex", model, &json!({"model": "m", "input": input})).expect_err("refused");
        assert!(failure.message.contains(why), "{}", failure.message);
    }
    assert_eq!(
        Face::Embeddings.wire(catalog::provider("google-vertex").expect("a row"), None, false),
        Protocol::Gemini
    );
}
