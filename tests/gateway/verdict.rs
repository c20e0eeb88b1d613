//! Faults: what a provider's status means, and whether another attempt may help.

use millrace::error::Cause;
use millrace::routing::verdict::{Awaited, Fault, Verdict, classify, is_too_long};

#[test]
fn a_status_says_who_has_to_act() {
    use Verdict::{GiveUp, NextKey, NextOffer};
    // provider's status, verdict, status for the client if this was the last attempt
    let cases = [
        (400, GiveUp, 400),
        (401, NextKey, 502),
        (402, NextKey, 502),
        (403, NextKey, 502),
        (404, NextOffer, 502),
        (408, NextOffer, 504),
        (413, GiveUp, 413),
        (422, GiveUp, 422),
        (429, NextKey, 429),
        (302, NextOffer, 502),
        (500, NextOffer, 502),
        (502, NextOffer, 502),
        (503, NextKey, 503),
        (504, NextOffer, 504),
        (529, NextKey, 503),
    ];
    for (status, verdict, told) in cases {
        let fault = classify(status, None).expect("a failure");
        assert_eq!((fault.verdict(), fault.failure(None).cause.status()), (verdict, told), "{status}");
    }
    assert_eq!(classify(200, None), None);
    assert_eq!(classify(204, None), None);
}

#[test]
fn providers_say_in_many_words_that_a_prompt_is_too_long() {
    let cases = [
        (Some("context_length_exceeded"), "", true),
        (Some("exceed_context_size_error"), "", true),
        (None, "prompt is too long: 250000 tokens > 200000 maximum", true),
        (None, "This model's maximum context length is 8192 tokens.", true),
        (None, "the prompt is longer than the context length currently available to the model", true),
        (None, "prompt too long; exceeded max context length by 7 tokens", true),
        (None, "The input token count (5) exceeds the maximum number of tokens allowed (4).", true),
        (Some("invalid_value"), "temperature must be at most 2", false),
        (None, "", false),
    ];
    for (code, words, expected) in cases {
        assert_eq!(is_too_long(code, words), expected, "{code:?} {words}");
    }
}

#[test]
fn a_429_always_says_when_to_come_back() {
    for (given, told) in [(Some(7), Some(7)), (None, Some(5))] {
        assert_eq!(classify(429, given).expect("a failure").failure(None).retry_after_s, told);
    }
}

#[test]
fn what_took_too_long_is_a_timeout() {
    for awaited in [Awaited::Head, Awaited::FirstToken, Awaited::NextToken, Awaited::End] {
        assert_eq!(Fault::Late(awaited).failure(None).cause, Cause::Timeout);
    }
    assert_eq!(Fault::Late(Awaited::End).verdict(), Verdict::GiveUp);
}

#[test]
fn a_refused_credential_says_nothing_of_the_provider() {
    let failure = Fault::Credential { status: 401 }.failure(Some("Incorrect API key provided: sk-abc"));
    assert!(!failure.message.contains("sk-abc"));
}
