//! A model as `/models` lists it.

use super::Listed;
use super::endpoint::pricing;
use crate::catalog::{Catalog, Modality, Model, Reasoning};
use serde_json::{Value, json};

pub(super) fn write(row: &Listed, catalog: Catalog) -> Value {
    let model = row.model;
    let top = row.top();
    let mut entry = json!({
        "object": "model",
        "id": row.id,
        "canonical_slug": model.canonical_slug,
        "hugging_face_id": model.hugging_face_id,
        "name": model.name,
        // What Claude Code shows.
        "display_name": model.name,
        "created": model.created,
        "owned_by": model.author(),
        "description": model.description,
        "context_length": row.context_length(),
        "architecture": architecture(model),
        "pricing": pricing(&top.prices),
        "top_provider": {
            "context_length": top.context_length,
            "max_completion_tokens": top.max_output,
            // Whether the gateway screens prompts, which it never does.
            "is_moderated": false,
        },
        "per_request_limits": null,
        "supported_parameters": row.parameters(),
        "default_parameters": default_parameters(model),
        "supported_voices": null,
        "expiration_date": model.expires,
        "knowledge_cutoff": model.knowledge_cutoff,
        "links": { "details": format!("/api/v1/models/{}/endpoints", model.slug) },
    });
    if let Some(reasoning) = &model.reasoning {
        entry["reasoning"] = reasoning_entry(reasoning);
    }
    if let Some(target) = catalog.alias(row.id).and_then(|slug| catalog.named(slug)) {
        entry["alias_target"] = json!({ "slug": target.slug, "name": target.name });
    }
    entry
}

pub(super) fn architecture(model: &Model) -> Value {
    let names = |modalities: &[Modality]| -> Vec<&str> { modalities.iter().map(|one| one.name()).collect() };
    let (input, output) = (names(model.input_modalities), names(model.output_modalities));
    json!({
        "modality": format!("{}->{}", input.join("+"), output.join("+")),
        "input_modalities": input,
        "output_modalities": output,
        "tokenizer": model.tokenizer,
        "instruct_type": null,
    })
}

/// Null where nothing is recommended.
fn default_parameters(model: &Model) -> Value {
    if model.default_parameters.is_empty() {
        return Value::Null;
    }
    let number = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    model.default_parameters.iter().map(|(name, text)| ((*name).to_owned(), number(text))).collect()
}

fn reasoning_entry(reasoning: &Reasoning) -> Value {
    let Reasoning { mandatory, default_enabled, default_effort, efforts } = reasoning;
    let mut entry = json!({ "mandatory": mandatory });
    if let Some(enabled) = default_enabled {
        entry["default_enabled"] = json!(enabled);
    }
    if let Some(effort) = default_effort {
        entry["default_effort"] = json!(effort);
    }
    if !efforts.is_empty() {
        entry["supported_efforts"] = json!(efforts);
    }
    entry
}
