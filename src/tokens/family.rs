//! What a family of models makes of a prompt: how finely its tokenizer cuts, and what its template
//! puts around turns, tools and calls. The rates are fitted to counts that providers gave for
//! recorded requests, those of letters to OpenAI's two public vocabularies.

use super::{Measure, Pieces};

/// Models that cut text, and put words of their own around it, alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Gpt,
    /// GPT-5 and the `o` models.
    GptReasoning,
    GptOss,
    /// Claude up to 4.1.
    ClaudeOld,
    /// Claude 4.5 and 4.6.
    Claude,
    /// Claude from 4.7 on, whose tokenizer cuts finer.
    ClaudeNew,
    Gemini,
    Llama,
    Mistral,
    Qwen,
    /// From 3.5 on, with a longer prompt about tools.
    QwenNew,
    DeepSeek,
    Grok,
    /// Grok with instructions of xAI's own.
    GrokReasoning,
    Kimi,
    Glm,
    Cohere,
    Sonar,
    Other,
}

/// Parts of a model's name, in small letters, and what it is then; the first that fits.
const NAMES: &[(&str, Family)] = &[
    ("gpt-oss", Family::GptOss),
    ("claude-2", Family::ClaudeOld),
    ("claude-3", Family::ClaudeOld),
    ("sonnet-4-20", Family::ClaudeOld),
    ("sonnet-4@", Family::ClaudeOld),
    ("opus-4-20", Family::ClaudeOld),
    ("opus-4@", Family::ClaudeOld),
    ("opus-4-1", Family::ClaudeOld),
    ("opus-4.1", Family::ClaudeOld),
    ("opus-4-7", Family::ClaudeNew),
    ("opus-4.7", Family::ClaudeNew),
    ("opus-4-8", Family::ClaudeNew),
    ("opus-4.8", Family::ClaudeNew),
    ("opus-5", Family::ClaudeNew),
    ("sonnet-5", Family::ClaudeNew),
    ("haiku-5", Family::ClaudeNew),
    ("claude", Family::Claude),
    ("gemini", Family::Gemini),
    ("gemma", Family::Gemini),
    ("gpt-5", Family::GptReasoning),
    ("codex", Family::GptReasoning),
    ("gpt", Family::Gpt),
    // Without the dates that later templates begin with.
    ("llama3-", Family::Other),
    ("llama-3-", Family::Other),
    ("llama", Family::Llama),
    ("mixtral", Family::Other),
    ("mistral", Family::Mistral),
    ("ministral", Family::Mistral),
    ("magistral", Family::Mistral),
    ("codestral", Family::Mistral),
    ("devstral", Family::Mistral),
    ("voxtral", Family::Mistral),
    ("pixtral", Family::Mistral),
    ("qwen3.5", Family::QwenNew),
    ("qwen3.6", Family::QwenNew),
    ("qwen", Family::Qwen),
    ("qwq", Family::Qwen),
    ("deepseek", Family::DeepSeek),
    ("non-reasoning", Family::Grok),
    ("grok-2", Family::Grok),
    ("grok", Family::GrokReasoning),
    ("kimi", Family::Kimi),
    ("glm", Family::Glm),
    ("command", Family::Cohere),
    ("sonar", Family::Sonar),
];

/// Tokens for letters of other scripts, in hundredths.
struct Letters {
    accented: u64,
    han: u64,
    kana: u64,
    hangul: u64,
    cyrillic: u64,
    greek: u64,
    hebrew: u64,
    arabic: u64,
    devanagari: u64,
    indic: u64,
    thai: u64,
    caucasian: u64,
}

/// A vocabulary of 200,000 tokens and more.
const LARGE: Letters = Letters {
    accented: 0,
    han: 82,
    kana: 66,
    hangul: 78,
    cyrillic: 33,
    greek: 42,
    hebrew: 44,
    arabic: 40,
    devanagari: 40,
    indic: 41,
    thai: 44,
    caucasian: 39,
};

/// A vocabulary of 100,000 tokens.
const SMALL: Letters = Letters {
    accented: 80,
    han: 112,
    kana: 97,
    hangul: 119,
    cyrillic: 53,
    greek: 106,
    hebrew: 109,
    arabic: 86,
    devanagari: 122,
    indic: 146,
    thai: 97,
    caucasian: 214,
};

/// How a tokenizer takes numbers.
#[derive(Clone, Copy)]
enum Digits {
    /// Up to three of them together.
    Grouped,
    Single,
}

/// What a family adds to a prompt's text. Percentages of text, else tokens.
struct Rates {
    letters: &'static Letters,
    digits: Digits,
    text_percent: u64,
    schema_percent: u64,
    base: u64,
    turn: u64,
    instructions: u64,
    call: u64,
    result: u64,
    tool: u64,
    /// Where there are tools at all.
    tools: u64,
    answer_schema: u64,
    image: u64,
}

/// The names and arguments of calls have quotes and braces around them.
const CALL_PERCENT: u64 = 120;
/// Tokens to a page of a document, text and picture.
const PER_PAGE: u64 = 2_000;
const PER_AUDIO_SECOND: u64 = 25;
/// A budget for thinking brings Claude some words about it.
const CLAUDE_THINKING: u64 = 29;

impl Family {
    /// The family of a model, by whatever name a client or a provider has for it.
    pub fn of(model: &str) -> Family {
        let name = model.to_ascii_lowercase();
        if is_first_claude_4(&name) {
            return Family::ClaudeOld;
        }
        let found = NAMES.iter().find(|(part, _)| name.contains(part)).map(|(_, family)| *family);
        found.unwrap_or(if is_o_model(&name) { Family::GptReasoning } else { Family::Other })
    }

    /// Whether tools that must not be called are part of the prompt all the same.
    pub(super) fn reads_forbidden_tools(self) -> bool {
        matches!(self, Family::Gpt | Family::GptReasoning)
    }

    /// About how many tokens the prompt is, at least one.
    pub fn tokens(self, prompt: &Measure) -> u64 {
        let rates = self.rates();
        let percents = rates.count(&prompt.text).saturating_mul(rates.text_percent)
            + rates.count(&prompt.calls).saturating_mul(CALL_PERCENT)
            + rates.count(&prompt.schemas).saturating_mul(rates.schema_percent);
        let thinking = match self {
            Family::ClaudeOld | Family::Claude if prompt.has_budget => CLAUDE_THINKING,
            _ => 0,
        };
        let around = [
            (1, rates.base + thinking),
            (prompt.turns, rates.turn),
            (prompt.instructions, rates.instructions),
            (prompt.call_count, rates.call),
            (prompt.result_count, rates.result),
            (prompt.tools, rates.tool),
            (prompt.tools.min(1), rates.tools),
            (prompt.answer_schemas, rates.answer_schema),
            (prompt.images, rates.image),
            (prompt.pages, PER_PAGE),
            (prompt.audio_seconds, PER_AUDIO_SECOND),
        ];
        let around = around.iter().map(|(count, each)| count.saturating_mul(*each));
        around.fold(percents / 10_000, u64::saturating_add).max(1)
    }

    #[rustfmt::skip]
    fn rates(self) -> Rates {
        let rates = |letters, digits, [text_percent, schema_percent]: [u64; 2], around: [u64; 8], image| {
            let [base, turn, instructions, call, result, tool, tools, answer_schema] = around;
            Rates {
                letters, digits, text_percent, schema_percent, base, turn, instructions, call, result, tool,
                tools, answer_schema, image,
            }
        };
        use Digits::{Grouped, Single};
        match self {
            //                                            text schema   base turn ins call res tool tools ans  image
            Family::Gpt => rates(&LARGE, Grouped,           [95, 85],   [3, 4, 4, 8, 8, 2, 8, 6],            800),
            Family::GptReasoning => rates(&LARGE, Grouped,  [93, 92],   [3, 5, 4, 8, 8, 6, 8, 6],            800),
            Family::GptOss => rates(&LARGE, Grouped,        [88, 105],  [62, 8, 4, 11, 11, 4, 14, 60],       800),
            Family::ClaudeOld => rates(&SMALL, Grouped,     [100, 112], [3, 5, 4, 20, 15, 11, 345, 20],      1_600),
            Family::Claude => rates(&SMALL, Grouped,        [90, 125],  [4, 4, 3, 18, 14, 10, 535, 124],     1_600),
            Family::ClaudeNew => rates(&SMALL, Grouped,     [122, 135], [8, 5, 4, 20, 14, 11, 690, 124],     1_600),
            Family::Gemini => rates(&LARGE, Single,         [87, 85],   [0, 1, 1, 20, 20, 3, 8, 0],          258),
            Family::Llama => rates(&SMALL, Grouped,         [100, 125], [25, 5, 4, 9, 9, 15, 97, 20],        1_000),
            Family::Mistral => rates(&SMALL, Single,        [94, 152],  [8, 4, 3, 9, 9, 10, 2, 0],           1_000),
            Family::Qwen => rates(&SMALL, Single,           [94, 130],  [3, 6, 4, 14, 14, 14, 105, 20],      1_000),
            Family::QwenNew => rates(&SMALL, Single,        [94, 130],  [3, 6, 4, 14, 14, 14, 225, 20],      1_000),
            Family::DeepSeek => rates(&SMALL, Grouped,      [97, 129],  [1, 4, 4, 20, 20, 6, 245, 20],       1_000),
            Family::Grok => rates(&LARGE, Grouped,          [96, 130],  [1, 4, 4, 5, 5, 20, 115, 35],        1_000),
            Family::GrokReasoning => rates(&LARGE, Grouped, [96, 150],  [168, 4, 4, 20, 45, 20, 45, 35],     1_000),
            Family::Kimi => rates(&LARGE, Grouped,          [101, 138], [3, 4, 4, 11, 11, 21, 5, 20],        1_000),
            Family::Glm => rates(&SMALL, Grouped,           [100, 100], [3, 4, 4, 10, 10, 8, 107, 20],       1_000),
            Family::Cohere => rates(&LARGE, Single,         [97, 110],  [0, 1, 1, 4, 4, 5, 0, 20],      1_000),
            Family::Sonar => rates(&LARGE, Grouped,         [88, 100],  [0, 2, 0, 10, 10, 8, 60, 20],        1_000),
            Family::Other => rates(&SMALL, Grouped,         [97, 110],  [3, 4, 4, 10, 10, 8, 60, 20],        1_000),
        }
    }
}

impl Rates {
    /// Hundredths of a token that the text itself is.
    fn count(&self, pieces: &Pieces) -> u64 {
        let letters = self.letters;
        let numbers = match self.digits {
            Digits::Grouped => (pieces.triples, 130),
            Digits::Single => (pieces.digits, 100),
        };
        let counts = [
            (pieces.words, 97),
            (pieces.long, 26),
            (pieces.rare, 83),
            numbers,
            (pieces.marks, 68),
            (pieces.lines, 72),
            (pieces.indents, 31),
            (pieces.gaps, 148),
            (pieces.accented, letters.accented),
            (pieces.han, letters.han),
            (pieces.kana, letters.kana),
            (pieces.hangul, letters.hangul),
            (pieces.cyrillic, letters.cyrillic),
            (pieces.greek, letters.greek),
            (pieces.hebrew, letters.hebrew),
            (pieces.arabic, letters.arabic),
            (pieces.devanagari, letters.devanagari),
            (pieces.indic, letters.indic),
            (pieces.thai, letters.thai),
            (pieces.caucasian, letters.caucasian),
            (pieces.symbols, 130),
            (pieces.emoji, 200),
        ];
        let sum = counts.iter().map(|(count, each)| count.saturating_mul(*each)).fold(0, u64::saturating_add);
        // A letter of its own is often part of what stands beside it.
        sum.saturating_sub(pieces.single.saturating_mul(10))
    }
}

/// `o1`, `o3-mini` and the like, behind any prefix.
fn is_o_model(name: &str) -> bool {
    let last = name.rsplit(['/', '.']).next().unwrap_or(name);
    matches!(last.as_bytes(), [b'o', b'1'..=b'9', ..])
}

/// `claude-sonnet-4` and `claude-opus-4` without any further number.
fn is_first_claude_4(name: &str) -> bool {
    let name = name.split(':').next().unwrap_or(name);
    name.contains("claude") && (name.ends_with("sonnet-4") || name.ends_with("opus-4"))
}
