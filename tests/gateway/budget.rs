//! Budgets against real SQLite: who counts for which, windows, what is named when several are short.

use crate::account::script::check;

#[test]
fn the_narrowest_level_that_is_short_is_named() {
    check(
        "0s  create                                  => created
         0s  grant g1 4                              => granted 4 total 4
         0s  key k limit 6                           => key k version 1
         0s  budget a account amount 5               => a 0+0 of 5
         0s  budget w workspace amount 7             => a 0+0 of 5, w 0+0 of 7
         0s  budget g key:k amount 8 reset daily     => a 0+0 of 5, w 0+0 of 7, g 0+0 of 8
         0s  budget m account model openai/* amount 9 => a 0+0 of 5, w 0+0 of 7, g 0+0 of 8, m 0+0 of 9
         0s  hold h k 10 until 9s models openai/a    => refused budget m spent 0 available 9 missing 1
         0s  hold h k 10 until 9s models other/b     => refused budget g spent 0 available 8 missing 2 resets 1d
         0s  hold h k 8 until 9s models other/b      => refused key limit available 6 missing 2
         0s  unbudget g                              => a 0+0 of 5, w 0+0 of 7, m 0+0 of 9
         0s  update k limit none                     => updated k version 2
         0s  hold h k 8 until 9s models other/b      => refused budget w spent 0 available 7 missing 1
         0s  hold h k 6 until 9s models other/b      => refused budget a spent 0 available 5 missing 1
         0s  hold h k 5 until 9s models other/b      => refused credit available 4 missing 1
         0s  hold h k 4 until 9s models openai/a+x/y => held 4 until 9s alarm 9s
         0s  budgets                                 => a 0+4 of 5, w 0+4 of 7, m 0+4 of 9
         0s  settle h k 3 model x/y                  => settled 3
         0s  budgets                                 => a 3+0 of 5, w 3+0 of 7, m 0+0 of 9",
    );
}

#[test]
fn a_budget_opens_again_at_midnight_on_monday_and_on_the_first() {
    // The script begins on Saturday, 21 November 2026.
    for (reset, closed, open) in
        [("daily", "86399s", "1d"), ("weekly", "172799s", "2d"), ("monthly", "863999s", "10d")]
    {
        check(&format!(
            "0s  create                                  => created
             0s  grant g1 9                              => granted 9 total 9
             0s  key k                                   => key k version 1
             0s  budget b account amount 2 reset {reset} => b 0+0 of 2
             0s  settle a k 2                            => settled 2 exceeded
             {closed} hold b k 1 until 12d               => refused budget b spent 2 available 0 missing 1 resets {open}
             {open} hold b k 1 until 12d                 => held 1 until 12d alarm 12d
             {open} settle b k 1                         => settled 1
             {open} budgets                              => b 1+0 of 2"
        ));
    }
}

#[test]
fn each_key_and_each_end_user_has_a_count_of_its_own() {
    check(
        "0s  create                                  => created
         0s  grant g1 99                             => granted 99 total 99
         0s  key k                                   => key k version 1
         0s  key l                                   => key l version 1
         0s  budget e workspace per key amount 2     => e 0+0 of 2
         0s  settle a k 2                            => settled 2 exceeded
         0s  hold b k 1 until 9s                     => refused budget e spent 2 available 0 missing 1
         0s  hold b l 1 until 9s                     => held 1 until 9s alarm 9s
         0s  unbudget e                              => 
         0s  budget u account per end_user amount 3  => u 0+1 of 3
         0s  hold c k 3 until 9s user ann            => held 3 until 9s alarm 9s
         0s  hold d k 1 until 9s user ann            => refused budget u spent 0 available 0 missing 1
         0s  hold d k 3 until 9s user bob            => held 3 until 9s alarm 9s
         0s  hold e k 3 until 9s                     => refused budget u spent 0 available 2 missing 1
         0s  settle c k 1 user ann                   => settled 1
         0s  hold f k 2 until 9s user ann            => held 2 until 9s alarm 9s
         9s  expire                                  => expired 3 records 0 alarm 30d
         9s  budgets                                 => u 0+0 of 3, u[ann] 1+0 of 3, u[bob] 0+0 of 3",
    );
}

#[test]
fn a_budget_begins_with_what_was_spent_and_is_held() {
    check(
        "0s  create                                  => created
         0s  grant g1 160                            => granted 160 total 160
         0s  key k                                   => key k version 1
         0s  settle a k 3                            => settled 3 exceeded
         1d  settle b k 2                            => settled 2 exceeded
         1d  lease L k 1 want 4 unit 0.5             => lease 4 admits 10s
         1d  budget d workspace amount 20 reset daily => d 2+4 of 20
         1d  budget l account amount 90              => d 2+4 of 20, l 5+4 of 90
         1d  budget l account amount 80              => d 2+4 of 20, l 5+4 of 80
         1d  budget d key:k amount 30 reset weekly   => l 5+4 of 80, d 5+4 of 30
         1d  budget d key:none amount 30             => refused key unknown 401
         1d  lease L k 2 want 9 unit 0.5             => lease 4 admits 10s
         1d  budget d key:k amount 5 reset weekly    => l 5+4 of 80, d 5+4 of 5
         1d  lease L k 3 want 4 unit 0.5             => lease 4
         1d  settle c k 1 from L, lease L k 4 want 0 => settled 1, lease 0
         1d  budgets                                 => l 6+0 of 80, d 6+0 of 5",
    );
}

#[test]
fn a_lease_is_a_slice_of_the_smallest_budget() {
    check(
        "0s  create                                  => created
         0s  grant g1 1600                           => granted 1600 total 1600
         0s  key k                                   => key k version 1
         0s  budget b workspace amount 32            => b 0+0 of 32
         0s  lease L k 1 want 9 unit 0.5             => lease 2 admits 10s
         0s  budgets                                 => b 0+2 of 32",
    );
}

#[test]
fn a_key_whose_models_or_users_are_told_apart_gets_no_lease() {
    for budget in ["model x/* amount 99", "per end_user amount 99"] {
        check(&format!(
            "0s  create                                  => created
             0s  grant g1 160                            => granted 160 total 160
             0s  key k                                   => key k version 1
             0s  lease L k 1 want 4 unit 0.5             => lease 4 admits 10s
             1s  budget b account {budget}               => b 0+4 of 99
             1s  lease M k 1 want 4 unit 0.5             => no lease
             1s  lease L k 2 want 5 unit 0.5             => lease 4
             1s  settle a k 1 from L model x/y:free      => settled 1
             1s  hold h k 9 until 9s models x/z          => held 9 until 9s alarm 9s"
        ));
    }
}

#[test]
fn senseless_budgets_are_refused() {
    for line in ["budget b account:x amount 1", "budget b user amount 1", "budget b account amount -1"] {
        check(&format!("0s create => created\n0s {line} => invalid\n0s budgets => "));
    }
}
