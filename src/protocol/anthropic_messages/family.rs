//! What a Claude can do, by its name at whichever provider. The names are the only place where
//! this can be read off; a model that is no Claude is taken to do what the protocol began with.

/// The abilities by which requests differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    pub claude: bool,
    /// Thinks by `thinking.type: adaptive` and an effort, rather than a budget.
    pub adaptive: bool,
    /// Refuses `temperature`, `top_p` and `top_k`.
    pub fixed_sampling: bool,
    /// Takes `output_config.format` and strict tools.
    pub structured: bool,
    /// Takes the effort `xhigh`.
    pub xhigh: bool,
    /// The most output tokens, where the endpoint does not say.
    pub max_output: u64,
}

impl Family {
    pub(super) fn of(model: &str) -> Family {
        let model = model.to_ascii_lowercase();
        let Some((line, version)) = line_and_version(&model) else { return OTHER };
        let newest = version >= (5, 0) || line == "opus" && version >= (4, 7);
        Family {
            claude: true,
            adaptive: version >= (4, 6),
            fixed_sampling: newest,
            structured: version >= (4, 5) || line == "opus" && version == (4, 1),
            xhigh: newest,
            max_output: max_output(line, version),
        }
    }
}

const OTHER: Family = Family {
    claude: false,
    adaptive: false,
    fixed_sampling: false,
    structured: false,
    xhigh: false,
    max_output: 8_192,
};

fn max_output(line: &str, version: (u32, u32)) -> u64 {
    match (line, version) {
        (_, version) if version >= (4, 6) => 128_000,
        (_, version) if version >= (4, 5) => 64_000,
        ("opus", version) if version >= (4, 0) => 32_000,
        (_, version) if version >= (3, 7) => 64_000,
        (_, version) if version >= (3, 5) => 8_192,
        _ => 4_096,
    }
}

/// `claude-opus-4-7`, `anthropic.claude-sonnet-4-5-20250929-v1:0`, `claude-3-5-haiku@20241022`.
fn line_and_version(model: &str) -> Option<(&'static str, (u32, u32))> {
    let name = &model[model.find("claude")?..];
    let lines = ["opus", "sonnet", "haiku", "fable"];
    let line = lines.into_iter().find(|line| name.contains(line))?;
    // A date has more digits than a version; what follows it is not the model's.
    let words = name.split(['-', '.', '@', ':', '/', '_']).skip(1).take_while(|word| word.len() < 8);
    let mut numbers = words.filter_map(|word| word.parse::<u32>().ok());
    let major = numbers.next()?;
    Some((line, (major, numbers.next().unwrap_or(0))))
}
