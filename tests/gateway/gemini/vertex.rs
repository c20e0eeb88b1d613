use std::time::Duration;

use millrace::protocol::gemini::vertex::{ServiceAccount, model_url, read_token, token_request};
use millrace::time::Time;

fn file(more: &str) -> String {
    format!(
        concat!(
            r#"{{"type":"service_account","project_id":"p-1","private_key_id":"kid1","#,
            r#""private_key":"-----BEGIN PRIVATE KEY-----\nAQID\nBAU=\n-----END PRIVATE KEY-----\n","#,
            r#""client_email":"a@p-1.iam.gserviceaccount.com"{}}}"#
        ),
        more
    )
}

#[test]
fn what_is_signed_is_googles_form_of_a_jwt() {
    let account = ServiceAccount::read(&file("")).unwrap();
    assert_eq!(account.key, [1, 2, 3, 4, 5]);
    let input = account.signing_input(Time::from_ms(1_800_000_030_000));
    // {"alg":"RS256","typ":"JWT","kid":"kid1"}
    let header = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImtpZDEifQ";
    let claims = concat!(
        "eyJpc3MiOiJhQHAtMS5pYW0uZ3NlcnZpY2VhY2NvdW50LmNvbSIsInNjb3BlIjoiaHR0cHM6Ly93d3cuZ29vZ2xlYXBpcy5jb20vYXV0",
        "aC9jbG91ZC1wbGF0Zm9ybSIsImF1ZCI6Imh0dHBzOi8vb2F1dGgyLmdvb2dsZWFwaXMuY29tL3Rva2VuIiwiaWF0IjoxODAwMDAwMDAw",
        "LCJleHAiOjE4MDAwMDM2MDB9",
    );
    assert_eq!(input, format!("{header}.{claims}"));
    let request = token_request(&input, &[0xfb, 0xff, 0xfe]);
    let expected = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    assert_eq!(request.body, format!("{expected}{input}.-__-"));
    assert_eq!(request.url, "https://oauth2.googleapis.com/token");
}

#[test]
fn a_key_file_is_refused_by_the_name_of_its_fault() {
    let rows = [
        ("[]", "JSON object"),
        (r#"{"type":"authorized_user"}"#, "`type`"),
        (r#"{"project_id":"p"}"#, "`private_key`"),
        (r#"{"private_key":"-----BEGIN RSA PRIVATE KEY-----\nSECRET"}"#, "PKCS #8"),
        (&file(r#","token_uri":"https://evil.example/token""#), "`token_uri`"),
    ];
    for (text, expected) in rows {
        let failure = ServiceAccount::read(text).unwrap_err();
        assert!(failure.message.contains(expected), "{}", failure.message);
        assert!(!failure.message.contains("SECRET") && !failure.message.contains("evil"));
    }
    let account = ServiceAccount::read(&file("")).unwrap();
    assert!(!format!("{account:?}").contains("[1, 2"));
}

#[test]
fn a_token_is_used_until_five_minutes_before_its_end() {
    let sent = Time::from_ms(1_000_000);
    let token = read_token(br#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#, sent);
    let token = token.unwrap();
    assert_eq!(token.value, "ya29.x");
    assert!(token.is_fresh(sent) && token.is_fresh(sent.plus(Duration::from_secs(3298))));
    assert!(!token.is_fresh(sent.plus(Duration::from_secs(3299))));
    assert!(!format!("{token:?}").contains("ya29"));
    let long = read_token(br#"{"access_token":"x","expires_in":99999999999}"#, sent).unwrap();
    assert_eq!(long.expires, sent.plus(Duration::from_secs(3600)));
}

#[test]
fn a_refused_grant_is_a_fault_of_the_credential() {
    let body = br#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    let fault = read_token(body, Time::from_ms(0)).unwrap_err();
    assert_eq!((fault.status, fault.code.as_deref()), (Some(401), Some("invalid_grant")));
    assert_eq!(fault.message, "Invalid JWT Signature.");
    assert_eq!(read_token(b"<html>", Time::from_ms(0)).unwrap_err().status, None);
}

#[test]
fn a_model_is_where_its_location_says() {
    let rows = [
        ("us-central1", "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/"),
        ("global", "https://aiplatform.googleapis.com/v1/projects/p/locations/global/"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com/v1/projects/p/locations/eu/"),
    ];
    for (location, expected) in rows {
        let url = model_url("p", location, "gemini-2.5-pro", true).unwrap();
        let model = "publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse";
        assert_eq!(url, format!("{expected}{model}"));
    }
    assert!(model_url("p", "global", "m", false).unwrap().ends_with("models/m:generateContent"));
    for (project, location, model) in
        [("p/..", "global", "m"), ("p", "evil.example/", "m"), ("p", "global", "m?x"), ("", "global", "m")]
    {
        assert!(model_url(project, location, model, false).is_err(), "{project} {location} {model}");
    }
}
