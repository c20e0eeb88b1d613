//! Amazon's event stream (`application/vnd.amazon.eventstream`): bytes in any chunking become
//! messages whose checksums hold. Knows nothing of what the messages mean.
//! Spec: smithy.io/2.0/aws/amazon-eventstream.html.

/// One message. Headers that are no strings are checked, but not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub headers: Vec<(String, String)>,
    pub payload: Vec<u8>,
}

/// Why a stream cannot be read on. The reader takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFault {
    /// The checksum of the two lengths does not hold.
    Prelude,
    /// The checksum of the message does not hold.
    Message,
    /// The lengths contradict each other.
    Length,
    /// A message beyond what Amazon allows.
    TooLong,
    /// The headers are not what they say they are.
    Header,
}

/// Reads messages from bytes that come in any pieces.
#[derive(Clone, Debug, Default)]
pub struct FrameReader {
    held: Vec<u8>,
    fault: Option<FrameFault>,
}

/// Both lengths and their checksum.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// Amazon's limits: 128 KiB of headers; a payload of 16 MiB (24 in newer texts).
const MOST_HEADERS: usize = 128 * 1024;
const MOST_BYTES: usize = 24 * 1024 * 1024 + MOST_HEADERS + PRELUDE + CHECKSUM;

impl FrameReader {
    /// Reads on, and calls `each` with every message that `bytes` completes.
    pub fn read(&mut self, bytes: &[u8], mut each: impl FnMut(Message)) -> Result<(), FrameFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        self.held.extend_from_slice(bytes);
        let mut taken = 0;
        while let Some((message, length)) = next(&self.held[taken..]).map_err(|fault| self.fail(fault))? {
            each(message);
            taken += length;
        }
        self.held.drain(..taken);
        Ok(())
    }

    fn fail(&mut self, fault: FrameFault) -> FrameFault {
        self.fault = Some(fault);
        fault
    }
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The message at the start of `bytes` and its length, once it is there as a whole.
fn next(bytes: &[u8]) -> Result<Option<(Message, usize)>, FrameFault> {
    if bytes.len() < PRELUDE {
        return Ok(None);
    }
    if crc32(&bytes[..8]) != number(&bytes[8..12]) {
        return Err(FrameFault::Prelude);
    }
    let (total, headers) = (number(&bytes[..4]) as usize, number(&bytes[4..8]) as usize);
    if total > MOST_BYTES || headers > MOST_HEADERS {
        return Err(FrameFault::TooLong);
    }
    if total < PRELUDE + headers + CHECKSUM {
        return Err(FrameFault::Length);
    }
    let Some(frame) = bytes.get(..total) else { return Ok(None) };
    let (body, checksum) = frame.split_at(total - CHECKSUM);
    if crc32(body) != number(checksum) {
        return Err(FrameFault::Message);
    }
    let (headers, payload) = body[PRELUDE..].split_at(headers);
    let headers = read_headers(headers).ok_or(FrameFault::Header)?;
    Ok(Some((Message { headers, payload: payload.to_vec() }, total)))
}

fn read_headers(mut bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(*take(&mut bytes, 1)?.first()?);
        let name = take(&mut bytes, length)?.to_vec();
        let kind = *take(&mut bytes, 1)?.first()?;
        let value = match kind {
            // True, false.
            0 | 1 => &[][..],
            // Byte, short, integer, long.
            2 => take(&mut bytes, 1)?,
            3 => take(&mut bytes, 2)?,
            4 => take(&mut bytes, 4)?,
            5 => take(&mut bytes, 8)?,
            // Bytes, string.
            6 | 7 => {
                let length = take(&mut bytes, 2)?;
                take(&mut bytes, usize::from(length[0]) << 8 | usize::from(length[1]))?
            }
            // Timestamp, UUID.
            8 => take(&mut bytes, 8)?,
            9 => take(&mut bytes, 16)?,
            _ => return None,
        };
        if kind == 7 {
            headers.push((String::from_utf8(name).ok()?, String::from_utf8(value.to_vec()).ok()?));
        }
    }
    Some(headers)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// A big-endian number of four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// CRC-32 as in Ethernet and zip.
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8;
    !bytes.iter().fold(u32::MAX, step)
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ value >> 1 } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};
