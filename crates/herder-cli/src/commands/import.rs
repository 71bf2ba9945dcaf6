//! `herder import`

use std::path::PathBuf;

use super::Outcome;
use super::context::Context;
use super::init::write;
use super::targets::{FileArgs, load};
use crate::render::text::escape;

/// Turn an ecosystem file of PM2 into a herder.toml.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The file, or - for one on stdin.
    #[arg(value_name = "FILE")]
    from: PathBuf,

    /// Where to. [default: stdout]
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "-",
        hide_default_value = true
    )]
    output: PathBuf,

    /// Only these apps, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    let file = FileArgs {
        only: args.only,
        env: None,
    };
    let loaded = load(context, &args.from, &file)?;
    write(context, &args.output, &herder_config::import(&loaded))?;
    if args.output.as_os_str() == "-" {
        return Ok(());
    }
    let file = escape(&args.output.display().to_string());
    context.say(&format!(
        "{file} is written. See what it would change: herder apply --plan {file}\n"
    ))
}
