//! An account's own keys as OpenRouter's management API shows them. What is sealed is not among it.

use serde_json::{Value, json};

use crate::account::byok::ByokRow;

/// The body of `GET /byok/{id}`, and of what makes or changes one.
pub fn write_key(row: &ByokRow) -> String {
    json!({ "data": object(row) }).to_string()
}

/// The body of `GET /byok`.
pub fn write_keys(rows: &[ByokRow], total: u64) -> String {
    let data: Vec<Value> = rows.iter().map(object).collect();
    json!({ "data": data, "total_count": total }).to_string()
}

fn object(row: &ByokRow) -> Value {
    let policy = &row.policy;
    json!({
        "id": row.id,
        "provider": row.provider,
        "name": policy.name,
        "label": row.label,
        "workspace_id": policy.workspace_id,
        "disabled": policy.disabled,
        "is_fallback": policy.is_fallback,
        "is_required": policy.is_required,
        "is_byok_only": policy.is_byok_only,
        "declared_region": null,
        "declared_zdr": null,
        "allowed_models": policy.allowed_models,
        "allowed_api_key_hashes": policy.allowed_api_key_hashes,
        "allowed_user_ids": policy.allowed_user_ids,
        "sort_order": row.sort_order,
        "created_at": row.created_at.to_iso8601(),
    })
}
