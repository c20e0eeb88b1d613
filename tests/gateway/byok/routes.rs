//! Who is tried when, and what is charged for it.

use serde_json::{Value, json};

use crate::exchange::play::{Play, reply};

/// A model of two providers: nine tokens in and four out cost the same at both.
const MODEL: &str = "openai/gpt-oss-20b";
const BOTH: [(&str, &str); 2] = [("GROQ_API_KEY", "shared-groq"), ("DEEPINFRA_API_KEY", "shared-deepinfra")];

/// A key, as `<provider> <key> <rules>`. Without a key it cannot be opened.
fn mirror(keys: &[&str]) -> String {
    let key = |(order, text): (usize, &&str)| {
        let mut words = text.splitn(3, ' ');
        let [provider, key] = [words.next().unwrap(), words.next().unwrap()];
        let policy: Value = serde_json::from_str(words.next().unwrap_or("{}")).expect("rules");
        let sealed = if key == "-" { "" } else { key };
        json!({ "id": format!("id-{order}{}", if key == "dead" { "-spurned" } else { "" }), "provider": provider, "sealed": sealed, "sort_order": order, "policy": policy })
    };
    json!({ "keys": keys.iter().enumerate().map(key).collect::<Vec<_>>() }).to_string()
}

fn request(more: &str) -> String {
    format!(
        r#"{{"model":"{MODEL}","max_tokens":9,{more}"provider":{{"only":["groq","deepinfra"],"order":["groq","deepinfra"]}},"messages":[{{"role":"user","content":"?"}}]}}"#
    )
}

/// The keys that are tried, in order, where each is refused.
fn tried(variables: &[(&str, &str)], keys: &[&str], more: &str) -> Vec<String> {
    let mut play = Play::with_own_keys(request(more), variables, &mirror(keys), "0");
    let mut tried = Vec::new();
    play.held();
    while play.steps().iter().any(|step| step.starts_with("send")) {
        tried.push(play.key().trim_start_matches("Bearer ").to_owned());
        play.head(401).end();
    }
    tried
}

#[test]
fn own_keys_come_first_or_last() {
    let hash = millrace::id::KeyHash::of("sk-mr-v1-test").to_string();
    let mine = format!(r#"groq own {{"allowed_api_key_hashes":["{hash}"]}}"#);
    let theirs = format!(r#"groq own {{"allowed_api_key_hashes":["{}"]}}"#, "0".repeat(64));
    let rows: &[(&[&str], &str, &str)] = &[
        (&[], "", "shared-groq shared-deepinfra"),
        (&["deepinfra own"], "", "own shared-groq shared-deepinfra"),
        (&["groq one", "groq two"], "", "one two shared-groq shared-deepinfra"),
        (
            &[r#"groq last {"is_fallback":true}"#, "deepinfra first"],
            "",
            "first shared-groq shared-deepinfra last",
        ),
        (&[r#"groq own {"is_byok_only":true}"#], "", "own shared-deepinfra"),
        (&[r#"groq own {"is_required":true}"#], "", "own shared-deepinfra"),
        (&[r#"groq own {"is_required":true,"allowed_models":["a/b"]}"#], "", "shared-groq shared-deepinfra"),
        (&[r#"groq own {"is_byok_only":true,"allowed_models":["a/b"]}"#], "", "shared-deepinfra"),
        (&[r#"groq own {"allowed_models":["openai/gpt-oss-20b"]}"#], "", "own shared-groq shared-deepinfra"),
        // The member whose key it is, whatever user the request names.
        (
            &[r#"groq own {"allowed_user_ids":["ann"]}"#],
            r#""user":"bob","#,
            "own shared-groq shared-deepinfra",
        ),
        (&[r#"groq own {"allowed_user_ids":["bob"]}"#], r#""user":"bob","#, "shared-groq shared-deepinfra"),
        (&[r#"groq own {"workspace_id":"0123456789Ab"}"#], "", "own shared-groq shared-deepinfra"),
        (&[r#"groq own {"workspace_id":"another"}"#], "", "shared-groq shared-deepinfra"),
        // Refused a moment ago: the last, and never left out.
        (&["groq dead", "deepinfra own"], "", "own shared-groq shared-deepinfra dead"),
        (&[r#"groq dead {"is_required":true}"#], "", "shared-deepinfra dead"),
        (&[&mine], "", "own shared-groq shared-deepinfra"),
        (&[&theirs], "", "shared-groq shared-deepinfra"),
        // One that cannot be opened is passed over, but for what its rules keep away.
        (&["groq -"], "", "shared-groq shared-deepinfra"),
        (&[r#"groq - {"is_byok_only":true}"#], "", "shared-deepinfra"),
        (&["anthropic own"], "", "shared-groq shared-deepinfra"),
    ];
    for (keys, more, expected) in rows {
        assert_eq!(tried(&BOTH, keys, more).join(" "), *expected, "{keys:?} {more}");
    }
}

/// A provider without a key of the operator's is live for who brings one.
#[test]
fn an_own_key_makes_its_provider_live() {
    assert_eq!(tried(&[BOTH[1]], &["groq own"], ""), ["own", "shared-deepinfra"]);
    assert_eq!(tried(&[], &["groq own"], ""), ["own"]);
}

#[test]
fn an_own_key_costs_its_fee_alone() {
    // $0.000001875 is what the shared endpoint asks for.
    for (used, fee) in [("0", "0"), ("25000", "0.00000009375")] {
        let mut play = Play::with_own_keys(request(""), &[], &mirror(&["groq own"]), used);
        play.expect(&["hold"]);
        assert_eq!(play.hold() == "0", used == "0", "{}", play.hold());
        play.held().skip();
        play.head(200).chunk(&reply("hi", 9, 4)).end();
        play.skip();
        let told: Value = serde_json::from_str(play.body()).unwrap();
        let usage = &told["usage"];
        let listed = usage["cost_details"]["upstream_inference_cost"].as_f64().unwrap();
        assert_eq!((play.settled(), usage["is_byok"].as_bool()), (fee, Some(true)), "{}", play.body());
        assert_eq!(usage["cost"].as_f64().unwrap(), fee.parse::<f64>().unwrap());
        let record: Value = serde_json::from_str(play.record()).unwrap();
        assert_eq!(
            (record["is_byok"].as_bool(), record["attempts"][0]["is_byok"].as_bool()),
            (Some(true), Some(true))
        );
        assert_eq!(record["upstream_inference_cost"], ((listed * 1e12).round() as i64).to_string());
        assert!(!play.log().contains("own\""), "{}", play.log());
    }
}

/// The plan may fall to a shared key: then all of its price is due, and was set aside.
#[test]
fn the_hold_covers_the_shared_keys() {
    let mut own = Play::with_own_keys(request(""), &BOTH, &mirror(&["groq own"]), "0");
    let mut shared = Play::of(request(""), &BOTH, false);
    own.expect(&["hold"]);
    shared.expect(&["hold"]);
    assert_eq!(own.hold(), shared.hold());
    own.held().skip();
    own.head(429).end().skip();
    own.head(200).chunk(&reply("hi", 9, 4)).end().skip();
    let told: Value = serde_json::from_str(own.body()).unwrap();
    assert_eq!((told["usage"]["is_byok"].as_bool(), own.settled() == "0"), (Some(false), false));
}

/// What a customer's key does is no news of the gateway's.
#[test]
fn health_hears_nothing_of_own_keys() {
    for status in [401, 403, 429, 500] {
        let mut play = Play::with_own_keys(request(""), &BOTH, &mirror(&["groq own"]), "0");
        play.held().skip();
        play.head(status).end();
        let next = ["cancel", "send https://api.groq.com/openai/v1/chat/completions"];
        match status {
            // What is wrong is the key: the isolate remembers for its account.
            401 | 403 => play.expect(&[next[0], "spurned id-0", next[1]]),
            _ => play.expect(&next),
        };
        assert_eq!(play.news(), Vec::<String>::new(), "{status}");
        assert_eq!(play.key(), "Bearer shared-groq", "{status}");
    }
}

/// The owner of a key is told what its provider said; the operator's own is nobody's to read.
#[test]
fn the_owner_is_told_what_is_wrong_with_the_key() {
    for (keys, variables, told) in [(&["groq own"][..], &[][..], true), (&[], &BOTH[..1], false)] {
        let mut play = Play::with_own_keys(request(""), variables, &mirror(keys), "0");
        play.held().skip();
        play.head(401).chunk(r#"{"error":{"message":"key own is no key of ours"}}"#).end().skip();
        assert_eq!(play.body().contains("is no key of ours"), told, "{}", play.body());
        assert_eq!(play.body().contains("\"is_byok\":true"), told, "{}", play.body());
        assert!(!play.body().contains("key own"), "the key itself is taken out: {}", play.body());
    }
}
