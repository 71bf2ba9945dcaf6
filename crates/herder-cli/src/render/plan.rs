//! What would be done to make a file's definitions hold.

use herder_api::control::{Change, Plan, PlanStep, StepKind};

use super::text::{count, escape};
use super::{Paint, Style};

/// A plan: a line for each app that changes, below it what differs, and at the end how many stay.
pub(crate) fn plan(plan: &Plan, style: Style) -> String {
    let mut text = String::new();
    let mut kept = 0;
    for step in &plan.steps {
        if step.step == StepKind::Keep {
            kept += 1;
        } else {
            push_step(&mut text, step, style);
        }
    }
    match (text.is_empty(), kept) {
        (true, 0) => text += "There is nothing to do: the file defines no apps.\n",
        (true, _) => text += &format!("Nothing changes: {}.\n", stay(kept)),
        (false, 0) => {}
        (false, _) => text += &format!("{}.\n", stay(kept)),
    }
    text
}

fn stay(kept: u64) -> String {
    let verb = if kept == 1 {
        "is as it shall be"
    } else {
        "are as they shall be"
    };
    format!("{} {verb}", count(kept, "app"))
}

/// Whether somebody should be asked first: something that runs is interrupted, or taken away.
pub(crate) fn interrupts(plan: &Plan) -> bool {
    let interrupts = |step: &PlanStep| matches!(step.step, StepKind::Restart | StepKind::Delete);
    plan.steps.iter().any(interrupts)
}

/// Whether anything is to be done.
pub(crate) fn is_empty(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| step.step == StepKind::Keep)
}

fn push_step(text: &mut String, step: &PlanStep, style: Style) {
    let (paint, mark, word) = match step.step {
        StepKind::Keep => (Paint::Plain, "=", "stays"),
        StepKind::Update => (Paint::Cyan, "~", "is updated; no process is touched"),
        StepKind::Scale => (Paint::Cyan, "~", "is scaled"),
        StepKind::Reload => (Paint::Cyan, "~", "is reloaded; no connection is lost"),
        StepKind::Restart => (Paint::Yellow, "!", "is restarted: stopped and started"),
        StepKind::Start => (Paint::Green, "+", "is started"),
        StepKind::Delete => (Paint::Red, "-", "is deleted: stopped and forgotten"),
    };
    let name = style.paint(Paint::Bold, &escape(&step.app));
    *text += &format!("{} {name} {word}\n", style.paint(paint, mark));
    for change in &step.changes {
        let line = of_change(change, step.step);
        *text += &format!("    {line}\n");
    }
}

fn of_change(change: &Change, step: StepKind) -> String {
    let value = |value: Option<&String>| value.map_or_else(|| "default".to_owned(), |v| escape(v));
    let mut line = format!(
        "{}: {} → {}",
        escape(&change.setting),
        value(change.from.as_ref()),
        value(change.to.as_ref())
    );
    // Who reads it sees which of many changes is the one that interrupts.
    if step == StepKind::Restart && change.needs == StepKind::Restart {
        line += "  (needs the restart)";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::snapshot;

    fn change(setting: &str, from: Option<&str>, to: Option<&str>, needs: StepKind) -> Change {
        Change {
            setting: setting.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            needs,
        }
    }

    fn step(app: &str, step: StepKind, changes: Vec<Change>) -> PlanStep {
        PlanStep {
            app: app.to_owned(),
            step,
            changes,
        }
    }

    fn with(steps: Vec<PlanStep>) -> Plan {
        Plan {
            steps,
            fingerprint: "f".to_owned(),
        }
    }

    #[test]
    fn plans_are_as_recorded() {
        let all = with(vec![
            step("old", StepKind::Delete, vec![]),
            step(
                "mail",
                StepKind::Update,
                vec![change("autostart", None, Some("false"), StepKind::Update)],
            ),
            step(
                "api",
                StepKind::Scale,
                vec![change("workers", Some("2"), Some("4"), StepKind::Scale)],
            ),
            step(
                "web",
                StepKind::Restart,
                vec![
                    change(
                        "env.TOKEN",
                        Some("\"***\""),
                        Some("\"***\""),
                        StepKind::Reload,
                    ),
                    change("listen", Some("[\"80\"]"), None, StepKind::Restart),
                ],
            ),
            step(
                "shop",
                StepKind::Reload,
                vec![change("args", None, Some("[\"\x1b\"]"), StepKind::Reload)],
            ),
            step("new", StepKind::Start, vec![]),
            step("same", StepKind::Keep, vec![]),
        ]);
        assert!(interrupts(&all) && !is_empty(&all));
        let same = with(vec![step("same", StepKind::Keep, vec![])]);
        assert!(!interrupts(&same) && is_empty(&same));
        let texts = [
            plan(&all, Style::PLAIN),
            plan(
                &all,
                Style {
                    colour: true,
                    width: None,
                },
            ),
            plan(&same, Style::PLAIN),
            plan(&with(vec![]), Style::PLAIN),
        ];
        snapshot::check("plan", &texts.join("---\n"));
    }
}
