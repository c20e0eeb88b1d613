//! One offer as a request sees it, and every reason for which a request may not have it.

use super::preference::{Preference, ProviderName};
use crate::catalog::{Modality, Model, Offer, Prices, Protocol, Provider};
use crate::chat::{Needs, Output, RequestSize};

/// Bytes of text that are at least a token, for certain. Ordinary text has four.
const MOST_BYTES_PER_TOKEN: u64 = 8;

/// Something that a request may be sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The slug that replies name.
    pub model: String,
    pub provider: &'static Provider,
    /// The provider's own name for the model.
    pub upstream_model: String,
    /// The only protocol in which the provider serves it; `None` for any that it speaks.
    pub protocol: Option<Protocol>,
    pub prices: Prices,
    /// `u64::MAX` if unknown, as on a local server.
    pub context_length: u64,
    pub max_output: Option<u64>,
}

/// Why a candidate was left out. The first that applies is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The gateway has no key or address for the provider.
    NotConfigured,
    Only,
    Ignore,
    /// Not in `provider.order`, with `allow_fallbacks` off.
    Order,
    DataCollection,
    Zdr,
    Distillable,
    Quantization,
    MaxPrice,
    RequireParameters,
    ContextLength,
    MaxOutput,
    InputModality,
    OutputModality,
    Tools,
    ResponseFormat,
}

impl Filter {
    /// The filter's name in `metadata`: OpenRouter's `excluded_by` names where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Filter::NotConfigured => "not_configured",
            Filter::Only => "allowed_providers",
            Filter::Ignore => "ignored_providers",
            Filter::Order => "order",
            Filter::DataCollection => "data_policy:training",
            Filter::Zdr => "data_policy:zdr",
            Filter::Distillable => "enforce_distillable_text",
            Filter::Quantization => "quantization",
            Filter::MaxPrice => "max_price",
            Filter::RequireParameters => "require_parameters",
            Filter::ContextLength => "context_length",
            Filter::MaxOutput => "max_tokens",
            Filter::InputModality => "input_modality",
            Filter::OutputModality => "output_modality",
            Filter::Tools => "tools",
            Filter::ResponseFormat => "response_format",
        }
    }

    /// The filter in words, to stand after the provider's name.
    pub fn reason(self) -> &'static str {
        match self {
            Filter::NotConfigured => "is not configured on this gateway",
            Filter::Only => "is not in provider.only",
            Filter::Ignore => "is in provider.ignore",
            Filter::Order => "is not in provider.order, and allow_fallbacks is false",
            Filter::DataCollection => "is not known to refrain from training, as data_collection demands",
            Filter::Zdr => "is not known to retain nothing, as zdr demands",
            Filter::Distillable => "is not known to allow distillation",
            Filter::Quantization => "has none of provider.quantizations",
            Filter::MaxPrice => "costs more than provider.max_price",
            Filter::RequireParameters => "does not support every parameter sent",
            Filter::ContextLength => "has too short a context",
            Filter::MaxOutput => "cannot write max_tokens tokens",
            Filter::InputModality => "does not take that kind of input",
            Filter::OutputModality => "does not make that kind of output",
            Filter::Tools => "does not support tools",
            Filter::ResponseFormat => "does not support that response_format",
        }
    }
}

impl Candidate {
    /// The candidate that an offer of the catalog is.
    pub fn of(model: &Model, offer: &Offer) -> Candidate {
        Candidate {
            model: model.slug.to_owned(),
            provider: offer.provider,
            upstream_model: offer.upstream_model.to_owned(),
            protocol: offer.protocol,
            prices: offer.prices,
            context_length: offer.context_length,
            max_output: offer.max_output,
        }
    }

    /// The candidate that any name on a local server is. It costs nothing; what it can do is
    /// unknown, and is not held against it.
    pub fn local(slug: &str, provider: &'static Provider, name: &str) -> Candidate {
        Candidate {
            model: slug.to_owned(),
            provider,
            upstream_model: name.to_owned(),
            protocol: None,
            prices: Prices::FREE,
            context_length: u64::MAX,
            max_output: None,
        }
    }
}

/// The first filter that a provider itself does not pass.
pub(super) fn provider_filter(
    provider: &Provider,
    preference: &Preference,
    live: &dyn Fn(&Provider) -> bool,
) -> Option<Filter> {
    let named = |names: &[ProviderName]| names.iter().any(|name| name.means(provider));
    let policy = provider.data_policy;
    let kept_out = [
        (!live(provider), Filter::NotConfigured),
        (preference.only.as_ref().is_some_and(|only| !named(only)), Filter::Only),
        (named(&preference.ignore), Filter::Ignore),
        (preference.is_closed() && !named(&preference.order), Filter::Order),
        (preference.data_collection_deny && policy.trains != Some(false), Filter::DataCollection),
        (preference.zdr && policy.retains != Some(false), Filter::Zdr),
        (preference.enforce_distillable_text, Filter::Distillable),
    ];
    kept_out.into_iter().find(|(applies, _)| *applies).map(|(_, filter)| filter)
}

/// The first filter that an offer does not pass, once its provider has.
pub(super) fn offer_filter(
    model: &Model,
    offer: &Offer,
    preference: &Preference,
    needs: &Needs,
    size: &RequestSize,
) -> Option<Filter> {
    let quantization = offer.quantization.unwrap_or("unknown");
    let wanted = &preference.quantizations;
    let parameters =
        preference.require_parameters && !needs.parameters.iter().all(|name| offer.honours(name));
    let kept_out = [
        (!wanted.is_empty() && !wanted.iter().any(|name| name == quantization), Filter::Quantization),
        (!preference.max_price.allows(&offer.prices), Filter::MaxPrice),
        (parameters, Filter::RequireParameters),
        (size.text_bytes / MOST_BYTES_PER_TOKEN > size.room(offer.context_length), Filter::ContextLength),
        (size.max_tokens > offer.max_output && offer.max_output.is_some(), Filter::MaxOutput),
        (!takes_input(model, needs), Filter::InputModality),
        (!model.output_modalities.contains(&modality_of(needs.output)), Filter::OutputModality),
        (needs.tools && !offer.honours("tools"), Filter::Tools),
        (!writes_format(offer, needs), Filter::ResponseFormat),
    ];
    kept_out.into_iter().find(|(applies, _)| *applies).map(|(_, filter)| filter)
}

fn modality_of(output: Output) -> Modality {
    match output {
        Output::Text => Modality::Text,
        Output::Embeddings => Modality::Embeddings,
        Output::Rerank => Modality::Rerank,
    }
}

fn takes_input(model: &Model, needs: &Needs) -> bool {
    let wanted =
        [(needs.images, Modality::Image), (needs.audio, Modality::Audio), (needs.files, Modality::File)];
    wanted.iter().all(|(needed, modality)| !needed || model.input_modalities.contains(modality))
}

/// A format that is not supported is mostly ignored upstream, without a word; so it is a hard
/// condition here.
fn writes_format(offer: &Offer, needs: &Needs) -> bool {
    (!needs.structured_output || offer.honours("structured_outputs"))
        && (!needs.json_object || offer.honours("response_format"))
}
