//! The words that rows of the catalog may use. The build script checks its tables by them, and the
//! overlay an operator's.

/// Every name that OpenRouter knows for a parameter of an endpoint, and the optional members of a
/// request for embeddings.
pub const PARAMETERS: [&str; 29] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "top_a",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "max_tokens",
    "max_completion_tokens",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "prediction",
    "seed",
    "response_format",
    "structured_outputs",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "include_reasoning",
    "reasoning",
    "reasoning_effort",
    "web_search_options",
    "verbosity",
    "dimensions",
    "encoding_format",
    "input_type",
];
pub const QUANTIZATIONS: [&str; 11] =
    ["int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32"];
pub const TOKENIZERS: [&str; 20] = [
    "Router", "Media", "Other", "GPT", "Claude", "Gemini", "Gemma", "Grok", "Cohere", "Nova", "Qwen", "Yi",
    "DeepSeek", "Mistral", "Llama2", "Llama3", "Llama4", "PaLM", "RWKV", "Qwen3",
];
pub const REGIONS: [&str; 4] = ["us", "eu", "ap", "cn"];
pub const SERVICE_TIERS: [&str; 2] = ["flex", "priority"];
/// What models may be known for: OpenRouter's names.
pub const CATEGORIES: [&str; 12] = [
    "programming",
    "roleplay",
    "marketing",
    "marketing/seo",
    "technology",
    "science",
    "translation",
    "legal",
    "finance",
    "health",
    "trivia",
    "academia",
];
