//! Gauges from Prometheus or OpenMetrics text.
//!
//! Comments, types, timestamps and exemplars are passed over; so are lines that do not parse, since one odd
//! line of an exporter should not cost the rest. Values that are not finite are no gauges.

use std::collections::BTreeMap;

/// A name as asked for: `queue_items` or `queue_items{kind="ready"}`.
struct Wanted<'a> {
    text: &'a str,
    name: &'a str,
    labels: Vec<(String, String)>,
}

/// The values of these names, each the sum over the label sets that match.
pub(super) fn select(body: &str, names: &[String]) -> BTreeMap<String, f64> {
    let wanted: Vec<Wanted> = names.iter().filter_map(|name| Wanted::parse(name)).collect();
    let mut sums = BTreeMap::new();
    for line in body.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // Most lines are of other names: those are not parsed further.
        let name = &line[..line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len())];
        if !wanted.iter().any(|wanted| wanted.name == name) {
            continue;
        }
        let Some((labels, value)) = series(&line[name.len()..]) else { continue };
        for wanted in wanted.iter().filter(|wanted| wanted.name == name && wanted.matches(&labels)) {
            *sums.entry(wanted.text.to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}

/// Every name that has a number, once, in order.
pub(super) fn names(body: &str) -> Vec<String> {
    let lines = body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let name = |line: &str| {
        let name = &line[..line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len())];
        series(&line[name.len()..]).map(|_| name.to_owned())
    };
    let found: std::collections::BTreeSet<String> = lines.filter_map(name).collect();
    found.into_iter().collect()
}

impl<'a> Wanted<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let name = &text[..text.find('{').unwrap_or(text.len())];
        let (labels, rest) = labels(&text[name.len()..])?;
        rest.trim().is_empty().then_some(Self { text, name: name.trim(), labels })
    }

    fn matches(&self, labels: &[(String, String)]) -> bool {
        self.labels.iter().all(|label| labels.contains(label))
    }
}

type Labels = Vec<(String, String)>;

/// What follows a name: labels, a value, and perhaps a timestamp and an exemplar.
fn series(rest: &str) -> Option<(Labels, f64)> {
    let (labels, rest) = labels(rest)?;
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((labels, value))
}

/// Labels in braces, if there are any, and what follows them.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let Some(mut rest) = text.trim_start().strip_prefix('{') else { return Some((Vec::new(), text)) };
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let (value, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        labels.push((name.trim().to_owned(), value));
        rest = after;
    }
}

/// A label's value up to its closing quote; `\\`, `\"` and `\n` are undone.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (end, '"') => return Some((value, &text[end + 1..])),
            (_, '\\') => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            (_, other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP queue_items Items waiting.
# TYPE queue_items gauge
queue_items{kind="ready",host="a,b}c"} 12
queue_items{kind="late",host="x\"y\\z\n"} 3.5 1700000000000
queue_items{kind="odd"} NaN
queue_items_total 99
tokio_tasks 1e3
up{} 1 # {trace_id="abc"} 0.5
infinite +Inf
negative -7
broken{kind="x 1
broken
  spaced { kind = "k" , }   8
# EOF
"#;

    #[test]
    fn names_sum_over_labels_and_labels_select() {
        for (name, value) in [
            ("queue_items", Some(15.5)),
            (r#"queue_items{kind="ready"}"#, Some(12.0)),
            (r#"queue_items{host="x\"y\\z\n",kind="late"}"#, Some(3.5)),
            (r#"queue_items{kind="none"}"#, None),
            ("tokio_tasks", Some(1000.0)),
            ("up", Some(1.0)),
            ("infinite", None),
            ("negative", Some(-7.0)),
            ("broken", None),
            ("absent", None),
            ("spaced", Some(8.0)),
            ("queue_items{", None),
        ] {
            let gauges = select(TEXT, &[name.to_owned()]);
            assert_eq!(gauges.get(name).copied(), value, "{name}");
            assert_eq!(gauges.len(), usize::from(value.is_some()));
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(body in "(a|b)[\\PC\n\"{}=,\\\\]{0,80}", name in "[ab{}=\",\\\\]{0,20}") {
            let _ = select(&body, &[name, "a".into(), "b".into()]);
        }

        #[test]
        fn any_label_value_survives_its_escapes(value in "\\PC{0,20}", number in -1e9..1e9f64) {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let series = format!("m{{l=\"{escaped}\"}}");
            let gauges = select(&format!("m{{l=\"other \"}} 1\n{series} {number}\n"), std::slice::from_ref(&series));
            proptest::prop_assert_eq!(gauges.get(&series).copied(), Some(number));
        }
    }
}
