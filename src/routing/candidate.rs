//! One offer as a request sees it, and every reason for which a request may not have it.

use super::preference::ProviderName;
use super::rate::is_free;
use super::{Policy, Query};
use crate::catalog::{DataPolicy, Modality, Model, Offer, Prices, Protocol, Provider};
use crate::chat::{Needs, Output};
use std::borrow::Cow;

/// Bytes of text that are at least a token, for certain. Ordinary text has four.
const MOST_BYTES_PER_TOKEN: u64 = 8;

/// Something that a request may be sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The slug that replies name.
    pub model: Cow<'static, str>,
    pub provider: &'static Provider,
    /// Its name among the endpoints of the model.
    pub tag: &'static str,
    /// `flex` or `priority`, where that is what is sold.
    pub service_tier: Option<&'static str>,
    /// The provider's own name for the model.
    pub upstream_model: Cow<'static, str>,
    /// The permanent name of this version of the model.
    pub permaslug: Cow<'static, str>,
    /// The only protocol in which the provider serves it; `None` for any that it speaks.
    pub protocol: Option<Protocol>,
    pub prices: Prices,
    /// `u64::MAX` if unknown, as on a local server.
    pub context_length: u64,
    pub max_output: Option<u64>,
    /// It honours every parameter that was sent and that changes the reply, or nothing is known.
    pub honours_all: bool,
}

/// Why a candidate was left out. The first that applies is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The gateway has no key or address for the provider.
    NotConfigured,
    /// The key may not use the provider.
    ProviderPolicy,
    /// The key may not use the model.
    ModelPolicy,
    Only,
    Ignore,
    /// Not in `provider.order`, with `allow_fallbacks` off.
    Order,
    /// A tier of service that was not asked for, or not the one that was.
    ServiceTier,
    DataCollection,
    Zdr,
    Region,
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
    WebSearch,
}

impl Filter {
    /// The filter's name in `metadata`: OpenRouter's `excluded_by` names where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Filter::NotConfigured => "not_configured",
            Filter::ProviderPolicy => "provider_policy",
            Filter::ModelPolicy => "model_policy",
            Filter::Only => "allowed_providers",
            Filter::Ignore => "ignored_providers",
            Filter::Order => "order",
            Filter::ServiceTier => "service_tier",
            Filter::DataCollection => "data_policy:training",
            Filter::Zdr => "data_policy:zdr",
            Filter::Region => "data_region",
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
            Filter::WebSearch => "web_search",
        }
    }

    /// The filter in words, to stand after the provider's name.
    pub fn reason(self) -> &'static str {
        match self {
            Filter::NotConfigured => "is not configured on this gateway",
            Filter::ProviderPolicy => "is not allowed to this key",
            Filter::ModelPolicy => "serves a model that is not allowed to this key",
            Filter::Only => "is not in provider.only",
            Filter::Ignore => "is in provider.ignore",
            Filter::Order => "is not in provider.order, and allow_fallbacks is false",
            Filter::ServiceTier => "sells it in another tier of service than was asked for",
            Filter::DataCollection => "is not known to refrain from training, as data_collection demands",
            Filter::Zdr => "is not known to retain nothing, as zdr demands",
            Filter::Region => "is not known to compute in that region",
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
            Filter::WebSearch => "does not search the web, or not for a known price",
        }
    }

    /// Whether it is a rule of the client's or the operator's about who may see what is sent.
    pub fn is_privacy(self) -> bool {
        matches!(self, Filter::DataCollection | Filter::Zdr)
    }
}

impl Candidate {
    /// The candidate that an offer of the catalog is.
    pub fn of(model: &'static Model, offer: &'static Offer, needs: &Needs) -> Candidate {
        Candidate {
            model: Cow::Borrowed(model.slug),
            provider: offer.provider,
            tag: offer.tag,
            service_tier: offer.service_tier,
            upstream_model: Cow::Borrowed(offer.upstream_model),
            permaslug: Cow::Borrowed(model.canonical_slug),
            protocol: offer.protocol,
            prices: offer.prices,
            context_length: offer.context_length,
            max_output: offer.max_output,
            honours_all: honours_soft(offer, needs),
        }
    }

    /// The candidate that any name on a local server is. It costs nothing; what it can do is
    /// unknown, and is not held against it.
    pub fn local(slug: &str, provider: &'static Provider, name: &str) -> Candidate {
        Candidate {
            model: Cow::Owned(slug.to_owned()),
            provider,
            tag: provider.slug,
            service_tier: None,
            upstream_model: Cow::Owned(name.to_owned()),
            permaslug: Cow::Owned(slug.to_owned()),
            protocol: None,
            prices: Prices::FREE,
            context_length: u64::MAX,
            max_output: None,
            honours_all: true,
        }
    }

    /// Whether a prompt that it has cached is cheaper than one that it has not.
    pub fn discounts_cache(&self) -> bool {
        self.prices.cache_read.is_some_and(|price| price < self.prices.prompt)
    }
}

/// What of an offer its provider decides.
pub(super) struct Seller {
    pub provider: &'static Provider,
    pub tag: &'static str,
    pub service_tier: Option<&'static str>,
    pub data_policy: DataPolicy,
    pub region: Option<&'static str>,
}

impl Seller {
    pub fn of(offer: &Offer) -> Seller {
        Seller {
            provider: offer.provider,
            tag: offer.tag,
            service_tier: offer.service_tier,
            data_policy: offer.data_policy,
            region: offer.region,
        }
    }

    pub fn local(provider: &'static Provider) -> Seller {
        let data_policy = provider.data_policy;
        Seller { provider, tag: provider.slug, service_tier: None, data_policy, region: None }
    }

    pub fn is_named(&self, names: &[ProviderName]) -> bool {
        names.iter().any(|name| name.means(self.provider, self.tag, self.service_tier))
    }

    fn is_in(&self, regions: &[String]) -> bool {
        regions.is_empty() || regions.iter().any(|region| self.region == Some(region.as_str()))
    }
}

/// Whether a policy leaves a model at an endpoint to the holder of a key, whatever is asked of it.
pub fn admits(policy: &Policy, model: &Model, offer: &Offer) -> bool {
    let seller = Seller::of(offer);
    let data = seller.data_policy;
    policy.allows_model(&[model.slug, model.canonical_slug])
        && policy.allows_provider(|names| seller.is_named(names))
        && !(policy.training_denied.covers(is_free(model.slug)) && data.trains != Some(false))
        && (!policy.zdr.covers(model.slug) || retains_nothing(data))
        && policy.regions.iter().all(|regions| seller.is_in(regions))
}

fn retains_nothing(data: DataPolicy) -> bool {
    data.zdr.or(data.retains.map(|retains| !retains)) == Some(true)
}

/// The first filter that a seller of the model of that slug does not pass. `tiers` says whether the
/// seller's tier of service is wanted.
pub(super) fn seller_filter(
    seller: &Seller,
    slug: &str,
    query: &Query,
    live: &dyn Fn(&Provider) -> bool,
    tiers: &dyn Fn(&Seller) -> bool,
) -> Option<Filter> {
    let (preference, policy) = (query.preference, query.policy);
    let allowed = policy.allows_provider(|names| seller.is_named(names));
    let only = preference.only.as_ref().is_none_or(|only| seller.is_named(only));
    let no_training = preference.data_collection_deny || policy.training_denied.covers(is_free(slug));
    let zdr = preference.zdr || policy.zdr.covers(slug);
    let data = seller.data_policy;
    let in_region =
        seller.is_in(&preference.regions) && policy.regions.iter().all(|regions| seller.is_in(regions));
    let kept_out = [
        (!live(seller.provider), Filter::NotConfigured),
        (!allowed, Filter::ProviderPolicy),
        (!only, Filter::Only),
        (seller.is_named(&preference.ignore), Filter::Ignore),
        (preference.is_closed() && !seller.is_named(&preference.order), Filter::Order),
        (!tiers(seller), Filter::ServiceTier),
        (no_training && data.trains != Some(false), Filter::DataCollection),
        (zdr && !retains_nothing(data), Filter::Zdr),
        (!in_region, Filter::Region),
    ];
    kept_out.into_iter().find(|(applies, _)| *applies).map(|(_, filter)| filter)
}

/// The first filter that a model does not pass, whoever sells it.
pub(super) fn model_filter(model: &Model, query: &Query) -> Option<Filter> {
    let needs = query.needs;
    let allowed = query.policy.allows_model(&[model.slug, model.canonical_slug]);
    let distillable = !query.preference.enforce_distillable_text || model.distillable == Some(true);
    let kept_out = [
        (!allowed, Filter::ModelPolicy),
        (!distillable, Filter::Distillable),
        (!takes_input(model, needs), Filter::InputModality),
        (!model.output_modalities.contains(&modality_of(needs.output)), Filter::OutputModality),
    ];
    kept_out.into_iter().find(|(applies, _)| *applies).map(|(_, filter)| filter)
}

/// The first filter that an offer does not pass, once its seller and its model have.
pub(super) fn offer_filter(offer: &Offer, query: &Query) -> Option<Filter> {
    let Query { preference, needs, size, .. } = query;
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
        (needs.tools && !offer.honours("tools"), Filter::Tools),
        (!writes_format(offer, needs), Filter::ResponseFormat),
        (needs.demands_search() && offer.prices.web_search.is_none(), Filter::WebSearch),
    ];
    kept_out.into_iter().find(|(applies, _)| *applies).map(|(_, filter)| filter)
}

/// Parameters that an offer without them is tried after, though not refused for: what was asked
/// for would show in the reply.
const SOFT: [&str; 3] = ["reasoning", "reasoning_effort", "verbosity"];

fn honours_soft(offer: &Offer, needs: &Needs) -> bool {
    let matters = |name: &&String| SOFT.contains(&name.as_str());
    // An effort is a way to ask for reasoning.
    let honours =
        |name: &String| offer.honours(name) || name.starts_with("reasoning") && offer.honours("reasoning");
    let searches = needs.web_search.is_none() || offer.prices.web_search.is_some();
    searches && needs.parameters.iter().filter(matters).all(honours)
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
