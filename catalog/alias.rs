//! The names that stand for models: those that rows list, permanent names, names with other
//! punctuation, and `~author/family-latest`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Modality, Model};

/// Words in a name that set a model apart from what its family is asked for.
const APART: [&str; 8] = ["preview", "beta", "exp", "experimental", "alpha", "latest", "base", "distill"];

/// Every alias with its slug, or the aliases that mean two things.
///
/// An alias never shadows a model. Where a permanent name belongs to several models (a model and
/// its `:free`), it stands for the one without a suffix.
pub(super) fn aliases(models: &[Model]) -> Result<BTreeMap<String, String>, Vec<String>> {
    let slugs: BTreeSet<&str> = models.iter().map(|model| model.slug.as_str()).collect();
    let mut aliases = BTreeMap::new();
    let mut mistakes = Vec::new();
    for model in models {
        for alias in &model.aliases {
            if slugs.contains(alias.as_str()) {
                mistakes.push(format!("model {}: its alias {alias} is a model", model.slug));
            } else if aliases.insert(alias.clone(), model.slug.clone()).is_some() {
                mistakes
                    .push(format!("model {}: its alias {alias} belongs to another model too", model.slug));
            }
        }
    }
    let plain = models.iter().filter(|model| !model.slug.contains(':'));
    for (alias, model) in plain.filter_map(|model| Some((model.canonical_slug.clone()?, model))) {
        if !slugs.contains(alias.as_str()) {
            aliases.entry(alias).or_insert_with(|| model.slug.clone());
        }
    }
    for (alias, model) in models.iter().flat_map(punctuated) {
        if !slugs.contains(alias.as_str()) {
            aliases.entry(alias).or_insert_with(|| model.slug.clone());
        }
    }
    aliases.extend(latest(models));
    if mistakes.is_empty() { Ok(aliases) } else { Err(mistakes) }
}

/// The slug as providers write its name, with dashes for dots: `anthropic/claude-sonnet-4-5`.
fn punctuated(model: &Model) -> Vec<(String, &Model)> {
    let Some((author, name)) = model.slug.split_once('/').filter(|(_, name)| !name.contains(':')) else {
        return Vec::new();
    };
    let names = model.offers.iter().map(|offer| offer.model.rsplit('/').next().unwrap_or_default());
    let same = |other: &&str| *other != name && other.replace('.', "-") == name.replace('.', "-");
    names.filter(same).map(|other| (format!("{author}/{other}"), model)).collect()
}

/// For each family `~author/family-latest`: the model of the highest version, of those the newest.
fn latest(models: &[Model]) -> BTreeMap<String, String> {
    let mut best: BTreeMap<String, (&Model, Rank)> = BTreeMap::new();
    for model in models {
        let Some((family, version)) = family(model) else { continue };
        let rank = (version, model.created, std::cmp::Reverse(model.slug.as_str()));
        if best.get(&family).is_none_or(|(_, other)| *other < rank) {
            best.insert(family, (model, rank));
        }
    }
    best.into_iter().map(|(family, (model, _))| (family, model.slug.clone())).collect()
}

type Rank<'a> = (Version, u64, std::cmp::Reverse<&'a str>);

/// A version as a decimal number, so that 4.3 comes after 4.20: its whole part, then its digits
/// after the dot.
type Version = (u32, Vec<u8>);

/// The family of a model that writes text, with its version: its name without the parts that are
/// numbers. `claude-3.7-sonnet` and `claude-sonnet-4.5` are one family. `None` for names without a
/// number, for previews, for variants, and for open models named by their size, of which the
/// newest is not what one wants.
fn family(model: &Model) -> Option<(String, Version)> {
    let (author, name) = model.slug.split_once('/')?;
    let parts: Vec<&str> = name.split('-').collect();
    let apart = |part: &&str| APART.contains(part) || is_size(part);
    let leaves = model.expires.is_some() || model.successor.is_some();
    if name.contains(':') || leaves || !model.output.contains(&Modality::Text) || parts.iter().any(apart) {
        return None;
    }
    let (numbers, words): (Vec<&str>, Vec<&str>) = parts.into_iter().partition(|part| number(part).is_some());
    let version = numbers.into_iter().filter_map(number).find(|text| !is_date(text)).unwrap_or_default();
    let (whole, digits) = version.split_once('.').unwrap_or((version, ""));
    let digits: Vec<u8> = digits.trim_end_matches('0').bytes().collect();
    let named = !words.is_empty() && (!version.is_empty() || words.len() > 1);
    let family = format!("~{author}/{}-latest", words.join("-"));
    named.then(|| (family, (whole.parse().unwrap_or(0), digits)))
}

/// The number in `4.5`, `4o`, `k2.6`, `v3`: digits and dots after at most one letter.
fn number(part: &str) -> Option<&str> {
    let rest = part.strip_prefix(|first: char| first.is_ascii_lowercase()).unwrap_or(part);
    let digits = rest.trim_end_matches(|last: char| last.is_ascii_lowercase());
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (is_number && rest.len() - digits.len() <= 1).then_some(digits)
}

/// `70b`, `8x7b`, `a3b`: how many parameters, not which version.
fn is_size(part: &str) -> bool {
    let rest = part.strip_prefix(['a', 'e']).unwrap_or(part);
    rest.strip_suffix(['b', 'm', 't', 'e']).is_some_and(|digits| {
        digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || b".x".contains(&byte))
    })
}

/// `0528`, `2512`, `20250929`: when, not which version.
fn is_date(digits: &str) -> bool {
    digits.len() >= 4 && !digits.contains('.')
}
