//! Isolates, their account and a bad network, moved by the input: the native test's own world.

#[allow(dead_code)]
#[path = "../../tests/gateway/wallet/world.rs"]
mod world;

use world::{Event, ISOLATES, World};

const MOST_EVENTS: usize = 200;

/// The input is a script: two bytes for the credit, two for the daily limit, then eight for each
/// event: verb, isolate, which (two), amount, share, pause (two, in units that grow).
pub fn check(data: &[u8]) {
    let Some((head, script)) = data.split_first_chunk::<4>() else { return };
    let number = |high: u8, low: u8| i64::from(u16::from_be_bytes([high, low]));
    let limit = Some(number(head[2], head[3])).filter(|limit| *limit > 0);
    let mut world = World::new(100 + number(head[0], head[1]), limit);
    for event in script.as_chunks::<8>().0.iter().take(MOST_EVENTS) {
        world.happen(&read(*event));
        assert_eq!(world.check(), Ok(()));
    }
    world.settle_down();
    assert_eq!(world.check_end(), Ok(()));
}

fn read([verb, isolate, high, low, amount, share, unit, pause]: [u8; 8]) -> Event {
    let unit_ms = [1, 1, 1, 10, 10, 100, 1000, 300_000][usize::from(unit % 8)];
    Event {
        verb: u32::from(verb % 100),
        isolate: usize::from(isolate) % ISOLATES,
        which: usize::from(u16::from_be_bytes([high, low])),
        amount: i64::from(amount),
        percent: i64::from(share % 101),
        pause_ms: unit_ms * u64::from(pause),
        flag: isolate >= 128,
    }
}
