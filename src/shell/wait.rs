//! Waiting for what the runtime does: a promise that settles, time that passes, a client that leaves. Each
//! wait has a place here, and `wait.js` tells by its number what came of it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Waking, Poll, Waker};
use std::time::Duration;

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use crate::shell::bindings::Context;

#[wasm_bindgen(module = "/src/shell/wait.js")]
extern "C" {
    #[wasm_bindgen(js_name = tellBy)]
    fn tell_by(settled: &Closure<Tell>);
    fn settles(promise: &Promise, place: f64);
    fn passes(ms: i32, place: f64) -> i32;
    fn leaves(signal: &AbortSignal, context: &Context, place: f64) -> bool;
    fn ended(place: f64);
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: i32);
}

/// Called with a place's number, whether all went well, and the value or the error. Says whether somebody waited.
type Tell = dyn Fn(f64, bool, JsValue) -> bool;
type Outcome = Result<JsValue, JsValue>;

/// A wait under way. Dropped, it is forgotten: what comes of it is told to nobody.
pub struct Wait(u64);

/// The client of a request, as long as that is answered. The runtime ends what it does for a client that leaves;
/// from then on until this is dropped, it waits for it.
pub struct Client {
    place: u64,
    leaves: Option<Wait>,
}

/// Waits for a time. It runs from when it is first polled.
pub struct Delay {
    limit: Duration,
    timer: Option<(Wait, i32)>,
}

impl From<Promise> for Wait {
    fn from(promise: Promise) -> Wait {
        let wait = Wait::open();
        settles(&promise, wait.0 as f64);
        wait
    }
}

impl Wait {
    fn open() -> Wait {
        Wait(PLACES.with_borrow_mut(Places::open))
    }
}

impl Future for Wait {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, context: &mut Waking<'_>) -> Poll<Outcome> {
        PLACES.with_borrow_mut(|places| places.poll(self.0, context.waker()))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let left = PLACES.with_borrow_mut(|places| places.close(self.0));
        // Outside of the borrow: nobody knows what it drops in turn.
        drop(left);
    }
}

impl Client {
    pub fn of(signal: &AbortSignal, context: &Context) -> Client {
        let wait = Wait::open();
        let place = wait.0;
        Client { place, leaves: leaves(signal, context, place as f64).then_some(wait) }
    }

    /// Until it leaves; `None` where it has.
    pub fn leaves(&mut self) -> Option<&mut Wait> {
        self.leaves.as_mut()
    }

    pub fn has_left(&mut self) {
        self.leaves = None;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        ended(self.place as f64);
    }
}

impl From<Duration> for Delay {
    fn from(limit: Duration) -> Delay {
        Delay { limit, timer: None }
    }
}

impl Delay {
    /// Whether it was polled, and has not passed.
    pub fn is_running(&self) -> bool {
        self.timer.is_some()
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Waking<'_>) -> Poll<()> {
        let limit = self.limit;
        let (wait, _) = self.timer.get_or_insert_with(|| {
            let wait = Wait::open();
            let ms = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
            let timer = passes(ms, wait.0 as f64);
            (wait, timer)
        });
        let passed = Pin::new(wait).poll(context);
        if passed.is_ready() {
            self.timer = None;
        }
        passed.map(|_| ())
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        if let Some((_, timer)) = self.timer {
            clear_timeout(timer);
        }
    }
}

thread_local! {
    static PLACES: RefCell<Places> = RefCell::new(Places::new());
}

/// Places at most, of which each wait under way has one.
const ROOM: u64 = 1 << 20;
/// As many numbers as JavaScript's keep apart, and half of them.
const NUMBERS: u64 = 1 << 52;

struct Places {
    all: Vec<Place>,
    free: Vec<u64>,
    _tell: Closure<Tell>,
}

struct Place {
    /// Of the wait that has it, or else of the next: its index, and then how often it was given away.
    number: u64,
    state: State,
}

enum State {
    /// Nobody has asked yet.
    Open,
    Awaited(Waker),
    Settled(Outcome),
}

impl Places {
    fn new() -> Places {
        let tell: Closure<Tell> = Closure::new(settled);
        tell_by(&tell);
        Places { all: Vec::new(), free: Vec::new(), _tell: tell }
    }

    fn open(&mut self) -> u64 {
        if let Some(number) = self.free.pop() {
            return number;
        }
        let number = self.all.len() as u64;
        assert!(number < ROOM, "an isolate has no memory for so many waits");
        self.all.push(Place { number, state: State::Open });
        number
    }

    fn find(&mut self, number: u64) -> Option<&mut Place> {
        self.all.get_mut((number % ROOM) as usize).filter(|place| place.number == number)
    }

    fn poll(&mut self, number: u64, waker: &Waker) -> Poll<Outcome> {
        match self.find(number).map(|place| &mut place.state) {
            Some(State::Settled(_)) => match self.close(number) {
                Some(State::Settled(outcome)) => Poll::Ready(outcome),
                _ => Poll::Pending,
            },
            Some(State::Awaited(known)) if known.will_wake(waker) => Poll::Pending,
            Some(state) => {
                *state = State::Awaited(waker.clone());
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// What the place had, which is free from now on; nothing where it is another's.
    fn close(&mut self, number: u64) -> Option<State> {
        let place = self.find(number)?;
        place.number = (number + ROOM) % NUMBERS;
        let (next, left) = (place.number, std::mem::replace(&mut place.state, State::Open));
        self.free.push(next);
        Some(left)
    }
}

/// Told by `wait.js`, once for each wait at most.
fn settled(number: f64, well: bool, value: JsValue) -> bool {
    let outcome = if well { Ok(value) } else { Err(value) };
    let before = PLACES.with_borrow_mut(|places| {
        let place = places.find(number as u64)?;
        Some(std::mem::replace(&mut place.state, State::Settled(outcome)))
    });
    let is_awaited = before.is_some();
    if let Some(State::Awaited(waker)) = before {
        waker.wake();
    }
    is_awaited
}
