//! Recorded exchanges, where they are at hand. `MILLRACE_FIXTURES` names their folder.

use std::path::{Path, PathBuf};

use super::*;

/// Whose wire a recording is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    OpenAi(Dialect),
    Gemini,
    Cohere,
}

const FOLDERS: &[(&str, Wire)] = &[
    ("openai-embeddings", Wire::OpenAi(Dialect::OpenAi)),
    ("openrouter", Wire::OpenAi(Dialect::Compatible)),
    ("mistral", Wire::OpenAi(Dialect::Mistral)),
    ("vllm", Wire::OpenAi(Dialect::Compatible)),
    ("embeddings-other", Wire::OpenAi(Dialect::Voyage)),
    ("llamacpp", Wire::OpenAi(Dialect::Compatible)),
    ("perplexity", Wire::OpenAi(Dialect::Perplexity)),
    ("gemini-embeddings", Wire::Gemini),
    ("cohere-embeddings", Wire::Cohere),
];

struct Recording {
    name: String,
    wire: Wire,
    status: u64,
    request: Vec<u8>,
    response: Vec<u8>,
}

#[test]
fn every_recorded_reply_comes_through_in_both_encodings() {
    let all = recordings();
    let mut good = 0;
    for recording in all.iter().filter(|recording| recording.status == 200) {
        let name = &recording.name;
        let sent: Value = serde_json::from_slice(&recording.request).expect("JSON");
        let count = ["input", "texts", "images", "requests"].into_iter().find_map(|key| match &sent[key] {
            Value::Array(all) => Some(all.len()),
            Value::String(_) => Some(1),
            _ => None,
        });
        let count = count.expect("an input");
        let [floats, packed] = ["float", "base64"].map(|encoding| {
            let reply =
                read(recording, &asked(count, encoding)).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
            let out = written(&reply);
            grammar::check_whole(&out, encoding == "base64", count)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            check_usage(recording, &reply);
            assert!(vectors(&out).iter().all(|vector| vector.len() == reply.dimensions), "{name}");
            (vectors(&out), reply.dimensions)
        });
        assert_eq!(floats, packed, "{name}");
        assert!([256, 576, 768, 1024, 1536, 3072, 4096].contains(&floats.1), "{name}: {}", floats.1);
        let size: f32 = floats.0[0].iter().map(|number| number * number).sum::<f32>().sqrt();
        let bytes = recording.wire == Wire::OpenAi(Dialect::Perplexity);
        // Gemini's shortened vectors are not of length one; anything torn is far off.
        assert!(bytes || (0.2..1.1).contains(&size), "{name}: length {size}");
        good += 1;
    }
    println!("{} recordings, {good} of them good", all.len());
}

#[test]
fn a_reply_that_breaks_off_is_none() {
    for recording in recordings().iter().filter(|recording| recording.status == 200) {
        let body = recording.response.trim_ascii_end();
        let stride = (body.len() / 100).max(1);
        for end in (0..body.len()).step_by(stride).chain([body.len() - 1]) {
            let cut = Recording {
                response: body[..end].to_vec(),
                name: recording.name.clone(),
                request: Vec::new(),
                ..*recording
            };
            let fault = read(&cut, &asked(1, "float")).expect_err("cut");
            assert!(matches!(fault, ReplyFault::NotJson(_)), "{}: {fault:?}", recording.name);
        }
    }
}

#[test]
fn every_recorded_error_has_a_message() {
    for recording in recordings().iter().filter(|recording| recording.status >= 400) {
        assert!(!read_error(&recording.response).message.is_empty(), "{}", recording.name);
        assert!(
            matches!(read(recording, &asked(1, "float")), Err(ReplyFault::Error(_))),
            "{}",
            recording.name
        );
    }
}

#[test]
fn every_recorded_request_keeps_all_but_its_model() {
    for recording in recordings() {
        let Wire::OpenAi(dialect @ (Dialect::OpenAi | Dialect::Compatible)) = recording.wire else {
            continue;
        };
        let text = String::from_utf8(recording.request.clone()).expect("text");
        read_request(text.as_bytes()).unwrap_or_else(|failure| panic!("{}: {failure:?}", recording.name));
        let sent: Value = serde_json::from_str(&text).expect("JSON");
        let model = sent["model"].to_string();
        let written = write_request(text.as_bytes(), &TARGET, dialect);
        assert_eq!(
            String::from_utf8_lossy(&written.body),
            text.replacen(&model, "\"up/m\"", 1),
            "{}",
            recording.name
        );
        grammar::check_request(&written.body).unwrap_or_else(|error| panic!("{}: {error}", recording.name));
    }
}

#[test]
fn translated_requests_are_like_the_recorded_ones() {
    for recording in recordings() {
        let sent: Value = serde_json::from_slice(&recording.request).unwrap_or_default();
        let first = match recording.wire {
            Wire::Gemini => sent["requests"].as_array().cloned().unwrap_or_default(),
            Wire::Cohere => sent["texts"].as_array().cloned().unwrap_or_default(),
            Wire::OpenAi(_) => continue,
        };
        let text =
            |item: &Value| item["content"]["parts"][0]["text"].as_str().or(item.as_str()).map(str::to_owned);
        let texts: Vec<String> = first.iter().filter_map(text).collect();
        let several_parts = first.iter().any(|item| item["content"]["parts"].get(1).is_some());
        if texts.is_empty() || several_parts {
            continue;
        }
        let model = sent["model"].as_str().or(first[0]["model"].as_str()).expect("a model").to_owned();
        let dimensions =
            ["outputDimensionality", "output_dimensionality"].iter().find_map(|key| first[0].get(*key));
        let dimensions = dimensions.or(sent.get("output_dimension")).cloned().unwrap_or_default();
        let body =
            json!({"model": "m", "input": texts, "dimensions": dimensions, "input_type": "search_document"});
        let target = Target { model: &model, ..TARGET };
        let body = body.to_string();
        let written = match recording.wire {
            Wire::Gemini => gemini::write_request(body.as_bytes(), &target),
            Wire::Cohere | Wire::OpenAi(_) => cohere::write_request(body.as_bytes(), &target),
        };
        let mut written: Value = serde_json::from_slice(&written.expect("good").body).expect("JSON");
        let mut sent = sent;
        for request in written["requests"].as_array_mut().into_iter().flatten() {
            request.as_object_mut().expect("an object").remove("taskType");
        }
        for request in sent["requests"].as_array_mut().into_iter().flatten() {
            let request = request.as_object_mut().expect("an object");
            if let Some(value) = request.remove("output_dimensionality") {
                request.insert("outputDimensionality".to_owned(), value);
            }
        }
        // The recorded client relied on the default.
        if sent.get("texts").is_some() {
            sent["embedding_types"] = json!(["float"]);
        }
        assert_eq!(written, sent, "{}", recording.name);
    }
}

fn read(recording: &Recording, request: &EmbeddingsRequest) -> Result<EmbeddingsReply, ReplyFault> {
    match recording.wire {
        Wire::OpenAi(dialect) => read_reply(&recording.response, request, dialect, &TRUSTED),
        Wire::Gemini => gemini::read_reply(&recording.response, request),
        Wire::Cohere => cohere::read_reply(&recording.response, request),
    }
}

fn check_usage(recording: &Recording, reply: &EmbeddingsReply) {
    let sent: Value = serde_json::from_slice(&recording.response).expect("JSON");
    let counts = [
        &sent["usage"]["prompt_tokens"],
        &sent["usage"]["total_tokens"],
        &sent["usageMetadata"]["promptTokenCount"],
        &sent["meta"]["billed_units"]["input_tokens"],
    ];
    let expected = counts.into_iter().find_map(Value::as_u64);
    assert_eq!(reply.facts.usage.map(|usage| usage.total()), expected, "{}", recording.name);
}

fn recordings() -> Vec<Recording> {
    let root = std::env::var_os("MILLRACE_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    if !root.is_dir() {
        println!("skipped: there are no recordings at MILLRACE_FIXTURES");
        return Vec::new();
    }
    let mut found = Vec::new();
    for (folder, wire) in FOLDERS {
        for exchange in list(&root.join(folder)) {
            for file in list(&exchange) {
                found.extend(recording(&root, &file, *wire));
            }
        }
    }
    assert!(found.len() > 20, "{} recordings", found.len());
    found
}

fn recording(root: &Path, file: &Path, wire: Wire) -> Option<Recording> {
    const SUFFIX: &str = ".response.json";
    let name = file.to_string_lossy().into_owned();
    let stem = name.strip_suffix(SUFFIX)?;
    let meta: Value = serde_json::from_slice(&std::fs::read(format!("{stem}.meta.json")).ok()?).ok()?;
    let mut url = meta["url"].as_str().unwrap_or_default().to_owned();
    url.make_ascii_lowercase();
    let embeds = url.contains("embed") || name.contains("embed");
    let request = std::fs::read(format!("{stem}.request.json")).ok()?;
    let name = file.strip_prefix(root).ok()?.to_string_lossy().into_owned();
    let status = meta["status"].as_u64().unwrap_or(200);
    embeds.then(|| Recording {
        name,
        wire,
        status,
        request,
        response: std::fs::read(file).unwrap_or_default(),
    })
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.sort();
    paths
}
