//! What a reply consumed, in classes that never overlap. Each wire protocol has one adapter that
//! fills this in from its own, mostly overlapping, numbers.

/// Token counts of one reply. The classes are disjoint: their sum is everything that was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a prompt cache; text and images.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    pub cache_read: u64,
    /// Input tokens written to a cache that lives five minutes (or the provider's default).
    pub cache_write: u64,
    /// Input tokens written to a cache that lives one hour.
    pub cache_write_1h: u64,
    /// Input tokens of audio.
    pub input_audio: u64,
    /// Output tokens of text and tool calls, without reasoning.
    pub output: u64,
    /// Output tokens of reasoning.
    pub reasoning: u64,
    /// Output tokens of audio.
    pub output_audio: u64,
    /// Output tokens of images.
    pub output_image: u64,
    /// Searches, where the provider bills by them and not by tokens (Cohere's rerank).
    pub searches: u64,
    /// Searches of the web that the provider made for the reply.
    pub web_searches: u64,
}

impl Usage {
    /// Everything that went in: OpenAI's `prompt_tokens`.
    pub fn total_input(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write, self.cache_write_1h, self.input_audio]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Everything that came out: OpenAI's `completion_tokens`.
    pub fn total_output(&self) -> u64 {
        [self.output, self.reasoning, self.output_audio, self.output_image]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    pub fn total(&self) -> u64 {
        self.total_input().saturating_add(self.total_output())
    }
}
