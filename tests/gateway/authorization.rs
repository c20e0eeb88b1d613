//! Apps that want a key: what they may ask for, the page for the owner, and codes that are good once.

use crate::account::script::{Database, check_line, time, usd};
use millrace::account::access::{AccessAnswer, AccessCommand, AccessRefusal, Exchange, NewAuthCode};
use millrace::account::challenge::{Challenge, ChallengeMethod};
use millrace::account::key::SECRET_LENGTH;
use millrace::account::{Answer, Command, LimitReset};
use millrace::authorization::{AuthCode, Callback, ExchangeRequest, Wish, app_id, page, parse_code};
use millrace::id::{AccountId, KeyHash};
use millrace::query;

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[test]
fn a_verifier_meets_its_challenge_alone() {
    use ChallengeMethod::{Plain, S256};
    let long = "v".repeat(128);
    let cases = [
        (Some(S256), CHALLENGE, VERIFIER, true),
        (Some(S256), CHALLENGE, CHALLENGE, false),
        (Some(S256), CHALLENGE, "", false),
        (Some(Plain), VERIFIER, VERIFIER, true),
        (None, VERIFIER, VERIFIER, true),
        (Some(Plain), CHALLENGE, VERIFIER, false),
        (Some(Plain), long.as_str(), long.as_str(), true),
    ];
    for (method, challenge, verifier, is_met) in cases {
        let made = Challenge::new(method, challenge).expect("well formed");
        assert_eq!(made.is_met(verifier), is_met, "{method:?} {challenge} {verifier}");
    }
    for (method, text) in [
        (Some(S256), "short"),
        (Some(S256), long.as_str()),
        (None, "x"),
        (None, "this challenge has forty-three characters !"),
    ] {
        assert_eq!(Challenge::new(method, text), None, "{text}");
    }
}

#[test]
fn a_code_is_sent_over_tls_or_stays_on_the_machine() {
    let good = [
        ("https://app.example/cb?x=1", "https://app.example", "app.example"),
        ("https://app.example:8443/", "https://app.example:8443", "app.example:8443"),
        ("https://app.example", "https://app.example", "app.example"),
        ("http://localhost:3000/cb", "http://localhost:3000", "localhost:3000"),
        ("http://127.0.0.1/cb", "http://127.0.0.1", "127.0.0.1"),
    ];
    for (url, origin, host) in good {
        let callback = Callback::read(url).expect(url);
        assert_eq!((callback.origin(), callback.host()), (origin, host));
        assert_eq!(callback.is_local(), url.starts_with("http:"));
    }
    let bad = [
        "http://app.example/cb",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "https://user:pass@app.example/",
        "https://app.example/#fragment",
        "javascript://app.example/%0aalert(1)",
        "app.example",
        "https://",
        "https://[::1]/",
        "https://app.example:0/",
        "https://app.example:99999/",
        "https://app.example\\@evil.example/",
        "https://app.example/ x",
        "https://app.example;form-action/",
    ];
    for url in bad {
        assert!(Callback::read(url).is_err(), "{url}");
    }
    assert!(Callback::read(&format!("https://a.example/{}", "x".repeat(2048))).is_err());
}

#[test]
fn a_callback_keeps_its_query_and_gets_more() {
    let cases = [
        ("https://a.example", "https://a.example?code=a%26b"),
        ("https://a.example/cb?x=1", "https://a.example/cb?x=1&code=a%26b"),
    ];
    for (url, with) in cases {
        assert_eq!(Callback::read(url).expect(url).with(&[("code", "a&b")]), with);
    }
}

fn wish(query: &str) -> Result<Wish, String> {
    Wish::from_pairs(query::pairs(query)).map_err(|failure| failure.message)
}

#[test]
fn what_an_app_asks_for_is_read_from_page_and_body_alike() {
    let query = format!(
        "callback_url=https%3A%2F%2Fapp.example%2Fcb&code_challenge={CHALLENGE}&code_challenge_method=S256\
         &key_label=My+key&limit=1.5&usage_limit_type=monthly&expires_at=2027-12-31T23:59:59Z&utm_source=x"
    );
    let body = format!(
        r#"{{"callback_url":"https://app.example/cb","code_challenge":"{CHALLENGE}","key_label":"My key",
            "code_challenge_method":"S256","limit":1.5,"usage_limit_type":"monthly",
            "expires_at":"2027-12-31T23:59:59Z","spawn_agent":"x"}}"#
    );
    let read = wish(&query).expect("well formed");
    assert_eq!(Wish::from_body(body.as_bytes()).expect("well formed"), read);
    let code = read.code(KeyHash::of("code"));
    assert_eq!((code.name.as_str(), code.app.as_str()), ("My key", "app.example"));
    assert_eq!((code.limit, code.limit_reset), (Some(usd("1.5")), Some(LimitReset::Monthly)));
    let headless = wish(&format!("code_challenge={VERIFIER}&limit=")).expect("well formed");
    assert_eq!((headless.app(), headless.limit), ("device", None));
}

#[test]
fn what_an_app_may_not_ask_for_is_refused_by_name() {
    let callback = "callback_url=https://app.example/";
    let cases = [
        (String::new(), "code_challenge: required"),
        ("callback_url=ftp://app.example/".into(), "callback_url: "),
        (format!("{callback}&code_challenge_method=S256"), "code_challenge: required"),
        (
            format!("{callback}&code_challenge={CHALLENGE}&code_challenge_method=s256"),
            "code_challenge_method",
        ),
        (format!("{callback}&code_challenge=short"), "code_challenge: "),
        (format!("{callback}&limit=-1"), "limit: "),
        (format!("{callback}&limit=lots"), "limit: "),
        (format!("{callback}&usage_limit_type=hourly"), "usage_limit_type: "),
        (format!("{callback}&expires_at=soon"), "expires_at: "),
        (format!("{callback}&key_label={}", "x".repeat(101)), "key_label: "),
    ];
    for (query, words) in cases {
        let flaw = wish(&query).expect_err(&query);
        assert!(flaw.contains(words), "{query}: {flaw}");
    }
    for body in ["{}", r#"{"callback_url":"https://a.example","limits":1}"#, r#"{"callback_url":5}"#] {
        assert!(Wish::from_body(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn the_page_repeats_nothing_as_markup_and_lets_nothing_in() {
    let query = format!(
        "callback_url=https://app.example/?q=%22%3E%3Cscript%3E%26&code_challenge={CHALLENGE}\
         &code_challenge_method=S256&key_label=%22%3E%3Cimg+src=x%3E&state='%22%3E%3Cb%3E&limit=3"
    );
    let wish = wish(&query).expect("well formed");
    let shown = page::consent(&wish, Some("<i>no</i>"));
    for markup in ["<script", "<img", "<b>&", "<i>"] {
        assert!(!shown.html.contains(markup), "{markup}");
    }
    assert!(shown.html.contains("&quot;&gt;&lt;img src=x&gt;"));
    assert!(shown.html.contains("value=\"3\""));
    assert!(shown.html.contains("error=access_denied"));
    assert!(!shown.html.contains("<link") && !shown.html.contains("url("), "nothing is fetched");
    let header =
        |name: &str| shown.headers.iter().find(|(each, _)| *each == name).map(|(_, value)| value.as_str());
    let policy = header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(policy.contains("form-action 'self' https://app.example;"), "{policy}");
    assert!(!policy.contains("unsafe"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("referrer-policy"), Some("no-referrer"));
}

#[test]
fn a_code_names_its_account() {
    let account = AccountId::parse("Account00000").expect("an account");
    let code = AuthCode::new(&account, &[9; SECRET_LENGTH]);
    assert_eq!(parse_code(&code.text), Some(account));
    assert_eq!(code.hash, KeyHash::of(&code.text));
    for text in ["", "auth_code_abc123def456", "auth_code_Account00000_short", &format!("{}x", code.text)] {
        assert_eq!(parse_code(text), None, "{text}");
    }
    assert_eq!(app_id("app.example"), app_id("app.example"));
    assert_ne!(app_id("app.example"), app_id("other.example"));
}

#[test]
fn an_exchange_needs_a_code() {
    assert!(
        ExchangeRequest::read(br#"{"code":"x","code_verifier":"y","code_challenge_method":null}"#).is_ok()
    );
    let cases = [
        ("{}", "code: "),
        (r#"{"code":"x","code_challenge_method":"md5"}"#, "Invalid code_challenge_method"),
        (r#"{"code":"x","verifier":"y"}"#, "verifier: no such member"),
    ];
    for (body, words) in cases {
        let failure = ExchangeRequest::read(body.as_bytes()).expect_err(body);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
}

struct Account(Database);

impl Account {
    fn new() -> Account {
        let mut database = Database::new();
        check_line(&mut database, "0s create => created");
        check_line(&mut database, "0s grant g 10 => granted 10 total 10");
        Account(database)
    }

    fn make(&mut self, at: &str, code: &str, challenge: Option<Challenge>) -> AccessAnswer {
        let new = NewAuthCode {
            hash: KeyHash::of(code),
            challenge,
            name: "My key".into(),
            app: "app.example".into(),
            limit: Some(usd("2")),
            limit_reset: None,
            expires_at: None,
            workspace: String::new(),
            creator_user_id: None,
        };
        self.tell(at, &AccessCommand::MakeCode(new))
    }

    fn exchange(
        &mut self,
        at: &str,
        shown: (&str, Option<&str>, Option<ChallengeMethod>),
        new: &str,
    ) -> AccessAnswer {
        let (code, verifier, method) = shown;
        let (code, new) = (KeyHash::of(code), KeyHash::of(new));
        let (verifier, label) = (verifier.map(str::to_owned), "sk-mr-v1-...".to_owned());
        self.tell(at, &AccessCommand::Exchange(Exchange { code, verifier, method, new, label }))
    }

    fn tell(&mut self, at: &str, command: &AccessCommand) -> AccessAnswer {
        AccessAnswer::read(&self.0.tell(time(at), &command.told())).expect("an answer")
    }
}

#[test]
fn a_code_is_good_once_for_ten_minutes_and_with_its_verifier() {
    use ChallengeMethod::{Plain, S256};
    let refused = |why| AccessAnswer::Refused { why };
    let (wrong, method, expired) =
        (AccessRefusal::WrongCode, AccessRefusal::WrongMethod, AccessRefusal::CodeExpired);
    let mut account = Account::new();
    let challenge = || Challenge::new(Some(S256), CHALLENGE);
    assert_eq!(account.make("1s", "c", challenge()), AccessAnswer::CodeMade);
    assert_eq!(account.make("2s", "c", None), AccessAnswer::CodeMade, "the first one stays");
    let other = "x".repeat(43);
    let refusals = [
        (("unknown", Some(VERIFIER), Some(S256)), &wrong),
        (("c", Some(VERIFIER), Some(Plain)), &method),
        (("c", Some(VERIFIER), None), &method),
        (("c", None, Some(S256)), &wrong),
        (("c", Some(other.as_str()), Some(S256)), &wrong),
    ];
    for (shown, why) in refusals {
        assert_eq!(account.exchange("3s", shown, "k"), refused(why.clone()), "{shown:?}");
    }
    let shown = ("c", Some(VERIFIER), Some(S256));
    assert_eq!(account.exchange("600s", shown, "k"), AccessAnswer::Exchanged(None));
    assert_eq!(account.exchange("601s", shown, "k"), AccessAnswer::Exchanged(None), "the same command again");
    assert_eq!(account.exchange("601s", shown, "l"), refused(wrong.clone()));
    assert_eq!(account.exchange("9000s", shown, "l"), refused(wrong.clone()));
    check_line(&mut account.0, "602s hold 1 k 3 until 700s => refused key limit available 2 missing 1");
    check_line(&mut account.0, "602s keys => keys");
    match account.0.tell(time("602s"), &Command::GetKey { hash: KeyHash::of("k"), only: None }) {
        Answer::Key { key } => {
            assert_eq!((key.name.as_str(), key.holder.app.as_deref()), ("My key", Some("app.example")));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(account.make("1s", "late", challenge()), AccessAnswer::CodeMade);
    assert_eq!(account.exchange("601s", ("late", Some(VERIFIER), Some(S256)), "m"), refused(expired));
    // After a day nobody knows it any longer.
    assert_eq!(account.make("2d", "other", None), AccessAnswer::CodeMade);
    assert_eq!(account.exchange("2d", ("late", Some(VERIFIER), Some(S256)), "m"), refused(wrong));
}

#[test]
fn without_a_challenge_no_verifier_is_taken() {
    let mut account = Account::new();
    account.make("1s", "c", None);
    let wrong = AccessAnswer::Refused { why: AccessRefusal::WrongCode };
    assert_eq!(account.exchange("2s", ("c", Some(VERIFIER), None), "k"), wrong);
    let method = AccessAnswer::Refused { why: AccessRefusal::WrongMethod };
    assert_eq!(account.exchange("2s", ("c", None, Some(ChallengeMethod::S256)), "k"), method);
    assert_eq!(account.exchange("2s", ("c", None, None), "k"), AccessAnswer::Exchanged(None));
}

#[test]
fn codes_are_bounded() {
    let mut account = Account::new();
    for number in 0..1000 {
        account.make("1s", &format!("c{number}"), None);
    }
    let full = AccessAnswer::Refused { why: AccessRefusal::TooManyCodes };
    assert_eq!(account.make("2s", "more", None), full);
    assert_eq!(account.make("2d", "more", None), AccessAnswer::CodeMade);
}
