//! What the models behind Converse take that Converse itself has no word for. The family shows in
//! the model's id, whatever region or profile stands before it.

/// Who made a model, as far as it matters to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Claude(Claude),
    /// Amazon Nova; the second generation thinks.
    Nova {
        thinks: bool,
    },
    GptOss,
    /// Wants tool ids of nine letters and digits.
    Mistral,
    Other,
}

/// How a Claude is made to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claude {
    /// By a budget of tokens.
    Budget,
    /// By an effort alone; it refuses sampling parameters as well.
    Adaptive,
}

/// The Claudes that refuse a budget.
const ADAPTIVE: &[&str] = &["opus-4-7", "opus-4-8", "opus-5", "sonnet-5", "fable-5"];

impl Family {
    pub(super) fn of(model: &str) -> Family {
        let model = model.to_ascii_lowercase();
        let has = |name: &str| model.contains(name);
        match () {
            () if has("claude") && ADAPTIVE.iter().any(|name| has(name)) => Family::Claude(Claude::Adaptive),
            () if has("anthropic") || has("claude") => Family::Claude(Claude::Budget),
            () if has("amazon.nova") => Family::Nova { thinks: has("nova-2") },
            () if has("gpt-oss") => Family::GptOss,
            () if has("mistral") || has("pixtral") => Family::Mistral,
            () => Family::Other,
        }
    }

    pub(super) fn is_claude(self) -> bool {
        matches!(self, Family::Claude(_))
    }

    /// Where `cachePoint` may stand.
    pub(super) fn caches(self) -> bool {
        matches!(self, Family::Claude(_) | Family::Nova { .. })
    }
}
