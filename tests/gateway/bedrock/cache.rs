//! Points for the cache: where they stand, and how many.

use millrace::chat::Conversation;
use millrace::chat::conversation::{CacheMark, Part, Role, Tool};
use serde_json::json;

use super::requests::{CLAUDE, LLAMA, NOVA, body, write};
use crate::wires::{call, result, text, tool, turn};

#[test]
fn sets_the_last_four_points_for_the_cache() {
    let marked = |text: &str| Part::Text { text: text.into(), cache: Some(CacheMark::FiveMinutes) };
    let mut result = result("c", vec![marked("r"), text("s")]);
    if let Part::ToolResult(result) = &mut result {
        result.cache = Some(CacheMark::OneHour);
    }
    let conversation = Conversation {
        tools: vec![Tool { cache: Some(CacheMark::FiveMinutes), ..tool("f") }],
        turns: vec![
            turn(Role::System, vec![marked("a"), marked("  ")]),
            turn(Role::User, vec![marked("b")]),
            turn(Role::Assistant, vec![marked("c"), call("c", "f", "{}")]),
            turn(Role::User, vec![result, marked("d")]),
        ],
        ..Conversation::default()
    };
    let points = |model| body(&conversation, model).to_string().matches("cachePoint").count();
    let losses = |model| write(&conversation, model).expect("written").losses;
    assert_eq!(points(CLAUDE), 4);
    assert_eq!(losses(CLAUDE), ["cache_control: only the last 4 of 6 are sent"]);
    let sent = body(&conversation, CLAUDE);
    assert_eq!(sent["messages"][2]["content"][1], json!({"cachePoint": {"type": "default", "ttl": "1h"}}));
    assert!(!sent["toolConfig"].to_string().contains("cachePoint"), "the first go");
    // Nova marks no tools.
    assert_eq!((points(NOVA), losses(NOVA).len()), (4, 2));
    assert_eq!(points(LLAMA), 0);
    assert!(losses(LLAMA).iter().any(|loss| loss.contains("cannot be steered")));
}
