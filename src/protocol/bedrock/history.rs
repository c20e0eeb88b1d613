//! A conversation's turns as Converse wants them: instructions apart, user and assistant by turns,
//! each call of a tool answered first thing in the next message, under ids of Amazon's alphabet.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::cache;
use super::model::Family;
use crate::chat::Conversation;
use crate::chat::conversation::{Issuer, Part, ReasoningKind, Role, Seal, ToolCall, ToolResult, Turn};
use crate::error::Failure;
use crate::protocol::writing::refused;

/// One part and the turn it comes from.
#[derive(Clone, Debug)]
pub(super) struct Piece<'a> {
    pub turn: usize,
    pub part: Cow<'a, Part>,
}

#[derive(Clone, Debug)]
pub(super) struct Message<'a> {
    pub role: Role,
    pub pieces: Vec<Piece<'a>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct History<'a> {
    /// The instructions that stand before all else.
    pub system: Vec<Piece<'a>>,
    pub messages: Vec<Message<'a>>,
}

/// A call that waits for its result.
struct Waiting {
    turn: usize,
    /// The client's id and the one on the wire.
    id: String,
    wire_id: String,
}

/// Puts the turns in order, or names the message that cannot be.
pub(super) fn arrange<'a>(
    conversation: &'a Conversation,
    family: Family,
    losses: &mut Vec<String>,
) -> Result<History<'a>, Failure> {
    let mut history = gather(conversation, family, losses)?;
    let mut waiting: Vec<Waiting> = Vec::new();
    for message in &mut history.messages {
        match message.role {
            Role::Assistant => waiting = name_calls(message, family),
            Role::User | Role::System => {
                answer_calls(message, &mut waiting, losses);
                refuse_unanswered(&waiting)?;
            }
        }
    }
    refuse_unanswered(&waiting)?;
    match history.messages.first() {
        Some(message) if message.role == Role::User => Ok(history),
        Some(message) => {
            let turn = message.pieces.first().map_or(0, |piece| piece.turn);
            Err(refused(turn, "this model wants a user's message first"))
        }
        None => Err(Failure::invalid("messages: there is nothing to answer")),
    }
}

/// Joins neighbours of one role and drops what is empty.
fn gather<'a>(
    conversation: &'a Conversation,
    family: Family,
    losses: &mut Vec<String>,
) -> Result<History<'a>, Failure> {
    let mut history = History::default();
    for (turn, own) in conversation.turns.iter().enumerate() {
        let foreign = own.parts.iter().any(|part| is_foreign(part, family));
        if foreign {
            let what = "reasoning: only what this model thought and signed itself goes back to it";
            losses.push(format!("messages[{turn}]: {what}"));
        }
        let parts = own.parts.iter().filter(|part| !is_blank(part) && !is_foreign(part, family));
        let pieces = parts.map(|part| Piece { turn, part: Cow::Borrowed(part) });
        match own.role {
            Role::System if history.messages.is_empty() => history.system.extend(pieces),
            Role::System => {
                if let Some(piece) = late_instructions(turn, own)? {
                    let what = "instructions amid the conversation go as a user's text";
                    losses.push(format!("messages[{turn}]: {what}"));
                    history.push(Role::User, piece);
                }
            }
            Role::User | Role::Assistant => {
                pieces.for_each(|piece| history.push(speaker(&piece.part, own.role), piece));
            }
        }
    }
    Ok(history)
}

impl<'a> History<'a> {
    fn push(&mut self, role: Role, piece: Piece<'a>) {
        match self.messages.last_mut() {
            Some(last) if last.role == role => last.pieces.push(piece),
            Some(_) | None => self.messages.push(Message { role, pieces: vec![piece] }),
        }
    }
}

impl History<'_> {
    /// The last answer called tools and does not begin with what the model thought of it.
    pub(super) fn lost_thoughts(&self) -> bool {
        let last = self.messages.iter().rev().find(|message| message.role == Role::Assistant);
        let pieces = last.map_or(&[][..], |message| &message.pieces);
        let calls = pieces.iter().any(|piece| matches!(*piece.part, Part::ToolCall(_)));
        let thought =
            |piece: &Piece<'_>| matches!(*piece.part, Part::Reasoning { .. } | Part::SealedReasoning { .. });
        calls && !pieces.first().is_some_and(thought)
    }
}

/// Who may say the part, whoever's turn it stands in.
fn speaker(part: &Part, role: Role) -> Role {
    match part {
        Part::ToolResult(_) => Role::User,
        Part::ToolCall(_) | Part::Reasoning { .. } | Part::SealedReasoning { .. } => Role::Assistant,
        Part::Text { .. } | Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => role,
        Part::Refusal { .. } => role,
    }
}

fn late_instructions<'a>(turn: usize, own: &Turn) -> Result<Option<Piece<'a>>, Failure> {
    if !own.parts.iter().all(|part| matches!(part, Part::Text { .. } | Part::Refusal { .. })) {
        return Err(refused(turn, "instructions can only be text"));
    }
    let text = text_of(&own.parts);
    let silent = text.trim().is_empty();
    let cache = own.parts.iter().rev().find_map(cache::mark);
    let text = format!("<system>\n{text}\n</system>");
    let piece = || Piece { turn, part: Cow::Owned(Part::Text { text, cache }) };
    Ok((!silent).then(piece))
}

/// Converse refuses text that is empty or blank.
fn is_blank(part: &Part) -> bool {
    match part {
        Part::Text { text, .. } | Part::Refusal { text } => text.trim().is_empty(),
        Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => false,
        Part::Reasoning { .. } | Part::SealedReasoning { .. } => false,
        Part::ToolCall(_) | Part::ToolResult(_) => false,
    }
}

/// Only Claude takes back what it thought, and only under its own signature.
fn is_foreign(part: &Part, family: Family) -> bool {
    let is_own = |seal: &Seal| family.is_claude() && seal.issuer == Issuer::Anthropic;
    match part {
        Part::Reasoning { kind: ReasoningKind::Full, seal: Some(seal), .. } => !is_own(seal),
        Part::Reasoning { .. } => true,
        Part::SealedReasoning { seal } => !is_own(seal),
        Part::Text { .. } | Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => false,
        Part::Refusal { .. } | Part::ToolCall(_) | Part::ToolResult(_) => false,
    }
}

fn text_piece<'a>(turn: usize, text: String) -> Piece<'a> {
    Piece { turn, part: Cow::Owned(Part::Text { text, cache: None }) }
}

fn text_of(parts: &[Part]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        Part::Text { text, .. } | Part::Refusal { text } => Some(text.as_str()),
        Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => None,
        Part::Reasoning { .. } | Part::SealedReasoning { .. } => None,
        Part::ToolCall(_) | Part::ToolResult(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Gives each call an id that Converse takes.
fn name_calls(message: &mut Message<'_>, family: Family) -> Vec<Waiting> {
    let mut waiting: Vec<Waiting> = Vec::new();
    for piece in &mut message.pieces {
        let Part::ToolCall(call) = piece.part.as_ref() else { continue };
        let id = call.id.clone();
        let mut wire_id = fit(&id, family);
        while waiting.iter().any(|other| other.wire_id == wire_id) {
            wire_id = short(&format!("{wire_id}+{}", waiting.len()));
        }
        if wire_id != id {
            piece.part = Cow::Owned(Part::ToolCall(ToolCall { id: wire_id.clone(), ..call.clone() }));
        }
        waiting.push(Waiting { turn: piece.turn, id, wire_id });
    }
    waiting
}

/// Puts the results of the waiting calls first. A result that nobody waits for becomes text.
fn answer_calls(message: &mut Message<'_>, waiting: &mut Vec<Waiting>, losses: &mut Vec<String>) {
    let (mut results, mut others) = (Vec::new(), Vec::new());
    for piece in message.pieces.drain(..) {
        let Part::ToolResult(result) = piece.part.as_ref() else {
            others.push(piece);
            continue;
        };
        let place = waiting.iter().position(|call| call.id == result.call || result.call.is_empty());
        match place {
            Some(place) => {
                let wire_id = waiting.remove(place).wire_id;
                let same = wire_id == result.call;
                let own = || Part::ToolResult(ToolResult { call: wire_id, ..result.clone() });
                let part = if same { piece.part.clone() } else { Cow::Owned(own()) };
                results.push(Piece { turn: piece.turn, part });
            }
            None => {
                losses.push(format!("messages[{}]: a tool result without its call goes as text", piece.turn));
                let text = text_of(&result.parts);
                others.push(text_piece(piece.turn, format!("Tool result: {text}")));
            }
        }
    }
    results.append(&mut others);
    message.pieces = results;
}

fn refuse_unanswered(waiting: &[Waiting]) -> Result<(), Failure> {
    match waiting.first() {
        Some(call) => Err(refused(call.turn, "a tool call has no result in the next message")),
        None => Ok(()),
    }
}

/// The id itself where it may stand, else a short one made from it.
fn fit(id: &str, family: Family) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-');
    let fits = match family {
        Family::Mistral => id.len() == SHORT && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        Family::Claude(_) | Family::Nova { .. } | Family::GptOss | Family::Other => {
            (1..=64).contains(&id.len()) && id.bytes().all(plain)
        }
    };
    if fits { id.to_owned() } else { short(id) }
}

const SHORT: usize = 9;

/// Nine letters and digits that depend on nothing but `id`: every provider takes them.
fn short(id: &str) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let hash = Sha256::digest(id.as_bytes());
    hash.iter().take(SHORT).map(|byte| char::from(LETTERS[usize::from(*byte) % 62])).collect()
}
