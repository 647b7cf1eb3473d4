//! Writes numbers with as many digits as mean something.

use crate::spread::Spread;

/// Three digits that count, at most two of them behind the point.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size < 9.995 => 2,
        size if size < 99.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    // Nothing is less than nothing.
    if text.trim_matches(['-', '0', '.']).is_empty() { "0".to_owned() } else { text }
}

/// The middle, and the quartiles where they differ from it.
pub(super) fn spread(spread: Spread) -> String {
    let [low, middle, high] = [spread.low, spread.middle, spread.high].map(number);
    if low == middle && middle == high { middle } else { format!("{middle} ({low}–{high})") }
}

/// How many rounds, in words.
pub(super) fn rounds(rounds: usize) -> String {
    if rounds == 1 { "one round".to_owned() } else { format!("{rounds} rounds") }
}

#[cfg(test)]
mod tests {
    use super::{Spread, number, rounds, spread};

    #[test]
    fn three_digits_count() {
        let check = |value, want: &str| assert_eq!(number(value), want, "{value}");
        check(0.0, "0");
        check(-0.001, "0");
        check(0.153, "0.15");
        check(-0.153, "-0.15");
        check(9.994, "9.99");
        check(9.996, "10.0");
        check(34.56, "34.6");
        check(99.96, "100");
        check(182_345.6, "182346");
    }

    #[test]
    fn quartiles_are_left_out_where_they_say_nothing() {
        let check = |low, middle, high, want: &str| {
            assert_eq!(spread(Spread { low, middle, high }), want);
        };
        check(1.0, 1.0, 1.001, "1.00");
        check(0.5, 0.75, 1.0, "0.75 (0.50–1.00)");
    }

    #[test]
    fn one_round_is_not_several() {
        assert_eq!([rounds(1), rounds(9)], ["one round", "9 rounds"]);
    }
}
