//! What the decisions about an app depend on.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use herder_api::app::{Delay, Max, Ready, Restart, Workers};
use herder_api::units::Period;
use herder_core::spec::{
    AppName, AppSpec, DelayGrowth, DispatchMode, LifePolicy, Readiness, RecyclePolicy,
    ReloadPolicy, RestartPolicy, RestartWhen, WorkerCount,
};

use super::description::Description;
use super::error::RunError;

/// The policies of an app. `ready_after`: after how long a worker that says nothing is taken for ready: the
/// setting, what it is, and what it is usually.
pub(super) fn spec(
    description: &Description,
    name: AppName,
    ready_after: (&'static str, Option<Period>, Duration),
) -> Result<AppSpec, RunError> {
    let (field, given, usual) = ready_after;
    let ready_after = description.duration(field, given, usual)?;
    let mut spec = AppSpec::new(name, workers(description)?);
    spec.dispatch.mode = DispatchMode::Shared;
    spec.life = life(description, ready_after)?;
    check_readiness(description, field, ready_after, spec.life.boot_timeout)?;
    spec.restart = restart(description)?;
    spec.recycle = recycle(description)?;
    spec.reload = reload(description)?;
    Ok(spec)
}

fn check_readiness(
    description: &Description,
    field: &'static str,
    after: Duration,
    limit: Duration,
) -> Result<(), RunError> {
    if description.app.ready == Ready::Alive && after >= limit {
        return Err(RunError::ReadyTooLate {
            setting: description.setting(field),
            after,
            limit,
        });
    }
    Ok(())
}

fn workers(description: &Description) -> Result<WorkerCount, RunError> {
    let count = match description.app.workers {
        Workers::Max(Max::Max) => {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            cpus.min(WorkerCount::MAX.into())
        }
        Workers::Count(count) => count.into(),
    };
    WorkerCount::new(count).map_err(|error| RunError::Wrong {
        setting: description.setting("workers"),
        problem: error.to_string(),
    })
}

fn life(description: &Description, ready_after: Duration) -> Result<LifePolicy, RunError> {
    let (app, usual) = (&description.app, LifePolicy::default());
    let hang = description.limit("watchdog", app.watchdog)?;
    Ok(LifePolicy {
        readiness: match app.ready {
            Ready::Notify => Readiness::Message,
            Ready::Alive => Readiness::MessageOrAlive(ready_after),
        },
        boot_timeout: description.duration("boot_timeout", app.boot_timeout, usual.boot_timeout)?,
        grace: description.duration("grace", app.grace, usual.grace)?,
        hang,
        // A silent worker gets as long again to come back, but not longer than usual.
        hang_kill: hang.map_or(usual.hang_kill, |hang| hang.min(usual.hang_kill)),
        stop_signal: match &app.stop_signal {
            None => usual.stop_signal,
            Some(name) => description.parsed("stop_signal", name)?,
        },
        max_silence: description.limit("max_silence", app.max_silence)?,
        ..usual
    })
}

fn restart(description: &Description) -> Result<RestartPolicy, RunError> {
    let (app, usual) = (&description.app, RestartPolicy::default());
    let window = description.duration("restart_window", app.restart_window, usual.window)?;
    let (growth, first_delay, max_delay) = match app.restart_delay {
        // Without any delay a program that cannot live would keep the machine busy.
        None | Some(Delay::Fixed(Period(Duration::ZERO))) => {
            (usual.growth, usual.first_delay, usual.max_delay)
        }
        Some(Delay::Fixed(time)) => (DelayGrowth::Fixed, time.0, time.0),
        Some(Delay::Growing { first, max }) if first <= max => {
            (DelayGrowth::Doubling, first.0, max.0)
        }
        Some(Delay::Growing { first, max }) => {
            return Err(RunError::Wrong {
                setting: description.setting("restart_delay"),
                problem: format!("it cannot grow from {first} to {max}; make max the longer one"),
            });
        }
    };
    Ok(RestartPolicy {
        when: match app.restart {
            Restart::Always => RestartWhen::Always,
            Restart::OnFailure => RestartWhen::OnFailure,
            Restart::Never => RestartWhen::Never,
        },
        final_codes: app.stop_exit_codes.iter().copied().collect(),
        growth,
        stable: app.min_uptime.map_or(usual.stable, |time| time.0),
        first_delay,
        max_delay,
        max_restarts: app.max_restarts.map_or(usual.max_restarts, NonZeroU32::new),
        window,
        retry: window,
        ..usual
    })
}

fn recycle(description: &Description) -> Result<RecyclePolicy, RunError> {
    let app = &description.app;
    Ok(RecyclePolicy {
        max_requests: None,
        max_lifetime: description.limit("max_lifetime", app.max_lifetime)?,
        max_memory: app.max_memory.and_then(|size| NonZeroU64::new(size.0)),
    })
}

fn reload(description: &Description) -> Result<ReloadPolicy, RunError> {
    let (app, usual) = (&description.app, ReloadPolicy::default());
    let at_least_one = |field, given: Option<u16>, usual: NonZeroU16| match given {
        None => Ok(usual),
        Some(given) => NonZeroU16::new(given).ok_or_else(|| RunError::Wrong {
            setting: description.setting(field),
            problem: "use a whole number from 1 to 65535".to_owned(),
        }),
    };
    Ok(ReloadPolicy {
        surge: at_least_one("surge", app.surge, usual.surge)?,
        max_unavailable: app.max_unavailable.unwrap_or(usual.max_unavailable),
        soak: app.soak.map_or(usual.soak, |time| time.0),
        latch: app.reload_latch.map_or(usual.latch, |time| time.0),
        max_generations: at_least_one(
            "max_generations",
            app.max_generations,
            usual.max_generations,
        )?,
    })
}
