//! Links: which are fetched, where a fetch may lead, and what its bytes are.

use millrace::catalog::Protocol;
use millrace::chat::Conversation;
use millrace::chat::conversation::{Part, Role, Source, Turn};
use millrace::media::{Address, Fetched, Hosts, Kind, Link, MAX_BYTES, Next, Visit, identify, links};
use proptest::prelude::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";

#[test]
fn public_addresses_may_be_asked_in_one_spelling() {
    let rows = [
        ("https://example.com/a.png", "https://example.com/a.png"),
        ("HTTPS://Example.COM", "https://example.com/"),
        ("http://example.com:8080/a?b=c#d", "http://example.com:8080/a?b=c"),
        ("https://example.com?b", "https://example.com/?b"),
        ("https://example.com./a", "https://example.com./a"),
        ("https://8.8.8.8/a", "https://8.8.8.8/a"),
        ("https://172.32.0.1/", "https://172.32.0.1/"),
        ("https://[2606:4700::1111]/a", "https://[2606:4700::1111]/a"),
        ("https://10.example.com/", "https://10.example.com/"),
    ];
    for (url, asked) in rows {
        let address = Address::read(url, &Hosts::default()).unwrap_or_else(|why| panic!("{url}: {why}"));
        assert_eq!(address.url(), asked);
    }
}

#[test]
fn private_addresses_are_refused_in_every_spelling() {
    let hosts = [
        // Loopback, in decimal, octal, hexadecimal, short and mixed.
        "127.0.0.1",
        "127.1",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "0x0",
        "127.0.0.01",
        "0X7F.0.0.1",
        // Private, shared, link-local, metadata.
        "10.0.0.1",
        "10.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "192.0.0.192",
        // Documentation, benchmarks, multicast, reserved.
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        // IPv6: loopback, unspecified, mapped and compatible IPv4, unique-local, link-local, wrapped IPv4.
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:db8::1]",
        "[2001::1]",
        "[ff02::1]",
        // Names.
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "router.local",
        "metadata.google.internal",
        "metadata.google.internal.",
        "db.internal",
        "intranet",
        "host.lan",
        "1.0.0.127.in-addr.arpa",
    ];
    for host in hosts {
        for url in [format!("http://{host}/a.png"), format!("https://{host}:443")] {
            let why = Address::read(&url, &Hosts::default()).expect_err(&url);
            assert_eq!(why, "its host is not on the public internet", "{url}");
        }
    }
}

#[test]
fn what_is_no_plain_web_address_is_refused() {
    let rows = [
        ("ftp://example.com/a", "only http and https links are fetched"),
        ("file:///etc/passwd", "only http and https links are fetched"),
        ("example.com/a.png", "only http and https links are fetched"),
        ("https://user:secret@example.com/", "its URL holds credentials"),
        ("https://example.com@127.0.0.1/", "its URL holds credentials"),
        ("https://example.com:22/", "its port is not one of 80, 443, 8080 and 8443"),
        ("https://example.com:99999/", "its URL is malformed"),
        ("https://example.com:8o/", "its URL is malformed"),
        ("https:///a", "its URL is malformed"),
        ("https://a..b/", "its URL is malformed"),
        ("https://exa mple.com/", "its URL is malformed"),
        ("https://example.com\\@127.0.0.1/", "its URL is malformed"),
        ("https://exam\tple.com/", "its URL is malformed"),
        ("https://１２７.0.0.1/", "its URL is malformed"),
        ("https://%31%32%37.0.0.1/", "its URL is malformed"),
        ("https://1.2.3.4.5/", "its URL is malformed"),
        ("https://1.2.3.999/", "its URL is malformed"),
        ("https://example.0x7f/", "its URL is malformed"),
        ("https://[::1%25eth0]/", "its URL is malformed"),
        ("https://[::1/", "its URL is malformed"),
    ];
    for (url, why) in rows {
        assert_eq!(Address::read(url, &Hosts::default()), Err(why), "{url}");
    }
}

#[test]
fn an_operator_allows_hosts_by_name() {
    let hosts = Hosts::read(" 127.0.0.1:9000, Images.internal ,");
    let may = |url: &str| Address::read(url, &hosts).is_ok();
    assert!(
        may("http://127.0.0.1:9000/a")
            && may("https://images.internal/a")
            && may("http://images.internal:99/")
    );
    assert!(!may("http://127.0.0.1/a") && !may("http://127.0.0.1:9001/a") && !may("https://other.internal/"));
    assert!(!may("https://user@images.internal/") && !may("ftp://images.internal/"));
}

#[test]
fn each_redirect_is_checked_and_there_are_three() {
    let none = Hosts::default();
    let link = Link { url: "https://a.example/x/y?z".into(), kind: Kind::Image };
    let follow = |location: &str| {
        Visit::begin(&link, &none).expect("public").take_head(302, Some(location), None, &none)
    };
    let rows = [
        ("https://b.example/q", "https://b.example/q"),
        ("//b.example/q", "https://b.example/q"),
        ("/q", "https://a.example/q"),
        ("q?r=s:t", "https://a.example/x/q?r=s:t"),
        ("?q", "https://a.example/x/y?q"),
    ];
    for (location, url) in rows {
        assert_eq!(follow(location), Ok(Next::Follow(url.to_owned())), "{location}");
    }
    let refused = [
        "http://127.0.0.1/",
        "//localhost/",
        "https://[::1]/",
        "data:image/png;base64,AA",
        "http://b.example/",
    ];
    for location in refused {
        let why = follow(location).expect_err(location);
        assert!(why.starts_with("The image at a.example cannot be fetched: it redirects to where"), "{why}");
        assert!(!why.contains("/x/y"), "{why}");
    }
    let mut visit = Visit::begin(&link, &none).expect("public");
    for _ in 0..3 {
        assert!(matches!(visit.take_head(307, Some("/again"), None, &none), Ok(Next::Follow(_))));
    }
    let why = visit.take_head(307, Some("/again"), None, &none).expect_err("a fourth");
    assert!(why.ends_with("it redirects too often."), "{why}");
}

#[test]
fn a_head_is_read_or_refused() {
    let none = Hosts::default();
    let link = Link { url: "https://a.example/secret-path".into(), kind: Kind::File };
    let head = |status, length| {
        let said = Visit::begin(&link, &none).expect("public").take_head(status, None, length, &none);
        said.map_err(|why| why.replace("The document at a.example cannot be fetched: ", ""))
    };
    assert_eq!(head(200, None), Ok(Next::Read));
    assert_eq!(head(200, Some(MAX_BYTES)), Ok(Next::Read));
    assert_eq!(head(200, Some(MAX_BYTES + 1)), Err("it is larger than 20 MB.".to_owned()));
    assert_eq!(head(404, None), Err("its server answered with status 404.".to_owned()));
    assert_eq!(head(302, None), Err("its server answered with status 302.".to_owned()));
    assert_eq!(head(206, None), Err("its server answered with status 206.".to_owned()));
}

#[test]
fn bytes_say_themselves_what_they_are() {
    let media_type = |kind, told, bytes: &[u8]| match identify(kind, Some(told), bytes) {
        Ok(Source::Inline { media_type, .. }) => media_type,
        Ok(Source::Text(text)) => format!("text: {text}"),
        Ok(other) => format!("{other:?}"),
        Err(why) => why.to_owned(),
    };
    let (no_image, no_file) = ("it is no PNG, JPEG, GIF or WebP", "it is neither a PDF nor text");
    let rows: [(Kind, &str, &[u8], &str); 13] = [
        (Kind::Image, "text/html", PNG, "image/png"),
        (Kind::Image, "", b"\xff\xd8\xff\xe0..", "image/jpeg"),
        (Kind::Image, "", b"GIF89a..", "image/gif"),
        (Kind::Image, "", b"RIFF....WEBPVP8 ", "image/webp"),
        (Kind::Image, "image/png", b"<html>", no_image),
        (Kind::Image, "image/svg+xml", b"<svg/>", no_image),
        (Kind::Image, "image/png", b"", no_image),
        (Kind::File, "", b"%PDF-1.7", "application/pdf"),
        (Kind::File, "text/plain", b"Hello", "text: Hello"),
        (Kind::File, "text/CSV; charset=utf-8", b"a,b", "text/csv"),
        (Kind::File, "text/plain", b"a\0b", no_file),
        (Kind::File, "text/plain", b"\xff\xfe", no_file),
        (Kind::File, "application/pdf", PNG, no_file),
    ];
    for (kind, told, bytes, expected) in rows {
        assert_eq!(media_type(kind, told, bytes), expected, "{told} {bytes:?}");
    }
    let Ok(Source::Inline { base64, .. }) = identify(Kind::Image, None, PNG) else { panic!("no image") };
    assert_eq!(base64, "iVBORw0KGgouLi4u");
}

#[test]
fn only_wires_that_take_bytes_have_links_to_fetch_each_once() {
    let url = |url: &str| Source::Url(url.to_owned());
    let image = |source| Part::Image { source, detail: None, cache: None };
    let file = |source| Part::File { name: None, source, cache: None };
    let parts = vec![
        image(url("https://a.example/1")),
        image(url("https://a.example/1")),
        image(url("s3://bucket/2")),
        image(Source::Inline { media_type: "image/png".into(), base64: "AA".into() }),
        file(url("http://a.example/3")),
    ];
    let mut conversation =
        Conversation { turns: vec![Turn { role: Role::User, parts }], ..Conversation::default() };
    let mut urls = |wire| links(&mut conversation, wire).into_iter().map(|it| it.url).collect::<Vec<_>>();
    for wire in [Protocol::Bedrock, Protocol::Ollama, Protocol::Cohere] {
        assert_eq!(urls(wire), ["http://a.example/3", "https://a.example/1"], "{wire:?}");
    }
    assert_eq!(urls(Protocol::Gemini), ["http://a.example/3"]);
    for wire in [Protocol::OpenAiChat, Protocol::OpenAiResponses, Protocol::AnthropicMessages] {
        assert!(urls(wire).is_empty(), "{wire:?}");
    }
    let wanted = links(&mut conversation, Protocol::Bedrock);
    let mut fetched = Fetched::default();
    fetched.insert(&wanted[1], identify(Kind::Image, None, PNG).map_err(str::to_owned));
    fetched.add(Fetched::default(), &wanted);
    assert_eq!(fetched.failure(&wanted), Some("The document cannot be fetched."));
    fetched.fill(&mut conversation, Protocol::Bedrock);
    let inline = |part: &Part| matches!(part, Part::Image { source: Source::Inline { .. }, .. });
    assert_eq!(conversation.turns[0].parts.iter().filter(|part| inline(part)).count(), 3);
    assert_eq!(links(&mut conversation, Protocol::Bedrock).len(), 1);
}

proptest! {
    /// However an address is spelt, what is asked is read as the same host again.
    #[test]
    fn what_may_be_asked_stays_the_same_when_read_again(url in "https?://[a-z0-9.x:@/?#\\[\\]-]{0,30}") {
        if let Ok(address) = Address::read(&url, &Hosts::default()) {
            prop_assert_eq!(Address::read(address.url(), &Hosts::default()), Ok(address));
        }
    }
}
