//! Whether a webhook is Stripe's: the header `Stripe-Signature`, scheme v1
//! (docs.stripe.com/webhooks/signature).

use crate::protocol::bedrock::hmac;
use crate::time::Time;

/// How old an event's signature may be, in seconds; Stripe signs anew for each delivery.
pub const TOLERANCE_S: u64 = 300;
/// More signatures in one header than Stripe has secrets at once are not looked at.
const SIGNATURES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFlaw {
    /// No header of this form.
    Malformed,
    /// Signed with none of the secrets, or other bytes were.
    Wrong,
    /// Signed too long ago, or in the future.
    Stale,
}

/// Checks `t=<seconds>,v1=<hex>[,v1=<hex>…]` against every secret: while one is replaced by another,
/// Stripe signs with both. The time it takes says nothing of the right signature.
pub fn verify(header: &str, payload: &[u8], secrets: &[&str], now: Time) -> Result<(), SignatureFlaw> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => time = Some(value),
            Some(("v1", value)) if signatures.len() < SIGNATURES => {
                signatures.extend(read_hex(value));
            }
            Some(_) | None => {}
        }
    }
    let time = time.ok_or(SignatureFlaw::Malformed)?;
    let seconds: u64 = time.parse().map_err(|_| SignatureFlaw::Malformed)?;
    if signatures.is_empty() {
        return Err(SignatureFlaw::Malformed);
    }
    let signed = [time.as_bytes(), b".", payload].concat();
    let mut right = false;
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let expected = hmac(secret.as_bytes(), &signed);
        for signature in &signatures {
            right |= is_same(signature, &expected);
        }
    }
    if !right {
        return Err(SignatureFlaw::Wrong);
    }
    if now.seconds().abs_diff(seconds) > TOLERANCE_S {
        return Err(SignatureFlaw::Stale);
    }
    Ok(())
}

/// Compares without stopping at the first difference.
fn is_same(left: &[u8; 32], right: &[u8; 32]) -> bool {
    let differences =
        left.iter().zip(right).fold(0, |differences, (left, right)| differences | (left ^ right));
    std::hint::black_box(differences) == 0
}

fn read_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let (high, low) = ((pair[0] as char).to_digit(16)?, (pair[1] as char).to_digit(16)?);
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}
