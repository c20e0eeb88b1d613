//! Plays an exchange: feeds what happens, and renders the steps that follow in a word or two.

use crate::outlined;
use millrace::account::byok::Mirror;
use millrace::account::rate::Limited;
use millrace::account::{KeyKind, KeySnapshot, Refusal};
use millrace::byok::Own;
use millrace::catalog::{Catalog, Provider};
use millrace::chat::conversation::Source;
use millrace::config::{Config, Hedge, Limits};
use millrace::exchange::{
    Arrival, Caller, Exchange, Input, Intent, Racer, Routed, Settlement, Step, routes, routes_with,
};
use millrace::health::{News, Store, Unknown};
use millrace::id::{AccountId, GenerationId, KeyHash};
use millrace::media::{Fetched, Link};
use millrace::money::Money;
use millrace::protocol::bridge::Face;
use millrace::routing::plan;
use millrace::time::Time;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::time::Duration;

/// When most scripts begin.
const NOON: Time = Time::from_ms(1_795_270_407_000);

/// Stands among the variables of a request that may have a second attempt.
const HEDGED: (&str, &str) = ("hedged", "");
const FLOOR: Duration = Duration::from_millis(500);

pub struct Play {
    exchange: Exchange,
    now: Time,
    body: String,
    log: String,
    rate_headers: Vec<String>,
    record: String,
    settled: String,
    hold: String,
    key: String,
    sent: String,
    news: Vec<News>,
    health: Store,
    /// How soon nearly all streams begin, as health says.
    pace: Option<Duration>,
    /// To which of two attempts things happen.
    to: Option<Racer>,
    least: Option<Money>,
}

impl Play {
    pub fn new(members: &str) -> Play {
        Play::start(members, "gsk-a", false, false, NOON)
    }

    pub fn stream(members: &str) -> Play {
        Play::start(members, "gsk-a", true, false, NOON)
    }

    pub fn with_keys(members: &str, groq_keys: &str) -> Play {
        Play::start(members, groq_keys, true, false, NOON)
    }

    /// A stream that may have a second attempt, of which health says that nearly all begin so soon.
    pub fn hedged(members: &str, pace_ms: Option<u64>) -> Play {
        let body = format!(
            r#"{{{members},"stream":true,"messages":[{{"role":"user","content":"PROMPT-CANARY"}}]}}"#
        );
        let keys =
            [("GROQ_API_KEY", "gsk-a"), ("DEEPINFRA_API_KEY", "sk-other"), ("OPENAI_API_KEY", "sk-other")];
        let mut play = Play::at(NOON, body, &[keys.as_slice(), &[HEDGED]].concat(), true);
        play.pace = pace_ms.map(Duration::from_millis);
        play
    }

    pub fn showing_attempts(members: &str) -> Play {
        Play::start(members, "gsk-a", false, true, NOON)
    }

    fn start(members: &str, groq_keys: &str, stream: bool, show_attempts: bool, now: Time) -> Play {
        let body = format!(
            r#"{{{members},"stream":{stream},"messages":[{{"role":"user","content":"PROMPT-CANARY"}}]}}"#
        );
        let others =
            ["DEEPINFRA_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"].map(|name| (name, "sk-other"));
        let variables = [others.as_slice(), &[("GROQ_API_KEY", groq_keys)]].concat();
        Play::at(now, body, &variables, show_attempts)
    }

    /// A whole request, where just these variables are set.
    pub fn of(body: String, variables: &[(&str, &str)], show_attempts: bool) -> Play {
        Play::at(NOON, body, variables, show_attempts)
    }

    /// A whole request in the words of a face, where just these variables are set.
    pub fn asking(face: Face, body: &str, variables: &[(&str, &str)]) -> Play {
        Play::to(NOON, face, body.to_owned(), false, variables, true, none())
    }

    /// A streamed request to the echo model in the words of a face.
    pub fn facing(face: Face, body: &str) -> Play {
        Play::to(NOON, face, body.to_owned(), true, &[], false, none())
    }

    /// The same, whole.
    pub fn whole(face: Face, body: &str) -> Play {
        Play::to(NOON, face, body.to_owned(), false, &[], true, none())
    }

    /// A request of an account with keys of its own, which were used for so many dollars this month.
    pub fn with_own_keys(body: String, variables: &[(&str, &str)], mirror: &str, used: &str) -> Play {
        let mirror: Mirror = serde_json::from_str(mirror).expect("a mirror");
        // What stands for sealed here is the key itself, or nothing where it cannot be opened.
        let opened = mirror.keys.iter().map(|key| Some(key.sealed.clone()).filter(|text| !text.is_empty()));
        let own = Own::new(mirror.clone(), opened.collect(), Catalog::BUILT_IN);
        let used = Money::parse_usd(used).expect("an amount");
        Play::to(NOON, Face::Chat, body, false, variables, false, (own, used, Caller::default()))
    }

    fn at(now: Time, body: String, variables: &[(&str, &str)], show_attempts: bool) -> Play {
        Play::to(now, Face::Chat, body, false, variables, show_attempts, none())
    }

    /// A stream that the client takes as it comes.
    pub fn verbatim(members: &str) -> Play {
        let messages = r#""messages":[{"role":"user","content":"PROMPT-CANARY"}]"#;
        let variables = [("GROQ_API_KEY", "gsk-a"), ("DEEPINFRA_API_KEY", "sk-other")];
        let caller = Caller { verbatim: true, ..Caller::default() };
        let body = format!(r#"{{{members},"stream":true,{messages}}}"#);
        let (own, used, _) = none();
        Play::to(NOON, Face::Chat, body, false, &variables, false, (own, used, caller))
    }

    fn to(
        now: Time,
        face: Face,
        body: String,
        stream: bool,
        variables: &[(&str, &str)],
        show_attempts: bool,
        (own, used, caller): (Own, Money, Caller),
    ) -> Play {
        let config = config(variables);
        let request = face.read_request(&outlined(&body), "millrace/echo", stream);
        let request = request.expect("the script's request is well formed");
        let key = snapshot();
        let intent = Intent::read(face, &outlined(&body), &request, &key, None).expect("well formed");
        let query = intent.query(&request, Catalog::BUILT_IN, &Unknown, now);
        let own = own.allowed(&key, |id| id.ends_with("-spurned"));
        let live = |provider: &Provider| config.is_live(provider) || own.opens(provider);
        let plan = plan(&query, &live, 1).expect("there are endpoints");
        let routes = match own.is_empty() {
            true => routes(&plan, &config, 1),
            false => routes_with(&plan, &config, &own, 1),
        };
        let routed =
            Routed { about: plan.about.clone(), session: intent.session.clone(), ..Routed::default() };
        let hedge = variables.contains(&HEDGED).then_some(Hedge { permille: 950, floor: FLOOR });
        let arrival = Arrival {
            now,
            generation: GenerationId::new(now, &[7; 20]),
            key,
            face,
            body: outlined(&body),
            request,
            limits: Limits::default(),
            settling: config.settling,
            show_attempts,
            caller,
            routed: Routed { hedge, ..routed },
        };
        let mut exchange = Exchange::new(arrival, routes);
        if exchange.has_own_keys() {
            exchange = exchange.with_own_keys(config.byok.terms, used);
        }
        let empty = String::new;
        Play {
            exchange,
            now,
            body: empty(),
            log: empty(),
            rate_headers: Vec::new(),
            record: empty(),
            settled: empty(),
            hold: empty(),
            key: empty(),
            sent: empty(),
            news: Vec::new(),
            least: None,
            health: Store::new("edge".to_owned(), config.key_digests()),
            pace: None,
            to: None,
        }
    }

    fn feed(&mut self, input: Input<'_>) -> &mut Play {
        match self.to {
            Some(racer) => self.exchange.feed_from(self.now, racer, input),
            None => self.exchange.feed(self.now, input),
        }
        self
    }

    /// What follows happens to the first of two attempts.
    pub fn first(&mut self) -> &mut Play {
        self.to = Some(Racer::First);
        self
    }

    pub fn second(&mut self) -> &mut Play {
        self.to = Some(Racer::Second);
        self
    }

    /// What follows happens to whichever attempt there is.
    pub fn either(&mut self) -> &mut Play {
        self.to = None;
        self
    }

    /// Money was set aside; the step that asked for it is taken off.
    pub fn held(&mut self) -> &mut Play {
        self.steps();
        self.feed(Input::Held)
    }

    /// Less was set aside than the request may cost.
    pub fn held_in_part(&mut self, held: Money) -> &mut Play {
        self.feed(Input::HeldInPart(held))
    }

    pub fn grown(&mut self, held: Option<Money>) -> &mut Play {
        self.feed(Input::Grown(held))
    }

    /// What the request can begin with, if it can with less than all.
    pub fn least(&self) -> Option<Money> {
        self.least
    }

    /// What the echo model's dearest prompt costs with so many tokens of output: the least has 512.
    pub fn prompt_and(&self, tokens: i64) -> Money {
        let least = self.least.expect("the request sets no limit").pico();
        Money::from_pico(least + (tokens - 512) * 2_000_000)
    }

    pub fn settled_pico(&self) -> Money {
        Money::parse_usd(&self.settled).expect("an amount")
    }

    pub fn refused_credit(&mut self, available: &str, missing: &str) -> &mut Play {
        let usd = |text: &str| Money::parse_usd(text).expect("an amount");
        self.feed(Input::Refused(Refusal::Credit { available: usd(available), missing: usd(missing) }))
    }

    pub fn refused_rate(&mut self, limited: Limited) -> &mut Play {
        self.feed(Input::Refused(Refusal::Rate(Box::new(limited))))
    }

    pub fn account_down(&mut self) -> &mut Play {
        self.feed(Input::AccountDown)
    }

    /// The gateway's share and its providers', in milliseconds, of a reply that goes out at once.
    pub fn timing(&self) -> (u128, u128) {
        let timing = self.exchange.timing(self.now);
        (timing.gateway.as_millis(), timing.upstream.as_millis())
    }

    /// All links were followed, to the same bytes or to the same failure.
    pub fn fetched(&mut self, links: &[Link], outcome: Result<Source, String>) -> &mut Play {
        let mut fetched = Fetched::default();
        links.iter().for_each(|link| fetched.insert(link, outcome.clone()));
        self.feed(Input::Fetched(fetched))
    }

    pub fn head(&mut self, status: u16) -> &mut Play {
        self.feed(Input::Head { status, retry_after_s: None, error_type: None, exhausted_until: None })
    }

    pub fn head_retry(&mut self, status: u16, seconds: u32) -> &mut Play {
        self.feed(Input::Head {
            status,
            retry_after_s: Some(seconds),
            error_type: None,
            exhausted_until: None,
        })
    }

    /// A head that says when an allowance that has run out is renewed.
    pub fn head_exhausted(&mut self, status: u16, seconds: u64) -> &mut Play {
        let until = self.now.plus(Duration::from_secs(seconds));
        self.feed(Input::Head { status, retry_after_s: None, error_type: None, exhausted_until: Some(until) })
    }

    pub fn chunk(&mut self, text: &str) -> &mut Play {
        self.feed(Input::Chunk(text.as_bytes()))
    }

    /// A chunk that the client got past the exchange, if it lets it.
    pub fn passed(&mut self, text: &str) -> &mut Play {
        assert!(self.exchange.may_pipe(), "the reply may not be piped");
        self.body.push_str(text);
        self.feed(Input::Passed(text.as_bytes()))
    }

    pub fn may_pipe(&self) -> bool {
        self.exchange.may_pipe()
    }

    pub fn end(&mut self) -> &mut Play {
        self.feed(Input::End)
    }

    pub fn broken(&mut self) -> &mut Play {
        self.feed(Input::Broken)
    }

    pub fn unreachable(&mut self) -> &mut Play {
        self.feed(Input::Unreachable)
    }

    pub fn client_gone(&mut self) -> &mut Play {
        self.feed(Input::ClientGone)
    }

    pub fn after_ms(&mut self, ms: u64) -> &mut Play {
        self.now = self.now.plus(Duration::from_millis(ms));
        self.feed(Input::Clock)
    }

    /// The body of the last attempt.
    pub fn sent(&self) -> &str {
        &self.sent
    }

    /// Takes the steps that follow and asserts what they are.
    #[track_caller]
    pub fn expect(&mut self, expected: &[&str]) -> &mut Play {
        assert_eq!(self.steps(), expected);
        self
    }

    /// Takes the steps that follow without looking at them.
    pub fn skip(&mut self) -> &mut Play {
        self.steps();
        self
    }

    /// The steps up to the next wait or the end, in words.
    pub fn steps(&mut self) -> Vec<String> {
        let mut steps = Vec::new();
        loop {
            let step = match self.exchange.step() {
                Step::Wait { .. } => return steps,
                Step::Admit(subject) => {
                    let admission = self.health.admit(&subject, self.now);
                    self.exchange.feed(self.now, Input::Admission(admission));
                    continue;
                }
                Step::AdmitSecond(subject) => {
                    let admission = self.health.admit_second(&subject, self.now);
                    self.exchange.feed(self.now, Input::Admission(admission));
                    continue;
                }
                Step::Pace(subject, permille) => {
                    assert_eq!(permille, 950);
                    // What is known is the script's; that a stream begins is counted all the same.
                    self.health.pace(&subject, permille, self.now);
                    self.exchange.feed(self.now, Input::Pace(self.pace));
                    continue;
                }
                Step::Note(news) => {
                    self.health.take(self.now, &news);
                    self.news.push(news);
                    continue;
                }
                step => self.render(step),
            };
            let done = step == "done";
            steps.push(step);
            if done {
                return steps;
            }
        }
    }

    fn render(&mut self, step: Step) -> String {
        match step {
            Step::Hold { amount, least, .. } => {
                self.hold = amount.to_usd();
                self.least = least;
                "hold".to_owned()
            }
            Step::Grow { .. } => "grow".to_owned(),
            Step::Fetch(racer, links) => format!("fetch{} {}", mark(racer), links.len()),
            Step::Send(racer, outgoing) => {
                let key = outgoing.headers.iter().find(|(name, _)| *name == "authorization");
                self.sent = String::from_utf8(outgoing.body.clone()).expect("JSON is text");
                self.key = key.map(|(_, value)| value.expose().to_owned()).unwrap_or_default();
                match outgoing.embedded {
                    true => "send embedded".to_owned(),
                    false => format!("send{} {}", mark(racer), outgoing.url),
                }
            }
            Step::Wait { .. } | Step::Admit(_) | Step::AdmitSecond(_) | Step::Pace(..) | Step::Note(_) => {
                unreachable!("taken by `steps`")
            }
            Step::Cancel(racer) => format!("cancel{}", mark(racer)),
            Step::Remember { pin, .. } => format!("remember {} {}", pin.model, pin.tag),
            Step::Release(racer) => format!("release{}", mark(racer)),
            Step::Reply(reply) => {
                self.body = String::from_utf8(reply.body).expect("text");
                let told = reply.head.headers.iter().filter(|(name, _)| name.starts_with("X-RateLimit"));
                self.rate_headers = told.map(|(name, value)| format!("{name}: {value}")).collect();
                let retry = reply.head.headers.iter().find(|(name, _)| *name == "retry-after");
                let retry = retry.map(|(_, seconds)| format!(" retry-after {seconds}")).unwrap_or_default();
                format!("reply {}{retry}", reply.head.status)
            }
            Step::Begin(head) => format!("begin {}", head.status),
            Step::Write(bytes) => {
                let text = String::from_utf8(bytes).expect("text");
                self.body.push_str(&text);
                format!("write {}", frames(&text))
            }
            Step::Close => "close".to_owned(),
            Step::Settle(settlement) => self.note_settlement("settle", settlement),
            Step::SettleFirst(settlement) => self.note_settlement("settle first", settlement),
            Step::Spurned(id) => format!("spurned {id}"),
            Step::Log(line) => {
                let value: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
                self.log = line;
                format!("log {}", value["outcome"].as_str().expect("an outcome"))
            }
            Step::Done => "done".to_owned(),
        }
    }

    fn note_settlement(&mut self, step: &str, settlement: Settlement) -> String {
        self.settled = settlement.amount.to_usd();
        self.record = settlement.record;
        format!("{step} {}", self.settled)
    }

    /// The body of the reply, or what was written of a stream.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// What the head of the reply says of a limit of rate.
    pub fn rate_headers(&self) -> Vec<String> {
        self.rate_headers.clone()
    }

    pub fn log(&self) -> &str {
        &self.log
    }

    pub fn record(&self) -> &str {
        &self.record
    }

    /// What was charged, in dollars.
    pub fn settled(&self) -> &str {
        &self.settled
    }

    /// What was to be set aside, in dollars.
    pub fn hold(&self) -> &str {
        &self.hold
    }

    /// What health was told, in words.
    pub fn news(&self) -> Vec<String> {
        self.news.iter().map(|news| format!("{} {:?}", news.subject.tag, news.event)).collect()
    }

    /// The same request again, later, with what health has learned.
    pub fn again(&self, members: &str, groq_keys: &str, stream: bool, after_ms: u64) -> Play {
        let mut next =
            Play::start(members, groq_keys, stream, false, self.now.plus(Duration::from_millis(after_ms)));
        next.health = self.health.clone();
        next
    }

    /// Another request like [`Play::hedged`], with what health has learned.
    pub fn again_hedged(&self) -> Play {
        let mut next = Play::hedged(super::TWO_PROVIDERS, None);
        (next.pace, next.health) = (self.pace, self.health.clone());
        next
    }

    /// The provider's key of the last attempt.
    pub fn key(&self) -> String {
        self.key.clone()
    }
}

fn mark(racer: Racer) -> &'static str {
    match racer {
        Racer::First => "",
        Racer::Second => "2",
    }
}

/// An account without keys of its own.
fn none() -> (Own, Money, Caller) {
    (Own::default(), Money::ZERO, Caller::default())
}

/// What each frame of a stream is, in a word.
fn frames(text: &str) -> String {
    let kind = |frame: &str| match frame {
        frame if frame.starts_with(':') => "comment",
        "data: [DONE]" => "done",
        frame if frame.contains("\"error\":") => "error",
        frame if frame.contains("\"usage\":") => "usage",
        frame if frame.contains("\"finish_reason\":\"") => "finish",
        _ => "content",
    };
    let mut kinds: Vec<&str> = text.split("\n\n").filter(|frame| !frame.is_empty()).map(kind).collect();
    // The chunk with the usage repeats the finish.
    if let Some(at) = kinds.iter().position(|kind| *kind == "usage")
        && !kinds.contains(&"error")
    {
        kinds.insert(at, "finish");
    }
    kinds.join(" ")
}

pub fn delta(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"up\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
    )
}

pub fn finish(reason: &str) -> String {
    format!(
        "data: {{\"id\":\"up\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\n"
    )
}

pub fn usage(prompt: u64, completion: u64) -> String {
    format!(
        "data: {{\"id\":\"up\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[],\
         \"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{}}}}}\n\n",
        prompt + completion
    )
}

pub fn reply(content: &str, prompt: u64, completion: u64) -> String {
    format!(
        "{{\"id\":\"up\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\
         \"message\":{{\"role\":\"assistant\",\"content\":\"{content}\"}},\"finish_reason\":\"stop\"}}],\
         \"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion},\"total_tokens\":{}}}}}",
        prompt + completion
    )
}

/// Feeds anything in any order, and checks what must hold whatever comes: at most one answer, one
/// settlement, and no attempt after output began.
pub fn any_order_settles_at_most_once(members: &str) {
    // Mostly what a good exchange is made of, so that many get far before something goes wrong.
    let input = prop_oneof![2 => 0u8..17, 1 => Just(0), 2 => Just(1), 3 => Just(8)];
    let inputs = proptest::collection::vec(input, 1..40);
    let mut runner = TestRunner::new(ProptestConfig { cases: 2000, ..ProptestConfig::default() });
    let result = runner.run(&(inputs, any::<bool>()), |(inputs, stream)| {
        let mut play = Play::start(members, "gsk-a,gsk-b", stream, false, NOON);
        let mut steps = play.steps();
        for input in inputs {
            feed_any(&mut play, input);
            steps.extend(play.steps());
        }
        // Whatever came before, a client that leaves after its hold ends everything.
        play.feed(Input::Held);
        steps.extend(play.steps());
        play.feed(Input::ClientGone);
        steps.extend(play.steps());
        let count = |prefix: &str| steps.iter().filter(|step| step.starts_with(prefix)).count();
        prop_assert!(count("settle") <= 1, "{:?}", steps);
        prop_assert!(count("reply") + count("begin") <= 1, "{:?}", steps);
        prop_assert!(count("close") <= 1, "{:?}", steps);
        prop_assert_eq!(count("log"), 1, "{:?}", steps);
        prop_assert_eq!(steps.last().map(String::as_str), Some("done"), "{:?}", steps);
        let content = steps.iter().position(|step| step.starts_with("write") && step.contains("content"));
        let sent_after = content.is_some_and(|at| steps[at..].iter().any(|step| step.starts_with("send")));
        prop_assert!(!sent_after, "{:?}", steps);
        Ok(())
    });
    result.expect("holds for every order");
}

fn feed_any(play: &mut Play, input: u8) {
    match input {
        0 => play.feed(Input::Held),
        1 => play.head(200),
        2 => play.head(429),
        3 => play.head(500),
        4 => play.head(400),
        5 => play.unreachable(),
        6 => play.broken(),
        7 => play.end(),
        8 => play.chunk(&delta(r#"{"content":"x"}"#)),
        9 => play.chunk(&finish("stop")),
        10 => play.chunk("data: [DONE]\n\n"),
        11 => play.chunk("data: {\"error\":{\"message\":\"x\"}}\n\n"),
        12 => play.after_ms(30_000),
        13 => play.chunk(&usage(3, 5)),
        14 => play.held_in_part(Money::from_pico(1)),
        15 => play.grown(None),
        _ => play.grown(Some(Money::from_pico(2_000_000_000_000))),
    };
}

fn config(variables: &[(&str, &str)]) -> Config {
    let value = |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    Config::read(&|name| value(name).map(str::to_owned), Catalog::BUILT_IN)
}

pub fn snapshot() -> KeySnapshot {
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
        member: Some("ann".into()),
    }
}
