//! What a request says for routing alone, in whichever protocol: plugins, a tier of service, and
//! what tells one conversation from another.

use super::fields::{must_be, not_supported, read_elements};
use super::search;
use crate::chat::Asks;
use crate::error::Failure;
use crate::json::{self, Members};

/// Bytes of one text that count towards the hash of a conversation's beginning.
const HASHED: usize = 2048;

/// One turn of a conversation.
pub enum Turn<'a> {
    Object(Members<'a>),
    /// The JSON text of a turn that is no object: Responses have bare strings.
    Other(&'a str),
}

impl Turn<'_> {
    pub fn of(text: &str) -> Turn<'_> {
        json::members(text).map_or(Turn::Other(text), Turn::Object)
    }
}

/// Reads `body`. `instructions` is a JSON text, which comes before the `turns`.
pub fn read(body: &Members<'_>, instructions: Option<&str>, turns: Vec<Turn<'_>>) -> Result<Asks, Failure> {
    let plugins = match body.value("plugins") {
        Some(value) => read_plugins(value)?,
        None => None,
    };
    let fast = body.string("speed").is_some_and(|speed| speed == "fast").then(|| "fast".to_owned());
    Ok(Asks {
        plugins,
        service_tier: fast.or_else(|| body.string("service_tier").map(|tier| tier.into_owned())),
        prompt_cache_key: body
            .string("prompt_cache_key")
            .map(|key| key.into_owned())
            .or_else(|| session_of_user(body)),
        opening: opening(instructions, turns.into_iter()),
    })
}

/// The plugins that steer a router or search the web, and those that are switched off; others are refused, since what
/// they do would show in the reply.
fn read_plugins(value: &str) -> Result<Option<String>, Failure> {
    if value == "\"\"" {
        return Ok(None);
    }
    let plugins = read_elements(value, "plugins", "an array of objects")?;
    for (position, plugin) in plugins.iter().enumerate() {
        let plugin =
            json::members(plugin).map_err(|_| must_be(&format!("plugins[{position}]"), "an object"))?;
        let steers = matches!(plugin.string("id").as_deref(), Some("auto-router" | "auto-beta-router"));
        if !steers && !search::is_web(&plugin) && plugin.get("enabled") != Some("false") {
            return Err(not_supported("plugins", ", but for \"auto-router\" and \"web\"."));
        }
    }
    Ok((!plugins.is_empty()).then(|| value.to_owned()))
}

/// Claude Code names its session within `metadata.user_id`.
fn session_of_user(body: &Members<'_>) -> Option<String> {
    let user = body.object("metadata")?.string("user_id")?.into_owned();
    user.contains("session").then_some(user)
}

/// A hash of the first instructions and the first turn that is none. Only of their words: marks
/// of caches move from turn to turn.
pub fn opening<'a>(instructions: Option<&str>, turns: impl Iterator<Item = Turn<'a>>) -> Option<u64> {
    let mut hash = Hash::default();
    instructions.into_iter().for_each(|text| add_words(text, &mut hash));
    for turn in turns {
        let (words, role) = match &turn {
            Turn::Object(turn) => {
                let words = turn.value("content").or_else(|| turn.value("parts"));
                (words.unwrap_or(turn.source()), turn.string("role"))
            }
            Turn::Other(text) => (*text, None),
        };
        add_words(words, &mut hash);
        if !role.is_some_and(|role| matches!(role.as_ref(), "system" | "developer")) {
            return Some(hash.0);
        }
    }
    None
}

/// A string, an object with `parts`, or an array of parts with `text`; of other parts the length.
fn add_words(value: &str, hash: &mut Hash) {
    if value.starts_with('"') {
        return hash.add(value);
    }
    let parts = json::members(value).ok().and_then(|object| object.array("parts"));
    let Some(parts) = parts.or_else(|| json::elements(value).ok()) else { return hash.add(value) };
    for part in parts {
        let text = json::members(part).ok().and_then(|part| part.get("text"));
        match text {
            Some(text) => hash.add(text),
            None => hash.add(&part.len().to_string()),
        }
    }
}

/// As rustc hashes what is no one's secret, eight bytes at a time.
#[derive(Default)]
struct Hash(u64);

impl Hash {
    fn add(&mut self, text: &str) {
        let (words, rest) = text.as_bytes()[..text.len().min(HASHED)].as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        for word in words.iter().chain([&last, &(text.len() as u64).to_le_bytes()]) {
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
}
