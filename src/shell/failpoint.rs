//! What tests can make fail on purpose, and what they can count. In a release each of these
//! functions is nothing.

use std::cell::Cell;
use std::time::Duration;

#[cfg(feature = "failpoints")]
use {crate::error::Failure, crate::shell::reply, serde_json::json, web_sys::Response};

/// How one of the runtime's services behaves, as this isolate sees it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Service {
    calls: u64,
    down: bool,
    /// What it answers comes [`LATE`].
    slow: bool,
    /// Writes are taken and not made.
    stale: bool,
}

thread_local! {
    static ACCOUNTS: Cell<Service> = Cell::default();
    static KEYS: Cell<Service> = Cell::default();
    /// How far this isolate's clock is ahead, in milliseconds.
    static AHEAD: Cell<u64> = const { Cell::new(0) };
}

const LATE: Duration = Duration::from_secs(1);

/// Something that a call is meant to find broken.
pub struct Down;

/// Notes a call of an account's object, and says how much later its answer is to come.
pub fn account_call() -> Result<Duration, Down> {
    call(&ACCOUNTS).map(|service| if service.slow { LATE } else { Duration::ZERO })
}

/// Notes a read of KV.
pub fn keys_read() -> Result<(), Down> {
    call(&KEYS).map(|_| ())
}

/// Notes a write to KV, and says whether it is to be made.
pub fn keys_write() -> Result<bool, Down> {
    call(&KEYS).map(|service| !service.stale)
}

/// How far the clock of this isolate, and of the objects in it, is ahead. Timers and alarms are not.
pub fn ahead_ms() -> u64 {
    if cfg!(feature = "failpoints") { AHEAD.get() } else { 0 }
}

fn call(service: &'static std::thread::LocalKey<Cell<Service>>) -> Result<Service, Down> {
    if !cfg!(feature = "failpoints") {
        return Ok(Service::default());
    }
    let before = service.get();
    service.set(Service { calls: before.calls + 1, ..before });
    if before.down { Err(Down) } else { Ok(before) }
}

/// Answers `POST /__failpoint/<name>`.
#[cfg(feature = "failpoints")]
pub fn set(name: &str) -> Result<Response, Failure> {
    let change = |service: &'static std::thread::LocalKey<Cell<Service>>, to: fn(Service) -> Service| {
        service.set(to(service.get()));
    };
    match name {
        "panic" => panic!("a test asked for this"),
        "accounts-down" => change(&ACCOUNTS, |service| Service { down: true, ..service }),
        "accounts-slow" => change(&ACCOUNTS, |service| Service { slow: true, ..service }),
        "accounts-up" => change(&ACCOUNTS, |service| Service { down: false, slow: false, ..service }),
        "keys-down" => change(&KEYS, |service| Service { down: true, ..service }),
        "keys-stale" => change(&KEYS, |service| Service { stale: true, ..service }),
        "keys-up" => change(&KEYS, |service| Service { down: false, stale: false, ..service }),
        "count" => {}
        _ => match name.strip_prefix("clock-").map(str::parse) {
            Some(Ok(ms)) => AHEAD.set(ms),
            Some(Err(_)) | None => return Err(Failure::invalid("no such failpoint")),
        },
    }
    let body = json!({ "accounts": ACCOUNTS.get().calls, "keys": KEYS.get().calls });
    Ok(reply::json(200, &body.to_string()))
}
