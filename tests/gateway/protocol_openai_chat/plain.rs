//! Plain chunks, which are read in a quick way, against the thorough way that all others go.

use super::*;

use millrace::protocol::lane::Reader;
use millrace::protocol::openai_chat::StreamReader;

/// Members of a chunk, of its choice and of its delta, plain and not.
const CHUNK: &[&str] = &[
    r#""id":"x""#,
    r#""id":"""#,
    r#""created":7"#,
    r#""model":"m""#,
    r#""usage":null"#,
    r#""service_tier":"default""#,
    r#""service_tier":null"#,
    r#""system_fingerprint":"f""#,
    r#""system_fingerprint":null"#,
    r#""obfuscation":"ab""#,
    r#""error":null"#,
    r#""x":[1, {"a":"\""}]"#,
    r#""usage":{"prompt_tokens":1,"completion_tokens":2}"#,
];
const CHOICE: &[&str] = &[
    r#""finish_reason":null"#,
    r#""finish_reason":"stop""#,
    r#""logprobs":null"#,
    r#""error":null"#,
    r#""stop_reason":null"#,
    r#""index":1"#,
];
const DELTA: &[&str] = &[
    r#""role":"assistant""#,
    r#""content":"""#,
    r#""content":"a\"\u00e9\ud83d\ude00""#,
    r#""content":"\ud800""#,
    r#""content" : null"#,
    r#""reasoning":"b""#,
    r#""reasoning_content":"c""#,
    r#""reasoning_content":null"#,
    r#""refusal":null"#,
    r#""refusal":"no""#,
    r#""tool_calls":null"#,
    r#""tool_calls":[{"index":0,"id":"i","function":{"name":"f","arguments":"{}"}}]"#,
    r#""x":null"#,
];

fn some(members: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(members), 0..4)
}

fn chunk() -> impl Strategy<Value = String> {
    (some(CHUNK), some(CHOICE), some(DELTA), any::<prop::sample::Index>()).prop_map(
        |(mut chunk, choice, delta, place)| {
            let choice: Vec<String> = std::iter::once(r#""index":0"#.to_owned())
                .chain(std::iter::once(format!("\"delta\": {{{}}}", delta.join(" ,"))))
                .chain(choice.into_iter().map(str::to_owned))
                .collect();
            let choices = format!("\"choices\":[{{{}}}]", choice.join(","));
            let place = place.index(chunk.len() + 1);
            chunk.insert(place, &choices);
            format!("{{{}}}", chunk.join(", "))
        },
    )
}

/// The chunk, and chunks that are as it is but for values that differ in any stream.
fn alike(chunk: String) -> Vec<String> {
    let other = |text: &str, padding: &str, created: &str| {
        let chunk = chunk.replace(r#""a\"\u00e9\ud83d\ude00""#, text).replace(r#""b""#, text);
        chunk.replace(r#""ab""#, padding).replace(":7", created)
    };
    vec![
        other("\"\"", "\"\"", ":70"),
        other("\"d\\\\\"", "\"é\\\"\"", ":8"),
        other("\"\\udc00 d\"", "\"\"", ":9"),
        other("\"e\"", "\"f\"", ":08"),
        chunk,
    ]
}

/// The stream as most write it; in all the ways that one may; and with its frames named, which none of the
/// quick ways takes.
fn streams(chunks: &[String]) -> [Vec<u8>; 3] {
    let odd = [("", "\n\n"), ("", "\r\n\r\n"), (": odd\n\n", "\n\n"), ("", "\n\n"), ("id: 1\n", "\n\n")];
    [&[("", "\n\n")][..], &odd, &[("event: message\n", "\n\n")]].map(|ways| {
        let frames = chunks.iter().zip(ways.iter().cycle());
        frames
            .map(|(chunk, (before, end))| format!("{before}data: {chunk}{end}"))
            .collect::<String>()
            .into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_quick_way_tells_what_the_thorough_way_tells(
        chunks in prop::collection::vec(chunk(), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let chunks: Vec<String> = chunks.into_iter().flat_map(alike).collect();
        let [quick, odd, thorough] = streams(&chunks);
        let other = splice_cut(&thorough, usize::MAX);
        for stream in [&quick, &odd] {
            let one = splice_cut(stream, cut.index(stream.len() + 1));
            prop_assert_eq!(&one.0, &other.0, "{:?}", chunks);
            prop_assert_eq!(one.1.facts(), other.1.facts());
        }
        let read = |bytes: &[u8]| {
            let (mut reader, mut events) = (StreamReader::new(ASK, Vec::new()), Vec::new());
            reader.read(bytes, &mut events);
            reader.end_of_input(&mut events);
            (events, reader.facts().clone())
        };
        prop_assert_eq!(read(&quick), read(&thorough), "{:?}", chunks);
    }
}
