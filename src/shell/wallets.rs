//! The isolate's wallets, one for each account: money to admit requests with, and what is to be
//! told to their accounts. What to ask, and when, is `crate::account::wallet`'s to say.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::future_to_promise;

use crate::account::command::{Answer, Command, Refusal};
use crate::account::wallet::{Admission, Draw, Next, Sending, Ticket, Wallet};
use crate::account::{Report, Reported, Settle, kept_name};
use crate::exchange::Settlement;
use crate::id::{AccountId, GenerationId, KeyHash};
use crate::money::Money;
use crate::shell::accounts::{AccountClient, AccountDown};
use crate::shell::bindings::{Context, KvNamespace, binding, console_log};
use crate::shell::clock::{delay_until, in_turns, now};
use crate::shell::failpoint;
use crate::shell::wait::Wait;

/// How long one request's background carries for all: the runtime ends it thirty seconds after
/// the response.
const SHIFT: Duration = Duration::from_secs(15);
/// Wallets that an isolate remembers; beyond that, those that hold nothing are dropped.
const REMEMBERED: usize = 10_000;

thread_local! {
    static WALLETS: RefCell<HashMap<AccountId, Wallet>> = RefCell::default();
}

/// What may go on after the response.
#[derive(Clone)]
pub struct Background(Rc<Context>);

/// Money set aside for one request. Dropped without a settlement, it is given back.
pub struct SetAside {
    account: AccountId,
    ticket: Option<Ticket>,
}

/// Why a request may not be sent.
pub enum Denied {
    Refused(Refusal),
    Down,
}

impl Background {
    pub fn new(context: Context) -> Background {
        Background(Rc::new(context))
    }

    pub fn context(&self) -> &Context {
        &self.0
    }

    /// Runs `work` after the response. A panic in it ends it alone.
    pub fn run(&self, work: impl Future<Output = ()> + 'static) -> Result<(), JsValue> {
        let work = future_to_promise(AssertUnwindSafe(async move {
            let _ = AssertUnwindSafe(in_turns(work)).catch_unwind().await;
            Ok(JsValue::UNDEFINED)
        }));
        self.0.wait_until(&work)
    }
}

impl SetAside {
    pub fn amount(&self) -> Money {
        self.ticket.as_ref().map_or(Money::ZERO, Ticket::held)
    }

    /// Ends the request: its cost is on its way to the account.
    pub fn settle(mut self, Settlement { amount, record, tokens }: Settlement) {
        if let Some(ticket) = self.ticket.take() {
            with(&self.account, |wallet| {
                wallet.settle_used(now(), ticket, amount, Some(record), tokens);
            });
        }
    }
}

impl Drop for SetAside {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            with(&self.account, |wallet| wallet.abandon(now(), ticket));
        }
    }
}

/// Sets money aside for a request: from the isolate's lease, or by asking the account.
pub async fn set_aside(client: &AccountClient, draw: &Draw) -> Result<SetAside, Denied> {
    let account = client.account();
    let mut admission = with(account, |wallet| wallet.admit(now(), draw));
    loop {
        admission = match admission {
            Admission::Admitted(ticket) => {
                return Ok(SetAside { account: account.clone(), ticket: Some(ticket) });
            }
            Admission::Ask(Sending { number, report }) => match report_to(client, report).await {
                Ok(answer) => with(account, |wallet| wallet.admitted(now(), number, draw, answer)),
                Err(AccountDown) => with(account, |wallet| wallet.not_admitted(now(), number, draw)),
            },
            Admission::Refused(refusal) => return Err(Denied::Refused(refusal)),
            Admission::Down => return Err(Denied::Down),
        };
    }
}

/// Has more set aside for a request with a hold of its own: `amount` in all, or at least `minimum`.
/// Returns what is set aside then; `None` where the account has no more, cannot be asked, or the
/// request has ended meanwhile.
pub async fn grow(
    client: &AccountClient,
    held: &RefCell<Option<SetAside>>,
    amount: Money,
    minimum: Money,
) -> Option<Money> {
    let Sending { number, report } = {
        let held = held.borrow();
        let ticket = held.as_ref()?.ticket.as_ref()?;
        with(client.account(), |wallet| wallet.grow(now(), ticket, amount, minimum))
    };
    match report_to(client, report).await {
        Ok(answer) => {
            let mut held = held.borrow_mut();
            let Some(ticket) = held.as_mut().and_then(|held| held.ticket.as_mut()) else {
                with(client.account(), |wallet| wallet.answered(now(), number, answer));
                return None;
            };
            let grown = with(client.account(), |wallet| wallet.grown(now(), number, ticket, answer));
            grown.then(|| ticket.held())
        }
        Err(AccountDown) => {
            with(client.account(), |wallet| wallet.failed(now(), number));
            None
        }
    }
}

/// Sees to it that someone carries what the account's wallet has to tell, and does so itself where
/// it must not wait: no request can wake the background of another.
pub fn carry(client: &AccountClient, background: &Background) {
    if let Some(sending) = with(client.account(), |wallet| wallet.urgent(now())) {
        let client = client.clone();
        // Where it cannot be sent, it counts as lost on the way and is sent again.
        let _ = background.run(async move { send(&client, sending).await });
    }
    if with(client.account(), |wallet| wallet.hire(now())) {
        let client = client.clone();
        // Without a background the next request carries, once this one is not heard of.
        let _ = background.run(async move { carrier(&client).await });
    }
}

/// Tells the account everything at once and keeps no money beyond what requests under way need.
pub async fn flush(client: &AccountClient) {
    if let Some(sending) = existing(client.account(), |wallet| wallet.flush(now())).flatten() {
        send(client, sending).await;
    }
}

/// What the account's own keys were used for this month, as far as this isolate knows.
pub fn byok_used(account: &AccountId) -> Money {
    existing(account, |wallet| wallet.byok_used(now())).unwrap_or(Money::ZERO)
}

/// Stops admitting for a key that was changed.
pub fn forget(account: &AccountId, key: &KeyHash) {
    existing(account, |wallet| wallet.forget(key));
}

/// Waits until the account has the charge of `generation`, or KV where it does not answer. What
/// neither takes stands in the log.
pub async fn until_charged(client: &AccountClient, generation: &GenerationId) {
    carry_out(client, |wallet| wallet.until_charged(now(), generation)).await;
}

async fn carrier(client: &AccountClient) {
    let began = now();
    let next = |wallet: &mut Wallet| match now().since(began) >= SHIFT {
        true => wallet.retire(now()),
        false => wallet.next(now()),
    };
    carry_out(client, next).await;
}

/// Does what a wallet wants until nothing is left to do.
async fn carry_out(client: &AccountClient, next: impl Fn(&mut Wallet) -> Next) {
    loop {
        match with(client.account(), &next) {
            Next::Send(sending) => send(client, sending).await,
            Next::Wait(until) => delay_until(until).await,
            Next::Keep(charges) => keep(client, charges).await,
            Next::Done => return,
        }
    }
}

async fn send(client: &AccountClient, Sending { number, report }: Sending) {
    match report_to(client, report).await {
        Ok(answer) => with(client.account(), |wallet| wallet.answered(now(), number, answer)),
        Err(AccountDown) => with(client.account(), |wallet| wallet.failed(now(), number)),
    }
}

async fn report_to(client: &AccountClient, report: Report) -> Result<Reported, AccountDown> {
    match client.call(&Command::Report(report)).await? {
        Answer::Reported(reported) => Ok(reported),
        _ => Err(AccountDown),
    }
}

/// Puts charges into KV, from where the account's alarm fetches them. Where that fails too, the log
/// is the last place.
async fn keep(client: &AccountClient, charges: Vec<Settle>) {
    let account = client.account();
    let Some(first) = charges.first() else {
        return;
    };
    let name = kept_name(account, &first.generation);
    let lines: Vec<String> = charges.iter().map(|settle| settle.unsettled_line(account)).collect();
    let command = Command::Report(Report { charges, ..Report::default() });
    if put(client, &name, &command.to_json()).await.is_none() {
        lines.iter().for_each(|line| console_log(line));
    }
}

async fn put(client: &AccountClient, name: &str, text: &str) -> Option<JsValue> {
    failpoint::keys_write().ok()?;
    let keys: KvNamespace = binding(client.env(), "KEYS")?.unchecked_into();
    Wait::from(keys.kv_put(name, text).ok()?).await.ok()
}

/// Has `act` at the account's wallet, which is made where there is none.
fn with<T>(account: &AccountId, act: impl FnOnce(&mut Wallet) -> T) -> T {
    WALLETS.with_borrow_mut(|wallets| {
        if wallets.len() >= REMEMBERED && !wallets.contains_key(account) {
            wallets.retain(|_, wallet| !wallet.is_empty());
        }
        act(wallets.entry(account.clone()).or_default())
    })
}

fn existing<T>(account: &AccountId, act: impl FnOnce(&mut Wallet) -> T) -> Option<T> {
    WALLETS.with_borrow_mut(|wallets| wallets.get_mut(account).map(act))
}
