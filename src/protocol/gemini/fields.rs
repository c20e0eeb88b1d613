//! Google's JSON as its servers take it: members in camelCase or snake_case, null for absent, one
//! object where a list of one is meant. Refuses members given twice and keeps account of those
//! that nobody read.

use std::borrow::Cow;

use crate::error::Failure;
use crate::json;
use crate::protocol::fields::must_be;

/// The members of one object of a request, under their names in camelCase.
pub(super) struct Fields<'a> {
    pub path: String,
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Fields<'a> {
    pub(super) fn read(text: &'a str, path: &str) -> Result<Fields<'a>, Failure> {
        let object = json::members(text).map_err(|error| match path {
            "" => Failure::invalid(format!("The request body is not a valid JSON object: {error}.")),
            _ => must_be(path, "an object"),
        })?;
        let mut members: Vec<(Cow<'a, str>, &'a str)> = Vec::new();
        for member in object.iter() {
            members.push((camel(member.key.clone()), member.value));
        }
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let path = join(path, twice[0]);
            return Err(Failure::invalid(format!("`{path}` is given more than once.")));
        }
        members.retain(|(_, value)| !json::is_null(value));
        Ok(Fields { path: path.to_owned(), members })
    }

    /// The JSON text of a member; `None` for a null.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            Some(value) => match json::string(value) {
                Some(text) => Ok(Some(text.into_owned())),
                None => Err(must_be(&self.path_of(name), "a string")),
            },
            None => Ok(None),
        }
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, Failure> {
        match self.get(name) {
            Some(value) => {
                json::boolean(value).map(Some).ok_or_else(|| must_be(&self.path_of(name), "a boolean"))
            }
            None => Ok(None),
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Fields<'a>>, Failure> {
        self.get(name).map(|value| Fields::read(value, &self.path_of(name))).transpose()
    }

    /// A whole number, which Google also takes as a string.
    pub(super) fn whole(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.get(name) {
            Some(value) => match value.trim_matches('"').parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(must_be(&self.path_of(name), "a whole number")),
            },
            None => Ok(None),
        }
    }

    /// A number as the JSON text that it is.
    pub(super) fn number(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name) {
            Some(value) if value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
                Ok(Some(value.to_owned()))
            }
            Some(_) => Err(must_be(&self.path_of(name), "a number")),
            None => Ok(None),
        }
    }

    /// The objects of a list, with their paths.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Fields<'a>>, Failure> {
        let texts = self.texts(name, "an array of objects")?;
        texts.into_iter().map(|(path, text)| Fields::read(text, &path)).collect()
    }

    pub(super) fn strings(&self, name: &str) -> Result<Vec<String>, Failure> {
        let texts = self.texts(name, "an array of strings")?;
        let read = |(path, text): (String, &'a str)| match json::string(text) {
            Some(text) => Ok(text.into_owned()),
            None => Err(must_be(&path, "a string")),
        };
        texts.into_iter().map(read).collect()
    }

    fn texts(&self, name: &str, what: &str) -> Result<Vec<(String, &'a str)>, Failure> {
        let path = self.path_of(name);
        match self.get(name) {
            Some(value) if value.starts_with('{') => Ok(vec![(path, value)]),
            Some(value) if value.starts_with('[') => {
                let elements = json::elements(value)
                    .map_err(|error| Failure::invalid(format!("`{path}` has {}.", error.message)))?;
                let place = |(at, text)| (format!("{path}[{at}]"), text);
                Ok(elements.into_iter().enumerate().map(place).collect())
            }
            Some(_) => Err(must_be(&path, what)),
            None => Ok(Vec::new()),
        }
    }

    /// Adds the members that are not among `known`, by path.
    pub(super) fn note_others(&self, known: &[&str], unspoken: &mut Vec<String>) {
        let others = self.members.iter().filter(|(name, _)| !known.contains(&name.as_ref()));
        unspoken.extend(others.map(|(name, _)| self.path_of(name)));
    }
}

pub(super) fn only_gemini(path: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{path}`: {what} can only be served by Gemini's own endpoints."))
}

/// The JSON text of a member that is an object of the client's own, which is not looked into.
pub(super) fn own_object<'a>(fields: &Fields<'a>, name: &str) -> Result<Option<&'a str>, Failure> {
    match fields.get(name) {
        Some(value) if value.starts_with('{') => Ok(Some(value)),
        Some(_) => Err(must_be(&fields.path_of(name), "an object")),
        None => Ok(None),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `generation_config` as `generationConfig`.
fn camel(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.contains('_') {
        return name;
    }
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' => raise = true,
            _ if std::mem::take(&mut raise) => out.push(letter.to_ascii_uppercase()),
            _ => out.push(letter),
        }
    }
    Cow::Owned(out)
}
