//! Numbers that name somebody: of phones, cards, social security and machines. A text is cut into
//! groups of digits once; what is looked for is a few groups in a row.

use super::builtin::runs;
use std::ops::Range;

/// Digits in a row, with no letter next to them.
struct Group<'a> {
    at: Range<usize>,
    digits: &'a str,
    /// What stands between it and the group before; `None` if that is no separator.
    before: Option<&'a str>,
}

/// What may stand between the groups of one number.
const SEPARATORS: [&str; 7] = ["-", ".", " ", ") ", ")", " (", "-("];

/// `123-45-6789`, of those that are given out.
pub fn ssns(text: &str, found: &mut Vec<Range<usize>>) {
    let groups = groups(text);
    for three in groups.windows(3) {
        let [area, group, serial] = three else { continue };
        let lengths = [area.digits.len(), group.digits.len(), serial.digits.len()] == [3, 2, 4];
        let same = group.before == serial.before && matches!(group.before, Some("-" | " "));
        let given = area.digits != "000"
            && area.digits != "666"
            && !area.digits.starts_with('9')
            && group.digits != "00"
            && serial.digits != "0000";
        if lengths && same && given && is_alone(text, area.at.start, serial.at.end) {
            found.push(area.at.start..serial.at.end);
        }
    }
}

/// 13 to 19 digits whose check digit is right (ISO/IEC 7812), in one group or several.
pub fn cards(text: &str, found: &mut Vec<Range<usize>>) {
    let groups = groups(text);
    let mut first = 0;
    while first < groups.len() {
        match card(&groups[first..]) {
            Some(count) => {
                found.push(groups[first].at.start..groups[first + count - 1].at.end);
                first += count;
            }
            None => first += 1,
        }
    }
}

/// How many groups are a card's number: the most that are.
fn card(groups: &[Group<'_>]) -> Option<usize> {
    let mut number = String::new();
    let mut longest = None;
    for (count, group) in groups.iter().enumerate() {
        let joined = count == 0 || matches!(group.before, Some("-" | " "));
        if !joined || number.len() + group.digits.len() > 19 {
            break;
        }
        number.push_str(group.digits);
        if number.len() >= 13 && !number.starts_with(['0', '1', '7', '8', '9']) && passes_luhn(&number) {
            longest = Some(count + 1);
        }
    }
    longest
}

fn passes_luhn(number: &str) -> bool {
    let digits = number.bytes().rev().map(|byte| u32::from(byte - b'0')).enumerate();
    let sum: u32 = digits
        .map(|(place, digit)| match place % 2 {
            0 => digit,
            _ if digit > 4 => 2 * digit - 9,
            _ => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Numbers behind a `+`, and those of North America with or without its 1.
pub fn phones(text: &str, found: &mut Vec<Range<usize>>) {
    let groups = groups(text);
    let mut first = 0;
    while first < groups.len() {
        let start = groups[first].at.start;
        let head = text[..start].trim_end_matches('(');
        let international = head.ends_with('+');
        let count = match international {
            true => behind_plus(&groups[first..]),
            false => american(&groups[first..]),
        };
        match count {
            Some(count) => {
                let opened = start - head.len() + usize::from(international);
                let opens = if opened > 2 { 0 } else { opened };
                found.push(start - opens..groups[first + count - 1].at.end);
                first += count;
            }
            None => first += 1,
        }
    }
}

/// 8 to 15 digits (ITU-T E.164).
fn behind_plus(groups: &[Group<'_>]) -> Option<usize> {
    let mut digits = 0;
    let mut count = 0;
    for group in groups {
        let joined = count == 0 || group.before.is_some();
        if !joined || digits + group.digits.len() > 15 {
            break;
        }
        digits += group.digits.len();
        count += 1;
    }
    (digits >= 8).then_some(count)
}

/// Ten digits as 3-3-4, 3-7 or one, with a 1 in front or without. Area and exchange begin with 2 to 9,
/// which no time in seconds does until 2033.
fn american(groups: &[Group<'_>]) -> Option<usize> {
    let joined = |one: usize| groups.get(one).is_some_and(|group| group.before.is_some());
    let lengths: Vec<usize> = groups.iter().take(4).map(|group| group.digits.len()).collect();
    let number = |from: usize, count: usize| {
        let parts: String = groups[from..from + count].iter().map(|group| group.digits).collect();
        let (area, exchange) = (parts.as_bytes()[0], parts.as_bytes()[3]);
        let together = (from.max(1)..from + count).all(joined);
        (together && area > b'1' && exchange > b'1').then_some(from + count)
    };
    match lengths.as_slice() {
        [1, 3, 3, 4, ..] if groups[0].digits == "1" => number(1, 3),
        [1, 10, ..] if groups[0].digits == "1" => number(1, 1),
        [3, 3, 4, ..] => number(0, 3),
        [3, 7, ..] => number(0, 2),
        [10, ..] => number(0, 1),
        [11, ..] => {
            let digits = groups[0].digits.as_bytes();
            (digits[0] == b'1' && digits[1] > b'1' && digits[4] > b'1').then_some(1)
        }
        _ => None,
    }
}

/// Four numbers up to 255 with dots between, and none before or behind them.
pub fn ipv4(text: &str, found: &mut Vec<Range<usize>>) {
    let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    for run in runs(text, is_part) {
        let piece = text[run.clone()].trim_end_matches('.');
        let parts: Vec<&str> = piece.splitn(6, '.').collect();
        let is_byte = |part: &&str| part.len() <= 3 && part.parse::<u8>().is_ok();
        let end = run.start + piece.len();
        if parts.len() == 4 && parts.iter().all(is_byte) && is_alone(text, run.start, end) {
            found.push(run.start..end);
        }
    }
}

fn groups(text: &str) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for at in runs(text, |byte| byte.is_ascii_digit()) {
        if !is_alone(text, at.start, at.end) {
            continue;
        }
        let gap = groups.last().map(|last| &text[last.at.end..at.start]);
        let before = gap.filter(|gap| SEPARATORS.contains(gap));
        groups.push(Group { digits: &text[at.clone()], at, before });
    }
    groups
}

/// Whether no letter or underscore stands next to a piece of a text.
fn is_alone(text: &str, start: usize, end: usize) -> bool {
    let joins = |character: char| character.is_alphanumeric() || character == '_';
    !text[..start].ends_with(joins) && !text[end..].starts_with(joins)
}
