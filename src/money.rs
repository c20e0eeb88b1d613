//! Exact money. An amount is a whole number of picodollars, so that a price per token times a
//! number of tokens is exact and nothing is ever rounded. No float is ever money.
//! One picodollar per token is one microdollar per million tokens.

use std::fmt;

/// Picodollars in a dollar.
pub const PICO_PER_USD: i64 = 1_000_000_000_000;
const DECIMALS: usize = 12;

/// An amount of money in picodollars. Greatest amount: about 9.2 million dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// A price in picodollars for one unit: a token, a request, an image. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

/// Why a text is not an exact amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoneyError {
    /// Not a decimal number.
    NotANumber,
    /// Has digits below one picodollar.
    TooFine,
    /// Beyond what an amount can hold.
    TooLarge,
    /// Below zero where that means nothing.
    Negative,
}

impl fmt::Display for MoneyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            MoneyError::NotANumber => "not a decimal number",
            MoneyError::TooFine => "finer than a picodollar",
            MoneyError::TooLarge => "too large",
            MoneyError::Negative => "negative",
        })
    }
}

impl Money {
    pub const ZERO: Money = Money(0);
    pub const MAX: Money = Money(i64::MAX);

    pub const fn from_pico(pico: i64) -> Money {
        Money(pico)
    }

    pub const fn pico(self) -> i64 {
        self.0
    }

    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Reads dollars from a decimal text such as `"10"`, `"0.000427"`, `"-1.5"` or `"1e-6"`.
    /// The text of a JSON number may be passed as it stands, so that no float is involved.
    pub fn parse_usd(text: &str) -> Result<Money, MoneyError> {
        parse_decimal(text).map(Money)
    }

    /// Reads the picodollars that [`Money::to_text`] wrote.
    pub fn from_text(text: &str) -> Result<Money, MoneyError> {
        text.parse().map(Money).map_err(|_| MoneyError::NotANumber)
    }

    /// Writes picodollars as text, the form in which money crosses into SQL.
    pub fn to_text(self) -> String {
        self.0.to_string()
    }

    /// Writes dollars as the shortest plain decimal, which is also a JSON number: `0.000427`.
    pub fn to_usd(self) -> String {
        let mut text = [0; 24];
        let mut at = text.len();
        let mut rest = self.0.unsigned_abs();
        for place in 0.. {
            if place > DECIMALS && rest == 0 {
                break;
            }
            let digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            if place == DECIMALS && at < text.len() {
                at -= 1;
                text[at] = b'.';
            }
            // Zeros behind the last digit of a fraction are left out.
            if place >= DECIMALS || at < text.len() || digit != b'0' {
                at -= 1;
                text[at] = digit;
            }
        }
        if self.0 < 0 {
            at -= 1;
            text[at] = b'-';
        }
        String::from_utf8(text[at..].to_vec()).expect("digits are ASCII")
    }

    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }

    pub fn checked_sub(self, other: Money) -> Option<Money> {
        self.0.checked_sub(other.0).map(Money)
    }
}

impl Price {
    pub const ZERO: Price = Price(0);

    /// For tables that a build made and checked: picodollars for one unit.
    pub const fn from_pico(pico: i64) -> Price {
        assert!(pico >= 0, "a price is never negative");
        Price(pico)
    }

    pub const fn pico(self) -> i64 {
        self.0
    }

    /// Reads dollars for one unit from a decimal text: `"0.0000025"`.
    pub fn parse_usd(text: &str) -> Result<Price, MoneyError> {
        match parse_decimal(text)? {
            pico if pico < 0 => Err(MoneyError::Negative),
            pico => Ok(Price(pico)),
        }
    }

    /// Writes dollars for one unit, as `/models` lists them.
    pub fn to_usd(self) -> String {
        Money(self.0).to_usd()
    }

    /// The price of `count` units, or `None` where the amount would not fit.
    pub fn times(self, count: u64) -> Option<Money> {
        i64::try_from(i128::from(self.0) * i128::from(count)).ok().map(Money)
    }

    /// The most units that `money` buys. A price of zero buys any number.
    pub fn units_for(self, money: Money) -> u64 {
        match (money.0, self.0) {
            (..=0, _) => 0,
            (_, 0) => u64::MAX,
            (money, price) => (money / price) as u64,
        }
    }
}

/// Reads `[-]digits[.digits][e[+-]digits]` into picodollars, exactly or not at all.
fn parse_decimal(text: &str) -> Result<i64, MoneyError> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && part.is_empty() {
        return Err(MoneyError::NotANumber);
    }
    let digits: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(MoneyError::NotANumber);
    }
    let scale = DECIMALS as i64 + exponent - part.len() as i64;
    let pico = scale_digits(&digits, scale)?;
    let signed = if negative { -pico } else { pico };
    i64::try_from(signed).map_err(|_| MoneyError::TooLarge)
}

fn parse_exponent(text: &str) -> Result<i64, MoneyError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    text.parse().map_err(|_| MoneyError::NotANumber)
}

/// The number spelt by `digits`, times ten to the power of `scale`; refuses to drop a digit
/// that is not zero.
fn scale_digits(digits: &[u8], scale: i64) -> Result<i128, MoneyError> {
    let mut digits = digits;
    let mut scale = scale;
    while scale < 0 {
        match digits.split_last() {
            Some((b'0', rest)) => digits = rest,
            Some(_) => return Err(MoneyError::TooFine),
            None => return Ok(0),
        }
        scale += 1;
    }
    let mut value: i128 = 0;
    let zeros = std::iter::repeat_n(&b'0', scale as usize);
    for digit in digits.iter().chain(zeros) {
        value = value * 10 + i128::from(digit - b'0');
        if value > i128::from(i64::MAX) {
            return Err(MoneyError::TooLarge);
        }
    }
    Ok(value)
}
