//! Messages as strict providers take them: ids of calls in their form, and turns in their order.
//! Everything else keeps its bytes.

use super::choice::joined_text;
use crate::chat::{CallIdForm, Quirks, TurnOrder};
use crate::json::{self, Edit, Member, Members};
use crate::protocol::call_ids::CallIds;

/// Messages that were changed, and what a client has to know of it.
pub(super) struct Changed {
    pub messages: String,
    pub losses: Vec<String>,
}

/// Changes the JSON array `messages` for a provider; `None` if it takes them as they are.
pub(super) fn change(messages: &str, quirks: &Quirks) -> Option<Changed> {
    if quirks.call_ids == CallIdForm::AsSent && quirks.turn_order == TurnOrder::Free {
        return None;
    }
    let own = json::elements(messages).ok()?;
    let ids = call_ids(&own, quirks.call_ids);
    let kept = || own.iter().map(|message| (*message).to_owned());
    let list: Vec<String> = match ids.is_empty() {
        true => kept().collect(),
        false => own.iter().map(|message| with_ids(message, &ids)).collect(),
    };
    let (list, losses) = match quirks.turn_order {
        TurnOrder::Free => (list, Vec::new()),
        TurnOrder::Alternating => alternate(list),
        TurnOrder::AnswersTools => answer_tools(list),
    };
    let changed = ids_or_order_changed(&own, &list);
    changed.then(|| Changed { messages: format!("[{}]", list.join(",")), losses })
}

fn ids_or_order_changed(own: &[&str], list: &[String]) -> bool {
    own.len() != list.len() || own.iter().zip(list).any(|(own, other)| own != other)
}

fn call_ids(messages: &[&str], form: CallIdForm) -> CallIds {
    if form == CallIdForm::AsSent {
        return CallIds::default();
    }
    let mut ids = Vec::new();
    for message in messages.iter().filter_map(|message| json::members(message).ok()) {
        ids.extend(message.string("tool_call_id"));
        let calls = message.array("tool_calls").unwrap_or_default().into_iter();
        ids.extend(calls.filter_map(|call| json::members(call).ok()?.string("id")));
    }
    CallIds::new(ids.iter().map(AsRef::as_ref), form)
}

fn with_ids(message: &str, ids: &CallIds) -> String {
    let Ok(members) = json::members(message) else { return message.to_owned() };
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "tool_call_id" => id_edit(member, ids),
        "tool_calls" => match json::elements(member.value) {
            Ok(calls) => {
                let calls: Vec<String> = calls.into_iter().map(|call| call_with_id(call, ids)).collect();
                Edit::Value(format!("[{}]", calls.join(",")))
            }
            Err(_) => Edit::Keep,
        },
        _ => Edit::Keep,
    };
    members.edit(edit, &[])
}

fn call_with_id(call: &str, ids: &CallIds) -> String {
    let Ok(members) = json::members(call) else { return call.to_owned() };
    members.edit(|member| if member.key == "id" { id_edit(member, ids) } else { Edit::Keep }, &[])
}

fn id_edit(member: &Member<'_>, ids: &CallIds) -> Edit {
    match json::string(member.value) {
        Some(id) => Edit::Value(json::quote(ids.sent(&id))),
        None => Edit::Keep,
    }
}

fn role(message: &str) -> String {
    json::members(message)
        .ok()
        .and_then(|it| it.string("role").map(|role| role.into_owned()))
        .unwrap_or_default()
}

/// Mistral wants the model's word between results of tools and the user's next.
fn answer_tools(messages: Vec<String>) -> (Vec<String>, Vec<String>) {
    const WORD: &str = r#"{"role":"assistant","content":"OK"}"#;
    let mut out: Vec<String> = Vec::with_capacity(messages.len());
    let mut losses = Vec::new();
    for message in messages {
        if role(&message) == "user" && out.last().is_some_and(|last| role(last) == "tool") {
            out.push(WORD.to_owned());
            losses =
                vec!["messages: an assistant's `OK` stands between a tool's result and the user".to_owned()];
        }
        out.push(message);
    }
    (out, losses)
}

/// Perplexity wants the user and the model to take turns, and the system to speak first only.
fn alternate(messages: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut out: Vec<String> = Vec::with_capacity(messages.len());
    let (mut begun, mut losses) = (false, Vec::new());
    for message in messages {
        let system = matches!(role(&message).as_str(), "system" | "developer");
        begun |= !system;
        let message = if system && begun {
            losses = vec!["messages: a system's word within the conversation goes as the user's".to_owned()];
            as_user(&message)
        } else {
            message
        };
        let speaker = role(&message);
        let merges = matches!(speaker.as_str(), "user" | "assistant");
        match out.last_mut().filter(|last| merges && role(last) == speaker) {
            Some(last) => *last = merged(last, &message),
            None => out.push(message),
        }
    }
    (out, losses)
}

fn as_user(message: &str) -> String {
    let Ok(members) = json::members(message) else { return message.to_owned() };
    let user = |member: &Member<'_>| match member.key.as_ref() {
        "role" => Edit::Value("\"user\"".to_owned()),
        _ => Edit::Keep,
    };
    members.edit(user, &[])
}

/// Two messages of one speaker as one: content behind content, calls behind calls.
fn merged(one: &str, other: &str) -> String {
    let (Ok(one), Ok(other)) = (json::members(one), json::members(other)) else { return other.to_owned() };
    let content = joined_content(one.value("content"), other.value("content"));
    let calls = [&one, &other].map(|message| message.array("tool_calls").unwrap_or_default()).concat();
    let edit = |member: &Member<'_>| match member.key.as_ref() {
        "content" => Edit::Value(content.clone()),
        "tool_calls" => Edit::Value(format!("[{}]", calls.join(","))),
        _ => Edit::Keep,
    };
    let lacks = |message: &Members<'_>, key: &str| !message.has(key);
    let mut more: Vec<String> = Vec::new();
    if lacks(&one, "content") {
        more.push(format!("\"content\":{content}"));
    }
    if lacks(&one, "tool_calls") && !calls.is_empty() {
        more.push(format!("\"tool_calls\":[{}]", calls.join(",")));
    }
    let others = other.iter().filter(|member| !one.has(&member.key));
    more.extend(
        others.filter(|it| !matches!(it.key.as_ref(), "content" | "tool_calls")).map(|it| it.text.to_owned()),
    );
    one.edit(edit, &more)
}

/// Two texts with a blank line between, or all parts of both.
fn joined_content(one: Option<&str>, other: Option<&str>) -> String {
    match (one, other) {
        (None, None) => "null".to_owned(),
        (Some(content), None) | (None, Some(content)) => content.to_owned(),
        (Some(one), Some(other)) if one.starts_with('"') && other.starts_with('"') => {
            let texts = [joined_text(one), joined_text(other)];
            let texts: Vec<&str> = texts.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
            json::quote(&texts.join("\n\n"))
        }
        (Some(one), Some(other)) => {
            let parts = [parts_of(one), parts_of(other)].concat();
            format!("[{}]", parts.join(","))
        }
    }
}

fn parts_of(content: &str) -> Vec<String> {
    match json::elements(content) {
        Ok(parts) => parts.into_iter().map(str::to_owned).collect(),
        Err(_) if content == "\"\"" => Vec::new(),
        Err(_) => vec![format!("{{\"type\":\"text\",\"text\":{content}}}")],
    }
}
