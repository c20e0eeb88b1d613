//! A response repeats what was asked for. Clients declare these members as required, so each is
//! there, with the value that the API has for a request that leaves it out.

use super::tools::Drawers;
use crate::chat::{Facts, Identity};
use crate::json::{self, Edit, Members, Outlined};
use crate::protocol::usage;

/// What a response repeats of its request, and how the tools of namespaces are called.
#[derive(Clone, Debug)]
pub struct Echo {
    /// Members from a comma on, as JSON text.
    members: String,
    service_tier: Option<String>,
    pub(super) drawers: Drawers,
}

/// Members that are repeated, each with its default.
const REPEATED: &[(&str, &str)] = &[
    ("instructions", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("temperature", "1"),
    ("top_p", "1"),
    ("top_logprobs", "0"),
    ("frequency_penalty", "0"),
    ("presence_penalty", "0"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("tool_choice", "\"auto\""),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("truncation", "\"disabled\""),
    ("reasoning", "null"),
    ("prompt_cache_key", "null"),
    ("safety_identifier", "null"),
    ("user", "null"),
];

/// Where a response is in its life, with what its status comes with.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub status: &'static str,
    /// JSON of `error`.
    pub error: Option<String>,
    pub error_type: Option<&'static str>,
    pub incomplete: Option<&'static str>,
    /// JSON of the array of items.
    pub output: String,
    pub output_text: String,
    /// JSON of `usage`.
    pub usage: Option<String>,
    /// JSON of `openrouter_metadata`.
    pub metadata: Option<String>,
}

impl Default for Echo {
    fn default() -> Echo {
        Echo::of(&Outlined::new(b"{}".to_vec()))
    }
}

impl Echo {
    /// Takes from a request what its response repeats. `body` is one that `read_request` accepted;
    /// of any other only the defaults are repeated.
    pub fn of(body: &Outlined) -> Echo {
        let text = || std::str::from_utf8(body.bytes()).unwrap_or("{}");
        match body.members().or_else(|| json::members(text()).ok()) {
            Some(body) => Echo::read(&body),
            None => Echo { members: String::new(), service_tier: None, drawers: Drawers::default() },
        }
    }

    fn read(body: &Members<'_>) -> Echo {
        let mut members = String::new();
        for (key, default) in REPEATED {
            let value = body.value(key).unwrap_or(default);
            members.push_str(&format!(",\"{key}\":{value}"));
        }
        members.push_str(&format!(",\"tools\":{}", tools(body)));
        members.push_str(",\"store\":false,\"background\":false,\"previous_response_id\":null");
        let service_tier = body.string("service_tier").map(|tier| tier.into_owned());
        Echo { members, service_tier, drawers: Drawers::of(body) }
    }

    /// The JSON of a response. Nobody's clock says when it was completed.
    pub(super) fn response(&self, identity: &Identity, facts: Option<&Facts>, state: &State) -> String {
        let said = facts.and_then(|facts| facts.service_tier.as_deref());
        let tier = said.or(self.service_tier.as_deref()).unwrap_or("default");
        let mut text = format!(
            r#"{{"id":{},"object":"response","created_at":{},"completed_at":null,"status":"{}","error":{}"#,
            json::quote(&identity.generation),
            usage::safe(identity.created),
            state.status,
            state.error.as_deref().unwrap_or("null"),
        );
        match state.incomplete {
            Some(reason) => text.push_str(&format!(",\"incomplete_details\":{{\"reason\":\"{reason}\"}}")),
            None => text.push_str(",\"incomplete_details\":null"),
        }
        text.push_str(&format!(
            ",\"model\":{},\"output\":{},\"output_text\":{},\"service_tier\":{}{},\"usage\":{}",
            json::quote(&identity.model),
            state.output,
            json::quote(&state.output_text),
            json::quote(tier),
            self.members,
            state.usage.as_deref().unwrap_or("null"),
        ));
        if let Some(kind) = state.error_type {
            text.push_str(&format!(",\"error_type\":\"{kind}\""));
        }
        if let Some(metadata) = &state.metadata {
            text.push_str(&format!(",\"openrouter_metadata\":{metadata}"));
        }
        text.push('}');
        text
    }
}

/// The tools, with the members that clients require of a function.
fn tools(body: &Members<'_>) -> String {
    let tools = body.array("tools").unwrap_or_default();
    let complete = |tool: &&str| match json::members(tool) {
        Ok(members) if members.string("type").as_deref() == Some("function") => {
            let missing = ["parameters", "strict"].into_iter().filter(|key| !members.has(key));
            let more: Vec<String> = missing.map(|key| format!("\"{key}\":null")).collect();
            members.edit(|_| Edit::Keep, &more)
        }
        Ok(_) | Err(_) => (*tool).to_owned(),
    };
    let tools: Vec<String> = tools.iter().map(complete).collect();
    format!("[{}]", tools.join(","))
}
