//! A herd has ended.

use herder_api::Problem;
use herder_api::problem::ProblemKind;

use super::Books;
use super::entry::{Entry, Kind, Phase};
use super::list::Rest;
use super::word::{AppId, End, Now};

/// The longest wait before a herd is started again.
const LONGEST: u64 = 60_000;

/// A herd that served for so long was well.
const WELL: u64 = 60_000;

/// How often a keeper that was killed before its app was ever ready is started again.
const SHOTS: u32 = 3;

/// How many lines of complaints are shown.
const LINES: usize = 20;

impl Books {
    pub(super) fn gone(&mut self, id: AppId, end: &End, complaint: Vec<String>, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let was_online = entry.phase == Phase::Online;
        entry.connected = false;
        carry(entry);
        let was_shot = was_shot(entry, end);
        let problem = problem(entry, end, complaint);
        let outcome = entry.finished.take().map(|(outcome, _)| outcome);
        self.fail_requests(id, now);
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        match entry.task.as_ref().map(|task| task.kind) {
            Some(Kind::Holds(_) | Kind::Stop { .. }) => return self.finish_stop(id, now),
            Some(Kind::Start) | None => {}
        }
        match outcome.as_deref() {
            Some("completed") => return self.complete(id, now),
            // A job is done once, for better or worse.
            Some("failed") => return self.fail_start(id, problem, now),
            _ => {}
        }
        if !entry.proven && !was_shot {
            return self.fail_start(id, problem, now);
        }
        if was_online && now.mono.saturating_sub(entry.online_at) >= WELL {
            entry.retries = 0;
        }
        let delay = LONGEST.min(1000 << entry.retries.min(6));
        entry.retries = entry.retries.saturating_add(1);
        entry.phase = Phase::Retries {
            at: now.mono + delay,
        };
        entry.herd = None;
        entry.note = Some(problem.message.clone());
        entry.carried.0 += 1;
        entry.carried.1 += 1;
        let (name, task) = (entry.name().to_owned(), entry.task.take());
        let text = &problem.message;
        let message = format!("{name} ended: {text}; it is started again in {delay} ms");
        self.note(&name, "herd_lost", "warning", message);
        if let Some(task) = task {
            let problem = problem.hint("it is started again, as nobody told it to end");
            self.settle_all(&task.courses, &name, &Err(problem), now);
        }
    }

    /// It has done what it was to do.
    fn complete(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.phase = Phase::Rests;
        entry.rest = Rest::Done;
        entry.herd = None;
        entry.since = Some(now.wall);
        entry.note = None;
        let (name, task) = (entry.name().to_owned(), entry.task.take());
        self.note(&name, "app_stopped", "info", format!("{name} is done"));
        self.save();
        if let Some(task) = task {
            let took = now.mono.saturating_sub(task.since);
            let text = format!("done in {took} ms");
            self.settle_all(&task.courses, &name, &Ok(text), now);
        }
    }

    /// What the herd was asked for nobody answers any more.
    pub(super) fn fail_requests(&mut self, id: AppId, now: Now) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        let open: Vec<u64> = entry.requests.keys().copied().collect();
        for request in open {
            let problem = Problem::new(ProblemKind::Failed, "it ended meanwhile");
            self.answered(id, request, Err(problem), now);
        }
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.trial.take().is_some()
        {
            self.save();
        }
    }
}

/// Whether somebody killed the keeper at its start, which says nothing of the app.
fn was_shot(entry: &Entry, end: &End) -> bool {
    let is_silent = entry.finished.is_none() && entry.verdict.is_none();
    matches!(end, End::Signal(_)) && is_silent && entry.retries < SHOTS
}

/// What is counted of a herd is counted of the app.
fn carry(entry: &mut Entry) {
    for slot in entry.herd.iter().flat_map(|herd| &herd.slots) {
        entry.carried.0 += slot.restarts;
        entry.carried.1 += slot.failures;
    }
    entry.herd = None;
}

/// Why a herd that was to run does not.
fn problem(entry: &mut Entry, end: &End, mut complaint: Vec<String>) -> Problem {
    if let Some(verdict) = entry.verdict.take() {
        return verdict;
    }
    let finished = entry.finished.clone();
    let kind = match (end, &finished) {
        (End::Code(2), _) => ProblemKind::Invalid,
        (End::Code(3), _) => ProblemKind::BootFailed,
        (End::Code(4), _) => ProblemKind::CannotListen,
        (End::NotStarted(_), _) => ProblemKind::Internal,
        (_, Some((outcome, _))) if outcome == "boot_failed" => ProblemKind::BootFailed,
        (End::Code(_) | End::Signal(_) | End::Unknown, _) => ProblemKind::Failed,
    };
    complaint.retain(|line| !line.trim().is_empty());
    let excess = complaint.len().saturating_sub(LINES);
    complaint.drain(..excess);
    // One that was killed had no time to say so: what it said last is of something else.
    let was_killed = matches!(end, End::Signal(_))
        || (*end == End::Unknown && entry.proven && finished.is_none());
    if was_killed {
        complaint.clear();
    }
    let said = complaint.last().map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("herder: ").unwrap_or(line);
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    });
    let message = match (kind, end, said) {
        (_, End::NotStarted(why), _) => format!("its keeper cannot be started: {why}"),
        (_, _, Some(said)) => said,
        (ProblemKind::BootFailed, _, None) => "no worker of it became ready".to_owned(),
        (_, _, None)
            if finished
                .as_ref()
                .is_some_and(|(outcome, _)| outcome == "failed") =>
        {
            "it failed, and is not to be started again".to_owned()
        }
        (_, End::Code(code), None) => format!("its keeper ended with the exit status {code}"),
        (_, End::Signal(signal), None) => {
            let name = herder_sys::signal::Signal::from_number(*signal);
            let name = name.map_or_else(|| format!("signal {signal}"), |it| it.name().to_owned());
            format!("its keeper was ended by {name}")
        }
        (_, End::Unknown, None) => "its keeper has ended, and nobody saw how".to_owned(),
    };
    let mut problem = Problem::new(kind, message);
    problem.last_lines = match finished {
        Some((_, lines)) if !lines.is_empty() => lines,
        _ => complaint,
    };
    if kind == ProblemKind::BootFailed && problem.last_lines.is_empty() {
        let name = entry.name();
        problem.hint = Some(format!("`herder history {name}` says how they ended"));
    }
    problem
}
