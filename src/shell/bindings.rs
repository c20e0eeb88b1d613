//! The parts of the runtime that the shell calls, as they are: the crate's own wrappers for these
//! cost more per request or cannot express what is needed.

use std::cell::RefCell;

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, ReadableStream, ReadableStreamDefaultReader, Response, WritableStream};

use crate::shell::edge::Attempt;
use crate::shell::relay::Relay;
use crate::shell::upstream::EmbeddedSource;

#[wasm_bindgen]
extern "C" {
    /// The runtime's native pipe between a writer and the body of a response.
    pub type IdentityTransformStream;
    #[wasm_bindgen(constructor, catch)]
    pub fn new() -> Result<IdentityTransformStream, JsValue>;
    #[wasm_bindgen(method, getter)]
    pub fn readable(this: &IdentityTransformStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    pub fn writable(this: &IdentityTransformStream) -> WritableStream;

    /// What the runtime gives with a request.
    pub type Context;
    #[wasm_bindgen(method, catch, js_name = waitUntil)]
    pub fn wait_until(this: &Context, promise: &Promise) -> Result<(), JsValue>;

    /// A KV namespace.
    pub type KvNamespace;
    #[wasm_bindgen(method, catch, js_name = get)]
    pub fn kv_get(this: &KvNamespace, name: &str, kind: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = get)]
    pub fn kv_get_with(this: &KvNamespace, name: &str, options: &JsValue) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = put)]
    pub fn kv_put(this: &KvNamespace, name: &str, value: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = list)]
    pub fn kv_list(this: &KvNamespace, options: &JsValue) -> Result<Promise, JsValue>;

    /// A Durable Object namespace.
    #[derive(Clone)]
    pub type ObjectNamespace;
    #[wasm_bindgen(method, catch, js_name = idFromName)]
    pub fn id_from_name(this: &ObjectNamespace, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch, js_name = get)]
    pub fn object(this: &ObjectNamespace, id: &JsValue) -> Result<ObjectStub, JsValue>;

    /// An object, called by RPC.
    pub type ObjectStub;
    #[wasm_bindgen(method, catch)]
    pub fn call(this: &ObjectStub, command: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_name = fetch, catch)]
    pub fn fetch(url: &str, init: &JsValue) -> Result<Promise, JsValue>;

    #[wasm_bindgen(js_namespace = console, js_name = log)]
    pub fn console_log(line: &str);

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues, catch)]
    fn get_random_values(array: &js_sys::Uint8Array) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen(module = "/src/shell/glue.js")]
extern "C" {
    pub fn relay(
        core: Relay,
        memory: &JsValue,
        reader: &ReadableStreamDefaultReader,
        writer: &web_sys::WritableStreamDefaultWriter,
        signal: &AbortSignal,
    ) -> Promise;

    pub fn pipe(
        core: Relay,
        memory: &JsValue,
        body: &ReadableStream,
        writable: &WritableStream,
        signal: &AbortSignal,
        attempt: &Attempt,
        tick_ms: u32,
    ) -> Promise;

    pub fn release(reader: &ReadableStreamDefaultReader, ms: u32) -> Promise;

    pub fn embedded(source: EmbeddedSource, status: u16, content_type: &str) -> Response;

    #[wasm_bindgen(js_name = signRs256)]
    pub fn sign_rs256(key: &js_sys::Uint8Array, text: &str) -> Promise;

    pub fn seal(secret: &str, bound: &str, text: &str) -> Promise;

    pub fn unseal(secret: &str, bound: &str, bytes: &js_sys::Uint8Array) -> Promise;

    #[wasm_bindgen(catch)]
    pub fn query(storage: &JsValue, statement: &str, cells: &Array) -> Result<Array, JsValue>;
}

/// As many random bytes as are got at once: a call for each few costs more than they do.
const POOL: usize = 1024;

thread_local! {
    /// Random bytes that were not used yet.
    static UNUSED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Random bytes from the runtime's secure source. None is given twice.
pub fn random<const N: usize>() -> [u8; N] {
    UNUSED.with_borrow_mut(|unused| {
        if unused.len() < N {
            let array = js_sys::Uint8Array::new_with_length((POOL + N) as u32);
            get_random_values(&array).expect("the runtime gives random bytes inside a request");
            *unused = array.to_vec();
        }
        let mut bytes = [0; N];
        bytes.copy_from_slice(&unused.split_off(unused.len() - N));
        bytes
    })
}

/// A binding or variable of the worker, `None` where it has none by that name.
pub fn binding(env: &JsValue, name: &str) -> Option<JsValue> {
    js_sys::Reflect::get(env, &JsValue::from_str(name)).ok().filter(|value| !value.is_undefined())
}
