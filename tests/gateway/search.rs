//! Searches of the web: how requests ask for them, how providers are asked, what they are held and
//! charged for, and who is told that nobody can.

use crate::outlined;
use millrace::catalog::{self, Catalog, Prices, Protocol, SearchPrice};
use millrace::chat::{RequestSize, Usage, WebSearch};
use millrace::error::Cause;
use millrace::exchange::Intent;
use millrace::health::Unknown;
use millrace::money::{Money, Price};
use millrace::pricing::{ceiling, cost, lines, reported};
use millrace::protocol::bridge::Face;
use millrace::protocol::gemini::Framing;
use millrace::protocol::search::{self, is_online};
use millrace::routing::plan;
use millrace::time::Time;
use serde_json::Value;

use super::exchange::play::{Play, snapshot};

const CHAT: &str = r#""messages":[{"role":"user","content":"x"}]"#;
const ASK: &str = r#""max_tokens":9,"messages":[{"role":"user","content":"x"}]"#;

/// A face, the members beside what is said, and what is read of them: `most`, `demanded` or `optional`,
/// how much is set aside for, and the wishes.
#[test]
fn a_search_is_asked_for_in_many_words() {
    let table = [
        ("chat", r#""model":"a/b:online""#, "demanded 10"),
        ("chat", r#""model":"a/b:nitro:online:floor""#, "demanded 10"),
        ("chat", r#""models":["a/b","c/d:online"]"#, "demanded 10"),
        ("chat", r#""model":"a/online""#, "none"),
        ("chat", r#""plugins":[{"id":"web"}]"#, "demanded 10"),
        ("chat", r#""plugins":[{"id":"web","enabled":false}]"#, "none"),
        ("chat", r#""plugins":[{"id":"web","max_uses":3,"engine":"native"}]"#, "demanded 3"),
        (
            "chat",
            r#""plugins":[{"id":"web","max_results":3}]"#,
            "demanded 10 unspoken plugins[0].max_results",
        ),
        ("chat", r#""plugins":[{"id":"web","include_domains":["a.org"]}]"#, "demanded 10 in a.org"),
        ("chat", r#""plugins":[{"id":"web","engine":"exa"}]"#, "plugins[0].engine"),
        ("chat", r#""plugins":[{"id":"web","max_uses":0}]"#, "plugins[0].max_uses"),
        ("chat", r#""web_search_options":{"search_context_size":"low"}"#, "demanded 10 low"),
        (
            "chat",
            r#""web_search_options":{"user_location":{"type":"approximate","approximate":{"city":"Bonn"}}}"#,
            r#"demanded 10 at "city":"Bonn""#,
        ),
        ("chat", r#""web_search_options":7"#, "web_search_options"),
        (
            "chat",
            r#""tools":[{"type":"openrouter:web_search","parameters":{"max_uses":2,"excluded_domains":["b.org"]}}]"#,
            "demanded 2 out b.org",
        ),
        ("chat", r#""tools":[{"type":"openrouter:datetime"}]"#, "tools[0].type"),
        (
            "messages",
            r#""tools":[{"type":"web_search_20250305","name":"web_search","max_uses":5}]"#,
            "demanded 5",
        ),
        (
            "messages",
            r#""tools":[{"name":"f","input_schema":{}},{"type":"web_search_20250305","name":"web_search"}]"#,
            "demanded 10",
        ),
        ("responses", r#""tools":[{"type":"web_search"}]"#, "demanded 10"),
        ("responses", r#""tools":[{"type":"web_search"},{"type":"function","name":"f"}]"#, "optional 3"),
        (
            "responses",
            r#""tool_choice":{"type":"web_search"},"tools":[{"type":"web_search"},{"type":"function","name":"f"}]"#,
            "demanded 10",
        ),
        ("responses", r#""tools":[{"type":"function","name":"web_search_mine"}]"#, "none"),
        ("gemini", r#""tools":[{"googleSearch":{}}]"#, "demanded 10"),
        ("gemini", r#""tools":[{"google_search":{}}]"#, "demanded 10"),
        ("gemini", r#""tools":[{"functionDeclarations":[{"name":"f"}]}]"#, "none"),
    ];
    for (face, members, expected) in table {
        assert_eq!(told(face, members), expected, "{face} {members}");
    }
    assert!(is_online("a/b:online") && !is_online("online") && !is_online("a/b:onlineish"));
}

fn told(face: &str, members: &str) -> String {
    let (face, said) = match face {
        "chat" => (Face::Chat, CHAT),
        "messages" => (Face::Messages, ASK),
        "responses" => (Face::Responses, r#""input":"x""#),
        _ => (Face::Gemini(Framing::Sse), r#""contents":[{"parts":[{"text":"x"}]}]"#),
    };
    let request = match face.read_request(&outlined(format!("{{{members},{said}}}")), "a/b", false) {
        Ok(request) => request,
        Err(failure) => return failure.message.split('`').nth(1).unwrap_or_default().to_owned(),
    };
    let Some(search) = request.needs.web_search else { return "none".to_owned() };
    let mut words = vec![
        if search.optional { "optional" } else { "demanded" }.to_owned(),
        request.size.web_searches.to_string(),
    ];
    words.extend(search.context_size);
    words.extend(search.allowed_domains.iter().map(|domain| format!("in {domain}")));
    words.extend(search.blocked_domains.iter().map(|domain| format!("out {domain}")));
    words.extend(search.location.map(|place| format!("at {place}")));
    words.extend(search.unspoken.iter().map(|path| format!("unspoken {path}")));
    words.join(" ")
}

#[test]
fn each_wire_is_asked_in_its_own_words() {
    let wishes = || WebSearch {
        max_uses: Some(2),
        context_size: Some("low".into()),
        allowed_domains: vec!["a.org".into()],
        blocked_domains: vec!["b.org".into()],
        location: Some(r#""city":"Bonn""#.into()),
        unspoken: vec!["plugins[0].max_results".into()],
        ..WebSearch::default()
    };
    let table = [
        (
            Protocol::AnthropicMessages,
            r#"{"model":"m","tools":[{"name":"f"}]}"#,
            r#"{"model":"m","tools":[{"name":"f"},{"type":"web_search_20250305","name":"web_search","max_uses":2,"allowed_domains":["a.org"],"user_location":{"type":"approximate","city":"Bonn"}}]}"#,
            "max_results context_size blocked_domains",
        ),
        (
            Protocol::OpenAiResponses,
            r#"{"model":"m"}"#,
            r#"{"model":"m","tools":[{"type":"web_search","search_context_size":"low","filters":{"allowed_domains":["a.org"]},"user_location":{"type":"approximate","city":"Bonn"}}]}"#,
            "max_results blocked_domains max_uses",
        ),
        (
            Protocol::Gemini,
            r#"{"contents":[]}"#,
            r#"{"contents":[],"tools":[{"googleSearch":{}}]}"#,
            "max_results context_size allowed_domains blocked_domains location max_uses",
        ),
        (
            Protocol::OpenAiChat,
            r#"{"model":"m","tools":[{"type":"openrouter:web_search"}]}"#,
            r#"{"model":"m","web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"city":"Bonn"}}}}"#,
            "max_results allowed_domains blocked_domains max_uses",
        ),
    ];
    for (wire, body, expected, lost) in table {
        let mut losses = Vec::new();
        let written = search::add(wire, body.as_bytes(), &wishes(), &mut losses).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        assert_eq!(losses.len(), lost.split(' ').count(), "{wire:?} {losses:?}");
        assert!(lost.split(' ').zip(&losses).all(|(word, loss)| loss.contains(word)), "{wire:?} {losses:?}");
        // Who has the tool already gets no other one.
        let again = search::add(wire, expected.as_bytes(), &wishes(), &mut Vec::new());
        match wire {
            Protocol::AnthropicMessages
            | Protocol::OpenAiResponses
            | Protocol::Gemini
            | Protocol::OpenAiChat => {
                assert_eq!(String::from_utf8(again.unwrap()).unwrap(), expected);
            }
            _ => unreachable!("no row has it"),
        }
    }
    let functions = br#"{"contents":[],"tools":[{"functionDeclarations":[]}]}"#;
    let refused = search::add(Protocol::Gemini, functions, &wishes(), &mut Vec::new()).unwrap_err();
    assert!(refused.message.contains("no functions beside its search"), "{}", refused.message);
}

#[test]
fn what_is_only_on_offer_is_left_out_where_it_cannot_be_had() {
    let both = r#"{"tools":[{"type":"web_search"},{"type":"function"}],"input":1}"#;
    let functions = r#"{"tools":[{"functionDeclarations":[]}],"contents":[]}"#;
    let offer = WebSearch { optional: true, unspoken: vec!["tools[0].x".into()], ..WebSearch::default() };
    let apply = |wire, body: &str, search: &WebSearch, priced| {
        let mut losses = Vec::new();
        let written = search::apply(wire, body.as_bytes(), search, priced, &mut losses);
        (written.map(|body| String::from_utf8(body).unwrap()).map_err(|failure| failure.message), losses)
    };
    let (unpriced, losses) = apply(Protocol::OpenAiResponses, both, &offer, false);
    assert_eq!(unpriced.as_deref(), Ok(r#"{"tools":[{"type":"function"}],"input":1}"#));
    assert_eq!(losses, ["tools (web_search): the endpoint's searches have no price here"]);
    let (beside, losses) = apply(Protocol::Gemini, functions, &offer, true);
    assert_eq!(beside.as_deref(), Ok(functions));
    assert_eq!(losses, ["tools (web_search): the endpoint does not search beside functions"]);
    let demanded = WebSearch { optional: false, ..offer };
    assert!(apply(Protocol::Gemini, functions, &demanded, true).0.is_err());
}

#[test]
fn a_search_has_a_price_of_its_own() {
    let dollars = |text: &str| Money::parse_usd(text).unwrap();
    let price = Price::parse_usd("0.01").unwrap();
    let each = Prices { web_search: Some(SearchPrice { price, once: false }), ..Prices::FREE };
    let once = Prices { web_search: Some(SearchPrice { price, once: true }), ..Prices::FREE };
    for (prices, searches, due, counted) in [
        (each, 0, "0", 0),
        (each, 3, "0.03", 3),
        (once, 0, "0", 0),
        (once, 3, "0.01", 1),
        (Prices::FREE, 3, "0", 0),
    ] {
        let usage = Usage { web_searches: searches, ..Usage::default() };
        let cost = cost(&prices, &usage).unwrap();
        assert_eq!((cost.total, cost.search), (dollars(due), dollars(due)));
        let paid: u64 = lines(&prices, &usage).iter().map(|line| line.count).sum();
        assert_eq!(paid, counted, "the receipt says so");
        let size = RequestSize { web_searches: searches, ..RequestSize::default() };
        assert_eq!(ceiling(&prices, &size, 100_000, Some(10)).unwrap(), dollars(due), "what is held");
    }
    assert_ne!(each.fingerprint(), once.fingerprint());
    assert_ne!(each.fingerprint(), Prices::FREE.fingerprint());
    // What is found is read: tokens of input that no byte of the request bounds.
    let read = Prices { prompt: Price::parse_usd("0.000001").unwrap(), ..each };
    let held = |web_searches| {
        let size = RequestSize { web_searches, ..RequestSize::default() };
        ceiling(&read, &size, 1_000_000, Some(10)).unwrap()
    };
    assert_eq!(held(2).checked_sub(held(0)), Some(dollars("0.052768")), "2 x ($0.01 + 16,384 tokens)");
    // A provider's own word on the cost is shared out among the three.
    let usage = Usage { input: 10_000, web_searches: 1, ..Usage::default() };
    let told = reported(&cost(&read, &usage).unwrap(), dollars("0.04")).unwrap();
    assert_eq!((told.prompt, told.search, told.total), (dollars("0.02"), dollars("0.02"), dollars("0.04")));
}

#[test]
fn what_searches_is_listed_with_its_price_and_its_parameter() {
    for offer in catalog::models().iter().flat_map(|model| model.offers) {
        assert_eq!(
            offer.honours("web_search_options"),
            offer.prices.web_search.is_some(),
            "{}",
            offer.upstream_model
        );
    }
    let once = |slug: &str| {
        let offers = catalog::find(slug).unwrap().offers.iter();
        offers.filter_map(|offer| offer.prices.web_search).map(|search| search.once).collect::<Vec<_>>()
    };
    assert_eq!(once("google/gemini-2.5-pro"), [true, true]);
    assert_eq!(once("google/gemini-3-flash-preview"), [false, false]);
}

/// A face, a body, the variable of the only provider, where the request goes and what of it says so;
/// the provider's reply, what of the client's says so, and what is charged.
#[test]
fn the_providers_own_search_answers_whatever_the_client_speaks() {
    let responses = r#"{"id":"r","status":"completed","output":[{"type":"web_search_call","id":"ws","status":"completed","action":{"type":"search"}},{"type":"web_search_call","id":"wt","status":"completed","action":{"type":"open_page"}},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[{"type":"url_citation","url":"https://a.org","title":"A","start_index":0,"end_index":2}]}]}],"usage":{"input_tokens":1000,"output_tokens":100,"total_tokens":1100}}"#;
    let messages = r#"{"id":"m","type":"message","role":"assistant","model":"x","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},{"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"text","text":"Hi","citations":[{"type":"web_search_result_location","url":"https://a.org","title":"A","encrypted_index":"e","cited_text":"Hi"}]}],"stop_reason":"end_turn","usage":{"input_tokens":1000,"output_tokens":100,"server_tool_use":{"web_search_requests":2}}}"#;
    let gemini = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hi"}]},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["a","b","c"],"groundingChunks":[{"web":{"uri":"https://a.org","title":"A"}}],"groundingSupports":[]}}],"usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":100,"totalTokenCount":1100}}"#;
    let counted = |count: u64| format!(r#""server_tool_use_details":{{"web_search_requests":{count}}}"#);
    let table = [
        // $1.25 and $10 a million, and one search at $0.01: opening a page is none.
        (
            Face::Chat,
            r#""model":"openai/gpt-5:online""#,
            CHAT,
            "OPENAI",
            "/responses",
            r#"{"type":"web_search"}"#,
            responses,
            counted(1),
            "0.01225",
        ),
        (
            Face::Chat,
            r#""model":"openai/gpt-5","web_search_options":{}"#,
            CHAT,
            "OPENAI",
            "/responses",
            r#"{"type":"web_search"}"#,
            responses,
            counted(1),
            "0.01225",
        ),
        (
            Face::Responses,
            r#""model":"openai/gpt-5","tools":[{"type":"web_search"}]"#,
            r#""input":"x""#,
            "OPENAI",
            "/responses",
            r#"{"type":"web_search"}"#,
            responses,
            counted(1),
            "0.01225",
        ),
        (
            Face::Messages,
            r#""model":"openai/gpt-5","tools":[{"type":"web_search_20250305","name":"web_search"}],"tool_choice":{"type":"tool","name":"web_search"}"#,
            ASK,
            "OPENAI",
            "/responses",
            r#"{"type":"web_search"}"#,
            responses,
            r#""server_tool_use":{"web_search_requests":1"#.to_owned(),
            "0.01225",
        ),
        // $3 and $15, and two.
        (
            Face::Chat,
            r#""model":"anthropic/claude-sonnet-4.5","plugins":[{"id":"web","max_uses":4}]"#,
            ASK,
            "ANTHROPIC",
            "/messages",
            r#""web_search_20250305","name":"web_search","max_uses":4"#,
            messages,
            counted(2),
            "0.0245",
        ),
        (
            Face::Messages,
            r#""model":"anthropic/claude-sonnet-4.5:online""#,
            ASK,
            "ANTHROPIC",
            "/messages",
            "web_search_20250305",
            messages,
            r#""web_search_requests":2"#.to_owned(),
            "0.0245",
        ),
        (
            Face::Responses,
            r#""model":"anthropic/claude-sonnet-4.5","tools":[{"type":"web_search"}]"#,
            r#""input":"x""#,
            "ANTHROPIC",
            "/messages",
            "web_search_20250305",
            messages,
            counted(2),
            "0.0245",
        ),
        // $0.30 and $2.50, and the three are one; then $0.50 and $3, and each is one.
        (
            Face::Chat,
            r#""model":"google/gemini-2.5-flash:online""#,
            CHAT,
            "GEMINI",
            ":generateContent",
            r#""tools":[{"googleSearch":{}}]"#,
            gemini,
            counted(3),
            "0.03555",
        ),
        (
            Face::Chat,
            r#""model":"google/gemini-3-flash-preview:online""#,
            CHAT,
            "GEMINI",
            ":generateContent",
            r#""tools":[{"googleSearch":{}}]"#,
            gemini,
            counted(3),
            "0.0428",
        ),
    ];
    for (face, members, said, provider, url, asked, reply, told, charged) in table {
        let variable = format!("{provider}_API_KEY");
        let mut play = Play::asking(face, &format!("{{{members},{said}}}"), &[(&variable, "key")]);
        play.held();
        let steps = play.steps();
        assert!(
            steps.iter().any(|step| step.starts_with("send") && step.ends_with(url)),
            "{members}: {steps:?}"
        );
        assert!(play.sent().contains(asked), "{members}: {}", play.sent());
        assert!(!play.sent().contains(":online") && !play.sent().contains("plugins"), "{}", play.sent());
        play.head(200).chunk(reply).end();
        let steps = play.steps();
        assert_eq!(play.settled(), charged, "{members}: {steps:?} {}", play.body());
        assert!(play.body().contains(&told), "{members}: {}", play.body());
        assert!(play.body().contains("https://a.org"), "{members}: {}", play.body());
        let record: Value = serde_json::from_str(play.record()).unwrap();
        assert!(record["receipt"].to_string().contains("web_search"), "{}", record["receipt"]);
    }
}

/// A stream that breaks off has searched all the same.
#[test]
fn searches_before_a_break_are_charged() {
    let events = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",",
        "\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":25,\"output_tokens\":1,",
        "\"server_tool_use\":{\"web_search_requests\":0}}}}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":",
        "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,",
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,",
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"forty bytes of text are ten tokens about\"}}\n\n",
    );
    let mut play = Play::stream(r#""model":"anthropic/claude-sonnet-4.5:online","max_tokens":50"#);
    play.held().skip().head(200).chunk(events).skip();
    // 25 tokens in at $3 a million, ten out at $15, and a search at $10 a thousand.
    play.client_gone().expect(&["cancel", "log cancelled", "settle 0.010225", "done"]);
}

#[test]
fn a_tool_on_the_side_is_left_out_where_it_has_no_price() {
    let tools = r#""tools":[{"type":"web_search"},{"type":"function","name":"f","parameters":{}}]"#;
    let body = format!(r#"{{"model":"openai/gpt-4.1-nano","input":"x",{tools}}}"#);
    let mut play = Play::asking(Face::Responses, &body, &[("OPENAI_API_KEY", "key")]);
    play.held().skip();
    assert!(!play.sent().contains("web_search") && play.sent().contains("\"name\":\"f\""), "{}", play.sent());
}

#[test]
fn who_asks_what_cannot_search_is_told_what_can() {
    let failure = |members: &str| {
        let body = format!("{{{members},{CHAT}}}");
        let request = Face::Chat.read_request(&outlined(&body), "", false).unwrap();
        let intent = Intent::read(Face::Chat, &outlined(&body), &request, &snapshot(), None).unwrap();
        let query = intent.query(&request, Catalog::BUILT_IN, &Unknown, Time::from_ms(0));
        plan(&query, &|_| true, 1).unwrap_err()
    };
    for members in [
        r#""model":"millrace/echo:online""#,
        r#""model":"openai/gpt-oss-20b","plugins":[{"id":"web"}]"#,
        r#""model":"ollama/anything","web_search_options":{}"#,
    ] {
        let failure = failure(members);
        assert_eq!(failure.cause, Cause::InvalidRequest, "{members}: {}", failure.message);
        for words in
            ["cannot search the web", "supported_parameters=web_search_options", "anthropic/", "openai/"]
        {
            assert!(failure.message.contains(words), "{members}: {}", failure.message);
        }
    }
}
