//! Arguments of a call that come in pieces, each with the path of the value that it belongs to
//! (`streamFunctionCallArguments`), put together to JSON text.

use crate::json::{self, Members};

/// The most elements of an array, and the deepest nesting, that pieces may build.
const MOST: usize = 65_536;
const DEPTH: usize = 64;

/// A value in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Empty,
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Text(String),
    /// A number, a boolean or null, as it was spelt.
    Other(String),
}

enum Step {
    Key(String),
    Index(usize),
}

/// The arguments of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arguments(Node);

impl Arguments {
    pub(super) fn new() -> Arguments {
        Arguments(Node::Empty)
    }

    /// Takes in one element of `partialArgs`; `None` if it makes no sense.
    pub(super) fn read(&mut self, piece: &Members<'_>) -> Option<()> {
        let steps = steps(&piece.string("jsonPath")?)?;
        let node = steps.into_iter().try_fold(&mut self.0, Node::enter)?;
        if let Some(more) = piece.string("stringValue") {
            match node {
                Node::Text(text) => text.push_str(&more),
                Node::Empty | Node::Object(_) | Node::Array(_) | Node::Other(_) => {
                    *node = Node::Text(more.into_owned());
                }
            }
            return Some(());
        }
        if let Some(value) = piece.get("numberValue").or_else(|| piece.get("boolValue")) {
            *node = Node::Other(value.to_owned());
        } else if piece.has("nullValue") {
            *node = Node::Other("null".to_owned());
        }
        Some(())
    }

    pub(super) fn write(&self) -> String {
        let mut out = String::new();
        match &self.0 {
            Node::Empty => out.push_str("{}"),
            node => node.write(&mut out),
        }
        out
    }
}

impl Node {
    fn enter(&mut self, step: Step) -> Option<&mut Node> {
        match step {
            Step::Key(key) => {
                if *self == Node::Empty {
                    *self = Node::Object(Vec::new());
                }
                let Node::Object(members) = self else { return None };
                let place = members.iter().position(|(known, _)| *known == key);
                let place = place.unwrap_or_else(|| {
                    members.push((key, Node::Empty));
                    members.len() - 1
                });
                members.get_mut(place).map(|(_, node)| node)
            }
            Step::Index(index) => {
                if *self == Node::Empty {
                    *self = Node::Array(Vec::new());
                }
                let Node::Array(elements) = self else { return None };
                if index >= MOST {
                    return None;
                }
                while elements.len() <= index {
                    elements.push(Node::Empty);
                }
                elements.get_mut(index)
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Node::Empty => out.push_str("null"),
            Node::Text(text) => out.push_str(&json::quote(text)),
            Node::Other(text) => out.push_str(text),
            Node::Object(members) => {
                out.push('{');
                for (place, (key, node)) in members.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    out.push_str(&json::quote(key));
                    out.push(':');
                    node.write(out);
                }
                out.push('}');
            }
            Node::Array(elements) => {
                out.push('[');
                for (place, node) in elements.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    node.write(out);
                }
                out.push(']');
            }
        }
    }
}

/// Reads `$.guests[0].name` and `$['given name']`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() >= DEPTH {
            return None;
        }
        if let Some(key) = rest.strip_prefix('.') {
            let end = key.find(['.', '[']).unwrap_or(key.len());
            steps.push(Step::Key(key[..end].to_owned()));
            rest = &key[end..];
        } else if let Some(quoted) = rest.strip_prefix("['").or_else(|| rest.strip_prefix("[\"")) {
            let close = if rest.starts_with("['") { "']" } else { "\"]" };
            let (key, behind) = quoted.split_once(close)?;
            steps.push(Step::Key(key.to_owned()));
            rest = behind;
        } else {
            let (index, behind) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = behind;
        }
    }
    // The whole of the arguments is no value of theirs.
    (!steps.is_empty()).then_some(steps)
}
