//! A thin layer over the drawing library: lines, boxes, dots and texts in units that do not depend on the format.

use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{DrawingArea, DrawingAreaErrorKind, DrawingBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::ChartError;
use super::font::FAMILY;

/// A point of the picture.
pub(super) type Spot = (i32, i32);

/// Which part of a text stands at its spot. Vertically that is always the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Draws on a picture that has `scale` pixels for each unit.
pub(super) struct Pen<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: i32,
    baseline: Baseline,
}

/// Where the drawing library puts the middle of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Baseline {
    /// In the middle.
    True,
    /// Too high by about an eighth of the size: pixels.
    High,
}

pub(super) fn drawing_error<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> ChartError {
    ChartError::Draw(error.to_string())
}

impl<'a, DB: DrawingBackend> Pen<'a, DB> {
    pub fn new(area: &'a DrawingArea<DB, Shift>, scale: i32, baseline: Baseline) -> Self {
        Self { area, scale, baseline }
    }

    fn spot(&self, (x, y): Spot) -> Spot {
        (x * self.scale, y * self.scale)
    }

    fn stroke(&self, color: RGBColor, width: u32) -> ShapeStyle {
        color.stroke_width(width * self.scale as u32)
    }

    pub fn fill_all(&self, color: RGBColor) -> Result<(), ChartError> {
        self.area.fill(&color).map_err(drawing_error)
    }

    pub fn rectangle(&self, from: Spot, to: Spot, color: RGBColor) -> Result<(), ChartError> {
        let corners = [self.spot(from), self.spot(to)];
        self.area.draw(&Rectangle::new(corners, color.filled())).map_err(drawing_error)
    }

    pub fn line(&self, spots: &[Spot], color: RGBColor, width: u32) -> Result<(), ChartError> {
        let spots: Vec<Spot> = spots.iter().map(|spot| self.spot(*spot)).collect();
        self.area.draw(&PathElement::new(spots, self.stroke(color, width))).map_err(drawing_error)
    }

    /// A line of dashes from one spot to another.
    pub fn dashes(&self, from: Spot, to: Spot, color: RGBColor, width: u32) -> Result<(), ChartError> {
        const DASH: f64 = 9.0;
        const PERIOD: f64 = 14.0;
        let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let length = dx.hypot(dy);
        let at = |way: f64| {
            let share = (way / length).min(1.0);
            (from.0 + (dx * share).round() as i32, from.1 + (dy * share).round() as i32)
        };
        let mut way = 0.0;
        while way < length {
            self.line(&[at(way), at(way + DASH)], color, width)?;
            way += PERIOD;
        }
        Ok(())
    }

    /// A filled dot with a rim of paper, so that it stands out from what lies under it.
    pub fn dot(&self, spot: Spot, radius: i32, color: RGBColor, rim: RGBColor) -> Result<(), ChartError> {
        for (radius, color) in [(radius + 1, rim), (radius, color)] {
            let circle = Circle::new(self.spot(spot), radius * self.scale, color.filled());
            self.area.draw(&circle).map_err(drawing_error)?;
        }
        Ok(())
    }

    /// A box with corners cut off a little.
    pub fn badge(&self, (x0, y0): Spot, (x1, y1): Spot, color: RGBColor) -> Result<(), ChartError> {
        let c = 3;
        let outline = [
            (x0 + c, y0),
            (x1 - c, y0),
            (x1, y0 + c),
            (x1, y1 - c),
            (x1 - c, y1),
            (x0 + c, y1),
            (x0, y1 - c),
            (x0, y0 + c),
        ];
        let outline: Vec<Spot> = outline.iter().map(|spot| self.spot(*spot)).collect();
        self.area.draw(&Polygon::new(outline, color.filled())).map_err(drawing_error)
    }

    fn style(&self, size: i32, color: RGBColor, anchor: Anchor) -> TextStyle<'static> {
        let horizontal = match anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let font = (FAMILY, size * self.scale).into_font();
        TextStyle { color: color.to_backend_color(), pos: Pos::new(horizontal, VPos::Center), ..TextStyle::from(font) }
    }

    pub fn text(&self, text: &str, spot: Spot, size: i32, color: RGBColor, anchor: Anchor) -> Result<(), ChartError> {
        let style = self.style(size, color, anchor);
        let (x, y) = self.spot(spot);
        let lower = match self.baseline {
            Baseline::True => 0,
            Baseline::High => size * self.scale / 8,
        };
        self.area.draw(&Text::new(text.to_owned(), (x, y + lower), style)).map_err(drawing_error)
    }

    /// How wide a text comes out.
    pub fn width(&self, text: &str, size: i32) -> Result<i32, ChartError> {
        let style = self.style(size, RGBColor(0, 0, 0), Anchor::Start);
        let (width, _) = self.area.estimate_text_size(text, &style).map_err(drawing_error)?;
        Ok(width as i32 / self.scale)
    }

    /// The text, cut with `…` to what fits.
    pub fn fitted(&self, text: &str, size: i32, room: i32) -> Result<String, ChartError> {
        if self.width(text, size)? <= room {
            return Ok(text.to_owned());
        }
        let mut chars: Vec<char> = text.chars().collect();
        while chars.pop().is_some() {
            let cut: String = chars.iter().chain(['…'].iter()).collect();
            if self.width(&cut, size)? <= room {
                return Ok(cut);
            }
        }
        Ok(String::new())
    }
}
