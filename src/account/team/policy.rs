//! What applies to one key, gathered for its snapshot: its workspace's defaults, and the guardrails of
//! the account, the workspace, the key's member and the key itself. What they come to together is for
//! [`crate::guard`] to say.

use super::row::cell;
use super::{guardrail_of_account, guardrail_of_workspace, shown_workspace};
use crate::account::store::{Column, Fault, Store};
use crate::id::{AccountId, KeyHash};
use crate::json::{self, Edit, Member};

/// The members of a guardrail that decide about requests.
const DECIDING: [&str; 15] = [
    "allowed_models",
    "ignored_models",
    "allowed_providers",
    "ignored_providers",
    "allowed_data_regions",
    "content_filter_builtins",
    "content_filters",
    "enforce_zdr_anthropic",
    "enforce_zdr_openai",
    "enforce_zdr_google",
    "enforce_zdr_xai",
    "enforce_zdr_other",
    "enable_free_model_publication",
    "enable_free_model_training",
    "enable_paid_model_training",
];

/// The JSON that [`crate::guard::Rules::read`] reads; `None` where nothing applies. `workspace` is as
/// tables have it, `member` who made the key.
pub(in crate::account) fn of(
    store: &Store,
    account: &AccountId,
    hash: &KeyHash,
    workspace: &str,
    member: Option<&str>,
) -> Result<Option<String>, Fault> {
    let workspace = shown_workspace(account, workspace);
    let body = store.row("SELECT body FROM workspace WHERE id = ?1", &[cell(&workspace)])?;
    let body: Option<String> = body.map(|mut row| row.next()).transpose()?;
    let mut parts = body.as_deref().map_or(Ok(Vec::new()), defaults)?;
    let layers = layers(store, account, hash, &workspace, member)?;
    if !layers.is_empty() {
        parts.push(format!("\"layers\":[{}]", layers.join(",")));
    }
    Ok((!parts.is_empty()).then(|| format!("{{{}}}", parts.join(","))))
}

/// What a workspace puts in place of what requests leave out.
fn defaults(body: &str) -> Result<Vec<String>, Fault> {
    let members = json::members(body).map_err(|_| Fault::Corrupt("JSON"))?;
    let part = |name: &str, from: &str| members.value(from).map(|value| format!("\"{name}\":{value}"));
    Ok([part("model", "default_text_model"), part("sort", "default_provider_sort")]
        .into_iter()
        .flatten()
        .collect())
}

fn layers(
    store: &Store,
    account: &AccountId,
    hash: &KeyHash,
    workspace: &str,
    member: Option<&str>,
) -> Result<Vec<String>, Fault> {
    let rows = store.rows(
        "SELECT body FROM guardrail WHERE id = ?1 OR id = ?2 OR id IN (SELECT guardrail
         FROM guardrail_assignment WHERE (kind = 'key' AND subject = ?3) OR (kind = 'member' AND subject = ?4))
         ORDER BY number",
        &[
            guardrail_of_account(account).cell(),
            guardrail_of_workspace(workspace).cell(),
            hash.cell(),
            member.map(str::to_owned).cell(),
        ],
    )?;
    let mut layers = Vec::new();
    for mut row in rows {
        let body: String = row.next()?;
        layers.extend(deciding(&body)?);
    }
    Ok(layers)
}

/// A guardrail without what decides nothing; `None` if nothing is left.
fn deciding(body: &str) -> Result<Option<String>, Fault> {
    let members = json::members(body).map_err(|_| Fault::Corrupt("JSON"))?;
    let idle = |member: &Member<'_>| match member.value {
        "null" | "[]" => true,
        "false" => member.key.starts_with("enforce_"),
        "true" => member.key.starts_with("enable_"),
        _ => false,
    };
    let edit = |member: &Member<'_>| match DECIDING.contains(&&*member.key) && !idle(member) {
        true => Edit::Keep,
        false => Edit::Drop,
    };
    let kept = members.edit(edit, &[]);
    Ok((kept != "{}").then_some(kept))
}
