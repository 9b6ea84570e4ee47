//! The picture of a run: for each scenario its curve over time, and its floors against the operations.
//!
//! It is drawn from plain numbers ([`ChartData`]) and nothing else, with a font of its own: the same data gives
//! the same bytes.

mod data;
mod font;
mod palette;
mod panel;
mod pen;
mod scale;

use std::path::{Path, PathBuf};

use plotters::prelude::{BitMapBackend, DrawingBackend, IntoDrawingArea, SVGBackend};

pub use data::{ChartData, Fit, Panel, Span, figure, spans};

/// What a picture is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines and text.
    Svg,
    /// Pixels, twice as many each way as the SVG has units, for sharp screens.
    Png,
}

/// A picture that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The drawing failed.
    #[error("could not draw the chart: {0}")]
    Draw(String),
    /// The file could not be written.
    #[error("could not write the chart {}: {reason}; check the disk and the permissions of the folder", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
}

/// Draws the picture into a file.
pub fn draw(path: &Path, format: Format, chart: &ChartData) -> Result<(), ChartError> {
    match format {
        Format::Svg => std::fs::write(path, svg(chart)?)
            .map_err(|error| ChartError::Write { path: path.to_owned(), reason: error.to_string() }),
        Format::Png => png(path, chart),
    }
}

/// The picture as SVG text.
pub fn svg(chart: &ChartData) -> Result<String, ChartError> {
    font::register()?;
    let mut text = String::new();
    paint(SVGBackend::with_string(&mut text, panel::size(chart, 1)), chart, 1, pen::Baseline::True)?;
    Ok(text)
}

fn png(path: &Path, chart: &ChartData) -> Result<(), ChartError> {
    font::register()?;
    // Whether the file can be written is asked first: the drawing library does not tell the two failures apart.
    std::fs::write(path, []).map_err(|error| ChartError::Write { path: path.to_owned(), reason: error.to_string() })?;
    paint(BitMapBackend::new(path, panel::size(chart, 2)), chart, 2, pen::Baseline::High)
}

fn paint<DB: DrawingBackend>(
    backend: DB,
    chart: &ChartData,
    scale: i32,
    baseline: pen::Baseline,
) -> Result<(), ChartError> {
    let area = backend.into_drawing_area();
    panel::chart(&pen::Pen::new(&area, scale, baseline), chart)?;
    area.present().map_err(pen::drawing_error)
}

#[cfg(test)]
mod tests;
