//! What each end of a request is charged: every row of the table in `docs/money.md`, played, and
//! what a provider's own word on the cost is worth.

use std::collections::BTreeSet;

use super::play::{Play, delta, finish, reply, usage};
use serde_json::Value;

/// A row of the table, how the request goes once its money is held, what is charged for it and why.
const POLICY: &[(&str, &str, &str, &str)] = &[
    ("was answered", "whole", COUNTED, "counted"),
    ("was answered", "text stop usage done", COUNTED, "counted"),
    ("was cut by its limit of length", "text length usage done", COUNTED, "counted"),
    ("was cut by the provider's filter", "text content_filter usage done", COUNTED, "counted"),
    ("was answered, and nothing was counted", "text stop done", ESTIMATED, "estimated"),
    ("was answered by no tokens and no reason to finish", "empty", "0", "nothing"),
    ("was answered by no tokens and no reason to finish", "call none broken", "0", "insured"),
    ("ended with an error for a reason to finish", "text error usage done", "0", "insured"),
    ("was left by its client in the middle", "text leave", ESTIMATED, "estimated"),
    ("was left by its client in the middle", "text some leave", "0.0000116", "estimated"),
    ("was left by its client in the middle", "text stop usage leave", COUNTED, "counted"),
    (USED_UP, "part long no", "0.000732", "estimated"),
    ("was left by its client before the first content", "head leave", "0", "nothing"),
    ("broke off in the middle, or outlived a limit of time", "text broken", ESTIMATED, "estimated"),
    ("broke off in the middle, or outlived a limit of time", "text late", ESTIMATED, "estimated"),
    ("broke off in the middle, or outlived a limit of time", "text done", ESTIMATED, "estimated"),
    ("got an error of the provider's in the middle, or nonsense", "text fault", "0", "insured"),
    ("got an error of the provider's in the middle, or nonsense", "text usage fault", "0", "insured"),
    ("got an error of the provider's in the middle, or nonsense", "text nonsense", "0", "insured"),
    ("got no answer from anybody", "500", "0", "nothing"),
    ("got no answer from anybody", "head fault", "0", "nothing"),
    ("was answered after others failed", "401 401 text stop usage done", COUNTED, "counted"),
    ("was refused", "refused", "", "nothing"),
    (
        "was sent to two providers at once, and one was outrun",
        "slow second text stop usage done",
        OUTRUNNING,
        "counted",
    ),
];

const USED_UP: &str = "was cut off by the gateway, since no more could be set aside";
/// Nine tokens in and four out at gpt-4.1-mini's prices.
const COUNTED: &str = "0.00001";
/// The same at DeepInfra's prices of gpt-oss-20b.
const OUTRUNNING: &str = "0.00000083";
/// 119 bytes of request and 18 of text, at four to a token: 30 tokens in, five out.
const ESTIMATED: &str = "0.00002";
const MODEL: &str = r#""model":"openai/gpt-4.1-mini","provider":{"only":["openai"]}"#;
const TEXT: &str = r#"{"content":"four words of text"}"#;
const CALL: &str =
    r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}"#;
const FAULT: &str = "data: {\"error\":{\"message\":\"broke\",\"code\":500}}\n\n";

#[test]
fn every_row_of_the_policy() {
    for (name, script, charged, basis) in POLICY {
        let keys = "sk-one,sk-two,sk-three";
        let whole = matches!(*script, "whole" | "empty" | "refused");
        let mut play = match script.starts_with("slow") {
            true => Play::hedged(super::TWO_PROVIDERS, Some(600)),
            false => Play::of(request(MODEL, !whole), &[("OPENAI_API_KEY", keys)], false),
        };
        perform(&mut play, script);
        let told = member(play.log(), "cost_basis").unwrap_or_default();
        assert_eq!((play.settled(), told.as_str()), (*charged, *basis), "{name}: {script}: {}", play.log());
    }
    let played: BTreeSet<&str> = POLICY.iter().map(|row| row.0).collect();
    assert_eq!(documented(), played);
}

/// Ours makes ten microdollars of the reply; the log has an alarm where another word was not believed.
#[test]
fn a_reported_cost_counts_within_reason() {
    // Nine tokens in and four out of each.
    let groups = [
        // 9 × $0.00000125 + 4 × $0.0000025 = $0.00002125, a fifth of it $0.00000425.
        (r#""model":"x-ai/grok-4.3","provider":{"only":["xai"]}"#, "XAI_API_KEY", "0.00002125"),
        // 9 × $0.000001 + 4 × $0.000001 + $0.012.
        (r#""model":"perplexity/sonar""#, "PERPLEXITY_API_KEY", "0.012013"),
        (MODEL, "OPENAI_API_KEY", COUNTED),
    ];
    let table = r#"
        0 | "cost_in_usd_ticks":200000                           | 0.00002
        0 | "cost_in_usd_ticks":42500                            | 0.00000425
        0 | "cost_in_usd_ticks":42499                            | -
        0 | "cost_in_usd_ticks":1062500                          | 0.00010625
        0 | "cost_in_usd_ticks":1062501                          | -
        0 | "cost_in_usd_ticks":0                                | -
        0 | "cost_in_usd_ticks":-5                               | !
        0 | "cost_in_usd_ticks":99999999999999999999             | !
        0 | "cost_in_usd_ticks":200000,"cost":5                  | 0.00002
        0 | "cost":2.1e-05                                       | 0.000021
        0 | "cost":2.12345678912345e-05                          | 0.000021234568
        0 | "cost":"0.00002"                                     | !
        0 | "estimated_cost":0.00003                             | 0.00003
        0 | "completion_tokens":4                                | !
        1 | "cost":{"request_cost":0.005,"total_cost":0.00501}   | 0.00501
        1 | "cost":{"currency":"USD","total_cost":0.00501}       | 0.00501
        1 | "cost":{"currency":"EUR","total_cost":0.00501}       | !
        1 | "cost":{"total_cost":3140000}                        | -
        2 | "cost":0.00002                                       | !
    "#;
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let [group, said, expected] = cells[..] else { panic!("{row}") };
        let (members, variable, computed) = groups[group.parse::<usize>().unwrap()];
        let whole = format!(
            r#"{{"choices":[{{"message":{{"content":"hi"}},"finish_reason":"stop"}}],
                "usage":{{"prompt_tokens":9,"completion_tokens":4,{said}}}}}"#
        );
        let mut play = Play::of(request(members, false), &[(variable, "key")], false);
        play.held().skip().head(200).chunk(&whole).end().skip();
        // A report that is not believed is charged by our own prices, and told; one that was not
        // understood, or may not be read, is none.
        let (charged, basis) = match expected {
            "-" | "!" => (computed, "counted"),
            reported => (reported, "reported"),
        };
        assert_eq!(play.settled(), charged, "{row}");
        assert_eq!(member(play.log(), "cost_basis").as_deref(), Some(basis), "{row}");
        assert_eq!(member(play.record(), "reported_cost").is_none(), expected == "!", "{row}");
        assert_eq!(member(play.log(), "cost_refused_usd").is_some(), expected == "-", "{row}");
        let reply: Value = serde_json::from_str(play.body()).unwrap();
        let told = &reply["usage"];
        assert_eq!(
            told["cost"].to_string().parse::<f64>().unwrap(),
            charged.parse::<f64>().unwrap(),
            "{row}"
        );
        assert_eq!(told["cost"], told["cost_details"]["upstream_inference_cost"], "{row}");
    }
}

/// What is known of a reply that was cut is known of its beginning.
#[test]
fn the_reported_cost_of_half_a_reply_does_not_count() {
    let members = r#""model":"x-ai/grok-4.3","provider":{"only":["xai"]}"#;
    for (end, basis) in [("broken", "estimated"), ("stop leave", "reported")] {
        let mut play = Play::of(request(members, true), &[("XAI_API_KEY", "key")], false);
        perform(&mut play, "text");
        play.chunk(
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4,\"cost_in_usd_ticks\":200000}}\n\n",
        );
        act(&mut play, end);
        assert_eq!(member(play.log(), "cost_basis").as_deref(), Some(basis), "{end}");
    }
}

fn request(members: &str, stream: bool) -> String {
    format!(r#"{{{members},"stream":{stream},"messages":[{{"role":"user","content":"?"}}]}}"#)
}

fn perform(play: &mut Play, script: &str) {
    play.skip();
    match (script, play.least()) {
        ("refused", _) => {}
        (script, Some(least)) if script.starts_with("part") => {
            play.held_in_part(least).skip();
        }
        _ => {
            play.held().skip();
        }
    }
    act(play, script);
}

fn act(play: &mut Play, script: &str) {
    for word in script.split(' ') {
        match word {
            "whole" => play.head(200).chunk(&reply("hi", 9, 4)).end(),
            "empty" => play.head(200).chunk(&reply("", 9, 0).replace("\"stop\"", "null")).end(),
            "head" => play.head(200),
            "401" => play.head(401).end(),
            "500" => play.head(500).end(),
            "text" => play.head(200).chunk(&delta(TEXT)),
            "part" => continue,
            // 1800 bytes: 600 tokens while it is metered, 450 when it is charged.
            "long" => play.head(200).chunk(&delta(&format!(r#"{{"content":"{}"}}"#, "abc".repeat(600)))),
            "no" => play.grown(None),
            "call" => play.head(200).chunk(&delta(CALL)),
            "usage" => play.chunk(&usage(9, 4)),
            "some" => play.chunk(&usage(9, 1)),
            "none" => play.chunk(&usage(9, 0)),
            "done" => play.chunk("data: [DONE]\n\n"),
            "fault" => play.chunk(FAULT),
            "nonsense" => play.chunk("data: {nonsense\n\n"),
            "broken" => play.broken(),
            "late" => play.after_ms(900_000),
            "slow" => play.after_ms(600),
            "second" => play.second(),
            "leave" => play.client_gone(),
            "refused" => play.refused_credit("0", "1"),
            reason => play.chunk(&finish(reason)),
        };
        play.skip();
    }
}

fn member(json: &str, name: &str) -> Option<String> {
    let value: Value = serde_json::from_str(json).ok()?;
    value[name].as_str().map(str::to_owned)
}

/// The first column of the table in the documentation.
fn documented() -> BTreeSet<&'static str> {
    let page = include_str!("../../../docs/money.md");
    let table = page.split("\n\n").find(|part| part.starts_with("| A request that")).expect("a table");
    table.lines().skip(2).filter_map(|row| row.split('|').nth(1)).map(str::trim).collect()
}
