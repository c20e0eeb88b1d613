//! Numbers that are compared or rounded, from their decimal text. The standard library's own reading is exact, for which it
//! carries ten kilobytes of powers; nobody here can tell the difference.

/// More digits than this change nothing that a float keeps: ten times it still fits.
const ENOUGH: u64 = 100_000_000_000_000_000;
/// Beyond this a power of ten is no number any more, nor what is divided by it but nothing.
const FURTHEST: i32 = 308;

/// The number that a text says, to within a few units in the last place: digits with an optional sign, fraction and
/// exponent, as JSON and headers have them. `None` where it says anything else, `inf` and `NaN` among that;
/// what is too large is infinite.
pub fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, power(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let (mut said, mut places) = (0, exponent);
    gather(whole, &mut said, &mut places, 0)?;
    gather(fraction, &mut said, &mut places, 1)?;
    let size = scaled(said as f64, places);
    Some(if text.starts_with('-') { -size } else { size })
}

/// Takes digits into `said`, those it has room for; each is worth `worth` places less than the one before the point.
fn gather(digits: &str, said: &mut u64, places: &mut i32, worth: i32) -> Option<()> {
    for digit in digits.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        if *said < ENOUGH {
            *said = *said * 10 + u64::from(digit - b'0');
            *places = places.saturating_sub(worth);
        } else {
            *places = places.saturating_add(1 - worth);
        }
    }
    Some(())
}

/// An exponent; one beyond all numbers is as good as another.
fn power(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let size = digits.bytes().fold(0_i32, |size, digit| (size * 10 + i32::from(digit - b'0')).min(100_000));
    Some(if text.starts_with('-') { -size } else { size })
}

/// `size` with its point moved to the right, or to the left below zero.
fn scaled(size: f64, places: i32) -> f64 {
    let beyond = (places.abs() - FURTHEST).clamp(0, FURTHEST);
    let within = places.abs().min(FURTHEST);
    if size == 0.0 {
        size
    } else if places >= 0 {
        size * 10_f64.powi(within) * 10_f64.powi(beyond)
    } else {
        size / 10_f64.powi(within) / 10_f64.powi(beyond)
    }
}
