//! Patterns of model slugs, as rules and the auto router take them: `anthropic/*`,
//! `openai/gpt-5*`, `*/claude-*`. A star stands for anything, the slash included.

/// A pattern, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: &str) -> Pattern {
        Pattern(text.trim().to_ascii_lowercase())
    }

    pub fn matches(&self, slug: &str) -> bool {
        matches(&self.0, slug)
    }
}

/// Whether `pattern` describes the whole of `text`. Linear but for the last star, to which it goes
/// back when what follows does not fit.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => {
                p += 1;
                t += 1;
            }
            Some(_) | None => {
                let Some((after, at)) = star else { return false };
                star = Some((after, at + 1));
                p = after;
                t = at + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
