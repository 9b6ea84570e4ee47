//! One picture for each family: a curve of it, what it stands for, and what the judge says.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use tidewatch::growth::{Curve, Growth, Verdict};
use tidewatch::report::escape::markup;

use crate::curves::{Truth, WEEKS, classes, judge_week, judged};

/// Curves drawn of each family; the first with the verdict that most of them get is shown.
const DRAWN: u64 = 9;
const COLUMNS: usize = 4;
/// The size of one picture, and the margin around it, in pixels.
const WIDTH: usize = 240;
const HEIGHT: usize = 150;
const MARGIN: usize = 12;
/// Where the curve begins, below the words.
const TOP: usize = 54;
/// Characters of a line of words.
const LINE: usize = 42;

/// A family's picture.
struct Picture {
    name: &'static str,
    truth: Truth,
    stands_for: &'static str,
    curve: Curve,
    growth: Growth,
}

/// Writes both sheets into a folder.
pub fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let over_time = WEEKS.iter().map(|week| {
        let (curve, growth) = typical(|seed| {
            let curve = week.draw(seed);
            let growth = judge_week(&curve);
            (curve, growth)
        });
        Picture { name: week.name, truth: week.truth, stands_for: week.stands_for, curve, growth }
    });
    let per_operation = classes().map(|class| {
        let (curve, growth) = typical(|seed| {
            let made = class.draw(seed);
            let growth = judged(&made).end;
            (made.curve, growth)
        });
        Picture { name: class.name, truth: class.truth, stands_for: class.stands_for, curve, growth }
    });
    fs::write(folder.join("families-over-time.svg"), sheet(&over_time.collect::<Vec<_>>()))?;
    fs::write(folder.join("families-per-operation.svg"), sheet(&per_operation.collect::<Vec<_>>()))
}

/// The first of some curves whose verdict is the most frequent.
fn typical(draw: impl Fn(u64) -> (Curve, Growth)) -> (Curve, Growth) {
    let mut drawn: Vec<(Curve, Growth)> = (1..=DRAWN).map(draw).collect();
    let count = |verdict: Verdict| drawn.iter().filter(|(_, growth)| growth.verdict == verdict).count();
    let most = drawn.iter().map(|(_, growth)| count(growth.verdict)).max();
    let place = drawn.iter().position(|(_, growth)| Some(count(growth.verdict)) == most).unwrap_or(0);
    drawn.swap_remove(place)
}

fn sheet(pictures: &[Picture]) -> String {
    let (width, height) = (COLUMNS * WIDTH, pictures.len().div_ceil(COLUMNS) * HEIGHT);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"10\" fill=\"#21252a\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (number, picture) in pictures.iter().enumerate() {
        let (left, top) = (number % COLUMNS * WIDTH, number / COLUMNS * HEIGHT);
        // Writing to a string does not fail.
        let _ = writeln!(text, "<g transform=\"translate({left} {top})\">{}</g>", picture.svg());
    }
    text + "</svg>\n"
}

impl Picture {
    fn svg(&self) -> String {
        let color = match self.truth {
            Truth::Clean => "#0068a8",
            Truth::Leaking | Truth::LeakingLate => "#c74b00",
            Truth::Ambiguous => "#8c528c",
        };
        let verdict = match self.growth.verdict {
            _ if self.growth.suspected => "suspected",
            Verdict::Flat => "flat",
            Verdict::Bounded => "bounded",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Retained => "retained",
            Verdict::Unbounded => "unbounded",
        };
        let mut text = format!(
            "<text x=\"{MARGIN}\" y=\"16\" font-weight=\"bold\">{}</text>\
             <text x=\"{}\" y=\"16\" text-anchor=\"end\" fill=\"{color}\">{verdict}</text>",
            self.name,
            WIDTH - MARGIN
        );
        for (number, line) in lines(self.stands_for).iter().enumerate() {
            // As above.
            let _ = write!(
                text,
                "<text x=\"{MARGIN}\" y=\"{}\" fill=\"#606870\">{}</text>",
                30 + 12 * number,
                markup(line)
            );
        }
        text + &self.line(color)
    }

    /// The lowest and the highest value at each pixel, over a line for the lowest of all.
    fn line(&self, color: &str) -> String {
        let points = &self.curve.points;
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
        let (low, high) = points
            .iter()
            .fold((f64::INFINITY, 0.0f64), |(low, high), point| (low.min(point.value), high.max(point.value)));
        let (width, height) = ((WIDTH - 2 * MARGIN) as f64, (HEIGHT - TOP - MARGIN) as f64);
        let pixel = |t: f64| ((t - first.t) / (last.t - first.t) * width).round();
        // What varies by less than a tenth of its level is not blown up to a mountain.
        let range = (high - low).max(0.1 * high);
        let middle = (high + low) / 2.0;
        let at = |value: f64| TOP as f64 + height * (0.5 - (value - middle) / range);
        let mut path = String::new();
        for column in points.chunk_by(|a, b| pixel(a.t) == pixel(b.t)) {
            let values = || column.iter().map(|point| at(point.value));
            let x = MARGIN as f64 + pixel(column[0].t);
            let (top, bottom) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
            let (top, bottom) = (format!("{top:.1}"), format!("{bottom:.1}"));
            // As above.
            let _ = write!(path, "{x},{bottom} ");
            if top != bottom {
                let _ = write!(path, "{x},{top} ");
            }
        }
        let bottom = HEIGHT - MARGIN / 2;
        format!(
            "<path d=\"M{MARGIN} {bottom}H{}\" stroke=\"#e2e5e8\"/>\
             <polyline points=\"{}\" fill=\"none\" stroke=\"{color}\"/>",
            WIDTH - MARGIN,
            path.trim_end()
        )
    }
}

/// Words in lines of at most [`LINE`] characters.
fn lines(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        if let Some(line) = lines.last_mut().filter(|line| line.is_empty() || line.len() + word.len() < LINE) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
