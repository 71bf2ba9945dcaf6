//! A proxy's life, as the master directs it: the fronts on the one side, the control channel on the
//! other.

mod certificates;
mod desk;
mod voice;

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use herder_wire::control::ToMaster;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::settings::ProxySettings;
use crate::control::{Channel, ControlFault, Inbox};
use crate::gateway::{FAILED, Leave, Signals, fail};
use desk::{Desk, Next};
use voice::voice;

/// How often the master hears that this process turns.
const BEAT: Duration = Duration::from_secs(1);

/// How long clients are waited for when there is no master any more.
const FAREWELL: Duration = Duration::from_millis(500);

/// What a proxy begins with.
pub(crate) struct Beginning {
    pub(crate) app: String,
    /// Which of the app's gateways it is, from 0.
    pub(crate) number: u16,
    pub(crate) channel: Rc<Channel>,
    pub(crate) inbox: Inbox,
    /// The listeners with their addresses.
    pub(crate) listeners: Vec<(String, OwnedFd)>,
    /// As JSON.
    pub(crate) settings: Vec<u8>,
}

/// Lives until the master says otherwise, and returns the exit status.
pub(crate) async fn live(beginning: Beginning, signals: Signals) -> u8 {
    let app = beginning.app.clone();
    match begin(beginning).await {
        Ok((desk, inbox)) => go_on(&app, desk, inbox, signals).await,
        Err(problem) => fail(&app, &problem),
    }
}

/// Sets the desk up, with the first certificates where it needs some.
async fn begin(beginning: Beginning) -> Result<(Desk, Inbox), String> {
    let Beginning {
        app,
        number,
        channel,
        mut inbox,
        listeners,
        settings,
    } = beginning;
    let mut settings: ProxySettings = serde_json::from_slice(&settings)
        .map_err(|error| format!("its settings make no sense: {error}"))?;
    settings.number = number;
    let first = match &settings.tls {
        Some(tls) => Some(certificates::first(&mut inbox, tls).await.map_err(ended)?),
        None => None,
    };
    let desk = Desk::new(&app, settings, first.as_ref(), listeners, voice(channel));
    let desk = desk.map_err(|error| error.to_string())?;
    Ok((desk, inbox))
}

/// Why it ends that the master directs it.
fn ended(fault: ControlFault) -> String {
    format!("it cannot go on with this master: {fault}")
}

/// Serves, as the master directs it.
async fn go_on(app: &str, mut desk: Desk, mut inbox: Inbox, signals: Signals) -> u8 {
    let Some(mut news) = desk.news() else {
        return fail(app, &"somebody else reads the news of the workers");
    };
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    desk.say(ToMaster::Ready);
    loop {
        let (linger, leaves_by) = (desk.linger(), desk.leaves_by());
        let order = tokio::select! {
            biased;
            order = inbox.next() => order,
            leave = signals.leave() => match leave {
                Leave::Asked(wish) => {
                    desk.say(wish);
                    continue;
                }
                Leave::AtOnce => return FAILED,
            },
            Some(news) = news.recv() => {
                desk.report(news);
                continue;
            }
            Some(served) = desk.next_door() => {
                if let Err(error) = served {
                    return fail(app, &error);
                }
                if desk.is_empty() {
                    desk.empty(&mut news);
                    if leaves_by.is_some() {
                        return 0;
                    }
                }
                continue;
            }
            () = at(linger) => {
                desk.part();
                continue;
            }
            // Who is still here is cut off.
            () = at(leaves_by) => return 0,
            _ = beat.tick() => {
                desk.say(ToMaster::Beat);
                continue;
            }
        };
        match order.and_then(|order| desk.obey(order)) {
            Ok(Next::Continue) => {}
            Ok(Next::Leave(within)) => desk.leave(within),
            Err(fault) => {
                desk.farewell(FAREWELL).await;
                return fail(app, &ended(fault));
            }
        }
    }
}

/// Waits for a moment, if there is one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
