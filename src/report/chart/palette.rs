//! The colours of a chart: Okabe and Ito's, which colour-blind people can tell apart. Each verdict's word stands
//! beside its colour.

use plotters::style::RGBColor;

use crate::growth::Verdict;
use crate::sample::Phase;

pub(super) const PAPER: RGBColor = RGBColor(255, 255, 255);
pub(super) const INK: RGBColor = RGBColor(33, 37, 41);
pub(super) const FAINT_INK: RGBColor = RGBColor(96, 104, 112);
pub(super) const GRID: RGBColor = RGBColor(226, 229, 232);
pub(super) const AXIS: RGBColor = RGBColor(150, 156, 162);
pub(super) const CURVE: RGBColor = RGBColor(84, 98, 111);

/// What a verdict's badge, floors and line are drawn in.
pub(super) const fn verdict(verdict: Verdict) -> RGBColor {
    match verdict {
        Verdict::Unbounded => RGBColor(199, 75, 0),
        Verdict::Inconclusive => RGBColor(140, 82, 140),
        Verdict::Bounded => RGBColor(0, 104, 168),
        Verdict::Retained => RGBColor(0, 118, 140),
        Verdict::Flat => RGBColor(0, 128, 96),
    }
}

/// What lies behind a phase; settling lies on plain paper.
pub(super) const fn phase(phase: Phase) -> RGBColor {
    match phase {
        Phase::Warmup => RGBColor(232, 232, 232),
        Phase::Load => RGBColor(222, 236, 249),
        Phase::Settle => PAPER,
    }
}
