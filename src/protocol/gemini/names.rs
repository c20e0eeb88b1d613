//! Names of functions within Gemini's bounds. A name that is refused goes under another, which
//! is the same in every request and never that of another tool.

use crate::chat::Conversation;
use crate::chat::conversation::{Part, ToolChoice, ToolKind};
use crate::protocol::lane::Renamed;

const LONGEST: usize = 64;

/// The names of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    all: Vec<Renamed>,
}

impl Names {
    /// Of the tools, and of those that only the history still knows.
    pub(super) fn of(conversation: &Conversation) -> Names {
        let mut own: Vec<(&str, bool)> = Vec::new();
        for tool in &conversation.tools {
            let custom = match tool.kind {
                ToolKind::Function { .. } => false,
                ToolKind::Custom { .. } => true,
            };
            own.push((&tool.name, custom));
        }
        for part in conversation.turns.iter().flat_map(|turn| &turn.parts) {
            if let Part::ToolCall(call) = part {
                own.push((&call.name, call.custom));
            }
        }
        if let Some(ToolChoice::Named(name)) = &conversation.tool_choice {
            own.push((name, false));
        }
        let mut names = Names::default();
        // Those that fit come first: no stand-in takes their place.
        let (fitting, others): (Vec<_>, Vec<_>) = own.into_iter().partition(|(name, _)| fits(name));
        for (name, custom) in fitting.into_iter().chain(others) {
            names.add(name, custom);
        }
        names
    }

    fn add(&mut self, own: &str, custom: bool) {
        if self.all.iter().any(|name| name.own == own) {
            return;
        }
        let mut sent = own.to_owned();
        let mut salt = 0;
        while !fits(&sent) || self.all.iter().any(|name| name.sent == sent) {
            sent = stand_in(own, salt);
            salt += 1;
        }
        self.all.push(Renamed { sent, own: own.to_owned(), custom });
    }

    pub(super) fn sent<'a>(&'a self, own: &'a str) -> &'a str {
        self.all.iter().find(|name| name.own == own).map_or(own, |name| &name.sent)
    }

    /// Those that the reader of the reply has to know.
    pub(super) fn renamed(self) -> Vec<Renamed> {
        self.all.into_iter().filter(|name| name.custom || name.sent != name.own).collect()
    }
}

/// A letter or an underscore, then letters, digits, `_`, `.`, `:` and `-`; 64 at most.
fn fits(name: &str) -> bool {
    let start = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    start && name.len() <= LONGEST && name.chars().all(is_legal)
}

fn is_legal(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | ':' | '-')
}

fn stand_in(own: &str, salt: u64) -> String {
    let legal: String = own.chars().map(|letter| if is_legal(letter) { letter } else { '_' }).collect();
    let start: String = legal.chars().take(LONGEST - 18).collect();
    format!("_{start}_{:016x}", hash(own.as_bytes(), salt))
}

/// FNV-1a: short, and the same everywhere and always.
pub(super) fn hash(bytes: &[u8], salt: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ salt;
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
