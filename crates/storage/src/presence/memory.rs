//! Who lives in this process whose checkpoints lie in its memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::Living;
use crate::{Address, log::Run};

/// The holders by folder, the latest last: nobody is kept out.
static HOLDERS: Mutex<BTreeMap<String, Vec<Arc<Holder>>>> = Mutex::new(BTreeMap::new());

fn holders() -> MutexGuard<'static, BTreeMap<String, Vec<Arc<Holder>>>> {
    HOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Holder {
    name: String,
    is_ending: AtomicBool,
}

/// That a run lives, until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    folder: String,
    holder: Arc<Holder>,
}

impl Held {
    pub(super) fn by(folder: &Address, run: &Run) -> Self {
        let folder = folder.to_string();
        let holder = Arc::new(Holder { name: run.name.clone(), is_ending: AtomicBool::new(false) });
        holders().entry(folder.clone()).or_default().push(Arc::clone(&holder));
        Self { folder, holder }
    }

    pub(super) fn say_ending(&self) {
        self.holder.is_ending.store(true, Ordering::SeqCst);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut all = holders();
        if let Some(here) = all.get_mut(&self.folder) {
            here.retain(|holder| !Arc::ptr_eq(holder, &self.holder));
            if here.is_empty() {
                all.remove(&self.folder);
            }
        }
    }
}

/// Who lives there, if anybody does.
pub(super) fn holder(folder: &Address) -> Option<Living> {
    let all = holders();
    let latest = all.get(&folder.to_string())?.last()?;
    let is_ending = latest.is_ending.load(Ordering::SeqCst);
    Some(Living { by: latest.name.clone(), is_ending })
}
