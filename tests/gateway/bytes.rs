//! Finding bytes, held against the plain way to do it.

use millrace::bytes;
use proptest::prelude::*;

#[test]
fn small_letters_are_those_of_the_standard_library() {
    let common = (0..=0x17f).chain(0x390..=0x3ff).chain(0x400..=0x45f).filter_map(char::from_u32);
    // Capitals of two letters or of another alphabet, and what only linguists write.
    let rare = [
        '\u{130}', 'Ÿ', 'Ϗ', 'Ϙ', 'Ϛ', 'Ϝ', 'Ϟ', 'Ϡ', 'Ϣ', 'Ϥ', 'Ϧ', 'Ϩ', 'Ϫ', 'Ϭ', 'Ϯ', 'ϴ', 'Ϸ', 'Ϲ', 'Ϻ',
        'Ͻ', 'Ͼ', 'Ͽ',
    ];
    for letter in common.filter(|letter| !rare.contains(letter)) {
        assert_eq!(bytes::small(letter).to_string(), letter.to_lowercase().to_string(), "{letter}");
    }
    for text in ["", "Übersetze ÇA", "ПЕРЕВЕДИ Её", "Plain TEXT 123", "翻訳 Ω", "ĄĘŻ Ő"] {
        assert_eq!(bytes::lowercase(text), text.to_lowercase());
    }
}

proptest! {
    #[test]
    fn finds_what_a_plain_search_finds(haystack in "[pret\"\\\\\n\u{1} ]{0,200}", needle in "[pret]{0,4}") {
        let text = haystack.as_bytes();
        let first = |wanted: &dyn Fn(u8) -> bool| text.iter().position(|byte| wanted(*byte));
        prop_assert_eq!(bytes::contains(text, needle.as_bytes()), haystack.contains(&needle));
        prop_assert_eq!(bytes::find(text, b'p'), first(&|byte| byte == b'p'));
        prop_assert_eq!(bytes::find_line_end(text), first(&|byte| matches!(byte, b'\n' | b'\r')));
        let stops = |byte| matches!(byte, b'"' | b'\\' | 0..0x20);
        prop_assert_eq!(bytes::find_string_stop(text), first(&stops));
    }

    #[test]
    fn takes_off_a_prefix(head in "[ab]{0,40}", rest in "[ab]{0,20}", other in "[ab]{0,40}") {
        let text = format!("{head}{rest}");
        for prefix in [&head, &other, &text] {
            let plainly = text.as_bytes().strip_prefix(prefix.as_bytes());
            prop_assert_eq!(bytes::strip_prefix(text.as_bytes(), prefix.as_bytes()), plainly);
        }
    }

    /// Pieces of letters of each length, whole or cut, at every place of a register.
    #[test]
    fn takes_what_the_library_takes(pieces in prop::collection::vec(("[a-z]{0,70}", ".{0,3}", 0usize..12), 0..6)) {
        let mut raw = Vec::new();
        for (plain, any, cut) in pieces {
            raw.extend(plain.bytes());
            raw.extend(any.bytes().take(if cut < 8 { usize::MAX } else { cut - 8 }));
        }
        prop_assert_eq!(bytes::utf8(&raw), std::str::from_utf8(&raw).ok());
    }

    #[test]
    fn says_what_lossy_says(raw in prop::collection::vec(any::<u8>(), 0..40), text in ".{0,20}") {
        prop_assert_eq!(bytes::text(&raw), String::from_utf8_lossy(&raw));
        prop_assert_eq!(bytes::text(text.as_bytes()), text.as_str());
    }
}
