//! Lists that were written, kept so that a list of a thousand models is not written again for each
//! request. What a list depends on is in its name; so nothing is ever stale, only forgotten.

use crate::id::hex;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::rc::Rc;

/// A body with its name for `If-None-Match`.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub body: String,
    /// In quotes, as in the header.
    pub etag: String,
}

/// The pages used last, at most [`Pages::MOST`] and [`Pages::MOST_BYTES`] of them.
#[derive(Debug, Default)]
pub struct Pages {
    /// By use: the one used last is at the end.
    pages: VecDeque<(String, Rc<Page>)>,
    bytes: usize,
}

impl Page {
    pub fn new(body: String) -> Page {
        let digest = Sha256::digest(body.as_bytes());
        Page { etag: format!("\"{}\"", hex(&digest[..16])), body }
    }

    /// Whether the value of an `If-None-Match` names this page.
    pub fn matches(&self, if_none_match: &str) -> bool {
        let names = if_none_match.split(',').map(|name| name.trim().trim_start_matches("W/"));
        names.into_iter().any(|name| name == "*" || name == self.etag)
    }
}

impl Pages {
    pub const MOST: usize = 64;
    pub const MOST_BYTES: usize = 8 * 1024 * 1024;

    /// The page of that name; written by `write` if it is not here.
    pub fn get_or_write<E>(
        &mut self,
        name: &str,
        write: impl FnOnce() -> Result<String, E>,
    ) -> Result<Rc<Page>, E> {
        if let Some(at) = self.pages.iter().position(|(known, _)| known == name) {
            if let Some(found) = self.pages.remove(at) {
                self.pages.push_back(found);
            }
        } else {
            let page = Rc::new(Page::new(write()?));
            if page.body.len() > Pages::MOST_BYTES {
                return Ok(page);
            }
            self.bytes += page.body.len();
            self.pages.push_back((name.to_owned(), page));
            self.shrink();
        }
        let (_, page) = self.pages.back().expect("one was just put there");
        Ok(Rc::clone(page))
    }

    pub fn len(&self) -> usize {
        self.pages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    fn shrink(&mut self) {
        while self.pages.len() > Pages::MOST || self.bytes > Pages::MOST_BYTES {
            let Some((_, page)) = self.pages.pop_front() else {
                return;
            };
            self.bytes -= page.body.len();
        }
    }
}
