//! Who holds the live heap bytes that grew: a table, and the top stack of each owner.

use console::Style;

use super::layout::Page;
use crate::attribution::{
    HeapFinding, HeapOwner, OwnedBy, ScenarioFinding, short_function, short_place, tidy_function,
};
use crate::growth::Verdict;
use crate::report::escape::plain;
use crate::report::table::{Cell, Column, Table, verdict_style};
use crate::report::{Report, owners};
use crate::sample::HeapKind;
use crate::units::show_bytes;

/// Owners of a scenario whose stacks are shown.
const MOST_STACKS: usize = 4;

/// A table for each scenario in which live bytes grew.
pub(super) fn owners(page: &mut Page, report: &Report) {
    for (finding, heap, shown) in owners::of(report) {
        one(page, finding, heap, &shown);
    }
}

fn one(page: &mut Page, finding: &ScenarioFinding, heap: &HeapFinding, shown: &[&HeapOwner]) {
    let mut table = Table::new(vec![
        Column::text("live heap of", 12),
        Column::text("held at", 24),
        Column::number("growth"),
        Column::number("share"),
        Column::text("verdict", 9),
        Column::number(owners::each(finding.axis())),
    ]);
    for owner in shown {
        table.row(row(owner));
    }
    page.blank();
    page.line(&format!("Live heap by owner, {} ({})", finding.plan.name, owners::sampling(heap)));
    page.block(&table.render(page.width(), page.colour()));
    for owner in shown.iter().filter(|owner| owner.judged.verdict >= Verdict::Inconclusive).take(MOST_STACKS) {
        stack(page, heap, owner);
    }
    if let Some(sentence) = owners::account(finding, heap) {
        page.item("  ", &sentence);
    }
}

fn row(owner: &HeapOwner) -> [Cell; 6] {
    let verdict = owners::verdict(owner);
    let kind = match owner.kind {
        HeapKind::Block => "",
        HeapKind::Mapping => " (mappings)",
    };
    let name = if owner.by != OwnedBy::Rule { short_function(&owner.name) } else { owner.name.clone() };
    [
        plain(&(name + kind)).into(),
        plain(&owner.place.as_ref().map(short_place).unwrap_or_default()).into(),
        show_bytes(owner.growth.value).into(),
        owners::share(owner).into(),
        Cell::styled(verdict, verdict_style(owner.judged.verdict)),
        owners::per_op(owner).into(),
    ]
}

fn stack(page: &mut Page, heap: &HeapFinding, owner: &HeapOwner) {
    let Some(top) = heap.stacks_of(owner).next() else { return };
    page.styled(&format!("  {}: {}", owner.name, owners::of_stack(owner, top)), &Style::new().bold());
    let (frames, more) = owners::frames(top);
    for frame in frames {
        let place = owners::short_place_of(frame).map(|place| format!(" at {place}")).unwrap_or_default();
        page.item("    ", &format!("{}{place}", tidy_function(&frame.function)));
    }
    if more > 0 {
        page.item("    ", &format!("and {more} more"));
    }
}
