//! Apps that want a key: what they ask of an account's owner, the page on which the owner agrees, and
//! the code that an app exchanges for its key. OpenRouter's OAuth, with proof keys (RFC 7636).

mod callback;
pub mod page;
mod request;

pub use callback::Callback;
pub use request::{ExchangeRequest, Wish};

use crate::account::key::SECRET_LENGTH;
use crate::id::{self, AccountId, KeyHash};
use sha2::{Digest, Sha256};

const PREFIX: &str = "auth_code_";

/// A code just made, as its app gets it: it names its account, as keys do.
pub struct AuthCode {
    pub text: String,
    pub hash: KeyHash,
}

impl AuthCode {
    pub fn new(account: &AccountId, random: &[u8; SECRET_LENGTH]) -> AuthCode {
        let text = format!("{PREFIX}{account}_{}", id::base62(random));
        AuthCode { hash: KeyHash::of(&text), text }
    }
}

/// The account that a code names, or `None` if the text cannot be a code.
pub fn parse_code(text: &str) -> Option<AccountId> {
    let (account, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let well_formed =
        secret.len() == SECRET_LENGTH && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if well_formed { AccountId::parse(account) } else { None }
}

/// A number for an app, the same for all that call back to one host.
pub fn app_id(app: &str) -> u32 {
    let [first, second, third, fourth, ..]: [u8; 32] = Sha256::digest(app.as_bytes()).into();
    u32::from_be_bytes([first, second, third, fourth]) >> 1
}
