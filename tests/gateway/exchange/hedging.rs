//! A second attempt beside one that is slow: when it is made, who wins, and what becomes of the other.

use super::play::{Play, delta, finish, usage};
use super::{GROQ, ONE, TWO_PROVIDERS};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

const SECOND: &str = "send2 https://api.deepinfra.com/v1/openai/chat/completions";

/// A stream whose first attempt is under way, and whose provider begins nearly all within `pace_ms`.
fn slow(pace_ms: u64) -> Play {
    let mut play = Play::hedged(TWO_PROVIDERS, Some(pace_ms));
    play.held().expect(&[GROQ]);
    play
}

/// The same with both attempts under way.
fn both() -> Play {
    let mut play = slow(600);
    play.after_ms(600).expect(&[SECOND]);
    play
}

/// A whole stream, in three pieces.
fn says(text: &str) -> [String; 3] {
    [delta(&format!(r#"{{"content":"{text}"}}"#)), finish("stop"), format!("{}data: [DONE]\n\n", usage(4, 4))]
}

fn speak(play: &mut Play, text: &str) {
    for piece in says(text) {
        play.chunk(&piece);
    }
}

#[test]
fn a_second_attempt_is_made_when_the_first_is_slower_than_its_kind() {
    let mut play = slow(800);
    play.after_ms(799).expect(&[]);
    play.after_ms(1).expect(&[SECOND]);
    let mut fast = slow(20);
    fast.after_ms(499).expect(&[]);
    fast.after_ms(1).expect(&[SECOND]);
    // Its head is no content.
    let mut head = slow(600);
    head.head(200).chunk(&delta(r#"{"role":"assistant","content":""}"#)).after_ms(600).expect(&[SECOND]);
}

#[test]
fn no_second_attempt_is_made() {
    type Tell = fn(&mut Play) -> &mut Play;
    let cases: &[(&str, &str, Option<u64>, Tell)] = &[
        ("too little is known", TWO_PROVIDERS, None, |play| play),
        ("there is nobody else", ONE, Some(600), |play| play),
        ("it has begun", TWO_PROVIDERS, Some(600), |play| {
            play.head(200).chunk(&delta(r#"{"content":"x"}"#)).skip()
        }),
    ];
    for (name, members, pace, tell) in cases {
        let mut play = Play::hedged(members, *pace);
        play.held().skip();
        tell(&mut play).after_ms(900);
        assert!(!play.steps().iter().any(|step| step.starts_with("send")), "{name}");
    }
    // Nobody was to have one.
    let mut play = Play::stream(TWO_PROVIDERS);
    play.held().skip().after_ms(900).expect(&[]);
}

#[test]
fn a_request_has_one_second_attempt_at_most() {
    let mut play = Play::hedged(r#""model":"openai/gpt-oss-20b""#, Some(600));
    play.held().skip().after_ms(600).skip();
    play.second().head(500).end().expect(&["cancel2"]);
    play.either().after_ms(390).expect(&[]);
    play.after_ms(10).expect(&["begin 200", "write comment"]);
    play.after_ms(600).expect(&[]);
}

#[test]
fn an_attempt_after_one_that_failed_may_have_a_second() {
    let mut play = Play::hedged(
        r#""model":"openai/gpt-oss-120b","provider":{"order":["groq","deepinfra"],"only":["groq","deepinfra"]}"#,
        Some(600),
    );
    play.held().skip().head(500).end().expect(&["cancel", &SECOND.replace("send2", "send")]);
    // DeepInfra sells it twice.
    play.after_ms(600).expect(&[SECOND]);
}

#[test]
fn whoever_brings_content_first_has_won() {
    let mut play = both();
    play.first().head(200).expect(&[]);
    play.second().head(200).chunk(&says("two")[0]).expect(&["cancel", "begin 200", "write content"]);
    play.first().chunk(&says("one")[0]).expect(&[]);
    play.second().chunk(&says("two")[1]).chunk(&says("two")[2]);
    let steps = play.steps();
    assert_eq!(steps.last().map(String::as_str), Some("done"));
    assert!(
        steps.contains(&"release2".to_owned()) && steps.contains(&"log complete".to_owned()),
        "{steps:?}"
    );
    assert!(play.body().contains("two") && !play.body().contains("one"), "{}", play.body());
    assert!(play.body().contains(r#""provider":"DeepInfra""#), "{}", play.body());
    // Its wait counts: left out, the slow would look fast.
    assert_eq!(play.news()[0], "groq Outrun { waited_ms: Some(600) }");
}

#[test]
fn the_losers_cost_is_told_and_not_charged() {
    let mut alone = Play::hedged(TWO_PROVIDERS, None);
    alone.held().skip().head(200);
    speak(&mut alone, "one");
    alone.skip();
    let mut play = both();
    play.first().head(200);
    speak(&mut play, "one");
    play.skip();
    assert_eq!(play.settled(), alone.settled());
    let line: serde_json::Value = serde_json::from_str(play.log()).expect("JSON");
    let record: serde_json::Value = serde_json::from_str(play.record()).expect("JSON");
    let cost = line["hedge_loser_cost_usd"].as_str().expect("a cost").to_owned();
    assert!(cost.parse::<f64>().expect("dollars") > 0.0);
    assert_eq!(record["attempts"].as_array().map(Vec::len), Some(2), "{record}");
    assert_eq!(record["attempts"][0]["provider"], "DeepInfra");
    assert!(record["hedge_loser_cost"].is_string(), "{record}");
    assert_eq!(line["attempts"][0]["outrun"], true, "{line}");
    assert_eq!(line["attempts"][0]["hedge"], true, "{line}");
    for words in [r#""hedge":true"#, &format!(r#""outrun":{{"estimated_cost_usd":"{cost}"}}"#)] {
        assert!(play.body().contains(words), "{words} in {}", play.body());
    }
    // Little can be said of an endpoint that had no time.
    assert_eq!(play.news()[0], "deepinfra Outrun { waited_ms: None }");
    assert!(!alone.log().contains("hedge"), "{}", alone.log());
}

#[test]
fn one_that_fails_leaves_the_other() {
    for fail in [400, 401, 404, 429, 500] {
        for first_fails in [true, false] {
            let mut play = both();
            match first_fails {
                true => play.first().head(fail).end().expect(&["cancel"]).second(),
                false => play.second().head(fail).end().expect(&["cancel2"]).first(),
            };
            play.head(200);
            speak(&mut play, "fine");
            let steps = play.steps();
            assert!(steps.contains(&"log complete".to_owned()), "{fail} {first_fails}: {steps:?}");
            assert!(!steps.iter().any(|step| step.starts_with("cancel")), "{steps:?}");
        }
    }
}

#[test]
fn when_both_fail_the_callers_own_fault_is_told() {
    for (one, other, told) in [(500, 500, 502), (400, 500, 400), (500, 400, 400)] {
        let mut play = both();
        play.first().head(one).end().expect(&["cancel"]);
        play.second().head(other).end();
        let reply = format!("reply {told}");
        play.expect(&["cancel2", &reply, "log failed", "settle 0", "done"]);
        assert!(play.body().contains("previous_errors"), "{}", play.body());
    }
}

#[test]
fn each_attempt_has_its_own_limits_of_time() {
    let mut play = both();
    play.after_ms(59_400);
    let steps: Vec<String> = play.steps().into_iter().filter(|step| step == "cancel").collect();
    assert_eq!(steps, ["cancel"]);
    play.after_ms(600);
    assert!(play.steps().contains(&"cancel2".to_owned()));
}

#[test]
fn a_client_that_leaves_ends_both() {
    let mut play = both();
    play.first().head(200).either().client_gone();
    play.expect(&["cancel", "cancel2", "log cancelled", "settle 0", "done"]);
    let mut play = both();
    play.second().head(200).either().client_gone();
    play.expect(&["cancel2", "cancel", "log cancelled", "settle 0", "done"]);
}

#[test]
fn one_stream_in_ten_has_a_second_attempt() {
    let mut play = Play::hedged(TWO_PROVIDERS, Some(600));
    let mut made = 0;
    for _ in 0..200 {
        play = play.again_hedged();
        play.held().expect(&[GROQ]);
        play.after_ms(600);
        made += play.steps().iter().filter(|step| *step == SECOND).count();
        play.first().head(200);
        speak(&mut play, "one");
        play.skip();
    }
    assert!((20..=23).contains(&made), "{made}");
}

/// What one of two providers does, step by step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Speaks,
    Fails,
    Blames,
    Unreachable,
    BreaksEarly,
    BreaksLate,
    Hangs,
}

const PARTS: [Part; 7] = [
    Part::Speaks,
    Part::Fails,
    Part::Blames,
    Part::Unreachable,
    Part::BreaksEarly,
    Part::BreaksLate,
    Part::Hangs,
];

impl Part {
    fn act(self, play: &mut Play, step: usize, text: &str) {
        match (self, step) {
            (Part::Speaks | Part::BreaksEarly | Part::BreaksLate, 0) => play.head(200),
            (Part::Speaks, 1..=3) => play.chunk(&says(text)[step - 1]),
            (Part::Fails, 0) => play.head(503),
            (Part::Blames, 0) => play.head(422),
            (Part::Fails | Part::Blames, 1) => play.end(),
            (Part::Unreachable, 0) => play.unreachable(),
            (Part::BreaksEarly, 1) => play.broken(),
            (Part::BreaksLate, 1) => play.chunk(&says(text)[0]),
            (Part::BreaksLate, 2) => play.broken(),
            _ => play,
        };
    }
}

/// Both act in any order, and the client may leave at any time: each connection is closed, each
/// request settled once, and what the client sees is of one of them alone.
#[test]
fn any_two_providers_in_any_order() {
    let order = proptest::collection::vec(any::<bool>(), 0..12);
    let leave = proptest::option::weighted(0.3, 0usize..10);
    let parts = (proptest::sample::select(PARTS.to_vec()), proptest::sample::select(PARTS.to_vec()));
    let mut runner = TestRunner::new(ProptestConfig { cases: 3000, ..ProptestConfig::default() });
    let result = runner.run(&(parts, order, leave), |((one, two), order, leave)| {
        let mut play = both();
        let mut steps = vec!["send".to_owned(), "send2".to_owned()];
        let mut done = [0, 0];
        // At the end each has had all of its turns.
        let order = order.into_iter().chain([true; 4]).chain([false; 4]);
        for (at, second) in order.enumerate() {
            if leave == Some(at) {
                play.either().client_gone();
                steps.extend(play.steps());
            }
            match second {
                true => two.act(play.second(), done[1], "two"),
                false => one.act(play.first(), done[0], "one"),
            }
            done[usize::from(second)] += 1;
            steps.extend(play.steps());
        }
        play.either();
        for _ in 0..3 {
            play.after_ms(900_000);
            steps.extend(play.steps());
        }
        let count = |prefix: &str| steps.iter().filter(|step| step.starts_with(prefix)).count();
        prop_assert_eq!(steps.last().map(String::as_str), Some("done"), "{:?}", steps);
        prop_assert!(count("settle") == 1 && count("log") == 1, "{:?}", steps);
        prop_assert!(count("begin") + count("reply") <= 1 && count("send") == 2, "{:?}", steps);
        for racer in ["", "2"] {
            let closed =
                |step: &&String| **step == format!("cancel{racer}") || **step == format!("release{racer}");
            prop_assert_eq!(steps.iter().filter(closed).count(), 1, "{:?}", steps);
        }
        let seen = [play.body().contains(r#""content":"one""#), play.body().contains(r#""content":"two""#)];
        prop_assert!(seen != [true, true], "{}", play.body());
        prop_assert_eq!(seen != [false, false], play.settled() != "0", "{:?}", steps);
        let spoilt = [one, two].contains(&Part::BreaksLate);
        if leave.is_none() && !spoilt && [one, two].contains(&Part::Speaks) {
            prop_assert!(steps.contains(&"log complete".to_owned()), "{:?}", steps);
        }
        Ok(())
    });
    result.expect("holds for every order");
}
