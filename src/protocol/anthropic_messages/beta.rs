//! Which `anthropic-beta` values go on to whom. The set is open: what is not in the table goes to
//! Anthropic itself, and nowhere else.

/// Who serves the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BetaTarget {
    /// Anthropic's own API.
    Anthropic,
    /// Claude on another's platform: Vertex or Bedrock.
    Hosted,
    /// Another vendor that speaks this protocol, or another protocol.
    Other,
}

/// How one beta is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BetaPolicy {
    /// The name without its date.
    pub name: &'static str,
    /// Goes to Anthropic's own API.
    pub anthropic: bool,
    /// Goes to Claude on other platforms.
    pub hosted: bool,
}

/// What became of a client's betas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedBetas {
    /// The header's value for the provider; `None` if no beta is left.
    pub header: Option<String>,
    pub dropped: Vec<String>,
}

const fn both(name: &'static str) -> BetaPolicy {
    BetaPolicy { name, anthropic: true, hosted: true }
}

const fn own(name: &'static str) -> BetaPolicy {
    BetaPolicy { name, anthropic: true, hosted: false }
}

const fn never(name: &'static str) -> BetaPolicy {
    BetaPolicy { name, anthropic: false, hosted: false }
}

/// The betas that are not simply unknown.
pub const BETA_HEADERS: &[BetaPolicy] = &[
    both("interleaved-thinking"),
    both("context-1m"),
    both("computer-use"),
    both("output-128k"),
    both("token-efficient-tools"),
    both("fine-grained-tool-streaming"),
    both("context-management"),
    own("prompt-caching"),
    own("prompt-caching-scope"),
    own("pdfs"),
    own("token-counting"),
    own("files-api"),
    own("mcp-client"),
    own("extended-cache-ttl"),
    own("model-context-window-exceeded"),
    own("skills"),
    own("compact"),
    own("fast-mode"),
    own("output-300k"),
    own("task-budgets"),
    own("advisor-tool"),
    own("thinking-token-count"),
    own("server-side-fallback"),
    own("mid-conversation-tool-changes"),
    own("claude-code"),
    own("advanced-tool-use"),
    own("effort"),
    own("adaptive-thinking"),
    own("structured-outputs"),
    own("code-execution"),
    // A subscription's login; the gateway calls with a key.
    never("oauth"),
    // Needs the conversation to be kept; a `thread` is never continued.
    never("message-threads"),
];

/// Divides the betas of a client's header (all its lines, joined with commas), each once and in
/// order, into those for the provider and those that are dropped.
pub fn forward_betas(sent: &str, target: BetaTarget) -> ForwardedBetas {
    let mut kept: Vec<&str> = Vec::new();
    let mut dropped: Vec<String> = Vec::new();
    for beta in sent.split(',').map(str::trim).filter(|beta| !beta.is_empty()) {
        if goes(beta, target) {
            if !kept.contains(&beta) {
                kept.push(beta);
            }
        } else if !dropped.iter().any(|known| known == beta) {
            dropped.push(beta.to_owned());
        }
    }
    ForwardedBetas { header: (!kept.is_empty()).then(|| kept.join(",")), dropped }
}

fn goes(beta: &str, target: BetaTarget) -> bool {
    let policy = BETA_HEADERS.iter().find(|policy| policy.name == undated(beta));
    match target {
        BetaTarget::Anthropic => policy.is_none_or(|policy| policy.anthropic),
        BetaTarget::Hosted => policy.is_some_and(|policy| policy.hosted),
        BetaTarget::Other => false,
    }
}

/// The beta without a date such as `-2025-05-14` or `-20250219` behind it.
fn undated(beta: &str) -> &str {
    let end = beta.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').len();
    let digits = beta[end..].bytes().filter(u8::is_ascii_digit).count();
    if digits == 8 { &beta[..end] } else { beta }
}
