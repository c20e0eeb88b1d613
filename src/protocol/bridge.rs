//! What a client speaks, what a provider speaks, and what leads from one to the other. With the
//! same protocol on both sides bytes are spliced; else a request is translated once, and its
//! reply event by event. The only place, but for `mod.rs`, that knows more than one protocol.

use super::calls::Calls;
use super::embeddings::Embedder;
use super::gemini::Framing;
use super::lane::{self, Hidden, Lane, Reader, Renamed, Target, Translate, WholeReply, Writer, Written};
use super::openai_responses::Echo;
use super::{
    anthropic_messages, bedrock, cohere, embeddings, gemini, ollama, openai_chat, openai_completions,
    openai_responses, openai_wire, rerank, search,
};
use crate::catalog::{Protocol, Provider};
use crate::chat::{
    Bill, ChatRequest, Conversation, Facts, Identity, Output, ProviderError, Quirks, ReplyFault, WebSearch,
};
use crate::error::Failure;
use crate::json::Outlined;
use crate::media::{self, Fetched, Link};
use crate::tokens;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    Chat,
    Completions,
    Responses,
    Messages,
    /// With the way in which it wants a stream framed.
    Gemini(Framing),
    Embeddings,
    Rerank,
}

/// A request in its provider's words, and what is needed to bring the reply back.
#[derive(Debug)]
pub struct Crossing {
    pub body: Vec<u8>,
    pub bridge: Bridge,
}

/// Brings one provider's reply to one client.
#[derive(Debug)]
pub struct Bridge {
    face: Face,
    wire: Protocol,
    names: Vec<Renamed>,
    losses: Vec<String>,
    hidden: Hidden,
    about: About,
    /// Replies are translated even where both sides speak the same, so that they can be cut.
    metered: bool,
}

/// What a reply has to know of its request.
#[derive(Debug)]
enum About {
    Chat,
    Responses(Box<Echo>),
    Messages { input_tokens: u64 },
    Embeddings(Box<embeddings::EmbeddingsRequest>, Embedder),
    Rerank { request: Box<rerank::RerankRequest>, body: Vec<u8> },
}

/// A provider's whole reply, read and ready to be written for the client.
pub enum Whole {
    /// In the client's protocol: its bytes are spliced.
    Same(Facts),
    /// The same for Chat Completions, where that is done while it is read.
    Chat(openai_chat::Reply),
    Translated(WholeReply),
    Embeddings(embeddings::EmbeddingsReply),
    Rerank(rerank::RerankReply),
}

impl Face {
    /// Reads what routing has to know. For Gemini `model` and `stream` come from the path.
    pub fn read_request(self, body: &Outlined, model: &str, stream: bool) -> Result<ChatRequest, Failure> {
        match self {
            Face::Chat => openai_chat::read_request(body),
            Face::Completions => openai_completions::read_request(body),
            Face::Responses => openai_responses::read_request(body),
            Face::Messages => anthropic_messages::read_request(body),
            Face::Gemini(_) => gemini::read_request(body.bytes(), model, stream),
            Face::Embeddings => {
                Ok(summary(embeddings::read_request(body.bytes())?.routed(), Output::Embeddings))
            }
            Face::Rerank => Ok(summary(rerank::read_request(body.bytes())?.routed(), Output::Rerank)),
        }
    }

    /// The body of an answer that is an error.
    pub fn write_error(self, failure: &Failure, generation: Option<&str>) -> Vec<u8> {
        match self {
            Face::Chat => openai_chat::write_error(failure),
            Face::Completions => openai_completions::write_error(failure, generation),
            Face::Responses => openai_responses::write_error(failure, generation),
            Face::Messages => anthropic_messages::write_error(failure, generation),
            Face::Gemini(_) => gemini::write_error(failure, generation),
            Face::Embeddings => embeddings::write_error(failure),
            Face::Rerank => rerank::write_error(failure),
        }
    }

    /// The stream of a reply that fails before it says anything.
    pub fn write_failed_stream(self, identity: Identity, failure: &Failure, out: &mut Vec<u8>) {
        let about = match self {
            Face::Responses => About::Responses(Box::default()),
            Face::Messages => About::Messages { input_tokens: 0 },
            Face::Chat | Face::Completions | Face::Gemini(_) | Face::Embeddings | Face::Rerank => About::Chat,
        };
        self.writer(identity, &about).write_error(failure, None, out);
    }

    /// A frame that says nothing, for a stream that waits.
    pub fn keep_alive(self) -> &'static [u8] {
        match self {
            Face::Chat | Face::Completions | Face::Responses => openai_wire::KEEP_ALIVE,
            Face::Embeddings | Face::Rerank => b"",
            Face::Messages => anthropic_messages::PING,
            Face::Gemini(_) => gemini::KEEP_ALIVE,
        }
    }

    /// The media type of a streamed reply.
    pub fn stream_type(self) -> &'static str {
        match self {
            Face::Gemini(Framing::Array) => "application/json",
            Face::Gemini(Framing::Sse) | Face::Chat | Face::Completions => "text/event-stream",
            Face::Responses | Face::Messages | Face::Embeddings | Face::Rerank => "text/event-stream",
        }
    }

    fn writer(self, identity: Identity, about: &About) -> Box<dyn Writer> {
        match (self, about) {
            (Face::Responses, About::Responses(echo)) => {
                Box::new(openai_responses::StreamWriter::new(identity, (**echo).clone()))
            }
            (Face::Messages, About::Messages { input_tokens }) => {
                Box::new(anthropic_messages::StreamWriter::new(identity, *input_tokens))
            }
            (Face::Gemini(framing), _) => Box::new(gemini::StreamWriter::new(identity).framed(framing)),
            (Face::Completions, _) => Box::new(openai_completions::StreamWriter::new(identity)),
            (Face::Chat | Face::Responses | Face::Messages | Face::Embeddings | Face::Rerank, _) => {
                Box::new(openai_chat::StreamWriter::new(identity))
            }
        }
    }

    /// The protocol in which nothing of a request is lost.
    fn native(self) -> Protocol {
        match self {
            Face::Chat | Face::Completions | Face::Embeddings => Protocol::OpenAiChat,
            Face::Responses => Protocol::OpenAiResponses,
            Face::Messages => Protocol::AnthropicMessages,
            Face::Gemini(_) => Protocol::Gemini,
            Face::Rerank => Protocol::Cohere,
        }
    }

    /// What is spoken with `provider` on behalf of this face: `only` where that is given, else the
    /// face's own protocol where the provider knows it, else the provider's first. `searches`: it is
    /// asked to search the web, which OpenAI's models do over Responses alone.
    pub fn wire(self, provider: &Provider, only: Option<Protocol>, searches: bool) -> Protocol {
        let wire = self.usual_wire(provider, only);
        let also = provider.also.contains(&Protocol::OpenAiResponses);
        match wire {
            Protocol::OpenAiChat if searches && also => Protocol::OpenAiResponses,
            wire => wire,
        }
    }

    fn usual_wire(self, provider: &Provider, only: Option<Protocol>) -> Protocol {
        if let Some(only) = only {
            return only;
        }
        let native = self.native();
        let spoken = provider.protocol == native || provider.also.contains(&native);
        match provider.protocol {
            _ if spoken => native,
            // The embedded provider speaks Chat Completions.
            Protocol::Millrace => Protocol::OpenAiChat,
            first => first,
        }
    }

    /// Reads the whole of a request, for translation.
    pub fn read_conversation(self, body: &Outlined) -> Result<Conversation, Failure> {
        match self {
            Face::Chat => openai_chat::read_conversation(body),
            Face::Completions => openai_completions::read_conversation(body),
            Face::Responses => openai_responses::read_conversation(body),
            Face::Messages => anthropic_messages::read_conversation(body),
            Face::Gemini(_) => gemini::read_conversation(body.bytes()),
            Face::Embeddings | Face::Rerank => Err(Failure::invalid("This is no conversation.")),
        }
    }
}

/// The links whose bytes have to be there before `body` can be written for `wire`.
pub fn links(face: Face, wire: Protocol, body: &Outlined, request: &ChatRequest) -> Vec<Link> {
    let has_media = request.needs.images || request.needs.files;
    if !has_media || face.native() == wire || !media::has_unfollowed(wire) {
        return Vec::new();
    }
    face.read_conversation(body)
        .map(|mut conversation| media::links(&mut conversation, wire))
        .unwrap_or_default()
}

/// Writes the request that `body` is to `face` for an endpoint of `provider` that is spoken to in
/// `wire`. `body` is one that [`Face::read_request`] accepted. Fails where `wire` cannot say what
/// matters. Links that `fetched` has the bytes of go as bytes where `wire` needs them.
pub fn cross(
    face: Face,
    wire: Protocol,
    body: &Outlined,
    request: &ChatRequest,
    provider: &Provider,
    target: &Target<'_>,
    fetched: &Fetched,
) -> Result<Crossing, Failure> {
    let (written, about) = match face {
        Face::Embeddings => embed(body.bytes(), wire, provider, target)?,
        Face::Rerank => rank(body.bytes(), wire, provider, target)?,
        Face::Chat | Face::Completions | Face::Responses | Face::Messages | Face::Gemini(_) => {
            let (written, input_tokens) = write_chat(face, wire, body, request, target, fetched)?;
            (written, about_chat(face, body, input_tokens))
        }
    };
    let Written { body, losses, names, hidden } = written;
    let bridge = Bridge { face, wire, names, losses, hidden, about, metered: false };
    Ok(Crossing { body, bridge })
}

/// The request in the words of `wire`, and about how many tokens it is where its stream says so.
fn write_chat(
    face: Face,
    wire: Protocol,
    body: &Outlined,
    request: &ChatRequest,
    target: &Target<'_>,
    fetched: &Fetched,
) -> Result<(Written, u64), Failure> {
    let spliced = match (face, wire) {
        (Face::Chat, Protocol::OpenAiChat) => {
            let hidden = if request.hide_reasoning { Hidden::Reasoning } else { Hidden::Nothing };
            Some(Written { hidden, ..openai_chat::splice_request(body, target) })
        }
        (Face::Responses, Protocol::OpenAiResponses) => Some(openai_responses::splice_request(body, target)),
        (Face::Messages, Protocol::AnthropicMessages) => {
            Some(anthropic_messages::splice_request(body, target))
        }
        (Face::Gemini(_), Protocol::Gemini) => Some(gemini::splice_request(body.bytes(), target)),
        _ => None,
    };
    if let Some(written) = spliced {
        return Ok((written, 0));
    }
    let mut conversation = face.read_conversation(body)?;
    fetched.fill(&mut conversation, wire);
    let mut written = write_conversation(&conversation, wire, target, request.stream)?;
    written.hidden = match (conversation.reasoning.as_ref().is_some_and(|it| it.exclude), face) {
        (true, Face::Chat | Face::Completions) => Hidden::Reasoning,
        (true, Face::Responses | Face::Messages | Face::Gemini(_)) => Hidden::Thoughts,
        (true, Face::Embeddings | Face::Rerank) | (false, _) => Hidden::Nothing,
    };
    let opens_with_count = face == Face::Messages && request.stream;
    let input_tokens = if opens_with_count { tokens::estimate(&conversation, target.model) } else { 0 };
    written.losses.extend(conversation.unheeded);
    Ok((written, input_tokens))
}

fn write_conversation(
    conversation: &Conversation,
    wire: Protocol,
    target: &Target<'_>,
    stream: bool,
) -> Result<Written, Failure> {
    match wire {
        Protocol::OpenAiChat | Protocol::Millrace => {
            openai_chat::write_conversation(conversation, target, stream)
        }
        Protocol::OpenAiResponses => openai_responses::write_conversation(conversation, target, stream),
        Protocol::AnthropicMessages => anthropic_messages::write_conversation(conversation, target, stream),
        Protocol::Gemini => gemini::write_conversation(conversation, target, stream),
        Protocol::Cohere => cohere::write_conversation(conversation, target, stream),
        Protocol::Bedrock => bedrock::write_conversation(conversation, target, stream),
        Protocol::Ollama => ollama::write_conversation(conversation, target, stream),
    }
}

fn about_chat(face: Face, body: &Outlined, input_tokens: u64) -> About {
    match face {
        Face::Responses => About::Responses(Box::new(Echo::of(body))),
        Face::Messages => About::Messages { input_tokens },
        Face::Chat | Face::Completions | Face::Gemini(_) | Face::Embeddings | Face::Rerank => About::Chat,
    }
}

fn embed(
    body: &[u8],
    wire: Protocol,
    provider: &Provider,
    target: &Target<'_>,
) -> Result<(Written, About), Failure> {
    let embedder = Embedder::of(wire, provider);
    let written = embedder.write_request(body, target)?;
    Ok((written, About::Embeddings(Box::new(embeddings::read_request(body)?), embedder)))
}

fn rank(
    body: &[u8],
    wire: Protocol,
    provider: &Provider,
    target: &Target<'_>,
) -> Result<(Written, About), Failure> {
    let written = rerank::write_request(body, target, rerank::Dialect::of(wire, provider.slug))?;
    let request = Box::new(rerank::read_request(body)?);
    Ok((written, About::Rerank { request, body: body.to_vec() }))
}

/// The path at a provider's address that takes a request of `face`, from the slash on.
pub fn path(face: Face, wire: Protocol, provider: &Provider, model: &str, stream: bool) -> String {
    match (face, wire) {
        (Face::Embeddings, _) => Embedder::of(wire, provider).path(wire, model),
        (Face::Rerank, _) => "/rerank".to_owned(),
        (_, Protocol::OpenAiChat | Protocol::Millrace) => "/chat/completions".to_owned(),
        (_, Protocol::OpenAiResponses) => "/responses".to_owned(),
        (_, Protocol::AnthropicMessages) => "/messages".to_owned(),
        (_, Protocol::Gemini) => format!("/models/{model}:{}", gemini::method(stream)),
        (_, Protocol::Cohere) => "/chat".to_owned(),
        (_, Protocol::Bedrock) => bedrock::converse_path(model, stream),
        (_, Protocol::Ollama) => "/api/chat".to_owned(),
    }
}

impl Crossing {
    /// The same with the web to be searched, as far as [`search::apply`] has it searched.
    pub fn searching(mut self, search: &WebSearch, priced: bool) -> Result<Crossing, Failure> {
        let Bridge { wire, losses, .. } = &mut self.bridge;
        self.body = search::apply(*wire, &self.body, search, priced, losses)?;
        Ok(self)
    }
}

impl Bridge {
    /// What the provider's words could not say, each with a reason.
    pub fn losses(&self) -> &[String] {
        &self.losses
    }

    /// Makes lanes that can be cut anywhere.
    pub fn metered(mut self) -> Bridge {
        self.metered = true;
        self
    }

    pub fn lane(&self, identity: Identity, quirks: Quirks) -> Box<dyn Lane> {
        let translate = || {
            let writer = self.face.writer(identity.clone(), &self.about);
            Box::new(Translate::new(self.reader(quirks), writer).without(self.hidden))
        };
        if self.metered {
            return translate();
        }
        match (self.face, self.wire) {
            (Face::Chat, Protocol::OpenAiChat) => {
                let splice = openai_chat::Splice::new(identity, quirks);
                Box::new(if self.hidden == Hidden::Nothing { splice } else { splice.without_reasoning() })
            }
            (Face::Responses, Protocol::OpenAiResponses) => {
                Box::new(openai_responses::Splice::new(identity, quirks))
            }
            (Face::Messages, Protocol::AnthropicMessages) => {
                Box::new(anthropic_messages::Splice::new(identity, quirks))
            }
            (Face::Gemini(framing), Protocol::Gemini) => {
                Box::new(gemini::Splice::new(identity, quirks).framed(framing))
            }
            _ => translate(),
        }
    }

    /// Whether a provider's stream may go to the client as it comes: both speak the same, and nothing
    /// is kept from the client.
    pub fn may_be_verbatim(&self) -> bool {
        let same = matches!(
            (self.face, self.wire),
            (Face::Chat, Protocol::OpenAiChat)
                | (Face::Responses, Protocol::OpenAiResponses)
                | (Face::Messages, Protocol::AnthropicMessages)
        );
        same && self.hidden == Hidden::Nothing
    }

    fn reader(&self, quirks: Quirks) -> Box<dyn Reader> {
        let names = self.names.clone();
        match self.wire {
            Protocol::OpenAiChat | Protocol::Millrace => {
                Box::new(openai_chat::StreamReader::new(quirks, names))
            }
            Protocol::OpenAiResponses => Box::new(openai_responses::StreamReader::new(quirks, names)),
            Protocol::AnthropicMessages => Box::new(anthropic_messages::StreamReader::new(quirks, names)),
            Protocol::Gemini => Box::new(gemini::StreamReader::new(quirks, names)),
            Protocol::Cohere => Box::new(cohere::StreamReader::new(quirks, names)),
            Protocol::Bedrock => Box::new(bedrock::StreamReader::new(quirks, names)),
            Protocol::Ollama => Box::new(ollama::StreamReader::new(quirks, names)),
        }
    }

    /// Reads the body of an answer that is an error. `error_type` is the header `x-amzn-errortype`.
    pub fn read_error(&self, error_type: Option<&str>, body: &[u8]) -> ProviderError {
        match self.wire {
            Protocol::OpenAiChat | Protocol::Millrace => openai_chat::read_error(body),
            Protocol::OpenAiResponses => openai_responses::read_error(body),
            Protocol::AnthropicMessages => anthropic_messages::read_error(body),
            Protocol::Gemini => gemini::read_error(body),
            Protocol::Cohere => cohere::read_error(body),
            Protocol::Bedrock => bedrock::read_typed_error(error_type, body),
            Protocol::Ollama => ollama::read_error(body),
        }
    }

    /// How long a provider asks to be left alone, where its body and not a header says so.
    pub fn retry_after_s(&self, body: &[u8]) -> Option<u32> {
        let delay = (self.wire == Protocol::Gemini).then(|| gemini::retry_delay(body)).flatten()?;
        u32::try_from(delay.as_millis().div_ceil(1000)).ok()
    }

    /// Reads a whole body that came with a success status.
    pub fn read_whole(&self, body: &[u8], quirks: &Quirks) -> Result<Whole, ReplyFault> {
        match &self.about {
            About::Embeddings(request, embedder) => {
                return embedder.read_reply(body, request, quirks).map(Whole::Embeddings);
            }
            About::Rerank { request, .. } => return rerank::read_reply(body, request).map(Whole::Rerank),
            About::Chat | About::Responses(_) | About::Messages { .. } => {}
        }
        if (self.face, self.wire) == (Face::Chat, Protocol::OpenAiChat) {
            return openai_chat::read_reply(body, quirks).map(Whole::Chat);
        }
        let read = self.read_events(body, quirks)?;
        match (self.face, self.wire) {
            (Face::Responses, Protocol::OpenAiResponses)
            | (Face::Messages, Protocol::AnthropicMessages)
            | (Face::Gemini(_), Protocol::Gemini) => Ok(Whole::Same(read.facts)),
            _ => lane::whole(self.sayable(read)).map(Whole::Translated),
        }
    }

    /// The calls of tools in a whole body that was read before.
    pub fn calls(&self, body: &[u8], quirks: &Quirks) -> Calls {
        self.read_events(body, quirks).map(|read| Calls::of(&read.events)).unwrap_or_default()
    }

    fn read_events(&self, body: &[u8], quirks: &Quirks) -> Result<WholeReply, ReplyFault> {
        let names = &self.names;
        match self.wire {
            Protocol::OpenAiChat | Protocol::Millrace => openai_chat::read_whole(body, quirks, names),
            Protocol::OpenAiResponses => openai_responses::read_whole(body, quirks, names),
            Protocol::AnthropicMessages => anthropic_messages::read_whole(body, quirks, names),
            Protocol::Gemini => gemini::read_whole(body, quirks, names),
            Protocol::Cohere => cohere::read_whole(body, quirks, names),
            Protocol::Bedrock => bedrock::read_whole(body, quirks, names),
            Protocol::Ollama => ollama::read_whole(body, quirks, names),
        }
    }

    /// The reply without what the client does not want to see, and what it will not say.
    fn sayable(&self, mut read: WholeReply) -> WholeReply {
        let writer = self.face.writer(Identity::default(), &self.about);
        read.events.retain(|event| !self.hidden.hides(event));
        read.events.iter().filter_map(|it| writer.loss(it)).for_each(|loss| read.facts.lose(loss));
        read
    }

    /// Writes a whole reply for the client. `body` is the provider's, that `whole` was read from.
    pub fn write_whole(&self, whole: &Whole, body: &[u8], identity: &Identity, bill: &Bill) -> Vec<u8> {
        match (whole, &self.about) {
            (Whole::Same(_), About::Responses(_)) => openai_responses::splice_whole(body, identity, bill),
            (Whole::Same(_), About::Messages { .. }) => {
                anthropic_messages::splice_whole(body, identity, bill)
            }
            (Whole::Same(_), _) => gemini::splice_whole(body, identity, bill),
            (Whole::Chat(reply), _) => match self.hidden {
                Hidden::Nothing => reply.write(identity, bill),
                Hidden::Thoughts | Hidden::Reasoning => reply.write_without_reasoning(body, identity, bill),
            },
            (Whole::Translated(reply), about) => self.write_events(reply, about, identity, bill),
            (Whole::Embeddings(reply), _) => embeddings::write_reply(reply, identity, bill),
            (Whole::Rerank(reply), About::Rerank { request, body }) => {
                rerank::write_reply(reply, request, body, identity, bill)
            }
            (Whole::Rerank(_), _) => Vec::new(),
        }
    }

    fn write_events(&self, reply: &WholeReply, about: &About, identity: &Identity, bill: &Bill) -> Vec<u8> {
        let (events, facts) = (&reply.events, &reply.facts);
        match (self.face, about) {
            (Face::Responses, About::Responses(echo)) => {
                openai_responses::write_whole(events, facts, identity, bill, echo)
            }
            (Face::Messages, _) => anthropic_messages::write_whole(events, facts, identity, bill),
            (Face::Gemini(_), _) => gemini::write_whole(events, facts, identity, bill),
            (Face::Completions, _) => openai_completions::write_whole(events, facts, identity, bill),
            (Face::Chat | Face::Responses | Face::Embeddings | Face::Rerank, _) => {
                openai_chat::write_whole(events, facts, identity, bill)
            }
        }
    }
}

impl Whole {
    /// What the client's protocol cannot say of the reply, each with a reason.
    pub fn losses(&self) -> &[String] {
        match self {
            Whole::Translated(reply) => &reply.facts.losses,
            Whole::Same(_) | Whole::Chat(_) | Whole::Embeddings(_) | Whole::Rerank(_) => &[],
        }
    }

    pub fn facts(&self) -> &Facts {
        match self {
            Whole::Same(facts) => facts,
            Whole::Chat(reply) => &reply.facts,
            Whole::Translated(reply) => &reply.facts,
            Whole::Embeddings(reply) => &reply.facts,
            Whole::Rerank(reply) => &reply.facts,
        }
    }
}

/// What routing has to know of a request for something other than text.
fn summary(mut request: ChatRequest, output: Output) -> ChatRequest {
    request.needs.output = output;
    request
}
