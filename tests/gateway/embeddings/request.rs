//! Requests: what is read of them, what is refused, and what each upstream gets.

use super::*;

#[test]
fn reads_every_kind_of_input() {
    let parts = r#"[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},{"content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}},{"type":"input_video","input_video":{"data":"AA","format":"mp4"}},{"type":"file","file":{"file_data":"https://x/y.pdf"}}]}]"#;
    let cases: &[(&str, InputKind, u32, Option<u64>)] = &[
        (r#""hello""#, InputKind::Text, 1, None),
        (r#"["a","b"]"#, InputKind::Texts, 2, None),
        ("[1,2,3]", InputKind::Tokens, 1, Some(3)),
        ("[[1,2],[3]]", InputKind::TokenLists, 2, Some(3)),
        (parts, InputKind::Multimodal, 2, None),
    ];
    for (input, kind, count, tokens) in cases {
        let request = read(&format!("{{\"model\":\"m\",\"input\":{input}}}")).expect(input);
        assert_eq!((request.input, request.count, request.tokens), (*kind, *count, *tokens), "{input}");
        assert_eq!(request.encoding, Encoding::Float);
    }
    let request = read(&format!("{{\"model\":\"m\",\"input\":{parts}}}")).expect("good");
    assert!(request.needs.images && request.needs.audio && request.needs.files);
    assert_eq!((request.size.images, request.size.audio, request.size.files), (1, 1, 2));
    assert_eq!(request.size.inline_bytes, "data:image/png;base64,AAAA".len() as u64 + 4 + 2);
}

#[test]
fn reads_the_other_members() {
    let body = r#"{"model":"m","input":"a","encoding_format":"base64","dimensions":8,"input_type":"search_query","user":"u","provider":{"only":["x"]}}"#;
    let request = read(body).expect("good");
    assert_eq!(request.encoding, Encoding::Base64);
    assert_eq!(request.dimensions, Some(8));
    assert_eq!(request.input_type.as_deref(), Some("search_query"));
    assert_eq!(request.user.as_deref(), Some("u"));
    assert_eq!(request.provider.as_deref(), Some(r#"{"only":["x"]}"#));
    assert_eq!(request.needs.parameters, ["encoding_format", "dimensions", "input_type"]);
    assert_eq!(request.size.text_bytes, body.len() as u64);
    let routed = request.routed();
    assert_eq!(routed.candidates(), ["m"]);
    assert_eq!((routed.provider, routed.needs, routed.size), (request.provider, request.needs, request.size));
}

#[test]
fn refuses_what_is_wrong_by_name() {
    let cases = [
        (r#"{"input":"SECRET"}"#, "`model` is missing"),
        (r#"{"model":"","input":"SECRET"}"#, "`model` is missing"),
        (r#"{"model":"m"}"#, "`input` is missing"),
        (r#"{"model":"m","input":null}"#, "`input` is missing"),
        (r#"{"model":"m","input":""}"#, "`input` must be a string that is not empty"),
        (r#"{"model":"m","input":[]}"#, "`input` must be not empty"),
        (r#"{"model":"m","input":7}"#, "`input` must be"),
        (r#"{"model":"m","input":["SECRET",""]}"#, "`input[1]`"),
        (r#"{"model":"m","input":["SECRET",1]}"#, "`input[1]`"),
        (r#"{"model":"m","input":[1,"SECRET"]}"#, "`input[1]`"),
        (r#"{"model":"m","input":[1,-2]}"#, "`input[1]`"),
        (r#"{"model":"m","input":[[1],[]]}"#, "`input[1]`"),
        (r#"{"model":"m","input":[{"content":"SECRET"}]}"#, "`input[0].content`"),
        (r#"{"model":"m","input":[{"content":[]}]}"#, "`input[0].content`"),
        (r#"{"model":"m","input":[{"content":[{"type":"SECRET"}]}]}"#, "`input[0].content[0].type`"),
        (r#"{"model":"m","input":[{"content":[{"type":"image_url","image_url":"u"}]}]}"#, "image_url.url`"),
        (r#"{"model":"m","input":"SECRET","encoding_format":"int8"}"#, "`encoding_format`"),
        (r#"{"model":"m","input":"SECRET","dimensions":0}"#, "`dimensions`"),
        (r#"{"model":"m","input":"SECRET","dimensions":1.5}"#, "`dimensions`"),
        (r#"{"model":"m","input":"SECRET","provider":[]}"#, "`provider`"),
        (r#"{"model":"m","input":"SECRET","model":"n"}"#, "`model` is given more than once"),
        (r#"{"model":"m","input":"SECRET","stream":true}"#, "`stream` is not supported"),
        (r#"{"model":"m","input":"SECRET","models":["n"]}"#, "`models` is not supported"),
        (r#"["SECRET"]"#, "not a valid JSON object"),
        (r#"{"model":"m","input":"SECRET"#, "not a valid JSON object"),
    ];
    for (body, words) in cases {
        let failure = read(body).expect_err(body);
        assert_eq!(failure.cause.status(), 400);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
        assert!(!failure.message.contains("SECRET"), "{}", failure.message);
    }
    assert!(read_request(b"{\"model\":\"\xff\"}").is_err());
}

#[test]
fn each_dialect_gets_its_own_spelling() {
    let body = r#"{"model": "m", "input":"a" ,"encoding_format":"float","dimensions":8,"input_type":"search_query","user":"u","x":1.0,"provider":{}}"#;
    let cases: &[(Dialect, &str, &[&str])] = &[
        (
            Dialect::OpenAi,
            r#"{"model": "up/m", "input":"a" ,"encoding_format":"float","dimensions":8,"user":"u","x":1.0}"#,
            &["input_type"],
        ),
        (
            Dialect::Compatible,
            r#"{"model": "up/m", "input":"a" ,"encoding_format":"float","dimensions":8,"input_type":"search_query","user":"u","x":1.0}"#,
            &[],
        ),
        (
            Dialect::Mistral,
            r#"{"model": "up/m", "input":"a","output_dimension":8,"x":1.0}"#,
            &["input_type", "user"],
        ),
        (
            Dialect::Voyage,
            r#"{"model": "up/m", "input":"a","output_dimension":8,"input_type":"query","x":1.0}"#,
            &["user"],
        ),
        (
            Dialect::Perplexity,
            r#"{"model": "up/m", "input":"a","dimensions":8,"x":1.0}"#,
            &["input_type", "user"],
        ),
    ];
    for (dialect, expected, losses) in cases {
        let written = write_request(body.as_bytes(), &TARGET, *dialect);
        assert_eq!(String::from_utf8_lossy(&written.body), *expected, "{dialect:?}");
        let lost: Vec<&str> = written.losses.iter().filter_map(|loss| loss.split(':').next()).collect();
        assert_eq!(lost, *losses, "{dialect:?}");
    }
}

#[test]
fn nulls_stay_where_their_name_is_known() {
    let body = r#"{"model":"m","input":"a","dimensions":null,"user":null,"x":null,"input_type":null}"#;
    let cases = [
        (
            Dialect::Compatible,
            r#"{"model":"up/m","input":"a","dimensions":null,"user":null,"x":null,"input_type":null}"#,
        ),
        (Dialect::OpenAi, r#"{"model":"up/m","input":"a","dimensions":null,"user":null,"x":null}"#),
        (Dialect::Voyage, r#"{"model":"up/m","input":"a","x":null}"#),
    ];
    for (dialect, expected) in cases {
        let written = write_request(body.as_bytes(), &TARGET, dialect);
        assert_eq!((String::from_utf8_lossy(&written.body).as_ref(), written.losses.len()), (expected, 0));
    }
}

#[test]
fn gemini_gets_a_request_for_each_input() {
    let body = r#"{"model":"m","input":["a\u00e9","b"],"dimensions":768,"input_type":"search_document","user":"u","encoding_format":"base64"}"#;
    let written = gemini::write_request(body.as_bytes(), &TARGET).expect("good");
    let one = |text: &str| {
        format!(
            r#"{{"model":"models/up/m","content":{{"parts":[{{"text":"{text}"}}]}},"outputDimensionality":768,"taskType":"RETRIEVAL_DOCUMENT"}}"#
        )
    };
    let expected = format!("{{\"requests\":[{},{}]}}", one("a\\u00e9"), one("b"));
    assert_eq!(String::from_utf8_lossy(&written.body), expected);
    assert_eq!(written.losses, ["user: not expressible in Gemini's embeddings"]);
}

#[test]
fn gemini_gets_every_kind_of_data() {
    let body = r#"{"model":"m","input_type":"odd","input":[{"content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"input_audio","input_audio":{"data":"BB==","format":"wav"}},{"type":"input_video","input_video":{"data":"data:video/mp4;base64,CC==","format":"mp4"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,DD=="}}]}]}"#;
    let written = gemini::write_request(body.as_bytes(), &TARGET).expect("good");
    let request: Value = serde_json::from_slice(&written.body).expect("JSON");
    let inline = |kind: &str, data: &str| json!({"inlineData": {"mimeType": kind, "data": data}});
    let expected = json!([
        {"text": "t"},
        inline("image/png", "AA=="),
        inline("audio/wav", "BB=="),
        inline("video/mp4", "CC=="),
        inline("application/pdf", "DD=="),
    ]);
    assert_eq!(request["requests"][0]["content"]["parts"], expected);
    assert!(written.losses[0].starts_with("input_type:"));
}

#[test]
fn cohere_gets_texts_pictures_or_both() {
    let picture = r#"{"type":"image_url","image_url":{"url":"https://x/y.png"}}"#;
    let cases = [
        (r#""input":"a""#.to_owned(), json!({"texts": ["a"], "input_type": "search_document"})),
        (
            r#""input":["a","b"],"input_type":"query","dimensions":256"#.to_owned(),
            json!({"texts": ["a", "b"], "input_type": "search_query", "output_dimension": 256}),
        ),
        (
            format!(r#""input":[{{"content":[{picture}]}}]"#),
            json!({"images": ["https://x/y.png"], "input_type": "image"}),
        ),
        (
            format!(
                r#""input":[{{"content":[{picture},{{"type":"text","text":"t"}}]}}],"input_type":"clustering""#
            ),
            json!({"inputs": [{"content": [
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                {"type": "text", "text": "t"},
            ]}], "input_type": "clustering"}),
        ),
    ];
    for (members, mut expected) in cases {
        let body = format!("{{\"model\":\"m\",{members}}}");
        let written = cohere::write_request(body.as_bytes(), &TARGET).expect("good");
        expected["model"] = "up/m".into();
        expected["embedding_types"] = json!(["float"]);
        assert_eq!(serde_json::from_slice::<Value>(&written.body).expect("JSON"), expected, "{members}");
    }
    let written = cohere::write_request(br#"{"model":"m","input":"a"}"#, &TARGET).expect("good");
    assert_eq!(written.losses, ["input_type: required by Cohere, sent as `search_document`"]);
}

#[test]
fn what_cannot_be_translated_is_refused() {
    let sound = r#"{"model":"m","input":[{"content":[{"type":"input_audio","input_audio":{"data":"A","format":"wav"}}]}]}"#;
    let link =
        r#"{"model":"m","input":[{"content":[{"type":"image_url","image_url":{"url":"https://x"}}]}]}"#;
    let tokens = r#"{"model":"m","input":[1,2]}"#;
    let lists = r#"{"model":"m","input":[[1,2]]}"#;
    let failures = [
        cohere::write_request(sound.as_bytes(), &TARGET),
        cohere::write_request(tokens.as_bytes(), &TARGET),
        cohere::write_request(lists.as_bytes(), &TARGET),
        gemini::write_request(link.as_bytes(), &TARGET),
        gemini::write_request(tokens.as_bytes(), &TARGET),
        gemini::write_request(lists.as_bytes(), &TARGET),
    ];
    for failure in failures {
        let failure = failure.expect_err("refused");
        assert!(failure.cause.status() == 400 && failure.message.contains("`input"), "{}", failure.message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_the_model_changes(before in unknown(), after in unknown(), blank in "[ \n\t]{0,2}") {
        let text = |model: &str| format!("{{{blank}{before}\"model\"{blank}:\"{model}\",{after}\"input\":[\"\\u00e9\\/\", \"b\"]{blank}}}{blank}");
        prop_assert!(read(&text("m")).is_ok());
        let written = write_request(text("m").as_bytes(), &TARGET, Dialect::Compatible);
        prop_assert_eq!(String::from_utf8_lossy(&written.body).into_owned(), text("up/m"));
        prop_assert!(written.losses.is_empty());
    }

    #[test]
    fn any_input_is_read_or_refused(input in any_value()) {
        let body = json!({"model": "m", "input": input}).to_string();
        if let Ok(request) = read(&body) {
            prop_assert!(request.count >= 1);
            let _ = gemini::write_request(body.as_bytes(), &TARGET);
            let _ = cohere::write_request(body.as_bytes(), &TARGET);
            for dialect in [Dialect::OpenAi, Dialect::Compatible, Dialect::Mistral, Dialect::Voyage] {
                write_request(body.as_bytes(), &TARGET, dialect);
            }
        }
    }
}

fn unknown() -> impl Strategy<Value = String> {
    const VALUES: &[&str] =
        &["12345678901234567890123", "1e21", "1.0", "-0", "true", "[ ]", "\"\\ud800\"", "{\"b\":1,\"b\":2}"];
    let member = (prop::sample::select(&["x", "y_2", "\\u0078", "é", ""][..]), prop::sample::select(VALUES));
    let members = prop::collection::vec(member.prop_map(|(key, value)| format!("\"{key}\": {value},")), 0..4);
    members.prop_map(|members| members.concat())
}

pub fn any_value() -> impl Strategy<Value = Value> {
    let names =
        ["content", "type", "text", "image_url", "url", "embedding", "index", "data", "values", "float"];
    let words = ["", "text", "image_url", "data:image/png;base64,AA==", "AACAPw==", "https://x", "é"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let member = (prop::sample::select(names.to_vec()), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(member, 0..4)
                .prop_map(|all| all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn read(body: &str) -> Result<EmbeddingsRequest, Failure> {
    read_request(body.as_bytes())
}
