//! What this isolate knows of how endpoints fare. Its mind is `crate::health`.

use std::cell::RefCell;

use crate::config::Config;
use crate::health::{Admission, Health, News, Store, Subject};
use crate::id::hex;
use crate::shell::bindings::random;
use crate::shell::clock::now;

thread_local! {
    static STORE: RefCell<Option<Store>> = const { RefCell::new(None) };
}

/// Lends what is known to a plan.
pub fn with<T>(config: &Config, plan: impl FnOnce(&dyn Health) -> T) -> T {
    STORE.with_borrow_mut(|store| {
        let new = || Store::new(hex(&random::<8>()), config.key_digests());
        plan(store.get_or_insert_with(new))
    })
}

pub fn admit(subject: &Subject) -> Admission {
    STORE.with_borrow_mut(|store| match store {
        Some(store) => store.admit(subject, now()),
        None => Admission::Free,
    })
}

pub fn take(news: &News) {
    STORE.with_borrow_mut(|store| {
        if let Some(store) = store {
            store.take(now(), news);
        }
    });
}
