//! Orders of an injector: carried out on a thread that it has borrowed ([`crate::visit`]).
//!
//! Slots are changed under the loader's lock, so that no module is loaded, unloaded or relocated meanwhile. The loader lends its lock to
//! nobody, but `dlsym` holds it while it asks an indirect function for its address. So we have one, and look it up.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::order::{BEGIN, DONE, END, FOLLOW, Hold, IS_BUSY, NO_LOCK, NO_TABLE, OTHER_VERSION, Order, Room, VERSION};
use crate::{real, slots, state, sys, unwind};

/// The room, which an injector writes and reads from outside.
#[repr(transparent)]
pub struct Shared(UnsafeCell<core::mem::MaybeUninit<Room>>);

// SAFETY: the injector writes it while nobody reads, and one thread at a time obeys.
unsafe impl Sync for Shared {}

/// All zeros at first, which take no memory.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
#[expect(non_upper_case_globals, reason = "the name that an injector looks for")]
pub static tidewatch_heap_room: Shared = Shared(UnsafeCell::new(core::mem::MaybeUninit::zeroed()));

fn room() -> *mut Room {
    tidewatch_heap_room.0.get().cast()
}

fn order() -> &'static Order {
    // SAFETY: zeros are a valid order, and so is whatever the injector has written.
    unsafe { &(*room()).order }
}

fn hold() -> &'static mut Hold {
    // SAFETY: zeros are a valid hold. One thread at a time obeys, and the injector only reads.
    unsafe { &mut (*room()).hold }
}

/// How many slots were changed under the lock, and one more; 0 when it was not run.
static CHANGED: AtomicU64 = AtomicU64::new(0);

#[cfg(tidewatch_hook)]
core::arch::global_asm!(".type tidewatch_heap_under_lock, @gnu_indirect_function");

/// Run by `dlsym` under the loader's lock. What it returns is nobody's function.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
pub extern "C" fn tidewatch_heap_under_lock() -> *const c_void {
    CHANGED.store(change(order()) + 1, Ordering::Relaxed);
    room().cast()
}

/// Changes slots as an order says. How many.
fn change(order: &Order) -> u64 {
    match order.task {
        BEGIN => {
            slots::forget();
            slots::hook(order)
        }
        FOLLOW => slots::hook(order),
        END => slots::unhook(order),
        _ => 0,
    }
}

/// How many slots were changed by what is run under the loader's lock. Nothing where the look-up did not run it.
fn under_lock(look_up: impl FnOnce()) -> Option<u64> {
    CHANGED.store(0, Ordering::Relaxed);
    look_up();
    CHANGED.load(Ordering::Relaxed).checked_sub(1)
}

/// Carries out the order in the room: [`DONE`], or why not.
#[cfg_attr(tidewatch_hook, unsafe(no_mangle))]
pub extern "C" fn tidewatch_heap_obey() -> i64 {
    let look_up = || {
        // SAFETY: the name ends with a zero.
        unsafe { sys::dlsym(sys::RTLD_DEFAULT, c"tidewatch_heap_under_lock".as_ptr()) };
    };
    obey(order(), hold(), || under_lock(look_up))
}

/// Carries out an order; slots are changed by `change_slots`.
fn obey(order: &Order, hold: &mut Hold, change_slots: impl FnOnce() -> Option<u64>) -> i64 {
    if order.version != VERSION {
        return OTHER_VERSION;
    }
    let errno = sys::errno();
    let result = match order.task {
        BEGIN => begin(order, hold, change_slots),
        FOLLOW => follow(hold, change_slots),
        END => end(hold, change_slots),
        _ => OTHER_VERSION,
    };
    sys::set_errno(errno);
    result
}

fn begin(order: &Order, hold: &mut Hold, change_slots: impl FnOnce() -> Option<u64>) -> i64 {
    if hold.is_held != 0 {
        return IS_BUSY;
    }
    // The environment may have told it to record into a folder, when it was loaded.
    state::stop();
    real::take(&order.real);
    (hold.owner_pid, hold.owner_start) = (order.owner_pid, order.owner_start);
    // Slots first, while every call is passed on: so that no free is missed from the first sample on.
    let Some(slots) = change_slots() else { return NO_LOCK };
    (hold.slots, hold.is_held) = (slots, 1);
    let is_recording = state::attach_roomy(order.table_file as i32, order.interval);
    if is_recording { DONE } else { NO_TABLE }
}

fn follow(hold: &mut Hold, change_slots: impl FnOnce() -> Option<u64>) -> i64 {
    unwind::clear();
    let Some(more) = change_slots() else { return NO_LOCK };
    hold.slots += more;
    DONE
}

fn end(hold: &mut Hold, change_slots: impl FnOnce() -> Option<u64>) -> i64 {
    state::stop();
    if change_slots().is_none() {
        return NO_LOCK;
    }
    hold.is_held = 0;
    DONE
}

#[cfg(test)]
mod tests;
