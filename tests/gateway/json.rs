//! Objects and arrays as pieces of their own text.

mod read;

use crate::outlined;
use std::collections::BTreeMap;

use millrace::json::{self, Edit, Form, Hole, List};
use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

/// Values of all kinds, nested, of which most are objects.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a\"\\\\é\n]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-d\"é]{0,10}", inner), 0..5)
                .prop_map(|members| members.into_iter().collect::<Value>()),
        ]
    })
}

#[test]
fn what_is_half_lacks_the_end_of_something() {
    let whole = ["", " ", "{}", "null", r#"{"a":"}{\\\"["}"#, r#"[{"a":[1]}] "#, r#"{"\u00e9\u2028":"/"}"#];
    for text in whole {
        for cut in 0..=text.len() {
            let Some((one, other)) = text.split_at_checked(cut) else { continue };
            let (mut plain, mut quoted) = (json::Balance::default(), json::Balance::default());
            for piece in [one, other] {
                plain.read(piece);
                quoted.read_quoted(&json::quote(piece));
            }
            assert!(!plain.is_half() && !quoted.is_half(), "{one}|{other}");
            let (mut plain, mut quoted) = (json::Balance::default(), json::Balance::default());
            plain.read(one);
            quoted.read_quoted(&json::quote(one).replace('{', "\\u007b"));
            let half = !one.trim().is_empty() && one != text.trim_end() && one != text && text != "null";
            assert_eq!((plain.is_half(), quoted.is_half()), (half, half), "{one}");
        }
    }
}

#[test]
fn what_is_odd_is_no_outline() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    let wide = format!("{{\"messages\":[{}{{}}]}}", "{\"a\":1},".repeat(json::MOST_PIECES));
    let rows: &[(&[u8], bool, bool)] = &[
        (b"{\"messages\":[{}]}", true, true),
        (b"{\"messages\":[{},1]}", true, false),
        (b"{\"messages\":\"a\",\"input\":[]}", true, false),
        (b"{\"a\":\"\xff\"}", false, false),
        (b"[]", false, false),
        (b"", false, false),
        (deep.as_bytes(), false, false),
        (wide.as_bytes(), true, false),
    ];
    for (bytes, members, messages) in rows {
        let outlined = outlined(bytes);
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert_eq!(outlined.members().is_some(), *members, "{text}");
        assert_eq!(outlined.objects("messages").is_some(), *messages, "{text}");
        assert_eq!(outlined.bytes(), *bytes, "{text}");
    }
}

#[test]
fn members_keep_their_bytes() {
    let text =
        " { \"a\" : 12345678901234567890123 ,\n\"b\\u0063\":1.0, \"d\":\"\\u00e9\\/\", \"e\":[1e21, {}] } ";
    let members = json::members(text).unwrap();
    let seen: Vec<(&str, &str, &str)> =
        members.iter().map(|member| (member.key.as_ref(), member.value, member.text)).collect();
    let expected = [
        ("a", "12345678901234567890123", "\"a\" : 12345678901234567890123"),
        ("bc", "1.0", "\"b\\u0063\":1.0"),
        ("d", "\"\\u00e9\\/\"", "\"d\":\"\\u00e9\\/\""),
        ("e", "[1e21, {}]", "\"e\":[1e21, {}]"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(members.edit(|_| Edit::Keep, &[]), text);
}

#[test]
fn edits_touch_nothing_else() {
    let drop_a = |key: &str| if key == "a" { Edit::Drop } else { Edit::Keep };
    let drop_all = |_: &str| Edit::Drop;
    let value = |key: &str| if key == "b" { Edit::Value("[]".into()) } else { Edit::Keep };
    let member = |key: &str| if key == "b" { Edit::Member("\"c\":3".into()) } else { Edit::Keep };
    type Rule<'a> = &'a dyn Fn(&str) -> Edit;
    let cases: &[(&str, Rule<'_>, &[&str], &str)] = &[
        ("{}", &drop_a, &[], "{}"),
        (" { } ", &drop_a, &[], " { } "),
        (" { } ", &drop_a, &["\"x\":1"], " {\"x\":1 } "),
        ("{\"a\":1}", &drop_a, &[], "{}"),
        ("{\"a\":1}", &drop_a, &["\"x\":1"], "{\"x\":1}"),
        ("{ \"a\":1 , \"b\" : 2 }", &drop_a, &[], "{ \"b\" : 2 }"),
        ("{ \"b\" : 2 , \"a\":1 }", &drop_a, &[], "{ \"b\" : 2 }"),
        (
            "{ \"b\" : 2 ,\"a\":1,\"c\":3}",
            &drop_a,
            &["\"x\":1", "\"y\":2"],
            "{ \"b\" : 2,\"c\":3,\"x\":1,\"y\":2}",
        ),
        ("{\"a\":1,\"b\":2,\"c\":3}", &drop_all, &["\"x\":1"], "{\"x\":1}"),
        ("{\"a\":1, \"b\" : 2, \"c\":3}", &value, &[], "{\"a\":1, \"b\" : [], \"c\":3}"),
        ("{\"a\":1, \"b\" : 2}", &member, &[], "{\"a\":1, \"c\":3}"),
    ];
    for (text, rule, more, expected) in cases {
        let more: Vec<String> = more.iter().map(|text| text.to_string()).collect();
        let edited = json::members(text).unwrap().edit(|member| rule(&member.key), &more);
        assert_eq!(edited, *expected, "{text}");
    }
}

#[test]
fn errors_say_where_and_quote_nothing() {
    let cases = [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\"a\":1", "EOF while parsing an object at line 1 column 6"),
        ("{\"a\":1,}", "trailing comma at line 1 column 8"),
        ("{\n\"secret\" \"secret\"}", "expected `:` at line 2 column 10"),
        ("{\"a\":secret}", "expected value at line 1 column 6"),
        ("{\"a\":1} secret", "trailing characters at line 1 column 9"),
        ("\"secret\"", "expected an object at line 1 column 8"),
        ("\n \"se\\\"cret\" ", "expected an object at line 2 column 11"),
        ("[\"secret\"]", "expected an object at line 1 column 0"),
        ("17", "expected an object at line 1 column 2"),
        ("{\"a\":NaN}", "expected value at line 1 column 6"),
        ("{\"a\":01}", "invalid number at line 1 column 7"),
        (
            "{\"a\":\"\u{1}\"}",
            "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 6",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(json::members(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn reads_scalars_only_as_they_are() {
    assert_eq!(json::string("\"a\\nb\\ud83d\\ude00\"").as_deref(), Some("a\nb😀"));
    assert_eq!(json::string("\"\\ud800\""), None);
    assert_eq!(json::string("1"), None);
    for (text, expected) in [
        ("0", Some(0)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("1.0", None),
        ("1e3", None),
        ("-1", None),
        ("\"1\"", None),
        ("null", None),
    ] {
        assert_eq!(json::whole(text), expected, "{text}");
    }
}

#[test]
fn numbers_are_read_as_the_standard_library_reads_them_nearly() {
    let written = [
        "0",
        "-0",
        "1",
        "-1",
        "+1",
        "1.",
        ".5",
        "-.5e1",
        "0.7",
        "1e3",
        "1E+3",
        "1e-3",
        "12.0",
        "1.5e3",
        "6.02214076e23",
        "9007199254740993",
        "18446744073709551615",
        "123456789012345678901234567890",
        "0.1234567890123456789012345",
        "-0.012345678",
        "1e308",
        "1e309",
        "-1e999999999999",
        "2.2250738585072014e-308",
        "1e-400",
        "0e400",
        "000000000000000000000000.5",
        "0.000000000000000000000000000000000000001",
    ];
    for text in written {
        let (read, expected) = (json::number(text), text.parse::<f64>().expect(text));
        let near = read.is_some_and(|read| read == expected || ((read - expected) / expected).abs() < 1e-14);
        assert!(near, "{text}: {read:?} and {expected:?}");
    }
    for text in [
        "", "-", ".", "e1", "1e", "1e+", "inf", "-inf", "NaN", "1,5", "1 ", " 1", "--1", "1.2.3", "0x1",
        "1e1.5", "ä",
    ] {
        assert_eq!(json::number(text), None, "{text}");
    }
}

#[test]
fn of_two_equal_keys_the_last_counts() {
    let members = json::members("{\"a\":1,\"b\":2,\"\\u0061\":3}").unwrap();
    assert_eq!(members.get("a"), Some("3"));
    assert_eq!(members.duplicate(&["b", "a"]), Some("a"));
    assert_eq!(members.duplicate(&["b", "c"]), None);
}

#[test]
fn depth_costs_no_stack() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let members = json::members(&deep).unwrap();
    assert_eq!(json::elements(members.get("a").unwrap()).unwrap().len(), 1);
}

#[test]
fn pieces_have_a_greatest_number() {
    let array = |count| format!("[{}]", vec!["1"; count].join(","));
    assert_eq!(json::elements(&array(json::MOST_PIECES)).unwrap().len(), json::MOST_PIECES);
    let error = json::elements(&array(json::MOST_PIECES + 1)).unwrap_err();
    assert_eq!(error.message, "more than 65536 members or elements");
    let object = format!("{{{}}}", vec!["\"a\":1"; json::MOST_PIECES + 1].join(","));
    assert_eq!(json::members(&object).unwrap_err().message, "more than 65536 members or elements");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_serde_on_what_is_an_object(text in "[ \\[\\]{}:,\"a1\\\\.e-]{0,24}") {
        let ours = json::members(&text).map(|members| members.iter().count()).ok();
        let is_object = matches!(serde_json::from_str::<Value>(&text), Ok(Value::Object(_)));
        prop_assert_eq!(ours.is_some(), is_object);
    }

    #[test]
    fn agrees_with_serde_on_pieces_and_their_bytes(value in any_value(), gap in "[ \n]{0,2}", broken in any::<prop::sample::Index>(), with in "[\"\\\\{}:,0e\u{1}é]?") {
        let text = value.to_string().replace(',', &format!("{gap},{gap}")).replace(':', &format!("{gap}:{gap}"));
        let at = text.floor_char_boundary(broken.index(text.len()));
        for text in [text.clone(), format!("{}{with}{}", &text[..at], &text[at..]), text[..at].to_owned()] {
            let object = serde_json::from_str::<BTreeMap<String, &RawValue>>(&text).ok();
            let object = object.map(|it| it.into_iter().map(|(key, value)| (key, value.get().to_owned())).collect());
            let ours = json::members(&text).ok();
            let ours = ours.map(|it| it.iter().map(|it| (it.key.to_string(), it.value.to_owned())).collect::<BTreeMap<_, _>>());
            prop_assert_eq!(ours, object, "{}", text);
            let array = serde_json::from_str::<Vec<&RawValue>>(&text).ok();
            let array = array.map(|it| it.into_iter().map(RawValue::get).collect::<Vec<_>>());
            prop_assert_eq!(json::elements(&text).ok(), array, "{}", text);
        }
    }

    #[test]
    fn agrees_with_serde_on_long_strings(pieces in prop::collection::vec(0..40_usize, 0..80)) {
        // Mostly plain, often an escape, now and then what ends a string or is wrong.
        let odd = ["\"", "\n", "\\x", "\\u12", "\\ud83d"];
        let piece = |at: &usize| match at {
            0..24 => "plain text"[..at % 11].to_owned(),
            24..39 => ["\\n", "\\\\", "\\\"", "\\u00e9", "é", "\\u0001", "\\ud83d\\ude00"][at % 7].to_owned(),
            _ => odd[pieces.len() % 5].to_owned(),
        };
        let text = format!("\"{}\"", pieces.iter().map(piece).collect::<String>());
        prop_assert_eq!(json::string(&text).map(Into::into), serde_json::from_str::<String>(&text).ok(), "{}", text);
        prop_assert_eq!(json::string(&text[..text.len() - 1]).is_some(), serde_json::from_str::<String>(&text[..text.len() - 1]).is_ok());
        if let Some(said) = json::string(&text) {
            let own = serde_json::to_string(&said).unwrap();
            prop_assert_eq!(json::quote(&said), own.as_str());
            let mut out = b"before".to_vec();
            json::write_string(&said, &mut out);
            prop_assert_eq!(out, format!("before{own}").into_bytes());
        }
    }

    #[test]
    fn what_is_all_escapes_has_room(length in 60..300_usize, letter in "[\u{0}-\u{1f}\"\\\\aé]") {
        let text = letter.repeat(length);
        let own = json::quote(&text);
        prop_assert_eq!(&own, &serde_json::to_string(&text).unwrap());
        prop_assert_eq!(json::string(&own).map(Into::into), Some(text));
    }

    #[test]
    fn reads_objects_as_one_after_the_other(values in prop::collection::vec(any_value(), 0..4), gap in "[ \n]{0,2}", broken in any::<prop::sample::Index>(), with in "[\"\\\\{}:,0]?") {
        let objects: Vec<String> = values.iter().map(|value| format!("{{\"a\":{value}{gap},{gap}\"b\":{gap}1}}")).collect();
        let text = format!("{gap}[{gap}{}{gap}]{gap}", objects.join(&format!("{gap},{gap}")));
        let at = text.floor_char_boundary(broken.index(text.len()));
        for text in [text.clone(), format!("{}{with}{}", &text[..at], &text[at..]), text[..at].to_owned()] {
            let elements = json::elements(&text).ok();
            let each = elements.and_then(|all| all.into_iter().map(|one| json::members(one).ok()).collect::<Option<Vec<_>>>());
            prop_assert_eq!(json::objects(&text), each, "{}", text);
        }
    }

    #[test]
    fn an_outline_says_what_a_walk_finds(list in any_value(), objects in prop::collection::vec("[ab]{0,3}", 0..4), other in any_value(), name in "messages|input|list", more in ",\"(messages|\\\\u006dessages|input|\\\\uu|b)\":\\[\\{\\}\\]|", gap in "[ \n]{0,2}", broken in any::<prop::sample::Index>(), with in "[\"\\\\{}:,0\u{e9}]?") {
        let objects: Vec<Value> = objects.into_iter().map(|text| serde_json::json!({ "a": text, "b": [{}] })).collect();
        for list in [list, Value::from(objects)] {
            let text = format!("{gap}{{\"o\":{other}{gap},{gap}\"{name}\"{gap}:{gap}{list}{gap}{more}}}{gap}");
            let at = text.floor_char_boundary(broken.index(text.len()));
            for text in [text.clone(), format!("{}{with}{}", &text[..at], &text[at..]), text[..at].to_owned()] {
                let outlined = outlined(&text);
                prop_assert_eq!(outlined.bytes(), text.as_bytes());
                prop_assert_eq!(outlined.members(), json::members(&text).ok(), "{}", text);
                for name in ["messages", "input", "list"] {
                    let found = outlined.objects(name);
                    let walked = outlined.members().and_then(|it| json::objects(it.get(name)?));
                    let is_first = more.is_empty() && name != "list";
                    prop_assert!(found == walked || found.is_none() && !is_first, "{}", text);
                }
                prop_assert_eq!(outlined.into_bytes(), text.as_bytes());
            }
        }
    }

    #[test]
    fn agrees_with_serde_on_strings(text in "[a\"\\\\/\u{0}-\u{20}é😀]{0,20}", quoted in "\"([a/é]|\\\\[\"\\\\nuq]|\\\\u[dD][89c-f]00){0,8}\" ?") {
        let own = json::quote(&text);
        prop_assert_eq!(&own, &serde_json::to_string(&text).unwrap());
        let mut out = Vec::new();
        json::write_string(&text, &mut out);
        prop_assert_eq!(out, own.as_bytes());
        for quoted in [quoted, own] {
            let string = serde_json::from_str::<String>(&quoted).ok();
            prop_assert_eq!(json::string_len(&quoted), string.as_ref().map(String::len), "{}", quoted);
            let read = json::string(&quoted).map(|it| it.into_owned());
            prop_assert_eq!(read, string, "{}", quoted);
        }
    }

    #[test]
    fn dropping_leaves_valid_json(keys in prop::collection::vec("[a-d]", 0..8), dropped in "[a-d]", more in any::<bool>()) {
        let members: Vec<String> = keys.iter().map(|key| format!(" \"{key}\" : \"{key}\" ")).collect();
        let text = format!("{{{}}}", members.join(","));
        let more: Vec<String> = more.then(|| "\"z\":1".to_owned()).into_iter().collect();
        let edit = |member: &json::Member<'_>| if member.key == dropped { Edit::Drop } else { Edit::Keep };
        let edited = json::members(&text).unwrap().edit(edit, &more);
        let kept = keys.iter().filter(|key| **key != dropped).count() + more.len();
        prop_assert_eq!(json::members(&edited).unwrap().iter().count(), kept);
    }
}

/// The form of a text whose words are `w`, its padding `p` and its number `7`.
fn form(text: &str) -> Form {
    let at = |value: &str| &text[text.find(value).unwrap()..][..value.len()];
    let mut form = Form::default();
    form.learn(text, &[(Hole::String, at("\"p\"")), (Hole::Number, at("7")), (Hole::Words, at("\"w\""))]);
    form
}

#[test]
fn a_form_takes_texts_that_differ_in_its_holes_alone() {
    let text = r#"{"n": 7,"delta":{"c":"w"},"more":"p"}"#;
    let form = form(text);
    let taken: [(&str, &str, usize, u64); 5] = [
        (text, "\"w\"", 1, 7),
        (r#"{"n": 0,"delta":{"c":""},"more":""}"#, "\"\"", 0, 0),
        (r#"{"n": 120,"delta":{"c":"a \"b\" \u00e9"},"more":"\\"}"#, r#""a \"b\" \u00e9""#, 8, 120),
        (r#"{"n": 9,"delta":{"c":"é, \"},"},"more":"\"}"}"#, r#""é, \"},""#, 7, 9),
        (
            r#"{"n": 9,"delta":{"c":"a rather long text of words"},"more":"abcdefgh"}"#,
            r#""a rather long text of words""#,
            27,
            9,
        ),
    ];
    for (text, words, said, number) in taken {
        let found = form.words(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((found.json, found.said, found.number), (words, said, number), "{text}");
        assert!(serde_json::from_str::<Value>(text).is_ok());
    }
    let refused = [
        "",
        r#"{"n": 7,"delta":{"c":"w"},"more":"p"} "#,
        r#"{"n": 7,"delta":{"c":"w"},"more":"p""#,
        r#"{"n": 7,"delta":{"c":"w"},"mode":"p"}"#,
        r#"{"n": 7,"delta":{"c":"w"},"more":"\p"}"#,
        r#"{"n": 7,"delta":{"c":"w"},"more":null}"#,
        r#"{"n": 7,"delta":{"c":null},"more":"p"}"#,
        r#"{"n": 7,"delta":{"c":"\ud800"},"more":"p"}"#,
        r#"{"n": 7,"delta":{"c":"w","d":"w"},"more":"p"}"#,
        r#"{"n": 07,"delta":{"c":"w"},"more":"p"}"#,
        r#"{"n": ,"delta":{"c":"w"},"more":"p"}"#,
        r#"{"n": 7.5,"delta":{"c":"w"},"more":"p"}"#,
        r#"{"n": -7,"delta":{"c":"w"},"more":"p"}"#,
        "{\"n\": 7,\"delta\":{\"c\":\"w\n\"},\"more\":\"p\"}",
    ];
    for text in refused {
        assert_eq!(form.words(text.as_bytes()), None, "{text}");
    }
    let broken = [&br#"{"n": 7,"delta":{"c":""#[..], b"\xff", br#""},"more":"p"}"#].concat();
    assert_eq!(form.words(&broken), None);
}

#[test]
fn a_form_without_words_takes_nothing() {
    let text = r#"{"a":"w","b":"v"}"#;
    let (w, v) = (&text[5..8], &text[13..16]);
    let cases: [&[(Hole, &str)]; 6] = [
        &[],
        &[(Hole::String, w)],
        &[(Hole::Words, w), (Hole::Words, v)],
        &[(Hole::Words, w), (Hole::Words, w)],
        &[(Hole::Words, w), (Hole::Number, v)],
        &[(Hole::Words, "elsewhere")],
    ];
    for values in cases {
        let mut form = Form::default();
        form.learn(text, &[(Hole::Words, w)]);
        assert!(form.words(text.as_bytes()).is_some());
        form.learn(text, values);
        assert_eq!(form.words(text.as_bytes()), None, "{values:?}");
    }
}

#[test]
fn a_list_has_its_values_in_order() {
    let mut list = List::with_capacity(0);
    assert_eq!(List::with_capacity(9).end(), "[]");
    list.put("a \"b\"\n");
    list.put_row(&[&"c", &7_u64, &None::<&str>, &Some("d"), &true]);
    list.put_row(&[]);
    list.put(None::<u64>);
    assert_eq!(list.end(), r#"["a \"b\"\n",["c",7,null,"d",true],[],null]"#);
}
