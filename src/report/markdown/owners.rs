//! Who holds the live heap bytes that grew, with file and line.

use super::{Align, Document, code, escaped};
use crate::attribution::{HeapFinding, HeapOwner, ScenarioFinding, tidy_function};
use crate::growth::Verdict;
use crate::report::{Report, owners};
use crate::units::Unit;

/// A table and the top stacks for each scenario in which live bytes grew.
pub(super) fn owners(out: &mut Document, report: &Report) {
    let of = owners::of(report);
    if of.is_empty() {
        return;
    }
    out.heading("Live heap by owner");
    for (finding, heap, shown) in of {
        one(out, finding, heap, &shown);
    }
    out.block(
        "Growth is since before the first operation, as the allocator takes it; shares are of the growth of private memory. Both \
         come from samples, with their 95 % interval.",
    );
}

fn one(out: &mut Document, finding: &ScenarioFinding, heap: &HeapFinding, shown: &[&HeapOwner]) {
    out.block(&format!("{} ({}):", escaped(&finding.plan.name), owners::sampling(heap)));
    let columns = [
        ("owner", Align::Left),
        ("held by", Align::Left),
        ("growth", Align::Right),
        ("share", Align::Right),
        ("verdict", Align::Left),
        (owners::each(finding.axis()), Align::Right),
        ("samples", Align::Right),
    ];
    let rows: Vec<Vec<String>> = shown.iter().map(|owner| row(owner)).collect();
    out.table(&columns, &rows);
    let growing = shown.iter().filter(|owner| owner.judged.verdict >= Verdict::Inconclusive);
    out.list(growing.filter_map(|owner| stack(heap, owner)));
    if let Some(sentence) = owners::account(finding, heap) {
        out.block(&format!("{}.", escaped(&sentence)));
    }
}

fn row(owner: &HeapOwner) -> Vec<String> {
    let place = owner.place.as_ref().map(|place| format!("<br>{}", code(&place.to_string()))).unwrap_or_default();
    vec![
        format!("{} ({})", escaped(&owner.name), owners::kind(owner)),
        format!("{}{place}", code(&tidy_function(&owner.function))),
        crate::report::words::interval(Unit::Bytes, owner.growth),
        owners::share(owner),
        owners::verdict(owner).to_owned(),
        owners::per_op(owner),
        owner.samples.to_string(),
    ]
}

/// `owner: 93 % of it by one of 4 call stacks: f (file:line), called by g (file:line)`.
fn stack(heap: &HeapFinding, owner: &HeapOwner) -> Option<String> {
    let top = heap.stacks_of(owner).next()?;
    let (frames, more) = owners::frames(top);
    let one = |frame: &crate::attribution::HeapFrame| {
        let place = owners::place_of(frame).map(|place| format!(" ({})", code(&place))).unwrap_or_default();
        format!("{}{place}", code(&tidy_function(&frame.function)))
    };
    let frames: Vec<String> = frames.iter().map(one).collect();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(format!("{}: {}: {}{more}", escaped(&owner.name), owners::of_stack(owner, top), frames.join(", called by ")))
}
