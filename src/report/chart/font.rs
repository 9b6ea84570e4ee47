//! The font that the package brings along, so that a chart looks the same on every machine.

use std::sync::OnceLock;

use plotters::style::{FontStyle, register_font};

use super::ChartError;

/// The family's name as the SVG names it: a viewer takes its own sans-serif there.
pub(super) const FAMILY: &str = "sans-serif";

static DEJAVU_SANS: &[u8] = include_bytes!("../fonts/DejaVuSans.ttf");

/// Makes the font known; once is enough.
pub(super) fn register() -> Result<(), ChartError> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    match REGISTERED.get_or_init(|| register_font(FAMILY, FontStyle::Normal, DEJAVU_SANS).is_ok()) {
        true => Ok(()),
        false => Err(ChartError::Draw("the bundled font could not be read; please report this as a bug".into())),
    }
}
