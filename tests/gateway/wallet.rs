//! Isolates with wallets and their account, over a network that loses, repeats and delays what they
//! say, while isolates are killed and days go by: no charge is lost that was reported or can still
//! be, none is made twice, and what a killed isolate takes with it is less than its leases held.

pub mod world;

use std::time::Duration;

use millrace::account::budget::{Per, Scope};
use millrace::account::rate::{RateLimit, Take};
use millrace::account::wallet::{Admission, Draw, Next, Sending, Wallet};
use millrace::account::{Held, LeaseState, Part, Refusal, Report, Reported};
use millrace::id::KeyHash;
use millrace::money::Money;
use millrace::routing::rate::FreeLimits;
use millrace::time::Time;
use proptest::prelude::*;

use crate::account::script::{START, generation, usd};
use world::{Event, ISOLATES, World};

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_made_twice_or_overspent(
        credit in prop_oneof![1_000..20_000i64, 100..100_000i64],
        limit in prop::option::weighted(0.3, 100..20_000i64),
        events in prop::collection::vec(event(), 1..300),
    ) {
        let mut world = World::new(credit, limit);
        for event in &events {
            world.happen(event);
            prop_assert_eq!(world.check(), Ok(()));
        }
        world.settle_down();
        prop_assert_eq!(world.check_end(), Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_minute_has_more_than_its_limit_and_no_more_are_under_way(
        rates in rates(),
        events in prop::collection::vec(event(), 1..300),
    ) {
        let mut world = World::rated(10_000_000, rates);
        for event in &events {
            world.happen(event);
            prop_assert_eq!(world.check(), Ok(()));
        }
        world.settle_down();
        prop_assert_eq!(world.check_end(), Ok(()));
    }
}

fn rates() -> impl Strategy<Value = RateLimit> {
    let some = |range| prop::option::weighted(0.6, range);
    let most =
        (some(1..100u64), some(50..2_000u64), some(1..60u64), prop::option::weighted(0.2, Just("x/*")));
    let with_one =
        |(requests, tokens, concurrent, model): (Option<u64>, Option<u64>, Option<u64>, Option<&str>)| {
            let requests = requests.or((tokens, concurrent).eq(&(None, None)).then_some(9));
            RateLimit {
                id: "r".into(),
                scope: Scope::Account,
                subject: String::new(),
                per: Per::All,
                model: model.map(str::to_owned),
                requests_per_minute: requests,
                tokens_per_minute: tokens,
                concurrent_requests: concurrent,
            }
        };
    most.prop_map(with_one)
}

fn event() -> impl Strategy<Value = Event> {
    let pause = prop_oneof![90 => 0..200u64, 16 => 0..4_000u64, 4 => 0..12_000u64, 1 => 0..100_000_000u64];
    let share = prop_oneof![Just(100i64), 0..=100i64];
    let parts = (0..100u32, 0..ISOLATES, any::<usize>(), 0..100i64, share, pause, any::<bool>());
    parts.prop_map(|(verb, isolate, which, amount, percent, pause_ms, flag)| Event {
        verb,
        isolate,
        which,
        amount,
        percent,
        pause_ms,
        flag,
    })
}

/// Two reports of a lease are answered in the other order, the first with a charge on it.
#[test]
fn answers_in_the_other_order_leave_nothing_behind() {
    let events = [
        (0, 0, 0usize, 65, 100, 0, false),
        (0, 2, 0usize, 0, 100, 0, false),
        (0, 2, 0usize, 0, 100, 0, false),
        (0, 2, 0usize, 0, 100, 0, false),
        (25, 0, 0usize, 0, 100, 0, false),
        (25, 0, 1107319433184481552usize, 0, 100, 0, false),
        (0, 0, 0usize, 0, 100, 0, false),
        (25, 0, 0usize, 0, 100, 0, false),
        (25, 0, 105704479259659839usize, 0, 100, 0, false),
        (25, 0, 0usize, 0, 100, 0, false),
        (0, 1, 0usize, 3, 100, 0, false),
        (25, 0, 947785813928982113usize, 0, 100, 0, true),
        (25, 0, 3638872727725217100usize, 0, 100, 0, false),
        (25, 0, 11434202475923893867usize, 0, 100, 0, true),
        (25, 0, 1417163026925598696usize, 0, 100, 0, true),
        (0, 1, 0usize, 4, 100, 0, false),
        (66, 1, 0usize, 0, 100, 0, false),
        (0, 2, 0usize, 0, 100, 0, false),
        (0, 2, 0usize, 0, 100, 0, false),
        (0, 2, 0usize, 0, 100, 0, false),
        (66, 1, 0usize, 0, 100, 0, false),
        (0, 2, 118288698usize, 88, 100, 144, false),
        (89, 1, 7426798151027923624usize, 35, 100, 58, true),
        (41, 2, 14946003167080979358usize, 11, 46, 197, true),
        (7, 0, 15057009583718238825usize, 74, 100, 109, true),
        (67, 1, 17448745362248808072usize, 74, 100, 2573, true),
        (88, 1, 11354764237966322176usize, 44, 100, 184, false),
    ];
    let mut world = World::new(2135, None);
    for (verb, isolate, which, amount, percent, pause_ms, flag) in events {
        world.happen(&Event { verb, isolate, which, amount, percent, pause_ms, flag });
        assert_eq!(world.check(), Ok(()));
    }
    world.settle_down();
    assert_eq!(world.check_end(), Ok(()));
}

/// A report of a lease is answered after one that came later to the account, with a charge on the lease.
#[test]
fn an_answer_that_a_later_charge_has_overtaken_promises_less() {
    let asks = |which, amount| (0, 0, which, amount, 0);
    let mut events = vec![asks(0, 50), (30, 0, 0, 0, 0), (30, 1, 0, 0, 0), (78, 0, 0, 0, 50), asks(2, 49)];
    events.extend([asks(2, 50); 7]);
    events.extend([(0, 1, 0, 0, 0), (78, 0, 0, 0, 50), (30, 0, 0, 0, 0)]);
    events.extend([asks(2, 50); 6]);
    events.extend([2620, 2638, 6, 0, 6, 6].map(|which| (50, 0, which, 0, 0)));
    events.push(asks(2, 60));
    let mut world = World::new(60_100, Some(2000));
    for (verb, isolate, which, amount, percent) in events {
        world.happen(&Event { verb, isolate, which, amount, percent, pause_ms: 0, flag: false });
        assert_eq!(world.check(), Ok(()));
    }
    world.settle_down();
    assert_eq!(world.check_end(), Ok(()));
}

#[test]
fn a_warm_isolate_asks_nobody() {
    let mut desk = Desk::new("100");
    desk.ask("a", "0.01");
    for name in ["b", "c", "d"] {
        assert!(matches!(desk.admit(name, "0.01"), Admission::Admitted(_)), "{name}");
    }
}

#[test]
fn a_lease_ends_with_its_time_and_its_money() {
    for (later_ms, amount, admitted) in
        [(0, "0.07", true), (0, "0.09", false), (9_999, "0.01", true), (10_000, "0.01", false)]
    {
        let mut desk = Desk::new("100");
        desk.ask("a", "0.01");
        desk.later(later_ms);
        let admission = desk.admit("b", amount);
        assert_eq!(matches!(admission, Admission::Admitted(_)), admitted, "{later_ms} {amount}");
    }
}

#[test]
fn charges_gather_for_a_second_or_until_there_are_64() {
    let mut desk = Desk::new("1000");
    desk.ask("a", "0.01");
    for number in 0..63 {
        desk.serve(&format!("n{number}"), "0.0001");
    }
    assert!(
        matches!(desk.wallet.next(desk.now), Next::Wait(at) if at <= desk.now.plus(Duration::from_secs(1)))
    );
    assert_eq!(desk.wallet.urgent(desk.now), None);
    desk.serve("n63", "0.0001");
    let Some(Sending { report, .. }) = desk.wallet.urgent(desk.now) else { panic!("64 charges wait") };
    assert_eq!(report.charges.len(), 64);
    let mut desk = Desk::new("1000");
    desk.ask("a", "0.01");
    desk.serve("b", "0.0001");
    desk.later(1000);
    assert!(matches!(desk.wallet.next(desk.now), Next::Send(_)));
}

/// While one report is on its way, what ends meanwhile gathers for the next.
#[test]
fn those_who_wait_for_their_charges_share_reports() {
    let mut desk = Desk::new("1000");
    desk.ask("a", "0.01");
    for name in ["b", "c", "d"] {
        desk.serve(name, "0.0001");
    }
    let first = desk.wallet.until_charged(desk.now, &generation("b"));
    let Next::Send(Sending { number, report }) = first else { panic!("{first:?}") };
    assert_eq!(report.charges.len(), 3);
    desk.serve("e", "0.0001");
    for name in ["b", "c", "e"] {
        let next = desk.wallet.until_charged(desk.now, &generation(name));
        assert_eq!(next, Next::Wait(desk.now.plus(Duration::from_millis(1))), "{name}");
    }
    let answer = desk.world.tell(desk.now, &report);
    desk.wallet.answered(desk.now, number, answer);
    assert_eq!(desk.wallet.until_charged(desk.now, &generation("b")), Next::Done);
    let next = desk.wallet.until_charged(desk.now, &generation("e"));
    let Next::Send(Sending { number, report }) = next else { panic!("{next:?}") };
    assert_eq!(report.charges.len(), 1);
    // A report that takes long holds nobody else back, and one that failed is made again.
    desk.serve("f", "0.0001");
    desk.later(100);
    assert!(matches!(desk.wallet.until_charged(desk.now, &generation("f")), Next::Send(_)));
    desk.wallet.failed(desk.now, number);
    let next = desk.wallet.until_charged(desk.now, &generation("e"));
    let Next::Wait(until) = next else { panic!("{next:?}") };
    desk.now = until;
    assert!(matches!(desk.wallet.until_charged(desk.now, &generation("e")), Next::Send(_)));
}

#[test]
fn a_request_with_a_hold_of_its_own_is_settled_at_once() {
    let mut desk = Desk::new("0.02");
    let ticket = desk.ask("a", "0.01");
    desk.wallet.settle(desk.now, ticket, usd("0.001"), Some("{}".into()));
    assert!(desk.wallet.urgent(desk.now).is_some());
    assert_eq!(desk.wallet.urgent(desk.now), None);
}

#[test]
fn what_is_not_used_is_given_back() {
    let mut desk = Desk::new("100");
    let ticket = desk.ask("a", "0.01");
    desk.wallet.settle(desk.now, ticket, usd("0.001"), Some("{}".into()));
    desk.carry();
    assert!(desk.held() > Money::ZERO, "kept for a while");
    desk.later(3_000);
    desk.carry();
    assert_eq!(desk.held(), Money::ZERO);
    assert!(desk.wallet.is_empty());
}

#[test]
fn a_slice_admits_without_asking_until_it_is_used_up_or_its_minute_is_over() {
    let mut desk = Desk::new("100");
    desk.world = World::rated(usd("100").pico(), requests(640));
    desk.later(30_000);
    desk.ask("a", "0.01");
    desk.later(1000);
    // The account has told of a limit by now: two are wanted, one having come.
    desk.ask("b", "0.01");
    for name in ["c", "d"] {
        assert!(matches!(desk.admit(name, "0.01"), Admission::Admitted(_)), "{name}");
    }
    desk.ask("e", "0.01");
    assert!(matches!(desk.admit("f", "0.01"), Admission::Admitted(_)));
    desk.later(28_500);
    desk.ask("g", "0.01");
    desk.later(400);
    assert!(matches!(desk.admit("h", "0.01"), Admission::Admitted(_)));
    desk.later(200);
    assert!(matches!(desk.admit("i", "0.01"), Admission::Ask(_)));
}

#[test]
fn a_refusal_of_a_free_model_leaves_leases_alone() {
    let mut desk = Desk::new("100");
    desk.ask("a", "0.01");
    let limits = FreeLimits { per_minute: 1, ..FreeLimits::default() };
    for (name, refused) in [("b", false), ("c", true)] {
        let take = Take { free: Some(limits), ..Take::default() };
        let draw = Draw { take, ..desk.draw(name, "0") };
        let Admission::Ask(sending) = desk.wallet.admit(desk.now, &draw) else {
            panic!("{name} asks nobody")
        };
        let answer = desk.world.tell(desk.now, &sending.report);
        let admission = desk.wallet.admitted(desk.now, sending.number, &draw, answer);
        assert_eq!(matches!(admission, Admission::Refused(Refusal::Rate(_))), refused, "{admission:?}");
    }
    assert!(matches!(desk.admit("d", "0.01"), Admission::Admitted(_)));
}

fn requests(most: u64) -> RateLimit {
    RateLimit {
        id: "r".into(),
        scope: Scope::Account,
        subject: String::new(),
        per: Per::All,
        model: None,
        requests_per_minute: Some(most),
        tokens_per_minute: None,
        concurrent_requests: None,
    }
}

#[test]
fn a_refused_request_first_gets_back_what_its_own_isolate_keeps() {
    // The lease is a sixteenth of what there is: without it the second request would not fit.
    let mut desk = Desk::new("16");
    desk.ask("a", "0.1");
    assert!(desk.held() > usd("0.1"));
    let rest = usd("15.9");
    let Admission::Ask(sending) = desk.admit("b", &rest.to_usd()) else { panic!("beyond the lease") };
    let answer = desk.world.tell(desk.now, &sending.report);
    let draw = desk.draw("b", &rest.to_usd());
    let Admission::Ask(again) = desk.wallet.admitted(desk.now, sending.number, &draw, answer) else {
        panic!("the lease is given back first")
    };
    let answer = desk.world.tell(desk.now, &again.report);
    let admission = desk.wallet.admitted(desk.now, again.number, &draw, answer);
    assert!(matches!(admission, Admission::Admitted(_)), "{admission:?}");
    let Admission::Ask(third) = desk.admit("c", "0.01") else { panic!("there is no lease") };
    let answer = desk.world.tell(desk.now, &third.report);
    let draw = desk.draw("c", "0.01");
    assert!(matches!(
        desk.wallet.admitted(desk.now, third.number, &draw, answer),
        Admission::Refused(Refusal::Credit { available: Money::ZERO, .. })
    ));
}

#[test]
fn without_an_answer_the_lease_goes_on_and_charges_are_kept_elsewhere() {
    let mut desk = Desk::new("100");
    desk.ask("a", "0.01");
    desk.serve("b", "0.001");
    let (mut tries, mut kept) = (0, Vec::new());
    while kept.is_empty() {
        assert!(tries < 20, "it is given up in time");
        match desk.wallet.next(desk.now) {
            Next::Send(sending) => {
                tries += 1;
                desk.wallet.failed(desk.now, sending.number);
                let admission = desk.admit(&format!("during{tries}"), "0.01");
                let in_time = desk.now < Time::from_ms(START).plus(Duration::from_secs(10));
                assert_eq!(matches!(admission, Admission::Admitted(_)), in_time && tries < 7, "{tries}");
                if let Admission::Admitted(ticket) = admission {
                    desk.wallet.abandon(desk.now, ticket);
                }
                if let Admission::Ask(sending) = desk.admit("x", "99") {
                    let draw = desk.draw("x", "99");
                    assert_eq!(desk.wallet.not_admitted(desk.now, sending.number, &draw), Admission::Down);
                }
            }
            Next::Wait(until) => desk.now = until,
            Next::Keep(charges) => kept = charges,
            Next::Done => panic!("a charge is left"),
        }
    }
    assert!(tries > 4, "{tries} tries");
    assert_eq!(kept.len(), 1, "releases end by themselves: {kept:?}");
}

#[test]
fn a_key_that_was_changed_is_asked_about() {
    let mut desk = Desk::new("100");
    desk.ask("a", "0.01");
    desk.wallet.forget(&KeyHash::of("k"));
    assert!(matches!(desk.admit("b", "0.01"), Admission::Ask(_)));
}

#[test]
fn a_lease_is_renewed_before_it_ends_and_not_while_nobody_uses_it() {
    let mut desk = Desk::new("100");
    desk.ask("a", "0.01");
    for second in 0..60 {
        let name = format!("s{second}");
        let ticket = match desk.admit(&name, "0.01") {
            Admission::Admitted(ticket) => ticket,
            other => panic!("at second {second}: {other:?}"),
        };
        desk.later(200);
        desk.wallet.settle(desk.now, ticket, usd("0.0001"), Some("{}".into()));
        desk.carry();
        desk.later(800);
        desk.carry();
    }
    assert!(desk.told < 70, "{} reports in a minute", desk.told);
}

#[test]
fn an_answer_that_comes_late_promises_nothing() {
    let mut desk = Desk::new("100");
    let Admission::Ask(first) = desk.admit("a", "0.01") else { panic!("a cold isolate asks") };
    let answer = desk.world.tell(desk.now, &first.report);
    desk.later(9_000);
    let draw = desk.draw("a", "0.01");
    assert!(matches!(desk.wallet.admitted(desk.now, first.number, &draw, answer), Admission::Admitted(_)));
    desk.later(1_000);
    assert!(matches!(desk.admit("b", "0.01"), Admission::Ask(_)), "ten seconds after it was asked");
}

#[test]
fn what_an_answer_says_of_another_lease_is_not_believed() {
    let mut wallet = Wallet::default();
    let now = Time::from_ms(START);
    let draw = draw(now, "a", "1");
    let Admission::Ask(sending) = wallet.admit(now, &draw) else { panic!("a cold isolate asks") };
    let state = LeaseState {
        id: sending.report.leases[0].id.clone(),
        amount: usd("5"),
        admits_ms: 10_000,
        ended: false,
        slice: None,
    };
    let held = Held::Held { amount: usd("1"), expires_at: draw.expires_at, rated: false };
    let answer = Reported {
        charges: vec![],
        hold: Some(held),
        leases: vec![state],
        next_alarm: None,
        byok_used: None,
    };
    let unasked = sending.number + 7;
    assert!(matches!(wallet.admitted(now, unasked, &draw, answer), Admission::Admitted(_)));
    assert!(matches!(wallet.admit(now, &draw), Admission::Ask(_)));
}

fn draw(now: Time, name: &str, amount: &str) -> Draw {
    let expires_at = now.plus(Duration::from_secs(60));
    Draw {
        generation: generation(name),
        key: KeyHash::of("k"),
        amount: usd(amount),
        expires_at,
        minimum: None,
        part: Part::Most,
        models: vec![],
        end_user: None,
        take: Default::default(),
    }
}

/// One wallet and its account, which always answers.
struct Desk {
    world: World,
    wallet: Wallet,
    now: Time,
    told: u32,
}

impl Desk {
    fn new(credit: &str) -> Desk {
        Desk {
            world: World::new(usd(credit).pico(), None),
            wallet: Wallet::default(),
            now: Time::from_ms(START),
            told: 0,
        }
    }

    fn later(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
    }

    fn draw(&self, name: &str, amount: &str) -> Draw {
        draw(self.now, name, amount)
    }

    fn admit(&mut self, name: &str, amount: &str) -> Admission {
        let draw = self.draw(name, amount);
        self.wallet.admit(self.now, &draw)
    }

    /// Admits a request that has to ask, and gets what it asks for.
    fn ask(&mut self, name: &str, amount: &str) -> millrace::account::wallet::Ticket {
        let Admission::Ask(sending) = self.admit(name, amount) else { panic!("{name} asks nobody") };
        let answer = self.world.tell(self.now, &sending.report);
        let draw = self.draw(name, amount);
        match self.wallet.admitted(self.now, sending.number, &draw, answer) {
            Admission::Admitted(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    /// Serves a request from the lease.
    fn serve(&mut self, name: &str, cost: &str) {
        match self.admit(name, "0.001") {
            Admission::Admitted(ticket) => self.wallet.settle(self.now, ticket, usd(cost), Some("{}".into())),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Does what a carrier has to do at this moment.
    fn carry(&mut self) {
        while let Next::Send(Sending { number, report }) = self.wallet.next(self.now) {
            assert_ne!(report, Report::default());
            self.told += 1;
            let answer = self.world.tell(self.now, &report);
            self.wallet.answered(self.now, number, answer);
        }
    }

    fn held(&self) -> Money {
        self.world.held()
    }
}
