//! Choices on their way from the provider to the client, whole (`message`) or in part (`delta`).
//! Members that nobody has to change keep their bytes. What is normalised, and why, follows
//! OpenRouter's strict clients: no nulls where they want absence, one name for reasoning, one
//! vocabulary of reasons to finish.

use std::borrow::Cow;

use super::plain::Plain;
use super::progress::Progress;
use super::wire;
use crate::json::{self, Members, Raw};

/// Which of the two forms a choice has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In a stream: `delta`.
    Part,
    /// In a whole reply: `message`.
    Whole,
}

/// What was seen in the choices of a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Something a client would notice: text, reasoning, a call, a refusal, sound or a picture.
    pub output: bool,
    /// Bytes of text, reasoning and arguments, unescaped.
    pub bytes: u64,
    /// The last reason to finish, in the provider's words.
    pub finish: Option<String>,
    /// The same in OpenRouter's words.
    reason: Option<&'static str>,
    pub progress: Progress,
    /// A choice claims to be whole, and a call of it is not.
    pub half: bool,
    /// What the model thought is counted, but not shown.
    hides_reasoning: bool,
}

/// Members that are absent when there is nothing to say: strict clients refuse a null.
const NEVER_NULL: &[&str] =
    &["tool_calls", "images", "audio", "reasoning_details", "annotations", "function_call"];

/// The index of the one call that OpenAI's older `function_call` is.
const OLD_CALL: u64 = u64::MAX;

impl Seen {
    pub(super) fn hide_reasoning(&mut self) {
        self.hides_reasoning = true;
    }

    /// Takes note of a plain chunk; says whether that was all there is to it.
    pub(super) fn take_plain(&mut self, chunk: &Plain<'_>) -> bool {
        if self.finish.is_some() || self.half || self.hides_reasoning {
            return false;
        }
        self.progress.see(chunk.index);
        self.take_words(chunk.said());
        true
    }

    /// Takes note of a piece of text or of a thought, of so many bytes.
    pub(super) fn take_words(&mut self, said: usize) {
        self.output |= said > 0;
        self.bytes += said as u64;
    }

    /// Appends the client's form of the choices that the array `raw` holds.
    pub(super) fn write_choices(&mut self, raw: &[&str], form: Form, out: &mut Vec<u8>) {
        out.push(b'[');
        for (position, choice) in raw.iter().enumerate() {
            let Ok(choice) = json::members(choice) else { continue };
            if out.last() != Some(&b'[') {
                out.push(b',');
            }
            self.write_choice(&choice, position as u64, form, out);
        }
        out.push(b']');
    }

    fn write_choice(&mut self, choice: &Members<'_>, position: u64, form: Form, out: &mut Vec<u8>) {
        let index = choice.get("index").and_then(json::whole).unwrap_or(position);
        self.progress.see(index);
        json::put(out, &[&Raw("{\"index\":"), &index]);
        let (name, content) = match form {
            Form::Part => (",\"delta\":", choice.object("delta")),
            Form::Whole => (",\"message\":", choice.object("message")),
        };
        out.extend_from_slice(name.as_bytes());
        self.write_content(content.as_ref(), index, form, out);
        self.write_finish(choice, index, form, out);
        write_logprobs(choice, form, out);
        for member in choice.iter() {
            match member.key.as_ref() {
                // Perplexity repeats the whole `message` so far beside each delta.
                "index" | "delta" | "message" | "finish_reason" | "native_finish_reason" | "logprobs" => {}
                "error" if json::is_null(member.value) => {}
                _ => write_member(member.text, out),
            }
        }
        out.push(b'}');
    }

    fn write_finish(&mut self, choice: &Members<'_>, index: u64, form: Form, out: &mut Vec<u8>) {
        let Some(finish) = choice.string("finish_reason").filter(|finish| !finish.is_empty()) else {
            // A whole reply's `native_finish_reason` is a string to the clients that declare it.
            out.extend_from_slice(match form {
                Form::Part => br#","finish_reason":null,"native_finish_reason":null"#,
                Form::Whole => br#","finish_reason":null,"native_finish_reason":"""#,
            });
            return;
        };
        let native = choice.string("native_finish_reason").unwrap_or_else(|| finish.clone());
        let normal = self.normal_finish(&finish, index);
        if matches!(normal, "stop" | "tool_calls") && self.progress.is_half(index) {
            self.half = true;
            out.extend_from_slice(br#","finish_reason":null,"native_finish_reason":null"#);
            return;
        }
        json::put(
            out,
            &[&Raw(",\"finish_reason\":"), &normal, &Raw(",\"native_finish_reason\":"), &native.as_ref()],
        );
        self.progress.finish(index);
        self.finish = Some(native.into_owned());
        self.reason = Some(normal);
    }

    /// Groq, Mistral and local servers say `stop` at times though tools were called.
    fn normal_finish(&self, finish: &str, index: u64) -> &'static str {
        match wire::finish_reason(finish) {
            "stop" if self.progress.has_called(index) => "tool_calls",
            normal => normal,
        }
    }

    /// The reason to finish in OpenRouter's words.
    pub(super) fn finish_reason(&self) -> Option<&'static str> {
        self.reason
    }

    fn write_content(&mut self, content: Option<&Members<'_>>, index: u64, form: Form, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"role":"assistant""#);
        let Some(content) = content else {
            out.extend_from_slice(br#","content":""}"#);
            return;
        };
        let (text, thought) = split_content(content.get("content"));
        self.write_text("content", text, form == Form::Whole, out);
        // vLLM and others send both names with the same text.
        let reasoning = content.value("reasoning").or_else(|| content.value("reasoning_content"));
        let reasoning = reasoning.map(Cow::Borrowed).or(thought);
        if self.hides_reasoning {
            self.write_text("reasoning", reasoning, false, &mut Vec::new());
            self.write_text("reasoning", None, form == Form::Whole, out);
        } else {
            self.write_text("reasoning", reasoning, form == Form::Whole, out);
        }
        let refusal = content.get("refusal").map(Cow::Borrowed);
        self.write_text("refusal", refusal, form == Form::Whole, out);
        for member in content.iter() {
            match member.key.as_ref() {
                "role" | "content" | "reasoning" | "reasoning_content" | "refusal" => {}
                "reasoning_details" if self.hides_reasoning => {}
                "tool_calls" => self.write_calls(member.value, index, form, out),
                "function_call" if !json::is_null(member.value) => {
                    self.output = true;
                    let call = content.object("function_call");
                    if let Some(arguments) = call.as_ref().and_then(|call| call.get("arguments")) {
                        self.progress.arguments(index, OLD_CALL, arguments);
                    }
                    write_member(member.text, out);
                }
                key if NEVER_NULL.contains(&key) => {
                    if !json::is_null(member.value) {
                        self.output |= key != "annotations" && !is_hollow(member.value);
                        write_member(member.text, out);
                    }
                }
                _ => write_member(member.text, out),
            }
        }
        out.push(b'}');
    }

    /// Writes a member of text. In a whole message it is there even if it is null.
    fn write_text(&mut self, name: &str, value: Option<Cow<'_, str>>, always: bool, out: &mut Vec<u8>) {
        let value = match value {
            Some(value) => value,
            None if always => Cow::Borrowed("null"),
            None => return,
        };
        let bytes = json::string_len(&value).unwrap_or(0);
        self.bytes += bytes as u64;
        self.output |= bytes > 0 || value.starts_with('[') && !is_hollow(&value);
        json::put(out, &[&Raw(",\""), &Raw(name), &Raw("\":"), &Raw(value)]);
    }

    fn write_calls(&mut self, raw: &str, index: u64, form: Form, out: &mut Vec<u8>) {
        let Ok(calls) = json::elements(raw) else { return };
        if !calls.is_empty() {
            self.output = true;
            self.progress.call(index);
        }
        out.extend_from_slice(b",\"tool_calls\":[");
        for (position, call) in calls.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            self.write_call(call, (index, position), form, out);
        }
        out.push(b']');
    }

    fn write_call(&mut self, raw: &str, (choice, position): (u64, usize), form: Form, out: &mut Vec<u8>) {
        let Ok(call) = json::members(raw) else {
            out.extend_from_slice(raw.as_bytes());
            return;
        };
        let function = call.object("function");
        let index = call.get("index").and_then(json::whole).unwrap_or(position as u64);
        if let Some(arguments) = function.as_ref().and_then(|function| function.get("arguments")) {
            self.bytes += json::string_len(arguments).map_or(0, |length| length as u64);
            self.progress.arguments(choice, index, arguments);
        }
        if is_proper_call(&call, function.as_ref(), form) {
            out.extend_from_slice(raw.as_bytes());
            return;
        }
        json::put(out, &[&Raw("{\"index\":"), &index]);
        if form == Form::Whole && !call.has("type") {
            out.extend_from_slice(br#","type":"function""#);
        }
        for member in call.iter().filter(|member| !json::is_null(member.value)) {
            match (member.key.as_ref(), &function) {
                ("index", _) => {}
                ("function", Some(function)) => write_function(function, out),
                _ => write_member(member.text, out),
            }
        }
        out.push(b'}');
    }
}

/// Whether a call can stay as it is: an index in a stream, no nulls, arguments as a string.
fn is_proper_call(call: &Members<'_>, function: Option<&Members<'_>>, form: Form) -> bool {
    let place = match form {
        Form::Part => call.get("index").is_some_and(|index| json::whole(index).is_some()),
        Form::Whole => call.has("type"),
    };
    let plain = |members: &Members<'_>| members.iter().all(|member| !json::is_null(member.value));
    let arguments =
        |function: &Members<'_>| function.get("arguments").is_none_or(|arguments| arguments.starts_with('"'));
    place && plain(call) && function.is_none_or(|function| plain(function) && arguments(function))
}

fn write_function(function: &Members<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"function\":{");
    for member in function.iter().filter(|member| !json::is_null(member.value)) {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        if member.key == "arguments" && !member.value.starts_with('"') {
            out.extend_from_slice(b"\"arguments\":");
            json::write_string(member.value, out);
        } else {
            out.extend_from_slice(member.text.as_bytes());
        }
    }
    out.push(b'}');
}

/// The text and the thoughts in a `content`. Mistral's reasoning models send an array of parts:
/// `[{"type":"thinking","thinking":[{"type":"text","text":…}]},{"type":"text","text":…}]`.
pub(super) fn split_content(content: Option<&str>) -> (Option<Cow<'_, str>>, Option<Cow<'_, str>>) {
    let Some(content) = content else { return (None, None) };
    let parts = content.starts_with('[').then(|| json::elements(content).ok()).flatten();
    let Some(parts) = parts else { return (Some(Cow::Borrowed(content)), None) };
    let parts: Vec<Members<'_>> = parts.into_iter().filter_map(|part| json::members(part).ok()).collect();
    let kind = |part: &Members<'_>| part.string("type").unwrap_or_default().into_owned();
    if !parts.iter().all(|part| matches!(kind(part).as_str(), "text" | "thinking" | "reference")) {
        return (Some(Cow::Borrowed(content)), None);
    }
    let (mut text, mut thought) = (String::new(), None::<String>);
    for part in &parts {
        text.push_str(&part.string("text").unwrap_or_default());
        if let Some(thinking) = part.value("thinking") {
            thought.get_or_insert_default().push_str(&joined_text(thinking));
        }
    }
    (Some(Cow::Owned(json::quote(&text))), thought.map(|thought| Cow::Owned(json::quote(&thought))))
}

/// The text of a string, or of all parts of an array that have one.
pub(super) fn joined_text(value: &str) -> String {
    match json::string(value) {
        Some(text) => text.into_owned(),
        None => json::elements(value)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|part| json::members(part).ok()?.string("text"))
            .collect(),
    }
}

/// DeepSeek gives `logprobs` without the `content` that the schema requires.
fn write_logprobs(choice: &Members<'_>, form: Form, out: &mut Vec<u8>) {
    match choice.value("logprobs") {
        Some(value) => {
            out.extend_from_slice(b",\"logprobs\":");
            match json::members(value) {
                Ok(members) if !members.has("content") => {
                    let more = ["\"content\":null".to_owned()];
                    out.extend_from_slice(members.edit(|_| json::Edit::Keep, &more).as_bytes());
                }
                Ok(_) | Err(_) => out.extend_from_slice(value.as_bytes()),
            }
        }
        None if form == Form::Whole || choice.has("logprobs") => {
            out.extend_from_slice(b",\"logprobs\":null");
        }
        None => {}
    }
}

fn is_hollow(value: &str) -> bool {
    matches!(value, "[]" | "{}" | "\"\"")
}

pub(super) fn write_member(text: &str, out: &mut Vec<u8>) {
    out.push(b',');
    out.extend_from_slice(text.as_bytes());
}
