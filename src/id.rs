//! Ids that never mix, and how they are made from random bytes that the shell hands in.

use std::fmt;

use crate::time::Time;
use sha2::{Digest, Sha256};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Names one reply, and with it its hold, its charge and its record: `gen-<unix seconds>-<20>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId(String);

/// Names one customer and with it the Durable Object that holds their money: 12 of base 62.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(String);

/// Names money that an account has set aside: for one request, by its generation's id, or for the
/// requests of one isolate: `lease-<unix seconds>-<20>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(String);

/// SHA-256 of a whole key, in lower-case hexadecimal. It is what is stored of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(String);

impl GenerationId {
    /// `random` has one byte for each of the id's 20 characters.
    pub fn new(now: Time, random: &[u8; 20]) -> GenerationId {
        GenerationId(["gen-", &now.seconds().to_string(), "-", &base62(random)].concat())
    }

    /// Reads an id that a client gave; `None` if it cannot be one of ours.
    pub fn parse(text: &str) -> Option<GenerationId> {
        let (seconds, rest) = text.strip_prefix("gen-")?.split_once('-')?;
        let digits =
            !seconds.is_empty() && seconds.len() <= 12 && seconds.bytes().all(|b| b.is_ascii_digit());
        (digits && rest.len() == 20 && is_base62(rest)).then(|| GenerationId(text.to_owned()))
    }

    /// When it was made, to the second.
    pub fn time(&self) -> Time {
        let seconds = self.0.split('-').nth(1).and_then(|seconds| seconds.parse::<u64>().ok());
        Time::from_ms(seconds.unwrap_or_default() * 1000)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AccountId {
    pub const LENGTH: usize = 12;

    pub fn new(random: &[u8; AccountId::LENGTH]) -> AccountId {
        AccountId(base62(random))
    }

    pub fn parse(text: &str) -> Option<AccountId> {
        (text.len() == AccountId::LENGTH && is_base62(text)).then(|| AccountId(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LeaseId {
    /// The lease of an isolate that is asked for on behalf of `generation`: as unique as that.
    pub fn of_isolate(generation: &GenerationId) -> LeaseId {
        LeaseId(generation.0.replacen("gen-", "lease-", 1))
    }

    /// Reads an id of an isolate's lease.
    pub fn parse(text: &str) -> Option<LeaseId> {
        let rest = text.strip_prefix("lease-")?;
        GenerationId::parse(&format!("gen-{rest}")).map(|_| LeaseId(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyHash {
    pub const LENGTH: usize = 64;
    /// As much of a hash as tells keys apart in a log.
    pub const SHORT: usize = 12;

    /// The hash of a whole key as its holder presents it.
    pub fn of(key: &str) -> KeyHash {
        KeyHash(hex(&Sha256::digest(key.as_bytes())))
    }

    pub fn parse(text: &str) -> Option<KeyHash> {
        let hexadecimal = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == KeyHash::LENGTH && hexadecimal).then(|| KeyHash(text.to_owned()))
    }

    /// Its beginning, for a log.
    pub fn short(&self) -> &str {
        &self.0[..KeyHash::SHORT]
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// One character for each random byte. 256 is no multiple of 62, so eight of the characters are
/// a quarter likelier than the rest: 5.95 bits of entropy a character instead of 5.954.
pub fn base62(random: &[u8]) -> String {
    let mut digits = random.to_vec();
    digits.iter_mut().for_each(|digit| *digit = BASE62[usize::from(*digit) % 62]);
    String::from_utf8(digits).expect("digits are ASCII")
}

/// A version-4 UUID: RFC 9562, section 5.4.
pub fn uuid(random: &[u8; 16]) -> String {
    write_uuid(random, 0x40)
}

/// The UUID that a name always has, by its SHA-256: version 8 of RFC 9562, section 5.8.
pub fn named_uuid(name: &str) -> String {
    write_uuid(&Sha256::digest(name.as_bytes()), 0x80)
}

/// The first sixteen bytes, marked with a version.
fn write_uuid(bytes: &[u8], version: u8) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().take(16).enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        let byte = match at {
            6 => byte & 0x0f | version,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        text.push_str(&hex(&[byte]));
    }
    text
}

fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = vec![0; 2 * bytes.len()];
    for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
    String::from_utf8(digits).expect("digits are ASCII")
}
