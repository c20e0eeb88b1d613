//! Limits of rate against real SQLite: who counts for which, minutes, slices, slots, free models, and
//! what a client is told.

use crate::account::script::check;

#[test]
fn a_minute_has_so_many_requests_and_tokens() {
    check(
        "0s  create                                     => created
         0s  grant g1 99                                => granted 99 total 99
         0s  key k                                      => key k version 1
         0s  rate r account requests 2 tokens 100       => r 0+0 of 2/100/-
         0s  hold a k 1 until 99s tokens 60             => held 1 until 99s alarm 99s
         1s  hold a k 1 until 99s tokens 60             => held 1 until 99s alarm 99s
         1s  rates                                      => r 1+60 of 2/100/-
         2s  hold b k 1 until 99s tokens 41             => refused rate r tokens_per_minute 40 of 100 until 60s
         2s  describe                                   => granted 99 charged 0 held 1 available 98
         3s  hold b k 1 until 99s tokens 40             => held 1 until 99s alarm 99s
         4s  hold c k 1 until 99s                       => refused rate r requests_per_minute 0 of 2 until 60s
         60s hold c k 1 until 99s tokens 500            => held 1 until 99s alarm 99s
         61s hold d k 1 until 99s tokens 1              => refused rate r tokens_per_minute 0 of 100 until 120s
         61s unrate r                                   => 
         61s hold d k 1 until 99s tokens 1              => held 1 until 99s alarm 99s",
    );
}

#[test]
fn what_was_used_puts_tokens_right() {
    check(
        "0s  create                                     => created
         0s  grant g1 99                                => granted 99 total 99
         0s  key k                                      => key k version 1
         0s  rate r account tokens 100                  => r 0+0 of -/100/-
         0s  hold a k 1 until 99s tokens 100            => held 1 until 99s alarm 99s
         1s  settle a k 1 beyond -90                    => settled 1
         1s  settle a k 1 beyond -90                    => settled 1 already
         1s  rates                                      => r 0+10 of -/100/-
         2s  hold b k 1 until 99s tokens 50             => held 1 until 99s alarm 99s
         3s  settle b k 1 beyond 500                    => settled 1
         3s  rates                                      => r 0+560 of -/100/-
         60s hold c k 1 until 99s tokens 50             => held 1 until 99s alarm 99s
         120s hold d k 1 until 299s tokens 50           => held 1 until 299s alarm 299s
         121s settle c k 1 beyond -40 at 60s            => settled 1 exceeded
         121s settle d k 1 beyond -40 at 60s            => settled 1
         121s rates                                     => r 0+50 of -/100/-
         121s settle e k 1 beyond 7 at 120s             => settled 1 exceeded
         121s rates                                     => r 0+50 of -/100/-",
    );
}

#[test]
fn a_slot_comes_back_when_its_request_ends_or_is_lost() {
    check(
        "0s  create                                     => created
         0s  grant g1 99                                => granted 99 total 99
         0s  key k                                      => key k version 1
         0s  hold z k 1 until 9s                        => held 1 until 9s alarm 9s
         0s  rate r account concurrent 3                => r 0+0*1 of -/-/3
         0s  hold a k 1 until 99s                       => held 1 until 99s alarm 9s
         0s  hold b k 1 until 5s                        => held 1 until 5s alarm 5s
         1s  hold c k 1 until 99s                       => refused rate r concurrent_requests 0 of 3 until 2s
         1s  settle a k 1                               => settled 1
         1s  hold c k 1 until 99s                       => held 1 until 99s alarm 5s
         4s  hold d k 1 until 99s                       => refused rate r concurrent_requests 0 of 3 until 5s
         5s  hold d k 1 until 99s                       => held 1 until 99s alarm 9s
         6s  settle d k 0                               => settled 0
         6s  rates                                      => r 0+0*2 of -/-/3",
    );
}

#[test]
fn the_narrowest_limit_is_named_and_each_counts_for_itself() {
    check(
        "0s  create                                     => created
         0s  grant g1 99                                => granted 99 total 99
         0s  key k                                      => key k version 1
         0s  key l                                      => key l version 1
         0s  rate a account requests 4                  => a 0+0 of 4/-/-
         0s  rate e workspace per key requests 2        => a 0+0 of 4/-/-, e 0+0 of 2/-/-
         0s  rate m key:k model x/* requests 1          => a 0+0 of 4/-/-, e 0+0 of 2/-/-, m 0+0 of 1/-/-
         0s  hold a k 1 until 99s models x/y            => held 1 until 99s alarm 99s
         0s  hold b k 1 until 99s models x/y+z/z        => refused rate m requests_per_minute 0 of 1 until 60s
         0s  hold b k 1 until 99s models z/z            => held 1 until 99s alarm 99s
         0s  hold c k 1 until 99s models z/z            => refused rate e requests_per_minute 0 of 2 until 60s
         0s  hold c l 1 until 99s                       => held 1 until 99s alarm 99s
         0s  hold d l 1 until 99s                       => held 1 until 99s alarm 99s
         0s  unrate e                                   => a 4+0 of 4/-/-, m 1+0 of 1/-/-
         0s  hold e l 1 until 99s                       => refused rate a requests_per_minute 0 of 4 until 60s
         0s  rate a account requests 5                  => a 4+0 of 5/-/-, m 1+0 of 1/-/-
         0s  hold e l 1 until 99s                       => held 1 until 99s alarm 99s
         0s  rate a key:none requests 5                 => refused key unknown 401",
    );
}

#[test]
fn each_end_user_has_a_count_of_its_own() {
    check(
        "0s  create                                     => created
         0s  grant g1 99                                => granted 99 total 99
         0s  key k                                      => key k version 1
         0s  rate u account per end_user requests 1 concurrent 1 => u 0+0 of 1/-/1
         0s  hold a k 1 until 99s user ann              => held 1 until 99s alarm 99s
         0s  hold b k 1 until 99s user ann              => refused rate u requests_per_minute 0 of 1 until 60s
         0s  hold b k 1 until 99s user bob              => held 1 until 99s alarm 99s
         60s hold c k 1 until 99s user bob              => refused rate u concurrent_requests 0 of 1 until 61s
         60s hold c k 1 until 99s                       => held 1 until 99s alarm 99s
         61s lease L k 1 want 4 unit 0.5                => no lease",
    );
}

#[test]
fn an_isolate_gets_a_slice_of_each_limit_and_gives_it_back() {
    check(
        "0s  create                                     => created
         0s  grant g1 1600                              => granted 1600 total 1600
         0s  key k                                      => key k version 1
         0s  rate r account requests 64 tokens 1600 concurrent 32 => r 0+0*0 of 64/1600/32
         0s  lease L k 1 want 4 unit 0.5                => lease 4 admits 10s slice 0/0/0
         0s  lease L k 2 want 4 unit 0.5 slice 9/9/0/9  => lease 4 admits 10s slice 4/9/2
         0s  lease L k 2 want 4 unit 0.5 slice 9/9/0/9  => lease 4
         1s  rates                                      => r 4+9*2 of 64/1600/32
         1s  lease L k 3 want 4 unit 0.5 slice 1/900/2/9 => lease 4 admits 10s slice 1/99/3
         1s  rates                                      => r 5+108*3 of 64/1600/32
         2s  lease L k 4 want 4 unit 0.5 slice -3/-50/1/1 => lease 4 admits 10s slice 0/0/1
         2s  rates                                      => r 2+58*1 of 64/1600/32
         60s lease L k 5 want 4 unit 0.5 slice -2/-50/1/9 => lease 4 admits 10s slice 0/0/2
         60s rates                                      => r 0+0*2 of 64/1600/32
         60s rate r account requests 15                 => r 0+0 of 15/-/-
         61s lease L k 6 want 4 unit 0.5 slice 9/0/1/9  => lease 4 admits 10s slice 0/-/-
         61s settle a k 1 from L                        => settled 1
         61s unrate r                                   => 
         62s lease L k 7 want 4 unit 0.5 slice 0/0/1/9  => lease 4 admits 10s
         500s expire                                    => expired 1 records 0 alarm 2592061s",
    );
}

#[test]
fn slots_of_a_dead_isolate_come_back_with_its_lease() {
    check(
        "0s  create                                     => created
         0s  grant g1 1600                              => granted 1600 total 1600
         0s  key k                                      => key k version 1
         0s  rate r account concurrent 17               => r 0+0*0 of -/-/17
         0s  lease L k 1 want 4 unit 0.5                => lease 4 admits 10s slice -/-/0
         0s  lease L k 2 want 4 unit 0.5 slice 0/0/0/9  => lease 4 admits 10s slice -/-/1
         69s rates                                      => r 0+0*1 of -/-/17
         70s expire                                     => expired 1 records 0
         70s rates                                      => r 0+0*0 of -/-/17",
    );
}

#[test]
fn free_models_have_a_minute_and_a_day_for_all_keys_of_an_account() {
    check(
        "0s   create                                    => created
         0s   key k                                     => key k version 1
         0s   key l                                     => key l version 1
         0s   hold a k 0 until 99s free                 => held 0 until 99s alarm 99s
         0s   hold b l 0 until 99s free                 => held 0 until 99s alarm 99s
         1s   hold c l 0 until 99s free                 => refused rate free-models-per-min 0 of 2 until 60s
         1s   hold c l 0 until 99s                      => held 0 until 99s alarm 99s
         60s  hold d l 0 until 99s free                 => held 0 until 99s alarm 99s
         61s  hold e l 0 until 99s free                 => refused rate free-models-per-day 0 of 3 until 1d
         62s  grant g1 9.99                             => granted 9.99 total 9.99
         62s  hold e l 0 until 99s free                 => refused rate free-models-per-day 0 of 3 until 1d
         62s  grant g2 0.01                             => granted 0.01 total 10
         62s  hold e l 0 until 99s free                 => held 0 until 99s alarm 99s
         120s hold f k 0 until 199s free                => held 0 until 199s alarm 199s
         120s hold g k 0 until 199s free                => refused rate free-models-per-day 0 of 5 until 1d
         1d   hold g k 0 until 9d free                  => held 0 until 9d alarm 9d",
    );
}

#[test]
fn senseless_limits_are_refused() {
    for line in [
        "rate r account",
        "rate r account:x requests 1",
        "rate r user requests 1",
        "rate r account requests 1000000000001",
    ] {
        check(&format!("0s create => created\n0s {line} => invalid\n0s rates => "));
    }
}
