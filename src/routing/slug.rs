//! What a client calls a model, read: a model of the catalog or another name for one, a model on a
//! local server, or a router that chooses; with endings that sort or admit. Facts: OpenRouter's
//! "Model Variants".

use super::explain::availability;
use super::preference::Sort;
use crate::catalog::{Catalog, Model, Provider};
use crate::error::{Cause, Failure};
use crate::time::Time;
use serde_json::json;

/// A slug and what it means.
#[derive(Clone, Debug)]
pub struct Asked {
    pub target: Target,
    /// The order that an ending asks for. Of several the last counts.
    pub sort: Option<Sort>,
    /// The tier of service that an ending adds: `:nitro` admits `priority`, `:floor` admits `flex`.
    pub admits: Option<&'static str>,
    /// It ends in `:online`: the web is to be searched, which the request's needs say as well.
    pub online: bool,
    pub name: Name,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Target {
    Model(&'static Model),
    /// A local server and its own name for the model.
    Local(&'static Provider, String),
    Router(Router),
}

/// A slug that stands for whichever model suits the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Router {
    /// The best for the task within a band of cost.
    Auto,
    /// Any that costs nothing.
    Free,
}

/// How the slug named its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Own,
    Alias,
    /// `~author/family-latest`
    Latest,
}

const ROUTERS: [(&str, Router); 5] = [
    ("openrouter/auto", Router::Auto),
    ("openrouter/auto-beta", Router::Auto),
    ("millrace/auto", Router::Auto),
    ("openrouter/free", Router::Free),
    ("millrace/free", Router::Free),
];

/// Endings that are part of a model's name: such a model has a row of its own.
const ROWS: [&str; 4] = ["free", "batch", "thinking", "extended"];
/// Endings that say how to choose among the offers of a model, with the tier that each admits.
const SORTS: [(&str, Sort, Option<&str>); 3] = [
    ("nitro", Sort::Throughput, Some("priority")),
    ("floor", Sort::Price, Some("flex")),
    ("exacto", Sort::Exacto, None),
];

/// Reads a slug. Fails for a name that nobody has, and for a model that is gone, where the one to
/// ask for in its place is named.
pub fn read(catalog: Catalog, slug: &str, now: Time) -> Result<Asked, Failure> {
    if let Some((provider, name)) = catalog.local(slug) {
        let target = Target::Local(provider, name.to_owned());
        return Ok(Asked { target, sort: None, admits: None, online: false, name: Name::Own });
    }
    let endings = Endings::of(slug)?;
    let Endings { sort, admits, online, .. } = endings;
    if let Some((_, router)) = ROUTERS.iter().find(|(name, _)| endings.row.is_none() && *name == endings.base)
    {
        return Ok(Asked { target: Target::Router(*router), sort, admits, online, name: Name::Own });
    }
    let Some((model, name)) = find(catalog, &endings) else {
        let base = Endings { row: None, ..endings };
        return Err(match (endings.row, find(catalog, &base)) {
            (Some(row), Some((model, _))) => no_such_row(slug, row, model),
            (Some(_) | None, _) => unknown(slug),
        });
    };
    match gone(slug, model, now) {
        Some(failure) => Err(failure),
        None => Ok(Asked { target: Target::Model(model), sort, admits, online, name }),
    }
}

/// Whether some slug is a router's, so that what it chooses by has to be read.
pub fn names_router<'a>(slugs: impl IntoIterator<Item = &'a String>) -> bool {
    let is_router = |slug: &str| {
        let base = Endings::of(slug).map(|endings| endings.base);
        base.is_ok_and(|base| ROUTERS.iter().any(|(name, _)| *name == base))
    };
    slugs.into_iter().any(|slug| is_router(slug))
}

/// A slug taken apart.
#[derive(Clone, Copy, Debug)]
struct Endings<'a> {
    base: &'a str,
    row: Option<&'a str>,
    sort: Option<Sort>,
    admits: Option<&'static str>,
    online: bool,
}

impl<'a> Endings<'a> {
    /// Takes off what is an ending, in whatever order they stand; what is none stays.
    fn of(slug: &'a str) -> Result<Endings<'a>, Failure> {
        let mut endings = Endings { base: slug, row: None, sort: None, admits: None, online: false };
        while let Some((before, ending)) = endings.base.rsplit_once(':') {
            if let Some((_, sort, admits)) = SORTS.iter().find(|(name, ..)| *name == ending) {
                // Read from the end, so the first that is found is the last that was written.
                if endings.sort.is_none() {
                    (endings.sort, endings.admits) = (Some(*sort), *admits);
                }
            } else if ROWS.contains(&ending) {
                if endings.row.is_some_and(|row| row != ending) {
                    return Err(Failure::invalid(format!(
                        "{slug} has more than one of :free, :batch, :thinking and :extended"
                    )));
                }
                endings.row = Some(ending);
            } else if ending == "online" {
                endings.online = true;
            } else {
                break;
            }
            endings.base = before;
        }
        Ok(endings)
    }
}

fn find(catalog: Catalog, endings: &Endings) -> Option<(&'static Model, Name)> {
    let with_row = |base: &str| match endings.row {
        Some(row) => catalog.find(&format!("{base}:{row}")),
        None => catalog.find(base),
    };
    if let Some(model) = with_row(endings.base) {
        return Some((model, Name::Own));
    }
    let target = catalog.alias(endings.base)?;
    let name = if endings.base.starts_with('~') { Name::Latest } else { Name::Alias };
    with_row(target).map(|model| (model, name))
}

/// A model whose time is over or that nobody sells any more, if another takes its place.
fn gone(slug: &str, model: &Model, now: Time) -> Option<Failure> {
    let successor = model.successor?;
    let today = now.to_iso8601();
    let over = model.expires.is_some_and(|day| today.as_str() > day);
    (over || model.offers.is_empty()).then(|| {
        let more = json!({ "fallback_models": [successor] });
        Failure::new(Cause::NoEndpoint, format!("{slug} is deprecated. Use {successor}."))
            .with("successor", successor)
            .with("availability", availability("model_deprecated", &[slug], more))
    })
}

fn unknown(slug: &str) -> Failure {
    Failure::new(Cause::UnknownModel, format!("{slug} is not a valid model ID"))
        .with("availability", availability("model_not_found", &[slug], json!({})))
}

/// The model is known, but not in that edition.
fn no_such_row(slug: &str, row: &str, model: &Model) -> Failure {
    let code = if row == "free" { "free_variant_ended" } else { "no_endpoints" };
    let words = match row {
        "thinking" => format!("Use {} with `reasoning`.", model.slug),
        _ => format!("{} is there without `:{row}`.", model.slug),
    };
    Failure::new(Cause::NoEndpoint, format!("No endpoints found for {slug}. {words}"))
        .with("availability", availability(code, &[slug], json!({ "fallback_models": [model.slug] })))
}
