//! One pass over a text that counts what tokenizers cut it into: words, numbers, punctuation, blanks
//! and the letters of other scripts. Knows no vocabulary and no family of models.

/// What a text is made of. Pieces of several texts add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Runs of Latin letters, cut where a capital follows a small letter.
    pub words: u64,
    /// Words of one letter.
    pub single: u64,
    /// Letters beyond the seventh of each word: long words come in several tokens.
    pub long: u64,
    /// Pairs of letters that English hardly has: other languages, names, random data.
    pub rare: u64,
    /// Numbers in groups of up to three digits.
    pub triples: u64,
    pub digits: u64,
    /// Runs of punctuation.
    pub marks: u64,
    /// Blanks with a line's end in them.
    pub lines: u64,
    /// Lines that are indented by more than one blank.
    pub indents: u64,
    /// Two blanks and more within a line.
    pub gaps: u64,
    /// Latin letters with accents.
    pub accented: u64,
    pub han: u64,
    pub kana: u64,
    pub hangul: u64,
    pub cyrillic: u64,
    pub greek: u64,
    pub hebrew: u64,
    pub arabic: u64,
    pub devanagari: u64,
    /// Bengali to Sinhala.
    pub indic: u64,
    /// Thai and Lao.
    pub thai: u64,
    /// Armenian and Georgian.
    pub caucasian: u64,
    pub symbols: u64,
    pub emoji: u64,
}

/// For each letter, which ones follow it in English words more often than once in some 1,700 pairs:
/// bit 0 is `a`.
const COMMON_PAIRS: [u32; 26] = [
    0x1fe_bd4e, 0x16_4911, 0x1e_4d95, 0x16_4919, 0x1ff_f97f, 0x12_4931, 0x16_6191, 0xa_4111, 0x2ae_f87f,
    0x4_0010, 0x4_0110, 0x11c_4919, 0x4_d113, 0x3c_657d, 0x7ef_d6f, 0x11e_c911, 0x10_0000, 0x13e_fd5d,
    0x11c_e995, 0x11e_c99d, 0xe_b95f, 0x111, 0x6_6191, 0x8_8004, 0x4_8010, 0x10,
];

/// As many letters of a word are one token.
const SHORT: usize = 7;

impl Pieces {
    /// Counts the pieces of `text`, in time linear in its length.
    pub fn of(text: &str) -> Pieces {
        let mut pieces = Pieces::default();
        pieces.scan(text);
        pieces
    }

    /// Adds the pieces of `text`.
    pub fn scan(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            at = match byte {
                b'a'..=b'z' | b'A'..=b'Z' => self.take_word(bytes, at),
                b'0'..=b'9' => self.take_number(bytes, at),
                // One blank belongs to the word that follows.
                b' ' if !bytes.get(at + 1).is_some_and(|next| is_blank(*next)) => at + 1,
                _ if is_blank(byte) => self.take_blanks(bytes, at),
                0x80.. => self.take_letter(text, at),
                _ => {
                    self.marks += 1;
                    end_of_run(bytes, at, is_mark)
                }
            };
        }
    }

    fn take_word(&mut self, bytes: &[u8], start: usize) -> usize {
        let mut at = start + 1;
        let mut before = bytes[start];
        while let Some(&byte) = bytes.get(at).filter(|byte| byte.is_ascii_alphabetic()) {
            if byte.is_ascii_uppercase() && before.is_ascii_lowercase() {
                break;
            }
            let (first, second) = ((before | 0x20) - b'a', (byte | 0x20) - b'a');
            self.rare += u64::from(COMMON_PAIRS[usize::from(first)] >> second & 1 == 0);
            before = byte;
            at += 1;
        }
        let length = at - start;
        self.words += 1;
        self.single += u64::from(length == 1);
        self.long += length.saturating_sub(SHORT) as u64;
        at
    }

    fn take_number(&mut self, bytes: &[u8], start: usize) -> usize {
        let end = end_of_run(bytes, start, |byte| byte.is_ascii_digit());
        self.digits += (end - start) as u64;
        self.triples += (end - start).div_ceil(3) as u64;
        end
    }

    fn take_blanks(&mut self, bytes: &[u8], start: usize) -> usize {
        let end = end_of_run(bytes, start, is_blank);
        match bytes[start..end].iter().rposition(|byte| *byte == b'\n') {
            Some(last) => {
                self.lines += 1;
                self.indents += u64::from(end - start - last > 2);
            }
            None => self.gaps += 1,
        }
        end
    }

    fn take_letter(&mut self, text: &str, at: usize) -> usize {
        let Some(letter) = text.get(at..).and_then(|rest| rest.chars().next()) else {
            return at + 1;
        };
        *self.script(u32::from(letter)) += 1;
        at + letter.len_utf8()
    }

    /// The count to which a letter beyond ASCII belongs.
    fn script(&mut self, letter: u32) -> &mut u64 {
        match letter {
            0xc0..=0x24f | 0x300..=0x36f | 0x1e00..=0x1eff => &mut self.accented,
            0x370..=0x3ff | 0x1f00..=0x1fff => &mut self.greek,
            0x400..=0x52f => &mut self.cyrillic,
            0x530..=0x58f | 0x10a0..=0x10ff => &mut self.caucasian,
            0x590..=0x5ff => &mut self.hebrew,
            0x600..=0x77f | 0x8a0..=0x8ff | 0xfb50..=0xfdff | 0xfe70..=0xfeff => &mut self.arabic,
            0x900..=0x97f => &mut self.devanagari,
            0x980..=0xdff => &mut self.indic,
            0xe00..=0xeff => &mut self.thai,
            0x1100..=0x11ff | 0x3130..=0x318f | 0xac00..=0xd7af => &mut self.hangul,
            0x3040..=0x30ff => &mut self.kana,
            0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff => &mut self.han,
            0x1_f000..=0x1_faff => &mut self.emoji,
            _ => &mut self.symbols,
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_mark(byte: u8) -> bool {
    byte < 0x80 && !byte.is_ascii_alphanumeric() && !is_blank(byte)
}

/// Where the run of bytes that begins at `start`, and of which `belongs` is true, ends.
fn end_of_run(bytes: &[u8], start: usize, belongs: fn(u8) -> bool) -> usize {
    let rest = &bytes[start + 1..];
    start + 1 + rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len())
}
