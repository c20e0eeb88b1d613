//! The exchange: whatever happens in whatever order, one answer, one settlement, one line of log.

use std::time::Duration;

use millrace::account::{KeyKind, KeySnapshot, Refusal};
use millrace::catalog::{self, Catalog};
use millrace::config::{Config, Hedge, Limits, Settling};
use millrace::exchange::{Arrival, Caller, Exchange, Input, Intent, Routed, Step, routes};
use millrace::health::{Admission, Unknown};
use millrace::id::{AccountId, GenerationId, KeyHash};
use millrace::json::Outlined;
use millrace::money::Money;
use millrace::protocol::bridge::Face;
use millrace::protocol::gemini::Framing;
use millrace::routing::plan;
use millrace::time::Time;

/// What the steps were.
#[derive(Debug, Default)]
struct Seen {
    names: Vec<&'static str>,
    held: Option<Money>,
}

/// The input is a script: a byte for the face, two for the model, then what happens. Letters stand
/// for it, as below; any other byte begins bytes of the provider, up to a zero.
pub fn check(data: &[u8]) {
    let Some((head, script)) = data.split_first_chunk::<3>() else { return };
    let Some((mut exchange, mut now)) = start(*head) else { return };
    let mut seen = Seen::default();
    seen.take(&mut exchange, now);
    let mut rest = script;
    while let Some((first, behind)) = rest.split_first() {
        now = now.plus(Duration::from_millis(1));
        rest = feed(&mut exchange, &mut now, *first, behind);
        seen.take(&mut exchange, now);
    }
    // Whatever came before, a client that leaves after its hold ends everything.
    exchange.feed(now, Input::Held);
    seen.take(&mut exchange, now);
    exchange.feed(now, Input::ClientGone);
    seen.take(&mut exchange, now);
    seen.check();
}

/// Feeds one thing, and returns the rest of the script.
fn feed<'a>(exchange: &mut Exchange, now: &mut Time, what: u8, rest: &'a [u8]) -> &'a [u8] {
    // `O` before it: to the other of two attempts, if there is one.
    let (racer, what, rest) = match rest.split_first() {
        Some((next, behind)) if what == b'O' => (exchange.racer().other(), *next, behind),
        _ => (exchange.racer(), what, rest),
    };
    let status = |status| Input::Head {
        status,
        retry_after_s: Some(u32::from(status) / 100),
        error_type: None,
        exhausted_until: None,
    };
    let input = match what {
        b'H' => Input::Held,
        b'C' => Input::Refused(Refusal::Credit { available: Money::from_pico(5), missing: Money::MAX }),
        b'P' => Input::HeldInPart(Money::from_pico(1)),
        b'N' => Input::Grown(None),
        b'M' => Input::Grown(Some(Money::from_pico(1_000_000_000_000))),
        b'A' => Input::AccountDown,
        b'U' => Input::Unreachable,
        b'B' => Input::Broken,
        b'E' => Input::End,
        b'G' => Input::ClientGone,
        b'2' => status(200),
        b'4' => status(429),
        b'5' => status(503),
        b'T' => {
            *now = now.plus(Duration::from_secs(20));
            Input::Clock
        }
        // Any status, in two bytes.
        b's' => match rest.split_first_chunk::<2>() {
            Some((two, behind)) => {
                exchange.feed_from(*now, racer, status(u16::from_be_bytes(*two) % 1000));
                return behind;
            }
            None => return &[],
        },
        b'\n' => Input::Clock,
        _ => {
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            exchange.feed_from(*now, racer, Input::Chunk(&rest[..end]));
            return rest.get(end + 1..).unwrap_or(&[]);
        }
    };
    exchange.feed_from(*now, racer, input);
    rest
}

impl Seen {
    fn take(&mut self, exchange: &mut Exchange, now: Time) {
        loop {
            let name = match exchange.step() {
                Step::Wait { .. } => return,
                Step::Done => {
                    self.names.push("done");
                    return;
                }
                Step::Hold { amount, .. } => {
                    assert!(!amount.is_negative());
                    self.held = Some(amount);
                    "hold"
                }
                Step::Grow { amount, minimum } => {
                    assert!(minimum <= amount);
                    "grow"
                }
                Step::Fetch(..) => "fetch",
                Step::Admit(_) => {
                    let until = now.plus(Duration::from_secs(1));
                    let admission = match self.names.len() % 5 {
                        0 => Admission::Later,
                        1 => Admission::Not { until },
                        2 => Admission::Probe,
                        _ => Admission::Free,
                    };
                    exchange.feed(now, Input::Admission(admission));
                    continue;
                }
                Step::AdmitSecond(_) => {
                    let admission = if self.names.len() % 3 == 0 { Admission::Later } else { Admission::Free };
                    exchange.feed(now, Input::Admission(admission));
                    continue;
                }
                Step::Pace(..) => {
                    exchange.feed(now, Input::Pace(Some(Duration::from_millis(1))));
                    continue;
                }
                Step::Note(_) => continue,
                Step::Send(..) => "send",
                Step::Remember { .. } => "remember",
                Step::Spurned(_) => "spurned",
                Step::Cancel(_) => "cancel",
                Step::Release(_) => "release",
                Step::Reply(reply) => {
                    let json = serde_json::from_slice::<serde_json::Value>(&reply.body);
                    assert!(json.is_ok(), "{:?}", String::from_utf8_lossy(&reply.body));
                    "reply"
                }
                Step::Begin(_) => "begin",
                Step::Write(_) => "write",
                Step::Close => "close",
                Step::Settle(settlement) | Step::SettleFirst(settlement) => {
                    assert!(!settlement.amount.is_negative());
                    "settle"
                }
                Step::Log(line) => {
                    assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
                    "log"
                }
            };
            self.names.push(name);
        }
    }

    fn check(&self) {
        let count = |wanted: &str| self.names.iter().filter(|name| **name == wanted).count();
        let first = |wanted: &str| self.names.iter().position(|name| *name == wanted);
        let last = |wanted: &str| self.names.iter().rposition(|name| *name == wanted);
        assert!(count("hold") <= 1 && count("settle") <= 1, "{self:?}");
        assert!(count("reply") + count("begin") <= 1 && count("close") <= 1, "{self:?}");
        assert_eq!(count("log"), 1, "{self:?}");
        assert_eq!(self.names.last(), Some(&"done"), "{self:?}");
        assert!(count("write") == 0 || first("begin") < first("write"), "{self:?}");
        assert!(count("close") == 0 || last("write") < last("close"), "{self:?}");
        assert!(count("settle") == 0 || last("send") < first("settle"), "{self:?}");
        assert!(count("send") == 0 || first("hold") < first("send"), "{self:?}");
    }
}

fn start([kind, high, low]: [u8; 3]) -> Option<(Exchange, Time)> {
    let models = catalog::models();
    let model = models[usize::from(u16::from_be_bytes([high, low])) % models.len()].slug;
    let stream = kind & 1 == 1;
    let (face, body) = match kind / 2 % 5 {
        0 => (Face::Chat, format!(r#"{{"model":"{model}","stream":{stream},{MESSAGES}}}"#)),
        1 => (Face::Completions, format!(r#"{{"model":"{model}","stream":{stream},"prompt":"a"}}"#)),
        2 => (Face::Responses, format!(r#"{{"model":"{model}","stream":{stream},"input":"a"}}"#)),
        3 => {
            (Face::Messages, format!(r#"{{"model":"{model}","stream":{stream},"max_tokens":9,{MESSAGES}}}"#))
        }
        _ => (Face::Gemini(Framing::Sse), r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}]}"#.into()),
    };
    let now = Time::from_ms(1_795_270_407_000);
    let body = Outlined::new(body.into_bytes());
    let request = face.read_request(&body, model, stream).expect("a sound request");
    let config = Config::read(&|name| name.ends_with("_API_KEY").then(|| "sk-one,sk-two".to_owned()), Catalog::BUILT_IN);
    let key = snapshot();
    let intent = Intent::read(face, &body, &request, &key, None).expect("nothing to refuse");
    let query = intent.query(&request, Catalog::BUILT_IN, &Unknown, now);
    let plan = plan(&query, &|provider| config.is_live(provider), 1).ok()?;
    let routes = routes(&plan, &config, 1);
    let hedge = (kind & 0x40 != 0).then_some(Hedge { permille: 950, floor: Duration::from_millis(1) });
    let routed = Routed { about: plan.about.clone(), session: intent.session.clone(), hedge, ..Routed::default() };
    let arrival = Arrival {
        now,
        generation: GenerationId::new(now, &[7; 20]),
        key,
        face,
        body,
        request,
        limits: Limits::default(),
        settling: if kind & 0x20 != 0 { Settling::BeforeEnd } else { Settling::AfterEnd },
        show_attempts: kind & 0x80 != 0,
        caller: Caller::default(),
        routed,
    };
    (!routes.is_empty()).then(|| (Exchange::new(arrival, routes), now))
}

const MESSAGES: &str = r#""messages":[{"role":"user","content":"a"}]"#;

fn snapshot() -> KeySnapshot {
    KeySnapshot {
        account: AccountId::parse("0123456789Ab").expect("an id"),
        hash: KeyHash::of("sk-mr-v1-test"),
        kind: KeyKind::Inference,
        version: 1,
        disabled: false,
        deleted: false,
        expires_at: None,
        policy: None,
        byok: false,
        workspace: None,
        member: None,
    }
}
