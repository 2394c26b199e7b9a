//! Flink's summary of a figure.

use schemars::JsonSchema;
use serde::Serialize;

/// Least, most, mean and percentiles.
#[derive(Serialize, JsonSchema)]
pub(super) struct Summary {
    min: u64,
    max: u64,
    avg: u64,
    p50: Percentile,
    p90: Percentile,
    p95: Percentile,
    p99: Percentile,
    p999: Percentile,
}

/// A percentile, `NaN` if there are no figures.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(untagged)]
enum Percentile {
    Of(f64),
    None(NotANumber),
}

#[derive(Clone, Copy, Serialize, JsonSchema)]
enum NotANumber {
    NaN,
}

impl Summary {
    /// Of figures in any order.
    pub(super) fn of(mut figures: Vec<u64>) -> Self {
        figures.sort_unstable();
        let last = figures.len().saturating_sub(1);
        let at = |share: f64| match figures.get((last as f64 * share).ceil() as usize) {
            Some(figure) => Percentile::Of(*figure as f64),
            None => Percentile::None(NotANumber::NaN),
        };
        Self {
            min: figures.first().copied().unwrap_or(0),
            max: figures.last().copied().unwrap_or(0),
            avg: figures.iter().sum::<u64>() / figures.len().max(1) as u64,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_tells_of_all_figures_or_of_none() {
        let summary = serde_json::to_value(Summary::of((1..=100).rev().collect()));
        let expected = json!({
            "min": 1, "max": 100, "avg": 50,
            "p50": 51.0, "p90": 91.0, "p95": 96.0, "p99": 100.0, "p999": 100.0,
        });
        assert_eq!(summary.expect("plain data"), expected);
        let summary = serde_json::to_value(Summary::of(Vec::new())).expect("plain data");
        assert_eq!((&summary["avg"], &summary["p99"]), (&json!(0), &json!("NaN")));
    }
}
