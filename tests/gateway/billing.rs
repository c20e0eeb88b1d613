//! Buying credit: fees, signatures, events, forms and bodies.

use millrace::account::billing::{
    BillingCommand, Card, Payment, Reversal, ReversalState, TopUpAttempt, TopUpOutcome,
};
use millrace::billing::event::EVENTS;
use millrace::billing::reply::{Page, Replied, read_page, read_reply, read_top_up};
use millrace::billing::request::Bounds;
use millrace::billing::{
    CheckoutRequest, Fee, NewCodeRequest, RefundRequest, SignatureFlaw, Told, form, from_cents, read_event,
    read_top_up_rule, to_cents, verify,
};
use millrace::catalog::Catalog;
use millrace::config::Config;
use millrace::id::AccountId;
use millrace::money::Money;
use millrace::time::Time;
use proptest::prelude::*;

const ACCOUNT: &str = "0123456789Ab";

fn account() -> AccountId {
    AccountId::parse(ACCOUNT).unwrap()
}

fn usd(text: &str) -> Money {
    Money::parse_usd(text).unwrap()
}

#[test]
fn the_fee_is_a_share_but_never_less_than_a_minimum() {
    let cases = [
        // Credit and fee, in cents: openrouter.ai sells $100 for $105.50 and $10 for $10.80.
        (10_000, 550),
        (1_000, 80),
        (500, 80),
        (1_454, 80),
        // 5.5 % of $14.64 is 80.52 cents, of $14.63 is 80.465: half a cent counts as one.
        (1_464, 81),
        (1_463, 80),
        (11_000, 605),
        (1_900, 105),
        (0, 80),
    ];
    for (credit, fee) in cases {
        assert_eq!(Fee::default().cents(credit), fee, "{credit}");
    }
    assert_eq!(Fee { basis_points: 0, minimum_cents: 0 }.cents(10_000), 0);
    assert_eq!(Fee { basis_points: 50, minimum_cents: 0 }.cents(100), 1);
    assert_eq!(Fee { basis_points: 49, minimum_cents: 0 }.cents(100), 0);
    assert_eq!(Fee { basis_points: u64::MAX, minimum_cents: 0 }.cents(u64::MAX), u64::MAX);
}

#[test]
fn an_amount_is_cents_or_is_not() {
    let cases = [
        ("10", Some(1000)),
        ("0.01", Some(1)),
        ("0.001", None),
        ("-1", None),
        ("9000000", Some(900_000_000)),
    ];
    for (amount, cents) in cases {
        assert_eq!(to_cents(usd(amount)), cents, "{amount}");
    }
    assert_eq!(from_cents(1050), Some(usd("10.5")));
    assert_eq!(from_cents(u64::MAX), None);
    assert_eq!(from_cents(1_000_000_000), None);
}

#[test]
fn what_the_operator_sets_is_read() {
    let set = [
        ("STRIPE_SECRET_KEY", "sk_test_1"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_a"),
        ("STRIPE_WEBHOOK_SECRETS", "whsec_b, whsec_c"),
        ("STRIPE_API_BASE", "http://127.0.0.1:1/"),
        ("MILLRACE_CREDIT_FEE_PERCENT", "2.25"),
        ("MILLRACE_CREDIT_FEE_MINIMUM", "0"),
        ("MILLRACE_CREDIT_PURCHASE_MINIMUM", "1"),
        ("MILLRACE_CREDIT_PURCHASE_MAXIMUM", "a lot"),
    ];
    let variable =
        |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let Config { billing, problems, .. } = Config::read(&variable, Catalog::BUILT_IN);
    let stripe = billing.stripe.expect("configured");
    assert_eq!((stripe.secret_key.expose(), stripe.api_base.as_str()), ("sk_test_1", "http://127.0.0.1:1"));
    let secrets: Vec<&str> = billing.webhook_secrets.iter().map(|secret| secret.expose()).collect();
    assert_eq!(secrets, ["whsec_a", "whsec_b", "whsec_c"]);
    assert_eq!(billing.fee, Fee { basis_points: 225, minimum_cents: 0 });
    assert_eq!(billing.bounds, Bounds { least_cents: 100, most_cents: 1_000_000 });
    assert_eq!(problems, ["MILLRACE_CREDIT_PURCHASE_MAXIMUM is not an amount of dollars and whole cents"]);
}

/// Of `1795219200.{"a":1}` with `whsec_test`, by openssl.
const SIGNATURE: &str = "1672bce0a04abccfdfb6cf63b3250d6d781ee4a4d438c258ef3cac43e9375acf";

#[test]
fn a_signature_is_good_for_its_body_its_secret_and_five_minutes() {
    let other = "0".repeat(64);
    let good = format!("t=1795219200,v1={SIGNATURE}");
    let cases = [
        (good.as_str(), r#"{"a":1}"#, "whsec_test", 0, Ok(())),
        (&good, r#"{"a":1}"#, "whsec_test", 300, Ok(())),
        (&good, r#"{"a":1}"#, "whsec_test", 301, Err(SignatureFlaw::Stale)),
        (&good, r#"{"a":1}"#, "whsec_test", -300, Ok(())),
        (&good, r#"{"a":1}"#, "whsec_test", -301, Err(SignatureFlaw::Stale)),
        (&good, r#"{"a":2}"#, "whsec_test", 0, Err(SignatureFlaw::Wrong)),
        (&good, r#"{"a":1}"#, "whsec_other", 0, Err(SignatureFlaw::Wrong)),
        (&good, r#"{"a":1}"#, "", 0, Err(SignatureFlaw::Wrong)),
        (&good.replace("1795219200", "1795219201"), r#"{"a":1}"#, "whsec_test", 0, Err(SignatureFlaw::Wrong)),
        (&format!("t=1795219200,v1={other},v1={SIGNATURE},v0=x"), r#"{"a":1}"#, "whsec_test", 0, Ok(())),
        (&format!("t=1795219200, v1={SIGNATURE}"), r#"{"a":1}"#, "whsec_test", 0, Ok(())),
        (
            &format!("t=1795219200,v0={SIGNATURE}"),
            r#"{"a":1}"#,
            "whsec_test",
            0,
            Err(SignatureFlaw::Malformed),
        ),
        (&format!("v1={SIGNATURE}"), r#"{"a":1}"#, "whsec_test", 0, Err(SignatureFlaw::Malformed)),
        (&format!("t=x,v1={SIGNATURE}"), r#"{"a":1}"#, "whsec_test", 0, Err(SignatureFlaw::Malformed)),
        ("t=1795219200,v1=é", r#"{"a":1}"#, "whsec_test", 0, Err(SignatureFlaw::Malformed)),
        ("", r#"{"a":1}"#, "whsec_test", 0, Err(SignatureFlaw::Malformed)),
    ];
    for (header, payload, secret, after_s, expected) in cases {
        let now = Time::from_ms(u64::try_from(1_795_219_200_000_i64 + after_s * 1000).unwrap());
        assert_eq!(verify(header, payload.as_bytes(), &[secret], now), expected, "{header} {after_s}");
    }
    let now = Time::from_ms(1_795_219_200_000);
    assert_eq!(verify(&good, br#"{"a":1}"#, &["whsec_new", "whsec_test"], now), Ok(()));
    assert_eq!(verify(&good, br#"{"a":1}"#, &[], now), Err(SignatureFlaw::Wrong));
}

proptest! {
    #[test]
    fn no_header_and_no_body_panics(header in "\\PC{0,80}", body in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = verify(&header, &body, &["whsec"], Time::from_ms(0));
        let _ = read_event(&body);
    }
}

fn event(kind: &str, object: &str) -> String {
    format!(
        r#"{{"id":"evt_1","object":"event","type":"{kind}","livemode":false,"data":{{"object":{object}}}}}"#
    )
}

fn paid(credit: &str, total: &str) -> Payment {
    Payment { id: "pi_1".into(), credit: usd(credit), paid: usd(total), attempt: None, card: None }
}

fn for_account(command: BillingCommand) -> Told {
    Told::ForAccount(account(), command)
}

fn reversed(id: &str, amount: &str, state: ReversalState) -> BillingCommand {
    let (id, payment) = (id.to_owned(), "pi_1".to_owned());
    BillingCommand::Reversed(Reversal { id, payment, amount: usd(amount), state })
}

const OURS: &str = r#""metadata":{"millrace_account":"0123456789Ab","millrace_credit_cents":"10000"}"#;

#[test]
fn an_event_says_what_the_account_has_to_know() {
    let session = |status: &str| {
        format!(
            r#"{{"id":"cs_1","payment_intent":"pi_1","payment_status":"{status}","amount_total":10550,"currency":"usd",{OURS}}}"#
        )
    };
    let intent = |more: &str| {
        format!(
            r#"{{"id":"pi_1","amount_received":10550,"currency":"usd","created":1795219200,"status":"succeeded",{more}{OURS}}}"#
        )
    };
    let top_up = r#""metadata":{"millrace_account":"0123456789Ab","millrace_credit_cents":"10000","millrace_attempt":"7"}"#;
    let failed = |metadata: &str| {
        format!(r#"{{"id":"pi_1","currency":"usd","last_payment_error":{{"message":"No."}},{metadata}}}"#)
    };
    let refund = |status: &str, metadata: &str| {
        format!(
            r#"{{"id":"re_1","amount":500,"currency":"usd","payment_intent":"pi_1","status":"{status}","metadata":{metadata}}}"#
        )
    };
    let dispute = |status: &str| {
        format!(
            r#"{{"id":"dp_1","amount":10550,"currency":"usd","payment_intent":"pi_1","status":"{status}","metadata":{{}}}}"#
        )
    };
    let money_in = || for_account(BillingCommand::Paid(paid("100", "105.5")));
    let card =
        Card { customer: "cus_1".into(), method: "pm_1".into(), saved_at: Time::from_ms(1_795_219_200_000) };
    let disputed = |state| Told::ForOwnerOf("pi_1".into(), reversed("dp_1", "105.5", state));
    let declined = TopUpOutcome::Declined("No.".into());
    let cases = [
        ("checkout.session.completed", session("paid"), money_in()),
        ("checkout.session.completed", session("unpaid"), Told::Nothing),
        ("checkout.session.async_payment_succeeded", session("paid"), money_in()),
        ("checkout.session.async_payment_failed", session("unpaid"), Told::Nothing),
        ("checkout.session.expired", session("unpaid"), Told::Nothing),
        ("payment_intent.succeeded", intent(""), money_in()),
        (
            "payment_intent.succeeded",
            intent(
                r#""customer":"cus_1","payment_method":{"id":"pm_1"},"setup_future_usage":"off_session","#,
            ),
            for_account(BillingCommand::Paid(Payment { card: Some(card), ..paid("100", "105.5") })),
        ),
        (
            "payment_intent.succeeded",
            intent("").replace(OURS, top_up),
            for_account(BillingCommand::Paid(Payment { attempt: Some(7), ..paid("100", "105.5") })),
        ),
        (
            "payment_intent.payment_failed",
            failed(top_up),
            for_account(BillingCommand::TopUpEnded { attempt: 7, outcome: declined }),
        ),
        ("payment_intent.payment_failed", failed(OURS), Told::Nothing),
        (
            "charge.refunded",
            format!(
                r#"{{"id":"ch_1","payment_intent":"pi_1","amount_refunded":2500,"currency":"usd",{OURS}}}"#
            ),
            for_account(BillingCommand::Refunded { payment: "pi_1".into(), total: usd("25") }),
        ),
        (
            "refund.created",
            refund("pending", "{}"),
            Told::ForOwnerOf("pi_1".into(), reversed("re_1", "5", ReversalState::RefundMade)),
        ),
        (
            "refund.failed",
            refund("failed", r#"{"millrace_account":"0123456789Ab","millrace_refund":"refund-9"}"#),
            for_account(reversed("refund-9", "5", ReversalState::RefundFailed)),
        ),
        ("charge.dispute.created", dispute("warning_needs_response"), disputed(ReversalState::DisputeWarned)),
        ("charge.dispute.created", dispute("needs_response"), disputed(ReversalState::DisputeTaken)),
        ("charge.dispute.funds_withdrawn", dispute("needs_response"), disputed(ReversalState::DisputeTaken)),
        (
            "charge.dispute.funds_reinstated",
            dispute("under_review"),
            disputed(ReversalState::DisputeReinstated),
        ),
        ("charge.dispute.closed", dispute("won"), disputed(ReversalState::DisputeWon)),
        ("charge.dispute.closed", dispute("lost"), disputed(ReversalState::DisputeLost)),
        ("charge.dispute.closed", dispute("warning_closed"), disputed(ReversalState::DisputeWarned)),
        // What others sold with the same account of Stripe's.
        ("payment_intent.succeeded", intent("").replace(OURS, r#""metadata":{}"#), Told::Nothing),
        ("payment_intent.succeeded", intent("").replace(OURS, r#""metadata":null"#), Told::Nothing),
        ("charge.dispute.created", dispute("lost").replace("usd", "eur"), Told::Nothing),
        ("customer.created", "{}".into(), Told::Nothing),
    ];
    for (kind, object, expected) in &cases {
        assert_eq!(read_event(event(kind, object).as_bytes()).as_ref(), Ok(expected), "{kind} {object}");
    }
    for kind in EVENTS {
        let told = ["refund.updated"].contains(&kind) || cases.iter().any(|(known, ..)| *known == kind);
        assert!(told, "{kind} is selected and not tried");
    }
    let foreign =
        event("payment_intent.succeeded", &intent("")).replace(r#""id":"evt_1""#, r#""account":"acct_1""#);
    assert_eq!(read_event(foreign.as_bytes()), Ok(Told::Nothing), "a connected account's");
}

#[test]
fn a_sale_that_we_never_made_is_refused() {
    let good = format!(r#"{{"id":"pi_1","amount_received":10550,"currency":"usd",{OURS}}}"#);
    let cases = [
        (good.replace("usd", "eur"), "US dollars only"),
        (good.replace("10550", "9999"), "less was paid"),
        (good.replace(r#""10000""#, r#""ten""#), "how much credit"),
        (good.replace("10550", "true"), "not one of Stripe's"),
    ];
    for (object, words) in cases {
        let failure = read_event(event("payment_intent.succeeded", &object).as_bytes()).expect_err(&object);
        assert!(failure.message.contains(words), "{object}: {}", failure.message);
    }
}

#[test]
fn stripe_is_asked_in_forms() {
    let body = br#"{"amount":"100","save_payment_method":true,"id":"a-b"}"#;
    let request =
        CheckoutRequest::read(body, Bounds::default(), "x".into(), "https://here.example/").unwrap();
    let asked = form::checkout(&account(), &request, 550, None);
    assert_eq!(
        (asked.path, asked.idempotency_key.as_str()),
        ("/v1/checkout/sessions", "checkout-0123456789Ab-a-b")
    );
    let body = asked.body();
    for part in [
        "mode=payment&success_url=https%3A%2F%2Fhere.example%2F",
        "adaptive_pricing%5Benabled%5D=false",
        "line_items%5B0%5D%5Bprice_data%5D%5Bunit_amount%5D=10000",
        "line_items%5B1%5D%5Bprice_data%5D%5Bunit_amount%5D=550",
        "payment_intent_data%5Bmetadata%5D%5Bmillrace_account%5D=0123456789Ab",
        "payment_intent_data%5Bsetup_future_usage%5D=off_session&customer_creation=always",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    let again = form::checkout(&account(), &request, 0, Some("cus_1")).body();
    assert!(!again.contains("line_items%5B1") && !again.contains("customer_creation"));
    assert!(again.ends_with("customer=cus_1"));
    let attempt = attempt();
    let charged = form::top_up(&attempt, |cents| cents / 10).unwrap();
    assert_eq!(charged.idempotency_key, "top-up-0123456789Ab-3");
    assert!(
        charged
            .body()
            .starts_with("amount=2750&currency=usd&customer=cus_1&payment_method=pm_1&off_session=true")
    );
    assert_eq!(form::refund(&account(), "refund-1", "pi_1", usd("0.001")), None);
    assert_eq!(form::payment_path("pi_1/../x"), None);
    assert_eq!(form::payment_path("pi_1").as_deref(), Some("/v1/payment_intents/pi_1"));
}

fn attempt() -> TopUpAttempt {
    let (customer, method) = ("cus_1".to_owned(), "pm_1".to_owned());
    TopUpAttempt { account: account(), attempt: 3, amount: usd("25"), customer, method }
}

#[test]
fn an_answer_is_done_refused_or_unknown() {
    let reply = |status: u16, body: &str| read_reply(Some((status, body.as_bytes().to_vec())));
    let card =
        r#"{"error":{"type":"card_error","code":"card_declined","message":"Your card was declined."}}"#;
    let twice = r#"{"error":{"type":"idempotency_error","message":"Keys …"}}"#;
    let declined = |words: &str, declined| Replied::Refused { words: words.to_owned(), declined };
    assert_eq!(reply(200, "{}"), Replied::Done(b"{}".to_vec()));
    assert_eq!(reply(402, card), declined("Your card was declined.", true));
    assert_eq!(
        reply(400, r#"{"error":{"type":"invalid_request_error"}}"#),
        declined("Stripe answered with status 400", false)
    );
    assert_eq!(reply(400, twice), Replied::OtherRequest);
    for (status, body) in [(409, card), (429, card), (500, card), (503, ""), (400, "<html>")] {
        assert_eq!(reply(status, body), Replied::Unknown, "{status} {body}");
    }
    assert_eq!(read_reply(None), Replied::Unknown);
    let ended = |outcome| BillingCommand::TopUpEnded { attempt: 3, outcome };
    assert_eq!(
        read_top_up(&attempt(), reply(402, card)),
        ended(TopUpOutcome::Declined("Your card was declined.".into()))
    );
    assert_eq!(read_top_up(&attempt(), Replied::Unknown), ended(TopUpOutcome::Unknown));
    let intent = |status: &str| {
        format!(
            r#"{{"id":"pi_9","status":"{status}","currency":"usd","amount_received":2638,"metadata":{{"millrace_account":"{ACCOUNT}","millrace_credit_cents":"2500","millrace_attempt":"3"}}}}"#
        )
    };
    assert_eq!(read_top_up(&attempt(), reply(200, &intent("processing"))), ended(TopUpOutcome::Processing));
    let payment =
        Payment { id: "pi_9".into(), credit: usd("25"), paid: usd("26.38"), attempt: Some(3), card: None };
    assert_eq!(read_top_up(&attempt(), reply(200, &intent("succeeded"))), BillingCommand::Paid(payment));
    let page = Page { id: "cs_1".into(), url: "https://checkout.stripe.com/c/1".into() };
    assert_eq!(read_page(br#"{"id":"cs_1","url":"https://checkout.stripe.com/c/1"}"#), Ok(page));
    assert!(read_page(br#"{"id":"cs_1","url":null}"#).is_err());
}

#[test]
fn what_cannot_be_bought_is_refused_by_name() {
    let checkout = |body: &str| {
        CheckoutRequest::read(body.as_bytes(), Bounds::default(), "x".into(), "https://here.example/")
            .map(|_| ())
    };
    let top_up = |body: &str| read_top_up_rule(body.as_bytes(), Bounds::default()).map(|_| ());
    let code = |body: &str| NewCodeRequest::read(body.as_bytes()).map(|_| ());
    let refund = |body: &str| RefundRequest::read(body.as_bytes(), "x".into()).map(|_| ());
    type Read<'a> = &'a dyn Fn(&str) -> Result<(), millrace::error::Failure>;
    let cases: [(Read, &str, &str); 20] = [
        (&checkout, "{}", "amount: this member is required"),
        (&checkout, r#"{"amount":4.99}"#, "amount: must be from $5.00 to $10000.00"),
        (&checkout, r#"{"amount":10000.01}"#, "amount: must be from"),
        (&checkout, r#"{"amount":10.001}"#, "whole cents"),
        (&checkout, r#"{"amount":-10}"#, "whole cents"),
        (&checkout, r#"{"amount":10,"success_url":"javascript:alert(1)"}"#, "success_url: "),
        (&checkout, r#"{"amount":10,"currency":"eur"}"#, "currency: no such member"),
        (&checkout, r#"{"amount":10,"id":"a b"}"#, "id: "),
        (&refund, r#"{"payment":"pi_1","id":""}"#, "id: "),
        (&top_up, "{}", "enabled: this member is required"),
        (&top_up, r#"{"enabled":true,"amount":10}"#, "threshold: this member is required"),
        (&top_up, r#"{"enabled":true,"amount":1,"threshold":1}"#, "amount: must be from"),
        (&top_up, r#"{"enabled":true,"amount":10,"threshold":-1}"#, "threshold: "),
        (&top_up, r#"{"enabled":true,"amount":10,"threshold":1,"monthly_cap":5}"#, "monthly_cap: "),
        (&code, r#"{"amount":0}"#, "amount: "),
        (&code, r#"{"amount":1,"uses":0}"#, "uses: "),
        (&code, r#"{"amount":1,"uses":1.5}"#, "uses: "),
        (&code, r#"{"amount":1,"expires_at":"soon"}"#, "expires_at: "),
        (&refund, "{}", "payment: this member is required"),
        (&refund, r#"{"payment":"pi_1","amount":0}"#, "amount: "),
    ];
    for (read, body, words) in cases {
        let failure = read(body).expect_err(body);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
}
