//! Estimates of prompts, against what providers counted and against known vocabularies.

use crate::outlined;
use millrace::json::Outlined;
use std::collections::BTreeMap;

use millrace::chat::Conversation;
use millrace::chat::conversation::{Format, Part};
use millrace::error::Failure;
use millrace::protocol::{anthropic_messages, gemini, openai_chat, openai_completions, openai_responses};
use millrace::tokens::{Family, Pieces, estimate, estimate_text};
use proptest::prelude::*;

use crate::recorded::{Recording, Wire, all, facts};

/// Texts in many scripts, with the tokens that `o200k_base` and `cl100k_base` make of them.
const SAMPLES: &[(&str, &str, u64, u64)] = &[
    (
        "english",
        "A gateway is three hard problems in one: bytes under faults, money exactly once, and a web service on an unusual runtime. The core decides and never waits; the shell waits and never decides.",
        40,
        40,
    ),
    (
        "code",
        "pub fn ceiling(prices: &Prices, size: &RequestSize) -> Option<Money> {\n    let bounds = Bounds::of(prices, size);\n    for limit in [size.max_tokens, max_output] {\n        if limit == 0 { return None; }\n    }\n    bounds.input_cost(prices)\n}\n",
        67,
        67,
    ),
    (
        "json",
        "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"description\": \"The city, such as Paris\"}, \"days\": {\"type\": \"integer\"}}, \"required\": [\"city\"]}",
        46,
        45,
    ),
    (
        "numbers",
        "Invoice 20482: 3 x 149.95 = 449.85, due 2026-11-21, account 4021 7743 9981, ratio 0.3333 of 12,500,000.",
        52,
        52,
    ),
    (
        "german",
        "Das Tor entscheidet, die Hülle wartet: jede Anfrage wird genau einmal abgerechnet, auch wenn die Verbindung zwischen Anbieter und Kundin mitten im Satz abbricht.",
        33,
        45,
    ),
    (
        "french",
        "La passerelle décide et n’attend jamais ; chaque requête est facturée une seule fois, même si la connexion avec le fournisseur est interrompue au milieu d’une phrase.",
        37,
        41,
    ),
    (
        "spanish",
        "La puerta de enlace decide y nunca espera; cada solicitud se cobra una sola vez, aunque la conexión con el proveedor se corte en mitad de una frase.",
        31,
        37,
    ),
    (
        "polish",
        "Bramka decyduje i nigdy nie czeka; każde żądanie jest rozliczane dokładnie raz, nawet jeśli połączenie z dostawcą zostanie przerwane w połowie zdania.",
        47,
        54,
    ),
    (
        "russian",
        "Шлюз решает и никогда не ждёт; каждый запрос оплачивается ровно один раз, даже если соединение с поставщиком обрывается посередине предложения.",
        36,
        61,
    ),
    (
        "greek",
        "Η πύλη αποφασίζει και δεν περιμένει ποτέ· κάθε αίτημα χρεώνεται ακριβώς μία φορά, ακόμη και αν η σύνδεση διακοπεί.",
        40,
        101,
    ),
    (
        "hebrew",
        "השער מחליט ולעולם אינו ממתין; כל בקשה מחויבת בדיוק פעם אחת, גם אם החיבור לספק נקטע באמצע המשפט.",
        35,
        96,
    ),
    (
        "arabic",
        "البوابة تقرر ولا تنتظر أبدا؛ كل طلب يحاسب مرة واحدة فقط، حتى لو انقطع الاتصال بالمزود في منتصف الجملة.",
        33,
        74,
    ),
    (
        "hindi",
        "गेटवे निर्णय लेता है और कभी प्रतीक्षा नहीं करता; हर अनुरोध का शुल्क ठीक एक बार लिया जाता है, भले ही संपर्क बीच में टूट जाए।",
        35,
        123,
    ),
    (
        "thai",
        "เกตเวย์ตัดสินใจและไม่เคยรอ ทุกคำขอถูกคิดเงินเพียงครั้งเดียว แม้ว่าการเชื่อมต่อกับผู้ให้บริการจะขาดกลางประโยค",
        44,
        97,
    ),
    (
        "chinese",
        "网关只做决定，从不等待；每个请求只计费一次，即使与供应商的连接在句子中间断开也是如此。",
        33,
        44,
    ),
    (
        "japanese",
        "ゲートウェイは決定するだけで、決して待ちません。接続が文の途中で切れても、各リクエストは一度だけ課金されます。",
        42,
        57,
    ),
    (
        "korean",
        "게이트웨이는 결정만 하고 절대 기다리지 않습니다. 공급자와의 연결이 문장 중간에 끊어져도 각 요청은 한 번만 청구됩니다.",
        39,
        58,
    ),
    ("emoji", "Ship it 🚀🚀 done ✅ party 🎉 thanks 🙏 and 👍🏽 fire 🔥 hearts ❤️ 💙 ok 👌", 28, 36),
    (
        "base64",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQSflKxwRJSMeKKF2QT4fwpMeJf36POk6yJVadQssw5c",
        102,
        106,
    ),
];

/// As many tokens as a template may differ by, which no share of a short prompt covers.
const SLACK: u64 = 8;

#[test]
fn samples_of_many_scripts_are_within_a_quarter_of_their_vocabularies() {
    for (name, text, large, small) in SAMPLES {
        for (model, tokens) in [("gpt-4o", *large), ("llama-3.3", *small)] {
            let around = estimate_text("", model);
            let said = estimate_text(&text.repeat(8), model) - around;
            let off = said.abs_diff(tokens * 8) * 100 / (tokens * 8);
            println!("{name:12} {model:10} {:5} {said:5} {off:3} %", tokens * 8);
            assert!(off <= 25, "{name} for {model}: {said}, not {}", tokens * 8);
        }
    }
}

/// A recorded request, and what its provider counted of it.
struct Counted {
    name: &'static str,
    model: String,
    prompt: Conversation,
    tokens: u64,
}

impl Counted {
    fn estimate(&self) -> u64 {
        estimate(&self.prompt, &self.model)
    }

    fn is_within(&self, percent: u64) -> bool {
        self.estimate().abs_diff(self.tokens) <= SLACK.max(self.tokens * percent / 100)
    }
}

fn counted(recording: &'static Recording) -> Option<Counted> {
    let body = recording.request.as_deref()?;
    let reply = recording.reply.as_ref().filter(|_| recording.status < 400)?;
    let read: fn(&Outlined) -> Result<Conversation, Failure> = match recording.wire {
        Wire::Chat => openai_chat::read_conversation,
        Wire::Completions => openai_completions::read_conversation,
        Wire::Responses => openai_responses::read_conversation,
        Wire::Messages => anthropic_messages::read_conversation,
        Wire::Gemini => |body| gemini::read_conversation(body.bytes()),
        _ => return None,
    };
    // What a search finds is read as well, and what the tool says of itself.
    let text = String::from_utf8_lossy(body);
    if ["web_search", "google_search", "googleSearch"].iter().any(|tool| text.contains(tool)) {
        return None;
    }
    let prompt = read(&outlined(body)).ok()?;
    let usage = facts(recording.wire, reply, recording.quirks())?.usage?;
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let in_path = || recording.url.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default().to_owned();
    let model = value["model"].as_str().map_or_else(in_path, str::to_owned);
    Some(Counted { name: &recording.name, model, prompt, tokens: usage.total_input() })
        .filter(|counted| counted.tokens > 0 && !has_more(&counted.prompt))
}

/// Whether the provider read more than the request says in text: media, what its own tools found,
/// thinking that it keeps sealed, or its words about how to think.
fn has_more(prompt: &Conversation) -> bool {
    let own = ["(", "display_", "context_management", "citations", "defer_loading", "prompt_cache_options"];
    let has_own = prompt.unspoken.iter().any(|path| own.iter().any(|word| path.contains(word)));
    let parts = || prompt.turns.iter().flat_map(|turn| &turn.parts);
    let hidden = |part: &Part| match part {
        Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => true,
        Part::Reasoning { .. } | Part::SealedReasoning { .. } => true,
        Part::ToolCall(call) => call.seal.is_some(),
        Part::ToolResult(result) => result.parts.iter().any(|part| !matches!(part, Part::Text { .. })),
        Part::Text { .. } | Part::Refusal { .. } => false,
    };
    has_own || prompt.reasoning.as_ref().is_some_and(|it| it.effort.is_some()) || parts().any(hidden)
}

/// What share of them, in percent, is within `percent` of what the provider counted.
fn share(all: &[&Counted], percent: u64) -> usize {
    all.iter().filter(|counted| counted.is_within(percent)).count() * 100 / all.len()
}

#[test]
fn recorded_prompts_are_counted_about_as_their_providers_did() {
    let all: Vec<Counted> = all().iter().filter_map(counted).collect();
    let has_tools = |prompt: &Conversation| !prompt.tools.is_empty();
    let is_text = |prompt: &Conversation| !has_tools(prompt) && prompt.format == Format::Text;
    // Providers put tools into words of their own, which differ from one address to the next.
    check("text", all.iter().filter(|it| is_text(&it.prompt)).collect(), (90, 99));
    check("tools", all.iter().filter(|it| has_tools(&it.prompt)).collect(), (78, 90));
}

/// At least so many percent of `some` are within 15 % and within 30 %.
fn check(kind: &str, some: Vec<&Counted>, (near, far): (usize, usize)) {
    if some.is_empty() {
        return;
    }
    let mut families: BTreeMap<String, Vec<&Counted>> = BTreeMap::new();
    for counted in &some {
        families.entry(format!("{:?}", Family::of(&counted.model))).or_default().push(counted);
    }
    for (family, of) in &families {
        let (near, far) = (share(of, 15), share(of, 30));
        println!("{kind:6} {family:14} {:4}  within 15 %: {near:3} %  within 30 %: {far:3} %", of.len());
        for it in of.iter().filter(|it| !it.is_within(30)) {
            println!("    {}: {} for {} of {}", it.name, it.estimate(), it.tokens, it.model);
        }
    }
    assert!(share(&some, 15) >= near && share(&some, 30) >= far, "{kind}: see what was printed");
}

#[test]
fn an_estimate_grows_with_all_that_is_read_and_with_nothing_else() {
    let with = |body: serde_json::Value| {
        let mut whole = serde_json::json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]});
        whole.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
        let prompt = anthropic_messages::read_conversation(&outlined(whole.to_string())).expect("a request");
        estimate(&prompt, "claude-sonnet-4-5")
    };
    let plain = with(serde_json::json!({}));
    let tool =
        serde_json::json!({"name": "look", "description": "Looks.", "input_schema": {"type": "object"}});
    assert!(with(serde_json::json!({"system": "Be brief."})) > plain);
    assert!(with(serde_json::json!({"tools": [tool]})) > plain + 500);
    assert_eq!(with(serde_json::json!({"tools": [tool], "tool_choice": {"type": "none"}})), plain);
    assert_eq!(with(serde_json::json!({"temperature": 0.5, "metadata": {"user_id": "u"}})), plain);
}

#[test]
fn families_are_told_by_any_name_of_a_model() {
    let rows = [
        ("openai/gpt-4o-mini", Family::Gpt),
        ("gpt-5.2", Family::GptReasoning),
        ("openai/o4-mini", Family::GptReasoning),
        ("openai/gpt-oss-120b", Family::GptOss),
        ("anthropic/claude-sonnet-4", Family::ClaudeOld),
        ("claude-sonnet-4-20250514", Family::ClaudeOld),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Family::Claude),
        ("anthropic/claude-opus-4.7", Family::ClaudeNew),
        ("google/gemini-2.5-flash", Family::Gemini),
        ("meta-llama/llama-3.3-70b-instruct", Family::Llama),
        ("mistralai/devstral-small", Family::Mistral),
        ("qwen/qwen3-32b", Family::Qwen),
        ("deepseek/deepseek-r1-distill-llama-70b", Family::Llama),
        ("x-ai/grok-4-fast", Family::GrokReasoning),
        ("millrace/echo", Family::Other),
        ("", Family::Other),
    ];
    for (model, family) in rows {
        assert_eq!(Family::of(model), family, "{model}");
    }
}

proptest! {
    #[test]
    fn any_text_is_counted_and_no_more_than_its_bytes_allow(text in any::<String>()) {
        let said = estimate_text(&text, "gpt-4o");
        prop_assert!(said >= 1 && said <= 3 + 3 * text.len() as u64);
        let twice = Pieces::of(&format!("{text}\n{text}"));
        prop_assert!(twice.words >= Pieces::of(&text).words);
    }
}
