//! A flame graph of growth: each box is a function, as wide as what its calls grew by.

use std::collections::HashMap;
use std::io::{self, Write};

use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{self, Options};

use super::{StackAmount, folded, harmless};
use crate::report::escape;

/// The colours of modules, light enough for black text: the program's own code comes first.
const COLOURS: [(u8, u8, u8); 8] = [
    (240, 158, 84),
    (126, 182, 222),
    (130, 200, 165),
    (214, 160, 200),
    (236, 214, 100),
    (170, 176, 224),
    (200, 186, 160),
    (164, 206, 214),
];

/// What is drawn where nobody knows the module.
const NO_COLOUR: (u8, u8, u8) = (200, 200, 200);

/// Writes a flame graph of the stacks that grew, as an SVG that a browser can search and zoom. The outermost functions are at the
/// bottom. A colour is a module; shades tell neighbours apart and mean nothing. Where nothing grew, the picture says so.
///
/// # Errors
///
/// The output cannot be written.
pub fn write_flame_graph(stacks: &[StackAmount], title: &str, subtitle: &str, mut out: impl Write) -> io::Result<()> {
    let lines = folded::lines(stacks);
    if lines.is_empty() {
        return write_nothing(title, out);
    }
    let mut palette = palette(stacks);
    let mut options = Options::default();
    options.title = harmless(title);
    options.subtitle = Some(harmless(subtitle)).filter(|subtitle| !subtitle.is_empty());
    options.count_name = "bytes".to_owned();
    options.font_type = "sans-serif".to_owned();
    options.bgcolors = Some(BackgroundColor::Flat(Color { r: 255, g: 255, b: 255 }));
    // Without this, names that the palette lacks would have a random colour.
    options.deterministic = true;
    options.palette_map = Some(&mut palette);
    let mut picture = Vec::new();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut picture)?;
    out.write_all(&picture)?;
    out.flush()
}

fn write_nothing(title: &str, mut out: impl Write) -> io::Result<()> {
    let title = escape::markup(title);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"90\" font-family=\"sans-serif\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\
         <text x=\"50%\" y=\"32\" text-anchor=\"middle\" font-size=\"17\">{title}</text>\
         <text x=\"50%\" y=\"62\" text-anchor=\"middle\" font-size=\"12\">No call stack grew.</text></svg>"
    )?;
    out.flush()
}

/// A colour for each name: its module's, lighter or darker by the name. Modules have colours in the order of how much grew in them.
fn palette(stacks: &[StackAmount]) -> PaletteMap {
    let mut weights = HashMap::<usize, f64>::new();
    for stack in stacks.iter().filter(|stack| stack.bytes > 0.0) {
        // The outermost half of a stack is the program's, its ends are libraries': every frame counts.
        for module in stack.frames.iter().filter_map(|frame| frame.module) {
            *weights.entry(module).or_default() += stack.bytes;
        }
    }
    let mut order: Vec<(usize, f64)> = weights.into_iter().collect();
    order.sort_by(|(module, weight), (other, other_weight)| other_weight.total_cmp(weight).then(module.cmp(other)));
    let colours: HashMap<usize, (u8, u8, u8)> =
        order.iter().zip(COLOURS.iter().cycle()).map(|((module, _), colour)| (*module, *colour)).collect();
    let mut palette = PaletteMap::default();
    for frame in stacks.iter().flat_map(|stack| &stack.frames) {
        let name = folded::name(frame);
        if palette.get(&name).is_none() {
            let colour = frame.module.and_then(|module| colours.get(&module).copied()).unwrap_or(NO_COLOUR);
            let colour = shaded(colour, &name);
            palette.insert(name, colour);
        }
    }
    // The box below all others.
    palette.insert("", shaded(NO_COLOUR, ""));
    palette
}

/// Lighter or darker by at most a tenth.
fn shaded((r, g, b): (u8, u8, u8), name: &str) -> Color {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let shift = f64::from(hash >> 16) / f64::from(u16::MAX) * 0.2 - 0.1;
    // Values stay between 0 and 255 by the conversion.
    let shade = |part: u8| (f64::from(part) * (1.0 + shift)).round() as u8;
    Color { r: shade(r), g: shade(g), b: shade(b) }
}
