//! Columns that fit: what matters least is left out where there is no room.

use super::text::cut;
use super::{Paint, Style};

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) align: Align,
    /// 0 = it is always there; the highest goes first.
    pub(super) dispensable: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Align {
    Left,
    Right,
}

/// What stands in a row, in a column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) paint: Paint,
}

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Cell {
        Cell::painted(Paint::Plain, text)
    }

    pub(super) fn painted(paint: Paint, text: impl Into<String>) -> Cell {
        Cell {
            text: text.into(),
            paint,
        }
    }
}

/// Between columns.
const GAP: usize = 2;

impl Column {
    pub(super) const fn left(title: &'static str, dispensable: u8) -> Column {
        Column {
            title,
            align: Align::Left,
            dispensable,
        }
    }

    pub(super) const fn right(title: &'static str, dispensable: u8) -> Column {
        Column {
            title,
            align: Align::Right,
            dispensable,
        }
    }
}

/// The table, each line ended. A column in which nothing stands is left out.
pub(super) fn draw(columns: &[Column], rows: &[Vec<Cell>], style: Style) -> String {
    let width = |at: usize| {
        let widest = rows.iter().map(|row| row[at].text.chars().count()).max();
        widest.filter(|widest| *widest > 0)
    };
    let mut shown: Vec<(usize, usize)> = (0..columns.len())
        .filter_map(|at| Some((at, width(at)?.max(columns[at].title.chars().count()))))
        .collect();
    if let Some(room) = style.width {
        fit(&mut shown, columns, room);
    }
    let titles: Vec<Cell> = columns
        .iter()
        .map(|column| Cell::painted(Paint::Bold, column.title))
        .collect();
    let mut text = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        push_row(&mut text, row, &shown, columns, style);
    }
    text
}

/// Leaves columns out, and then cuts the widest, until the rest has room.
fn fit(shown: &mut Vec<(usize, usize)>, columns: &[Column], room: usize) {
    let total = |shown: &[(usize, usize)]| {
        let gaps = GAP * shown.len().saturating_sub(1);
        shown.iter().map(|(_, width)| width).sum::<usize>() + gaps
    };
    while total(shown) > room {
        let least = shown
            .iter()
            .enumerate()
            .filter(|(_, (at, _))| columns[*at].dispensable > 0)
            .max_by_key(|(_, (at, _))| columns[*at].dispensable);
        let Some((place, _)) = least else { break };
        shown.remove(place);
    }
    let excess = total(shown).saturating_sub(room);
    if let Some((_, widest)) = shown.iter_mut().max_by_key(|(_, width)| *width) {
        *widest = widest.saturating_sub(excess).max(4);
    }
}

fn push_row(
    text: &mut String,
    row: &[Cell],
    shown: &[(usize, usize)],
    columns: &[Column],
    style: Style,
) {
    let start = text.len();
    for (place, (at, width)) in shown.iter().enumerate() {
        let cell = &row[*at];
        let content = cut(&cell.text, *width);
        let padding = " ".repeat(width - content.chars().count());
        let content = style.paint(cell.paint, &content);
        if place > 0 {
            text.push_str(&" ".repeat(GAP));
        }
        match columns[*at].align {
            Align::Left => text.push_str(&(content + &padding)),
            Align::Right => text.push_str(&(padding + &content)),
        }
    }
    let end = text.trim_end_matches(' ').len().max(start);
    text.truncate(end);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_least_goes_first() {
        let columns = [
            Column::left("name", 0),
            Column::right("cpu", 1),
            Column::left("where", 2),
            Column::left("empty", 0),
        ];
        let row = |texts: [&str; 4]| texts.map(Cell::plain).to_vec();
        let rows = [
            row(["web", "1%", "here", ""]),
            row(["a-long-name", "10%", "", ""]),
        ];
        let at = |width| {
            let style = Style {
                colour: false,
                width,
            };
            draw(&columns, &rows, style)
        };
        assert_eq!(
            at(None),
            "name         cpu  where\nweb           1%  here\na-long-name  10%\n"
        );
        assert_eq!(
            at(Some(20)),
            "name         cpu\nweb           1%\na-long-name  10%\n"
        );
        assert_eq!(at(Some(12)), "name\nweb\na-long-name\n");
        assert_eq!(at(Some(6)), "name\nweb\na-lon…\n");
    }
}
