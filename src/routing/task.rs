//! What a request seems to be about, for the auto router: a pure function of its words and of what
//! comes with them. It looks for signs, adds up what they weigh and takes the heaviest task; the
//! same text always gives the same answer, and the signs are told.

use super::tasks::{self, Sign};
use crate::bytes;
use crate::chat::conversation::{Part, Role, Turn};
use crate::chat::{Conversation, Needs, RequestSize};

/// What a request asks a model to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Write, change, explain or repair programs.
    Code,
    /// Work in steps with tools.
    Agentic,
    /// Look at pictures.
    Vision,
    /// Read more than most models can hold.
    LongContext,
    Math,
    /// Facts and arguments of a field of study.
    Science,
    Translation,
    Summarization,
    /// Pull data out of text into a form.
    Extraction,
    /// Stories, poems, adverts.
    Writing,
    Roleplay,
    /// Anything else.
    Chat,
}

/// A task and what spoke for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    pub task: Task,
    /// The signs that were found for it.
    pub signs: Vec<&'static str>,
}

/// About 100,000 tokens.
const LONG_BYTES: u64 = 400_000;
/// As much of a text is looked at from its beginning, and from its end, in bytes.
const HEAD: usize = 6_144;
const TAIL: usize = 2_048;
/// What the signs of a task have to weigh together.
const ENOUGH: u32 = 3;
/// Words of the user count twice as much as those of the instructions.
const USER: u32 = 2;

impl Task {
    pub fn name(self) -> &'static str {
        match self {
            Task::Code => "code",
            Task::Agentic => "agentic",
            Task::Vision => "vision",
            Task::LongContext => "long_context",
            Task::Math => "math",
            Task::Science => "science",
            Task::Translation => "translation",
            Task::Summarization => "summarization",
            Task::Extraction => "extraction",
            Task::Writing => "writing",
            Task::Roleplay => "roleplay",
            Task::Chat => "chat",
        }
    }
}

/// Says what a conversation is about. It is classified by the turn that opened it, so that it is
/// about the same from turn to turn and stays with its model; with `latest` by its last turn.
pub fn classify(conversation: &Conversation, needs: &Needs, size: &RequestSize, latest: bool) -> Classified {
    let one = |task, sign| Classified { task, signs: vec![sign] };
    if size.text_bytes >= LONG_BYTES {
        return one(Task::LongContext, "long input");
    }
    let turns = conversation.turns.as_slice();
    let is_user = |turn: &&Turn| turn.role == Role::User && turn.parts.iter().any(is_said);
    let asked = if latest { turns.iter().rev().find(is_user) } else { turns.iter().find(is_user) };
    let mut asked_text = String::new();
    asked.into_iter().for_each(|turn| gather(turn, &mut asked_text));
    let mut instructions = String::new();
    turns.iter().filter(|turn| turn.role == Role::System).for_each(|turn| gather(turn, &mut instructions));
    let said = [&asked_text, &instructions].map(|text| Said::of(excerpt(text)));

    let mut heaviest = (0, Classified { task: Task::Chat, signs: Vec::new() });
    for (task, signs) in tasks::SIGNS {
        let (weight, found) = weigh(signs, &said);
        if weight > heaviest.0 && weight >= ENOUGH * USER {
            heaviest = (weight, Classified { task: *task, signs: found });
        }
    }
    let (_, classified) = heaviest;
    match classified.task {
        Task::Code | Task::Chat if needs.tools => {
            Classified { task: Task::Agentic, signs: classified.signs.into_iter().chain(["tools"]).collect() }
        }
        Task::Chat if needs.images => one(Task::Vision, "images"),
        Task::Chat if needs.structured_output || needs.json_object => {
            one(Task::Extraction, "response_format")
        }
        _ => classified,
    }
}

fn is_said(part: &Part) -> bool {
    matches!(part, Part::Text { .. } | Part::Image { .. } | Part::File { .. } | Part::Audio { .. })
}

fn gather(turn: &Turn, out: &mut String) {
    for part in &turn.parts {
        if let Part::Text { text, .. } = part {
            out.push_str(text);
            out.push('\n');
        }
    }
}

/// The beginning and the end of a text in lower case; what is asked stands in one of them.
fn excerpt(text: &str) -> String {
    if text.len() <= HEAD + TAIL {
        return bytes::lowercase(text);
    }
    let head = floor(text, HEAD);
    let tail = floor(text, text.len() - TAIL);
    bytes::lowercase(&format!("{}\n{}", &text[..head], &text[tail..]))
}

/// The last place up to `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

/// A text, and which pairs of bytes stand in it, by a hash: most signs are ruled out by these alone.
struct Said {
    text: String,
    pairs: [u64; PAIRS / 64],
}

const PAIRS: usize = 4096;

impl Said {
    fn of(text: String) -> Said {
        let mut pairs = [0; PAIRS / 64];
        for pair in text.as_bytes().windows(2) {
            let place = place(pair);
            pairs[place / 64] |= 1 << (place % 64);
        }
        Said { text, pairs }
    }

    fn holds(&self, sign: &str) -> bool {
        let is_there = |pair: &[u8]| {
            let place = place(pair);
            self.pairs[place / 64] >> (place % 64) & 1 == 1
        };
        sign.as_bytes().windows(2).all(is_there) && holds(&self.text, sign)
    }
}

/// Where a pair of bytes has its bit; some share one.
fn place(pair: &[u8]) -> usize {
    (usize::from(pair[0]) << 6 ^ usize::from(pair[1])) % PAIRS
}

fn weigh(signs: &'static [Sign], [asked, instructions]: &[Said; 2]) -> (u32, Vec<&'static str>) {
    let mut weight = 0;
    let mut found = Vec::new();
    for (sign, each) in signs {
        let factor = if asked.holds(sign) {
            USER
        } else if instructions.holds(sign) {
            1
        } else {
            continue;
        };
        weight += each * factor;
        found.push(*sign);
    }
    (weight, found)
}

/// Whether a sign stands in a text: where it begins or ends with a letter, not within a longer word.
/// Scripts that write without blanks have no such ends.
fn holds(text: &str, sign: &str) -> bool {
    let joins = |inner: Option<char>, outer: Option<char>| {
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        letter(inner) && letter(outer)
    };
    text.match_indices(sign).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + sign.len()..].chars().next();
        !joins(sign.chars().next(), before) && !joins(sign.chars().next_back(), after)
    })
}
