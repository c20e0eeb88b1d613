//! Leases of isolates against real SQLite: made, enlarged, drawn on, given back, expired.

use millrace::account::store;
use millrace::id::KeyHash;

use crate::account::script::{Database, check, check_line, generation, read_command, time};

#[test]
fn an_isolate_gets_a_slice_and_gives_it_back() {
    check(
        "0s  create                                  => created
         0s  grant g1 160                            => granted 160 total 160
         0s  key k                                   => key k version 1
         0s  lease L k 1 want 4 unit 0.5             => lease 4 admits 10s
         0s  lease L k 1 want 9 unit 0.5             => lease 4
         0s  lease L other 2 want 5                  => no lease
         0s  lease M k 2 want 4                      => no lease
         1s  lease L k 2 want 99 unit 0.5            => lease 10 admits 10s
         1s  describe                                => granted 160 charged 0 held 10 available 150
         2s  settle a k 3 from L                     => settled 3
         2s  settle a k 3 from L                     => settled 3 already
         2s  describe                                => granted 160 charged 3 held 7 available 150
         3s  settle b k 1 from L, lease L k 3 open 2 want 2 => settled 1, lease 2
         3s  describe                                => granted 160 charged 4 held 2 available 154
         4s  lease L k 2 want 9                      => lease 2
         5s  settle c k 3 from L                     => settled 3 exceeded
         5s  describe                                => granted 160 charged 7 held 0 available 153
         6s  lease L k 4 want 1 unit 0.5             => lease 1 admits 10s
         75s describe                                => granted 160 charged 7 held 1 available 152
         76s describe                                => granted 160 charged 7 held 0 available 153
         76s lease L k 5 want 1                      => no lease
         76s lease L k 1 want 1                      => no lease
         77s settle d k 1 from L                     => settled 1 exceeded",
    );
}

#[test]
fn a_poor_account_gives_no_slices() {
    check(
        "0s  create                                  => created
         0s  grant g1 32                             => granted 32 total 32
         0s  key k                                   => key k version 1
         0s  key small limit 16                      => key small version 1
         0s  lease L k 1 want 8 unit 1.1             => no lease
         0s  lease S small 1 want 8 unit 0.6         => no lease
         0s  lease S small 1 want 8 unit 0.5         => lease 1 admits 10s
         0s  lease L k 1 want 8 unit 0.9             => lease 1.9375 admits 10s
         0s  hold a k 30 until 60s                   => refused credit available 29.0625 missing 0.9375
         0s  hold a k 30 until 60s, lease L k 2 want 0 => held 30 until 60s alarm 60s, lease 0
         0s  describe                                => granted 32 charged 0 held 31 available 1",
    );
}

#[test]
fn a_free_model_is_leased_without_money_but_not_in_debt() {
    check(
        "0s  create                                  => created
         0s  key k                                   => key k version 1
         0s  lease L k 1 want 0 unit 0               => lease 0 admits 10s
         0s  settle a k 1                            => settled 1 exceeded
         0s  lease L k 2 want 0 unit 0               => lease 0
         0s  lease M k 1 want 0 unit 0               => no lease",
    );
}

#[test]
fn a_key_that_may_not_spend_is_not_leased_to_any_longer() {
    check(
        "0s  create                                  => created
         0s  grant g1 160                            => granted 160 total 160
         0s  key k                                   => key k version 1
         0s  lease L k 1 want 4                      => lease 4 admits 10s
         1s  update k disabled true                  => updated k version 2
         1s  lease L k 2 open 1 want 6               => lease 4
         1s  lease L k 3 open 1 want 1               => lease 1
         1s  lease M k 1 want 4                      => no lease
         2s  delete k                                => deleted version 3
         2s  settle a k 1 from L                     => settled 1
         2s  describe                                => granted 160 charged 1 held 0 available 159",
    );
}

#[test]
fn a_daily_limit_bounds_leases_on_both_sides_of_midnight() {
    check(
        "0d  create                                  => created
         0d  grant g1 1000                           => granted 1000 total 1000
         0d  key k limit 16 reset daily              => key k version 1
         86399s lease L k 1 want 9 unit 0.5          => lease 1 admits 10s
         86399s hold a k 16 until 2d                 => refused key limit available 15 missing 1 resets 1d
         1d  settle b k 1 from L                     => settled 1
         1d  hold a k 16 until 2d                    => refused key limit available 15 missing 1 resets 2d
         1d  hold a k 15 until 2d                    => held 15 until 2d alarm 86469s
         1d  lease L k 2 want 9 unit 0.5             => lease 0",
    );
}

#[test]
fn a_report_that_makes_no_sense_changes_nothing() {
    for line in [
        "settle a k -1",
        "settle a k 1, settle b k -1",
        "hold a k 1 min 2 until 60s",
        "lease L k 0 want 1",
        "lease L k 1 open 2 want 1",
        "lease L k 1 open -2 want 1",
        "lease L k 1 want 1 unit -1",
    ] {
        let mut database = Database::new();
        for line in ["create", "grant g1 10", "key k"] {
            database.tell(time("0s"), &read_command(line));
        }
        let before = database.dump();
        check_line(&mut database, &format!("0s {line} => invalid"));
        assert_eq!(database.dump(), before, "{line}");
    }
}

#[test]
fn open_holds_are_brought_forward_from_the_first_version() {
    let schema = include_str!("../../schema/account.sql");
    let first = &schema[..schema.find("-- version 2").unwrap()];
    let mut database = Database::new();
    store::migrate(&database, first).unwrap();
    let (generation, key) = (generation("a"), KeyHash::of("k"));
    for statement in [
        "INSERT INTO account (one, id, name, created_at, granted, held) VALUES (1, 'Account00000', '', 0, 10000000000000, 4000000000000)",
        &format!(
            "INSERT INTO api_key (hash, label, name, kind, created_at, held) VALUES ('{key}', '', 'k', 'inference', 0, 4000000000000)"
        ),
        &format!("INSERT INTO lease VALUES ('{generation}', '{key}', 4000000000000, {})", time("60s").ms()),
    ] {
        database.connection.execute(statement, []).unwrap();
    }
    check_line(&mut database, "1s hold a k 4 until 60s => held 4 until 60s alarm 60s");
    check_line(&mut database, "2s settle a k 3 => settled 3");
    check_line(&mut database, "3s describe => granted 10 charged 3 held 0 available 7");
}

#[test]
fn a_hold_begins_small_and_grows_while_there_is_money() {
    check(
        "0s  create                                  => created
         0s  grant g1 10                             => granted 10 total 10
         0s  key k limit 8                           => key k version 1
         0s  hold a k 12 min 2 part least until 60s  => held 2 until 60s alarm 60s
         0s  hold a k 12 min 2 part least until 60s  => held 2 until 60s alarm 60s
         0s  hold b k 4 min 2 part least until 60s   => held 4 until 60s alarm 60s
         1s  hold a k 4 min 3 part more until 60s    => held 4 until 60s alarm 60s
         1s  hold a k 4 min 3 part more until 60s    => held 4 until 60s alarm 60s
         1s  hold a k 8 min 5 part more until 60s    => refused key limit available 0 missing 1
         2s  settle b k 1                            => settled 1
         2s  hold a k 9 min 5 part more until 60s    => held 5 until 60s alarm 60s
         2s  settle a k 5                            => settled 5
         2s  hold a k 9 min 8 part more until 60s    => refused ended
         2s  hold c k 9 min 1 until 60s              => held 2 until 60s alarm 60s
         2s  describe                                => granted 10 charged 6 held 2 available 2",
    );
}
