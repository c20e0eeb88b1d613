//! Ids: their spelling, and that only what can be one is taken for one.

use millrace::id::{AccountId, GenerationId, KeyHash};
use millrace::time::Time;

#[test]
fn a_generation_id_reads_back() {
    let id = GenerationId::new(Time::from_ms(1_795_270_407_042), &[61; 20]);
    assert_eq!(id.as_str(), "gen-1795270407-zzzzzzzzzzzzzzzzzzzz");
    assert_eq!(GenerationId::parse(id.as_str()), Some(id));
}

#[test]
fn only_ids_are_taken_for_ids() {
    for text in ["", "gen-", "gen-1-short", "gen-x-zzzzzzzzzzzzzzzzzzzz", "gen-1-zzzzzzzzzzzzzzzzzzz'", "x"] {
        assert_eq!(GenerationId::parse(text), None, "{text}");
    }
    for text in ["", "short", "0123456789abc", "../../../etc", "01234567890é"] {
        assert_eq!(AccountId::parse(text), None, "{text}");
    }
    assert!(AccountId::parse("0123456789Ab").is_some());
    for text in ["", "abc", &"A".repeat(64), &"g".repeat(64), &"a".repeat(63)] {
        assert_eq!(KeyHash::parse(text), None, "{text}");
    }
}

#[test]
fn a_key_is_stored_as_its_sha_256() {
    // FIPS 180-2, appendix B.1.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(KeyHash::of("abc").as_str(), expected);
    assert!(KeyHash::parse(expected).is_some());
}
