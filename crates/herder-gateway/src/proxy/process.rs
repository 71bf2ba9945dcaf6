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
use crate::control::{Channel, Inbox};
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
    let Beginning {
        channel,
        mut inbox,
        listeners,
        ..
    } = beginning;
    let mut settings = match serde_json::from_slice::<ProxySettings>(&beginning.settings) {
        Ok(settings) => settings,
        Err(error) => return fail(&app, &format!("its settings make no sense: {error}")),
    };
    settings.number = beginning.number;
    let first = match &settings.tls {
        Some(tls) => certificates::first(&mut inbox, tls).await.map(Some),
        None => Ok(None),
    };
    let first = match first {
        Ok(first) => first,
        Err(fault) => return fail(&app, &format!("it cannot go on with this master: {fault}")),
    };
    let mut desk = match Desk::new(&app, settings, first.as_ref(), listeners, voice(channel)) {
        Ok(desk) => desk,
        Err(error) => return fail(&app, &error),
    };
    let Some(mut news) = desk.news() else {
        return fail(&app, &"somebody else reads the news of the workers");
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
                    return fail(&app, &error);
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
                return fail(&app, &format!("it cannot go on with this master: {fault}"));
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
