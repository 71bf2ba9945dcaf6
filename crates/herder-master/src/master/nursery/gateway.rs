//! What a gateway is made from.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use herder_core::spec::AppName;
use herder_sys::fd;
use herder_wire::plan::{DescriptorUse, Identity, LaunchPlan, Limit, LimitKind, Role};

use super::draft::Draft;
use crate::dispatch::Berths;
use crate::launch;
use crate::master::crew::MemberId;

/// Everything that a new gateway is made from.
pub(in crate::master) struct GatewayRecipe {
    pub(in crate::master) app: AppName,
    /// The listeners with their names; every life of the gateway gets duplicates.
    pub(in crate::master) listeners: Vec<(String, OwnedFd)>,
    /// Where each gateway has listeners of its own.
    pub(in crate::master) berths: Option<Berths>,
    /// The directory of the app's own page.
    pub(in crate::master) page: Option<OwnedFd>,
    /// Whose rights it has; `None` = the master's.
    pub(in crate::master) identity: Option<Identity>,
    /// How many descriptors it may open.
    pub(in crate::master) open_files: u64,
}

impl GatewayRecipe {
    pub(super) fn close_listeners(&mut self) {
        self.listeners.clear();
    }

    pub(super) fn draft(&self, id: MemberId) -> io::Result<Draft> {
        let app = self.app.to_string();
        let plan = LaunchPlan {
            slot: id.worker.slot.0,
            incarnation: id.worker.incarnation.0,
            title: format!("herder: gateway {app}"),
            // It reads what strangers send: the secrets of the app are not within its reach.
            environment: vec![(b"HERDER_APP".to_vec(), app.clone().into_bytes())],
            // It opens no file by its path, so that it needs no place of its own.
            directory: Some(b"/".to_vec()),
            identity: self.identity.clone(),
            limits: vec![Limit {
                kind: LimitKind::OpenFiles,
                soft: self.open_files,
                hard: self.open_files,
            }],
            ..launch::bare_plan(Role::Gateway, &app)
        };
        let mut draft = Draft::new(plan);
        draft.give_control(id)?;
        if let Some(berths) = &self.berths {
            let own = berths.start(id.worker)?.into_values();
            let own: Vec<_> = own.map(|(local, fd)| (local.to_string(), fd)).collect();
            draft.give_listeners(&own)?;
        }
        draft.give_listeners(&self.listeners)?;
        if let Some(page) = &self.page {
            draft.give(DescriptorUse::Page, fd::duplicate(page.as_fd())?);
        }
        Ok(draft)
    }
}
