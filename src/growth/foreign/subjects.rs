//! Whose curves a sheet holds: subjects told apart, lives of one subject put together, names given.

use std::collections::{BTreeMap, BTreeSet};

use super::order::Disorder;
use super::query::Query;
use super::series::Series;
use super::{CurveError, Foreign};

/// Labels that change when a program starts again.
const LIFE_LABELS: [&str; 3] = ["pid", "container id", "containerid"];
/// Labels that people know their subjects by, the best first.
const BEST_LABELS: [&str; 8] = ["pod", "name", "container", "service", "instance", "host", "command", "process"];
/// A subject with less than this share of the samples of the longest came and went.
const FEWEST_SHARE: f64 = 0.05;
/// From so many samples of the longest on.
const LONG: usize = 40;

/// Everything that a sheet holds.
pub(super) struct Found {
    pub series: Vec<Series>,
    pub several_columns: bool,
    /// Each column is a subject.
    pub is_wide: bool,
    pub tells_all_labels: bool,
    /// The user said whose values they are.
    pub by: bool,
}

impl Found {
    pub fn into_curves(self, query: &Query, disorder: Disorder) -> Result<Vec<Foreign>, CurveError> {
        let (tells_all, several_columns) = (self.tells_all_labels, self.several_columns);
        let mut remarks = Vec::new();
        let mut series: Vec<Series> = if tells_all {
            self.series
        } else {
            let (empty, full): (Vec<_>, Vec<_>) = self.series.into_iter().partition(|series| series.points.is_empty());
            let missing: usize = empty.iter().map(|series| series.missing).sum();
            match (full.is_empty(), empty.len()) {
                (true, 0) => return Err(CurveError::Empty),
                (true, _) if missing == 0 => return Err(CurveError::Empty),
                (true, _) => return Err(CurveError::OnlyMissing(missing)),
                (false, 0) => {}
                (false, n) => remarks.push(format!("{} without a number {} left out", curves(n), are(n))),
            }
            full
        };
        if !self.by && !tells_all {
            series = join_lives(series, &mut remarks);
            leave_out_short(&mut series, &mut remarks);
        }
        let varying = if tells_all || self.by { None } else { Some(varying(&series)) };
        let mut found = Vec::new();
        for one in series {
            let labels: Vec<&(String, String)> = one
                .labels
                .iter()
                .filter(|(name, _)| varying.as_ref().is_none_or(|varying| varying.contains(name.as_str())))
                .collect();
            let column = if several_columns { one.measure.title.clone() } else { String::new() };
            let braces = if labels.is_empty() && !tells_all { String::new() } else { braced(&labels) };
            let name = format!("{column}{braces}");
            // Subjects add up; different figures of one subject do not.
            let sums = match (braces.is_empty(), self.is_wide) {
                (false, _) if !tells_all => Some(one.measure.title.clone()),
                (true, true) => Some(String::new()),
                _ => None,
            };
            let foreign = one.finish((!name.is_empty()).then_some(name), query, disorder)?;
            found.push(Foreign { sums, ..foreign });
        }
        if let Some(first) = found.first_mut() {
            first.remarks.extend(remarks);
        }
        Ok(found)
    }
}

/// Processes that follow each other under the same name are lives of one subject.
fn join_lives(series: Vec<Series>, remarks: &mut Vec<String>) -> Vec<Series> {
    let is_life = |name: &str| LIFE_LABELS.contains(&name);
    let mut groups: BTreeMap<(String, Vec<String>), Vec<Series>> = BTreeMap::new();
    let mut order = Vec::new();
    for one in series {
        let others = one.labels.iter().filter(|(name, _)| !is_life(name)).map(|(_, value)| value.clone()).collect();
        let key = (one.measure.title.clone(), others);
        let group = groups.entry(key.clone()).or_default();
        if group.is_empty() {
            order.push(key);
        }
        group.push(one);
    }
    let mut found = Vec::new();
    for key in order {
        let mut group = groups.remove(&key).unwrap_or_default();
        group.sort_by(|a, b| begin(a).total_cmp(&begin(b)));
        let follow = |pair: &[Series]| pair[0].span().zip(pair[1].span()).is_some_and(|(a, b)| a.1 <= b.0);
        if group.len() < 2 || !group.windows(2).all(follow) {
            found.extend(group);
            continue;
        }
        // A file that is newest first is turned round as a whole, later on.
        if group.iter().any(is_newest_first) {
            group.reverse();
        }
        let lives = group.len();
        let mut whole = group.remove(0);
        whole.labels.retain(|(name, _)| !is_life(name));
        group.into_iter().for_each(|life| whole.join(life));
        let of = key.1.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>().join(" ");
        remarks.push(format!(
            "{lives} processes{} follow each other and are one curve",
            if of.is_empty() { of } else { format!(" of {of}") }
        ));
        found.push(whole);
    }
    found
}

fn begin(series: &Series) -> f64 {
    series.span().map_or(0.0, |span| span.0)
}

fn is_newest_first(series: &Series) -> bool {
    series.points.first().zip(series.points.last()).is_some_and(|(first, last)| last.t < first.t)
}

/// Processes that came and went are told, not judged.
fn leave_out_short(series: &mut Vec<Series>, remarks: &mut Vec<String>) {
    let longest = series.iter().map(|series| series.points.len()).max().unwrap_or(0);
    if longest < LONG {
        return;
    }
    let least = longest as f64 * FEWEST_SHARE;
    let before = series.len();
    let mut samples = 0;
    series.retain(|series| {
        let stays = series.points.len() as f64 >= least;
        samples += if stays { 0 } else { series.points.len() };
        stays
    });
    let short = before - series.len();
    if short > 0 {
        remarks.push(format!(
            "{} with {samples} samples in all {} left out: they were there for less than {:.0} % of the time",
            curves(short),
            are(short),
            FEWEST_SHARE * 100.0
        ));
    }
}

/// The labels that tell subjects apart: a single one where it does so alone.
fn varying(series: &[Series]) -> BTreeSet<String> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut subjects: BTreeSet<Vec<&str>> = BTreeSet::new();
    for one in series {
        subjects.insert(one.labels.iter().map(|(_, value)| value.as_str()).collect());
        for (name, value) in &one.labels {
            values.entry(name).or_default().insert(value);
        }
    }
    if subjects.len() > 1
        && let Some(name) =
            BEST_LABELS.iter().find(|name| values.get(**name).is_some_and(|found| found.len() == subjects.len()))
    {
        return BTreeSet::from([(*name).to_owned()]);
    }
    values.into_iter().filter(|(_, values)| values.len() > 1).map(|(name, _)| name.to_owned()).collect()
}

/// The labels as a query of Prometheus writes them.
fn braced(labels: &[&(String, String)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", labels.join(","))
}

fn curves(n: usize) -> String {
    if n == 1 { "1 subject".into() } else { format!("{n} subjects") }
}

const fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}
