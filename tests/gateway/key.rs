//! API keys: spelling, hash, label and the snapshot that edges keep.

use millrace::account::key::{self, KeyKind, KeyRefusal, KeySnapshot, NewKey, SECRET_LENGTH, parse_key};
use millrace::id::{AccountId, KeyHash};
use millrace::time::Time;

#[test]
fn a_new_key_names_its_account_and_hides_its_secret() {
    let account = AccountId::parse("AbcdefGHIJ12").unwrap();
    let mut random = [0; SECRET_LENGTH];
    for (at, byte) in random.iter_mut().enumerate() {
        *byte = at as u8;
    }
    let key = NewKey::new(&account, &random);
    assert_eq!(key.text, "sk-mr-v1-AbcdefGHIJ12-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg");
    assert_eq!(key.label, "sk-mr-v1-Abc...efg");
    assert_eq!(key.hash, KeyHash::of(&key.text));
    assert_eq!(parse_key(&key.text), Some(account));
    assert_eq!(key::entry_name(&key.hash), format!("key:{}", key.hash));
}

#[test]
fn what_is_no_key_names_no_account() {
    let secret = "s".repeat(43);
    let rows = [
        String::new(),
        "sk-mr-v1-".into(),
        format!("sk-or-v1-AbcdefGHIJ12-{secret}"),
        format!("sk-mr-v1-AbcdefGHIJ1-{secret}"),
        format!("sk-mr-v1-AbcdefGHIJ123-{secret}"),
        format!("sk-mr-v1-AbcdefGHIJ12-{secret}s"),
        format!("sk-mr-v1-AbcdefGHIJ12-{}", &secret[1..]),
        format!("sk-mr-v1-AbcdefGHIJ12-{}-", &secret[1..]),
        format!("sk-mr-v1-AbcdefGHIJ12-{}é", &secret[2..]),
        format!(" sk-mr-v1-AbcdefGHIJ12-{secret}"),
        format!("sk-mr-v1-AbcdefGHIJ1é-{secret}"),
    ];
    for text in rows {
        assert_eq!(parse_key(&text), None, "{text}");
    }
}

#[test]
fn a_snapshot_says_whether_its_key_is_good() {
    use KeyKind::{Inference, Management};
    use KeyRefusal::{Deleted, Disabled, Expired};
    // kind, disabled, deleted, expires, is it good, may it spend
    let rows = [
        (Inference, false, false, None, Ok(()), Ok(())),
        (Inference, false, false, Some(101), Ok(()), Ok(())),
        (Inference, false, false, Some(100), Err(Expired), Err(Expired)),
        (Inference, true, false, Some(100), Err(Disabled), Err(Disabled)),
        (Inference, true, true, Some(100), Err(Deleted), Err(Deleted)),
        (Management, false, false, None, Ok(()), Err(KeyRefusal::Management)),
        (Management, true, false, None, Err(Disabled), Err(Disabled)),
    ];
    for (kind, disabled, deleted, expires, good, spends) in rows {
        let snapshot = KeySnapshot {
            account: AccountId::parse("AbcdefGHIJ12").unwrap(),
            hash: KeyHash::of("k"),
            kind,
            version: 7,
            disabled,
            deleted,
            expires_at: expires.map(Time::from_ms),
            policy: None,
            byok: false,
            workspace: None,
            member: None,
        };
        assert_eq!(snapshot.check(Time::from_ms(100)), good, "{snapshot:?}");
        assert_eq!(snapshot.check_spending(Time::from_ms(100)), spends, "{snapshot:?}");
        assert_eq!(KeySnapshot::from_json(&snapshot.to_json()), Some(snapshot));
    }
}

#[test]
fn a_snapshot_has_one_form() {
    let json = format!(
        r#"{{"account":"AbcdefGHIJ12","hash":"{}","kind":"inference","version":7,"disabled":false,"deleted":true,"expires_at":null}}"#,
        KeyHash::of("k")
    );
    assert_eq!(KeySnapshot::from_json(&json).unwrap().to_json(), json);
    for text in ["", "null", "{}", r#"{"account":"short"}"#] {
        assert_eq!(KeySnapshot::from_json(text), None, "{text}");
    }
}
