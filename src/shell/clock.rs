//! The clock, and waiting with a limit.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::time::Duration;

use futures::future::{Either, select};

use crate::shell::failpoint;
use crate::shell::wait::Delay;
use crate::time::Time;

thread_local! {
    /// The time of the turn under way, once it was asked for.
    static TURN: Cell<Turn> = const { Cell::new(Turn::None) };
}

#[derive(Clone, Copy)]
enum Turn {
    None,
    Begun,
    At(Time),
}

pub fn now() -> Time {
    match TURN.get() {
        Turn::At(now) => now,
        Turn::None => read(),
        Turn::Begun => {
            let now = read();
            TURN.set(Turn::At(now));
            now
        }
    }
}

/// Polls `future` in turns, in each of which the clock is read once: the runtime's own stands still
/// between two waits, and to read it is a call out of the crate.
pub async fn in_turns<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    poll_fn(|context| {
        let _turn = TurnEnds(TURN.replace(Turn::Begun));
        future.as_mut().poll(context)
    })
    .await
}

/// Ends a turn, also by a panic.
struct TurnEnds(Turn);

impl Drop for TurnEnds {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}

fn read() -> Time {
    told(js_sys::Date::now())
}

/// A time that was read outside of the crate, as `Date.now` gives it.
pub fn told(ms: f64) -> Time {
    Time::from_ms(ms as u64 + failpoint::ahead_ms())
}

pub fn delay_until(moment: Time) -> Delay {
    // A timer may fire within the millisecond before its time.
    Delay::from(moment.since(now()) + Duration::from_millis(1))
}

/// What `future` gives, or `None` if that takes longer than `limit`.
pub async fn within<F: Future + Unpin>(limit: Duration, future: F) -> Option<F::Output> {
    match select(future, Delay::from(limit)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}
