//! Recorded exchanges of embeddings, in the words of OpenAI and its likes, of Gemini and of Cohere.

use super::*;
use crate::recorded::{Recording, Wire, all};

/// How the recorded provider speaks; `None` if it makes no embeddings.
fn spoken(recording: &Recording) -> Option<Spoken> {
    const HOSTS: &[(&str, Dialect)] = &[
        ("api.openai.com", Dialect::OpenAi),
        ("mistral.ai", Dialect::Mistral),
        ("voyageai.com", Dialect::Voyage),
        ("perplexity.ai", Dialect::Perplexity),
    ];
    match recording.wire {
        Wire::Embeddings => {
            let known = HOSTS.iter().find(|(host, _)| recording.url.contains(host));
            Some(Spoken::OpenAi(known.map_or(Dialect::Compatible, |(_, dialect)| *dialect)))
        }
        Wire::GeminiEmbeddings => Some(Spoken::Gemini),
        Wire::CohereEmbeddings => Some(Spoken::Cohere),
        Wire::VertexEmbeddings => Some(Spoken::Vertex),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    OpenAi(Dialect),
    Gemini,
    Cohere,
    Vertex,
}

/// One exchange whose request is at hand.
struct Exchange {
    name: &'static str,
    spoken: Spoken,
    sent: Value,
    request: &'static str,
    reply: Option<&'static [u8]>,
}

fn exchanges() -> impl Iterator<Item = Exchange> {
    all().iter().filter_map(|recording| {
        let request = std::str::from_utf8(recording.request.as_deref()?).ok()?;
        let sent = serde_json::from_str(request).ok()?;
        let (spoken, reply) = (spoken(recording)?, recording.whole());
        Some(Exchange { name: &recording.name, spoken, sent, request, reply })
    })
}

/// How many embeddings a request asks for.
fn count(sent: &Value) -> Option<usize> {
    ["input", "texts", "images", "requests", "instances"].into_iter().find_map(|key| match &sent[key] {
        // Numbers are the tokens of one text.
        Value::Array(all) => Some(if all.iter().all(Value::is_number) { 1 } else { all.len() }),
        Value::String(_) => Some(1),
        _ => None,
    })
}

#[test]
fn every_recorded_reply_comes_through_in_both_encodings() {
    for exchange in exchanges() {
        let (name, Some(body)) = (exchange.name, exchange.reply) else { continue };
        let upstream: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(count) = count(&exchange.sent) else { continue };
        let both = ["float", "base64"].map(|encoding| {
            let reply = read(exchange.spoken, body, &asked(count, encoding)).map_err(|fault| {
                let none = ["data", "embeddings", "embedding", "predictions"]
                    .iter()
                    .all(|key| upstream.get(*key).is_none());
                assert!(none, "{name}: {fault:?}");
            });
            let reply = reply.ok()?;
            let out = written(&reply);
            grammar::check_whole(&out, encoding == "base64", count)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            check_usage(name, &upstream, &reply);
            assert!(vectors(&out).iter().all(|vector| vector.len() == reply.dimensions), "{name}");
            Some((vectors(&out), reply.dimensions))
        });
        let [Some(floats), Some(packed)] = both else { continue };
        assert_eq!(floats, packed, "{name}");
        if let Some(first) = first_vector(&upstream) {
            assert_eq!(floats.0[0], first, "{name}");
        }
    }
}

/// The first embedding as the provider has it, if it is one of plain numbers.
fn first_vector(reply: &Value) -> Option<Vec<f32>> {
    let places = [
        "/predictions/0/embeddings/values",
        "/data/0/embedding",
        "/embeddings/0/values",
        "/embeddings/float/0",
        "/embeddings/0",
    ];
    let numbers = places.into_iter().find_map(|place| reply.pointer(place)?.as_array())?;
    numbers.iter().map(|number| number.to_string().parse().ok()).collect()
}

#[test]
fn a_recorded_reply_that_breaks_off_is_none() {
    for exchange in exchanges() {
        let Some(body) = exchange.reply.map(<[u8]>::trim_ascii_end) else { continue };
        let stride = (body.len() / 100).max(1);
        for end in (0..body.len()).step_by(stride).chain(body.len().checked_sub(1)) {
            let fault = read(exchange.spoken, &body[..end], &asked(1, "float")).expect_err("cut");
            assert!(matches!(fault, ReplyFault::NotJson(_)), "{}: {fault:?}", exchange.name);
        }
    }
}

#[test]
fn every_recorded_error_is_one() {
    for recording in all() {
        let (Some(spoken), Some(body)) = (spoken(recording), recording.error()) else { continue };
        let read = read(spoken, body, &asked(1, "float"));
        assert!(read.is_err(), "{}", recording.name);
    }
}

#[test]
fn every_recorded_request_keeps_all_but_its_model() {
    for Exchange { name, spoken, sent, request, .. } in exchanges() {
        let Spoken::OpenAi(dialect @ (Dialect::OpenAi | Dialect::Compatible)) = spoken else { continue };
        if read_request(request.as_bytes()).is_err() {
            continue;
        }
        let written = write_request(request.as_bytes(), &TARGET, dialect);
        let expected = request.replacen(&sent["model"].to_string(), "\"up/m\"", 1);
        assert_eq!(String::from_utf8_lossy(&written.body), expected, "{name}");
        grammar::check_request(&written.body).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Members whose values clients choose, or that they leave to the provider.
const FREE: &[&str] = &["input_type", "embedding_types", "taskType", "truncate", "title", "autoTruncate"];

#[test]
fn translated_requests_are_like_the_recorded_ones() {
    for Exchange { name, spoken, sent, .. } in exchanges() {
        let items = match spoken {
            Spoken::Gemini => sent["requests"].as_array().cloned().unwrap_or_default(),
            Spoken::Cohere => sent["texts"].as_array().cloned().unwrap_or_default(),
            Spoken::Vertex => sent["instances"].as_array().cloned().unwrap_or_default(),
            Spoken::OpenAi(_) => continue,
        };
        let text = |item: &Value| match item["content"]["parts"].as_array().map(Vec::as_slice) {
            Some([part]) => part["text"].as_str().map(str::to_owned),
            Some(_) => None,
            None => item["content"].as_str().or(item.as_str()).map(str::to_owned),
        };
        let texts: Option<Vec<String>> = items.iter().map(text).collect();
        let Some(texts) = texts.filter(|texts| !texts.is_empty()) else { continue };
        let own = sent["model"].as_str().or(items[0]["model"].as_str());
        let Some(model) = own.or((spoken == Spoken::Vertex).then_some("text-embedding-004")) else {
            continue;
        };
        let dimensions =
            ["outputDimensionality", "output_dimensionality"].iter().find_map(|key| items[0].get(*key));
        let dimensions = dimensions.or(sent["parameters"].get("outputDimensionality"));
        let dimensions = dimensions.or(sent.get("output_dimension")).cloned().unwrap_or_default();
        let body = json!({"model": "m", "input": texts, "dimensions": dimensions}).to_string();
        let target = Target { model, ..TARGET };
        let written = match spoken {
            Spoken::Gemini => gemini::write_request(body.as_bytes(), &target),
            Spoken::Vertex => vertex::write_request(body.as_bytes(), &target),
            Spoken::Cohere | Spoken::OpenAi(_) => cohere::write_request(body.as_bytes(), &target),
        };
        let written: Value = serde_json::from_slice(&written.expect("good").body).expect("JSON");
        check_alike(&written, &sent, name);
        let list = if spoken == Spoken::Vertex { "instances" } else { "requests" };
        let pair = [&written, &sent].map(|body| body[list].as_array().cloned().unwrap_or_default());
        pair[0].iter().zip(&pair[1]).for_each(|(ours, theirs)| check_alike(ours, theirs, name));
    }
}

/// What both say is the same.
fn check_alike(ours: &Value, theirs: &Value, name: &str) {
    for (key, value) in ours.as_object().expect("an object") {
        let free =
            FREE.contains(&key.as_str()) || ["requests", "content", "instances"].contains(&key.as_str());
        let same = theirs.get(key).is_none_or(|theirs| free || theirs == value);
        assert!(same, "{name}: {key}: {value}");
    }
    let text = |body: &Value| match &body["content"] {
        content @ Value::String(_) => content.clone(),
        content => content["parts"][0]["text"].clone(),
    };
    assert_eq!(text(ours), text(theirs), "{name}");
}

fn read(spoken: Spoken, body: &[u8], request: &EmbeddingsRequest) -> Result<EmbeddingsReply, ReplyFault> {
    match spoken {
        Spoken::OpenAi(dialect) => read_reply(body, request, dialect, &TRUSTED),
        Spoken::Gemini => gemini::read_reply(body, request),
        Spoken::Cohere => cohere::read_reply(body, request),
        Spoken::Vertex => vertex::read_reply(body, request),
    }
}

fn check_usage(name: &str, upstream: &Value, reply: &EmbeddingsReply) {
    let counts = [
        &upstream["usage"]["prompt_tokens"],
        &upstream["usage"]["total_tokens"],
        &upstream["usageMetadata"]["promptTokenCount"],
        &upstream["meta"]["billed_units"]["input_tokens"],
    ];
    let predictions = upstream["predictions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counted = |it: &Value| it["embeddings"]["statistics"]["token_count"].as_u64();
    let predicted = predictions.iter().map(counted).sum::<Option<u64>>().filter(|_| !predictions.is_empty());
    let expected = counts.into_iter().find_map(Value::as_u64).or(predicted);
    let total = reply.facts.usage.map(|usage| usage.total());
    assert!(total == expected || expected.is_none(), "{name}: {total:?} {expected:?}");
}
