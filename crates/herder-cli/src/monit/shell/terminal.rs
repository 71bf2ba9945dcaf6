//! The terminal. However it ends, it is left as it was found.

use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{execute, queue};
use ratatui::layout::Rect;

/// Whether the terminal is ours at the moment.
static OURS: AtomicBool = AtomicBool::new(false);

/// The terminal, as long as it is ours.
pub(super) struct Terminal {
    screen: ratatui::Terminal<CrosstermBackend<Stdout>>,
}

impl Terminal {
    pub(super) fn open() -> io::Result<Terminal> {
        restore_on_panic();
        let screen = ratatui::Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let terminal = Terminal { screen };
        OURS.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste)?;
        Ok(terminal)
    }

    pub(super) fn draw<T: Default>(
        &mut self,
        draw: impl FnOnce(&mut Frame<'_>) -> T,
    ) -> io::Result<T> {
        let mut told = T::default();
        self.screen.draw(|frame| told = draw(frame))?;
        Ok(told)
    }

    /// Whatever is there is drawn over with the next frame.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        // (What is made for this asks the terminal where its cursor is, and the answer may be late, or never
        // come.)
        let size = self.screen.size()?;
        self.screen.resize(Rect::from(size))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives it back, once. If that fails, the terminal is gone.
fn restore() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _gone = queue!(out, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _gone = io::Write::flush(&mut out);
    let _gone = disable_raw_mode();
}

/// What a panic says must be readable.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::process::{Command, Stdio};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    /// The other test runs this one in a terminal.
    #[test]
    #[ignore = "it needs a terminal, and dies"]
    fn dies_in_a_terminal() {
        let terminal = Terminal::open().expect("a terminal");
        let told = tcgetattr(io::stdin()).expect("a terminal");
        assert!(!told.local_modes.contains(LocalModes::ICANON));
        drop(std::panic::catch_unwind(|| panic!("as it had to be")));
        // It is given back already while the panic is told, and not a second time afterwards.
        let told = tcgetattr(io::stdin()).expect("a terminal");
        assert!(
            told.local_modes
                .contains(LocalModes::ICANON | LocalModes::ECHO)
        );
        drop(terminal);
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("ours");
        unlockpt(&ours).expect("ours");
        let name = ptsname(&ours, Vec::new()).expect("a name");
        let name = name.to_str().expect("ASCII");
        let theirs = File::options()
            .read(true)
            .write(true)
            .open(name)
            .expect("the other end");
        let before = tcgetattr(&theirs).expect("a terminal");
        let end = || Stdio::from(OwnedFd::from(theirs.try_clone().expect("a descriptor")));
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "--ignored", "--nocapture"])
            .arg("monit::shell::terminal::tests::dies_in_a_terminal")
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("this test");
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            let mut piece = [0; 4096];
            let mut from = File::from(ours);
            // When nobody has the other end any more, that is an error.
            while let Ok(length) = from.read(&mut piece) {
                all.extend_from_slice(&piece[..length]);
            }
            String::from_utf8_lossy(&all).into_owned()
        });
        let status = child.wait().expect("ours");
        let after = tcgetattr(&theirs).expect("a terminal");
        drop(theirs);
        let all = reader.join().expect("it reads");
        assert!(status.success(), "{all}");
        assert_eq!(before.local_modes, after.local_modes);
        assert_eq!(before.input_modes, after.input_modes);
        let (entered, left) = (all.find("\x1b[?1049h"), all.find("\x1b[?1049l"));
        let said = all.find("as it had to be");
        assert!(
            entered.is_some() && entered < left && left < said,
            "{all:?}"
        );
        assert_eq!(all.matches("\x1b[?1049l").count(), 1);
    }
}
