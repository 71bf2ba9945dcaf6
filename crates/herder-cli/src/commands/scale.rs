//! `herder scale`

use herder_api::control::{ScaleTo, Verb};

use super::Outcome;
use super::context::Context;
use super::outcome::{act, action, show_list};

/// Change how many workers an app has.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Names, numbers, namespaces, /patterns/ or all.
    #[arg(value_name = "APP", required = true)]
    app: String,

    /// So many (4), so many more (+2) or fewer (-1).
    #[arg(value_name = "N|+N|-N", value_parser = scale, allow_hyphen_values = true)]
    workers: ScaleTo,
}

pub(crate) fn run(args: Args, context: &Context) -> Outcome {
    context.wait(async {
        act(context, &action(Verb::Scale(args.workers), vec![args.app])).await?;
        show_list(context).await
    })
}

fn scale(text: &str) -> Result<ScaleTo, String> {
    let signed = text.starts_with(['+', '-']);
    let by = text.parse().ok().filter(|by: &i32| signed && *by != 0);
    let to = text
        .parse()
        .ok()
        .filter(|to| !signed && (1..=256).contains(to));
    match (by, to) {
        (Some(by), _) if by.abs() < 256 => Ok(ScaleTo::By(by)),
        (_, Some(to)) => Ok(ScaleTo::To(to)),
        _ => Err("use a number from 1 to 256, or +N or -N; `herder stop` stops all".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_absolute_unless_they_have_a_sign() {
        assert_eq!(scale("4"), Ok(ScaleTo::To(4)));
        assert_eq!(scale("+2"), Ok(ScaleTo::By(2)));
        assert_eq!(scale("-1"), Ok(ScaleTo::By(-1)));
        for text in ["0", "257", "+0", "-300", "x", "", "+", "--1"] {
            assert!(scale(text).is_err(), "{text}");
        }
    }
}
