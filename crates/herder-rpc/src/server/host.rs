//! What all connections of a library share.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use herder_wire::rpc::{CallError, ErrorKind, Executed, MethodKind, Signature, Target};
use tokio::sync::Notify;

use super::call::Call;
use super::gate::Gate;
use super::pulse::Pulse;
use super::{LibraryIdentity, Object};
use crate::Caller;

/// In what time panics are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// What all connections of a library share.
pub(super) struct Host {
    pub(super) identity: LibraryIdentity,
    /// Hash of the signature.
    pub(super) hash: String,
    /// The signature, as it is sent.
    pub(super) document: Bytes,
    pub(super) pulse: Pulse,
    objects: Vec<Hosted>,
    callers: Mutex<HashMap<Arc<Caller>, usize>>,
    panics: Mutex<VecDeque<Instant>>,
    max_panics: usize,
    broken: Notify,
}

struct Hosted {
    object: Arc<dyn Object>,
    methods: Vec<Arc<Method>>,
}

/// One method of one object.
pub(super) struct Method {
    pub(super) object: Arc<dyn Object>,
    pub(super) number: u16,
    pub(super) kind: MethodKind,
    pub(super) gate: Arc<Gate<Call>>,
}

impl Host {
    /// The objects by name, of which `signature` is made.
    pub(super) fn new(
        identity: LibraryIdentity,
        signature: &Signature,
        mut objects: HashMap<String, Arc<dyn Object>>,
        max_panics: usize,
    ) -> Arc<Self> {
        {
            let named = signature.objects.iter();
            let hosted = named.filter_map(|(name, object_signature)| {
                let object = objects.remove(name)?;
                let methods = object_signature.methods.values().map(|method| {
                    Arc::new(Method {
                        object: Arc::clone(&object),
                        number: method.id,
                        kind: method.kind,
                        gate: Gate::new(object.limits(method.id)),
                    })
                });
                let methods = methods.collect();
                Some(Hosted { object, methods })
            });
            Arc::new(Self {
                objects: hosted.collect(),
                identity,
                hash: signature.hash.clone(),
                document: signature.to_json(),
                pulse: Pulse::default(),
                callers: Mutex::default(),
                panics: Mutex::default(),
                max_panics,
                broken: Notify::new(),
            })
        }
    }

    /// The method that a frame names.
    pub(super) fn method(&self, target: Target) -> Result<&Arc<Method>, CallError> {
        let object = self
            .objects
            .get(usize::from(target.object))
            .ok_or_else(|| {
                let message = format!("there is no object {}", target.object);
                CallError::new(ErrorKind::NoObject, Executed::No, message)
            })?;
        object
            .methods
            .get(usize::from(target.method))
            .ok_or_else(|| {
                let message = format!("the object has no method {}", target.method);
                CallError::new(ErrorKind::NoMethod, Executed::No, message)
            })
    }

    /// All entrances.
    pub(super) fn gates(&self) -> impl Iterator<Item = &Gate<Call>> {
        self.objects
            .iter()
            .flat_map(|object| &object.methods)
            .map(|method| &*method.gate)
    }

    /// A caller opened a connection.
    pub(super) fn arrived(&self, caller: &Arc<Caller>) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        *callers.entry(Arc::clone(caller)).or_default() += 1;
    }

    /// A connection of a caller ended. With its last one the objects learn of it.
    pub(super) fn left(&self, caller: &Arc<Caller>) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = callers.get_mut(caller) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        callers.remove(caller);
        drop(callers);
        for hosted in &self.objects {
            let told = std::panic::AssertUnwindSafe(|| hosted.object.worker_down(caller));
            if std::panic::catch_unwind(told).is_err() {
                self.panicked();
            }
        }
    }

    /// A method panicked. Too often, and the library is better started anew.
    pub(super) fn panicked(&self) {
        let now = Instant::now();
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        panics.retain(|at| now.duration_since(*at) < MINUTE);
        panics.push_back(now);
        if panics.len() >= self.max_panics {
            panics.clear();
            self.broken.notify_one();
        }
    }

    /// Ends when too many methods have panicked.
    pub(super) async fn broken(&self) {
        self.broken.notified().await;
    }
}
