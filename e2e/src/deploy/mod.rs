//! Programs of which new versions are deployed.
//!
//! Each serves what the file `version` in its scene's directory says when one of its workers starts, and says so in
//! every answer; a version may be a bad one ([`Version`]). A [`Deployed`] herd writes that file, and is told to
//! reload.

mod deployed;
mod program;
mod succession;
mod version;

pub use deployed::{Deployed, Verdict};
pub use program::{Own, Program, TEST_WEB, script};
pub use succession::{Takeover, end_master, takeover_after};
pub use version::Version;
