//! What the operator set and laid over the catalog, as the isolate knows it. The document is kept by
//! the operator's own object, in versions; KV has the one in use, and isolates look there in the
//! background. What they last read stays good for as long as KV cannot be read.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::future_to_promise;

use crate::account::document::{Document as Kept, DocumentAnswer, DocumentCommand, Kind};
use crate::catalog::Catalog;
use crate::catalog::overlay::{Document, Names, draft};
use crate::config::Config;
use crate::id::AccountId;
use crate::json;
use crate::shell::accounts::AccountClient;
use crate::shell::bindings::{Context, KvNamespace, binding, console_log};
use crate::shell::clock;
use crate::shell::wait::Wait;
use crate::time::Time;

/// The entry in KV: `{"version":3,"document":{…}}`.
pub const ENTRY: &str = "catalog:overlay";
/// The slug of the one document of its kind.
pub const SLUG: &str = "overlay";
/// The object that keeps the operator's documents. It holds no money.
const OPERATOR: &str = "operator0000";
/// How long an edge's own cache of KV answers, in seconds: the least there is.
const EDGE_CACHE_S: u32 = 30;
/// Younger than this, what is known is used; then it is read again behind the request.
const FRESH: Duration = Duration::from_secs(15);
/// Older than this, as after a quiet hour, the request waits for it.
const STALE: Duration = Duration::from_secs(25);
/// How long a request waits at most: one that has something to go by, and the first of an isolate.
const WARM_WAIT: Duration = Duration::from_millis(500);
const COLD_WAIT: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Known {
    /// The same for every request of an isolate, until another version is laid.
    config: Option<Rc<Config>>,
    version: u64,
    /// When KV was last asked.
    asked_at: Option<Time>,
    /// Rows that the document has and that were left out.
    problems: Vec<String>,
    names: Names,
}

thread_local! {
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// What the operator set, with the catalog as it is laid.
pub async fn config(env: &JsValue, context: &Context) -> Rc<Config> {
    let now = clock::now();
    match KNOWN.with_borrow(|known| known.asked_at.map(|at| now.since(at))) {
        Some(age) if age < FRESH => {}
        Some(age) if age < STALE => refresh_behind(env, context, now),
        Some(_) => {
            clock::within(WARM_WAIT, Box::pin(refresh(env, now))).await;
        }
        None => {
            clock::within(COLD_WAIT, Box::pin(refresh_cold(env, now))).await;
        }
    }
    current(env)
}

/// What is known at the moment, without looking further.
pub fn current(env: &JsValue) -> Rc<Config> {
    KNOWN.with_borrow_mut(|known| {
        let read = || Rc::new(read_config(env, Catalog::BUILT_IN));
        Rc::clone(known.config.get_or_insert_with(read))
    })
}

/// What of the document in use was left out, because the crate's catalog has changed under it.
pub fn problems() -> Vec<String> {
    KNOWN.with_borrow(|known| known.problems.clone())
}

/// Works with the strings that this isolate keeps.
pub fn with_names<T>(work: impl FnOnce(&mut Names) -> T) -> T {
    KNOWN.with_borrow_mut(|known| work(&mut known.names))
}

/// Lays a version of the document. Each is made once: an older one, or the same again, is ignored.
pub fn lay(env: &JsValue, version: u64, text: &str) {
    KNOWN.with_borrow_mut(|known| {
        if version <= known.version {
            return;
        }
        let document = match Document::read(text) {
            Ok(document) => document,
            Err(words) => {
                known.problems = vec![words];
                console_log(&format!(r#"{{"event":"overlay_unreadable","version":{version}}}"#));
                return;
            }
        };
        let (draft, mistakes) = draft(&document, &mut known.names);
        let config = read_config(env, Catalog::with(draft.lay(version)));
        known.config = Some(Rc::new(config));
        known.version = version;
        known.problems = mistakes;
        console_log(&format!(r#"{{"event":"overlay","version":{version}}}"#));
    });
}

/// Puts a version where every edge finds it; whether that worked.
pub async fn publish(env: &JsValue, version: u64, text: &str) -> bool {
    let entry = format!(r#"{{"version":{version},"document":{text}}}"#);
    let written = match kv(env).map(|kv| kv.kv_put(ENTRY, &entry)) {
        Some(Ok(promise)) => Wait::from(promise).await.is_ok(),
        Some(Err(_)) | None => false,
    };
    if !written {
        console_log(r#"{"event":"kv_write_failed","what":"overlay"}"#);
    }
    written
}

/// The account that keeps the operator's documents.
pub fn operator() -> AccountId {
    AccountId::parse(OPERATOR).expect("twelve of base 62")
}

fn read_config(env: &JsValue, catalog: Catalog) -> Config {
    let variable = |name: &str| binding(env, name)?.as_string();
    Config::read(&variable, catalog)
}

fn refresh_behind(env: &JsValue, context: &Context, now: Time) {
    // Requests until the answer go by what is known.
    KNOWN.with_borrow_mut(|known| known.asked_at = Some(now));
    let env = env.clone();
    let work = future_to_promise(AssertUnwindSafe(async move {
        refresh(&env, now).await;
        Ok(JsValue::UNDEFINED)
    }));
    // Without it the runtime may end the work with the request, and the next one tries again.
    let _ = context.wait_until(&work);
}

/// Reads KV; whether that worked.
async fn refresh(env: &JsValue, now: Time) -> bool {
    let read = read_entry(env).await;
    KNOWN.with_borrow_mut(|known| known.asked_at = Some(now));
    match read {
        Ok(Some(entry)) => {
            lay_entry(env, &entry);
            true
        }
        Ok(None) => true,
        Err(()) => {
            console_log(r#"{"event":"kv_read_failed","what":"overlay"}"#);
            false
        }
    }
}

/// An isolate that knows nothing asks the operator's object where KV fails.
async fn refresh_cold(env: &JsValue, now: Time) {
    if refresh(env, now).await {
        return;
    }
    if let Some(kept) = kept(env, None).await {
        lay(env, kept.in_use, &kept.version.body);
    }
}

/// The document as the operator's object keeps it; `None` if there is none or it does not answer.
pub async fn kept(env: &JsValue, version: Option<u64>) -> Option<Box<Kept>> {
    let client = AccountClient::new(env, &operator());
    let command = DocumentCommand::Get { kind: Kind::Catalog, slug: SLUG.to_owned(), version };
    match DocumentAnswer::read(&client.call(&command.told()).await.ok()?)? {
        DocumentAnswer::One { one } => Some(one),
        _ => None,
    }
}

fn lay_entry(env: &JsValue, entry: &str) {
    let read = json::members(entry).ok().and_then(|entry| {
        Some((entry.get("version").and_then(json::whole)?, entry.get("document")?.to_owned()))
    });
    match read {
        Some((version, document)) => lay(env, version, &document),
        None => console_log(r#"{"event":"overlay_unreadable"}"#),
    }
}

async fn read_entry(env: &JsValue) -> Result<Option<String>, ()> {
    let promise = kv(env).ok_or(())?.kv_get_cached(ENTRY, EDGE_CACHE_S).map_err(|_| ())?;
    Wait::from(promise).await.map(|entry| entry.as_string()).map_err(|_| ())
}

fn kv(env: &JsValue) -> Option<KvNamespace> {
    binding(env, "KEYS").map(JsCast::unchecked_into)
}

impl KvNamespace {
    /// A text, perhaps as the edge knew it up to `seconds` ago.
    fn kv_get_cached(&self, name: &str, seconds: u32) -> Result<js_sys::Promise, JsValue> {
        let options = js_sys::Object::new();
        js_sys::Reflect::set(&options, &"type".into(), &"text".into())?;
        js_sys::Reflect::set(&options, &"cacheTtl".into(), &seconds.into())?;
        self.kv_get_with(name, &options)
    }
}
