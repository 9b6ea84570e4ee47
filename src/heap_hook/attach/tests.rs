use core::ffi::CStr;

use super::*;
use crate::order::NAMES;
use crate::sys;

#[test]
fn a_library_that_was_loaded_later_begins_and_ends_when_it_is_told() {
    let _alone = crate::tests::alone();
    let file = crate::tests::table_file();
    // SAFETY: no slot leads here.
    let attach = |file| unsafe { tidewatch_heap_attach(file, 1 << 40) };
    assert_eq!((attach(-1), state::table().is_some()), (-1, false), "no file");
    assert_eq!((attach(file), state::table().is_some()), (0, true));
    assert_eq!(attach(file), -1, "it records already");
    tidewatch_heap_detach();
    assert!(state::table().is_none());
    assert_eq!((attach(file), state::table().is_some()), (0, true));
    tidewatch_heap_detach();
    sys::close(file);
}

#[test]
fn every_function_has_its_stand_in_in_the_order_of_the_names() {
    let mut count = 0;
    // SAFETY: `count` is writable, and so many entries follow.
    let entries = unsafe {
        let first = tidewatch_heap_entries(&raw mut count);
        core::slice::from_raw_parts(first, count)
    };
    // SAFETY: the names end with a zero.
    let names: Vec<&CStr> = entries.iter().map(|entry| unsafe { CStr::from_ptr(entry.name) }).collect();
    assert_eq!(names, NAMES);
    let addresses: Vec<usize> = entries.iter().map(|entry| entry.ours as usize).collect();
    assert_eq!(addresses, ours());
    let real_of =
        |name: &CStr| entries.iter().zip(&names).find(|(_, known)| **known == name).map(|(entry, _)| entry.real);
    assert_eq!(real_of(c"free"), Some((&raw const real::FREE).cast()));
    assert_eq!(real_of(c"mmap64"), Some((&raw const real::MMAP).cast()));
}
