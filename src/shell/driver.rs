//! Carries out the steps of an exchange and reports what came of them. Decides nothing.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::{Promise, Uint8Array};
use web_sys::{AbortSignal, Response, WritableStream, WritableStreamDefaultWriter};

use crate::account::Part;
use crate::account::wallet::Draw;
use crate::exchange::{Exchange, Head, Input, Racer, Reply, Settlement, Step};
use crate::media::Hosts;
use crate::money::Money;
use crate::routing::rate::FreeLimits;
use crate::shell::accounts::AccountClient;
use crate::shell::bindings::{self, IdentityTransformStream, console_log};
use crate::shell::clock::{delay_until, now};
use crate::shell::inference;
use crate::shell::relay::{Growth, Relay};
use crate::shell::upstream::{Connection, Event};
use crate::shell::wait::{Client, Delay, Wait};
use crate::shell::wallets::{self, Background, Denied, SetAside};
use crate::shell::{byok, health, reply};
use crate::time::Time;

/// How often a reply that the runtime moves is looked at, and its limits with it.
const TICK_MS: u32 = 1000;

type Shared = Rc<RefCell<Exchange>>;
type Held = Rc<RefCell<Option<SetAside>>>;

/// One exchange under way.
pub struct Driver {
    exchange: Shared,
    account: AccountClient,
    background: Background,
    /// What is set aside for this exchange, until it is settled.
    held: Held,
    /// One for each of two attempts that may be under way.
    connections: [Connection; 2],
    /// Where links may lead besides the public internet.
    hosts: Hosts,
    free: FreeLimits,
    /// Takes the head of the reply, once.
    answer: Option<oneshot::Sender<Response>>,
    writer: Option<WritableStreamDefaultWriter>,
    /// What the writer writes to.
    writable: Option<WritableStream>,
    signal: AbortSignal,
    /// Runs until then, or is to be asked again: it serves one wait after the other.
    timer: Option<(Time, Delay)>,
    /// Steps that a relay ended with.
    left_over: VecDeque<Step>,
}

impl Driver {
    pub fn new(
        exchange: Exchange,
        account: AccountClient,
        hosts: Hosts,
        free: FreeLimits,
        background: Background,
        signal: AbortSignal,
        answer: oneshot::Sender<Response>,
    ) -> Driver {
        Driver {
            exchange: Rc::new(RefCell::new(exchange)),
            account,
            background,
            held: Held::default(),
            connections: [Connection::Closed, Connection::Closed],
            hosts,
            free,
            answer: Some(answer),
            writer: None,
            writable: None,
            signal,
            timer: None,
            left_over: VecDeque::new(),
        }
    }

    /// Runs the exchange to its end. Survives the client, as far as the runtime lets it.
    pub async fn run(mut self, client: &mut Client) {
        if client.leaves().is_none() {
            self.feed(Input::ClientGone);
        }
        loop {
            let step = self.left_over.pop_front().unwrap_or_else(|| self.exchange.borrow_mut().step());
            match step {
                Step::Hold { amount, least, expires_at } => self.hold(amount, least, expires_at).await,
                Step::Grow { amount, minimum } => self.growth().ask(amount, minimum),
                Step::Fetch(racer, links) => {
                    self.connections[racer as usize] = Connection::fetch(links, self.hosts.clone());
                }
                Step::Admit(subject) => self.feed(Input::Admission(health::admit(&subject))),
                Step::AdmitSecond(subject) => self.feed(Input::Admission(health::admit_second(&subject))),
                Step::Pace(subject, permille) => self.feed(Input::Pace(health::pace(&subject, permille))),
                Step::Note(news) => health::take(&news),
                Step::Send(racer, outgoing) => self.connections[racer as usize] = Connection::open(outgoing),
                Step::Wait { until } => {
                    if !self.relay().await && self.wait(until, client.leaves()).await {
                        client.has_left();
                    }
                }
                Step::Cancel(racer) => self.connections[racer as usize].cancel(),
                Step::Release(racer) => self.connections[racer as usize].release().await,
                Step::Reply(reply) => self.reply(reply),
                Step::Begin(head) => self.begin(head),
                Step::Write(bytes) => {
                    self.write(&bytes).await;
                    self.exchange.borrow_mut().take_back(bytes);
                }
                Step::Close => self.close().await,
                Step::Settle(settlement) => self.settle(settlement, false).await,
                Step::SettleFirst(settlement) => self.settle(settlement, true).await,
                Step::Remember { session, pin, long } => inference::remember(session, pin, long),
                Step::Spurned(id) => byok::spurn(id),
                Step::Log(line) => console_log(&line),
                Step::Done => break,
            }
        }
    }

    fn feed(&self, input: Input<'_>) {
        self.exchange.borrow_mut().feed(now(), input);
    }

    async fn hold(&mut self, amount: Money, least: Option<Money>, expires_at: Time) {
        let draw = {
            let exchange = self.exchange.borrow();
            let (generation, key) = (exchange.generation().clone(), exchange.key().clone());
            let (models, end_user) = (exchange.models(), exchange.end_user());
            let part = if exchange.is_streamed() { Part::Least } else { Part::Most };
            let take = exchange.take(self.free);
            Draw { generation, key, amount, minimum: least, part, expires_at, models, end_user, take }
        };
        match wallets::set_aside(&self.account, &draw).await {
            Ok(held) => {
                if self.exchange.borrow().has_own_keys() {
                    let used = wallets::byok_used(self.account.account());
                    self.exchange.borrow_mut().note_used(used);
                }
                let part = Some(held.amount()).filter(|held| *held < amount);
                *self.held.borrow_mut() = Some(held);
                self.feed(part.map_or(Input::Held, Input::HeldInPart));
            }
            Err(Denied::Refused(refusal)) => self.feed(Input::Refused(refusal)),
            Err(Denied::Down) => self.feed(Input::AccountDown),
        }
        wallets::carry(&self.account, &self.background);
    }

    /// Waits for the provider, the clock or the client, if it is still there. Says whether it left.
    async fn wait(&mut self, until: Time, client: Option<&mut Wait>) -> bool {
        // Deadlines mostly move away: a timer that comes too early finds nothing to do, and is set anew.
        let kept = self.timer.take().filter(|(at, delay)| *at <= until && delay.is_running());
        let (at, mut delay) = kept.unwrap_or_else(|| (until, delay_until(until)));
        let mut event = {
            let provider = std::pin::pin!(next(&mut self.connections));
            let clock_or_client = async {
                let Some(client) = client else {
                    (&mut delay).await;
                    return false;
                };
                matches!(select(&mut delay, client).await, Either::Right(_))
            };
            match select(provider, std::pin::pin!(clock_or_client)).await {
                Either::Left((event, _)) => Ok(event),
                Either::Right((left, _)) => Err(left),
            }
        };
        self.timer = Some((at, delay));
        match &mut event {
            Ok((racer, event)) => self.exchange.borrow_mut().feed_from(now(), *racer, event.as_input()),
            Err(true) => self.feed(Input::ClientGone),
            Err(false) => self.feed(Input::Clock),
        }
        matches!(event, Err(true))
    }

    /// Once the reply has begun, its chunks are moved by a loop outside the crate, or by the runtime
    /// alone. Says whether there was anything to move.
    async fn relay(&mut self) -> bool {
        if !self.exchange.borrow().is_streaming() {
            return false;
        }
        self.timer = None;
        let left_over = Rc::new(RefCell::new(VecDeque::new()));
        let may_pipe = self.exchange.borrow().may_pipe();
        let moved = match may_pipe {
            true => self.pipe(&left_over).or_else(|| self.pump(&left_over)),
            false => self.pump(&left_over),
        };
        let Some(moved) = moved else {
            return false;
        };
        if Wait::from(moved).await.is_err() {
            self.feed(Input::Broken);
        }
        if self.writer.is_none() {
            self.writer = self.writable.as_ref().and_then(|writable| writable.get_writer().ok());
        }
        self.left_over.append(&mut left_over.borrow_mut());
        true
    }

    /// Whose reply it is.
    fn racer(&self) -> usize {
        self.exchange.borrow().racer() as usize
    }

    fn pump(&self, left_over: &Rc<RefCell<VecDeque<Step>>>) -> Option<Promise> {
        let (reader, writer) = (self.connections[self.racer()].idle_reader()?, self.writer.as_ref()?);
        let core = Relay::new(Rc::clone(&self.exchange), Rc::clone(left_over), self.growth());
        Some(bindings::relay(core, &wasm_bindgen::memory(), reader, writer, &self.signal))
    }

    fn pipe(&mut self, left_over: &Rc<RefCell<VecDeque<Step>>>) -> Option<Promise> {
        let growth = self.growth();
        let racer = self.racer();
        let (body, abort) = self.connections[racer].give_away()?;
        let (writer, writable) = (self.writer.take()?, self.writable.as_ref()?);
        writer.release_lock();
        let core = Relay::beside(Rc::clone(&self.exchange), Rc::clone(left_over), growth);
        Some(bindings::pipe(core, &wasm_bindgen::memory(), &body, writable, &self.signal, &abort, TICK_MS))
    }

    fn reply(&mut self, mut reply: Reply) {
        reply.head.headers.extend(self.exchange.borrow().timing(now()).headers());
        self.answer_with(reply::whole(&reply.head, &reply.body));
    }

    fn begin(&mut self, mut head: Head) {
        head.headers.extend(self.exchange.borrow().timing(now()).headers());
        let Ok(pipe) = IdentityTransformStream::new() else {
            return;
        };
        self.writer = pipe.writable().get_writer().ok();
        self.writable = Some(pipe.writable());
        self.answer_with(reply::stream(&head, &pipe.readable()));
    }

    fn answer_with(&mut self, response: Response) {
        if let Some(answer) = self.answer.take() {
            // A client that has left needs no answer.
            let _ = answer.send(response);
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        let Some(writer) = &self.writer else {
            return;
        };
        let written = Wait::from(writer.write_with_chunk(&Uint8Array::from(bytes))).await;
        if written.is_err() {
            self.feed(Input::ClientGone);
        }
    }

    async fn close(&mut self) {
        if let Some(writer) = self.writer.take() {
            // It fails only where the client has left.
            let _ = Wait::from(writer.close()).await;
        }
    }

    fn growth(&self) -> Growth {
        Growth {
            exchange: Rc::clone(&self.exchange),
            account: self.account.clone(),
            background: self.background.clone(),
            held: Rc::clone(&self.held),
        }
    }

    /// `waits` until the account has the charge.
    async fn settle(&mut self, settlement: Settlement, waits: bool) {
        let held = self.held.borrow_mut().take();
        if let Some(held) = held {
            held.settle(settlement);
            if waits {
                let generation = self.exchange.borrow().generation().clone();
                wallets::until_charged(&self.account, &generation).await;
            }
            wallets::carry(&self.account, &self.background);
        }
    }
}

/// The next thing that either provider does. Dropping the future loses nothing.
async fn next([first, second]: &mut [Connection; 2]) -> (Racer, Event) {
    match select(std::pin::pin!(first.next()), std::pin::pin!(second.next())).await {
        Either::Left((event, _)) => (Racer::First, event),
        Either::Right((event, _)) => (Racer::Second, event),
    }
}
