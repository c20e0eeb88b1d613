//! A whole reply from a provider to a client of the same protocol. It is read once, for what the
//! gateway has to know and for what the client gets of it: the rest is the gateway's members, in place of the provider's.

use super::choice::{Form, Seen, write_member};
use super::wire::Counts;
use crate::chat::{Bill, Facts, Identity, ProviderError as Fault, Quirks, ReplyFault, WITHIN_A_CALL};
use crate::json::{self, Members};
use crate::protocol::fault;
use crate::protocol::openai_wire;

/// A reply that can be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub facts: Facts,
    /// What the client gets of it between the gateway's own members: written while it was read.
    inside: Vec<u8>,
}

/// Reads a body that came with status 200. Blanks before the object are how providers keep a
/// connection alive.
pub fn read_reply(body: &[u8], quirks: &Quirks) -> Result<Reply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = json::members(fault::first_object(&text)).map_err(|e| ReplyFault::NotJson(e.to_string()))?;
    if let Some(fault) = openai_wire::fault_in(&reply, text.trim()) {
        return Err(ReplyFault::Error(fault));
    }
    let choices = reply.array("choices").unwrap_or_default();
    let mut seen = Seen::default();
    let inside = write_inside(&reply, &choices, text.len(), &mut seen);
    if !seen.output && seen.finish.is_none() {
        return Err(ReplyFault::Empty);
    }
    if seen.half || seen.finish.is_none() && seen.progress.any_half() {
        return Err(ReplyFault::Truncated(fault::worded(WITHIN_A_CALL.to_owned())));
    }
    if !seen.output && seen.finish_reason() == Some("error") {
        return Err(ReplyFault::Error(empty_fault(&choices, &seen, &text)));
    }
    Ok(Reply { facts: read_facts(&reply, &seen, quirks), inside })
}

/// A reply that says nothing but that it failed.
fn empty_fault(choices: &[&str], seen: &Seen, text: &str) -> Fault {
    let first = choices.first().and_then(|choice| json::members(choice).ok());
    let own = first.filter(|choice| choice.value("error").is_some());
    own.and_then(|choice| openai_wire::fault_in(&choice, text))
        .unwrap_or_else(|| openai_wire::failed_finish(seen.finish.as_deref().unwrap_or_default(), text))
}

fn read_facts(reply: &Members<'_>, seen: &Seen, quirks: &Quirks) -> Facts {
    let mut counts = Counts::default();
    if let Some(usage) = reply.value("usage") {
        counts.read(usage, quirks);
    }
    let own = |key| reply.string(key).map(|text| text.into_owned());
    Facts {
        began: true,
        finish: seen.finish.clone(),
        finish_reason: seen.finish_reason(),
        done: true,
        usage: counts.usage(quirks),
        web_searches: counts.web_searches.unwrap_or(0),
        cost: counts.cost(),
        output_bytes: seen.bytes,
        fault: None,
        truncated: false,
        upstream_id: own("id"),
        system_fingerprint: own("system_fingerprint"),
        service_tier: own("service_tier"),
        losses: Vec::new(),
    }
}

impl Reply {
    /// Writes the reply for the client.
    pub fn write(&self, identity: &Identity, bill: &Bill) -> Vec<u8> {
        enclose(&self.inside, identity, bill)
    }

    /// As [`Reply::write`], but what the model thought is not shown. `body` is the one that was read.
    pub fn write_without_reasoning(&self, body: &[u8], identity: &Identity, bill: &Bill) -> Vec<u8> {
        let text = crate::bytes::text(body);
        let reply = json::members(fault::first_object(&text)).expect("this body was read before");
        let mut seen = Seen::default();
        seen.hide_reasoning();
        let choices = reply.array("choices").unwrap_or_default();
        enclose(&write_inside(&reply, &choices, text.len(), &mut seen), identity, bill)
    }
}

/// Puts the gateway's own members around the rest of a reply.
fn enclose(inside: &[u8], identity: &Identity, bill: &Bill) -> Vec<u8> {
    let mut out = openai_wire::opening(identity, "chat.completion");
    out.reserve(inside.len() + 512);
    out.extend_from_slice(inside);
    openai_wire::write_closing(bill, &mut out);
    out
}

/// Writes what the gateway does not own of a reply, which has so many bytes.
fn write_inside(reply: &Members<'_>, choices: &[&str], bytes: usize, seen: &mut Seen) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes + 128);
    if !reply.get("system_fingerprint").is_some_and(|value| value.starts_with('"')) {
        out.extend_from_slice(b",\"system_fingerprint\":null");
    }
    write_others(reply, &mut out);
    out.extend_from_slice(b",\"choices\":");
    seen.write_choices(choices, Form::Whole, &mut out);
    out
}

/// Writes the members that neither the opening nor the gateway replaces.
fn write_others(reply: &Members<'_>, out: &mut Vec<u8>) {
    for member in reply.iter() {
        match member.key.as_ref() {
            "id" | "object" | "created" | "model" | "provider" | "choices" => {}
            "usage" | "x_groq" | "openrouter_metadata" | "error" => {}
            // Padding against traffic analysis.
            "p" | "obfuscation" => {}
            "system_fingerprint" if !member.value.starts_with('"') => {}
            _ => write_member(member.text, out),
        }
    }
}
