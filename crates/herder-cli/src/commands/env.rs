//! `herder env`

use super::Outcome;
use super::context::Context;
use crate::render::text::escape;

/// Show the environment that an app's workers find.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Its name or number.
    #[arg(value_name = "APP")]
    app: String,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        let variables = context.client().environment(&args.app).await?;
        context.answer(&variables, || {
            let lines = variables.iter();
            lines
                .map(|(name, value)| format!("{}={}\n", escape(name), escape(value)))
                .collect()
        })
    })
}
