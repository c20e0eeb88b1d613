//! Proof Key for Code Exchange: whoever exchanges a code shows that they asked for it (RFC 7636).

use crate::base64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The lengths that a challenge or a verifier may have (RFC 7636, sections 4.1 and 4.2).
const LENGTHS: std::ops::RangeInclusive<usize> = 43..=128;

/// How a challenge follows from its verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChallengeMethod {
    S256,
    #[serde(rename = "plain")]
    Plain,
}

/// What an app showed when it asked for a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    pub method: ChallengeMethod,
    pub text: String,
}

impl ChallengeMethod {
    pub fn as_str(self) -> &'static str {
        match self {
            ChallengeMethod::S256 => "S256",
            ChallengeMethod::Plain => "plain",
        }
    }

    pub fn parse(text: &str) -> Option<ChallengeMethod> {
        match text {
            "S256" => Some(ChallengeMethod::S256),
            "plain" => Some(ChallengeMethod::Plain),
            _ => None,
        }
    }
}

impl Challenge {
    /// `None` for a text that follows from no verifier. Without a method it is plain (section 4.3).
    pub fn new(method: Option<ChallengeMethod>, text: &str) -> Option<Challenge> {
        let method = method.unwrap_or(ChallengeMethod::Plain);
        let is_digest = text.len() == 43;
        (is_spelt(text) && (is_digest || method == ChallengeMethod::Plain))
            .then(|| Challenge { method, text: text.to_owned() })
    }

    /// Whether the challenge follows from the verifier.
    pub fn is_met(&self, verifier: &str) -> bool {
        let made = match self.method {
            ChallengeMethod::S256 => base64::encode_url(&Sha256::digest(verifier.as_bytes())),
            ChallengeMethod::Plain => verifier.to_owned(),
        };
        // Digests are compared, so the time that takes says nothing of the challenge.
        is_spelt(verifier) && Sha256::digest(made.as_bytes()) == Sha256::digest(self.text.as_bytes())
    }
}

fn is_spelt(text: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    LENGTHS.contains(&text.len()) && text.bytes().all(is_unreserved)
}
