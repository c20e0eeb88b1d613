//! Frames from bytes, against a naive reading of the specification, however the bytes are cut.

use millrace::sse::{Frame, Reader, TooLong, write_frame};
use proptest::prelude::*;

type Event = (Vec<u8>, Vec<u8>);

#[test]
fn reads_frames_as_the_specification_says() {
    type Events<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&str, &[u8], Events<'_>)] = &[
        ("one frame", b"data: a\n\n", &[("", "a")]),
        ("no space", b"data:a\n\n", &[("", "a")]),
        ("one space is taken", b"data:  a\n\n", &[("", " a")]),
        ("lines are joined", b"data: a\ndata: b\n\n", &[("", "a\nb")]),
        ("empty data", b"data\n\n", &[("", "")]),
        ("two empty lines of data", b"data\ndata\n\n", &[("", "\n")]),
        ("an event without data is none", b"event: a\n\ndata: b\n\n", &[("", "b")]),
        ("a named event", b"event: error\ndata: {}\n\n", &[("error", "{}")]),
        ("the last name counts", b"event: a\nevent: b\ndata: c\n\n", &[("b", "c")]),
        ("comments are no data", b": OPENROUTER PROCESSING\n\n:\ndata: a\n:b\n\n", &[("", "a")]),
        ("other fields are no data", b"id: 1\nretry: 2\nfoo: 3\nbar\ndata: a\n\n", &[("", "a")]),
        ("a field's name is exact", b"data : a\n Data: b\nDATA: c\ndata: d\n\n", &[("", "d")]),
        ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
        ("CR", b"data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
        ("mixed", b"data: a\r\ndata: b\rdata: c\n\r\n", &[("", "a\nb\nc")]),
        ("a byte order mark", b"\xEF\xBB\xBFdata: a\n\n", &[("", "a")]),
        ("only the first one", b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\ndata: b\n\n", &[("", "b")]),
        ("half a mark is a name", b"\xEF\xBBdata: a\n\ndata: b\n\n", &[("", "b")]),
        ("no last blank line", b"data: a\n\ndata: b\n", &[("", "a"), ("", "b")]),
        ("no last line end", b"data: a\n\ndata: b", &[("", "a"), ("", "b")]),
        ("nothing", b"", &[]),
    ];
    for (name, bytes, expected) in cases {
        let expected: Vec<Event> =
            expected.iter().map(|(event, data)| (event.as_bytes().into(), data.as_bytes().into())).collect();
        assert_eq!(naive(bytes), expected, "{name}: the reference");
        for size in 1..=bytes.len().max(1) {
            assert_eq!(events(bytes.chunks(size)), expected, "{name}: in pieces of {size}");
        }
    }
}

#[test]
fn frames_come_with_their_blank_line_and_not_later() {
    let mut reader = Reader::new(100);
    for (bytes, expected) in [(&b"data: a\r"[..], 0), (b"\r", 1), (b"\n", 0), (b"data: b\n", 0), (b"\n", 1)] {
        let mut count = 0;
        reader.read(bytes, |_| count += 1).unwrap();
        assert_eq!(count, expected, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn refuses_what_is_longer_than_the_limit_and_everything_after() {
    let cases: &[(&[u8], bool)] = &[
        (b"data: 7890\n\n", true),
        (b"data: 78901\n\n", false),
        (b"data: 78901", false),
        (b"data: 5\ndata: 5\n\n", true),
        (b"data: 5\ndata: 5\ndata: 5\n\n", true),
        (b"data:5\ndata:5\ndata:5\ndata:5\n\n", false),
        (b"data: 1\n\ndata: 2\n\ndata: 3\n\n", true),
    ];
    for (bytes, fits) in cases {
        for size in 1..=bytes.len() {
            let mut reader = Reader::new(10);
            let read = bytes.chunks(size).map(|piece| reader.read(piece, |_| ())).collect::<Vec<_>>();
            let ok = read.iter().all(Result::is_ok);
            assert_eq!(ok, *fits, "{:?} in pieces of {size}", String::from_utf8_lossy(bytes));
            if !fits {
                assert_eq!(reader.read(b"data: x\n\n", |_| panic!("a frame after failure")), Err(TooLong));
                assert_eq!(reader.end(|_| panic!("a frame after failure")), Err(TooLong));
            }
        }
    }
}

/// Were time not linear in the bytes, this would take days.
#[test]
fn takes_a_large_frame_byte_by_byte() {
    let mut bytes = b"data: ".to_vec();
    bytes.resize(4 * 1024 * 1024, b'x');
    bytes.extend_from_slice(b"\n\n");
    let mut length = 0;
    let mut reader = Reader::new(16 * 1024 * 1024);
    for byte in bytes.chunks(1) {
        reader.read(byte, |frame| length = frame.data.len()).unwrap();
    }
    assert_eq!(length, 4 * 1024 * 1024 - 6);
}

#[test]
fn keeps_what_is_no_event_stream() {
    let cases: &[(&str, &str)] = &[
        (
            "data: a\n\n{\n  \"error\": {\n    \"code\": 499\n  }\n}\n",
            "{\n  \"error\": {\n    \"code\": 499\n  }\n}\n",
        ),
        ("[{\"error\":1}\n,\n{}]", "[{\"error\":1}\n,\n{}]\n"),
        ("foo: bar\nbaz\n\ndata: a\n\n", ""),
    ];
    for (bytes, expected) in cases {
        let mut reader = Reader::new(1000);
        for byte in bytes.as_bytes().chunks(1) {
            reader.read(byte, |_| ()).unwrap();
        }
        reader.end(|_| ()).unwrap();
        assert_eq!(String::from_utf8_lossy(reader.stray()), *expected);
    }
}

#[test]
fn what_is_written_is_read_back() {
    for data in ["", "a", "a\nb", "\n", ": no comment", "{\"a\": 1}"] {
        let mut bytes = Vec::new();
        write_frame(data.as_bytes(), &mut bytes);
        assert_eq!(events([&bytes[..]]), [(Vec::new(), data.as_bytes().to_vec())]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_the_naive_reading_for_any_cut(pieces in prop::collection::vec(piece(), 0..40), cuts in cuts()) {
        let bytes = pieces.concat();
        prop_assert_eq!(events(cut(&bytes, &cuts)), naive(&bytes));
    }

    #[test]
    fn equals_the_naive_reading_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), cuts in cuts()) {
        prop_assert_eq!(events(cut(&bytes, &cuts)), naive(&bytes));
    }
}

/// A piece of a stream that means something to a reader, or is close to it.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: &[&[u8]] = &[
        b"data",
        b"data:",
        b"data: ",
        b"event: x",
        b"event",
        b":",
        b" ",
        b"id: 1",
        b"retry",
        b"x",
        b"{\"a\":1}",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\r",
        b"\r\n\r\n",
        b"\n\r",
        b"\xEF",
        b"\xBB",
        b"\xBF",
        b"\xEF\xBB\xBF",
        "é".as_bytes(),
        "😀".as_bytes(),
        b"\0",
        b"data: [DONE]\n\n",
    ];
    prop::sample::select(PIECES).prop_map(<[u8]>::to_vec)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..12usize, 1..20)
}

/// The bytes in pieces of the given sizes, over and over; empty pieces among them.
fn cut<'a>(bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    for size in sizes.iter().chain([&1]).cycle() {
        let (piece, more) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = more;
        if rest.is_empty() {
            return pieces;
        }
    }
    pieces
}

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut reader = Reader::new(1_000_000);
    let mut keep = |frame: Frame<'_>| events.push((frame.event.to_vec(), frame.data.to_vec()));
    for piece in pieces {
        reader.read(piece, &mut keep).unwrap();
    }
    reader.end(&mut keep).unwrap();
    events
}

/// The specification word for word, on the whole input; but a last event counts without its
/// blank line.
fn naive(bytes: &[u8]) -> Vec<Event> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut unix = Vec::new();
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if index > 0 && bytes[index - 1] == b'\r' => {}
            b'\r' => unix.push(b'\n'),
            byte => unix.push(*byte),
        }
    }
    let mut lines: Vec<&[u8]> = unix.split(|byte| *byte == b'\n').collect();
    // What stands behind the last line end is a line only if it is not empty; then comes the
    // blank line that ends the input.
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines.push(b"");
    let (mut events, mut event, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                events.push((event.clone(), data.clone()));
            }
            event.clear();
            data.clear();
            continue;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = colon.map_or((line, &b""[..]), |colon| (&line[..colon], &line[colon + 1..]));
        let value = if value.first() == Some(&b' ') { &value[1..] } else { value };
        match name {
            b"event" => event = value.to_vec(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            _ => {}
        }
    }
    events
}
