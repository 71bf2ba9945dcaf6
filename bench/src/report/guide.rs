//! The figures in pages of the guide: what stands between two marks is ours, what stands around is not.

use super::markdown;
use super::picture::{self, Bar, Panel, Scale};
use crate::contest::{Contest, Field};
use crate::goals;
use crate::measure::Sample;
use crate::part::Part;
use crate::variant::{League, Variant, versions};
use jiff::Timestamp;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

/// The page of connections and messages.
const CONNECTIONS: Page = Page {
    title: "Performance",
    file: "performance.md",
    picture: "performance.svg",
};
const BEGIN: &str = "<!-- what follows is written by herder-bench -->";
const END: &str = "<!-- up to here -->";

/// Above this many processes that wanted to run before the begin, the machine was not idle.
const IDLE: f64 = 0.5;

/// Where and how it was measured.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// When it began.
    pub begun: Timestamp,
    /// The processors, the kernel.
    pub machine: String,
    /// How many processes wanted to run in the minute before.
    pub load: f64,
    /// What was typed.
    pub command: String,
}

impl Circumstances {
    /// Those of now.
    pub fn now(command: String) -> Circumstances {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let models = processors
            .lines()
            .filter(|line| line.starts_with("model name"));
        let models: Vec<&str> = models
            .filter_map(|line| line.split_once(": "))
            .map(|(_, name)| name)
            .collect();
        let processor = models.first().copied().unwrap_or("an unnamed processor");
        let kernel = read("/proc/sys/kernel/osrelease");
        // The rest names a build of it.
        let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
        let load = read("/proc/loadavg");
        let load = load.split(' ').next().and_then(|text| text.parse().ok());
        Circumstances {
            begun: Timestamp::now(),
            machine: format!(
                "{} x {processor}, Linux {}, loopback",
                models.len().max(1),
                kernel.join(".")
            ),
            load: load.unwrap_or_default(),
            command,
        }
    }

    /// What stands above the figures, with the versions of who was compared.
    pub(crate) fn paragraphs(&self, versions: &[String]) -> String {
        let Circumstances {
            begun,
            machine,
            load,
            command,
        } = self;
        let mut text = format!(
            "\nMeasured on {} UTC; {machine}; by `{command}`.\n\nWith {}.\n",
            begun.strftime("%Y-%m-%d %H:%M"),
            versions.join(", ")
        );
        if *load > IDLE {
            let _infallible = writeln!(
                text,
                "\n**Not final:** the machine had other work when this began (load average {load})."
            );
        }
        text
    }
}

/// A page with figures, and the picture beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// Its title, if there is no page yet.
    pub(crate) title: &'static str,
    /// The name of its file.
    pub(crate) file: &'static str,
    /// The name of the picture's file.
    pub(crate) picture: &'static str,
}

impl Page {
    /// Writes the figures into the page in `directory`, which is made when it is not there, and the picture
    /// beside it.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the page has no place for figures.
    pub(crate) fn write(self, directory: &Path, figures: &str, panels: &[Panel]) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        let page = directory.join(self.file);
        let text = match fs::read_to_string(&page) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("# {}\n\n{BEGIN}\n{END}\n", self.title)
            }
            other => other?,
        };
        let Some(text) = put(&text, figures) else {
            let problem = format!(
                "{} has no lines `{BEGIN}` and `{END}`, between which the figures would stand",
                page.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        };
        fs::write(&page, text)?;
        fs::write(directory.join(self.picture), picture::draw(panels))
    }
}

/// Writes the figures of connections and messages into their page in `directory`.
///
/// # Errors
/// When a file cannot be read or written, or the page has no place for figures.
pub fn write(
    directory: &Path,
    circumstances: &Circumstances,
    field: &Field,
    contests: &[Contest],
) -> io::Result<()> {
    let figures = figures(circumstances, field, contests);
    CONNECTIONS.write(directory, &figures, &panels(contests))
}

/// `page` with `figures` between the marks; `None` when it has no marks.
fn put(page: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}{END}{after}"))
}

fn figures(circumstances: &Circumstances, field: &Field, contests: &[Contest]) -> String {
    let mut text = circumstances.paragraphs(&versions());
    let picture = CONNECTIONS.picture;
    for (variant, reason) in field.left_out() {
        let _infallible = writeln!(text, "\nLeft out: {variant}: {reason}.");
    }
    let verdicts: Vec<_> = contests.iter().flat_map(goals::judge).collect();
    let _infallible = write!(
        text,
        "\n![Rates by those of the base, and latencies while a worker is stopped]({picture})\n\n\
         ### Goals\n\n{}\n",
        markdown::goals(&verdicts)
    );
    for contest in contests {
        text.push_str(&markdown::section(contest));
        text.push('\n');
    }
    text
}

/// What is worth a picture.
fn panels(contests: &[Contest]) -> Vec<Panel> {
    let of = |part, league| {
        let mut held = contests.iter();
        held.find(|contest| contest.part == part && contest.league == league)
    };
    let rates = [
        (
            League::Native,
            "Native programs: connections/s, shared listener = 1",
        ),
        (
            League::Node,
            "Node programs: connections/s, Node's own round robin = 1",
        ),
        (
            League::Scripts,
            "Python and Ruby: connections/s, uvicorn = 1",
        ),
    ];
    let rates = rates.into_iter().filter_map(|(league, title)| {
        let contest = of(Part::Saturated, league)?;
        let rate = |one: Variant| contest.ratio(one, one.base(), |sample| sample.rate);
        Some(panel(contest, title, Scale::Linear, Some(1.0), rate))
    });
    let stopped = of(Part::Stopped, League::Native).map(|contest| {
        let title =
            "One of two workers stopped for 1 s of 3: p99 in ms (each step is ten times more)";
        let millis = |sample: &Sample| sample.p99 / 1000.0;
        let p99 = |one: Variant| contest.median(one, millis);
        panel(contest, title, Scale::Logarithmic, None, p99)
    });
    rates.chain(stopped).collect()
}

fn panel(
    contest: &Contest,
    title: &str,
    scale: Scale,
    mark: Option<f64>,
    value: impl Fn(Variant) -> crate::statistics::Median,
) -> Panel {
    let bar = |variant: Variant| Bar {
        name: variant.name().to_owned(),
        value: value(variant),
        is_ours: variant.is_ours(),
    };
    Panel {
        title: title.to_owned(),
        scale,
        mark,
        bars: contest.variants().map(bar).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn contest() -> Contest {
        let mut contest = Contest::new(Part::Saturated, League::Native);
        let sample = |rate| Sample {
            rate,
            ..Sample::default()
        };
        let herd = Variant::HerderNative(crate::variant::Dispatch::Pass);
        contest.samples = BTreeMap::from([
            (Variant::BareShared, vec![sample(1000.0)]),
            (herd, vec![sample(900.0)]),
        ]);
        contest
    }

    #[test]
    fn what_stands_around_the_figures_stays() {
        let scene = herder_e2e::scene::Scene::new("guide");
        let (directory, page) = (scene.directory(), scene.directory().join(CONNECTIONS.file));
        let mut circumstances = Circumstances::now("herder-bench --short".to_owned());
        circumstances.load = 3.5;
        let write = |circumstances: &Circumstances| {
            write(directory, circumstances, &Field::default(), &[contest()])
        };
        fs::write(&page, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
        write(&circumstances).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert!(
            text.starts_with("before\n") && text.ends_with("\nafter\n"),
            "{text}"
        );
        assert!(!text.contains("old"), "{text}");
        assert!(text.contains("by `herder-bench --short`."), "{text}");
        assert!(text.contains("**Not final:**"), "{text}");
        assert!(
            text.contains("| herder-pass | 900 | 0.90 (0.90..0.90) |"),
            "{text}"
        );
        assert!(
            text.contains("| rate, herder-pass : bare-shared | 0.90"),
            "{text}"
        );
        let picture = fs::read_to_string(directory.join(CONNECTIONS.picture)).unwrap();
        assert!(picture.contains(">herder-pass</text>"), "{picture}");
        // Again: what was ours is replaced.
        circumstances.load = 0.0;
        write(&circumstances).unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert_eq!(text.matches("### Goals").count(), 1, "{text}");
        assert!(!text.contains("**Not final:**"), "{text}");
        fs::write(&page, "no place").unwrap();
        let error = write(&circumstances).unwrap_err().to_string();
        assert!(
            error.contains("performance.md has no lines `<!-- what"),
            "{error}"
        );
    }
}
