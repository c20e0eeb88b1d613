//! The clock, and waiting with a limit.

use std::future::Future;
use std::time::Duration;

use futures::future::{Either, select};
use worker::Delay;

use crate::time::Time;

pub fn now() -> Time {
    Time::from_ms(js_sys::Date::now() as u64)
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
