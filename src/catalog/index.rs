//! Rows found by their names: a table of hashes made when the crate is built, so that a name is read
//! twice, once to hash it and once to make sure.

/// A row's name as a number, with the row. Tables of them are sorted.
pub type Entry = (u16, u16);

/// FNV-1a over the bytes of a name, both halves in one: among a thousand names hardly two are the same, and what
/// is random in a table cannot be compressed.
pub const fn hash(name: &str) -> u16 {
    let bytes = name.as_bytes();
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    (hash ^ hash >> 16) as u16
}

/// The first row whose name may be `name`, of which `is` makes sure.
pub fn look_up(table: &[Entry], name: &str, is: impl Fn(usize) -> bool) -> Option<usize> {
    let hash = hash(name);
    let first = table.partition_point(|entry| entry.0 < hash);
    let same = table[first..].iter().take_while(|entry| entry.0 == hash);
    same.map(|entry| usize::from(entry.1)).find(|row| is(*row))
}
