//! The binary frames: any cut, any flipped bit.

use millrace::protocol::bedrock::{FrameFault, FrameReader, Message, crc32};

use super::*;

#[test]
fn computes_the_checksum_of_zip() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    assert_eq!(crc32(b""), 0);
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    let bytes = stream(SPOKEN);
    let expected = read(&bytes);
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(read_pieces([head, tail], &[]), expected, "cut at {cut}");
    }
    assert_eq!(read_pieces(bytes.chunks(1), &[]), expected);
}

#[test]
fn a_flipped_bit_is_a_fault_and_never_garbage() {
    let bytes = stream(&SPOKEN[..6]);
    let (sound, _) = read(&bytes);
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1 << bit;
            let (events, facts) = read(&damaged);
            let fault = facts.fault.expect("a fault");
            assert_eq!(fault.code.as_deref(), Some("damaged_stream"), "byte {place} bit {bit}");
            assert!(sound.starts_with(&events), "byte {place} bit {bit}: {events:?}");
        }
    }
}

#[test]
fn refuses_what_no_frame_can_be() {
    let prelude = |total: u32, headers: u32| {
        let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        let checksum = crc32(&bytes);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes
    };
    let rows = [
        (b"data: {\"a\":1}\n\n".to_vec(), FrameFault::Prelude),
        (prelude(u32::MAX, 0), FrameFault::TooLong),
        (prelude(64, u32::MAX), FrameFault::TooLong),
        (prelude(15, 0), FrameFault::Length),
        (prelude(20, 10), FrameFault::Length),
        (seal(&[3, b'a'], b""), FrameFault::Header),
        (seal(&[1, b'a', 99], b""), FrameFault::Header),
        (seal(&[1, b'a', 7, 0, 9, b'x'], b""), FrameFault::Header),
        (seal(&[1, b'a', 7, 0, 1, 0xff], b""), FrameFault::Header),
    ];
    for (bytes, expected) in rows {
        let mut reader = FrameReader::default();
        assert_eq!(reader.read(&bytes, |_| ()), Err(expected));
        assert_eq!(reader.read(&stream(SPOKEN), |_| panic!("it takes nothing more")), Err(expected));
    }
}

#[test]
fn reads_past_headers_that_are_no_strings() {
    let mut head = Vec::new();
    let values: [(u8, usize); 9] = [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16), (6, 0)];
    for (kind, length) in values {
        head.extend_from_slice(&[1, b'x', kind]);
        head.resize(head.len() + length, 0);
    }
    head.extend_from_slice(&[0, 0, 1, b'n', 7, 0, 1, b'v']);
    let mut found: Vec<Message> = Vec::new();
    let mut reader = FrameReader::default();
    reader.read(&seal(&head, b"pay"), |message| found.push(message)).expect("a sound frame");
    assert_eq!(found, [Message { headers: vec![("n".into(), "v".into())], payload: b"pay".to_vec() }]);
}
