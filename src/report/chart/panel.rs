//! How the picture is laid out: a heading, then a row for each panel, time on the left and growth on the right.

use plotters::prelude::DrawingBackend;

use super::data::{ChartData, Panel, per_column};
use super::pen::{Anchor, Pen, Spot};
use super::scale::{Scale, Ticks, operation_ticks, time_ticks, value_range, value_ticks};
use super::{ChartError, palette};
use crate::growth::{Axis, Floor, Verdict};
use crate::report::escape::plain;
use crate::sample::Phase;

const WIDTH: i32 = 1400;
const HEADING: i32 = 92;
const ROW: i32 = 290;
const FOOT: i32 = 34;
const MARGIN: i32 = 28;

/// Where the plots stand within a row.
const PLOT_TOP: i32 = 70;
const PLOT_BOTTOM: i32 = 242;
const LEFT_PLOT: (i32, i32) = (92, 838);
const RIGHT_PLOT: (i32, i32) = (952, 1368);

const SMALL: i32 = 15;
const NORMAL: i32 = 17;
const LARGE: i32 = 20;

/// A phase narrower than this on average is not told apart from its neighbours.
const NARROWEST_PHASE: f64 = 2.5;

/// Width and height of the picture in pixels at `scale` pixels a unit.
pub(super) fn size(chart: &ChartData, scale: i32) -> (u32, u32) {
    let rows = chart.worst().0.len() as i32;
    ((WIDTH * scale) as u32, ((HEADING + rows * ROW + FOOT) * scale) as u32)
}

/// Draws everything.
pub(super) fn chart<DB: DrawingBackend>(pen: &Pen<'_, DB>, chart: &ChartData) -> Result<(), ChartError> {
    pen.fill_all(palette::PAPER)?;
    let (panels, left_out) = chart.worst();
    heading(pen, chart)?;
    for (index, panel) in panels.iter().enumerate() {
        row(pen, panel, HEADING + index as i32 * ROW)?;
    }
    let foot = match left_out {
        0 => format!("Axes that do not begin at zero are labelled as they are; every number is in {}.", chart.numbers),
        1 => format!("One more curve is judged in {} and not drawn here.", chart.numbers),
        more => format!("{more} more curves are judged in {} and not drawn here.", chart.numbers),
    };
    let y = HEADING + panels.len() as i32 * ROW + FOOT / 2;
    pen.text(&foot, (MARGIN, y), SMALL, palette::FAINT_INK, Anchor::Start)
}

fn heading<DB: DrawingBackend>(pen: &Pen<'_, DB>, chart: &ChartData) -> Result<(), ChartError> {
    let room = WIDTH - 2 * MARGIN;
    let title = pen.fitted(&plain(&chart.title), 26, room)?;
    pen.text(&title, (MARGIN, 30), 26, palette::INK, Anchor::Start)?;
    let legend_begin = legend(pen)?;
    let subtitle = pen.fitted(&plain(&chart.subtitle), NORMAL, legend_begin - MARGIN - 24)?;
    pen.text(&subtitle, (MARGIN, 64), NORMAL, palette::FAINT_INK, Anchor::Start)
}

/// What the marks mean, from the right edge leftwards. Returns where it begins.
fn legend<DB: DrawingBackend>(pen: &Pen<'_, DB>) -> Result<i32, ChartError> {
    let y = 64;
    let mut x = WIDTH - MARGIN;
    for (word, sign) in [
        ("fitted growth", Sign::Fit),
        ("floor of a cycle", Sign::Floor),
        ("load", Sign::Shade(Phase::Load)),
        ("warm-up", Sign::Shade(Phase::Warmup)),
    ] {
        x -= pen.width(word, SMALL)?;
        pen.text(word, (x, y), SMALL, palette::FAINT_INK, Anchor::Start)?;
        x -= 10;
        match sign {
            Sign::Fit => pen.dashes((x - 24, y), (x, y), palette::INK, 2)?,
            Sign::Floor => pen.dot((x - 5, y), 4, palette::INK, palette::PAPER)?,
            Sign::Shade(phase) => pen.rectangle((x - 20, y - 8), (x, y + 8), palette::phase(phase))?,
        }
        x -= match sign {
            Sign::Fit => 24 + 26,
            Sign::Floor => 10 + 26,
            Sign::Shade(_) => 20 + 26,
        };
    }
    Ok(x)
}

#[derive(Clone, Copy)]
enum Sign {
    Fit,
    Floor,
    Shade(Phase),
}

fn row<DB: DrawingBackend>(pen: &Pen<'_, DB>, panel: &Panel, top: i32) -> Result<(), ChartError> {
    pen.line(&[(MARGIN, top), (WIDTH - MARGIN, top)], palette::GRID, 1)?;
    row_title(pen, panel, top + 24)?;
    let frame = |(left, right)| Frame { left, right, top: top + PLOT_TOP, bottom: top + PLOT_BOTTOM };
    over_time(pen, panel, frame(LEFT_PLOT))?;
    against_operations(pen, panel, frame(RIGHT_PLOT))
}

fn row_title<DB: DrawingBackend>(pen: &Pen<'_, DB>, panel: &Panel, y: i32) -> Result<(), ChartError> {
    let color = palette::verdict(panel.verdict);
    let word = match panel.verdict {
        Verdict::Unbounded => "UNBOUNDED",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Bounded => "BOUNDED",
        Verdict::Retained => "RETAINED",
        Verdict::Flat => "FLAT",
    };
    let width = pen.width(word, SMALL)? + 20;
    pen.badge((MARGIN, y - 12), (MARGIN + width, y + 12), color)?;
    pen.text(word, (MARGIN + width / 2, y), SMALL, palette::PAPER, Anchor::Middle)?;
    let figure = pen.fitted(&panel.figure, NORMAL, 560)?;
    let figure_width = pen.width(&figure, NORMAL)?;
    pen.text(&figure, (WIDTH - MARGIN, y), NORMAL, color, Anchor::End)?;
    let from = MARGIN + width + 14;
    let title = pen.fitted(&plain(&panel.title), LARGE, WIDTH - MARGIN - figure_width - 24 - from)?;
    pen.text(&title, (from, y), LARGE, palette::INK, Anchor::Start)
}

/// A plot's place.
#[derive(Clone, Copy)]
struct Frame {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Frame {
    fn across(self, low: f64, high: f64) -> Scale {
        let high = if high > low { high } else { low + 1.0 };
        Scale { low, high, from: self.left, to: self.right }
    }

    fn upwards(self, (low, high): (f64, f64)) -> Scale {
        Scale { low, high, from: self.bottom, to: self.top }
    }
}

/// How much of the whole value an axis shows at least: noise in what is flat must not look like a mountain, and
/// growth must be seen on a large process too.
fn least_share(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Flat => 0.05,
        Verdict::Bounded | Verdict::Retained | Verdict::Inconclusive | Verdict::Unbounded => 0.005,
    }
}

/// The values that an axis must reach: the floors, the ends of the fitted line, and `more`.
fn range(panel: &Panel, more: impl Iterator<Item = f64>) -> (f64, f64) {
    let ends = [panel.floors.first(), panel.floors.last()].into_iter().flatten();
    let line = ends.filter_map(|floor| panel.fit.map(|fit| fit.at(floor.x)));
    let values = panel.floors.iter().map(|floor| floor.value).chain(line).chain(more);
    value_range(panel.unit, least_share(panel.verdict), values)
}

fn over_time<DB: DrawingBackend>(pen: &Pen<'_, DB>, panel: &Panel, frame: Frame) -> Result<(), ChartError> {
    let begin = panel.spans.first().map(|span| span.from).into_iter().chain(panel.curve.first().map(|p| p.0));
    let begin = begin.fold(f64::INFINITY, f64::min);
    let begin = if begin.is_finite() { begin } else { 0.0 };
    let end = panel.spans.last().map(|span| span.to).into_iter().chain(panel.curve.last().map(|p| p.0));
    let x = frame.across(0.0, end.fold(begin, f64::max) - begin);
    let y = frame.upwards(range(panel, panel.curve.iter().map(|point| point.1)));
    shade(pen, panel, frame, x, begin)?;
    axes(pen, frame, x, y, &time_ticks(x.low, x.high, 8), &value_ticks(panel.unit, y.low, y.high, 5))?;
    let points = per_column(&panel.curve, begin, begin + x.high, (frame.right - frame.left) as usize);
    let spots: Vec<Spot> = points.iter().map(|(t, value)| (x.pixel(t - begin), y.pixel(*value))).collect();
    pen.line(&spots, palette::CURVE, 1)?;
    let color = palette::verdict(panel.verdict);
    if let (Some(fit), [first, .., last]) = (panel.fit, panel.floors.as_slice()) {
        let at = |floor: &Floor| (x.pixel(floor.t - begin), y.pixel(fit.at(floor.x)));
        pen.dashes(at(first), at(last), color, 2)?;
    }
    floors(pen, panel, |floor| (x.pixel(floor.t - begin), y.pixel(floor.value)))
}

/// The phases behind a curve. Where they are too narrow to see they share one tint.
fn shade<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    panel: &Panel,
    frame: Frame,
    x: Scale,
    begin: f64,
) -> Result<(), ChartError> {
    let room = f64::from(frame.right - frame.left);
    let merged = panel.spans.len() as f64 * NARROWEST_PHASE > room;
    for span in &panel.spans {
        let phase = if merged && span.phase == Phase::Settle { Phase::Load } else { span.phase };
        let (from, to) = (x.pixel(span.from - begin), x.pixel(span.to - begin));
        if phase != Phase::Settle && to > from {
            pen.rectangle((from, frame.top), (to, frame.bottom), palette::phase(phase))?;
        }
    }
    Ok(())
}

fn against_operations<DB: DrawingBackend>(pen: &Pen<'_, DB>, panel: &Panel, frame: Frame) -> Result<(), ChartError> {
    let furthest = panel.floors.iter().map(|floor| floor.x).filter(|x| x.is_finite()).fold(0.0, f64::max);
    let x = frame.across(0.0, furthest * 1.02);
    let y = frame.upwards(range(panel, std::iter::empty()));
    let ticks = match panel.axis {
        Axis::Operations => operation_ticks(x.low, x.high, 5),
        Axis::Seconds => time_ticks(x.low, x.high, 5),
    };
    axes(pen, frame, x, y, &ticks, &value_ticks(panel.unit, y.low, y.high, 5))?;
    if panel.floors.is_empty() {
        let middle = ((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2);
        return pen.text("no cycle was finished", middle, SMALL, palette::FAINT_INK, Anchor::Middle);
    }
    let color = palette::verdict(panel.verdict);
    let spots: Vec<Spot> = panel.floors.iter().map(|floor| (x.pixel(floor.x), y.pixel(floor.value))).collect();
    pen.line(&spots, color, 1)?;
    if let (Some(fit), [first, .., last]) = (panel.fit, panel.floors.as_slice()) {
        let at = |floor: &Floor| (x.pixel(floor.x), y.pixel(fit.at(floor.x)));
        pen.dashes(at(first), at(last), color, 2)?;
    }
    floors(pen, panel, |floor| (x.pixel(floor.x), y.pixel(floor.value)))
}

fn floors<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    panel: &Panel,
    spot: impl Fn(&Floor) -> Spot,
) -> Result<(), ChartError> {
    let radius = if panel.floors.len() > 60 { 2 } else { 3 };
    for floor in &panel.floors {
        // What was not judged, the warm-up, is drawn hollow.
        let (color, rim) = match floor.cycle {
            0 => (palette::PAPER, palette::verdict(panel.verdict)),
            _ => (palette::verdict(panel.verdict), palette::PAPER),
        };
        pen.dot(spot(floor), radius, color, rim)?;
    }
    Ok(())
}

/// Grid, axes and their labels.
fn axes<DB: DrawingBackend>(
    pen: &Pen<'_, DB>,
    frame: Frame,
    x: Scale,
    y: Scale,
    x_ticks: &Ticks,
    y_ticks: &Ticks,
) -> Result<(), ChartError> {
    let Frame { left, right, top, bottom } = frame;
    for (value, label) in &y_ticks.marks {
        let at = y.pixel(*value);
        pen.line(&[(left, at), (right, at)], palette::GRID, 1)?;
        pen.text(label, (left - 8, at), SMALL, palette::FAINT_INK, Anchor::End)?;
    }
    for (value, label) in &x_ticks.marks {
        let at = x.pixel(*value);
        pen.line(&[(at, bottom), (at, bottom + 4)], palette::AXIS, 1)?;
        pen.text(label, (at, bottom + 15), SMALL, palette::FAINT_INK, Anchor::Middle)?;
    }
    pen.line(&[(left, top), (left, bottom), (right, bottom)], palette::AXIS, 1)?;
    pen.text(&y_ticks.caption, (left - 8, top - 18), SMALL, palette::FAINT_INK, Anchor::End)?;
    let middle = (left + right) / 2;
    pen.text(&x_ticks.caption, (middle, bottom + 33), SMALL, palette::FAINT_INK, Anchor::Middle)
}
