//! Presets: made of requests, laid under requests, kept in versions.

use crate::outlined;
use millrace::account::document::{Status, Version};
use millrace::preset::{self, Preset, view};
use millrace::protocol::bridge::Face;
use millrace::protocol::gemini::Framing;
use serde_json::{Value, json};

/// What a request names. `-` for no preset.
#[test]
fn a_request_names_a_preset_in_three_ways() {
    for (body, expected) in [
        (json!({ "model": "@preset/mine" }), "mine"),
        (json!({ "model": "openai/gpt-4o@preset/mine" }), "mine"),
        (json!({ "model": "openai/gpt-4o", "preset": "mine" }), "mine"),
        (json!({ "model": "openai/gpt-4o", "preset": "@preset/mine" }), "mine"),
        (json!({ "model": "@preset/mine", "preset": "mine" }), "mine"),
        (json!({ "model": "openai/gpt-4o", "messages": [{ "role": "user", "content": "a preset" }] }), "-"),
        (json!({ "model": "openai/gpt-4o", "preset": null }), "-"),
        (json!({ "model": "@preset/mine", "preset": "other" }), "`model` and `preset` name two presets"),
        (json!({ "preset": 1 }), "`preset` must be a string"),
        (json!({ "model": "@preset/" }), "There is no active preset "),
        (json!({ "model": "@preset/a b" }), "There is no active preset ab"),
    ] {
        let wanted = preset::wanted(&outlined(body.to_string()));
        let said = match wanted {
            Ok(slug) => slug.unwrap_or("-".into()),
            Err(failure) => failure.message,
        };
        assert_eq!(said, expected, "{body}");
    }
    assert_eq!(preset::wanted(&outlined(b"no JSON, preset")), Ok(None));
    for (model, body, expected) in [
        ("a/b@preset/mine", json!({ "contents": [] }), Some("mine")),
        ("@preset/mine", json!({ "contents": [], "preset": "mine" }), Some("mine")),
        ("a/b", json!({ "preset": "mine" }), Some("mine")),
        ("a/b", json!({ "contents": "preset" }), None),
    ] {
        let wanted = preset::wanted_of_path(model, &outlined(body.to_string()));
        assert_eq!(wanted.map_err(drop), Ok(expected.map(str::to_owned)), "{model} {body}");
    }
    assert!(preset::wanted_of_path("@preset/mine", &outlined(br#"{"preset":"other"}"#)).is_err());
}

/// The request wins member by member; what it leaves out comes from the preset.
#[test]
fn a_request_overrides_its_preset() {
    let preset = of_chat(json!({
        "model": "openai/gpt-4o", "temperature": 0.7, "max_tokens": 100, "provider": { "sort": "price" },
        "messages": [{ "role": "system", "content": "Be brief." }],
    }));
    let user = json!({ "role": "user", "content": "hi" });
    let system = json!({ "role": "system", "content": "Be brief." });
    let own = json!({ "role": "developer", "content": "Be long." });
    for (request, expected) in [
        (
            json!({ "model": "@preset/x", "messages": [user] }),
            json!({ "model": "openai/gpt-4o", "messages": [system, user], "temperature": 0.7, "max_tokens": 100,
                "provider": { "sort": "price" } }),
        ),
        (
            json!({ "model": "groq/x@preset/x", "messages": [user], "temperature": 0, "provider": {} }),
            json!({ "model": "groq/x", "messages": [system, user], "temperature": 0, "max_tokens": 100, "provider": {} }),
        ),
        (
            json!({ "model": "groq/x", "preset": "x", "messages": [own, user], "max_completion_tokens": 5 }),
            json!({ "model": "groq/x", "messages": [own, user], "max_completion_tokens": 5, "temperature": 0.7,
                "provider": { "sort": "price" } }),
        ),
        (
            json!({ "preset": "x", "messages": [], "temperature": null, "stream": true }),
            json!({ "model": "openai/gpt-4o", "messages": [system], "temperature": 0.7, "max_tokens": 100,
                "provider": { "sort": "price" }, "stream": true }),
        ),
    ] {
        assert_eq!(applied(Face::Chat, &request, &preset), expected, "{request}");
    }
}

#[test]
fn every_byte_that_is_not_changed_stays() {
    let preset =
        Preset { config: [("top_p".to_owned(), json!(0.5))].into_iter().collect(), system_prompt: None };
    let body =
        r#"{ "model" : "a/b@preset/x",  "seed": 1e2, "messages":[ {"role":"user","content":"\u00e9"} ] }"#;
    let laid = preset::apply(Face::Chat, body.as_bytes(), &preset).unwrap();
    assert_eq!(
        String::from_utf8(laid).unwrap(),
        r#"{ "model" : "a/b",  "seed": 1e2, "messages":[ {"role":"user","content":"\u00e9"} ],"top_p":0.5 }"#
    );
}

#[test]
fn a_preset_without_a_model_needs_one() {
    let preset = of_chat(json!({ "temperature": 1 }));
    let bare = json!({ "model": "@preset/x", "messages": [] }).to_string();
    assert!(preset::apply(Face::Chat, bare.as_bytes(), &preset).is_err());
    let models = json!({ "model": "@preset/x", "models": ["a/b"], "messages": [] });
    assert_eq!(
        applied(Face::Chat, &models, &preset),
        json!({ "models": ["a/b"], "messages": [], "temperature": 1 })
    );
    let preset = of_chat(json!({ "models": ["a/b", "c/d"] }));
    let models = json!({ "model": "@preset/x", "messages": [] });
    assert_eq!(applied(Face::Chat, &models, &preset), json!({ "models": ["a/b", "c/d"], "messages": [] }));
}

#[test]
fn tools_are_united_by_what_they_are() {
    let function = |name: &str, about: &str| json!({ "type": "function", "function": { "name": name, "description": about } });
    let web = json!({ "type": "openrouter:web_search" });
    let advisor = |name: &str| json!({ "type": "openrouter:advisor", "name": name });
    let preset = of_chat(json!({ "model": "a/b", "tools": [function("one", "preset"), web, advisor("x")] }));
    let sent = json!([function("two", "request"), function("one", "request"), advisor("y"), web]);
    let laid = applied(Face::Chat, &json!({ "preset": "x", "messages": [], "tools": sent }), &preset);
    assert_eq!(
        laid["tools"],
        json!([function("one", "request"), web, advisor("x"), function("two", "request"), advisor("y")])
    );
    let alone = applied(Face::Chat, &json!({ "preset": "x", "messages": [] }), &preset);
    assert_eq!(alone["tools"].as_array().unwrap().len(), 3);
}

/// One preset in the words of each protocol; made of a request of any, it says the same.
#[test]
fn a_preset_is_for_every_protocol() {
    let schema = json!({ "type": "object" });
    let chat = json!({
        "model": "a/b", "max_tokens": 9, "temperature": 0.5, "stop": ["x"], "tool_choice": "required",
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": schema } }],
        "reasoning": { "effort": "high" },
        "messages": [{ "role": "system", "content": "S" }],
    });
    let messages = json!({
        "model": "a/b", "max_tokens": 9, "temperature": 0.5, "stop_sequences": ["x"], "tool_choice": { "type": "any" },
        "tools": [{ "name": "f", "input_schema": schema }], "thinking": { "type": "adaptive" },
        "output_config": { "effort": "high" }, "system": [{ "type": "text", "text": "S" }], "messages": [],
    });
    let responses = json!({
        "model": "a/b", "max_output_tokens": 9, "temperature": 0.5, "tool_choice": "required",
        "tools": [{ "type": "function", "name": "f", "parameters": schema }], "reasoning": { "effort": "high" },
        "instructions": "S", "input": "x",
    });
    let preset = of_chat(chat.clone());
    assert_eq!(preset::read_request(Face::Messages, messages.to_string().as_bytes()).unwrap(), preset);
    let mut without_stop = preset.clone();
    without_stop.config.remove("stop");
    assert_eq!(
        preset::read_request(Face::Responses, responses.to_string().as_bytes()).unwrap(),
        without_stop
    );

    let mut expected = messages;
    expected["system"] = json!("S");
    assert_eq!(applied(Face::Messages, &json!({ "model": "@preset/x", "messages": [] }), &preset), expected);
    assert_eq!(applied(Face::Responses, &json!({ "model": "@preset/x", "input": "x" }), &preset), responses);
    assert_eq!(Preset::from_json(&preset.to_json()), Some(preset));
}

/// What a protocol has no words for stays out.
#[test]
fn completions_embeddings_and_rerank_take_what_they_know() {
    let preset = of_chat(json!({
        "model": "a/b", "max_completion_tokens": 9, "temperature": 0.5, "stop": ["x"], "provider": { "sort": "price" },
        "tools": [{ "type": "function", "function": { "name": "f" } }], "reasoning": { "effort": "high" },
        "messages": [{ "role": "system", "content": "S" }],
    }));
    for (face, request, expected) in [
        (
            Face::Completions,
            json!({ "model": "@preset/x", "prompt": "p", "temperature": 0 }),
            json!({ "model": "a/b", "prompt": "p", "temperature": 0, "max_tokens": 9, "stop": ["x"],
                "provider": { "sort": "price" } }),
        ),
        (
            Face::Embeddings,
            json!({ "preset": "x", "input": "p" }),
            json!({ "model": "a/b", "input": "p", "provider": { "sort": "price" } }),
        ),
        (
            Face::Rerank,
            json!({ "model": "c/d@preset/x", "query": "q", "documents": ["d"] }),
            json!({ "model": "c/d", "query": "q", "documents": ["d"], "provider": { "sort": "price" } }),
        ),
    ] {
        let laid = applied(face, &request, &preset);
        assert_eq!(laid, expected, "{request}");
        assert!(face.read_request(&outlined(laid.to_string()), "", false).is_ok(), "{laid}");
    }
}

#[test]
fn gemini_takes_a_preset_by_its_path() {
    let schema = json!({ "type": "object" });
    let preset = of_chat(json!({
        "model": "a/b", "max_tokens": 9, "temperature": 0.5, "top_p": 0.1, "stop": "x", "tool_choice": "required",
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": schema } }],
        "reasoning": { "max_tokens": 50 }, "provider": { "sort": "price" }, "seed": 3,
        "response_format": { "type": "json_schema", "json_schema": { "schema": schema } },
        "messages": [{ "role": "system", "content": "S" }],
    }));
    let contents = json!([{ "role": "user", "parts": [{ "text": "hi" }] }]);
    let lay = |model: &str, request: Value| {
        let laid = preset::apply_by_path(model, request.to_string().as_bytes(), &preset);
        let (model, body) = laid.map_err(|failure| failure.message)?;
        Ok::<(String, Value), String>((model, serde_json::from_slice(&body).expect("JSON")))
    };
    let request = json!({ "contents": contents, "preset": "x", "generationConfig": { "temperature": 0, "candidateCount": 2 } });
    let expected = json!({
        "contents": contents,
        "provider": { "sort": "price" },
        "tools": [{ "functionDeclarations": [{ "name": "f", "parametersJsonSchema": schema }] }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY" } },
        "systemInstruction": { "parts": [{ "text": "S" }] },
        "generationConfig": { "temperature": 0, "candidateCount": 2, "topP": 0.1, "stopSequences": ["x"], "seed": 3,
            "maxOutputTokens": 9, "thinkingConfig": { "thinkingBudget": 50 },
            "responseMimeType": "application/json", "responseJsonSchema": schema },
    });
    let (model, laid) = lay("@preset/x", request).expect("it has a model");
    assert_eq!((model.as_str(), &laid), ("a/b", &expected));
    let face = Face::Gemini(Framing::Sse);
    assert!(face.read_request(&outlined(laid.to_string()), &model, false).is_ok(), "{laid}");
    let own = json!({ "contents": contents, "systemInstruction": { "parts": [] }, "tools": [] });
    let (model, laid) = lay("c/d@preset/x", own).expect("it has one of its own");
    assert_eq!(model, "c/d");
    assert_eq!((&laid["systemInstruction"], &laid["tools"]), (&json!({ "parts": [] }), &json!([])));
    assert!(preset::apply_by_path("@preset/x", b"{}", &of_chat(json!({ "seed": 1 }))).is_err());
}

#[test]
fn reasoning_keeps_its_meaning_in_messages() {
    for (reasoning, thinking) in [
        (json!({ "max_tokens": 2000 }), json!({ "type": "enabled", "budget_tokens": 2000 })),
        (json!({ "enabled": false }), json!({ "type": "disabled" })),
        (json!({ "effort": "none" }), json!({ "type": "disabled" })),
        (json!({ "enabled": true }), json!({ "type": "adaptive" })),
    ] {
        let preset = of_chat(json!({ "model": "a/b", "reasoning": reasoning }));
        let laid = applied(Face::Messages, &json!({ "preset": "x", "messages": [] }), &preset);
        assert_eq!(laid["thinking"], thinking, "{reasoning}");
    }
    let preset = of_chat(json!({ "model": "a/b", "seed": 1, "logprobs": true }));
    let laid = applied(Face::Messages, &json!({ "preset": "x", "messages": [] }), &preset);
    assert_eq!(laid, json!({ "model": "a/b", "messages": [] }), "Messages has no words for these");
}

#[test]
fn what_is_no_setting_is_not_kept() {
    let preset = of_chat(json!({
        "model": "a/b", "messages": [{ "role": "user", "content": "secret" }], "prompt": "secret", "input": "secret",
        "stream": true, "user": "someone", "seed": null,
    }));
    assert_eq!(preset.to_json(), r#"{"config":{"model":"a/b"},"system_prompt":null}"#);
    for (body, words) in [
        ("[]", "The body is not a JSON object"),
        (r#"{"model":"@preset/x"}"#, "`model` must not name a preset"),
        (r#"{"models":[1]}"#, "`model` and `models` must hold strings"),
    ] {
        let failure = preset::read_request(Face::Chat, body.as_bytes()).unwrap_err();
        assert!(failure.message.starts_with(words), "{body}: {}", failure.message);
    }
    let long = json!({ "stop": "x".repeat(preset::BODY_BYTES) }).to_string();
    assert_eq!(preset::read_request(Face::Chat, long.as_bytes()).unwrap_err().cause.status(), 413);
}

#[test]
fn a_change_names_what_it_changes() {
    let change =
        preset::read_change("x", br#"{"status":"disabled","designated_version":2,"name":"N"}"#).unwrap();
    assert_eq!(
        (change.status, change.version, change.name.as_deref()),
        (Some(Status::Disabled), Some(2), Some("N"))
    );
    for body in
        ["[]", r#"{"slug":"y"}"#, r#"{"status":"gone"}"#, r#"{"designated_version":"2"}"#, r#"{"name":1}"#]
    {
        assert!(preset::read_change("x", body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn versions_are_shown_as_openrouter_shows_them() {
    let body = of_chat(json!({ "model": "a/b" })).to_json();
    let at = millrace::time::Time::from_ms(0);
    let version = Version { id: "v".into(), number: 2, body, creator: "key_1".into(), created_at: at };
    let list: Value = serde_json::from_str(&view::write_versions(&[version], "p", 7)).unwrap();
    assert_eq!(
        list,
        json!({ "total_count": 7, "data": [{
            "id": "v", "preset_id": "p", "creator_id": "key_1", "version": 2, "config": { "model": "a/b" },
            "system_prompt": null, "created_at": "1970-01-01T00:00:00.000Z", "updated_at": "1970-01-01T00:00:00.000Z",
        }] })
    );
}

fn of_chat(request: Value) -> Preset {
    preset::read_request(Face::Chat, request.to_string().as_bytes()).unwrap()
}

fn applied(face: Face, request: &Value, preset: &Preset) -> Value {
    let laid = preset::apply(face, request.to_string().as_bytes(), preset).unwrap();
    serde_json::from_slice(&laid).unwrap()
}
