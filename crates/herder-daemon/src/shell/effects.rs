//! What the books want done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use herder_api::control::Progress;
use herder_api::herd::HerdOrder;
use tokio::sync::mpsc;

use super::files;
use super::herd::{Life, Order, follow};
use super::keeper::{self, Found, Holders, Keeper};
use super::{BUSY, Shell};
use crate::books::{AppId, CourseId, Do, End, News};
use crate::lock::Mark;

/// How long what can be found out again may wait until it is written: more may come.
const JOT: Duration = Duration::from_millis(50);

impl Shell {
    /// Does what the books want done, and what they want done after that. The list is written down before
    /// anybody hears of it.
    pub(super) fn act(&mut self) {
        while self.act_once() {}
        self.holders = None;
        if self.jot_at.is_some_and(|at| at <= Instant::now()) {
            self.jot_at = None;
            self.write_down();
        }
    }

    fn act_once(&mut self) -> bool {
        let mut actions = Vec::new();
        while let Some(action) = self.books.poll_action() {
            actions.push(action);
        }
        let has_some = !actions.is_empty();
        if actions.contains(&Do::Save) {
            // What is started may begin while the disk is waited for. (But where one is forgotten, another may
            // have its name next.)
            if !actions.iter().any(|it| matches!(it, Do::Forget { .. })) {
                let launches = actions.extract_if(.., |it| self.books.may_go_ahead(it));
                let launches: Vec<Do> = launches.collect();
                for launch in launches {
                    self.perform(launch);
                }
            }
            self.jot_at = None;
            self.write_down();
        }
        for action in actions {
            self.perform(action);
        }
        has_some
    }

    /// Writes the list, if something of it is not written.
    pub(super) fn finish_list(&mut self) {
        if self.jot_at.take().is_some() {
            self.write_down();
        }
    }

    fn perform(&mut self, action: Do) {
        match action {
            Do::Launch { id, life, order } => self.launch(id, life, &order),
            Do::Adopt { id, life, order } => self.adopt(id, life, &order),
            Do::WriteOrder { order } => {
                if let Err(error) = keeper::write_order(&self.home, &order) {
                    let text = format!("its order cannot be written: {error}");
                    self.journal
                        .note(&order.app.name, "warning", "warning", text);
                }
            }
            Do::Ask {
                id,
                life,
                request,
                what,
            } => self.command(id, life, Order::Ask(request, what)),
            Do::End { id, life, how } => self.command(id, life, Order::End(how)),
            Do::Flush { definition } => files::flush(&definition.app, &self.home.logs_path()),
            Do::Forget { name } => {
                if let Err(error) = keeper::forget(&self.home, &name) {
                    let text = format!("what was kept for it cannot be removed: {error}");
                    self.journal.note(&name, "warning", "warning", text);
                }
            }
            Do::Tell { course, progress } => self.tell(course, progress),
            Do::Close { course } => {
                self.rest_at = Some(Instant::now() + BUSY);
                self.streams.remove(&course);
                if self.upgrades.remove(&course) {
                    self.leaving = Some(Mark::Upgrade);
                }
            }
            Do::Save => {}
            Do::Jot => self.jot_at = self.jot_at.or_else(|| Some(Instant::now() + JOT)),
            Do::Note {
                app,
                event,
                level,
                message,
            } => self.journal.note(&app, event, level, message),
            Do::Leave => self.leaving = Some(Mark::Ended),
        }
    }

    /// Who does not read misses slots and notes, but never how it ended.
    fn tell(&mut self, course: CourseId, progress: Progress) {
        self.note_reload(course, &progress);
        let Some(stream) = self.streams.get(&course) else {
            return;
        };
        let is_detail = matches!(progress, Progress::Slot { .. } | Progress::Note { .. });
        if is_detail && stream.capacity() < stream.max_capacity() / 2 {
            return;
        }
        if let (Progress::End { .. }, Some(unwritten)) = (&progress, &self.unwritten) {
            drop(stream.try_send(unwritten.note()));
        }
        // Without a reader it goes on all the same.
        drop(stream.try_send(progress));
    }

    fn command(&mut self, id: AppId, life: u64, order: Order) {
        if let Some((known, orders)) = self.herds.get(&id)
            && *known == life
        {
            // One that has ended says so itself.
            drop(orders.send(order));
        }
    }

    fn launch(&mut self, id: AppId, life: u64, order: &HerdOrder) {
        match keeper::start(&self.home, &self.executable, order) {
            Ok(keeper) => self.follow(id, life, order, Some(keeper)),
            Err(why) => self.post(
                id,
                life,
                News::Gone {
                    end: End::NotStarted(why),
                    complaint: Vec::new(),
                },
            ),
        }
    }

    fn adopt(&mut self, id: AppId, life: u64, order: &HerdOrder) {
        let name = &order.app.name;
        let holders = self.holders.get_or_insert_with(Holders::look);
        match holders.find(&self.home, name) {
            Ok(Found::Keeper(keeper)) => {
                // What a daemon wanted that died meanwhile counts no more.
                if let Err(error) = keeper::write_order(&self.home, order) {
                    let text = format!("its order cannot be written: {error}");
                    self.journal.note(name, "warning", "warning", text);
                }
                self.follow(id, life, order, keeper);
            }
            Ok(Found::Nobody) => self.post(id, life, News::Absent),
            Err(error) => {
                let text = format!("its lock cannot be looked at: {error}");
                self.journal.note(name, "warning", "warning", text);
                self.post(id, life, News::Absent);
            }
        }
    }

    fn follow(&mut self, id: AppId, life: u64, order: &HerdOrder, keeper: Option<Keeper>) {
        let (orders, receiver) = mpsc::unbounded_channel();
        self.herds.insert(id, (life, orders));
        tokio::spawn(follow(Life {
            id,
            life,
            name: order.app.name.clone(),
            socket: order.socket.clone(),
            keeper,
            home: Arc::clone(&self.home),
            inbox: self.inbox.0.clone(),
            orders: receiver,
            bell: self.bell.clone(),
            journal: self.journal.clone(),
            logs: herder_logs::Settings::of(&order.app, &order.log_dir).ok(),
        }));
    }

    fn post(&self, id: AppId, life: u64, news: News) {
        // The receiver is ours.
        drop(self.inbox.0.send((id, life, news)));
    }
}

/// How long a look at what processes use is good for.
pub(super) const MEMORY: Duration = Duration::from_secs(3600);
