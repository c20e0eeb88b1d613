//! The plan of a request: which endpoints to try, best first. A pure function of the request, the
//! catalog, what is configured, how endpoints stand and a seed. Facts: OpenRouter's provider routing.

use super::auto::{self, AutoRules, Choice};
use super::candidate::{Candidate, Filter, Seller, model_filter, offer_filter, seller_filter};
use super::explain;
use super::order::{Entry, Wish, arrange, scramble};
use super::policy::Policy;
use super::preference::{Partition, Preference, Sort};
use super::slug::{self, Asked, Name, Router, Target};
use super::sticky::Session;
use crate::catalog::{Catalog, Model, Offer, Provider};
use crate::chat::{Conversation, Needs, RequestSize};
use crate::error::Failure;
use crate::health::{Health, Standing};
use crate::time::Time;
use serde_json::Value;

/// What a plan is made for.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    pub catalog: Catalog,
    pub health: &'a dyn Health,
    pub now: Time,
    /// The slugs that may answer, in order of preference.
    pub models: &'a [String],
    pub preference: &'a Preference,
    pub policy: &'a Policy,
    pub needs: &'a Needs,
    pub size: &'a RequestSize,
    /// The tier that the client asks for: `priority`, `fast` or `flex`. Others mean the ordinary one.
    pub service_tier: Option<&'a str>,
    pub session: Option<&'a Session>,
    pub auto: &'a AutoRules,
    /// What a router reads to choose; `None` where no slug names one.
    pub conversation: Option<&'a Conversation>,
}

/// The candidates to try, best first. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    candidates: Vec<Candidate>,
    pub about: About,
}

/// What is told of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    pub strategy: Strategy,
    /// Endpoints of the models asked for, those that were left out too.
    pub endpoints: usize,
    /// What a router chose, and by what.
    pub router: Option<Value>,
    /// The version of what is laid over the catalog; 0 for nothing.
    pub overlay: u64,
}

/// How the models were found, in OpenRouter's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    #[default]
    Direct,
    /// Several models were asked for.
    Fallback,
    Alias,
    Latest,
    Auto,
    Free,
}

/// A candidate that a filter removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Removed {
    pub model: String,
    pub provider: &'static Provider,
    pub tag: &'static str,
    pub filter: Filter,
    pub context_length: u64,
}

/// Everything that was found for a request, the plan and what did not get into it.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Best first.
    pub entries: Vec<Entry>,
    pub removed: Vec<Removed>,
    pub strategy: Strategy,
    /// What a router chose, and why.
    pub choice: Option<Choice>,
}

/// Returns the endpoints to try, best first. The same seed gives the same plan.
///
/// Models keep the order in which they were asked for, and each has its endpoints by
/// [`super::order`]. Those that are out for now come last of all.
pub fn plan(query: &Query, live: &dyn Fn(&Provider) -> bool, seed: u64) -> Result<Plan, Failure> {
    let survey = survey(query, live, seed)?;
    if survey.entries.is_empty() {
        return Err(explain::nobody(query, &survey));
    }
    let endpoints = survey.entries.len() + survey.removed.len();
    let router = survey.choice.as_ref().map(explain::chosen);
    let about = About { strategy: survey.strategy, endpoints, router, overlay: query.catalog.version() };
    let candidates = survey.entries.into_iter().map(|entry| entry.candidate).collect();
    Ok(Plan { candidates, about })
}

/// As [`plan`], but with everything that was found. Fails only for slugs that mean nothing.
pub fn survey(query: &Query, live: &dyn Fn(&Provider) -> bool, seed: u64) -> Result<Survey, Failure> {
    if query.models.is_empty() {
        return Err(Failure::invalid("`model` must not be empty"));
    }
    let asked: Vec<Asked> = query
        .models
        .iter()
        .map(|slug| slug::read(query.catalog, slug, query.now))
        .collect::<Result<_, _>>()?;
    if asked.iter().any(|one| one.online) && query.needs.web_search.is_none() {
        return Err(Failure::invalid("`:online` works on a slug that the request names itself."));
    }
    Ok(survey_of(&asked, query, live, seed))
}

/// The survey for models that are already known.
pub fn survey_of(asked: &[Asked], query: &Query, live: &dyn Fn(&Provider) -> bool, seed: u64) -> Survey {
    let search = Search { query, live };
    let mut survey =
        Survey { entries: Vec::new(), removed: Vec::new(), strategy: strategy(asked), choice: None };
    let mut groups: Vec<Group> = Vec::new();
    for one in asked {
        match &one.target {
            Target::Model(model) => groups.push(search.model(model, one, &mut survey.removed)),
            Target::Local(provider, name) => {
                groups.push(search.local(provider, name, one, &mut survey.removed))
            }
            Target::Router(router) => {
                let choice = auto::choose(*router, one.sort, &search, seed);
                let chosen = choice.models.iter();
                groups.extend(chosen.map(|model| search.model(model, one, &mut survey.removed)));
                survey.choice.get_or_insert(choice);
            }
        }
    }
    survey.entries = search.arrange(groups, seed);
    survey
}

impl Plan {
    pub fn first(&self) -> &Candidate {
        &self.candidates[0]
    }

    pub fn get(&self, index: usize) -> Option<&Candidate> {
        self.candidates.get(index)
    }

    /// At least one.
    #[allow(clippy::len_without_is_empty, reason = "a plan is never empty")]
    pub fn len(&self) -> usize {
        self.candidates.len()
    }

    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }
}

impl Strategy {
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Direct => "direct",
            Strategy::Fallback => "fallback",
            Strategy::Alias => "alias",
            Strategy::Latest => "latest",
            Strategy::Auto => "auto",
            Strategy::Free => "free",
        }
    }
}

fn strategy(asked: &[Asked]) -> Strategy {
    let [one] = asked else { return Strategy::Fallback };
    match (&one.target, one.name) {
        (Target::Router(Router::Auto), _) => Strategy::Auto,
        (Target::Router(Router::Free), _) => Strategy::Free,
        (Target::Local(..) | Target::Model(_), Name::Own) => Strategy::Direct,
        (Target::Local(..) | Target::Model(_), Name::Alias) => Strategy::Alias,
        (Target::Local(..) | Target::Model(_), Name::Latest) => Strategy::Latest,
    }
}

/// The endpoints of one model that passed, and how its slug wants them sorted.
struct Group {
    entries: Vec<Entry>,
    sort: Option<Sort>,
}

/// A query at work.
pub(super) struct Search<'a> {
    pub query: &'a Query<'a>,
    pub live: &'a dyn Fn(&Provider) -> bool,
}

impl Search<'_> {
    /// The offers of a model, each that fails with its filter.
    fn model(&self, model: &'static Model, asked: &Asked, removed: &mut Vec<Removed>) -> Group {
        let query = self.query;
        let tiers = self.tiers(model, asked);
        let unfit = model_filter(model, query);
        let mut entries = Vec::with_capacity(model.offers.len());
        for offer in model.offers {
            match self.filter(offer, model.slug, unfit, &tiers) {
                None => {
                    let standing = query.health.standing(model.slug, offer.tag, query.now);
                    entries.push(self.entry(Candidate::of(model, offer, query.needs), standing));
                }
                Some(filter) => removed.push(Removed {
                    model: model.slug.to_owned(),
                    provider: offer.provider,
                    tag: offer.tag,
                    filter,
                    context_length: offer.context_length,
                }),
            }
        }
        Group { entries, sort: self.sort(asked) }
    }

    fn local(
        &self,
        provider: &'static Provider,
        name: &str,
        asked: &Asked,
        removed: &mut Vec<Removed>,
    ) -> Group {
        let query = self.query;
        let slug = format!("{}/{name}", provider.slug);
        let own = [
            (!query.policy.allows_model(&[&slug]), Filter::ModelPolicy),
            (query.preference.enforce_distillable_text, Filter::Distillable),
            (query.needs.demands_search(), Filter::WebSearch),
        ];
        let filter = seller_filter(&Seller::local(provider), &slug, query, self.live, &|_| true)
            .or_else(|| own.into_iter().find(|(applies, _)| *applies).map(|(_, filter)| filter));
        let mut entries = Vec::new();
        match filter {
            None => {
                let standing = query.health.standing(&slug, provider.slug, query.now);
                entries.push(self.entry(Candidate::local(&slug, provider, name), standing));
            }
            Some(filter) => {
                removed.push(Removed {
                    model: slug,
                    provider,
                    tag: provider.slug,
                    filter,
                    context_length: 0,
                });
            }
        }
        Group { entries, sort: self.sort(asked) }
    }

    /// Whether an offer of the model in the ordinary tier may serve.
    pub fn may_serve(&self, model: &'static Model) -> bool {
        let ordinary = |seller: &Seller| seller.service_tier.is_none();
        let unfit = model_filter(model, self.query);
        unfit.is_none()
            && model.offers.iter().any(|offer| self.filter(offer, model.slug, None, &ordinary).is_none())
    }

    /// The least that an offer of the model costs that may serve; `None` if none may.
    pub fn cheapest(&self, model: &'static Model, asked: &dyn Fn(&Seller) -> bool) -> Option<&'static Offer> {
        let unfit = model_filter(model, self.query);
        let fits = |offer: &&Offer| self.filter(offer, model.slug, unfit, asked).is_none();
        model.offers.iter().filter(fits).min_by_key(|offer| offer.prices.blend())
    }

    fn filter(
        &self,
        offer: &Offer,
        slug: &str,
        unfit: Option<Filter>,
        tiers: &dyn Fn(&Seller) -> bool,
    ) -> Option<Filter> {
        seller_filter(&Seller::of(offer), slug, self.query, self.live, tiers)
            .or(unfit)
            .or_else(|| offer_filter(offer, self.query))
    }

    fn entry(&self, candidate: Candidate, standing: Standing) -> Entry {
        let pin = self.query.session.and_then(|session| session.pin.as_ref());
        let pinned = pin.is_some_and(|pin| pin.model == candidate.model && pin.tag == candidate.tag);
        Entry { pinned, ..Entry::new(candidate, standing, self.query.preference) }
    }

    fn sort(&self, asked: &Asked) -> Option<Sort> {
        self.query.preference.sort.or(asked.sort).or(self.query.policy.sort)
    }

    /// The tier of service that the request itself asks for.
    fn tier(&self) -> Option<&'static str> {
        match self.query.service_tier {
            Some("priority" | "fast" | "ultrafast") => Some("priority"),
            Some("flex") => Some("flex"),
            Some(_) | None => None,
        }
    }

    /// Which tiers of service may be tried: the ordinary one and what is admitted or named. `flex`
    /// alone where it is asked for and there is any.
    fn tiers(&self, model: &Model, asked: &Asked) -> impl Fn(&Seller) -> bool + use<'_> {
        let preference = self.query.preference;
        let wanted = self.tier();
        let sells_flex = model.offers.iter().any(|offer| offer.service_tier == Some("flex"));
        let only_flex = wanted == Some("flex") && sells_flex && preference.order.is_empty();
        let admitted = asked.admits.filter(|_| preference.order.is_empty());
        move |seller| {
            let only = preference.only.as_deref().unwrap_or_default();
            match seller.service_tier {
                None => !only_flex,
                tier => {
                    tier == wanted
                        || tier == admitted
                        || seller.is_named(&preference.order)
                        || seller.is_named(only)
                }
            }
        }
    }

    /// All endpoints in the order in which they are to be tried, each once.
    fn arrange(&self, groups: Vec<Group>, seed: u64) -> Vec<Entry> {
        let preference = self.query.preference;
        let together = preference.partition == Partition::None && preference.sort.is_some();
        let groups = match together {
            true => {
                let entries = groups.into_iter().flat_map(|group| group.entries).collect();
                vec![Group { entries, sort: preference.sort }]
            }
            false => groups,
        };
        let mut entries: Vec<Entry> = Vec::new();
        for (row, mut group) in groups.into_iter().enumerate() {
            let wish = Wish {
                preference,
                sort: group.sort,
                tier: self.tier(),
                tools: self.query.needs.tools,
                seed: self.seed(&group.entries, scramble(seed ^ row as u64)),
            };
            arrange(&mut group.entries, &wish);
            if preference.order.is_empty() && !preference.allow_fallbacks && !together {
                group.entries.truncate(1);
            }
            for entry in group.entries {
                let is_new = |other: &Entry| {
                    (&other.candidate.model, other.candidate.tag)
                        != (&entry.candidate.model, entry.candidate.tag)
                };
                if entries.iter().all(is_new) {
                    entries.push(entry);
                }
            }
        }
        entries.sort_by_key(Entry::is_out);
        entries
    }

    /// A session draws always the same, so that its prompts meet the cache that they are in; where
    /// nothing would be saved by that, each request draws anew.
    fn seed(&self, entries: &[Entry], seed: u64) -> u64 {
        let saves = || entries.iter().any(|entry| entry.candidate.discounts_cache());
        match self.query.session {
            Some(session) if session.binds(self.query.size) && saves() => session.hash,
            Some(_) | None => seed,
        }
    }
}
