//! Requests with what the recordings lack: each must be translated, or refused by name.

pub const CASES: &[(&str, &str)] = &[
    (
        "several instructions, names, a prefill",
        r#"{"model":"m","messages":[{"role":"system","content":"a"},{"role":"developer","content":[{"type":"text","text":"b"}]},{"role":"user","name":"Ann","content":"c"},{"role":"system","content":"later"},{"role":"user","content":[{"type":"text","text":""},{"type":"text","text":"d"}]},{"role":"assistant","content":"So"}]}"#,
    ),
    (
        "calls in one turn, results in another order, one with a picture",
        r#"{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"x":{"type":"number","maximum":1e300}}}}},{"type":"function","function":{"name":"g"}}],"tool_choice":"auto","parallel_tool_calls":true,"messages":[{"role":"user","content":"go"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"x\":1.0}"}},{"id":"functions.g:1","type":"function","function":{"name":"g","arguments":""}}]},{"role":"tool","tool_call_id":"functions.g:1","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]},{"role":"tool","tool_call_id":"call_1","content":""},{"role":"user","content":"and?"}]}"#,
    ),
    (
        "names and ids beyond the limits",
        r#"{"model":"m","tools":[{"type":"function","function":{"name":"a_very_long_name_that_goes_on_and_on_and_on_until_it_is_too_long_1","parameters":{"type":"object"}}},{"type":"function","function":{"name":"a_very_long_name_that_goes_on_and_on_and_on_until_it_is_too_long_2","parameters":{"type":"object"}}},{"type":"function","function":{"name":"dots.and:colons","parameters":{"type":"object"}}}],"tool_choice":{"type":"function","function":{"name":"dots.and:colons"}},"messages":[{"role":"user","content":"go"},{"role":"assistant","tool_calls":[{"id":"chatcmpl-tool-0123456789abcdef0123456789abcdef0123456789abcdef","type":"function","function":{"name":"dots.and:colons","arguments":"{}"}}]},{"role":"tool","tool_call_id":"chatcmpl-tool-0123456789abcdef0123456789abcdef0123456789abcdef","content":"ok"}]}"#,
    ),
    (
        "pictures, a document, sound",
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"high"}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}]}]}"#,
    ),
    (
        "a picture by its address",
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}"#,
    ),
    (
        "sound",
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},{"type":"text","text":"what?"}]}]}"#,
    ),
    (
        "reasoning of every issuer",
        r#"{"model":"m","reasoning":{"max_tokens":2000},"max_tokens":8000,"messages":[{"role":"user","content":"go"},{"role":"assistant","content":"done","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"c2ln","format":"anthropic-claude-v1","index":0},{"type":"reasoning.encrypted","data":"cmVk","format":"anthropic-claude-v1","index":1},{"type":"reasoning.summary","summary":"sum","id":"rs_1","format":"openai-responses-v1","index":2},{"type":"reasoning.encrypted","data":"Z0FB","id":"rs_1","format":"openai-responses-v1","index":3},{"type":"reasoning.encrypted","data":"dGhvdWdodA==","id":"call_1","format":"google-gemini-v1","index":4}],"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"ok"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]}"#,
    ),
    (
        "plain reasoning and a refusal",
        r#"{"model":"m","reasoning_effort":"high","messages":[{"role":"user","content":"go"},{"role":"assistant","content":null,"refusal":"no","reasoning_content":"bad"},{"role":"user","content":"why?"}]}"#,
    ),
    (
        "a schema, and every dial",
        r#"{"model":"m","temperature":0.70,"top_p":1.0,"top_k":40,"min_p":0.05,"frequency_penalty":0.1,"presence_penalty":-0.1,"repetition_penalty":1.1,"seed":42,"stop":["\n\n","END"],"max_completion_tokens":100,"user":"u","metadata":{"a":"b"},"service_tier":"auto","verbosity":"low","prompt_cache_key":"k","logit_bias":{"50256":-100},"logprobs":true,"response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"type":"object","properties":{"n":{"type":"integer","maximum":12345678901234567890}},"required":["n"],"additionalProperties":false}}},"messages":[{"role":"user","content":"go"}]}"#,
    ),
    (
        "any JSON, and thinking switched off",
        r#"{"model":"m","reasoning":{"enabled":false},"response_format":{"type":"json_object"},"messages":[{"role":"user","content":"JSON please"}]}"#,
    ),
    (
        "a custom tool and its history",
        r#"{"model":"m","tools":[{"type":"custom","custom":{"name":"patch","description":"Applies","format":{"type":"text"}}}],"tool_choice":"required","messages":[{"role":"user","content":"go"},{"role":"assistant","tool_calls":[{"id":"c1","type":"custom","custom":{"name":"patch","input":"*** \"Begin\""}}]},{"role":"tool","tool_call_id":"c1","content":"done"}]}"#,
    ),
    (
        "allowed tools",
        r#"{"model":"m","tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}},"messages":[{"role":"user","content":"go"}]}"#,
    ),
    (
        "functions of old",
        r#"{"model":"m","functions":[{"name":"f"}],"messages":[{"role":"user","content":"go"}]}"#,
    ),
    ("several choices", r#"{"model":"m","n":2,"messages":[{"role":"user","content":"go"}]}"#),
    (
        "video",
        r#"{"model":"m","messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://example.com/a.mp4"}}]}]}"#,
    ),
];
