//! Horizontal bars with their ranges, as SVG.

use crate::statistics::Median;
use std::fmt::Write;

/// How a value becomes a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Twice the value, twice the length.
    Linear,
    /// Ten times the value, one step more; the shortest bar shows the smallest value.
    Logarithmic,
}

/// Bars that are compared.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// How a value becomes a length.
    pub scale: Scale,
    /// A value that all are measured by: a line through all bars.
    pub mark: Option<f64>,
    /// From above.
    pub bars: Vec<Bar>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Whose it is.
    pub name: String,
    /// How long it is, and the range of all rounds.
    pub value: Median,
    /// Whether it is herder's, which have a colour of their own.
    pub is_ours: bool,
}

const WIDTH: f64 = 760.0;
/// Where the bars begin, and how long the longest may be.
const LEFT: f64 = 210.0;
const LENGTH: f64 = 400.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 34.0;
const GAP: f64 = 18.0;

const OURS: &str = "#2563c9";
const THEIRS: &str = "#98a2b0";
const INK: &str = "#1c2430";

/// All panels, one below the other; nothing when there is none.
pub fn draw(panels: &[Panel]) -> String {
    let height: f64 = panels.iter().map(Panel::height).sum::<f64>() + GAP;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut top = 0.0;
    for panel in panels {
        panel.draw(top, &mut text);
        top += panel.height();
    }
    text.push_str("</svg>\n");
    text
}

impl Panel {
    fn height(&self) -> f64 {
        let rows = u32::try_from(self.bars.len()).unwrap_or(u32::MAX);
        HEAD + f64::from(rows) * ROW + GAP
    }

    fn draw(&self, top: f64, text: &mut String) {
        let title = escape(&self.title);
        let baseline = top + HEAD - 10.0;
        let _infallible = writeln!(
            text,
            "<text x=\"12\" y=\"{baseline}\" font-size=\"14\" font-weight=\"bold\">{title}</text>"
        );
        let mut row = top + HEAD;
        for bar in &self.bars {
            self.draw_bar(bar, row, text);
            row += ROW;
        }
        if let Some(mark) = self.mark {
            let (x, above, below) = (self.place(mark), top + HEAD - 3.0, row + 1.0);
            let _infallible = writeln!(
                text,
                "<path d=\"M{x:.1} {above}V{below}\" stroke=\"{INK}\" stroke-dasharray=\"3 3\"/>"
            );
        }
    }

    fn draw_bar(&self, bar: &Bar, top: f64, text: &mut String) {
        let [end, low, high] =
            [bar.value.median, bar.value.min, bar.value.max].map(|value| self.place(value));
        let colour = if bar.is_ours { OURS } else { THEIRS };
        let (name, value) = (escape(&bar.name), short(bar.value.median));
        let (line, above, middle) = (top + 13.0, top + 6.0, top + 9.0);
        let _infallible = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{line}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>\
             <path d=\"M{low:.1} {middle}H{high:.1}M{low:.1} {above}v6M{high:.1} {above}v6\" stroke=\"{INK}\"/>\
             <text x=\"{:.1}\" y=\"{line}\">{value}</text>",
            LEFT - 8.0,
            top + 2.0,
            end - LEFT,
            high.max(end) + 8.0,
        );
    }

    /// Where a value lies, from the left.
    fn place(&self, value: f64) -> f64 {
        let ends = self.bars.iter().map(|bar| bar.value.max);
        let starts = self.bars.iter().map(|bar| bar.value.min);
        let most = ends.chain(self.mark).fold(f64::MIN_POSITIVE, f64::max);
        let least = starts
            .chain(self.mark)
            .filter(|value| *value > 0.0)
            .fold(most, f64::min);
        let share = match self.scale {
            Scale::Linear => value / most,
            // Half a power of ten is what the smallest has.
            Scale::Logarithmic if value > 0.0 => {
                ((value / least).log10() + 0.5) / ((most / least).log10() + 0.5)
            }
            Scale::Logarithmic => 0.0,
        };
        LEFT + LENGTH * share.clamp(0.0, 1.0)
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(scale: Scale, values: &[f64]) -> Panel {
        let bar = |value: &f64| Bar {
            name: "a<b".to_owned(),
            value: Median::of([*value]),
            is_ours: false,
        };
        Panel {
            title: "this & that".to_owned(),
            scale,
            mark: None,
            bars: values.iter().map(bar).collect(),
        }
    }

    #[test]
    fn values_become_lengths() {
        let linear = panel(Scale::Linear, &[1.0, 4.0]);
        assert!((linear.place(4.0) - LEFT - LENGTH).abs() < 1e-9);
        assert!((linear.place(1.0) - LEFT - LENGTH / 4.0).abs() < 1e-9);
        let steps = panel(Scale::Logarithmic, &[1.0, 10.0, 100.0]);
        let places = [1.0, 10.0, 100.0].map(|value| steps.place(value));
        assert!((places[2] - LEFT - LENGTH).abs() < 1e-9);
        assert!(((places[1] - places[0]) - (places[2] - places[1])).abs() < 1e-9);
        assert!((steps.place(0.0) - LEFT).abs() < 1e-9);
    }

    #[test]
    fn a_picture_has_a_bar_for_each_and_is_well_formed() {
        let mut marked = panel(Scale::Linear, &[1.0, 2.0]);
        marked.mark = Some(1.0);
        let text = draw(&[marked, panel(Scale::Logarithmic, &[3.0])]);
        assert_eq!(text.matches("<rect").count(), 1 + 3);
        assert_eq!(
            text.matches("<text").count(),
            text.matches("</text>").count()
        );
        assert!(
            text.contains("this &amp; that") && text.contains("a&lt;b"),
            "{text}"
        );
        assert!(!text.contains("NaN"), "{text}");
    }
}
