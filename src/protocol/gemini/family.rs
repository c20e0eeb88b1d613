//! What a Gemini model can do, told by its name, and how much it is asked to think.

use crate::chat::conversation::{Effort, Reasoning};
use crate::error::Failure;
use crate::protocol::writing::other_effort;

/// The generations that differ on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Gemini 1 and 2.0, Gemma: no thinking, and schemas in Google's own dialect.
    Old,
    /// Gemini 2.5: thinks within a budget of tokens.
    Budgeted(Size),
    /// Gemini 3 and later: thinks on a level, and wants its signatures back.
    Levelled(Size),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Always thinks; Gemini 3's knows two levels.
    Pro,
    /// As [`Size::Pro`], from Gemini 3.1 on: with a medium level.
    NewPro,
    Flash,
    Lite,
}

impl Family {
    pub(super) fn of(model: &str) -> Family {
        let model = model.rsplit('/').next().unwrap_or(model);
        let Some(rest) = model.strip_prefix("gemini-") else { return Family::Old };
        let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let size = match (model.contains("lite"), model.contains("pro")) {
            (true, _) => Size::Lite,
            (false, true) if version == "3" || version.starts_with("2.") => Size::Pro,
            (false, true) => Size::NewPro,
            (false, false) => Size::Flash,
        };
        match version.as_str() {
            // `gemini-flash-latest` and whatever comes without a number is the newest.
            "" => Family::Levelled(size),
            "2.5" => Family::Budgeted(size),
            version if version.starts_with(['1', '2']) => Family::Old,
            _ => Family::Levelled(size),
        }
    }

    /// Whether calls must carry a signature, and functions may answer with pictures.
    pub(super) fn wants_signatures(self) -> bool {
        match self {
            Family::Levelled(_) => true,
            Family::Old | Family::Budgeted(_) => false,
        }
    }

    /// Whether `parametersJsonSchema` and `responseJsonSchema` are understood.
    pub(super) fn takes_json_schema(self) -> bool {
        match self {
            Family::Budgeted(_) | Family::Levelled(_) => true,
            Family::Old => false,
        }
    }
}

/// The members of `thinkingConfig` for what the client wants; `None` where nothing is to be said.
pub(super) fn thinking(
    family: Family,
    wanted: &Reasoning,
    max_output: u64,
    losses: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    let off = wanted.enabled == Some(false) || wanted.effort == Some(Effort::None);
    if wanted.max_tokens.is_some() && wanted.effort.is_some_and(|effort| effort != Effort::None) {
        losses.push("reasoning.effort: the model goes by the budget".to_owned());
    }
    let measure = match family {
        Family::Old => {
            if !off && (wanted.effort.is_some() || wanted.max_tokens.is_some()) {
                losses.push("reasoning: this Gemini model does not think".to_owned());
            }
            return Ok(None);
        }
        Family::Budgeted(size) if off => off_by_budget(size)?,
        Family::Levelled(size) if off => off_by_level(size, losses)?,
        Family::Budgeted(size) => Some(match (wanted.max_tokens, wanted.effort) {
            (Some(limit), _) => budget(size, limit),
            (None, Some(effort)) => budget(size, max_output.saturating_mul(effort.percent()) / 100),
            (None, None) => "\"thinkingBudget\":-1".to_owned(),
        }),
        Family::Levelled(size) => match (wanted.max_tokens, wanted.effort) {
            (Some(limit), _) => Some(format!("\"thinkingBudget\":{}", limit.min(32_768))),
            (None, Some(effort)) => {
                let level = level(size, effort);
                losses.extend(other_effort(effort, level));
                Some(format!("\"thinkingLevel\":\"{level}\""))
            }
            (None, None) => None,
        },
    };
    let shown = !off && !wanted.exclude;
    let include = format!("\"includeThoughts\":{shown}");
    Ok(Some(measure.map_or(include.clone(), |measure| format!("{include},{measure}"))))
}

fn off_by_budget(size: Size) -> Result<Option<String>, Failure> {
    match size {
        Size::Pro | Size::NewPro => Err(always_thinks()),
        Size::Flash | Size::Lite => Ok(Some("\"thinkingBudget\":0".to_owned())),
    }
}

fn off_by_level(size: Size, losses: &mut Vec<String>) -> Result<Option<String>, Failure> {
    match size {
        Size::Pro | Size::NewPro => Err(always_thinks()),
        Size::Flash | Size::Lite => {
            losses.push("reasoning.effort: `none` is `minimal` on this Gemini model".to_owned());
            Ok(Some("\"thinkingLevel\":\"minimal\"".to_owned()))
        }
    }
}

fn always_thinks() -> Failure {
    Failure::invalid("`reasoning`: this model always reasons; it cannot be switched off.")
}

/// A budget within the bounds that Google documents for the model.
fn budget(size: Size, tokens: u64) -> String {
    let tokens = match size {
        Size::Pro | Size::NewPro => tokens.clamp(128, 32_768),
        Size::Flash => tokens.clamp(1, 24_576),
        Size::Lite => tokens.clamp(512, 24_576),
    };
    format!("\"thinkingBudget\":{tokens}")
}

/// The level that the model knows next to the effort.
fn level(size: Size, effort: Effort) -> &'static str {
    match (effort, size) {
        (Effort::None | Effort::Minimal, Size::Flash | Size::Lite) => "minimal",
        (Effort::None | Effort::Minimal | Effort::Low, _) => "low",
        (Effort::Medium, Size::Pro) => "high",
        (Effort::Medium, Size::NewPro | Size::Flash | Size::Lite) => "medium",
        (Effort::High | Effort::Xhigh | Effort::Max, _) => "high",
    }
}
