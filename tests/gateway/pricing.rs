//! What requests can cost and did cost. The tables are in dollars; a row is a case.

use millrace::catalog::{self, Prices, Tier};
use millrace::chat::{RequestSize, Usage};
use millrace::money::{Money, Price};
use millrace::pricing::{affordable_max_tokens, ceiling, cost, estimate_tokens, estimate_usage, lines};
use millrace::protocol::rerank;
use proptest::prelude::*;

#[test]
fn a_reply_costs_exactly_what_its_classes_cost() {
    // model@provider: usage = prompt + completion. Usage is in the order of `Usage`: input,
    // cache read, cache write, cache write 1h, audio in, output, reasoning, audio out, image out,
    // searches, searches of the web.
    let table = "
        millrace/echo@millrace:              0                           = 0 + 0
        millrace/echo@millrace:              3 0 0 0 0 5                 = 0.000003 + 0.00001
        anthropic/claude-sonnet-4.5@anthropic: 488 512 0 0 0 200         = 0.0016176 + 0.003
        anthropic/claude-sonnet-4.5@anthropic: 0 0 1000 1000             = 0.00975 + 0
        openai/gpt-4o@openai:                1000 0 0 0 0 0 1000         = 0.0025 + 0.01
        openai/gpt-4o@openai:                0 1000                      = 0.00125 + 0
        google/gemini-2.5-pro@google-ai-studio: 200000 0 0 0 0 1         = 0.25 + 0.00001
        google/gemini-2.5-pro@google-ai-studio: 200001 0 0 0 0 1         = 0.5000025 + 0.000015
        google/gemini-2.5-pro@google-ai-studio: 1 200000                 = 0.0500025 + 0
        perplexity/sonar@perplexity:         1 0 0 0 0 1                 = 0.012001 + 0.000001
        openai/text-embedding-3-small@openai: 1000000                    = 0.02 + 0
        anthropic/claude-opus-5@amazon-bedrock: 1 1 1 1 0 1              = 0.00002175 + 0.000025
        cohere/rerank-v3.5@cohere:           0 0 0 0 0 0 0 0 0 1         = 0.002 + 0
        cohere/rerank-v3.5@cohere:           0 0 0 0 0 0 0 0 0 3         = 0.006 + 0
        cohere/rerank-v3.5@cohere:           0                           = 0.002 + 0
        voyageai/rerank-2.5@voyage:          1000000                     = 0.05 + 0
    ";
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (offer, rest) = row.split_once(": ").unwrap();
        let (usage, expected) = rest.split_once('=').unwrap();
        let (prompt, completion) = expected.split_once('+').unwrap();
        let cost = cost(&prices(offer), &read_usage(usage)).unwrap();
        assert_eq!((cost.prompt, cost.completion), (usd(prompt), usd(completion)), "{row}");
        assert_eq!(cost.total, cost.prompt.checked_add(cost.completion).unwrap(), "{row}");
    }
}

/// A receipt's lines are the bill itself: nothing is charged that has no line.
#[test]
fn the_lines_of_a_receipt_are_what_was_charged() {
    let usages = ["0", "1 2 3 4 5 6 7 8 9 10 11", "300000 0 7", "0 0 0 0 0 0 0 0 0 3"].map(read_usage);
    for offer in catalog::models().iter().flat_map(|model| model.offers) {
        for usage in &usages {
            let lines = lines(&offer.prices, usage);
            let sum = lines
                .iter()
                .try_fold(Money::ZERO, |sum, line| sum.checked_add(line.price.times(line.count)?));
            assert_eq!(sum, cost(&offer.prices, usage).map(|cost| cost.total), "{} {usage:?}", offer.tag);
            assert!(lines.iter().all(|line| line.count > 0));
        }
    }
}

/// Prices that differ anywhere have another number.
#[test]
fn prices_have_a_fingerprint() {
    let base = Prices { prompt: price("0.01"), ..Prices::FREE };
    let others = [
        Prices::FREE,
        Prices { completion: price("0.01"), ..Prices::FREE },
        Prices { cache_read: Some(Price::ZERO), ..base },
        Prices { reasoning: Some(Price::ZERO), ..base },
        Prices { tiers: &CHEAP_ABOVE_TEN, ..base },
    ];
    for other in &others {
        assert_ne!(other.fingerprint(), base.fingerprint(), "{other:?}");
    }
    assert_eq!(base.fingerprint(), Prices { prompt: price("0.010"), ..Prices::FREE }.fingerprint());
}

/// The figure is that of PyPI's genai-prices 0.2.3 for the same usage.
#[test]
fn an_independent_calculator_agrees() {
    let usage = Usage { input: 1000 - 512, cache_read: 512, output: 200, ..Usage::default() };
    let cost = cost(&prices("anthropic/claude-sonnet-4.5@anthropic"), &usage).unwrap();
    assert_eq!(cost.total, usd("0.0046176"));
}

static CHEAP_ABOVE_TEN: [Tier; 1] = [Tier {
    above_prompt_tokens: 10,
    prompt: Some(Price::from_pico(5)),
    completion: None,
    cache_read: None,
    cache_write: None,
    cache_write_1h: None,
    audio_input: None,
}];

#[test]
fn what_has_no_price_of_its_own_costs_what_it_is() {
    let prices = Prices { prompt: price("0.01"), completion: price("0.1"), ..Prices::FREE };
    let tiered = Prices { cache_write: Some(price("0.02")), tiers: &CHEAP_ABOVE_TEN, ..prices };
    for (prices, usage, expected) in [
        (&prices, "0 1", "0.01"),
        (&prices, "0 0 1", "0.01"),
        (&prices, "0 0 0 1", "0.01"),
        (&prices, "0 0 0 0 1", "0.01"),
        (&prices, "0 0 0 0 0 0 1", "0.1"),
        (&prices, "0 0 0 0 0 0 0 1", "0.1"),
        (&prices, "0 0 0 0 0 0 0 0 1", "0.1"),
        // The hour's cache falls back to the other cache, not to the prompt.
        (&tiered, "0 0 0 1", "0.02"),
        // A tier's silence leaves the base price; its threshold is strict.
        (&tiered, "0 0 11", "0.22"),
        (&tiered, "10", "0.1"),
        (&tiered, "11", "0.000000000055"),
        (&tiered, "0 11", "0.000000000055"),
    ] {
        assert_eq!(cost(prices, &read_usage(usage)).unwrap().total, usd(expected), "{usage}");
    }
}

#[test]
fn absurd_usage_is_refused_not_wrapped() {
    let usage = Usage { input: u64::MAX, cache_read: u64::MAX, ..Usage::default() };
    assert_eq!(cost(&prices("openai/gpt-4o@openai"), &usage), None);
}

#[test]
fn the_ceiling_counts_what_could_come() {
    let size = RequestSize { text_bytes: 976, choices: 1, ..RequestSize::default() };
    // 976 bytes and the 1,024 tokens that a template may add are 2,000 tokens.
    for (offer, size, expected) in [
        ("millrace/echo@millrace", RequestSize { max_tokens: Some(10), ..size }, "0.00202"),
        ("millrace/echo@millrace", RequestSize { max_tokens: Some(10), choices: 3, ..size }, "0.00206"),
        ("millrace/echo@millrace", size, "0.034768"),
        ("millrace/echo@millrace", RequestSize { max_tokens: Some(0), files: 1, ..size }, "0.128"),
        ("millrace/echo@millrace", RequestSize { max_tokens: Some(0), images: 1, ..size }, "0.018384"),
        // The input could all be written to the hour's cache.
        ("anthropic/claude-sonnet-4.5@anthropic", RequestSize { max_tokens: Some(0), ..size }, "0.012"),
        // The fee is due whatever comes.
        ("perplexity/sonar@perplexity", RequestSize { max_tokens: Some(0), ..size }, "0.014"),
    ] {
        assert_eq!(ceiling_of(offer, &size), Some(usd(expected)), "{offer} {size:?}");
    }
}

/// Each input has the whole context, and what a query costs again is counted again.
#[test]
fn the_ceiling_counts_every_input_and_every_search() {
    let size = RequestSize { text_bytes: 1_000_000, choices: 1, inputs: 100, ..RequestSize::default() };
    for (offer, size, expected) in [
        // 100 inputs of 8,191 tokens are less than a million bytes.
        ("openai/text-embedding-3-large@openai", size, "0.106483"),
        ("openai/text-embedding-3-large@openai", RequestSize { inputs: 1, ..size }, "0.00106483"),
        ("openai/text-embedding-3-large@openai", RequestSize { inputs: 200, ..size }, "0.13013312"),
        ("voyageai/rerank-2.5@voyage", RequestSize { repeated_bytes: 999_000, ..size }, "0.1000012"),
        ("cohere/rerank-v3.5@cohere", size, "0.002"),
        ("cohere/rerank-v3.5@cohere", RequestSize { searches: 21, ..size }, "0.042"),
    ] {
        assert_eq!(ceiling_of(offer, &size), Some(usd(expected)), "{offer} {size:?}");
    }
}

/// Cohere says how often it searched; where it should not, the most it can have been is due.
#[test]
fn searches_are_billed_as_they_were_counted() {
    let documents = |count: usize, bytes: usize| {
        let documents = vec![format!("{:?}", "d".repeat(bytes)); count].join(",");
        format!(r#"{{"model":"cohere/rerank-v3.5","query":"what","documents":[{documents}]}}"#)
    };
    for (count, bytes, searches) in [(1, 10, 1), (100, 1, 2), (99, 1, 1), (100, 2_000, 6), (1000, 1, 11)] {
        let request = rerank::read_request(documents(count, bytes).as_bytes()).unwrap();
        assert_eq!(
            (request.size.inputs as usize, request.size.searches),
            (count, searches),
            "{count} {bytes}"
        );
        assert_eq!(estimate_usage(&request.size, 0).searches, searches);
    }
    let request = rerank::read_request(documents(2, 4).as_bytes()).unwrap();
    let reply =
        r#"{"results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":2}}}"#;
    let usage = rerank::read_reply(reply.as_bytes(), &request).unwrap().facts.usage.unwrap();
    assert_eq!(usage, Usage { searches: 2, ..Usage::default() });
    assert_eq!(cost(&prices("cohere/rerank-v3.5@cohere"), &usage).unwrap().total, usd("0.004"));
}

#[test]
fn the_ceiling_reaches_for_the_tier() {
    let size = RequestSize { text_bytes: 300_000, max_tokens: Some(0), choices: 1, ..RequestSize::default() };
    assert_eq!(ceiling_of("google/gemini-2.5-pro@google-ai-studio", &size), Some(usd("0.75256")));
}

#[test]
fn a_ceiling_beyond_all_money_is_none() {
    let size = RequestSize { choices: u32::MAX, ..RequestSize::default() };
    let prices = Prices { completion: price("9000000"), ..Prices::FREE };
    assert_eq!(ceiling(&prices, &size, u64::MAX, None), None);
    assert_eq!(
        ceiling(&Prices::FREE, &RequestSize { choices: 1, ..size }, u64::MAX, None),
        Some(Money::ZERO)
    );
}

#[test]
fn estimates_are_a_quarter_of_the_bytes() {
    for (bytes, tokens) in [(0, 0), (1, 1), (4, 1), (5, 2), (10_000_000, 2_500_000), (u64::MAX, 1 << 62)] {
        assert_eq!(estimate_tokens(bytes), tokens, "{bytes}");
    }
    let size = RequestSize { text_bytes: 40, images: 2, ..RequestSize::default() };
    assert_eq!(estimate_usage(&size, 7), Usage { input: 2010, output: 2, ..Usage::default() });
}

proptest! {
    #[test]
    fn no_cost_exceeds_the_ceiling(
        offer in 0..offers().len(), text in 0u64..600_000, max_tokens in proptest::option::of(0u64..200_000),
        choices in 1u32..4, images in 0u32..3, parts in proptest::collection::vec(0u64..=1000, 9),
    ) {
        let offer = offers()[offer];
        let size = RequestSize { text_bytes: text, max_tokens, choices, images, ..RequestSize::default() };
        let most_input = (text + u64::from(images) * offer.prices.image_tokens).min(offer.context_length);
        let most_output = max_tokens.unwrap_or(u64::MAX).min(offer.max_output.unwrap_or(offer.context_length))
            .min(offer.context_length) * u64::from(choices);
        let usage = share(most_input, most_output, &parts);
        let ceiling = ceiling(&offer.prices, &size, offer.context_length, offer.max_output).unwrap();
        prop_assert!(cost(&offer.prices, &usage).unwrap().total <= ceiling);
    }

    #[test]
    fn an_affordable_limit_is_affordable_and_the_greatest(
        offer in 0..offers().len(), text in 0u64..100_000, choices in 1u32..4, pico in 0i64..5_000_000_000_000,
    ) {
        let offer = offers()[offer];
        let size = RequestSize { text_bytes: text, choices, ..RequestSize::default() };
        let most = affordable_max_tokens(&offer.prices, &size, offer.context_length, Money::from_pico(pico));
        let ceiling_with = |max_tokens| {
            let size = RequestSize { max_tokens: Some(max_tokens), ..size };
            ceiling(&offer.prices, &size, offer.context_length, None).unwrap().pico()
        };
        prop_assert!(most <= offer.context_length);
        prop_assert!(most == 0 || ceiling_with(most) <= pico);
        prop_assert!(most == offer.context_length || ceiling_with(most + 1) > pico);
    }
}

fn offers() -> Vec<&'static catalog::Offer> {
    catalog::models().iter().flat_map(|model| model.offers).collect()
}

/// A usage of at most so many tokens, in classes by the weights of `parts` (0 to 1000).
fn share(input: u64, output: u64, parts: &[u64]) -> Usage {
    let of =
        |total: u64, parts: &[u64], index: usize| total * parts[index] / parts.iter().sum::<u64>().max(1000);
    let (into, out) = parts.split_at(5);
    Usage {
        input: of(input, into, 0),
        cache_read: of(input, into, 1),
        cache_write: of(input, into, 2),
        cache_write_1h: of(input, into, 3),
        input_audio: of(input, into, 4),
        output: of(output, out, 0),
        reasoning: of(output, out, 1),
        output_audio: of(output, out, 2),
        output_image: of(output, out, 3),
        ..Usage::default()
    }
}

fn ceiling_of(offer: &str, size: &RequestSize) -> Option<Money> {
    let offer = find(offer);
    ceiling(&offer.prices, size, offer.context_length, offer.max_output)
}

fn prices(offer: &str) -> Prices {
    find(offer).prices
}

fn find(offer: &str) -> &'static catalog::Offer {
    let (model, provider) = offer.split_once('@').unwrap();
    let offers = catalog::find(model).unwrap_or_else(|| panic!("{model}")).offers;
    offers.iter().find(|offer| offer.provider.slug == provider).unwrap()
}

fn read_usage(text: &str) -> Usage {
    let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    Usage {
        input: at(0),
        cache_read: at(1),
        cache_write: at(2),
        cache_write_1h: at(3),
        input_audio: at(4),
        output: at(5),
        reasoning: at(6),
        output_audio: at(7),
        output_image: at(8),
        searches: at(9),
        web_searches: at(10),
    }
}

fn usd(text: &str) -> Money {
    Money::parse_usd(text.trim()).unwrap()
}

fn price(text: &str) -> Price {
    Price::parse_usd(text).unwrap()
}
