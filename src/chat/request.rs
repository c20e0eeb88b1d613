//! What a request asks of the endpoint that serves it: abilities and room.

/// The abilities an endpoint must have to serve a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// What is to come out.
    pub output: Output,
    pub tools: bool,
    pub images: bool,
    pub audio: bool,
    pub files: bool,
    /// `response_format` of type `json_schema`.
    pub structured_output: bool,
    /// `response_format` of type `json_object`.
    pub json_object: bool,
    /// The sampling and other optional parameters sent, in `supported_parameters` names. They
    /// count only under `provider.require_parameters`.
    pub parameters: Vec<String>,
    /// The web is to be searched by whoever answers.
    pub web_search: Option<WebSearch>,
}

/// How the web is to be searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebSearch {
    /// One tool among others, which the model may do without.
    pub optional: bool,
    pub max_uses: Option<u64>,
    /// `low`, `medium` or `high`: how much of what was found is read.
    pub context_size: Option<String>,
    pub allowed_domains: Vec<String>,
    pub blocked_domains: Vec<String>,
    /// Where the user is, as the JSON text of `city`, `country`, `region` and `timezone`, without braces.
    pub location: Option<String>,
    /// Wishes that no provider's own search has a word for, by path.
    pub unspoken: Vec<String>,
}

/// What a model is to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    #[default]
    Text,
    Embeddings,
    Rerank,
}

/// How large a request is, for its ceiling of cost and the context it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestSize {
    /// Bytes of the body without inline (base64) data.
    pub text_bytes: u64,
    /// Bytes of inline data.
    pub inline_bytes: u64,
    pub images: u32,
    pub files: u32,
    pub audio: u32,
    /// The limit of output tokens that the client set.
    pub max_tokens: Option<u64>,
    /// How many choices were asked for (`n`); at least 1.
    pub choices: u32,
    /// How many inputs there are to embed or rank, each of which has the whole context; none in a
    /// conversation.
    pub inputs: u32,
    /// Bytes that are read again with each input, as a query is with each document.
    pub repeated_bytes: u64,
    /// The most searches that it can be billed as; none where nothing is searched.
    pub searches: u64,
    /// The most searches of the web that a ceiling counts with; none where none are asked for.
    pub web_searches: u64,
}

impl Needs {
    /// Only what searches the web may serve.
    pub fn demands_search(&self) -> bool {
        self.web_search.as_ref().is_some_and(|search| !search.optional)
    }
}

impl RequestSize {
    /// Bytes of text that are read, those that are read again too.
    pub fn bytes_read(&self) -> u64 {
        self.text_bytes.saturating_add(self.repeated_bytes)
    }

    /// The most tokens that may go in, where one input may have `context_length` of them.
    pub fn room(&self, context_length: u64) -> u64 {
        context_length.saturating_mul(u64::from(self.inputs.max(1)))
    }
}

/// What a request asks for. The body itself stays as it came, for `write_request`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatRequest {
    /// `None` where the account's default is wanted.
    pub model: Option<String>,
    pub models: Vec<String>,
    pub stream: bool,
    /// `reasoning.exclude`: the model may think, but the client does not want to see it.
    pub hide_reasoning: bool,
    /// The smaller of `max_completion_tokens` and `max_tokens`.
    pub max_tokens: Option<u64>,
    /// The JSON text of the `provider` object, for routing.
    pub provider: Option<String>,
    pub needs: Needs,
    pub size: RequestSize,
    pub user: Option<String>,
    pub session_id: Option<String>,
    pub asks: Asks,
}

/// What a request says for routing alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// The JSON text of the `plugins` array.
    pub plugins: Option<String>,
    /// `priority`, `flex` and the like; `fast` where `speed` says so.
    pub service_tier: Option<String>,
    pub prompt_cache_key: Option<String>,
    /// A hash of the first instructions and the first turn, the same for each turn of a conversation.
    pub opening: Option<u64>,
}

impl ChatRequest {
    /// The models to try: `model`, then `models`, each once.
    pub fn candidates(&self) -> Vec<String> {
        let mut candidates: Vec<String> = Vec::new();
        for model in self.model.iter().chain(&self.models) {
            if !candidates.contains(model) {
                candidates.push(model.clone());
            }
        }
        candidates
    }
}
