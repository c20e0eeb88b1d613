//! Signatures: AWS's published test suite, RFC 4231, and what botocore signs for Bedrock.

use millrace::protocol::bedrock::{
    Credentials, Scope, Signable, authorization, canonical_request, converse_path, converse_url, hmac,
    payload_hash, signed_headers, string_to_sign, timestamp,
};
use millrace::time::Time;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const DATE: &str = "20150830T123600Z";

/// Name, method, path, query, more headers, names signed, signature. The suite hands over paths
/// that are not encoded yet.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static str,
);

const SUITE: &[Row] = &[
    (
        "get-vanilla",
        "GET",
        "/",
        &[],
        &[],
        "host;x-amz-date",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "post-vanilla",
        "POST",
        "/",
        &[],
        &[],
        "host;x-amz-date",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "get-vanilla-query-order-key-case",
        "GET",
        "/",
        &[("Param2", "value2"), ("Param1", "value1")],
        &[],
        "host;x-amz-date",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-vanilla-empty-query-key",
        "GET",
        "/",
        &[("Param1", "value1")],
        &[],
        "host;x-amz-date",
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    (
        "post-vanilla-query",
        "POST",
        "/",
        &[("Param1", "value1")],
        &[],
        "host;x-amz-date",
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    ),
    (
        "get-vanilla-utf8-query",
        "GET",
        "/",
        &[("ሴ", "bar")],
        &[],
        "host;x-amz-date",
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    (
        "get-utf8",
        "GET",
        "/ሴ",
        &[],
        &[],
        "host;x-amz-date",
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    (
        "get-space",
        "GET",
        "/example space/",
        &[],
        &[],
        "host;x-amz-date",
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    (
        "get-unreserved",
        "GET",
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        &[],
        &[],
        "host;x-amz-date",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    (
        "get-header-key-duplicate",
        "GET",
        "/",
        &[],
        &[("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
        "host;my-header1;x-amz-date",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "get-header-value-order",
        "GET",
        "/",
        &[],
        &[
            ("My-Header1", "value4"),
            ("My-Header1", "value1"),
            ("My-Header1", "value3"),
            ("My-Header1", "value2"),
        ],
        "host;my-header1;x-amz-date",
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    (
        "get-header-value-trim",
        "GET",
        "/",
        &[],
        &[("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
        "host;my-header1;my-header2;x-amz-date",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "post-header-key-sort",
        "POST",
        "/",
        &[],
        &[("My-Header1", "value1")],
        "host;my-header1;x-amz-date",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    (
        "post-header-value-case",
        "POST",
        "/",
        &[],
        &[("My-Header1", "VALUE1")],
        "host;my-header1;x-amz-date",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
];

#[test]
fn signs_the_published_suite() {
    for (name, method, path, query, more, signed, signature) in SUITE {
        let headers = [&[("Host", "example.amazonaws.com"), ("X-Amz-Date", DATE)], *more].concat();
        let request = Signable { method, path, query, headers: &headers, payload_hash: EMPTY };
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={signed}, Signature={signature}"
        );
        let scope = scope("us-east-1", "service");
        assert_eq!(authorization(&request, &credentials(None), &scope), expected, "{name}");
    }
}

#[test]
fn shows_each_step_of_a_signature() {
    let headers = [("host", "example.amazonaws.com"), ("x-amz-date", DATE)];
    let request = Signable { method: "GET", path: "", query: &[], headers: &headers, payload_hash: EMPTY };
    let canonical = canonical_request(&request);
    let expected =
        format!("GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:{DATE}\n\nhost;x-amz-date\n{EMPTY}");
    assert_eq!(canonical, expected);
    let text = string_to_sign(&canonical, &scope("us-east-1", "service"));
    let hash = "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63";
    assert_eq!(text, format!("AWS4-HMAC-SHA256\n{DATE}\n20150830/us-east-1/service/aws4_request\n{hash}"));
    assert_eq!(payload_hash(b""), EMPTY);
}

/// The signatures are botocore's 1.43 for the same requests.
#[test]
fn signs_bedrocks_path_encoded_twice() {
    let rows = [
        (
            "us-east-1",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            false,
            "{\"messages\":[]}",
            Some("TOKEN=="),
            "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, \
             Signature=708fe39f0d55f1d0df58784155da3d0c86a09be917734a8389178fd6aafe13f2",
        ),
        (
            "eu-west-1",
            "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
            true,
            "{}",
            None,
            "content-type;host;x-amz-content-sha256;x-amz-date, \
             Signature=6ad7425b7d771267fd11fd55fb2f63e8eae1e158afb1718dadb1228120780263",
        ),
    ];
    for (region, model, stream, body, token, expected) in rows {
        let host = millrace::protocol::bedrock::host(region);
        let path = converse_path(model, stream);
        let headers =
            signed_headers(&host, &path, body.as_bytes(), &credentials(token), &scope(region, "bedrock"));
        let value =
            |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        assert!(value("authorization").expect("signed").ends_with(expected), "{headers:?}");
        assert_eq!((value("x-amz-date"), value("x-amz-security-token")), (Some(DATE), token));
        assert_eq!(value("host"), None, "the runtime sends it");
    }
}

#[test]
fn encodes_a_models_id_as_one_segment() {
    let rows = [
        (
            "amazon.nova-lite-v1:0",
            false,
            "https://bedrock-runtime.us-west-2.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse",
        ),
        (
            "arn:aws:bedrock:x:1:a/b",
            true,
            "https://bedrock-runtime.us-west-2.amazonaws.com/model/arn%3Aaws%3Abedrock%3Ax%3A1%3Aa%2Fb/converse-stream",
        ),
    ];
    for (model, stream, expected) in rows {
        assert_eq!(converse_url("us-west-2", model, stream), expected);
    }
    let china = "https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/m/converse";
    assert_eq!(converse_url("cn-north-1", "m", false), china);
}

/// RFC 4231, test cases 1, 2, 3 and 6.
#[test]
fn computes_hmac() {
    let rows: [(&[u8], &[u8], &str); 4] = [
        (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ];
    for (key, text, expected) in rows {
        let hex: String = hmac(key, text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}

#[test]
fn credentials_are_never_printed() {
    let text = format!("{:?}", credentials(Some("TOKEN")));
    assert!(!text.contains("AKID") && !text.contains("wJal") && !text.contains("TOKEN"), "{text}");
    assert_eq!(timestamp(Time::parse_iso8601("2015-08-30T12:36:00.999Z").expect("a time")), DATE);
}

fn credentials(token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".into(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        session_token: token.map(str::to_owned),
    }
}

fn scope<'a>(region: &'a str, service: &'a str) -> Scope<'a> {
    let time = Time::parse_iso8601("2015-08-30T12:36:00Z").expect("a time");
    Scope { time, region, service }
}
