//! Presets in OpenRouter's shapes.

use super::Preset;
use crate::account::document::{Document, Version};
use serde_json::{Value, json};

/// The body of `GET /presets/{slug}` and of what makes or changes one.
pub fn write_preset(document: &Document) -> String {
    let mut preset = preset(document);
    preset["designated_version"] = version(&document.version, &document.id);
    json!({ "data": preset }).to_string()
}

/// The body of `GET /presets`.
pub fn write_presets(documents: &[Document], total: u64) -> String {
    json!({ "data": documents.iter().map(preset).collect::<Vec<_>>(), "total_count": total }).to_string()
}

/// The body of `GET /presets/{slug}/versions/{version}`.
pub fn write_version(document: &Document) -> String {
    json!({ "data": version(&document.version, &document.id) }).to_string()
}

/// The body of `GET /presets/{slug}/versions`.
pub fn write_versions(versions: &[Version], preset_id: &str, total: u64) -> String {
    let data: Vec<Value> = versions.iter().map(|one| version(one, preset_id)).collect();
    json!({ "data": data, "total_count": total }).to_string()
}

fn preset(document: &Document) -> Value {
    json!({
        "id": document.id,
        "slug": document.slug,
        "name": document.name,
        "description": document.description,
        "status": document.status.as_str(),
        "status_updated_at": document.status_updated_at.map(|at| at.to_iso8601()),
        // An id of the version, which lists hold too.
        "designated_version_id": document.version.id,
        // There is one workspace, and a key stands for whoever holds it.
        "workspace_id": null,
        "creator_user_id": document.creator,
        "created_at": document.created_at.to_iso8601(),
        "updated_at": document.updated_at.to_iso8601(),
    })
}

fn version(version: &Version, preset_id: &str) -> Value {
    let Preset { config, system_prompt } = Preset::from_json(&version.body).unwrap_or_default();
    let at = version.created_at.to_iso8601();
    json!({
        "id": version.id,
        "preset_id": preset_id,
        "creator_id": version.creator,
        "version": version.number,
        "config": config,
        "system_prompt": system_prompt,
        "created_at": at,
        "updated_at": at,
    })
}
