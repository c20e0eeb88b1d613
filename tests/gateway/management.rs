//! The bodies of the management API.

use millrace::account::key::SECRET_LENGTH;
use millrace::account::request::{
    GrantRequest, NewKeyRequest, read_account_name, read_key_change, read_rotation,
};
use millrace::account::{KeyKind, LimitReset, NewKey};
use millrace::id::{AccountId, KeyHash};
use millrace::money::Money;

#[test]
fn a_new_key_is_read_exactly() {
    let body = br#"{"name":"ci","limit":0.1,"limit_reset":"weekly","expires_at":"2027-12-31T23:59:59Z"}"#;
    let request = NewKeyRequest::read(body, false).expect("well formed");
    assert_eq!(request.limit, Some(Money::from_pico(100_000_000_000)));
    assert_eq!(request.limit_reset, Some(LimitReset::Weekly));
    assert!(request.expires_at.is_some() && !request.management);
}

#[test]
fn what_cannot_be_a_key_is_refused_by_name() {
    let cases = [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{}", "name: "),
        (r#"{"name":" "}"#, "name: "),
        (r#"{"name":5}"#, "name: "),
        (r#"{"name":"x","limit":-1}"#, "limit: "),
        (r#"{"name":"x","limit":"lots"}"#, "limit: "),
        (r#"{"name":"x","limit":0.0000000000001}"#, "limit: finer than a picodollar"),
        (r#"{"name":"x","limit_reset":"hourly"}"#, "limit_reset: "),
        (r#"{"name":"x","expires_at":"2027-12-31T23:59Z"}"#, "expires_at: "),
        (r#"{"name":"x","limits":5}"#, "limits: no such member"),
        (r#"{"name":"x","management":true}"#, "management: "),
    ];
    for (body, words) in cases {
        let failure = NewKeyRequest::read(body.as_bytes(), false).expect_err(body);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
    assert!(
        NewKeyRequest::read(br#"{"name":"x","management":true}"#, true).expect("the admin may").management
    );
}

#[test]
fn a_change_tells_absent_from_null() {
    let hash = || KeyHash::of("key");
    let change = read_key_change(hash(), Some(KeyKind::Inference), br#"{"limit":null,"disabled":true}"#)
        .expect("well formed");
    assert_eq!((change.limit, change.disabled, change.name), (Some(None), Some(true), None));
    assert_eq!(change.only, Some(KeyKind::Inference));
    let change = read_key_change(hash(), None, b"{}").expect("well formed");
    assert_eq!((change.limit, change.limit_reset), (None, None));
    assert!(read_key_change(hash(), None, br#"{"expires_at":"2027-12-31T23:59:59Z"}"#).is_err());
}

#[test]
fn a_grant_is_exact_dollars() {
    let cases = [
        (r#"{"amount":"12.50"}"#, "12.5"),
        (r#"{"amount":1e-12}"#, "0.000000000001"),
        (r#"{"amount":-3}"#, "-3"),
    ];
    for (body, usd) in cases {
        assert_eq!(GrantRequest::read(body.as_bytes()).expect(body).amount.to_usd(), usd);
    }
    for body in [r#"{}"#, r#"{"amount":true}"#, r#"{"amount":""}"#, r#"{"amount":1e-13}"#] {
        assert!(GrantRequest::read(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn an_account_has_a_name() {
    assert_eq!(read_account_name(br#"{"name":"First"}"#).expect("well formed"), "First");
    assert!(read_account_name(br#"{"title":"First"}"#).is_err());
}

#[test]
fn a_key_says_whose_it_is() {
    let body = br#"{"name":"x","creator_user_id":"user_1","external":{"user":"u-7","api_key":"their-key"}}"#;
    let holder = NewKeyRequest::read(body, false).expect("well formed").holder;
    assert_eq!(
        (holder.creator_user_id.as_deref(), holder.external_user.as_deref(), holder.external_key.as_deref()),
        (Some("user_1"), Some("u-7"), Some("their-key"))
    );
    let cases = [
        (r#"{"name":"x","external":"u-7"}"#, "external: "),
        (r#"{"name":"x","external":{}}"#, "external.user: "),
        (r#"{"name":"x","external":{"user":"u","key":"k"}}"#, "key: no such member"),
        (r#"{"name":"x","creator_user_id":""}"#, "creator_user_id: "),
        (r#"{"name":"x","expires_at":"2027-12-31T23:59:59+02:00"}"#, "expires_at: must be in UTC"),
    ];
    for (body, words) in cases {
        let failure = NewKeyRequest::read(body.as_bytes(), false).expect_err(body);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
}

#[test]
fn a_rotation_needs_no_body_and_is_bounded() {
    let account = AccountId::parse("Account00000").expect("an account");
    let new = NewKey::new(&account, &[7; SECRET_LENGTH]);
    let read = |body: &str| read_rotation(KeyHash::of("old"), None, &new, body.as_bytes());
    assert_eq!(read("").expect("empty").overlap_ms, 86_400_000);
    let rotate = read(r#"{"overlap_seconds":0,"id":"june","expires_at":null}"#).expect("well formed");
    assert_eq!((rotate.overlap_ms, rotate.id.as_deref(), rotate.expires_at), (0, Some("june"), Some(None)));
    assert_eq!(read("{}").expect("empty").expires_at, None);
    for body in [r#"{"overlap_seconds":2592001}"#, r#"{"overlap_seconds":-1}"#, r#"{"overlap":5}"#, "[]"] {
        assert!(read(body).is_err(), "{body}");
    }
}
