//! A conversation's turns as Converse wants them: instructions apart, user and assistant by turns,
//! each call of a tool answered first thing in the next message, under ids of Amazon's alphabet.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::model::Family;
use crate::chat::Conversation;
use crate::chat::conversation::{Part, Role, ToolCall, ToolResult, Turn};
use crate::error::Failure;

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
    let mut history = gather(conversation, losses);
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
            Err(Failure::invalid(format!("messages[{turn}]: this model wants a user's message first")))
        }
        None => Err(Failure::invalid("messages: there is nothing to answer")),
    }
}

/// Joins neighbours of one role and drops what is empty.
fn gather<'a>(conversation: &'a Conversation, losses: &mut Vec<String>) -> History<'a> {
    let mut history = History::default();
    for (turn, own) in conversation.turns.iter().enumerate() {
        let parts = own.parts.iter().filter(|part| !is_blank(part));
        let mut pieces: Vec<Piece<'a>> =
            parts.map(|part| Piece { turn, part: Cow::Borrowed(part) }).collect();
        let mut role = own.role;
        if role == Role::System {
            if history.messages.is_empty() {
                history.system.append(&mut pieces);
                continue;
            }
            losses.push(format!("messages[{turn}]: instructions amid the conversation go as a user's text"));
            pieces = late_instructions(turn, own);
            role = Role::User;
        }
        if pieces.is_empty() {
            continue;
        }
        match history.messages.last_mut() {
            Some(last) if last.role == role => last.pieces.append(&mut pieces),
            Some(_) | None => history.messages.push(Message { role, pieces }),
        }
    }
    history
}

fn late_instructions<'a>(turn: usize, own: &Turn) -> Vec<Piece<'a>> {
    let text = text_of(&own.parts);
    if text.trim().is_empty() {
        return Vec::new();
    }
    vec![text_piece(turn, format!("<system>\n{text}\n</system>"))]
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
        Some(call) => {
            let text = format!("messages[{}]: a tool call has no result in the next message", call.turn);
            Err(Failure::invalid(text))
        }
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
