//! Ids of tool calls as a target takes them. One table for a request: no two ids become the same, so
//! each call keeps its result, and the same conversation is always written alike.

use std::collections::{BTreeMap, BTreeSet};

use crate::chat::CallIdForm;

/// The ids that a target gets others for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallIds {
    sent: BTreeMap<String, String>,
}

impl CallIds {
    /// `ids` are all of the request, in its order.
    pub fn new<'a>(ids: impl Iterator<Item = &'a str> + Clone, form: CallIdForm) -> CallIds {
        // What fits stays, and nothing else may become it.
        let mut taken: BTreeSet<String> =
            ids.clone().filter(|id| fits(id, form)).map(str::to_owned).collect();
        let mut sent = BTreeMap::new();
        for id in ids.filter(|id| !fits(id, form)) {
            if sent.contains_key(id) {
                continue;
            }
            let found = (0..).map(|salt| write(id, form, salt)).find(|found| !taken.contains(found));
            taken.extend(found.clone());
            sent.extend(found.map(|found| (id.to_owned(), found)));
        }
        CallIds { sent }
    }

    /// The id under which the target knows the client's.
    pub fn sent<'a>(&'a self, own: &'a str) -> &'a str {
        self.sent.get(own).map_or(own, String::as_str)
    }

    /// Whether every id stays as it is.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

/// The length of Mistral's ids, which are letters and digits alone (error 3280 otherwise).
const NINE: usize = 9;
/// What every other provider takes: OpenAI's older models had this limit.
const LONGEST: usize = 40;

fn fits(id: &str, form: CallIdForm) -> bool {
    match form {
        CallIdForm::AsSent => (1..=LONGEST).contains(&id.len()),
        CallIdForm::Nine => id.len() == NINE && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
    }
}

fn write(id: &str, form: CallIdForm, salt: u64) -> String {
    match form {
        CallIdForm::AsSent => {
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
            let head: String = id.chars().take(LONGEST - 17).map(plain).collect();
            format!("{head}_{:016x}", hash(id, salt))
        }
        CallIdForm::Nine => {
            const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
            let digits = std::iter::successors(Some(hash(id, salt)), |rest| Some(rest / 62));
            digits.take(NINE).map(|rest| char::from(LETTERS[(rest % 62) as usize])).collect()
        }
    }
}

/// FNV-1a with 64 bits.
fn hash(text: &str, salt: u64) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ salt;
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
