//! The tolls as tables, as a picture, and what was made of the goals.

use super::contest::{ProxyContest, Toll};
use super::part::{Kind, Part};
use super::rival::Rival;
use crate::goals::{Bound, Verdict};
use crate::report::guide::{Circumstances, Page};
use crate::report::picture::{Bar, Panel, Scale};
use crate::report::{align, markdown};
use crate::statistics::Median;
use crate::variant::versions_of_proxies;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Where the figures are written to.
const PAGE: Page = Page {
    title: "The proxy",
    file: "proxy.md",
    picture: "proxy.svg",
};

/// Those whose cheaper one herder's HTTP is measured by.
const BOTH: &[Rival] = &[Rival::Haproxy, Rival::Nginx];
/// The one that herder's TCP is measured by.
const TCP: &[Rival] = &[Rival::Haproxy];

const PROXIES: [Rival; 4] = [
    Rival::Herder,
    Rival::Haproxy,
    Rival::HaproxySplice,
    Rival::Nginx,
];

/// The table of a contest, with what failed and what became of the goal below.
pub fn table(contest: &ProxyContest) -> String {
    let mut text = format!("proxy: {}\n{}", contest.part.name(), align(&rows(contest)));
    for line in troubles(contest) {
        let _infallible = writeln!(text, "{line}");
    }
    if let Some(verdict) = judge(contest) {
        let _infallible = writeln!(text, "{verdict}");
    }
    text
}

/// Writes the figures into the proxy's page in `directory`, and a picture beside it.
///
/// # Errors
/// When a file cannot be read or written, or the page has no place for figures.
pub fn write(
    directory: &Path,
    circumstances: &Circumstances,
    contests: &[ProxyContest],
) -> io::Result<()> {
    let mut text = circumstances.paragraphs(&versions_of_proxies());
    let verdicts: Vec<_> = contests.iter().filter_map(judge).collect();
    let _infallible = write!(
        text,
        "\n![Processor time of each proxy for a request, and what it adds to the latency]({})\n\n{}\n",
        PAGE.picture,
        markdown::goals(&verdicts)
    );
    for contest in contests {
        let _infallible = write!(
            text,
            "### {}\n\n{}\n",
            contest.part.name(),
            markdown::table(&rows(contest))
        );
        for line in troubles(contest) {
            let _infallible = writeln!(text, "- {line}");
        }
        text.push('\n');
    }
    let panels: Vec<_> = contests.iter().map(panel).collect();
    PAGE.write(directory, &text, &panels)
}

/// The headings, and a row for each who took part.
fn rows(contest: &ProxyContest) -> Vec<Vec<String>> {
    let light = contest.part == Part::HttpLight;
    let mut headings = vec!["variant", "requests/s", "us a request", "herder : it"];
    headings.extend(["p50 us", "p99 us"]);
    if light {
        headings.extend(["added to p50", "added to p99"]);
    }
    let taken = Rival::ALL.into_iter();
    let taken = taken.filter(|rival| contest.tolls.contains_key(rival));
    let rows = taken.map(|rival| {
        let mut row = row(contest, rival);
        if light {
            let added = |figure: fn(&Toll) -> f64| match contest.added(rival, figure) {
                Some(added) if rival != Rival::Direct => format!("{added:.0}"),
                Some(_) | None => "-".to_owned(),
            };
            row.extend([added(|toll| toll.p50), added(|toll| toll.p99)]);
        }
        row
    });
    let headings = headings.into_iter().map(str::to_owned).collect();
    std::iter::once(headings).chain(rows).collect()
}

fn row(contest: &ProxyContest, rival: Rival) -> Vec<String> {
    let median = |figure: fn(&Toll) -> f64| contest.median(rival, figure);
    let ratio = contest.ratio(&[rival], processor);
    let ratio = ratio.map_or("-".to_owned(), |ratio| ratio.to_string());
    let (processor, ratio) = match rival {
        Rival::Direct => ("-".to_owned(), "-".to_owned()),
        Rival::Herder => (format!("{:.1}", median(processor)), "-".to_owned()),
        Rival::Haproxy | Rival::HaproxySplice | Rival::Nginx => {
            (format!("{:.1}", median(processor)), ratio)
        }
    };
    let whole = |figure: fn(&Toll) -> f64| format!("{:.0}", median(figure).median);
    vec![
        rival.name().to_owned(),
        whole(|toll| toll.rate),
        processor,
        ratio,
        whole(|toll| toll.p50),
        whole(|toll| toll.p99),
    ]
}

/// A line for each who failed or did not take part; one that says so when nobody did.
fn troubles(contest: &ProxyContest) -> Vec<String> {
    let mut lines = Vec::new();
    for (rival, tolls) in &contest.tolls {
        for (kind, count) in tolls.iter().flat_map(|toll| &toll.failures) {
            lines.push(format!("FAILED: {}: {count} {kind}", rival.name()));
        }
    }
    for (rival, why) in &contest.left_out {
        lines.push(format!("left out: {}: {why}", rival.name()));
    }
    if lines.is_empty() {
        lines.push("no request failed".to_owned());
    }
    lines
}

fn processor(toll: &Toll) -> f64 {
    toll.processor
}

/// Whether the goal is met; `None` where there is none, or nobody to measure by.
fn judge(contest: &ProxyContest) -> Option<Verdict> {
    let (others, most) = match contest.part {
        Part::HttpConnections | Part::HttpLarge | Part::HttpSmall => (BOTH, 1.0),
        Part::TcpSmall => (TCP, 1.1),
        Part::TcpLarge => (TCP, 0.7),
        Part::HttpLight => return None,
    };
    let ratio = contest.ratio(others, processor)?;
    let by = match contest.part.kind() {
        Kind::Http => "the cheaper of haproxy and nginx",
        Kind::Tcp => "haproxy",
    };
    let what = format!("processor time, {}: herder : {by}", contest.part.name());
    Some(Verdict::new(what, ratio, Bound::AtMost(most)))
}

/// What is worth a picture.
fn panel(contest: &ProxyContest) -> Panel {
    let name = contest.part.name();
    let light = contest.part == Part::HttpLight;
    let title = if light {
        format!("{name}: added to the median latency, us")
    } else {
        format!("{name}: processor time, us a request")
    };
    let bar = |rival: Rival| {
        let value = if light {
            contest.added(rival, |toll| toll.p50)
        } else {
            contest
                .tolls
                .contains_key(&rival)
                .then(|| contest.median(rival, processor))
        };
        value.map(|value: Median| Bar {
            name: rival.name().to_owned(),
            value,
            is_ours: rival == Rival::Herder,
        })
    };
    Panel {
        title,
        scale: Scale::Linear,
        mark: None,
        bars: PROXIES.into_iter().filter_map(bar).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use herder_e2e::scene::Scene;
    use std::collections::BTreeMap;
    use std::fs;

    fn toll(processor: f64, p50: f64) -> Toll {
        Toll {
            rate: 1000.0,
            processor,
            p50,
            p99: p50 * 2.0,
            failures: BTreeMap::new(),
        }
    }

    fn small() -> ProxyContest {
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
        contest
    }

    fn light() -> ProxyContest {
        let mut contest = ProxyContest::new(Part::HttpLight);
        let of = |p50: [f64; 2]| p50.map(|p50| toll(1.0, p50)).to_vec();
        contest.tolls.insert(Rival::Direct, of([50.0, 100.0]));
        contest.tolls.insert(Rival::Herder, of([70.0, 140.0]));
        contest
    }

    #[test]
    fn herder_is_measured_by_the_better_one_of_each_round() {
        let mut contest = small();
        let text = table(&contest);
        let last = "herder : the cheaper of haproxy and nginx = 0.85 (0.80..0.90); \
                    goal at most 1: met\n";
        assert!(text.ends_with(last), "{text}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let words = words.join(" ");
        assert!(
            words.contains("nginx 1000 15.0 (10.0..20.0) 0.65 (0.40..0.90) 50 100"),
            "{words}"
        );
        contest.tolls.remove(&Rival::Haproxy);
        contest.left_out.insert(Rival::Haproxy, "gone".to_owned());
        let text = table(&contest);
        assert!(text.contains("\nleft out: haproxy: gone\n"), "{text}");
        assert!(contest.is_clean());
        contest.tolls.remove(&Rival::Herder);
        assert!(!contest.is_clean());
    }

    #[test]
    fn what_a_proxy_adds_is_taken_round_by_round() {
        let text = table(&light());
        let words: Vec<&str> = text.split_whitespace().collect();
        let words = words.join(" ");
        assert!(
            words.contains("herder 1000 1.0 (1.0..1.0) - 105 210 30 (20..40) 60 (40..80)"),
            "{words}"
        );
    }

    #[test]
    fn the_page_has_the_goals_the_tables_and_a_picture() {
        let scene = Scene::new("proxy_page");
        let directory = scene.directory();
        let circumstances = Circumstances::now("herder-bench --proxy".to_owned());
        write(directory, &circumstances, &[small(), light()]).unwrap();
        let text = fs::read_to_string(directory.join("proxy.md")).unwrap();
        assert!(text.contains("by `herder-bench --proxy`."), "{text}");
        assert!(
            text.contains("| 0.85 (0.80..0.90) | at most 1 | met |"),
            "{text}"
        );
        assert!(
            text.contains("| herder | 1000 | 8.5 (8.0..9.0) | - |"),
            "{text}"
        );
        let picture = fs::read_to_string(directory.join("proxy.svg")).unwrap();
        assert_eq!(picture.matches(">herder</text>").count(), 2, "{picture}");
        assert!(!picture.contains(">no proxy</text>"), "{picture}");
    }
}
