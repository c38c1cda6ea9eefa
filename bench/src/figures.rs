//! Numbers, as they are printed.

use std::time::Duration;

/// The duration below which this many of a hundred lie; nothing for none. Sorts.
pub fn percentile(of: &mut [Duration], percent: usize) -> Option<Duration> {
    of.sort_unstable();
    let rank = (of.len() * percent).div_ceil(100).clamp(1, of.len().max(1));
    of.get(rank - 1).copied()
}

/// How many in a second.
pub fn per_second(count: usize, time: Duration) -> u128 {
    count as u128 * 1000 / time.as_millis().max(1)
}

/// Seconds, with one digit below a hundred.
pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        100.. => format!("{} s", time.as_secs()),
        _ => format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100),
    }
}

/// A row of a Markdown table.
pub fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut all: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut all, 50), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&mut all, 99), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&mut all, 100), Some(Duration::from_millis(200)));
        assert_eq!(percentile(&mut [Duration::from_millis(7)], 50), Some(Duration::from_millis(7)));
        assert_eq!(percentile(&mut [], 50), None);
    }

    #[test]
    fn times_and_rates_are_short() {
        assert_eq!(seconds(Duration::from_millis(1_390)), "1.3 s");
        assert_eq!(seconds(Duration::from_millis(123_456)), "123 s");
        assert_eq!(per_second(300, Duration::from_secs(10)), 30);
        assert_eq!(row(&["a".into(), "b".into()]), "| a | b |");
    }
}
