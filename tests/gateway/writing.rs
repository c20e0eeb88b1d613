//! What the writers of requests have in common.

use crate::outlined;
use millrace::chat::Quirks;
use millrace::protocol::lane::Target;
use millrace::protocol::openai_responses;

use crate::grid::rows::upstreams;

/// As Codex sends it, but for the length of the grammar.
const PATCH: &str = r#"{"model":"m","input":"Go on","tools":[{"type":"custom","name":"apply_patch",
    "description":"Edits files. This is a FREEFORM tool, so do not wrap the patch in JSON.",
    "format":{"type":"grammar","syntax":"lark","definition":"start: begin_patch hunk+ end_patch"}}]}"#;

#[test]
fn a_custom_tool_that_goes_as_a_function_says_where_its_text_goes() {
    let conversation = openai_responses::read_conversation(&outlined(PATCH)).expect("a request");
    for upstream in upstreams().into_iter().filter(|upstream| upstream.name != "openai_responses") {
        let target = Target { model: upstream.model, quirks: &Quirks::NONE, max_output: Some(100) };
        let body = (upstream.write)(&conversation, &target, false).expect(upstream.name).body;
        (upstream.check_request)(&body).expect(upstream.name);
        let body = String::from_utf8(body).expect("text");
        let said =
            ["do not wrap the patch in JSON", "put the whole text in `input`", "start: begin_patch hunk+"];
        for words in said {
            assert!(body.contains(words), "{}: {words} in {body}", upstream.name);
        }
    }
}

#[test]
fn a_custom_tool_stays_one_where_the_provider_knows_such() {
    let target = Target { model: "gpt-5.6", quirks: &Quirks::NONE, max_output: None };
    let sent =
        String::from_utf8(openai_responses::splice_request(&outlined(PATCH), &target).body).expect("text");
    let tools = PATCH.split_once("\"tools\":").expect("tools").1.trim_end_matches('}');
    assert!(sent.contains(tools), "{sent}");
}
