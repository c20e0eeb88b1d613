//! Tools: Anthropic's own client tools as plain functions, names and ids that the target refuses
//! under others, and input schemas in the form that it demands.

use std::collections::{BTreeMap, BTreeSet};

use crate::json::{self, Edit, Member};
use crate::protocol::lane::Renamed;

/// The function that stands for one of Anthropic's typed client tools: what to do and with what,
/// as its documentation describes it. `None` for a tool that Anthropic itself runs.
pub(super) fn client_tool(kind: &str) -> Option<(&'static str, &'static str)> {
    let tool = kind.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    Some(match tool {
        "bash" => (
            "Runs a command in a persistent bash session.",
            r#"{"type":"object","properties":{"command":{"type":"string","description":"The command to run. Required unless the session is restarted."},"restart":{"type":"boolean","description":"Restarts the session."}}}"#,
        ),
        "text_editor" => (
            "Views, creates and edits text files.",
            r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","undo_edit"]},"path":{"type":"string"},"file_text":{"type":"string","description":"For create: the content of the file."},"old_str":{"type":"string","description":"For str_replace: the text to replace, which must be there exactly once."},"new_str":{"type":"string","description":"For str_replace: the new text."},"insert_line":{"type":"integer","description":"For insert: the line behind which to insert; 0 for the beginning."},"insert_text":{"type":"string","description":"For insert: the text to insert."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For view: the first and the last line; -1 for the end."}},"required":["command","path"]}"#,
        ),
        "memory" => (
            "Stores and looks up information in files below /memories.",
            r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},"path":{"type":"string"},"file_text":{"type":"string"},"old_str":{"type":"string"},"new_str":{"type":"string"},"insert_line":{"type":"integer"},"insert_text":{"type":"string"},"view_range":{"type":"array","items":{"type":"integer"}},"old_path":{"type":"string"},"new_path":{"type":"string"}},"required":["command"]}"#,
        ),
        "computer" => (
            "Uses the mouse, the keyboard and the screen of a computer.",
            r#"{"type":"object","properties":{"action":{"type":"string","enum":["key","type","mouse_move","left_click","left_click_drag","right_click","middle_click","double_click","triple_click","left_mouse_down","left_mouse_up","scroll","hold_key","wait","zoom","screenshot","cursor_position"]},"coordinate":{"type":"array","items":{"type":"integer"},"description":"x and y in pixels from the upper left."},"start_coordinate":{"type":"array","items":{"type":"integer"}},"text":{"type":"string","description":"What to type, or the keys to press."},"duration":{"type":"number","description":"Seconds, for hold_key and wait."},"scroll_direction":{"type":"string","enum":["up","down","left","right"]},"scroll_amount":{"type":"integer"},"region":{"type":"array","items":{"type":"integer"}}},"required":["action"]}"#,
        ),
        _ => return None,
    })
}

/// The codec of names: reversible, and no two tools get the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// By the client's name.
    sent: BTreeMap<String, String>,
    custom: BTreeSet<String>,
}

const MAX_NAME: usize = 128;
const MAX_ID: usize = 64;

impl Names {
    pub(super) fn new<'a>(names: impl Iterator<Item = (&'a str, bool)>) -> Names {
        let mut codec = Names::default();
        let mut odd = Vec::new();
        for (name, custom) in names {
            if custom {
                codec.custom.insert(name.to_owned());
            }
            match is_word(name, MAX_NAME) {
                true => drop(codec.sent.insert(name.to_owned(), name.to_owned())),
                false => odd.push(name),
            }
        }
        let mut taken: BTreeSet<String> = codec.sent.values().cloned().collect();
        for name in odd {
            if !codec.sent.contains_key(name) {
                let word =
                    (0..).map(|salt| word_for(name, MAX_NAME, salt)).find(|word| !taken.contains(word));
                let word = word.unwrap_or_default();
                taken.insert(word.clone());
                codec.sent.insert(name.to_owned(), word);
            }
        }
        codec
    }

    pub(super) fn send<'a>(&'a self, name: &'a str) -> &'a str {
        self.sent.get(name).map_or(name, String::as_str)
    }

    /// Those that the reader of the reply has to know.
    pub(super) fn renamed(self) -> Vec<Renamed> {
        let Names { sent, custom } = self;
        let renamed = sent.into_iter().map(|(own, sent)| {
            let custom = custom.contains(&own);
            Renamed { sent, own, custom }
        });
        renamed.filter(|name| name.custom || name.sent != name.own).collect()
    }
}

/// The id of a call as the target takes it: the same for the call and for its result.
pub(super) fn call_id(id: &str) -> String {
    if is_word(id, usize::MAX) { id.to_owned() } else { word_for(id, MAX_ID, 0) }
}

fn is_word(text: &str, most: usize) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= most && text.bytes().all(word)
}

/// A word that can be told from those of similar texts by the hash at its end.
fn word_for(text: &str, most: usize, salt: u64) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let head: String = text.chars().map(plain).take(most - 14).collect();
    format!("{head}_{:013x}", hash(text, salt) >> 12)
}

/// FNV-1a of 64 bits: the same on every run, so that prompts keep their prefix.
fn hash(text: &str, salt: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ salt;
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The schema as the target takes it at the root: an object, without alternatives. What was left
/// out is named.
pub(super) fn input_schema(schema: Option<&str>) -> (String, Vec<&'static str>) {
    const REFUSED: [&str; 3] = ["anyOf", "oneOf", "allOf"];
    let empty = r#"{"type":"object","properties":{}}"#;
    let Some(Ok(members)) = schema.map(json::members) else { return (empty.to_owned(), Vec::new()) };
    let left_out: Vec<&'static str> = REFUSED.into_iter().filter(|key| members.has(key)).collect();
    let object = "\"object\"";
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        key if REFUSED.contains(&key) => Edit::Drop,
        "type" if member.value != object => Edit::Value(object.to_owned()),
        _ => Edit::Keep,
    };
    let missing = !members.has("type");
    let more: Vec<String> = missing.then(|| format!("\"type\":{object}")).into_iter().collect();
    (members.edit(edit, &more), left_out)
}
