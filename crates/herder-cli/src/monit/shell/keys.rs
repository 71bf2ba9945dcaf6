//! What is typed.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most keys mean nothing at most times"
)]

use std::io;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use crate::monit::model::{Input, Key};

/// So many keys may wait.
const WAITING: usize = 64;

/// Listens, on a thread that ends with the process: nothing ends a wait for keys.
pub(super) fn listen() -> mpsc::Receiver<io::Result<Input>> {
    let (tell, keys) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        loop {
            let input = match event::read() {
                Ok(event) => input(event).map(Ok),
                Err(error) => Some(Err(error)),
            };
            let Some(input) = input else { continue };
            let over = input.is_err();
            if tell.blocking_send(input).is_err() || over {
                return;
            }
        }
    });
    keys
}

fn input(event: Event) -> Option<Input> {
    match event {
        Event::Key(event) => key(event).map(Input::Key),
        Event::Paste(text) => Some(Input::Pasted(text)),
        Event::Resize(..) | Event::FocusGained => Some(Input::Disturbed),
        Event::FocusLost | Event::Mouse(_) => None,
    }
}

fn key(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return match event.code {
            KeyCode::Char('c') => Some(Key::Interrupt),
            KeyCode::Char('l') => Some(Key::Redraw),
            KeyCode::Char('u') => Some(Key::Erase),
            _ => None,
        };
    }
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match event.code {
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_was_pressed() {
        let pressed = |code, modifiers| key(KeyEvent::new(code, modifiers));
        let plain = KeyModifiers::NONE;
        assert_eq!(pressed(KeyCode::Char('r'), plain), Some(Key::Char('r')));
        assert_eq!(
            pressed(KeyCode::Char('R'), KeyModifiers::SHIFT),
            Some(Key::Char('R'))
        );
        assert_eq!(
            pressed(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Key::Interrupt)
        );
        // What is not offered does nothing: least of all what its letter alone would do.
        assert_eq!(pressed(KeyCode::Char('s'), KeyModifiers::CONTROL), None);
        assert_eq!(pressed(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(pressed(KeyCode::F(1), plain), None);
    }
}
