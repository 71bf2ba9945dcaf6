//! What herder is to reach, and whether it did: each goal is judged by what was measured side by side.

use crate::contest::Contest;
use crate::measure::Sample;
use crate::part::Part;
use crate::statistics::Median;
use crate::variant::{Dispatch, Listeners, Policy, Variant};
use serde::Serialize;
use std::fmt;

/// How large a figure may be, or has to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The median is to be this or more.
    AtLeast(f64),
    /// The median is to be this or less.
    AtMost(f64),
    /// What was measured in every single round is to be this or less.
    NeverAbove(f64),
}

impl Bound {
    fn allows(self, measured: Median) -> bool {
        match self {
            Bound::AtLeast(least) => measured.median >= least,
            Bound::AtMost(most) => measured.median <= most,
            Bound::NeverAbove(most) => measured.max <= most,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::AtLeast(least) => write!(f, "at least {least}"),
            Bound::AtMost(most) => write!(f, "at most {most}"),
            Bound::NeverAbove(most) => write!(f, "at most {most} in every round"),
        }
    }
}

/// A figure of a variant, by itself or by that of another one.
#[derive(Clone, Copy)]
struct Goal {
    part: Part,
    variant: Variant,
    /// By whose figure it is divided, round by round.
    base: Option<Variant>,
    what: &'static str,
    figure: fn(&Sample) -> f64,
    bound: Bound,
}

/// A goal, and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// What is judged, in words.
    pub what: String,
    /// What was measured.
    pub measured: Median,
    /// What it is to be.
    pub bound: Bound,
    /// Whether it is.
    pub is_met: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict {
            what,
            measured,
            bound,
            ..
        } = self;
        let met = met(self.is_met);
        write!(f, "{what} = {measured}; goal {bound}: {met}")
    }
}

impl Verdict {
    /// On what was measured.
    pub(crate) fn new(what: String, measured: Median, bound: Bound) -> Verdict {
        Verdict {
            what,
            measured,
            bound,
            is_met: bound.allows(measured),
        }
    }
}

/// How it is said that a goal is met, or is not.
pub(crate) fn met(goal: bool) -> &'static str {
    if goal { "met" } else { "MISSED" }
}

/// The verdicts on what took part in `contest`.
pub fn judge(contest: &Contest) -> Vec<Verdict> {
    let goals = goals();
    let asked = goals.iter().filter(|goal| goal.part == contest.part);
    asked.filter_map(|goal| goal.judge(contest)).collect()
}

impl Goal {
    fn new(
        part: Part,
        variant: Variant,
        what: &'static str,
        figure: fn(&Sample) -> f64,
        bound: Bound,
    ) -> Goal {
        Goal {
            part,
            variant,
            base: None,
            what,
            figure,
            bound,
        }
    }

    /// The figure is divided by that of `base`.
    fn by(self, base: Variant) -> Goal {
        Goal {
            base: Some(base),
            ..self
        }
    }

    /// `None` when who it is about was not measured.
    fn judge(&self, contest: &Contest) -> Option<Verdict> {
        let (variant, name) = (self.variant, self.what);
        if !contest.has(variant) {
            return None;
        }
        let (what, measured) = match self.base {
            Some(base) if !contest.has(base) => return None,
            Some(base) => (
                format!("{name}, {variant} : {base}"),
                contest.ratio(variant, base, self.figure),
            ),
            None => (
                format!("{name}, {variant}"),
                contest.median(variant, self.figure),
            ),
        };
        Some(Verdict::new(what, measured, self.bound))
    }
}

fn rate(sample: &Sample) -> f64 {
    sample.rate
}

fn master(sample: &Sample) -> f64 {
    sample.master
}

fn p50(sample: &Sample) -> f64 {
    sample.p50
}

fn p99(sample: &Sample) -> f64 {
    sample.p99
}

fn p99_millis(sample: &Sample) -> f64 {
    sample.p99 / 1000.0
}

fn unevenness(sample: &Sample) -> f64 {
    sample.unevenness
}

fn spread(sample: &Sample) -> f64 {
    sample.spread
}

fn goals() -> Vec<Goal> {
    let mut goals = Vec::new();
    for dispatch in [Dispatch::Kernel, Dispatch::Pass] {
        goals.extend(of_native(dispatch));
        for version in [20, 24] {
            goals.extend(of_node(version, dispatch));
        }
    }
    let pass = Variant::HerderNative(Dispatch::Pass);
    let master = Goal::new(
        Part::Saturated,
        pass,
        "master's time",
        master,
        Bound::AtMost(1.25),
    );
    goals.push(master.by(Variant::BarePass));
    let least = Variant::HerderNative(Dispatch::LeastLoaded);
    for variant in [least, pass] {
        let quick = Goal::new(
            Part::Skewed,
            variant,
            "p99 of the quick",
            p99,
            Bound::AtMost(0.5),
        );
        goals.push(quick.by(Variant::HerderNative(Dispatch::Reuseport)));
    }
    goals
}

fn of_native(dispatch: Dispatch) -> Vec<Goal> {
    let herd = Variant::HerderNative(dispatch);
    let (bare, nginx) = (Variant::BareShared, Variant::Nginx(Listeners::One));
    let of = |part, what, figure, bound| Goal::new(part, herd, what, figure, bound);
    vec![
        of(Part::Saturated, "rate", rate, Bound::AtLeast(0.95)).by(bare),
        of(
            Part::Saturated,
            "server's time",
            Sample::total,
            Bound::AtMost(1.15),
        )
        .by(nginx),
        of(
            Part::Saturated,
            "max/min worker",
            unevenness,
            Bound::AtMost(1.06),
        ),
        of(Part::Light, "p50", p50, Bound::AtMost(1.6)).by(bare),
        of(
            Part::KeepAlive,
            "server's time",
            Sample::total,
            Bound::AtMost(1.05),
        )
        .by(bare),
        of(Part::Stopped, "p99 in ms", p99_millis, Bound::AtMost(15.0)),
        of(
            Part::Even,
            "largest - smallest",
            spread,
            Bound::NeverAbove(1.0),
        ),
    ]
}

fn of_node(version: u8, dispatch: Dispatch) -> Vec<Goal> {
    let herd = Variant::HerderNode(version, dispatch);
    let primary = Variant::Node(version, Policy::RoundRobin);
    let none = Variant::Node(version, Policy::None);
    let of = |what, figure, bound| Goal::new(Part::Saturated, herd, what, figure, bound);
    let mut goals = if dispatch == Dispatch::Kernel {
        let share = "master's share of a processor";
        vec![
            of("rate", rate, Bound::AtLeast(2.0)).by(primary),
            of("rate", rate, Bound::AtLeast(0.95)).by(none),
            of(share, Sample::master_share, Bound::AtMost(0.01)),
        ]
    } else {
        vec![
            of("rate", rate, Bound::AtLeast(1.6)).by(primary),
            of("master's time", master, Bound::AtMost(0.35)).by(primary),
        ]
    };
    if version == 20 {
        goals.push(of("rate", rate, Bound::AtLeast(2.0)).by(Variant::Pm2));
    }
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variant::League;

    #[test]
    fn every_goal_is_about_somebody_who_takes_part() {
        for goal in goals() {
            for variant in [Some(goal.variant), goal.base].into_iter().flatten() {
                let part = goal.part;
                assert!(part.suits(variant), "{part:?} {variant}");
                assert!(part.is_essential(variant), "{part:?} {variant}");
                assert_eq!(variant.league(), goal.variant.league());
            }
        }
    }

    #[test]
    fn a_herd_of_node_programs_is_judged_by_nodes_own_primary() {
        let sample = |rate, master| Sample {
            rate,
            master,
            ..Sample::default()
        };
        let own = Variant::Node(24, Policy::RoundRobin);
        let mut contest = Contest::new(Part::Saturated, League::Node);
        contest.samples.insert(own, vec![sample(1000.0, 60.0)]);
        let herd = Variant::HerderNode(24, Dispatch::Pass);
        contest.samples.insert(herd, vec![sample(1700.0, 30.0)]);
        let texts: Vec<String> = judge(&contest).iter().map(Verdict::to_string).collect();
        assert_eq!(
            texts,
            [
                "rate, herder-node-24-pass : node-24-rr = 1.70 (1.70..1.70); \
                 goal at least 1.6: met",
                "master's time, herder-node-24-pass : node-24-rr = 0.50 (0.50..0.50); \
                 goal at most 0.35: MISSED",
            ]
        );
        contest.samples.remove(&own);
        assert_eq!(judge(&contest), []);
    }

    #[test]
    fn a_bound_on_every_round_is_broken_by_one() {
        let measured = Median::of([0.0, 1.0, 2.0]);
        assert!(Bound::AtMost(1.0).allows(measured));
        assert!(!Bound::NeverAbove(1.0).allows(measured));
        assert!(Bound::NeverAbove(2.0).allows(measured));
        assert!(!Bound::AtLeast(1.1).allows(measured));
    }
}
