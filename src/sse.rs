//! Server-sent events, both ways: bytes in any chunking become frames, frames become bytes.
//! Knows nothing of what the frames mean. Spec: html.spec.whatwg.org, section 9.2.6.
//! `id` and `retry` serve reconnection, which no provider's stream allows; they are read past.

use crate::bytes::{self, find_line_end};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event. `data` has its lines joined with a line feed; `event` is empty where none was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub event: &'a [u8],
    pub data: &'a [u8],
}

/// A line or a frame is longer than the reader's limit. The reader takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Reads frames from bytes that come in any pieces. A frame that comes whole is given out as it
/// lies; else every byte is copied at most twice. The time is linear however small the pieces are.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The greatest size in bytes of what is held for one frame.
    limit: usize,
    /// How many bytes of a byte order mark have been seen at the start; `None` behind it.
    mark: Option<usize>,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The last line ended with a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    event: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    stray: Vec<u8>,
    failed: bool,
}

/// What is kept of text that is no event stream; enough for any provider's error object.
const STRAY_LIMIT: usize = 64 * 1024;

impl Reader {
    pub fn new(limit: usize) -> Reader {
        Reader {
            limit,
            mark: Some(0),
            line: Vec::new(),
            after_return: false,
            event: Vec::new(),
            data: Vec::new(),
            has_data: false,
            stray: Vec::new(),
            failed: false,
        }
    }

    /// Reads on, and calls `each` with every frame that `chunk` completes.
    pub fn read(&mut self, chunk: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<(), TooLong> {
        let mut rest = self.skip_mark(chunk);
        // Only where a frame may begin, so that no byte is looked at twice for nothing.
        let mut at_frame = true;
        loop {
            if self.failed {
                return Err(TooLong);
            }
            if at_frame
                && self.is_between_frames()
                && let Some((frame, length)) = whole_frame(rest).filter(|(_, length)| *length <= self.limit)
            {
                each(frame);
                rest = &rest[length..];
                continue;
            }
            if self.after_return && !rest.is_empty() {
                self.after_return = false;
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            let Some(end) = find_line_end(rest) else {
                return self.hold(rest);
            };
            self.after_return = rest[end] == b'\r';
            at_frame = end == 0;
            self.take_line(&rest[..end], &mut each)?;
            rest = &rest[end + 1..];
        }
    }

    /// Ends the input: a frame whose blank line never came is complete as it stands. The spec
    /// would throw it away, but some providers close without the blank line.
    pub fn end(&mut self, mut each: impl FnMut(Frame<'_>)) -> Result<(), TooLong> {
        if let Some(seen) = self.mark.take() {
            self.line.extend_from_slice(&BYTE_ORDER_MARK[..seen]);
        }
        if self.failed {
            return Err(TooLong);
        }
        if !self.line.is_empty() {
            self.take_line(b"", &mut each)?;
        }
        self.dispatch(&mut each);
        Ok(())
    }

    /// The lines that are no part of any event stream, from the first that opens a JSON value:
    /// some providers end a broken stream with a bare JSON object. Cut at 64 KiB.
    pub fn stray(&self) -> &[u8] {
        &self.stray
    }

    /// Whether a frame would begin with the next byte.
    pub fn is_between_frames(&self) -> bool {
        let empty = self.line.is_empty() && self.event.is_empty() && !self.has_data;
        empty && !self.after_return && self.mark.is_none()
    }

    fn skip_mark<'a>(&mut self, chunk: &'a [u8]) -> &'a [u8] {
        let mut rest = chunk;
        while let (Some(seen), Some(byte)) = (self.mark, rest.first()) {
            if *byte != BYTE_ORDER_MARK[seen] {
                self.line.extend_from_slice(&BYTE_ORDER_MARK[..seen]);
                self.mark = None;
                break;
            }
            rest = &rest[1..];
            self.mark = (seen + 1 < BYTE_ORDER_MARK.len()).then_some(seen + 1);
        }
        rest
    }

    fn hold(&mut self, part: &[u8]) -> Result<(), TooLong> {
        self.check(part.len())?;
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn check(&mut self, more: usize) -> Result<(), TooLong> {
        let held = self.line.len() + self.data.len() + self.event.len();
        self.failed = held.saturating_add(more) > self.limit;
        if self.failed { Err(TooLong) } else { Ok(()) }
    }

    /// Takes the line that `end` completes.
    fn take_line(&mut self, end: &[u8], each: &mut impl FnMut(Frame<'_>)) -> Result<(), TooLong> {
        self.check(end.len())?;
        if self.line.is_empty() {
            self.read_line(end, each);
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(end);
        self.read_line(&line, each);
        line.clear();
        self.line = line;
        Ok(())
    }

    fn read_line(&mut self, line: &[u8], each: &mut impl FnMut(Frame<'_>)) {
        if line.is_empty() {
            self.dispatch(each);
            return;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => {
                self.event.clear();
                self.event.extend_from_slice(value);
            }
            b"" | b"id" | b"retry" => {}
            _ => self.keep_stray(line),
        }
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Frame<'_>)) {
        if self.has_data {
            each(Frame { event: &self.event, data: &self.data });
        }
        self.data.clear();
        self.event.clear();
        self.has_data = false;
    }

    fn keep_stray(&mut self, line: &[u8]) {
        let opens = matches!(line.trim_ascii_start().first(), Some(b'{' | b'['));
        if !opens && self.stray.is_empty() {
            return;
        }
        let room = STRAY_LIMIT.saturating_sub(self.stray.len() + 1);
        self.stray.extend_from_slice(&line[..line.len().min(room)]);
        if room > 0 {
            self.stray.push(b'\n');
        }
    }
}

/// The frame at the start of `bytes` and how long it is, if it is all there and as plain as almost
/// every frame: lines that end with line feeds, one of them with data.
fn whole_frame(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let (mut at, mut event, mut data) = (0, &b""[..], None);
    loop {
        let end = at + find_line_end(&bytes[at..])?;
        let line = &bytes[at..end];
        if bytes[end] == b'\r' {
            return None;
        }
        at = end + 1;
        if line.is_empty() {
            return data.map(|data| (Frame { event, data }, at));
        } else if let Some(value) = value_of(line, b"data:") {
            if data.replace(value).is_some() {
                return None;
            }
        } else {
            event = value_of(line, b"event:")?;
        }
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

/// How many bytes there are up to the first blank line, and with it; all of them where there is none.
pub fn up_to_blank_line(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = bytes::find(&bytes[at..], b'\n') {
        at += length + 1;
        if bytes.get(at) == Some(&b'\n') {
            return at + 1;
        }
    }
    bytes.len()
}

/// Appends one frame. A line break within `data` begins another `data:` line.
pub fn write_frame(data: &[u8], out: &mut Vec<u8>) {
    let mut rest = data;
    while let Some(at) = bytes::find(rest, b'\n') {
        write_line(&rest[..at], out);
        rest = &rest[at + 1..];
    }
    write_line(rest, out);
    out.push(b'\n');
}

fn write_line(line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(line);
    out.push(b'\n');
}
