//! What the first and the last closer look at a target differ in: by descriptor, thread, child, mapping.

use std::collections::BTreeMap;

use crate::sample::{Border, Detail, Mark, Metric, Named, Record};

/// Something of which there are more (or fewer) than at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment {
    /// What: `tcp ESTABLISHED to 127.0.0.1:5432`, `heartbeat-*`. Untrusted text.
    pub name: String,
    /// How many more.
    pub by: i64,
}

/// What changed in the count behind a metric between the first and the last closer look, most first. What is closed
/// after the last cycle is not judged, and not looked at here either.
pub fn increments(metric: &Metric, records: &[Record]) -> Vec<Increment> {
    let looks: Vec<&Detail> = records
        .iter()
        .take_while(|record| !matches!(record, Record::Mark(Mark { border: Border::Closing, .. })))
        .filter_map(|record| match record {
            // A look that cost nothing took the gauges alone.
            Record::Detail(detail) if detail.cost_us > 0 => Some(detail.as_ref()),
            _ => None,
        })
        .collect();
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else { return Vec::new() };
    let mut difference = BTreeMap::<String, i64>::new();
    for (name, count) in counted(metric, last) {
        *difference.entry(name).or_default() += count;
    }
    for (name, count) in counted(metric, first) {
        *difference.entry(name).or_default() -= count;
    }
    let mut changed: Vec<Increment> =
        difference.into_iter().filter(|&(_, by)| by != 0).map(|(name, by)| Increment { name, by }).collect();
    changed.sort_by(|a, b| b.by.cmp(&a.by).then_with(|| a.name.cmp(&b.name)));
    changed
}

fn counted(metric: &Metric, detail: &Detail) -> Vec<(String, i64)> {
    let named = |list: &[Named]| list.iter().map(|item| (item.name.clone(), item.count as i64)).collect();
    match metric {
        Metric::Fds => detail
            .descriptors
            .iter()
            .flat_map(|descriptors| &descriptors.by_target)
            .map(|target| (format!("{} {}", target.kind.name(), target.name), target.count as i64))
            .collect(),
        Metric::Threads => named(&detail.threads),
        Metric::Children => named(&detail.children),
        Metric::Zombies => named(&detail.zombies),
        Metric::Orphans => named(&detail.orphans),
        Metric::Private => detail
            .mappings
            .iter()
            .flat_map(|m| [("heap", m.heap), ("stack", m.stack), ("anonymous", m.anonymous), ("file", m.file)])
            .map(|(name, bytes)| (name.to_owned(), bytes as i64))
            .collect(),
        _ => Vec::new(),
    }
}
