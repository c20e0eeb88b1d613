//! A conversation in words that all protocols share, for translating from one to another. What a
//! protocol says that has no word here is named in `unspoken`, so that nothing is lost in silence.
//! JSON that belongs to others (schemas, arguments, numbers) stays text, spelt as it came.

/// Everything a request says to a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Instructions and turns in order. Instructions may stand anywhere.
    pub turns: Vec<Turn>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    pub format: Format,
    pub reasoning: Option<Reasoning>,
    pub sampling: Sampling,
    /// The limit of output tokens.
    pub max_tokens: Option<u64>,
    /// `low`, `medium`, `high` or what else the client sent.
    pub verbosity: Option<String>,
    /// The end user, as the client names them.
    pub user: Option<String>,
    pub service_tier: Option<String>,
    /// A key by which providers find a cached prompt.
    pub prompt_cache_key: Option<String>,
    /// JSON object of string pairs, as text.
    pub metadata: Option<String>,
    /// Members of the request that have no word here, by path: `logit_bias`, `messages[3].name`.
    pub unspoken: Vec<String>,
    /// The losses of members that speak to the gateway, and that it does not heed.
    pub unheeded: Vec<String>,
}

/// What one side says at a time. Tool results are [`Part`]s of a user's turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions: `system` and `developer`.
    System,
    User,
    Assistant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text {
        text: String,
        cache: Option<CacheMark>,
    },
    Image {
        source: Source,
        detail: Option<String>,
        cache: Option<CacheMark>,
    },
    /// A document: PDF or plain text.
    File {
        name: Option<String>,
        source: Source,
        cache: Option<CacheMark>,
    },
    /// `format` is `wav`, `mp3` and the like.
    Audio {
        base64: String,
        format: String,
    },
    /// What the model thought, if it may be read; `seal` proves or hides it.
    Reasoning {
        text: String,
        kind: ReasoningKind,
        seal: Option<Seal>,
    },
    /// What the model thought, unreadable: Anthropic's redacted thinking, OpenAI's encrypted content.
    SealedReasoning {
        seal: Seal,
    },
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    Refusal {
        text: String,
    },
}

impl Part {
    /// How many marks for the cache stand on it and in it. Blank text has none: it is never sent.
    pub fn marks(&self) -> usize {
        match self {
            Part::Text { text, cache } => usize::from(cache.is_some() && !text.trim().is_empty()),
            Part::Image { cache, .. } | Part::File { cache, .. } => usize::from(cache.is_some()),
            Part::ToolResult(result) => result.marks(),
            Part::Audio { .. } | Part::Reasoning { .. } | Part::SealedReasoning { .. } => 0,
            Part::ToolCall(_) | Part::Refusal { .. } => 0,
        }
    }
}

impl ToolResult {
    /// As [`Part::marks`].
    pub fn marks(&self) -> usize {
        usize::from(self.cache.is_some()) + self.parts.iter().map(Part::marks).sum::<usize>()
    }
}

/// Marks the end of a prefix that a provider is to keep in its prompt cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMark {
    #[default]
    FiveMinutes,
    OneHour,
}

/// Where the bytes of a picture or a document are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Url(String),
    /// `media_type` such as `image/png`; data in base64 without blanks.
    Inline {
        media_type: String,
        base64: String,
    },
    /// A document given as plain text.
    Text(String),
    /// The id of a file that the provider keeps.
    FileId(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningKind {
    Full,
    Summary,
}

/// A signature or ciphertext over a model's reasoning. Only its issuer can read it: it is never
/// sent to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    pub issuer: Issuer,
    pub data: String,
    /// The issuer's id of the item, such as OpenAI's `rs_…`.
    pub id: Option<String>,
}

/// Who sealed; in OpenRouter's `format` names `anthropic-claude-v1`, `openai-responses-v1`,
/// `google-gemini-v1`, `xai-responses-v1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    Anthropic,
    OpenAi,
    Gemini,
    Xai,
    Unknown,
}

/// A call of a tool by the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON text as the model wrote it; empty for no arguments. For a custom tool, free text.
    pub arguments: String,
    /// The input is free text, not JSON (OpenAI's custom tools).
    pub custom: bool,
    /// Gemini's thought signature of this call.
    pub seal: Option<Seal>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The id of the call that this answers.
    pub call: String,
    /// Text, images and files.
    pub parts: Vec<Part>,
    pub is_error: bool,
    pub custom: bool,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    pub kind: ToolKind,
    pub cache: Option<CacheMark>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// `parameters` is JSON Schema as text; `None` for a function without any.
    Function { parameters: Option<String>, strict: Option<bool> },
    /// Takes free text; `format` is JSON as text (OpenAI's grammar).
    Custom { format: Option<String> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    Auto,
    None,
    /// Any tool, but one.
    Required,
    Named(String),
}

/// The form that the answer must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    JsonObject,
    /// `schema` is JSON Schema as text.
    JsonSchema {
        /// `None` for protocols that name no schema.
        name: Option<String>,
        description: Option<String>,
        schema: String,
        strict: Option<bool>,
    },
}

/// How much a model should think, and how much of that to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    /// The limit of reasoning tokens.
    pub max_tokens: Option<u64>,
    /// Off where `Some(false)`; on at the model's own measure where `Some(true)`.
    pub enabled: Option<bool>,
    /// Thought, but not shown.
    pub exclude: bool,
    /// `auto`, `concise` or `detailed`: summaries are wanted.
    pub summary: Option<String>,
}

/// From the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

/// Numbers that steer the choice of words, each as the JSON text it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sampling {
    pub temperature: Option<String>,
    pub top_p: Option<String>,
    pub top_k: Option<String>,
    pub min_p: Option<String>,
    pub frequency_penalty: Option<String>,
    pub presence_penalty: Option<String>,
    pub repetition_penalty: Option<String>,
    pub seed: Option<String>,
    pub stop: Vec<String>,
}

impl Reasoning {
    /// Whether the client said anything of whether and how much the model is to think.
    pub fn is_asked(&self) -> bool {
        self.effort.is_some() || self.max_tokens.is_some() || self.enabled.is_some()
    }
}

impl Effort {
    /// Reads OpenRouter's and OpenAI's names.
    pub fn parse(name: &str) -> Option<Effort> {
        Effort::ALL.into_iter().find(|effort| effort.name() == name)
    }

    pub const ALL: [Effort; 7] = [
        Effort::None,
        Effort::Minimal,
        Effort::Low,
        Effort::Medium,
        Effort::High,
        Effort::Xhigh,
        Effort::Max,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Effort::None => "none",
            Effort::Minimal => "minimal",
            Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Xhigh => "xhigh",
            Effort::Max => "max",
        }
    }

    /// The share of the output tokens that the effort stands for, in percent. OpenRouter's table
    /// ("Reasoning tokens", effort levels).
    pub fn percent(self) -> u64 {
        match self {
            Effort::None => 0,
            Effort::Minimal => 10,
            Effort::Low => 20,
            Effort::Medium => 50,
            Effort::High => 80,
            Effort::Xhigh => 95,
            Effort::Max => 95,
        }
    }

    /// The budget of reasoning tokens within `max_tokens` of output, between Anthropic's bounds.
    pub fn budget(self, max_tokens: u64) -> u64 {
        (max_tokens.saturating_mul(self.percent()) / 100).clamp(1024, 128_000)
    }

    /// The effort whose share is nearest to `budget` of `max_tokens`.
    pub fn nearest(budget: u64, max_tokens: u64) -> Effort {
        let percent = budget.saturating_mul(100) / max_tokens.max(1);
        let levels = [Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh];
        levels.into_iter().min_by_key(|effort| effort.percent().abs_diff(percent)).unwrap_or(Effort::Medium)
    }
}

impl Issuer {
    /// OpenRouter's name of the format.
    pub fn format(self) -> &'static str {
        match self {
            Issuer::Anthropic => "anthropic-claude-v1",
            Issuer::OpenAi => "openai-responses-v1",
            Issuer::Gemini => "google-gemini-v1",
            Issuer::Xai => "xai-responses-v1",
            Issuer::Unknown => "unknown",
        }
    }

    pub fn of_format(format: &str) -> Issuer {
        let issuers = [Issuer::Anthropic, Issuer::OpenAi, Issuer::Gemini, Issuer::Xai];
        issuers.into_iter().find(|issuer| issuer.format() == format).unwrap_or(Issuer::Unknown)
    }
}
