//! Usage and cost in every dialect, sane and absurd.

use super::*;

#[test]
fn usage_of_a_stream_is_the_last_word_on_each_field() {
    let stream = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":0,\"prompt_tokens_details\":{\"cached_tokens\":4}}}\n\n\
        data: {\"choices\":[],\"x_groq\":{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3}}}\n\n\
        data: {\"choices\":[],\"usage\":{\"completion_tokens\":5}}\n\ndata: {\"choices\":[],\"usage\":null}\n\n";
    let facts = splice_cut(stream.as_bytes(), 0).1.facts().clone();
    assert_eq!(facts.usage, Some(Usage { input: 6, cache_read: 4, output: 5, ..Usage::default() }));
}

#[test]
fn usage_in_every_dialect() {
    let of = |input, cache_read, output, reasoning| Usage {
        input,
        cache_read,
        output,
        reasoning,
        ..Usage::default()
    };
    let max = u64::MAX;
    let cases: &[(&str, Quirks, Option<Usage>)] = &[
        ("{}", ASK, None),
        ("null", ASK, None),
        ("[1]", ASK, None),
        (r#"{"prompt_tokens":null,"completion_tokens":"7"}"#, ASK, None),
        (r#"{"prompt_tokens":7}"#, ASK, Some(of(7, 0, 0, 0))),
        // OpenAI.
        (
            r#"{"prompt_tokens":9,"completion_tokens":8,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":2,"cache_write_tokens":3,"audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":1,"image_tokens":2}}"#,
            ASK,
            Some(Usage {
                input: 3,
                cache_read: 2,
                cache_write: 3,
                input_audio: 1,
                output: 1,
                reasoning: 4,
                output_audio: 1,
                output_image: 2,
                ..Usage::default()
            }),
        ),
        // DeepSeek, Together, Mistral of old.
        (
            r#"{"prompt_tokens":9,"completion_tokens":1,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":3}"#,
            ASK,
            Some(of(3, 6, 1, 0)),
        ),
        (r#"{"prompt_tokens":9,"completion_tokens":1,"cached_tokens":6}"#, ASK, Some(of(3, 6, 1, 0))),
        (r#"{"prompt_tokens":9,"completion_tokens":1,"num_cached_tokens":6}"#, ASK, Some(of(3, 6, 1, 0))),
        // xAI: reasoning beside the completion, or within it where the total says so.
        (
            r#"{"prompt_tokens":468,"completion_tokens":82,"total_tokens":870,"completion_tokens_details":{"reasoning_tokens":320}}"#,
            BESIDE,
            Some(of(468, 0, 82, 320)),
        ),
        (
            r#"{"prompt_tokens":468,"completion_tokens":82,"completion_tokens_details":{"reasoning_tokens":320}}"#,
            BESIDE,
            Some(of(468, 0, 82, 320)),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":30,"total_tokens":40,"completion_tokens_details":{"reasoning_tokens":20}}"#,
            BESIDE,
            Some(of(10, 0, 10, 20)),
        ),
        // Gemini tells its thoughts by the total alone.
        (
            r#"{"prompt_tokens":10,"completion_tokens":30,"total_tokens":100}"#,
            BESIDE,
            Some(of(10, 0, 30, 60)),
        ),
        // Mistral: audio beside the prompt.
        (
            r#"{"prompt_tokens":11,"completion_tokens":15,"total_tokens":401,"prompt_tokens_details":{"audio_tokens":375}}"#,
            ASK,
            Some(Usage { input_audio: 375, ..of(11, 0, 15, 0) }),
        ),
        // A part is never more than the whole.
        (
            r#"{"prompt_tokens":5,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":9},"completion_tokens_details":{"reasoning_tokens":11}}"#,
            ASK,
            Some(of(0, 5, 0, 10)),
        ),
        // Absurd numbers end at the ends of the range.
        (r#"{"prompt_tokens":-5,"completion_tokens":1e400}"#, ASK, Some(of(0, 0, max, 0))),
        (
            r#"{"prompt_tokens":99999999999999999999,"completion_tokens":1.5,"total_tokens":99999999999999999999}"#,
            BESIDE,
            Some(of(max, 0, 1, 0)),
        ),
        (
            r#"{"prompt_tokens":1e3,"completion_tokens":[],"prompt_tokens_details":7}"#,
            ASK,
            Some(of(1000, 0, 0, 0)),
        ),
    ];
    for (raw, quirks, expected) in cases {
        assert_eq!(usage_from(raw, quirks), *expected, "{raw}");
    }
}

#[test]
fn a_cost_counts_where_the_provider_is_trusted() {
    let cases = [
        ("0.0121", TRUSTED, Some(12_100_000_000)),
        ("0", TRUSTED, Some(0)),
        ("0.00000000000049", TRUSTED, Some(1)),
        ("0.1234567890125", TRUSTED, Some(123_456_789_013)),
        ("-1", TRUSTED, None),
        ("\"1\"", TRUSTED, None),
        ("null", TRUSTED, None),
        ("1e30", TRUSTED, None),
        ("0.0121", ASK, None),
    ];
    for (cost, quirks, expected) in cases {
        let mut splice = Splice::new(identity(), quirks);
        let frame = format!("data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"cost\":{cost}}}}}\n\n");
        splice.read(frame.as_bytes(), &mut Vec::new());
        assert_eq!(splice.facts().cost.map(Money::pico), expected, "{cost}");
    }
}

#[test]
fn usage_is_written_as_strict_clients_want_it() {
    let usage = Usage {
        input: 5,
        cache_read: 3,
        cache_write: 1,
        cache_write_1h: 1,
        input_audio: 2,
        output: 4,
        reasoning: 6,
        ..Usage::default()
    };
    let mut out = Vec::new();
    write_usage(&Bill { usage, is_byok: true, ..bill() }, &mut out);
    let expected = r#"{"prompt_tokens":12,"completion_tokens":10,"total_tokens":22,"cost":0.000123,"is_byok":true,"prompt_tokens_details":{"cached_tokens":3,"cache_write_tokens":2,"audio_tokens":2,"video_tokens":0},"cost_details":{"upstream_inference_cost":0.000123,"upstream_inference_prompt_cost":0.0001,"upstream_inference_completions_cost":0.000023},"completion_tokens_details":{"reasoning_tokens":6,"image_tokens":0,"audio_tokens":0}}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let mut out = Vec::new();
    let absurd = Usage {
        input: u64::MAX,
        cache_read: u64::MAX,
        output: u64::MAX,
        reasoning: u64::MAX,
        ..Usage::default()
    };
    write_usage(&Bill { usage: absurd, ..bill() }, &mut out);
    let value: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["total_tokens"], 9_007_199_254_740_991_u64);
}
