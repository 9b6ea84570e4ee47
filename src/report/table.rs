//! Plain text in columns that line up, with colour only where it was asked for.

use console::{Style, measure_text_width, truncate_str};

use crate::growth::Verdict;

/// Whether text carries colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorMode {
    /// It does: a person looks at a terminal.
    Colour,
    /// It does not: a file, a pipe, or `NO_COLOR`.
    Plain,
}

impl ColorMode {
    /// The text in a style, or as it is.
    pub fn paint(self, style: &Style, text: &str) -> String {
        match self {
            // The style's own idea of the terminal is not asked: the caller decided.
            Self::Colour => style.clone().force_styling(true).apply_to(text).to_string(),
            Self::Plain => text.to_owned(),
        }
    }
}

/// How a verdict is coloured; its word always stands beside the colour.
pub fn verdict_style(verdict: Verdict) -> Style {
    let style = Style::new();
    match verdict {
        Verdict::Unbounded => style.red().bold(),
        Verdict::Inconclusive => style.magenta(),
        Verdict::Bounded => style.blue(),
        Verdict::Retained => style.cyan(),
        Verdict::Flat => style.green(),
    }
}

/// On which side of its column a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// A column's heading and shape.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its heading.
    pub title: String,
    /// On which side its cells stand.
    pub align: Align,
    /// The narrowest it may become when the table is too wide; what does not fit is cut with `…`.
    pub least: usize,
}

impl Column {
    /// A column of texts that may be cut down to `least`.
    pub fn text(title: &str, least: usize) -> Self {
        Self { title: title.to_owned(), align: Align::Left, least }
    }

    /// A column of numbers, which are never cut.
    pub fn number(title: &str) -> Self {
        Self { title: title.to_owned(), align: Align::Right, least: usize::MAX }
    }
}

/// A text with the style it has when colour is on.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    /// A text in a style.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style: Some(style) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), style: None }
    }
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// Space between two columns.
const GAP: usize = 2;

impl Table {
    /// A table without rows.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row. Cells that are missing are empty; those without a column are not shown.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) -> &mut Self {
        self.rows.push(cells.into_iter().collect());
        self
    }

    /// Whether there are rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, each at most `width` columns wide where the columns' least widths allow it.
    pub fn render(&self, width: usize, color: ColorMode) -> String {
        let widths = self.widths(width);
        let bold = Style::new().bold();
        let heading = self.columns.iter().map(|column| Cell::styled(column.title.clone(), bold.clone()));
        let mut out = self.line(&heading.collect::<Vec<_>>(), &widths, color);
        for row in &self.rows {
            out.push_str(&self.line(row, &widths, color));
        }
        out
    }

    fn line(&self, cells: &[Cell], widths: &[usize], color: ColorMode) -> String {
        let empty = Cell::from("");
        let mut line = String::new();
        let mut pending = 0;
        for (index, (column, &width)) in self.columns.iter().zip(widths).enumerate() {
            let cell = cells.get(index).unwrap_or(&empty);
            let text = truncate_str(&cell.text, width, "…");
            let space = width - measure_text_width(&text).min(width);
            let (before, after) = match column.align {
                Align::Left => (0, space),
                Align::Right => (space, 0),
            };
            // Spaces are owed until something follows them: lines do not end in blanks.
            pending += before;
            if !text.is_empty() {
                line.extend(std::iter::repeat_n(' ', pending));
                pending = 0;
                line.push_str(&cell.style.as_ref().map_or_else(|| text.to_string(), |style| color.paint(style, &text)));
            }
            pending += after + GAP;
        }
        line.push('\n');
        line
    }

    /// The width of each column: as wide as its widest cell, then cut from the widest that may be cut.
    fn widths(&self, available: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let cells =
                    self.rows.iter().filter_map(|row| row.get(index)).map(|cell| measure_text_width(&cell.text));
                cells.max().unwrap_or(0).max(measure_text_width(&column.title))
            })
            .collect();
        let gaps = GAP * self.columns.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > available {
            let shrinkable = widths.iter().zip(&self.columns).enumerate().filter(|(_, (width, c))| **width > c.least);
            let Some((widest, _)) = shrinkable.max_by_key(|(_, (width, _))| **width) else { break };
            widths[widest] -= 1;
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(vec![Column::text("subsystem", 6), Column::number("growth"), Column::text("why", 4)]);
        table.row(["WorkQueue".into(), "1.2 MiB".into(), "rises with every operation".into()]);
        table.row(["日本".into(), "3 B".into(), "".into()]);
        table.row([Cell::styled("Heartbeat", verdict_style(Verdict::Unbounded))]);
        table
    }

    #[test]
    fn columns_line_up_by_what_is_seen() {
        let expected = "\
subsystem   growth  why
WorkQueue  1.2 MiB  rises with every operation
日本           3 B
Heartbeat
";
        assert_eq!(table().render(100, ColorMode::Plain), expected);
    }

    #[test]
    fn what_is_too_wide_is_cut_where_it_may_be() {
        let expected = "\
subsystem   growth  why
WorkQueue  1.2 MiB  rises wit…
日本           3 B
Heartbeat
";
        assert_eq!(table().render(30, ColorMode::Plain), expected);
        let narrow = table().render(1, ColorMode::Plain);
        assert!(narrow.contains("WorkQ…") && narrow.contains("1.2 MiB"), "{narrow}");
    }

    #[test]
    fn colour_comes_only_when_asked_for() {
        assert!(!table().render(100, ColorMode::Plain).contains('\u{1b}'));
        let coloured = table().render(100, ColorMode::Colour);
        assert!(coloured.contains("\u{1b}[31m"), "{coloured:?}");
        assert_eq!(console::strip_ansi_codes(&coloured), table().render(100, ColorMode::Plain));
    }
}
