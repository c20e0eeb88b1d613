//! Makes a preset of a request to a model, and reads changes to one.

use super::{BODY_BYTES, Preset, translate};
use crate::account::document::{Change, Kind, Status};
use crate::error::{Cause, Failure};
use crate::json;
use crate::protocol::bridge::Face;
use serde_json::{Map, Value};

/// What a request of `face` has that a preset keeps; messages, input, prompt and stream are left
/// out, but for what the model is told to be.
pub fn read_request(face: Face, body: &[u8]) -> Result<Preset, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::invalid("The body is not UTF-8"))?;
    let request: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| Failure::invalid(format!("The body is not a JSON object: {error}")))?;
    let config = translate::from(face, &request);
    let names = config
        .get("model")
        .into_iter()
        .chain(config.get("models").and_then(Value::as_array).into_iter().flatten());
    for name in names {
        match name.as_str() {
            Some(name) if !name.contains("@preset/") => {}
            Some(_) => return Err(Failure::invalid("`model` must not name a preset")),
            None => return Err(Failure::invalid("`model` and `models` must hold strings")),
        }
    }
    let preset = Preset { config, system_prompt: system_prompt(face, &request) };
    if preset.to_json().len() > BODY_BYTES {
        let words = format!("A preset has at most {BODY_BYTES} bytes");
        return Err(Failure::new(Cause::PayloadTooLarge, words));
    }
    Ok(preset)
}

fn system_prompt(face: Face, request: &Map<String, Value>) -> Option<String> {
    let words = match face {
        Face::Messages => text_of(request.get("system")?),
        Face::Responses => text_of(request.get("instructions")?),
        _ => {
            let messages = request.get("messages")?.as_array()?;
            let told = messages.iter().filter(|message| {
                matches!(message.get("role").and_then(Value::as_str), Some("system" | "developer"))
            });
            told.filter_map(|message| message.get("content")).map(text_of).collect::<Vec<_>>().join("\n\n")
        }
    };
    (!words.is_empty()).then_some(words)
}

/// A string, or the texts of a list of parts.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// Reads the body of `PATCH /presets/{slug}`.
pub fn read_change(slug: &str, body: &[u8]) -> Result<Change, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::invalid("The body is not UTF-8"))?;
    let members = json::members(text)
        .map_err(|error| Failure::invalid(format!("The body is not a JSON object: {error}")))?;
    let known = ["name", "description", "status", "designated_version"];
    if let Some(other) = members.iter().find(|member| !known.contains(&&*member.key)) {
        let words = format!("{}: no such member; known are {}", other.key, known.join(", "));
        return Err(Failure::invalid(words));
    }
    let string = |name: &str| match members.value(name) {
        None => Ok(None),
        Some(value) => match json::string(value) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(Failure::invalid(format!("{name}: must be a string"))),
        },
    };
    let status = match string("status")? {
        None => None,
        Some(name) => Some(
            Status::parse(&name)
                .ok_or_else(|| Failure::invalid("status: must be active, disabled or archived"))?,
        ),
    };
    let version = match members.value("designated_version") {
        None => None,
        Some(value) => Some(
            json::whole(value)
                .ok_or_else(|| Failure::invalid("designated_version: must be the number of a version"))?,
        ),
    };
    Ok(Change {
        kind: Kind::Preset,
        slug: slug.to_owned(),
        name: string("name")?,
        description: string("description")?,
        status,
        version,
    })
}
