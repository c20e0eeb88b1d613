//! What of a conversation a model reads, counted in pieces, whoever reads it.

use super::{Family, Pieces};
use crate::chat::Conversation;
use crate::chat::conversation::{Format, Part, Role, Source, Tool, ToolChoice, ToolKind};

/// What a prompt is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Instructions, what was said, and the results of tools.
    pub text: Pieces,
    /// Names and arguments of calls.
    pub calls: Pieces,
    pub call_count: u64,
    pub result_count: u64,
    /// Turns of users and assistants.
    pub turns: u64,
    /// Turns with instructions.
    pub instructions: u64,
    /// Names, descriptions and schemas of tools, and the schema of the answer.
    pub schemas: Pieces,
    pub tools: u64,
    pub answer_schemas: u64,
    pub images: u64,
    /// Pages of documents, about.
    pub pages: u64,
    /// Seconds of sound, about.
    pub audio_seconds: u64,
    /// There is a budget for thinking.
    pub has_budget: bool,
}

/// Characters of base64 to a page of a PDF, about.
const BASE64_PER_PAGE: usize = 65_000;
/// Characters of base64 to a second of sound: MP3 of 128 kbit/s.
const BASE64_PER_SECOND: usize = 21_000;

impl Measure {
    /// What a model of `family` reads of a conversation.
    pub fn of(conversation: &Conversation, family: Family) -> Measure {
        let budget = conversation.reasoning.as_ref().and_then(|reasoning| reasoning.max_tokens);
        let mut measure = Measure { has_budget: budget.is_some(), ..Measure::default() };
        for turn in &conversation.turns {
            match turn.role {
                Role::System => measure.instructions += 1,
                Role::User | Role::Assistant => measure.turns += 1,
            }
            turn.parts.iter().for_each(|part| measure.add(part, turn.role));
        }
        let forbidden = conversation.tool_choice == Some(ToolChoice::None);
        if !forbidden || family.reads_forbidden_tools() {
            conversation.tools.iter().for_each(|tool| measure.add_tool(tool));
        }
        if let Format::JsonSchema { schema, .. } = &conversation.format {
            measure.answer_schemas += 1;
            measure.schemas.scan(schema);
        }
        measure
    }

    fn add(&mut self, part: &Part, role: Role) {
        match part {
            // Templates leave out what a model thought aloud.
            Part::Text { text, .. } if role == Role::Assistant => self.text.scan(after_thought(text)),
            Part::Text { text, .. } | Part::Refusal { text } => self.text.scan(text),
            // Providers take what was thought in earlier turns out of the prompt.
            Part::Reasoning { .. } | Part::SealedReasoning { .. } => {}
            Part::Image { .. } => self.images += 1,
            Part::File { source, .. } => self.add_file(source),
            Part::Audio { base64, .. } => {
                self.audio_seconds += base64.len().div_ceil(BASE64_PER_SECOND) as u64;
            }
            Part::ToolCall(call) => {
                self.call_count += 1;
                self.calls.scan(&call.name);
                self.calls.scan(&call.arguments);
            }
            Part::ToolResult(result) => {
                self.result_count += 1;
                result.parts.iter().for_each(|part| self.add(part, role));
            }
        }
    }

    fn add_file(&mut self, source: &Source) {
        match source {
            Source::Text(text) => self.text.scan(text),
            Source::Inline { base64, .. } => self.pages += base64.len().div_ceil(BASE64_PER_PAGE) as u64,
            Source::Url(_) | Source::FileId(_) => self.pages += 1,
        }
    }

    fn add_tool(&mut self, tool: &Tool) {
        self.tools += 1;
        self.schemas.scan(&tool.name);
        self.schemas.scan(tool.description.as_deref().unwrap_or_default());
        match &tool.kind {
            ToolKind::Function { parameters: schema, .. } | ToolKind::Custom { format: schema } => {
                self.schemas.scan(schema.as_deref().unwrap_or_default());
            }
        }
    }
}

fn after_thought(text: &str) -> &str {
    text.rsplit_once("</think>").map_or(text, |(_, said)| said)
}
