//! What can be looked for by name: personal data, secrets and prompt injections. Found by hand-made
//! searches that pass over a text once, since most texts have nothing of it.

use super::{digits, injection};
use core::net::Ipv6Addr;
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    Email,
    Phone,
    Ssn,
    CreditCard,
    IpAddress,
    Secrets,
    Injection,
}

const ALL: [Builtin; 7] = [
    Builtin::Email,
    Builtin::Phone,
    Builtin::Ssn,
    Builtin::CreditCard,
    Builtin::IpAddress,
    Builtin::Secrets,
    Builtin::Injection,
];

/// How the secrets of well-known services begin, and the fewest characters that follow.
const SECRETS: [(&str, usize); 20] = [
    ("sk-", 20),
    ("sk_live_", 16),
    ("rk_live_", 16),
    ("whsec_", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 35),
    ("ghp_", 36),
    ("gho_", 36),
    ("ghu_", 36),
    ("ghs_", 36),
    ("ghr_", 36),
    ("github_pat_", 22),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("npm_", 36),
    ("hf_", 30),
    ("gsk_", 40),
    ("xai-", 40),
];

impl Builtin {
    /// By OpenRouter's name. Names of persons and addresses of houses need a model to be found.
    pub fn parse(slug: &str) -> Option<Builtin> {
        ALL.into_iter().find(|builtin| builtin.slug() == slug)
    }

    pub fn slug(self) -> &'static str {
        match self {
            Builtin::Email => "email",
            Builtin::Phone => "phone",
            Builtin::Ssn => "ssn",
            Builtin::CreditCard => "credit-card",
            Builtin::IpAddress => "ip-address",
            Builtin::Secrets => "secrets",
            Builtin::Injection => "regex-prompt-injection",
        }
    }

    /// What stands in place of what was found.
    pub fn label(self) -> &'static str {
        match self {
            Builtin::Email => "[EMAIL]",
            Builtin::Phone => "[PHONE]",
            Builtin::Ssn => "[SSN]",
            Builtin::CreditCard => "[CREDIT_CARD]",
            Builtin::IpAddress => "[IP_ADDRESS]",
            Builtin::Secrets => "[SECRET]",
            Builtin::Injection => "[PROMPT_INJECTION]",
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Builtin::Email => "Email address",
            Builtin::Phone => "Phone number",
            Builtin::Ssn => "Social security number",
            Builtin::CreditCard => "Credit card number",
            Builtin::IpAddress => "IP address",
            Builtin::Secrets => "Secret",
            Builtin::Injection => "Prompt injection",
        }
    }

    /// Appends where it is in a text, in order.
    pub fn find(self, text: &str, found: &mut Vec<Range<usize>>) {
        match self {
            Builtin::Email => emails(text, found),
            Builtin::Phone => digits::phones(text, found),
            Builtin::Ssn => digits::ssns(text, found),
            Builtin::CreditCard => digits::cards(text, found),
            Builtin::IpAddress => {
                digits::ipv4(text, found);
                ipv6(text, found);
            }
            Builtin::Secrets => {
                secrets(text, found);
                private_keys(text, found);
            }
            Builtin::Injection => injection::find(text, found),
        }
    }
}

/// Around each `@`: what may stand before it, and a domain with a last label of letters.
fn emails(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-'".contains(byte);
    let domain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    for (at, _) in text.match_indices('@') {
        let start = at - bytes[..at].iter().rev().take_while(|byte| local(byte)).count();
        let run = bytes[at + 1..].iter().take_while(|byte| domain(byte)).count();
        if let Some(length) = domain_length(&bytes[at + 1..at + 1 + run]).filter(|_| start < at) {
            found.push(start..at + 1 + length);
        }
    }
}

/// How much of a run is a domain: up to the letters behind its last dot that at least two follow.
fn domain_length(run: &[u8]) -> Option<usize> {
    let mut end = run.len();
    while let Some(dot) = run[..end].iter().rposition(|byte| *byte == b'.') {
        let letters = run[dot + 1..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        if letters >= 2 && dot > 0 {
            return Some(dot + 1 + letters);
        }
        end = dot;
    }
    None
}

fn ipv6(text: &str, found: &mut Vec<Range<usize>>) {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    for run in runs(text, is_part) {
        let piece = text[run.clone()].trim_end_matches('.');
        // A colon may end the sentence, or the address.
        let candidates = [piece, piece.strip_suffix(':').unwrap_or(piece)];
        let is_address = |piece: &&&str| {
            piece.len() > 2
                && piece.bytes().filter(|byte| *byte == b':').count() > 1
                && piece.parse::<Ipv6Addr>().is_ok()
        };
        if let Some(piece) = candidates.iter().find(is_address) {
            found.push(run.start..run.start + piece.len());
        }
    }
}

fn secrets(text: &str, found: &mut Vec<Range<usize>>) {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    for run in runs(text, is_part) {
        let piece = text[run.clone()].trim_end_matches('.');
        let known = SECRETS.iter().any(|(prefix, least)| {
            piece.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least && !rest.contains('.'))
        });
        // A signed token has three parts, the first of them an object in base64.
        let signed = piece.starts_with("eyJ") && piece.len() > 30 && piece.split('.').count() == 3;
        if known || signed {
            found.push(run.start..run.start + piece.len());
        }
    }
}

/// From the line that begins a private key to the one that ends it, or to the end of the text.
fn private_keys(text: &str, found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(begin) = text[from..].find("-----BEGIN ").map(|at| from + at) {
        let named = begin + "-----BEGIN ".len();
        let Some(length) = text[named..].find("-----") else { return };
        let body = named + length + 5;
        from = body;
        if text[named..named + length].ends_with("PRIVATE KEY") {
            let end = text[body..].find("-----END ").map(|at| body + at + "-----END ".len());
            let close = end.and_then(|end| text[end..].find("-----").map(|at| end + at + 5));
            from = close.unwrap_or(text.len());
            found.push(begin..from);
        }
    }
}

/// The longest stretches of bytes that are all `part`s, each between others. The bytes are ASCII.
pub(super) fn runs(text: &str, part: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|byte| part(*byte))?;
        let length = bytes[start..].iter().take_while(|byte| part(**byte)).count();
        at = start + length;
        Some(start..at)
    })
}
