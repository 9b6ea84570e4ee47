//! The recording of a run under way, and what of it the judge may still ask for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use crate::recording::{Footer, RecordingError, Writer};
use crate::sample::{Border, Event, Mark, Moment, Record};

/// Takes every record of a run, in the order in which things happen, from whichever thread they happen on.
pub struct Recorder {
    began: Instant,
    inner: Mutex<Inner>,
    broken: watch::Sender<Option<String>>,
}

struct Inner {
    /// Gone when the file is finished.
    writer: Option<Writer>,
    /// The records of the scenario under way, where somebody asks for them.
    recent: Recent,
}

/// Whether the records of the scenario under way are kept at hand.
pub enum Recent {
    /// They are: the judge is asked after each look.
    Kept(Vec<Record>),
    /// They are not: a watch may go on for weeks.
    Dropped,
}

impl Recorder {
    /// Records into `writer`, from now on.
    pub fn new(writer: Writer, recent: Recent) -> Self {
        Self {
            began: Instant::now(),
            inner: Mutex::new(Inner { writer: Some(writer), recent }),
            broken: watch::Sender::new(None),
        }
    }

    /// The time of the recording.
    pub fn now(&self) -> Moment {
        Moment::after_start(self.began.elapsed())
    }

    /// Takes a record. When the disk refuses it, the run is told to end through [`Recorder::broken`].
    pub fn take(&self, record: Record) {
        let mut inner = self.lock();
        if self.broken.borrow().is_none()
            && let Some(Err(error)) = inner.writer.as_mut().map(|writer| writer.write(&record))
        {
            self.broken.send_replace(Some(error.to_string()));
        }
        if let Recent::Kept(recent) = &mut inner.recent {
            recent.push(record);
        }
    }

    /// Takes an event that happens now.
    pub fn event(&self, event: Event) {
        self.take(Record::Event { at: self.now(), event });
    }

    /// Draws a border now.
    pub fn mark(&self, operations: u64, border: Border) {
        self.take(Record::Mark(Mark { at: self.now(), operations, border }));
    }

    /// Forgets the records at hand: another passage begins.
    pub fn begin_passage(&self) {
        if let Recent::Kept(recent) = &mut self.lock().recent {
            recent.clear();
        }
    }

    /// The records of the passage under way; none where they are not kept.
    pub fn recent(&self) -> Vec<Record> {
        match &self.lock().recent {
            Recent::Kept(recent) => recent.clone(),
            Recent::Dropped => Vec::new(),
        }
    }

    /// Becomes `Some` when the recording cannot go on.
    pub fn broken(&self) -> watch::Receiver<Option<String>> {
        self.broken.subscribe()
    }

    /// Finishes the file; later records are dropped.
    pub fn finish(&self, footer: &Footer) -> Result<(), RecordingError> {
        let writer = self.lock().writer.take();
        writer.map_or(Ok(()), |writer| writer.finish(footer))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
