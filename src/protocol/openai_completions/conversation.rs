//! A prompt as a conversation, for providers that only chat: one turn of the user. What a
//! conversation cannot say of a completion is refused, not dropped.

use super::face::{read_choices, read_max_tokens, read_members};
use super::upstream::UNHEEDED;
use crate::chat::Conversation;
use crate::chat::conversation::{Part, Role, Sampling, Turn};
use crate::error::Failure;
use crate::json::{self, Members, Outlined};
use crate::protocol::fields::{
    self, must_be, read_boolean, read_elements, read_number, read_object, read_string, read_strings,
};

/// Members that have a word in a conversation, or that speak to the gateway alone.
const SPOKEN: &[&str] = &[
    "model",
    "models",
    "route",
    "provider",
    "preset",
    "plugins",
    "transforms",
    "prompt",
    "suffix",
    "echo",
    "best_of",
    "n",
    "logprobs",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "reasoning",
    "include_reasoning",
    "usage",
    "user",
    "session_id",
    "trace",
    "service_tier",
    "prompt_cache_key",
    "metadata",
    "verbosity",
];

/// Reads the whole request in neutral words.
pub fn read_conversation(body: &Outlined) -> Result<Conversation, Failure> {
    let body = read_members(body)?;
    refuse_untranslatable(&body)?;
    let turn = Turn { role: Role::User, parts: vec![Part::Text { text: read_prompt(&body)?, cache: None }] };
    let mut unspoken = unspoken(&body);
    fields::note_stream_options(&body, &mut unspoken);
    Ok(Conversation {
        turns: vec![turn],
        sampling: read_sampling(&body)?,
        max_tokens: read_max_tokens(&body)?,
        reasoning: fields::read_reasoning(&body, &mut unspoken)?,
        verbosity: read_string(&body, "verbosity")?,
        user: read_string(&body, "user")?,
        service_tier: read_string(&body, "service_tier")?,
        prompt_cache_key: read_string(&body, "prompt_cache_key")?,
        metadata: read_object(&body, "metadata")?.map(str::to_owned),
        unspoken,
        unheeded: fields::unheeded(&body, UNHEEDED),
        ..Conversation::default()
    })
}

fn refuse(path: &str, why: &str) -> Failure {
    Failure::invalid(format!("`{path}` cannot be served here: {why}."))
}

/// The provider would answer the prompt as a message: it can neither continue it nor score it.
fn refuse_untranslatable(body: &Members<'_>) -> Result<(), Failure> {
    const CHAT_ONLY: &str = "the model's provider only takes chat";
    if read_string(body, "suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(refuse("suffix", &format!("{CHAT_ONLY}, which has no text after the reply")));
    }
    if read_boolean(body, "echo")? == Some(true) {
        return Err(refuse("echo", &format!("{CHAT_ONLY}, which does not repeat the prompt")));
    }
    for key in ["n", "best_of"] {
        if read_choices(body, key)? > 1 {
            return Err(refuse(key, &format!("{CHAT_ONLY}, with one choice")));
        }
    }
    // Unlike in chat it is a number here; 0 asks for the chosen tokens.
    if body.value("logprobs").is_some_and(|value| value != "false") {
        return Err(refuse("logprobs", &format!("{CHAT_ONLY}, without logprobs of this form")));
    }
    Ok(())
}

fn read_prompt(body: &Members<'_>) -> Result<String, Failure> {
    const WHAT: &str = "a string";
    let prompt = body.value("prompt").ok_or_else(|| must_be("prompt", WHAT))?;
    if let Some(text) = json::string(prompt) {
        return Ok(text.into_owned());
    }
    let prompts = read_elements(prompt, "prompt", WHAT)?;
    match prompts.as_slice() {
        [one] if one.starts_with('"') => Ok(json::string(one).unwrap_or_default().into_owned()),
        [first, _, ..] if first.starts_with('"') => {
            Err(refuse("prompt", "the model's provider takes one prompt at a time"))
        }
        [] => Err(must_be("prompt", "not empty")),
        _ => Err(refuse("prompt", "the model's provider takes text, not token ids")),
    }
}

fn read_sampling(body: &Members<'_>) -> Result<Sampling, Failure> {
    let number = |key: &str| read_number(body, key);
    let stop = match body.value("stop") {
        Some(value) if value.starts_with('[') => read_strings(body, "stop")?,
        Some(_) => read_string(body, "stop")?.into_iter().collect(),
        None => Vec::new(),
    };
    Ok(Sampling {
        temperature: number("temperature")?,
        top_p: number("top_p")?,
        top_k: number("top_k")?,
        min_p: number("min_p")?,
        frequency_penalty: number("frequency_penalty")?,
        presence_penalty: number("presence_penalty")?,
        repetition_penalty: number("repetition_penalty")?,
        seed: number("seed")?,
        stop,
    })
}

fn unspoken(body: &Members<'_>) -> Vec<String> {
    let known = |key: &str| SPOKEN.contains(&key);
    let lost = body.iter().filter(|member| !known(&member.key) && !json::is_null(member.value));
    lost.map(|member| member.key.clone().into_owned()).collect()
}
