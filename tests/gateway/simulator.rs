//! Plans and health together, over twenty minutes of virtual time: thousands of requests to
//! providers that fail, slow down and run out of room, routed by the gateway and by simpler rules.
//! The table of results is in docs/routing.md; `MILLRACE_WRITE_DOCS=1` writes it there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use litemap::LiteMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use millrace::catalog::Model;
use millrace::health::{Admission, Blame, Event, News, Store, Subject, Tools};
use millrace::time::Time;

use crate::routing::market::{NOW, Wish, model};

/// Requests for each second, and for how long.
const RATE: u64 = 20;
const SECONDS: u64 = 1200;
/// Attempts of one request at most.
const ATTEMPTS: usize = 3;
/// How long a request that is refused takes to be.
const REFUSED_MS: u64 = 150;
/// No second attempt is made sooner.
const FLOOR: Duration = Duration::from_millis(500);

/// The providers, with a price for a million tokens each way. As they are listed is the order of
/// those rules that know no better.
const OFFERS: &str = "cheap 1 1\n steady 3 3\n flaky 1.2 1.2\n brown 1.5 1.5\n limited 0.8 0.8";

/// How a provider answers an attempt.
#[derive(Clone, Copy)]
enum Answer {
    /// The first token after so many milliseconds.
    Served(u64),
    /// A failure after so many milliseconds.
    Failed(u64, Blame),
}

/// The providers' side of the world.
#[derive(Default)]
struct World {
    /// Requests that `limited` took in each second.
    taken: BTreeMap<u64, u32>,
}

impl World {
    fn answer(&mut self, tag: &str, ms: u64, random: u64) -> Answer {
        let minute = ms / 60_000;
        let percent = random % 100;
        // One answer in fifty is slow to begin, for no reason that anybody could know.
        let stray = if (random >> 16).is_multiple_of(50) { 5_000 } else { 0 };
        let spread = (random >> 32) % 400 + stray;
        let failed = || Answer::Failed(REFUSED_MS, Blame::Endpoint);
        match tag {
            // Down from the fifth minute to the eighth.
            "cheap" if (5..8).contains(&minute) => failed(),
            "cheap" => Answer::Served(600 + spread),
            "steady" => Answer::Served(400 + spread),
            "flaky" if percent < 15 => failed(),
            "flaky" => Answer::Served(500 + spread),
            // A brown-out: half fail after a long wait, the others are slow.
            "brown" if (10..14).contains(&minute) && percent < 50 => Answer::Failed(10_000, Blame::Endpoint),
            "brown" if (10..14).contains(&minute) => Answer::Served(9_000 + spread),
            "brown" => Answer::Served(600 + spread),
            // Takes six in a second; beyond that it asks for a pause of five.
            "limited" => {
                let taken = self.taken.entry(ms / 1000).or_default();
                *taken += 1;
                if *taken <= 6 {
                    return Answer::Served(700 + spread);
                }
                let until = Some(NOW.plus(Duration::from_millis(ms + 5_000)));
                Answer::Failed(REFUSED_MS, Blame::Limited { until })
            }
            _ => panic!("{tag} is no provider"),
        }
    }
}

/// How requests find their endpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Gateway,
    /// The same, with a second attempt beside one that is slower than its kind.
    Hedged,
    /// The first that is listed, and nobody else.
    FirstOnly,
    /// Each in turn, and the next ones after it.
    RoundRobin,
    /// In any order.
    Random,
}

const RULES: [(Rule, &str); 5] = [
    (Rule::Gateway, "the gateway"),
    (Rule::Hedged, "the gateway, `MILLRACE_HEDGE=p95`"),
    (Rule::FirstOnly, "the first provider only"),
    (Rule::RoundRobin, "round robin, two fallbacks"),
    (Rule::Random, "random, two fallbacks"),
];

#[derive(Debug)]
struct Outcome {
    requests: u64,
    served: u64,
    attempts: u64,
    /// In millionths of what a request costs at one dollar.
    cost: u64,
    /// To the first token, of those that were served; sorted.
    latencies: Vec<u64>,
}

impl Outcome {
    /// In thousandths of a percent.
    fn availability(&self) -> u64 {
        self.served * 100_000 / self.requests
    }

    /// The mean of those that were served, in thousandths of a dollar.
    fn mean_cost(&self) -> u64 {
        self.cost / self.served / 1000
    }

    fn percentile(&self, percent: usize) -> u64 {
        self.latencies[(self.latencies.len() - 1) * percent / 100]
    }
}

/// A request under way.
struct Request {
    arrived: u64,
    order: Vec<&'static str>,
    attempts: usize,
    /// An attempt whose answer takes longer than its provider's do, while a second is considered.
    slow: Option<Flight>,
    hedged: bool,
}

/// An attempt under way: where, since when, and what will come of it.
#[derive(Clone, Copy)]
struct Flight {
    tag: &'static str,
    sent: u64,
    answer: Answer,
}

/// What the clock brings for a request.
enum Happening {
    News(News),
    /// An attempt failed, and the next is to be made.
    Failed(News),
    /// A second attempt is due.
    Second,
}

impl Flight {
    fn takes(&self) -> u64 {
        match self.answer {
            Answer::Served(after) | Answer::Failed(after, _) => after,
        }
    }

    fn end(&self) -> u64 {
        self.sent + self.takes()
    }

    fn is_served(&self) -> bool {
        matches!(self.answer, Answer::Served(_))
    }

    fn is_sooner(&self, other: &Flight) -> bool {
        self.end() <= other.end()
    }
}

/// How an attempt is let through.
type Admit<'a> = &'a dyn Fn(&mut Store, &Subject, Time) -> Admission;

/// What the clock brings next, by time; of equal times in the order in which they were found.
type Queue = BinaryHeap<Reverse<(u64, u64, usize)>>;

struct Simulation {
    rule: Rule,
    market: &'static Model,
    world: World,
    health: Store,
    random: u64,
    requests: Vec<Request>,
    queue: Queue,
    /// What becomes known at those moments.
    news: BTreeMap<(u64, u64), Happening>,
    events: u64,
    outcome: Outcome,
}

impl Simulation {
    fn run(rule: Rule, market: &'static Model) -> Outcome {
        let outcome = Outcome { requests: 0, served: 0, attempts: 0, cost: 0, latencies: Vec::new() };
        let mut simulation = Simulation {
            rule,
            market,
            world: World::default(),
            health: Store::new("edge".to_owned(), LiteMap::new()),
            random: 7,
            requests: Vec::new(),
            queue: Queue::new(),
            news: BTreeMap::new(),
            events: 0,
            outcome,
        };
        for number in 0..RATE * SECONDS {
            let arrived = number * 1000 / RATE;
            simulation.tell_until(arrived);
            simulation.arrive(arrived);
        }
        simulation.tell_until(u64::MAX);
        simulation.outcome.latencies.sort_unstable();
        simulation.outcome
    }

    /// Lets everything happen up to a moment.
    fn tell_until(&mut self, ms: u64) {
        while let Some(Reverse((at, event, request))) =
            self.queue.peek().copied().filter(|Reverse((at, ..))| *at <= ms)
        {
            self.queue.pop();
            match self.news.remove(&(at, event)).expect("it was put there") {
                Happening::News(news) => self.health.take(time(at), &news),
                Happening::Failed(news) => {
                    self.health.take(time(at), &news);
                    self.attempt(request, at);
                }
                Happening::Second => self.second(request, at),
            }
        }
    }

    fn arrive(&mut self, ms: u64) {
        self.outcome.requests += 1;
        let order = self.order(ms);
        self.requests.push(Request { arrived: ms, order, attempts: 0, slow: None, hedged: false });
        self.attempt(self.requests.len() - 1, ms);
    }

    fn order(&mut self, ms: u64) -> Vec<&'static str> {
        let listed: Vec<&'static str> = self.market.offers.iter().map(|offer| offer.tag).collect();
        let seed = self.next_random();
        match self.rule {
            Rule::Gateway | Rule::Hedged => {
                let survey = Wish::of(&[self.market]).survey_at(&self.health, time(ms), seed);
                survey.entries.iter().map(|entry| entry.candidate.tag).collect()
            }
            Rule::FirstOnly => listed[..1].to_vec(),
            Rule::RoundRobin => {
                let first = self.requests.len() % listed.len();
                listed.iter().cycle().skip(first).take(listed.len()).copied().collect()
            }
            Rule::Random => {
                let mut listed = listed;
                listed.sort_by_key(|tag| tag.bytes().fold(seed, |hash, byte| mix(hash ^ u64::from(byte))));
                listed
            }
        }
    }

    /// Makes the next attempt of a request, if it has any left.
    fn attempt(&mut self, request: usize, ms: u64) {
        let Some(tag) = self.next_endpoint(request, ms) else { return };
        let flight = self.send(request, tag, ms);
        if self.rule == Rule::Hedged && !self.requests[request].hedged {
            let pace = self.health.pace(&self.subject(flight.tag), 950, time(ms));
            if let Some(pace) =
                pace.map(|pace| pace.max(FLOOR).as_millis() as u64).filter(|pace| flight.takes() > *pace)
            {
                self.requests[request].slow = Some(flight);
                return self.happen(ms + pace, request, Happening::Second);
            }
        }
        self.land(request, flight);
    }

    /// Makes a second attempt beside the slow one, if anybody may be asked.
    fn second(&mut self, request: usize, ms: u64) {
        let Some(first) = self.requests[request].slow.take() else { return };
        self.requests[request].hedged = true;
        let Some(tag) = self.next_second(request, ms) else { return self.land(request, first) };
        let second = self.send(request, tag, ms);
        let (sooner, later) = if first.is_sooner(&second) { (first, second) } else { (second, first) };
        if sooner.is_served() {
            let end = sooner.end();
            self.land(request, sooner);
            let waited_ms = (later.sent == first.sent).then(|| (end - later.sent) as u32);
            let news = self.news_of(&later, Event::Outrun { waited_ms });
            return self.happen(end, request, Happening::News(news));
        }
        if let Answer::Failed(_, blame) = sooner.answer {
            let news = self.news_of(&sooner, Event::Failed(blame));
            self.happen(sooner.end(), request, Happening::News(news));
        }
        self.land(request, later);
    }

    fn send(&mut self, request: usize, tag: &'static str, ms: u64) -> Flight {
        self.requests[request].attempts += 1;
        self.outcome.attempts += 1;
        let random = self.next_random();
        Flight { tag, sent: ms, answer: self.world.answer(tag, ms, random) }
    }

    /// Lets an attempt come to its end: a reply, or a failure after which the next is made.
    fn land(&mut self, request: usize, flight: Flight) {
        let end = flight.end();
        match flight.answer {
            Answer::Failed(_, blame) => {
                let news = self.news_of(&flight, Event::Failed(blame));
                self.happen(end, request, Happening::Failed(news));
            }
            Answer::Served(after) => {
                let price =
                    self.market.offers.iter().find(|offer| offer.tag == flight.tag).expect("it is sold");
                self.outcome.served += 1;
                self.outcome.cost += price.prices.prompt.pico() as u64;
                self.outcome.latencies.push(end - self.requests[request].arrived);
                let began = self.news_of(&flight, Event::Began { latency_ms: Some(after as u32) });
                self.happen(end, request, Happening::News(began));
                let complete = Event::Complete { throughput: Some(50), tools: Tools::default() };
                let complete = self.news_of(&flight, complete);
                self.happen(end + 2000, request, Happening::News(complete));
            }
        }
    }

    fn subject(&self, tag: &str) -> Subject {
        Subject { model: self.market.slug.to_owned(), tag: tag.to_owned(), key: None }
    }

    fn news_of(&self, flight: &Flight, event: Event) -> News {
        News { subject: self.subject(flight.tag), sent: time(flight.sent), probe: false, event }
    }

    /// The next in order; for the gateway those first that health lets through, as the exchange does.
    fn next_endpoint(&mut self, request: usize, ms: u64) -> Option<&'static str> {
        let admitted = self.admitted(request, ms, &|health, subject, now| health.admit(subject, now));
        let Request { order, attempts, .. } = &mut self.requests[request];
        (*attempts < ATTEMPTS && !order.is_empty()).then(|| order.remove(admitted.unwrap_or(0)))
    }

    /// The same for a second attempt, which is made where health lets it through or not at all.
    fn next_second(&mut self, request: usize, ms: u64) -> Option<&'static str> {
        let at = self.admitted(request, ms, &|health, subject, now| health.admit_second(subject, now))?;
        Some(self.requests[request].order.remove(at))
    }

    fn admitted(&mut self, request: usize, ms: u64, admit: Admit) -> Option<usize> {
        let Request { order, attempts, .. } = &self.requests[request];
        let market = self.market;
        let health = &mut self.health;
        let mut passes = |tag: &str| {
            let subject = Subject { model: market.slug.to_owned(), tag: tag.to_owned(), key: None };
            matches!(admit(health, &subject, time(ms)), Admission::Free | Admission::Probe)
        };
        match self.rule {
            Rule::Gateway | Rule::Hedged if *attempts < ATTEMPTS => order.iter().position(|tag| passes(tag)),
            _ => None,
        }
    }

    fn happen(&mut self, ms: u64, request: usize, what: Happening) {
        self.events += 1;
        self.queue.push(Reverse((ms, self.events, request)));
        self.news.insert((ms, self.events), what);
    }

    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random)
    }
}

fn mix(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn time(ms: u64) -> Time {
    NOW.plus(Duration::from_millis(ms))
}

fn table(outcomes: &[(&str, Outcome)]) -> String {
    let mut text = String::from(
        "| | served | mean price | median | 95 % | 99 % | attempts |\n|---|---|---|---|---|---|---|\n",
    );
    for (name, outcome) in outcomes {
        let available = outcome.availability();
        let price = outcome.mean_cost();
        let each = outcome.attempts * 100 / outcome.requests;
        writeln!(
            text,
            "| {name} | {}.{:02} % | ${}.{:02} | {:.1} s | {:.1} s | {:.1} s | {}.{:02} |",
            available / 1000,
            available % 1000 / 10,
            price / 1000,
            price % 1000 / 10,
            outcome.percentile(50) as f64 / 1000.0,
            outcome.percentile(95) as f64 / 1000.0,
            outcome.percentile(99) as f64 / 1000.0,
            each / 100,
            each % 100,
        )
        .expect("a string takes text");
    }
    text
}

const BEGIN: &str = "<!-- simulated: begin -->\n";
const END: &str = "<!-- simulated: end -->";

#[test]
fn the_gateway_serves_more_for_less_and_sooner_than_simpler_rules() {
    let market = model("x/m", OFFERS);
    let outcomes = RULES.map(|(rule, name)| (name, Simulation::run(rule, market)));
    let [(_, gateway), (_, hedged), others @ ..] = &outcomes;
    let shown = table(&outcomes);
    assert!(gateway.availability() >= 99_900, "{shown}");
    assert!(hedged.availability() >= gateway.availability(), "{shown}");
    assert!(hedged.percentile(99) * 2 < gateway.percentile(99), "{shown}");
    assert!(hedged.attempts * 100 < gateway.attempts * 110, "one stream in ten at most\n{shown}");
    for (name, other) in others {
        assert!(gateway.availability() > other.availability(), "{name}\n{shown}");
        assert!(gateway.percentile(99) <= other.percentile(99) + 200, "{name}\n{shown}");
    }
    // One provider alone has one price; those that spread pay more.
    for (name, other) in &others[1..] {
        assert!(gateway.mean_cost() < other.mean_cost(), "{name}\n{shown}");
        assert!(gateway.percentile(95) <= other.percentile(95), "{name}\n{shown}");
        assert!(gateway.attempts < other.attempts, "{name}\n{shown}");
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/routing.md");
    let text = std::fs::read_to_string(&page).expect("the page is there");
    let (before, rest) = text.split_once(BEGIN).expect("the page has the table");
    let (told, after) = rest.split_once(END).expect("the table has an end");
    if std::env::var_os("MILLRACE_WRITE_DOCS").is_some() {
        std::fs::write(&page, format!("{before}{BEGIN}{shown}{END}{after}"))
            .expect("the page can be written");
        return;
    }
    assert_eq!(told, shown, "docs/routing.md: MILLRACE_WRITE_DOCS=1 writes it anew");
}
