//! What asks the daemon, beside each other. Each ends when nobody wants to be told any more.

use std::time::Duration;

use herder_api::control::{Action, LogLine, Progress};
use herder_client::{Client, Error, Lines, LogQuery};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use crate::monit::model::Input;
use crate::monit::model::deeds::unfinished;

/// How often the apps are looked at, and a daemon that is gone is looked for.
const LOOK: Duration = Duration::from_secs(1);

/// How long a daemon may take to answer until it is said that it does not.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long an app is chosen before its log is asked for: others may only be passed by.
const REST: Duration = Duration::from_millis(120);

/// How long lines are collected, so that many are one change.
const COLLECT: Duration = Duration::from_millis(30);

/// How many lines are told at once.
const TOLD: usize = 500;

/// How many incidents of an app are asked for.
const PAST: u32 = 50;

/// Nobody wants to be told any more.
struct Unheard;

async fn tell(to: &Sender<Input>, input: Input) -> Result<(), Unheard> {
    to.send(input).await.map_err(|_| Unheard)
}

/// Watches the daemon and its apps, and looks for it when it is gone.
pub(super) async fn watch(client: Client, to: Sender<Input>) {
    loop {
        let Ok(why) = watch_one(&client, &to).await else {
            return;
        };
        if tell(&to, Input::Lost(why)).await.is_err() {
            return;
        }
        sleep(LOOK).await;
    }
}

/// Watches a daemon until it is gone. Returns why.
async fn watch_one(client: &Client, to: &Sender<Input>) -> Result<String, Unheard> {
    let daemon = match patiently(client.daemon()).await {
        Ok(daemon) => daemon,
        Err(why) => return Ok(why),
    };
    let mut events = match patiently(client.events()).await {
        Ok(events) => events,
        Err(why) => return Ok(why),
    };
    tell(to, Input::Found(daemon)).await?;
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => tell(to, Input::Event(event)).await?,
                Some(Err(error)) => return Ok(error.problem().message.clone()),
                None => return Ok("It has ended.".to_owned()),
            },
            _ = tick.tick() => match patiently(client.apps(&[])).await {
                Ok(apps) => tell(to, Input::Apps(apps)).await?,
                Err(why) => return Ok(why),
            },
        }
    }
}

/// The answer, or why there is none.
async fn patiently<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(error.problem().message.clone()),
        Err(_late) => Err("It does not answer.".to_owned()),
    }
}

/// Has something done, and tells how far it is.
pub(super) async fn act(client: Client, to: Sender<Input>, deed: u64, action: Action) {
    let why = match client.act(&action).await {
        Ok(mut lines) => match course(&mut lines, &to, deed).await {
            Ok(None) | Err(Unheard) => return,
            Ok(Some(why)) => why,
        },
        Err(error) => error.problem().clone(),
    };
    let _unheard = tell(&to, Input::DeedLost { deed, why }).await;
}

/// Returns why its end is not known, if so.
async fn course(
    lines: &mut Lines<Progress>,
    to: &Sender<Input>,
    deed: u64,
) -> Result<Option<herder_api::Problem>, Unheard> {
    let mut ended = false;
    while let Some(news) = lines.next().await {
        match news {
            Ok(news) => {
                ended |= matches!(news, Progress::End { .. });
                tell(to, Input::Progress { deed, news }).await?;
            }
            Err(error) => return Ok(Some(error.problem().clone())),
        }
    }
    Ok((!ended).then(unfinished))
}

/// Follows a log.
pub(super) async fn follow(client: Client, to: Sender<Input>, follow: u64, query: LogQuery) {
    sleep(REST).await;
    let why = match client.logs(&query).await {
        Ok(mut lines) => match collect(&mut lines, &to, follow).await {
            Ok(why) => why,
            Err(Unheard) => return,
        },
        Err(error) => Some(error.problem().message.clone()),
    };
    let _unheard = tell(&to, Input::LinesEnded { follow, why }).await;
}

/// Returns why there are no more, if that is known.
async fn collect(
    from: &mut Lines<LogLine>,
    to: &Sender<Input>,
    follow: u64,
) -> Result<Option<String>, Unheard> {
    let mut end = None;
    while end.is_none() {
        let mut lines = Vec::new();
        let mut next = from.next().await;
        let until = Instant::now() + COLLECT;
        loop {
            match next {
                Some(Ok(line)) => lines.push(line),
                Some(Err(error)) => end = Some(Some(error.problem().message.clone())),
                None => end = Some(None),
            }
            if end.is_some() || lines.len() >= TOLD {
                break;
            }
            // What is given up after this time is not lost: it comes with the next.
            let Ok(more) = timeout_at(until, from.next()).await else {
                break;
            };
            next = more;
        }
        if !lines.is_empty() {
            tell(to, Input::Lines { follow, lines }).await?;
        }
    }
    Ok(end.flatten())
}

/// Asks for all that is known of an app. If it is gone, the list says so.
pub(super) async fn look(client: Client, to: Sender<Input>, name: String) {
    if let Ok(detail) = patiently(client.app(&name)).await {
        let _unheard = tell(&to, Input::Detail(Box::new(detail))).await;
    }
}

/// Asks for what happened to an app before. If it is not told, there is less to see.
pub(super) async fn recall(client: Client, to: Sender<Input>, app: String) {
    if let Ok(past) = patiently(client.history(&app, PAST)).await {
        let _unheard = tell(&to, Input::Past { app, past }).await;
    }
}
