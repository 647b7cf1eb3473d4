//! Lists the live tasks of each worker, so that the end of a runtime finds them.
//!
//! A task enters the list of the worker that runs it when its first poll is pending; one that is
//! done at once never does. Until then a queue holds it, where the end of the runtime finds it
//! just as well. Whoever completes the task takes it off the list, from any thread.
//!
//! # Invariants
//! O1. A list that is closed takes no task: whoever is refused cancels the task itself.
//! O2. A listed task is not complete, and only its completer takes it off.

use std::num::NonZeroU32;

use crossbeam_utils::CachePadded;

use crate::primitive::Mutex;
use crate::task::cell::{Place, TaskRef};

/// The lists of one runtime: one per worker.
pub(crate) struct Owned {
    lists: Box<[CachePadded<Mutex<List>>]>,
}

#[derive(Default)]
struct List {
    slots: Vec<Slot>,
    /// The first free slot, as index plus one.
    free: Option<NonZeroU32>,
    len: usize,
    is_closed: bool,
}

enum Slot {
    Task(TaskRef),
    Free { next: Option<NonZeroU32> },
}

/// A list that becomes empty keeps room for so many tasks and gives back the rest.
const KEPT_SLOTS: usize = 64;

impl Owned {
    pub(crate) fn new(workers: usize) -> Owned {
        Owned { lists: (0..workers).map(|_| CachePadded::default()).collect() }
    }

    /// Enters a task into the list of a worker; `Err` if that is closed.
    pub(crate) fn insert(&self, worker: usize, task: TaskRef) -> Result<Place, TaskRef> {
        let mut list = self.lists[worker].lock();
        if list.is_closed {
            return Err(task);
        }
        let entry = list.insert(task);
        #[allow(clippy::cast_possible_truncation, reason = "workers are few")]
        let list = worker as u32;
        Ok(Place { list, entry })
    }

    /// Takes a task off its list, with the reference that the list held.
    pub(crate) fn remove(&self, place: Place) -> Option<TaskRef> {
        self.lists[place.list as usize].lock().remove(place.entry)
    }

    /// Closes all lists and dooms what is in them. Returns the tasks that have to be queued for
    /// that; the others are queued or running already.
    pub(crate) fn stop_all(&self) -> Vec<TaskRef> {
        let mut submit = Vec::new();
        for list in &self.lists {
            let mut list = list.lock();
            list.is_closed = true;
            for slot in &list.slots {
                if let Slot::Task(task) = slot {
                    submit.extend(task.stop());
                }
            }
        }
        submit
    }

    /// Says how many tasks are listed.
    pub(crate) fn len(&self) -> usize {
        self.lists.iter().map(|list| list.lock().len).sum()
    }

    /// Says whether no task is listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.iter().all(|list| list.lock().len == 0)
    }
}

impl List {
    fn insert(&mut self, task: TaskRef) -> NonZeroU32 {
        self.len += 1;
        if let Some(entry) = self.free {
            let slot = &mut self.slots[entry.get() as usize - 1];
            if let Slot::Free { next } = *slot {
                self.free = next;
                *slot = Slot::Task(task);
                return entry;
            }
        }
        self.slots.push(Slot::Task(task));
        let entry = u32::try_from(self.slots.len()).ok().and_then(NonZeroU32::new);
        entry.unwrap_or_else(|| unreachable!("4 billion tasks do not fit in memory"))
    }

    fn remove(&mut self, entry: NonZeroU32) -> Option<TaskRef> {
        let slot = self.slots.get_mut(entry.get() as usize - 1)?;
        if matches!(slot, Slot::Free { .. }) {
            return None;
        }
        let removed = std::mem::replace(slot, Slot::Free { next: self.free });
        self.free = Some(entry);
        self.len -= 1;
        if self.len == 0 && self.slots.capacity() > KEPT_SLOTS {
            self.slots = Vec::new();
            self.free = None;
        }
        match removed {
            Slot::Task(task) => Some(task),
            Slot::Free { .. } => None,
        }
    }
}
