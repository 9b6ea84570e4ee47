//! What stands in one cell of a table.

use super::name::unit_named;

/// Texts that stand for no number.
const MISSING: [&str; 17] = [
    "",
    "-",
    "--",
    "nan",
    "null",
    "none",
    "nil",
    "n/a",
    "na",
    "undefined",
    "<none>",
    "?",
    "<unknown>",
    "unknown",
    "\\n",
    "no data",
    "(null)",
];

/// A cell that should hold a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// Nothing was measured.
    Missing,
    /// A number in the unit of its column.
    Number(f64),
    /// An amount with a unit of its own, in bytes.
    Bytes(f64),
    /// A share.
    Percent,
    /// Something else.
    Text,
}

/// What parts the whole from the fraction of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decimal {
    Point,
    /// As in tables of a `;`, where commas are free.
    Comma,
}

/// Reads a cell.
pub(super) fn read(text: &str, decimal: Decimal) -> Cell {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return Cell::Number(number);
    }
    if is_missing(text) {
        return Cell::Missing;
    }
    // docker writes usage and limit in one cell.
    if let Some((usage, _)) = text.split_once(" / ") {
        return read(usage, decimal);
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-.,".contains(c))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let Some(number) = plain(number, decimal) else { return Cell::Text };
    match unit.trim() {
        "" => Cell::Number(number),
        "%" => Cell::Percent,
        unit => unit_named(unit).map_or(Cell::Text, |factor| Cell::Bytes(number * factor)),
    }
}

pub(super) fn is_missing(text: &str) -> bool {
    MISSING.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// A number whose thousands may be parted: `1,234,567.8`, or `1.234,5` where the comma is the point.
fn plain(text: &str, decimal: Decimal) -> Option<f64> {
    if !text.contains(',') {
        return text.parse().ok().filter(|number: &f64| number.is_finite());
    }
    match decimal {
        Decimal::Comma => text.replace('.', "").replace(',', ".").parse().ok(),
        Decimal::Point => {
            let whole = text.split('.').next().unwrap_or_default();
            let mut groups = whole.trim_start_matches(['-', '+']).split(',');
            let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()));
            (first && groups.all(|group| group.len() == 3)).then(|| text.replace(',', "").parse().ok()).flatten()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_numbers_amounts_or_nothing() {
        let mib = 1024.0 * 1024.0;
        for (text, cell) in [
            ("12.5", Cell::Number(12.5)),
            ("1e3", Cell::Number(1000.0)),
            ("", Cell::Missing),
            ("-", Cell::Missing),
            ("NaN", Cell::Missing),
            ("null", Cell::Missing),
            ("200.5MiB", Cell::Bytes(200.5 * mib)),
            ("200.5MiB / 1.944GiB", Cell::Bytes(200.5 * mib)),
            ("200Mi", Cell::Bytes(200.0 * mib)),
            ("204800K", Cell::Bytes(200.0 * mib)),
            ("1.5g", Cell::Bytes(1536.0 * mib)),
            ("204800 kB", Cell::Bytes(200.0 * mib)),
            ("-1 MiB", Cell::Bytes(-mib)),
            ("2.5%", Cell::Percent),
            ("204,800", Cell::Number(204_800.0)),
            ("20,48", Cell::Text),
            ("inf", Cell::Text),
            ("api", Cell::Text),
        ] {
            assert_eq!(read(text, Decimal::Point), cell, "{text}");
        }
        assert_eq!(read("1.204,5", Decimal::Comma), Cell::Number(1204.5));
        assert_eq!(read("0,5", Decimal::Comma), Cell::Number(0.5));
    }

    #[test]
    fn thousands_are_parted_in_threes() {
        for (text, cell) in [
            ("1,234", Cell::Number(1234.0)),
            ("-12,345,678.5", Cell::Number(-12_345_678.5)),
            ("+123,456", Cell::Number(123_456.0)),
            ("1234,567", Cell::Text),
            (",234", Cell::Text),
            ("1,2345", Cell::Text),
            ("1,234,56", Cell::Text),
            ("1,234 KiB", Cell::Bytes(1234.0 * 1024.0)),
            ("12 %", Cell::Percent),
            ("12 %x", Cell::Text),
            ("5 parsecs", Cell::Text),
            ("<UNKNOWN>", Cell::Missing),
            ("unknowns", Cell::Text),
        ] {
            assert_eq!(read(text, Decimal::Point), cell, "{text}");
        }
    }
}
