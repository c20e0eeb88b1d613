//! What a provider's reply says, response by response: a stream is many of them with parts to
//! append, a whole reply is one. Both are read here, so that they read alike.

use super::citation;
use super::error::fault_in;
use super::names::hash;
use super::partial::Arguments;
use super::wire::{self, Counts};
use super::{MINTED, seal};
use crate::chat::conversation::ReasoningKind;
use crate::chat::{Citation, Event, Facts, Finish, ProviderError, WITHIN_A_CALL};
use crate::json::{self, Members};
use crate::protocol::fault::cut;
use crate::protocol::lane::Renamed;

/// A reply as far as it was read.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub facts: Facts,
    names: Vec<Renamed>,
    counts: Counts,
    calls: usize,
    /// The call whose arguments are still coming.
    open: Option<Open>,
    /// All text that was said, for the places of citations.
    text: String,
    grounding: Option<String>,
    citations: Vec<Citation>,
    finish: Option<String>,
    finish_message: Option<String>,
    blocked: Option<String>,
}

#[derive(Clone, Debug)]
struct Open {
    call: usize,
    custom: bool,
    arguments: Arguments,
}

impl Reply {
    pub(super) fn new(names: Vec<Renamed>) -> Reply {
        Reply {
            facts: Facts::default(),
            names,
            counts: Counts::default(),
            calls: 0,
            open: None,
            text: String::new(),
            grounding: None,
            citations: Vec::new(),
            finish: None,
            finish_message: None,
            blocked: None,
        }
    }

    /// Reads one response; `raw` is its text.
    pub(super) fn read(&mut self, response: &Members<'_>, raw: &str, events: &mut Vec<Event>) {
        if self.facts.fault.is_some() {
            return;
        }
        if let Some(fault) = fault_in(response, raw) {
            self.facts.fault = Some(fault);
            return;
        }
        if self.facts.upstream_id.is_none() {
            self.facts.upstream_id = own(response, "responseId");
        }
        if let Some(usage) = response.object("usageMetadata") {
            self.counts.read(&usage);
            self.facts.usage = self.counts.usage();
            if let Some(tier) = own(&usage, "serviceTier") {
                self.facts.service_tier = Some(tier);
            }
        }
        let candidates = response.array("candidates").unwrap_or_default();
        if let (true, Some(feedback)) = (candidates.is_empty(), response.object("promptFeedback")) {
            self.read_feedback(&feedback);
        }
        let first = candidates.iter().filter_map(|candidate| json::members(candidate).ok());
        if candidates.len() > 1 {
            self.facts.lose("candidates: only the first is told");
        }
        // The neutral words know one answer.
        let first = first.into_iter().find(|it| matches!(it.get("index"), None | Some("0")));
        if let Some(candidate) = first {
            self.read_candidate(&candidate, events);
        }
    }

    /// Gemini refuses a prompt with status 200 and no candidates.
    fn read_feedback(&mut self, feedback: &Members<'_>) {
        let reason = own(feedback, "blockReason");
        let message = own(feedback, "blockReasonMessage");
        if reason.is_some() || message.is_some() {
            self.blocked = Some(reason.unwrap_or_else(|| "BLOCK_REASON_UNSPECIFIED".to_owned()));
        }
    }

    fn read_candidate(&mut self, candidate: &Members<'_>, events: &mut Vec<Event>) {
        let content = candidate.object("content");
        let parts = content.as_ref().and_then(|content| content.array("parts")).unwrap_or_default();
        for part in parts.into_iter().filter_map(|part| json::members(part).ok()) {
            self.read_part(&part, events);
        }
        if candidate.value("logprobsResult").is_some() {
            self.facts.lose("candidates.logprobsResult: no other protocol's");
        }
        if let Some(grounding) = candidate.value("groundingMetadata") {
            let queries = json::members(grounding).ok().and_then(|it| it.array("webSearchQueries"));
            let queries = queries.map_or(0, |queries| queries.len() as u64);
            self.facts.web_searches = self.facts.web_searches.max(queries);
            self.grounding = Some(grounding.to_owned());
        }
        if let Some(cited) = candidate.object("citationMetadata") {
            let sources = cited.array("citationSources").or_else(|| cited.array("citations"));
            for source in sources.unwrap_or_default() {
                let citation = citation::from_source(source, &self.text);
                self.citations.extend(citation.filter(|it| !self.citations.contains(it)));
                self.citations.truncate(citation::MOST);
            }
        }
        if let Some(finish) = own(candidate, "finishReason") {
            self.facts.finish = Some(finish.clone());
            self.facts.finish_reason = Some(wire::finish(&finish, self.calls > 0).reason());
            self.finish = Some(finish);
            self.finish_message = own(candidate, "finishMessage");
        }
    }

    fn push(&mut self, event: Event, events: &mut Vec<Event>) {
        self.facts.began = true;
        let bytes = match &event {
            Event::Text(text) | Event::Reasoning { text, .. } | Event::Arguments { text, .. } => text.len(),
            Event::Refusal(text) => text.len(),
            Event::Seal { .. }
            | Event::ToolCall { .. }
            | Event::ToolCallEnd { .. }
            | Event::Image { .. }
            | Event::Citation(_)
            | Event::Finish { .. } => 0,
        };
        self.facts.output_bytes += bytes as u64;
        events.push(event);
    }

    fn read_part(&mut self, part: &Members<'_>, events: &mut Vec<Event>) {
        let mark = part.string("thoughtSignature").and_then(|signature| seal::read(&signature));
        if let Some(call) = part.object("functionCall") {
            self.read_call(&call, mark, events);
            return;
        }
        let thought = part.get("thought") == Some("true");
        if let Some(text) = part.string("text").filter(|text| !text.is_empty()) {
            let text = text.into_owned();
            if thought {
                self.push(Event::Reasoning { text, kind: ReasoningKind::Summary }, events);
            } else {
                self.text.push_str(&text);
                self.push(Event::Text(text), events);
            }
        }
        if let Some(data) = part.object("inlineData") {
            let media_type = data.string("mimeType").unwrap_or_default();
            let base64 = data.string("data").unwrap_or_default();
            match media_type.starts_with("image/") && !thought {
                true => self.push(Event::Image { url: format!("data:{media_type};base64,{base64}") }, events),
                false => self.facts.lose("content.parts.inlineData: sound, or a sketch of a thought"),
            }
        }
        let tools = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse", "fileData"];
        if tools.iter().any(|name| part.has(name)) {
            self.facts.began = true;
            self.facts.lose("content.parts: what Gemini's own tools did");
        }
        if let Some(seal) = mark {
            self.push(Event::Seal { seal, hidden: !thought }, events);
        }
    }

    /// A call comes whole, or is opened by its name, filled piece by piece, and closed by the part
    /// that does not announce another.
    fn read_call(
        &mut self,
        call: &Members<'_>,
        seal: Option<crate::chat::conversation::Seal>,
        events: &mut Vec<Event>,
    ) {
        if let Some(name) = own(call, "name") {
            self.close(events);
            let renamed = self.names.iter().find(|renamed| renamed.sent == name);
            let custom = renamed.is_some_and(|renamed| renamed.custom);
            let name = renamed.map_or(name, |renamed| renamed.own.clone());
            let number = self.calls;
            self.calls += 1;
            let id = own(call, "id").unwrap_or_else(|| self.mint(number, call));
            self.push(Event::ToolCall { call: number, id, name, custom, seal }, events);
            self.open = Some(Open { call: number, custom, arguments: Arguments::new() });
        }
        let more = call.get("willContinue") == Some("true");
        let Some(open) = &mut self.open else { return };
        for piece in call.array("partialArgs").unwrap_or_default() {
            if json::members(piece).ok().and_then(|piece| open.arguments.read(&piece)).is_none() {
                self.fail("The provider sent arguments that cannot be put together.", "", None);
                return;
            }
        }
        if let Some(arguments) = call.value("args").filter(|_| !more) {
            let (call, custom) = (open.call, open.custom);
            self.open = None;
            self.push_arguments(call, custom, &compact(arguments), events);
        } else if !more {
            self.close(events);
        }
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        if let Some(open) = self.open.take() {
            self.push_arguments(open.call, open.custom, &open.arguments.write(), events);
        }
    }

    fn push_arguments(&mut self, call: usize, custom: bool, arguments: &str, events: &mut Vec<Event>) {
        let input = || json::members(arguments).ok().and_then(|arguments| own(&arguments, "input"));
        let text = if custom { input().unwrap_or_default() } else { arguments.to_owned() };
        self.push(Event::Arguments { call, text }, events);
        self.push(Event::ToolCallEnd { call }, events);
    }

    /// An id for a call without one: other protocols need it. The same for the same reply.
    fn mint(&self, number: usize, call: &Members<'_>) -> String {
        let legal = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        let id = self.facts.upstream_id.as_deref().unwrap_or_default();
        let mut seed: String = id.chars().filter(legal).take(24).collect();
        if seed.is_empty() {
            let said = format!(
                "{}{}",
                call.get("name").unwrap_or_default(),
                compact(call.get("args").unwrap_or(""))
            );
            seed = format!("{:016x}", hash(said.as_bytes(), self.facts.output_bytes));
        }
        format!("{MINTED}{seed}_{number}")
    }

    pub(super) fn fail(&mut self, message: &str, raw: &str, code: Option<String>) {
        let fault =
            ProviderError { status: None, code, message: message.to_owned(), raw: cut(raw).to_owned() };
        self.facts.fault.get_or_insert(fault);
    }

    /// Whether the last response may have been the end.
    pub(super) fn may_be_over(&self) -> bool {
        self.finish.is_some() || self.blocked.is_some()
    }

    /// The provider said all it had to say. Gemini has no mark for the end: a reply is complete if
    /// a reason to finish came, which old models put on every response.
    pub(super) fn end(&mut self, events: &mut Vec<Event>) {
        if self.facts.fault.is_some() || self.facts.done {
            return;
        }
        let Some(native) = self.finish.clone().or_else(|| self.blocked.clone()) else { return };
        if self.finish.is_some() && !self.facts.began && wire::fails_empty(&native) {
            let own = self.finish_message.take();
            let message = own.unwrap_or_else(|| format!("The provider ended the reply with `{native}`."));
            self.fail(&message, "", Some(native));
            return;
        }
        let reason = match self.finish {
            Some(_) => wire::finish(&native, self.calls > 0),
            None => Finish::ContentFilter,
        };
        if self.open.take().is_some() && reason.claims_whole() {
            return self.facts.cut_short(WITHIN_A_CALL);
        }
        self.facts.finish = Some(native.clone());
        self.facts.finish_reason = Some(reason.reason());
        let grounding = self.grounding.take().map(|raw| citation::from_grounding(&raw, &self.text));
        for citation in grounding.into_iter().flatten().chain(std::mem::take(&mut self.citations)) {
            self.push(Event::Citation(citation), events);
        }
        self.facts.done = true;
        self.push(Event::Finish { reason, native }, events);
    }

    /// As [`Reply::end`], for a body that came whole: output needs no reason to finish.
    pub(super) fn end_whole(&mut self, events: &mut Vec<Event>) {
        if self.facts.began && !self.may_be_over() {
            self.finish = Some("FINISH_REASON_UNSPECIFIED".to_owned());
        }
        self.end(events);
    }
}

fn own(members: &Members<'_>, key: &str) -> Option<String> {
    members.string(key).filter(|text| !text.is_empty()).map(|text| text.into_owned())
}

/// JSON without the blanks between its tokens: whole replies are laid out for human readers.
fn compact(text: &str) -> String {
    if !text.contains(['\n', ' ']) {
        return text.to_owned();
    }
    let (mut inside, mut escaped) = (false, false);
    let keep = |letter: &char| {
        if inside {
            inside = escaped || *letter != '"';
            escaped = !escaped && *letter == '\\';
            return true;
        }
        inside = *letter == '"';
        !letter.is_ascii_whitespace()
    };
    text.chars().filter(keep).collect()
}
