//! Every way a request can fail: its status, who has to act, and the words for the client.
//! What a failure looks like on the wire is the business of each protocol's face.

use serde_json::{Map, Value};

/// The cause of a failure. Decides the status and the `error_type` of OpenRouter's envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The request is not valid JSON or a field of it is not what it must be.
    InvalidRequest,
    /// No model by that name.
    UnknownModel,
    /// The prompt is longer than any endpoint takes.
    ContextLength,
    /// No key, or none that we know, or one that was revoked or has expired.
    Authentication,
    /// The account, the key or a budget has too little left.
    PaymentRequired,
    /// The key may not do this.
    PermissionDenied,
    /// No such path, key or generation.
    NotFound,
    /// The model exists, but no endpoint may or can serve this request.
    NoEndpoint,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body is beyond the limit.
    PayloadTooLarge,
    /// Another request already made this.
    Conflict,
    /// There was such a path, and there is none any longer.
    Gone,
    /// Well-formed, but a field's value cannot be served.
    Unprocessable,
    /// Too many requests, here or at every provider.
    RateLimited,
    /// The client left before there was an answer.
    ClientClosed,
    /// A fault of ours.
    Internal,
    /// The operator has not set what this needs.
    NotConfigured,
    /// The account's object cannot be reached, so nothing can be admitted.
    AccountUnavailable,
    /// The provider answered with an error or with nonsense, or could not be reached.
    ProviderUnavailable,
    /// Nobody can serve this at the moment.
    ProviderOverloaded,
    /// The provider took too long.
    Timeout,
}

/// A failed request. `message` is for the client: it never holds a key, a prompt or an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub cause: Cause,
    pub message: String,
    /// Becomes `error.metadata`, beside the `error_type` that the cause gives.
    pub metadata: Map<String, Value>,
    pub retry_after_s: Option<u32>,
}

impl Cause {
    pub fn status(self) -> u16 {
        match self {
            Cause::InvalidRequest => 400,
            Cause::UnknownModel => 400,
            Cause::ContextLength => 400,
            Cause::Authentication => 401,
            Cause::PaymentRequired => 402,
            Cause::PermissionDenied => 403,
            Cause::NotFound => 404,
            Cause::NoEndpoint => 404,
            Cause::MethodNotAllowed => 405,
            Cause::PayloadTooLarge => 413,
            Cause::Conflict => 409,
            Cause::Gone => 410,
            Cause::Unprocessable => 422,
            Cause::RateLimited => 429,
            Cause::ClientClosed => 499,
            Cause::Internal => 500,
            Cause::NotConfigured => 501,
            Cause::AccountUnavailable => 503,
            Cause::ProviderUnavailable => 502,
            Cause::ProviderOverloaded => 503,
            Cause::Timeout => 504,
        }
    }

    /// The name of the cause in OpenRouter's vocabulary.
    pub fn error_type(self) -> &'static str {
        match self {
            Cause::InvalidRequest => "invalid_request",
            Cause::UnknownModel => "invalid_request",
            Cause::ContextLength => "context_length_exceeded",
            Cause::Authentication => "authentication",
            Cause::PaymentRequired => "payment_required",
            Cause::PermissionDenied => "permission_denied",
            Cause::NotFound => "not_found",
            Cause::NoEndpoint => "not_found",
            Cause::MethodNotAllowed => "invalid_request",
            Cause::PayloadTooLarge => "payload_too_large",
            Cause::Conflict => "invalid_request",
            Cause::Gone => "invalid_request",
            Cause::Unprocessable => "unprocessable",
            Cause::RateLimited => "rate_limit_exceeded",
            Cause::ClientClosed => "unmapped",
            Cause::Internal => "server",
            Cause::NotConfigured => "server",
            Cause::AccountUnavailable => "server",
            Cause::ProviderUnavailable => "provider_unavailable",
            Cause::ProviderOverloaded => "provider_overloaded",
            Cause::Timeout => "timeout",
        }
    }
}

impl Failure {
    pub fn new(cause: Cause, message: impl Into<String>) -> Failure {
        Failure { cause, message: message.into(), metadata: Map::new(), retry_after_s: None }
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Failure {
        self.metadata.insert(name.to_owned(), value.into());
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Failure {
        self.retry_after_s = Some(seconds);
        self
    }

    pub fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Cause::InvalidRequest, message)
    }
}
