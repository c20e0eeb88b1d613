//! Money for tokens: the most a request can cost before it is sent, what it did cost after.
//! Prices come from the catalog, counts from the provider; nothing is rounded on the way.

use crate::catalog::{Prices, Tier};
use crate::chat::{RequestSize, Usage};
use crate::money::{Money, PICO_PER_USD, Price};

/// What a reply cost. The parts add up to `total`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub total: Money,
    /// What went in, the fee for the request included.
    pub prompt: Money,
    pub completion: Money,
    /// Searches of the web.
    pub search: Money,
}

/// Input tokens that a provider may add of its own: the chat template and, where there are tools,
/// a system prompt about them (Anthropic's is some 350 to 700 tokens).
const TEMPLATE_TOKENS: u64 = 1_024;
/// Tokens by which an estimate counts an image, a file or a recording.
const PART_TOKENS: u64 = 1_000;
/// Tokens that a ceiling counts for what one search of the web finds: more than is usual (some 3,000
/// to 15,000 by the recorded replies of OpenAI, Anthropic and xAI), less than could be.
const TOKENS_PER_SEARCH: u64 = 16_384;
/// Bytes of text to a token, by which an estimate counts.
const BYTES_PER_TOKEN: u64 = 4;

/// Returns the most that a request of that size can cost at those prices, or `None` where that
/// is more than an amount can hold.
///
/// Input is bounded by its bytes, since a token is at least one byte, and what a provider may add,
/// and by the context, which each input to embed or rank has for itself; all of it is priced as the dearest class it could fall into, at the dearest
/// tier it could reach.
pub fn ceiling(
    prices: &Prices,
    size: &RequestSize,
    context_length: u64,
    max_output: Option<u64>,
) -> Option<Money> {
    let bounds = Bounds::of(prices, size, context_length);
    let limits = [size.max_tokens, max_output, Some(context_length)];
    let each = limits.into_iter().flatten().min()?;
    let output = each.checked_mul(choices(size))?;
    bounds.input_cost(prices)?.checked_add(bounds.completion.times(output)?)
}

/// Returns what a reply cost, or `None` where that is more than an amount can hold.
pub fn cost(prices: &Prices, usage: &Usage) -> Option<Cost> {
    let rates = Rates::at(prices, usage.total_input());
    let prompt = sum([
        prices.request.times(usage.searches.max(1)),
        rates.prompt.times(usage.input),
        rates.cache_read.times(usage.cache_read),
        rates.cache_write.times(usage.cache_write),
        rates.cache_write_1h.times(usage.cache_write_1h),
        rates.audio_input.times(usage.input_audio),
    ])?;
    let completion = sum([
        rates.completion.times(usage.output),
        rates.reasoning.times(usage.reasoning),
        rates.audio_output.times(usage.output_audio),
        rates.image_output.times(usage.output_image),
    ])?;
    let search = search_cost(prices, usage.web_searches)?;
    let total = prompt.checked_add(completion)?.checked_add(search)?;
    Some(Cost { total, prompt, completion, search })
}

/// What that many searches of the web cost. Where they have no price none are asked for.
fn search_cost(prices: &Prices, searches: u64) -> Option<Money> {
    prices.web_search.map_or(Some(Money::ZERO), |search| search.price.times(search.paid(searches)))
}

/// One line of a receipt: so many of a class at a price each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub class: &'static str,
    pub count: u64,
    pub price: Price,
}

/// Returns what [`cost`] adds up: each class of which there is any, with its price.
pub fn lines(prices: &Prices, usage: &Usage) -> Vec<Line> {
    let rates = Rates::at(prices, usage.total_input());
    let fees = if prices.request == Price::ZERO { 0 } else { usage.searches.max(1) };
    let search = prices.web_search.map(|it| ("web_search", it.paid(usage.web_searches), it.price));
    let lines = [
        ("request", fees, prices.request),
        ("input", usage.input, rates.prompt),
        ("cache_read", usage.cache_read, rates.cache_read),
        ("cache_write", usage.cache_write, rates.cache_write),
        ("cache_write_1h", usage.cache_write_1h, rates.cache_write_1h),
        ("input_audio", usage.input_audio, rates.audio_input),
        ("output", usage.output, rates.completion),
        ("reasoning", usage.reasoning, rates.reasoning),
        ("output_audio", usage.output_audio, rates.audio_output),
        ("output_image", usage.output_image, rates.image_output),
    ];
    lines
        .into_iter()
        .chain(search)
        .filter(|(_, count, _)| *count > 0)
        .map(|(class, count, price)| Line { class, count, price })
        .collect()
}

/// What a key of the customer's own costs to use, on top of what its provider asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByokTerms {
    /// List prices of so much a month are free.
    pub free: Money,
    /// What is due beyond that, in hundredths of a percent of the list price.
    pub basis_points: u64,
}

impl Default for ByokTerms {
    /// OpenRouter's: $25,000 a month, then 5 %.
    fn default() -> ByokTerms {
        ByokTerms { free: Money::from_pico(25_000 * PICO_PER_USD), basis_points: 500 }
    }
}

/// Returns the fee for a reply whose list price is `listed`, where `used` of the month was used before:
/// that part of it which is beyond what is free. Rounded down to a picodollar, in the customer's favour.
pub fn byok_fee(terms: ByokTerms, used: Money, listed: Money) -> Money {
    let [free, used, listed] = [terms.free, used, listed].map(|amount| i128::from(amount.pico()));
    let due = (used + listed - free).clamp(0, listed.max(0));
    let fee = due * i128::from(terms.basis_points.min(WHOLE)) / i128::from(WHOLE);
    Money::from_pico(i64::try_from(fee).unwrap_or(i64::MAX))
}

/// Returns the greatest list price whose fee is no more than `fee`.
pub fn byok_worth(terms: ByokTerms, used: Money, fee: Money) -> Money {
    let [free, used, fee] = [terms.free, used, fee].map(|amount| i128::from(amount.pico()));
    if fee < 0 || terms.basis_points == 0 {
        return if fee < 0 { Money::ZERO } else { Money::MAX };
    }
    let beyond = fee * i128::from(WHOLE) / i128::from(terms.basis_points);
    Money::from_pico(i64::try_from((free - used).max(0) + beyond).unwrap_or(i64::MAX))
}

/// All of an amount, in hundredths of a percent.
const WHOLE: u64 = 10_000;

/// How far from our own computation a provider's word on the cost may be, either way, before it is
/// taken for another unit or another currency.
const CREDIBLE: i128 = 5;

/// Returns the cost that a provider reported, shared out as `computed` is, or `None` where the two are
/// too far apart for the report to be believed. What costs nothing by its prices costs nothing.
pub fn reported(computed: &Cost, report: Money) -> Option<Cost> {
    let (ours, theirs) = (i128::from(computed.total.pico()), i128::from(report.pico()));
    if ours <= 0 || theirs * CREDIBLE < ours || theirs > ours * CREDIBLE {
        return None;
    }
    // Rounded down; what that leaves is the completion's.
    let share = |part: Money| {
        let share = theirs * i128::from(part.pico()) / ours;
        i64::try_from(share).ok().map(Money::from_pico)
    };
    let (prompt, search) = (share(computed.prompt)?, share(computed.search)?);
    let completion = report.checked_sub(prompt)?.checked_sub(search)?;
    Some(Cost { total: report, prompt, completion, search })
}

/// Returns the greatest `max_tokens` with which the ceiling of the request is no more than
/// `available`; zero if not even the prompt can be paid.
pub fn affordable_max_tokens(
    prices: &Prices,
    size: &RequestSize,
    context_length: u64,
    available: Money,
) -> u64 {
    let bounds = Bounds::of(prices, size, context_length);
    let Some(left) = bounds.input_cost(prices).and_then(|input| available.checked_sub(input)) else {
        return 0;
    };
    if left.is_negative() {
        return 0;
    }
    if bounds.completion == Price::ZERO {
        return context_length;
    }
    (bounds.completion.units_for(left) / choices(size)).min(context_length)
}

/// Returns about how many tokens a text of that many bytes is: a quarter, rounded up. Never used
/// for money where the provider gave a count.
pub fn estimate_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN)
}

/// Returns a usage to charge by where the provider gave none, such as after a cut stream.
pub fn estimate_usage(size: &RequestSize, output_bytes: u64) -> Usage {
    let parts = u64::from(size.images) + u64::from(size.files) + u64::from(size.audio);
    Usage {
        input: estimate_tokens(size.bytes_read()).saturating_add(parts * PART_TOKENS),
        output: estimate_tokens(output_bytes),
        searches: size.searches,
        ..Usage::default()
    }
}

fn choices(size: &RequestSize) -> u64 {
    u64::from(size.choices.max(1))
}

fn sum<const N: usize>(amounts: [Option<Money>; N]) -> Option<Money> {
    amounts.into_iter().try_fold(Money::ZERO, |total, amount| total.checked_add(amount?))
}

/// What each class of tokens costs, all defaults applied.
struct Rates {
    prompt: Price,
    cache_read: Price,
    cache_write: Price,
    cache_write_1h: Price,
    audio_input: Price,
    completion: Price,
    reasoning: Price,
    audio_output: Price,
    image_output: Price,
}

impl Rates {
    /// The rates for a prompt of that many tokens.
    fn at(prices: &Prices, input_tokens: u64) -> Rates {
        let tier = prices.tiers.iter().rev().find(|tier| input_tokens > tier.above_prompt_tokens);
        Rates::of(prices, tier)
    }

    fn of(prices: &Prices, tier: Option<&Tier>) -> Rates {
        let pick = |of_tier: fn(&Tier) -> Option<Price>, base: Option<Price>| tier.and_then(of_tier).or(base);
        let prompt = pick(|tier| tier.prompt, None).unwrap_or(prices.prompt);
        let completion = pick(|tier| tier.completion, None).unwrap_or(prices.completion);
        let cache_write = pick(|tier| tier.cache_write, prices.cache_write).unwrap_or(prompt);
        Rates {
            prompt,
            cache_read: pick(|tier| tier.cache_read, prices.cache_read).unwrap_or(prompt),
            cache_write,
            cache_write_1h: pick(|tier| tier.cache_write_1h, prices.cache_write_1h).unwrap_or(cache_write),
            audio_input: pick(|tier| tier.audio_input, prices.audio_input).unwrap_or(prompt),
            completion,
            // A tier's completion price is also that of its reasoning, if reasoning has no price.
            reasoning: prices.reasoning.unwrap_or(completion),
            audio_output: prices.audio_output.unwrap_or(completion),
            image_output: prices.image_output.unwrap_or(completion),
        }
    }

    fn dearest_input(&self) -> Price {
        let classes = [self.cache_read, self.cache_write, self.cache_write_1h, self.audio_input];
        classes.into_iter().fold(self.prompt, Price::max)
    }

    fn dearest_output(&self) -> Price {
        [self.reasoning, self.audio_output, self.image_output].into_iter().fold(self.completion, Price::max)
    }
}

/// The worst case of one request at one offer: how many tokens go in, and at what rates.
struct Bounds {
    input: u64,
    prompt: Price,
    completion: Price,
    /// How often the fee for a request is due.
    fees: u64,
    web_searches: u64,
}

impl Bounds {
    fn of(prices: &Prices, size: &RequestSize, context_length: u64) -> Bounds {
        let input = input_bound(prices, size).min(size.room(context_length));
        let reachable = prices.tiers.iter().filter(|tier| input > tier.above_prompt_tokens);
        let all: Vec<Rates> = std::iter::once(Rates::of(prices, None))
            .chain(reachable.map(|tier| Rates::of(prices, Some(tier))))
            .collect();
        Bounds {
            input,
            prompt: all.iter().map(Rates::dearest_input).fold(Price::ZERO, Price::max),
            completion: all.iter().map(Rates::dearest_output).fold(Price::ZERO, Price::max),
            fees: size.searches.max(1),
            web_searches: size.web_searches,
        }
    }

    fn input_cost(&self, prices: &Prices) -> Option<Money> {
        let search = search_cost(prices, self.web_searches)?;
        self.prompt.times(self.input)?.checked_add(prices.request.times(self.fees)?)?.checked_add(search)
    }
}

/// The most tokens that the request can be, whatever the context. A file may be compressed or
/// far away, so its bytes bound nothing; a recording has fewer tokens than bytes at any bit rate.
fn input_bound(prices: &Prices, size: &RequestSize) -> u64 {
    if size.files > 0 {
        return u64::MAX;
    }
    let images = u64::from(size.images).saturating_mul(prices.image_tokens);
    let audio = if size.audio > 0 { size.inline_bytes } else { 0 };
    let found = match prices.web_search {
        Some(_) => size.web_searches.saturating_mul(TOKENS_PER_SEARCH),
        None => 0,
    };
    [size.bytes_read(), images, audio, found].into_iter().fold(TEMPLATE_TOKENS, u64::saturating_add)
}
