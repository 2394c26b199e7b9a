//! Flink's forms of durations, sizes and the like.

use std::time::Duration;

/// Reads `10 min`, `500ms`, `2 h`, `1.5 s` is not one; a plain number is milliseconds.
///
/// # Errors
///
/// What a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let number = number.parse::<u64>().map_err(|_| expected_duration())?;
    let millis = match unit.as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => number,
        "s" | "sec" | "secs" | "second" | "seconds" => number.saturating_mul(1_000),
        "m" | "min" | "mins" | "minute" | "minutes" => number.saturating_mul(60_000),
        "h" | "hour" | "hours" => number.saturating_mul(3_600_000),
        "d" | "day" | "days" => number.saturating_mul(86_400_000),
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => {
            return Ok(Duration::from_micros(number));
        }
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => {
            return Ok(Duration::from_nanos(number));
        }
        _ => return Err(expected_duration()),
    };
    Ok(Duration::from_millis(millis))
}

fn expected_duration() -> String {
    "a duration such as `500 ms`, `10 s`, `5 min` or `1 h`".to_owned()
}

/// Writes a duration in a form that [`parse_duration`] reads.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0 ms".to_owned(),
        millis if millis % 3_600_000 == 0 => format!("{} h", millis / 3_600_000),
        millis if millis % 60_000 == 0 => format!("{} min", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("{} s", millis / 1_000),
        millis => format!("{millis} ms"),
    }
}

/// Reads `20 kb`, `1mb`, `64m`, `4096`: units of 1024.
///
/// # Errors
///
/// What a size looks like.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let expected = || "a size such as `20 kb` or `1 mb`".to_owned();
    let (number, unit) = split_unit(text);
    let number = number.parse::<u64>().map_err(|_| expected())?;
    let factor = match unit.as_str() {
        "" | "b" | "bytes" => 1,
        "k" | "kb" | "kibibytes" => 1 << 10,
        "m" | "mb" | "mebibytes" => 1 << 20,
        "g" | "gb" | "gibibytes" => 1 << 30,
        "t" | "tb" | "tebibytes" => 1 << 40,
        _ => return Err(expected()),
    };
    number.checked_mul(factor).ok_or_else(expected)
}

fn split_unit(text: &str) -> (&str, String) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim().to_lowercase())
}

pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

pub(super) fn parse_number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: T,
    most: T,
) -> Result<T, String> {
    match text.trim().parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(format!("a number from {least} to {most}")),
    }
}

/// Finds a word among those allowed, whatever its case, with `-` and `_` alike.
pub(super) fn parse_word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let plain = |word: &str| word.trim().to_lowercase().replace('-', "_");
    let found = words.iter().find(|(word, _)| plain(word) == plain(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        format!("one of {}", words.join(", "))
    })
}

/// The word among those that are known that somebody has probably meant, if any resembles what was
/// written.
///
/// ```
/// use tidegate_types::options::nearest;
///
/// assert_eq!(nearest("drian", ["formatType", "drain"]), Some("drain"));
/// assert_eq!(nearest("colour", ["formatType", "drain"]), None);
/// ```
#[must_use]
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// From 0 for nothing in common to 1 for the same.
    const ALIKE: f64 = 0.75;
    let likeness = |known: &'a str| (strsim::jaro_winkler(written, known), known);
    let alike = known.into_iter().map(likeness).filter(|(likeness, _)| *likeness >= ALIKE);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}
