//! The core of a stream that has begun, as the loops in `glue.js` call it: chunks are put into a place
//! in the crate's memory, and what is to be written for them is found in another.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::exchange::{Exchange, Input, Step};
use crate::money::Money;
use crate::shell::accounts::AccountClient;
use crate::shell::bindings::console_log;
use crate::shell::clock::{self, now};
use crate::shell::wallets::{self, Background, SetAside};
use crate::time::Time;

/// The longest chunk that is shown at once, in bytes.
const ROOM: usize = 64 * 1024;

/// Nothing more comes of this stream.
const OVER: u32 = 1;
/// What is to be written is the chunk as it came.
const UNCHANGED: u32 = 2;
/// From which bit on an answer has the length of what is to be written.
const LENGTH: u32 = 2;

thread_local! {
    /// Where chunks are put. Calls are synchronous, so that one place serves all streams.
    static INBOX: RefCell<Vec<u8>> = RefCell::new(vec![0; ROOM]);
}

/// Once it is over, nothing more may be called but `is_over`.
#[wasm_bindgen]
pub struct Relay {
    exchange: AssertUnwindSafe<Rc<RefCell<Exchange>>>,
    left_over: AssertUnwindSafe<Rc<RefCell<VecDeque<Step>>>>,
    growth: AssertUnwindSafe<Growth>,
    writes: Writes,
    /// What is to be written, until the next call.
    outbox: Vec<u8>,
}

/// Who writes what the exchange has to say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Loop,
    /// While the runtime moves the bytes nobody else can.
    Driver,
}

impl Relay {
    /// For `relay`. `left_over` gets the steps that are the driver's.
    pub fn new(
        exchange: Rc<RefCell<Exchange>>,
        left_over: Rc<RefCell<VecDeque<Step>>>,
        growth: Growth,
    ) -> Relay {
        let (exchange, left_over) = (AssertUnwindSafe(exchange), AssertUnwindSafe(left_over));
        let growth = AssertUnwindSafe(growth);
        Relay { exchange, left_over, growth, writes: Writes::Loop, outbox: Vec::new() }
    }

    /// For `pipe`. `left_over` gets all steps.
    pub fn beside(
        exchange: Rc<RefCell<Exchange>>,
        left_over: Rc<RefCell<VecDeque<Step>>>,
        growth: Growth,
    ) -> Relay {
        Relay { writes: Writes::Driver, ..Relay::new(exchange, left_over, growth) }
    }
}

/// Asks for more money while a reply flows.
pub struct Growth {
    pub exchange: Rc<RefCell<Exchange>>,
    pub account: AccountClient,
    pub background: Background,
    pub held: Rc<RefCell<Option<SetAside>>>,
}

impl Growth {
    pub fn ask(&self, amount: Money, minimum: Money) {
        let (exchange, held, account) =
            (Rc::clone(&self.exchange), Rc::clone(&self.held), self.account.clone());
        let asked = self.background.run(async move {
            let grown = wallets::grow(&account, &held, amount, minimum).await;
            exchange.borrow_mut().feed(now(), Input::Grown(grown));
        });
        if asked.is_err() {
            self.exchange.borrow_mut().feed(now(), Input::Grown(None));
        }
    }
}

#[wasm_bindgen]
impl Relay {
    /// The address where chunks are put.
    pub fn inbox(&self) -> u32 {
        INBOX.with_borrow(|inbox| inbox.as_ptr() as u32)
    }

    /// The address of what is to be written.
    pub fn outbox(&self) -> u32 {
        self.outbox.as_ptr() as u32
    }

    /// A chunk of `length` bytes is in its place since `at`, in milliseconds as `Date.now` gives them: to read
    /// the clock from here would be a call more. Answers with a number: see the constants.
    pub fn chunk(&mut self, length: u32, at: f64) -> u32 {
        INBOX.with_borrow(|inbox| {
            let chunk = &inbox[..(length as usize).min(ROOM)];
            let answer = self.feed_at(clock::told(at), Input::Chunk(chunk));
            if self.outbox == chunk { answer & OVER | UNCHANGED } else { answer }
        })
    }

    pub fn end(&mut self) -> u32 {
        self.feed(Input::End)
    }

    pub fn broken(&mut self) -> u32 {
        self.feed(Input::Broken)
    }

    pub fn tick(&mut self) -> u32 {
        self.feed(Input::Clock)
    }

    /// A chunk of `length` bytes is in its place, which the client has already.
    pub fn passed(&mut self, length: u32) -> u32 {
        INBOX.with_borrow(|inbox| self.feed(Input::Passed(&inbox[..(length as usize).min(ROOM)])))
    }

    pub fn client_gone(&mut self) {
        self.feed(Input::ClientGone);
    }

    pub fn is_over(&self) -> bool {
        !self.exchange.borrow().is_streaming()
    }

    /// In how many milliseconds the core wants to know that time has passed.
    pub fn wait_ms(&self) -> u32 {
        let exchange = self.exchange.borrow();
        // What comes of asking for more money is found by the next call.
        if exchange.is_metered() {
            return METERED_MS;
        }
        let wait = exchange.deadline().since(now());
        // A timer may fire within the millisecond before its time.
        u32::try_from(wait.as_millis() + 1).unwrap_or(u32::MAX).min(MOST_WAIT_MS)
    }

    /// Reports to the exchange and gathers what is to be written; other steps are left to the driver.
    fn feed(&mut self, input: Input<'_>) -> u32 {
        self.feed_at(now(), input)
    }

    fn feed_at(&mut self, now: Time, input: Input<'_>) -> u32 {
        let mut exchange = self.exchange.borrow_mut();
        exchange.take_back(std::mem::take(&mut self.outbox));
        exchange.feed(now, input);
        let mut left_over = self.left_over.borrow_mut();
        let mut grow = None;
        // What stands behind a charge waits for it with the driver.
        let mut waits = false;
        while let Some(step) = exchange.take_step() {
            match step {
                Step::Write(bytes) if self.writes == Writes::Driver || waits => {
                    left_over.push_back(Step::Write(bytes))
                }
                Step::Write(bytes) if self.outbox.is_empty() => self.outbox = bytes,
                Step::Write(mut bytes) => self.outbox.append(&mut bytes),
                Step::Grow { amount, minimum } => grow = Some((amount, minimum)),
                Step::Log(line) => console_log(&line),
                step => {
                    waits |= matches!(step, Step::SettleFirst(_));
                    left_over.push_back(step);
                }
            }
        }
        let over = if exchange.is_streaming() { 0 } else { OVER };
        drop(exchange);
        if let Some((amount, minimum)) = grow {
            self.growth.ask(amount, minimum);
        }
        over | (self.outbox.len() as u32) << LENGTH
    }
}

/// How often a reply is looked at that may need more money.
const METERED_MS: u32 = 250;
/// The longest wait of a timer.
const MOST_WAIT_MS: u32 = 600_000;
