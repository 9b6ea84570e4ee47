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

use plotters::prelude::{BitMapBackend, DrawingBackend, IntoDrawingArea, SVGBackend};

pub use data::{ChartData, Fit, Panel, Span, figure, spans};

/// A picture that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The drawing failed.
    #[error("could not draw the chart: {0}")]
    Draw(String),
    /// The pixels could not be packed.
    #[error("could not encode the chart as PNG: {0}")]
    Encode(#[from] png::EncodingError),
}

/// The picture as SVG text.
pub fn svg(chart: &ChartData) -> Result<String, ChartError> {
    font::register()?;
    let mut text = String::new();
    paint(SVGBackend::with_string(&mut text, panel::size(chart, 1)), chart, 1, pen::Baseline::True)?;
    Ok(text)
}

/// The picture as a PNG file, twice as many pixels each way as the SVG has units, for sharp screens.
pub fn png(chart: &ChartData) -> Result<Vec<u8>, ChartError> {
    font::register()?;
    let (width, height) = panel::size(chart, 2);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    paint(BitMapBackend::with_buffer(&mut pixels, (width, height)), chart, 2, pen::Baseline::High)?;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
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
