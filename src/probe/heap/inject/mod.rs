//! The sampler on its way into a running process, and out again.
//!
//! One thread of the target is borrowed for about a millisecond, at a place where it holds no lock of the loader or the
//! allocator ([`place`](self)): it loads the library from a file in memory and tells it to begin. The library leads the slots of all
//! loaded modules to itself under the loader's lock. All other threads go on meanwhile. [`Injected::detach`], or the end of an
//! [`Injected`], puts the slots back; the library stays mapped, because threads may be inside, and a later watch takes it up
//! again. What cannot be shown to be safe is not done: see [`Refusal`].
//!
//! The thread depends on nobody while it is borrowed: its way back lies in its own memory ([`frame`](self)) before anything is called.
//! Where tidewatch ends in the middle, by whatever signal, the thread finishes what it began and goes on in its program.
//!
//! The calls here block, for milliseconds usually and for seconds at worst.

mod again;
mod borrow;
mod check;
mod frame;
mod hold;
mod image;
mod load;
mod modules;
#[path = "../../../heap_hook/order.rs"]
#[expect(dead_code, reason = "what only the sampler needs")]
mod order;
mod place;
mod strays;
mod target;
mod trace;
mod visits;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::time::Duration;

use super::refusal::{Refusal, Seccomp};
use super::{HeapError, HeapTable, InjectError, library, wire};
use crate::sample::Process;
use borrow::{Done, borrow};
use image::Image;
use load::{Calls, Functions, Offsets, Wish};
use modules::Modules;
use place::Places;
use strays::{Owner, Strays};
use target::{Mapping, Target, start_of};

pub(super) use check::check;
pub(super) use image::read_all as read_image;

/// How long a thread at a safe place is looked for.
const TO_ATTACH: Duration = Duration::from_secs(5);
const TO_DETACH: Duration = Duration::from_secs(10);
/// How often more the loader is asked for on the way out, half a second each.
const TIMES: usize = 10;

/// A sampler at work in a process that was running already. Its end is the end of the sampling.
#[derive(Debug)]
pub struct Injected {
    /// What it records.
    pub table: HeapTable,
    /// The longest time that a thread was held for it.
    pub pause: Duration,
    /// How many times a thread was stopped until one was at a safe place.
    pub threads_tried: u32,
    link: Option<Link>,
}

/// What is needed for further orders.
struct Link {
    target: Target,
    modules: Modules,
    places: Places,
    functions: Functions,
    offsets: Offsets,
    /// Where the library lies.
    begin: u64,
    wish: Wish,
    table: File,
    seen: BTreeSet<(u64, u64)>,
    /// Of each module that has any, a slot that leads to the library. A module that goes, and comes to the same place again, is known by it.
    led: BTreeMap<u64, u64>,
    /// Whether an order was never seen to end.
    is_lost: bool,
}

/// Puts the sampler into a running process. `interval_bytes` is the mean number of bytes between two samples.
///
/// # Errors
///
/// Why the process is left as it was.
pub fn inject(process: Process, interval_bytes: u64, seccomp: Seccomp) -> Result<Injected, InjectError> {
    if !super::is_supported() {
        return Err(Refusal::Unsupported.into());
    }
    let (target, modules) = check::checked(process, seccomp)?;
    let offsets = Offsets::of_library().ok_or(Refusal::Unsupported)?;
    let turn = visits::turn(&target)?;
    // A thread that was left on its way may have loaded the library meanwhile.
    let modules = if visits::wait_for_end(&target, &modules)? { Modules::of(&target)? } else { modules };
    let modules = end_left(&target, modules, offsets)?;
    remove_strays(&target, &modules)?;
    let (real, with_stubs) = load::real(&target, &modules);
    let own = std::process::id();
    let wish = Wish {
        task: order::BEGIN,
        interval: interval_bytes.max(1),
        real,
        owner: (own.into(), start_of(own).unwrap_or(0)),
        with_stubs,
        ranges: load::ranges(&modules.maps, &modules.images),
    };
    let functions = Functions::of(&target, &modules)?;
    let mut places = Places::new(&target, &modules.maps, &modules.loader, &modules.libc, &modules.allocator);
    modules.injected().for_each(|image| places.avoid(&target, image.begin, image.end));
    let there = modules.injected().find(|image| is_same(&target, image)).map(|image| image.begin);
    let work = Work { target: &target, places: &places, functions: &functions, offsets, wish: &wish };
    let done = match work.bring_in(there) {
        Err(refusal @ Refusal::LoaderBusy { .. }) => {
            // The loader may have been taken from us when the slots were changed already.
            Modules::of(&target).and_then(|modules| end_left(&target, modules, offsets))?;
            return Err(refusal.into());
        }
        done => done?,
    };
    let Done { value: (begin, table), pause, tried } = done;
    visits::mark_end(&target, begin + offsets.room);
    drop(turn);
    if there.is_none() {
        places.avoid(&target, begin, begin + library().len() as u64);
    }
    let seen = seen(&modules.maps);
    let copy = table.try_clone().map_err(|source| HeapError::Read { path: table_path(process.pid), source });
    let mut link = Link {
        target,
        modules,
        places,
        functions,
        offsets,
        begin,
        wish,
        table,
        seen,
        led: BTreeMap::new(),
        is_lost: false,
    };
    link.remember();
    let mut link = Some(link);
    // From here on whatever fails puts the slots back.
    let table = copy.and_then(|copy| HeapTable::of_process(copy, process.pid));
    match table {
        Ok(table) => Ok(Injected { table, pause, threads_tried: tried, link }),
        Err(error) => {
            let _ = link.take().map(|link| link.end());
            Err(error.into())
        }
    }
}

/// What is needed to bring the library in.
struct Work<'a> {
    target: &'a Target,
    places: &'a Places,
    functions: &'a Functions,
    offsets: Offsets,
    wish: &'a Wish,
}

impl Work<'_> {
    /// Borrows a thread twice: to make files, and once they are filled to load the library and let it begin. So each time is short. Where
    /// the library lies, and our descriptor of its table.
    fn bring_in(&self, there: Option<u64>) -> Result<Done<(u64, File)>, Refusal> {
        let owner = Owner::own();
        let made = self.on_thread(TO_ATTACH, |calls| calls.make_files(there.is_none(), owner))?;
        let files = made.value;
        let filled = files.fill(self.target.pid(), self.wish);
        let mut is_taken = false;
        let done = filled.and_then(|()| {
            self.on_thread(TO_ATTACH, |calls| {
                is_taken = true;
                match there {
                    Some(begin) => calls.begin(begin, self.offsets, self.wish, &files).map(|()| begin),
                    None => calls.load(self.offsets, self.wish, &files),
                }
            })
        });
        if !matches!(done, Err(Refusal::CallLasts { .. })) {
            files.forget_visit();
        }
        if done.is_err() && !is_taken {
            // Nobody else closes them; where nobody can, they stay.
            let _ = self.on_thread(TO_ATTACH, |calls| calls.close_files(&files));
        }
        let done = done?;
        let (pause, tried) = (made.pause.max(done.pause), made.tried.max(done.tried));
        Ok(Done { value: (done.value, files.table.ours), pause, tried })
    }

    fn on_thread<T: Send>(
        &self,
        within: Duration,
        mut work: impl FnMut(&mut Calls<'_>) -> Result<T, borrow::Failure> + Send,
    ) -> Result<Done<T>, Refusal> {
        borrow(self.target, self.places, within, |thread, floor| {
            work(&mut Calls::on(self.target, self.functions, thread, floor)?)
        })
    }
}

fn table_path(pid: u32) -> std::path::PathBuf {
    format!("/proc/{pid}/map_files").into()
}

/// Code that is mapped, but for our own: what changes when a module comes or goes.
fn seen(maps: &[Mapping]) -> BTreeSet<(u64, u64)> {
    let is_theirs = |mapping: &&Mapping| mapping.is_code() && !mapping.path.starts_with(modules::INJECTED);
    maps.iter().filter(is_theirs).map(|mapping| (mapping.begin, mapping.inode)).collect()
}

/// Whether a library that is there already is this build's: the same bytes wherever it cannot have been written.
fn is_same(target: &Target, image: &Image) -> bool {
    const WRITABLE: u32 = 2;
    const LOAD: u32 = 1;
    image::headers(library()).unwrap_or_default().iter().all(|header| {
        if header.kind != LOAD || header.flags & WRITABLE != 0 {
            return true;
        }
        let there = target.bytes(image.bias + header.address, header.file_bytes as usize).ok();
        there.as_deref() == library().get(header.offset as usize..(header.offset + header.file_bytes) as usize)
    })
}

/// Who holds a library that was injected before; nothing if nobody does.
fn held(target: &Target, image: &Image) -> Option<(u64, u64)> {
    let room = image.symbol(target, "tidewatch_heap_room")?;
    let [is_held, pid, start] = [0, 8, 16].map(|at| target.word(room + at).unwrap_or(0));
    (is_held != 0).then_some((pid, start))
}

/// Refuses where another watch goes on.
fn refuse_held(target: &Target, modules: &Modules) -> Result<(), Refusal> {
    for (pid, start) in modules.injected().filter_map(|image| held(target, image)) {
        if u32::try_from(pid).is_ok_and(|pid| start_of(pid) == Some(start)) {
            return Err(Refusal::AlreadySampled { pid: target.pid(), by: format!("put there by process {pid}") });
        }
    }
    Ok(())
}

/// Puts back the slots that were left: by a watch that was killed, or one that could not finish.
fn end_left(target: &Target, modules: Modules, offsets: Offsets) -> Result<Modules, Refusal> {
    let Some(image) = modules.injected().find(|image| held(target, image).is_some()) else { return Ok(modules) };
    if !is_same(target, image) {
        let by = "left there by another version of tidewatch".to_owned();
        return Err(Refusal::AlreadySampled { pid: target.pid(), by });
    }
    let room = image.symbol(target, "tidewatch_heap_room").unwrap_or(image.begin + offsets.room);
    let real_at =
        room + std::mem::offset_of!(order::Room, order) as u64 + std::mem::offset_of!(order::Order, real) as u64;
    let mut real = [0; order::FUNCTIONS];
    for (index, real) in real.iter_mut().enumerate() {
        *real = target.word(real_at + index as u64 * 8).unwrap_or(0);
    }
    let served = modules.images.iter().find(|image| real.first().is_some_and(|malloc| image.holds(*malloc)));
    let served = served.unwrap_or(&modules.libc);
    let mut places = Places::new(target, &modules.maps, &modules.loader, &modules.libc, served);
    modules.injected().for_each(|image| places.avoid(target, image.begin, image.end));
    let ranges = load::ranges(&modules.maps, &modules.images);
    let wish = Wish { task: order::END, interval: 1, real, owner: (0, 0), with_stubs: false, ranges };
    let functions = Functions::of(target, &modules)?;
    let begin = image.begin;
    borrow(target, &places, TO_DETACH, |thread, floor| {
        Calls::on(target, &functions, thread, floor)?.order(begin, offsets, &wish, -1)
    })?;
    visits::mark_end(target, begin + offsets.room);
    Modules::of(target)
}

/// Takes away what a watch left that was killed while a thread was borrowed.
fn remove_strays(target: &Target, modules: &Modules) -> Result<(), Refusal> {
    if Strays::of(target).is_empty() {
        return Ok(());
    }
    let mut places = Places::new(target, &modules.maps, &modules.loader, &modules.libc, &modules.allocator);
    modules.injected().for_each(|image| places.avoid(target, image.begin, image.end));
    let functions = Functions::of(target, modules)?;
    borrow(target, &places, TO_ATTACH, |thread, floor| {
        let mut calls = Calls::on(target, &functions, thread, floor)?;
        // As they are now: a thread that was on its way may have taken some away by itself.
        let strays = Strays::of(target);
        calls.close(&strays.files)?;
        strays.mappings.iter().try_for_each(|(begin, bytes)| calls.unmap(*begin, *bytes))
    })?;
    Ok(())
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("pid", &self.target.pid()).field("begin", &self.begin).finish_non_exhaustive()
    }
}

impl Link {
    /// Gives an order to the library, for the modules as they are now.
    fn order(&mut self, task: u64, within: Duration) -> Result<Duration, Refusal> {
        if self.is_lost {
            // A thread may still be about to carry out the last one.
            return Err(Refusal::CallLasts { pid: self.target.pid(), seconds: trace::FOR_A_VISIT.as_secs() });
        }
        let gone = || Refusal::Gone { pid: self.target.pid() };
        let maps = self.target.maps().map_err(|_| gone())?;
        let images = Image::all(&self.target, &maps);
        if !images.iter().any(|image| image.begin == self.begin) || !self.target.runs() {
            // It has ended, or executes another program.
            return Err(gone());
        }
        self.modules.images = images;
        let _turn = visits::turn(&self.target)?;
        let (_, with_stubs) = load::real(&self.target, &self.modules);
        let ranges = load::ranges(&maps, &self.modules.images);
        let wish = Wish { task, with_stubs, ranges, ..self.wish.clone() };
        let Self { target, places, functions, offsets, begin, .. } = self;
        let done = borrow(target, places, within, |thread, floor| {
            Calls::on(target, functions, thread, floor)?.order(*begin, *offsets, &wish, -1)
        });
        self.is_lost = matches!(done, Err(Refusal::CallLasts { .. }));
        let done = done?;
        visits::mark_end(&self.target, self.begin + self.offsets.room);
        self.seen = seen(&maps);
        self.remember();
        Ok(done.pause)
    }

    fn library(&self) -> Range<u64> {
        self.begin..self.begin + library().len() as u64
    }

    fn remember(&mut self) {
        let range = self.library();
        let modules = self.modules.images.iter().filter(|image| image.begin != self.begin);
        let led = modules.filter_map(|image| Some((image.begin, image.slot_into(&self.target, &range)?)));
        self.led = led.collect();
    }

    /// Whether modules came since the last order.
    fn has_new_modules(&self) -> Result<bool, Refusal> {
        let maps = self.target.maps().map_err(|_| Refusal::Gone { pid: self.target.pid() })?;
        let range = self.library();
        let is_led = |slot: &u64| self.target.word(*slot).is_ok_and(|held| range.contains(&held));
        Ok(seen(&maps) != self.seen || !self.led.values().all(is_led))
    }

    fn end(mut self) -> Result<Duration, Refusal> {
        let mut result = self.order(order::END, TO_DETACH);
        for _ in 0..TIMES {
            if matches!(result, Err(Refusal::LoaderBusy { .. })) {
                result = self.order(order::END, TO_DETACH);
            }
        }
        match result {
            Err(Refusal::Gone { .. }) => Ok(Duration::ZERO),
            Err(other) => Err(other),
            Ok(pause) => {
                // What the table took is given back; its place stays, for threads that are still inside.
                use rustix::fs::FallocateFlags;
                let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                let (from, to) = (wire::HEADER_BYTES as u64, wire::TABLE_BYTES as u64);
                let _ = rustix::fs::fallocate(&self.table, how, from, to - from);
                Ok(pause)
            }
        }
    }
}

impl Injected {
    /// Leads the slots of modules to the sampler that were loaded since, if there are any. How long one thread was held for it.
    /// What such a module allocates before is not in the table, and what it frees is missed.
    ///
    /// # Errors
    ///
    /// The target has ended, or no thread could be borrowed. The sampling goes on as it was.
    pub fn follow(&mut self) -> Result<Option<Duration>, InjectError> {
        let Some(link) = &mut self.link else { return Ok(None) };
        if !link.has_new_modules()? {
            return Ok(None);
        }
        Ok(Some(link.order(order::FOLLOW, TO_ATTACH)?))
    }

    /// Ends the sampling: the slots hold what they held. How long one thread was held for it; no time for a target that has ended.
    ///
    /// # Errors
    ///
    /// No thread could be borrowed; the sampler is still there and records on.
    pub fn detach(mut self) -> Result<Duration, InjectError> {
        let ended = self.link.take().map(Link::end).transpose()?;
        Ok(ended.unwrap_or_default())
    }
}

impl Drop for Injected {
    fn drop(&mut self) {
        // Nobody can be told any more.
        let _ = self.link.take().map(Link::end);
    }
}
