//! Sums up many values: the middle, and how far the others lie from it.

/// The median and the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// A quarter of the values is not above this.
    pub low: f64,
    /// The median.
    pub middle: f64,
    /// Three quarters of the values are not above this.
    pub high: f64,
}

impl Spread {
    /// Sums up values. `None` if there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted.get(sorted.len().checked_sub(1)? * part / 4).copied();
        Some(Spread { low: at(1)?, middle: at(2)?, high: at(3)? })
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn a_spread_is_the_median_and_the_quartiles() {
        let check = |values: &[f64], want: [f64; 3]| {
            let Spread { low, middle, high } = Spread::of(values.iter().copied()).unwrap();
            assert_eq!([low, middle, high], want, "{values:?}");
        };
        check(&[7.0], [7.0, 7.0, 7.0]);
        check(&[5.0, 1.0, 4.0, 2.0, 3.0], [2.0, 3.0, 4.0]);
        check(&[9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0], [3.0, 5.0, 7.0]);
        assert_eq!(Spread::of([]), None);
    }
}
