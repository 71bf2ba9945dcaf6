//! The tolls as a table, and what was made of the goals.

use super::contest::{ProxyContest, Toll};
use super::part::Part;
use super::rival::Rival;
use crate::report::{align, met};
use std::fmt::Write as _;

/// Those whose best herder's HTTP is measured by.
const BOTH: &[Rival] = &[Rival::Haproxy, Rival::Nginx];
/// Those whose best herder's TCP is measured by.
const TCP: &[Rival] = &[Rival::Haproxy];

/// The table of a contest, with the goal below.
pub fn table(contest: &ProxyContest) -> String {
    let headings = ["variant", "requests/s", "µs a request", "p50 µs", "p99 µs"];
    let mut rows = vec![headings.map(str::to_owned).to_vec()];
    let taken = Rival::ALL.into_iter();
    rows.extend(
        taken
            .filter(|rival| contest.tolls.contains_key(rival))
            .map(|rival| row(contest, rival)),
    );
    let mut text = format!("proxy: {}\n{}", contest.part.name(), align(&rows));
    for (rival, why) in &contest.left_out {
        let _infallible = writeln!(text, "`{}` did not take part: {why}", rival.name());
    }
    for (rival, tolls) in &contest.tolls {
        let failures = tolls.iter().flat_map(|toll| &toll.failures);
        for (kind, count) in failures {
            let _infallible = writeln!(text, "`{}`: {count} {kind}", rival.name());
        }
    }
    text + &goals(contest)
}

fn row(contest: &ProxyContest, rival: Rival) -> Vec<String> {
    let median = |figure: fn(&Toll) -> f64| contest.median(rival, figure);
    let processor = match rival {
        Rival::Direct => "-".to_owned(),
        Rival::Haproxy | Rival::HaproxySplice | Rival::Herder | Rival::Nginx => {
            format!("{:.1}", median(|toll| toll.processor))
        }
    };
    vec![
        rival.name().to_owned(),
        format!("{:.0}", median(|toll| toll.rate)),
        processor,
        format!("{:.0}", median(|toll| toll.p50)),
        format!("{:.0}", median(|toll| toll.p99)),
    ]
}

fn goals(contest: &ProxyContest) -> String {
    let processor = |toll: &Toll| toll.processor;
    let (others, most) = match contest.part {
        Part::HttpSmall => (BOTH, 1.0),
        Part::TcpSmall => (TCP, 1.1),
        Part::TcpLarge => (TCP, 0.7),
        Part::HttpLight => return added(contest),
    };
    let names: Vec<&str> = others.iter().map(|rival| rival.name()).collect();
    let names = names.join(" or ");
    match contest.ratio(others, processor) {
        Some(ratio) => {
            let met = met(ratio.median <= most);
            format!("processor time, herder : {names} = {ratio}; goal at most {most}: {met}\n")
        }
        None => String::new(),
    }
}

/// What a proxy adds to the latency.
fn added(contest: &ProxyContest) -> String {
    let mut text = String::new();
    for rival in [Rival::Herder, Rival::Haproxy, Rival::Nginx] {
        let p50 = contest.added(rival, |toll| toll.p50);
        let p99 = contest.added(rival, |toll| toll.p99);
        if let (Some(p50), Some(p99)) = (p50, p99) {
            let name = rival.name();
            let _infallible =
                writeln!(text, "`{name}` adds {p50:.0} µs to p50, {p99:.0} µs to p99");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn toll(processor: f64, p50: f64) -> Toll {
        Toll {
            rate: 1000.0,
            processor,
            p50,
            p99: p50 * 2.0,
            failures: BTreeMap::new(),
        }
    }

    #[test]
    fn herder_is_measured_by_the_better_one_of_each_round() {
        let mut contest = ProxyContest::new(Part::HttpSmall);
        let tolls = [
            (Rival::Herder, [8.0, 9.0]),
            (Rival::Haproxy, [10.0, 30.0]),
            (Rival::Nginx, [20.0, 10.0]),
        ];
        for (rival, processor) in tolls {
            let tolls = processor.map(|processor| toll(processor, 50.0)).to_vec();
            contest.tolls.insert(rival, tolls);
        }
        let text = table(&contest);
        let last = "processor time, herder : haproxy or nginx = 0.85 (0.80..0.90); \
                    goal at most 1: met\n";
        assert!(text.ends_with(last), "{text}");
        contest.tolls.remove(&Rival::Haproxy);
        contest.left_out.insert(Rival::Haproxy, "gone".to_owned());
        let text = table(&contest);
        assert!(
            text.contains("`haproxy` did not take part: gone\n"),
            "{text}"
        );
        assert!(contest.is_clean());
        contest.tolls.remove(&Rival::Herder);
        assert!(!contest.is_clean());
    }

    #[test]
    fn what_a_proxy_adds_is_taken_round_by_round() {
        let mut contest = ProxyContest::new(Part::HttpLight);
        let of = |p50: [f64; 2]| p50.map(|p50| toll(1.0, p50)).to_vec();
        contest.tolls.insert(Rival::Direct, of([50.0, 100.0]));
        contest.tolls.insert(Rival::Herder, of([70.0, 140.0]));
        let text = table(&contest);
        let last = "`herder` adds 30 (20..40) µs to p50, 60 (40..80) µs to p99\n";
        assert!(text.ends_with(last), "{text}");
    }
}
