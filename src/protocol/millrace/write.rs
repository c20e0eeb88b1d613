//! What the built-in provider writes: whole replies, streams and errors, as OpenAI writes them.

use super::read::{Echo, EchoRequest, Refusal, piece};
use crate::json;

const ID: &str = "chatcmpl-millrace";
const CALL_ID: &str = "call_millrace";

/// Writes a stream, one event for each call.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    request: EchoRequest,
    stage: Stage,
}

/// The event that comes next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Opening,
    /// The piece that begins at this byte of the text.
    Piece(usize),
    Finish,
    Usage,
    Done,
    Over,
}

impl Writer {
    pub fn new(request: EchoRequest) -> Writer {
        Writer { request, stage: Stage::Opening }
    }

    pub fn next(&mut self) -> Option<Vec<u8>> {
        let text = self.request.echo.text();
        let (event, next) = match self.stage {
            Stage::Opening => (self.chunk(&self.opening(), "null"), Stage::Piece(0)),
            Stage::Piece(start) => {
                let end = start + piece(&text[start..]);
                let next = if end < text.len() { Stage::Piece(end) } else { Stage::Finish };
                (self.chunk(&self.delta(&text[start..end]), "null"), next)
            }
            Stage::Finish => {
                let next = if self.request.include_usage { Stage::Usage } else { Stage::Done };
                (self.chunk("{}", &json::quote(finish_reason(&self.request))), next)
            }
            Stage::Usage => (self.usage(), Stage::Done),
            Stage::Done => ("[DONE]".to_owned(), Stage::Over),
            Stage::Over => return None,
        };
        self.stage = next;
        Some(format!("data: {event}\n\n").into_bytes())
    }

    fn opening(&self) -> String {
        match &self.request.echo {
            Echo::Text(_) => r#"{"role":"assistant","content":""}"#.to_owned(),
            Echo::Call { name, .. } => format!(
                concat!(
                    r#"{{"role":"assistant","content":null,"tool_calls":[{{"index":0,"id":"{}","#,
                    r#""type":"function","function":{{"name":{},"arguments":""}}}}]}}"#,
                ),
                CALL_ID,
                json::quote(name),
            ),
        }
    }

    fn delta(&self, text: &str) -> String {
        let text = json::quote(text);
        match &self.request.echo {
            Echo::Text(_) => format!(r#"{{"content":{text}}}"#),
            Echo::Call { .. } => {
                format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":{text}}}}}]}}"#)
            }
        }
    }

    fn chunk(&self, delta: &str, finish: &str) -> String {
        let opening = opening(&self.request, "chat.completion.chunk");
        format!(r#"{opening},"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#)
    }

    fn usage(&self) -> String {
        let opening = opening(&self.request, "chat.completion.chunk");
        format!(r#"{opening},"choices":[],"usage":{}}}"#, usage(&self.request))
    }
}

pub(super) fn write_reply(request: &EchoRequest) -> Vec<u8> {
    let message = match &request.echo {
        Echo::Text(text) => format!(r#"{{"role":"assistant","content":{}}}"#, json::quote(text)),
        Echo::Call { name, arguments } => format!(
            concat!(
                r#"{{"role":"assistant","content":null,"tool_calls":[{{"id":"{}","type":"function","#,
                r#""function":{{"name":{},"arguments":{}}}}}]}}"#,
            ),
            CALL_ID,
            json::quote(name),
            json::quote(arguments),
        ),
    };
    format!(
        r#"{},"choices":[{{"index":0,"message":{message},"finish_reason":"{}"}}],"usage":{}}}"#,
        opening(request, "chat.completion"),
        finish_reason(request),
        usage(request),
    )
    .into_bytes()
}

pub(super) fn write_error(refusal: &Refusal) -> Vec<u8> {
    let param = refusal.param.map_or_else(|| "null".to_owned(), json::quote);
    let message = json::quote(&refusal.message);
    format!(
        r#"{{"error":{{"message":{message},"type":"invalid_request_error","param":{param},"code":null}}}}"#
    )
    .into_bytes()
}

/// The members that open every object, from the brace on. Whoever runs the gateway names and
/// dates the reply, so there is nothing to tell here.
fn opening(request: &EchoRequest, object: &str) -> String {
    format!(r#"{{"id":"{ID}","object":"{object}","created":0,"model":{}"#, json::quote(&request.model))
}

fn finish_reason(request: &EchoRequest) -> &'static str {
    match &request.echo {
        _ if request.cut => "length",
        Echo::Text(_) => "stop",
        Echo::Call { .. } => "tool_calls",
    }
}

fn usage(request: &EchoRequest) -> String {
    let (prompt, completion) = (request.prompt_tokens, request.completion_tokens);
    let total = prompt + completion;
    format!(r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"total_tokens":{total}}}"#)
}
