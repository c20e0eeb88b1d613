//! Presets: what a request leaves out, kept under a name. A preset is made of a request to a model,
//! keeps its settings in the words of Chat Completions, and is laid under requests of each protocol.
//! Facts: OpenRouter's presets. The request's own members win; tools are united.

mod apply;
mod gemini;
mod save;
mod translate;
pub mod view;

pub use apply::{apply, wanted};
pub use gemini::{apply_by_path, wanted_of_path};
pub use save::{read_change, read_request};

use crate::error::{Cause, Failure};
use crate::json;
use serde_json::{Map, Value};

/// The longest slug, in bytes.
pub const SLUG_BYTES: usize = 100;
/// The longest preset, in bytes of JSON.
pub const BODY_BYTES: usize = 256 * 1024;

/// What a preset says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preset {
    /// Members of a request in the words of Chat Completions.
    pub config: Map<String, Value>,
    pub system_prompt: Option<String>,
}

impl Preset {
    /// Reads what [`Preset::to_json`] wrote; `None` if it is something else.
    pub fn from_json(text: &str) -> Option<Preset> {
        let members = json::members(text).ok()?;
        let config = serde_json::from_str(members.get("config")?).ok()?;
        Some(Preset { config, system_prompt: members.string("system_prompt").map(|text| text.into_owned()) })
    }

    pub fn to_json(&self) -> String {
        serde_json::json!({ "config": self.config, "system_prompt": self.system_prompt }).to_string()
    }
}

/// Whether a name can be a preset's.
pub fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.len() <= SLUG_BYTES && text.bytes().all(plain)
}

/// Nobody has a preset of that name, or it may not be used.
pub fn not_found(slug: &str) -> Failure {
    let shown: String = slug.chars().filter(char::is_ascii_graphic).take(SLUG_BYTES).collect();
    Failure::new(Cause::NotFound, format!("There is no active preset {shown}"))
}
