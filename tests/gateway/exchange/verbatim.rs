//! Replies that go to the client as they come, by chunks or past the exchange.

use super::TWO_PROVIDERS;
use super::play::{Play, delta, finish, usage};

const DONE: &str = "data: [DONE]\n\n";

/// How a play goes on after its first content.
type Rest = fn(&mut Play, Way);

/// How the client gets the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Chunks,
    Past,
}

impl Play {
    fn gets(&mut self, way: Way, text: &str) -> &mut Play {
        match way {
            Way::Chunks => self.chunk(text),
            Way::Past => self.passed(text),
        }
    }
}

/// The same reply, spliced.
fn spliced() -> Play {
    let mut play = Play::stream(TWO_PROVIDERS);
    play.held().skip().head(200).chunk(&opening()).skip();
    play
}

fn begun() -> Play {
    let mut play = Play::verbatim(TWO_PROVIDERS);
    play.held().skip().head(200);
    play.chunk(&delta(r#"{"role":"assistant","content":""}"#)).expect(&[]);
    assert!(!play.may_pipe(), "another provider may still be tried");
    play.chunk(&delta(r#"{"content":"four"}"#)).expect(&["begin 200", "write content content"]);
    assert!(play.may_pipe());
    play
}

fn done(_: &mut Play) {}

fn opening() -> String {
    delta(r#"{"role":"assistant","content":""}"#) + &delta(r#"{"content":"four"}"#)
}

#[test]
fn a_reply_keeps_its_bytes_and_is_charged_as_reported() {
    for way in [Way::Chunks, Way::Past] {
        let mut play = begun();
        let rest = [": odd\r\n\r\n".to_owned(), delta(r#"{ "content":"x"}"#), finish("stop"), usage(4, 4)];
        for piece in &rest {
            play.gets(way, piece).skip();
        }
        play.gets(way, DONE);
        let steps = play.steps();
        assert!(steps.contains(&"log complete".to_owned()), "{steps:?}");
        assert!(steps.ends_with(&["release".into(), "done".into()]), "{steps:?}");
        assert_eq!(play.body(), opening() + &rest.concat() + DONE, "{way:?}");
        assert_eq!(play.settled(), "0.0000015", "{way:?}");
    }
}

#[test]
fn the_first_content_decides_as_ever() {
    let mut play = Play::verbatim(TWO_PROVIDERS);
    play.held().skip().head(200).chunk(&delta(r#"{"role":"assistant"}"#)).broken();
    let steps = play.steps();
    assert_eq!(steps, ["cancel", "send https://api.deepinfra.com/v1/openai/chat/completions"]);
}

#[test]
fn what_cannot_go_on_ends_with_one_error_that_is_a_frame() {
    let cases: &[(&str, Rest)] = &[
        ("reset", |play, _| done(play.broken())),
        ("end without a finish", |play, _| done(play.end())),
        ("silence", |play, _| done(play.after_ms(120_000))),
        ("for ever", |play, _| done(play.after_ms(3_600_000))),
        ("cut in a frame", |play, way| done(play.gets(way, "data: {\"cho").skip().broken())),
        ("ended in a frame", |play, way| done(play.gets(way, "data: {\"cho").skip().end())),
        ("no JSON", |play, way| done(play.gets(way, "data: {nonsense\n\n"))),
        ("told by the provider", |play, way| {
            done(play.gets(way, "data: {\"error\":{\"message\":\"x\",\"code\":500}}\n\n"))
        }),
        ("ended within a call", |play, way| {
            let call = r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{"}}]}"#;
            play.gets(way, &delta(call)).skip().gets(way, &finish("stop"));
        }),
    ];
    for (name, fail) in cases {
        for way in [Way::Chunks, Way::Past] {
            let mut play = begun();
            fail(&mut play, way);
            let steps = play.steps();
            assert!(steps.contains(&"log broken_off".to_owned()), "{name}: {steps:?}");
            assert_eq!(
                steps.iter().filter(|step| step.starts_with("settle")).count(),
                1,
                "{name}: {steps:?}"
            );
            let mut other = spliced();
            fail(&mut other, Way::Chunks);
            other.skip();
            assert_eq!(play.settled(), other.settled(), "{name}");
            let frames: Vec<&str> = play.body().split("\n\n").collect();
            let told = frames
                .iter()
                .filter(|frame| frame.starts_with("data: {") && frame.contains("\"error\":{"))
                .count();
            assert_eq!(told, 1, "{name}: {}", play.body());
        }
    }
}

#[test]
fn an_end_that_the_provider_leaves_out_is_added() {
    for way in [Way::Chunks, Way::Past] {
        let mut play = begun();
        play.gets(way, &finish("stop")).skip().end().skip();
        assert!(play.body().ends_with(DONE) && play.log().contains("complete"), "{}", play.body());
    }
}

#[test]
fn a_client_that_leaves_is_charged_for_what_it_got() {
    for way in [Way::Chunks, Way::Past] {
        let mut play = begun();
        play.gets(way, &delta(r#"{"content":"and more"}"#)).skip().client_gone();
        play.expect(&["cancel", "log cancelled", "settle 0.000004125", "done"]);
    }
}

#[test]
fn no_comment_falls_into_a_reply() {
    let mut play = Play::verbatim(TWO_PROVIDERS);
    play.held().skip().head(200).after_ms(20_000);
    assert_eq!(play.steps(), ["begin 200", "write comment"], "before its first content there is room");
    let mut play = begun();
    play.gets(Way::Past, "data: {").after_ms(30_000).expect(&[]);
}

#[test]
fn what_has_to_be_changed_is_not_passed() {
    let mut play = Play::verbatim(&format!(r#"{TWO_PROVIDERS},"reasoning":{{"exclude":true}}"#));
    play.held().skip().head(200).chunk(&delta(r#"{"content":"four"}"#)).skip();
    assert!(!play.may_pipe());
    let mut play = Play::stream(TWO_PROVIDERS);
    play.held().skip().head(200).chunk(&delta(r#"{"content":"four"}"#)).skip();
    assert!(!play.may_pipe(), "nobody asked for it");
}
