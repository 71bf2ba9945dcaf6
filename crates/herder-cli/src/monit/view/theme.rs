//! Colours, or what stands for them.

use ratatui::style::{Color, Modifier, Style};

use crate::render::Paint;

/// How pieces look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Theme {
    Coloured,
    /// Bold, dim and reversed only.
    Colourless,
}

impl Theme {
    pub(super) fn style(self, paint: Paint) -> Style {
        let colour = match paint {
            Paint::Plain => return Style::new(),
            Paint::Bold => return Style::new().add_modifier(Modifier::BOLD),
            Paint::Dim => return Style::new().add_modifier(Modifier::DIM),
            Paint::Red => Color::Red,
            Paint::Green => Color::Green,
            Paint::Yellow => Color::Yellow,
            Paint::Cyan => Color::Cyan,
        };
        match self {
            Theme::Coloured => Style::new().fg(colour),
            Theme::Colourless if matches!(paint, Paint::Red | Paint::Yellow) => {
                Style::new().add_modifier(Modifier::BOLD)
            }
            Theme::Colourless => Style::new(),
        }
    }
}
