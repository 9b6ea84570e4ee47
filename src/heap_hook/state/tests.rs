use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

/// A folder that goes away.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidewatch-state-{}-{name}", sys::pid()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    fn table(&self) -> PathBuf {
        self.0.join(format!("heap.{}", sys::pid()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Begins with this environment, as the loader does when it has loaded the library.
fn begun(variables: &[String]) -> Option<Table> {
    stop();
    IS_DECIDED.store(false, Ordering::Relaxed);
    ROOM.store(NONE, Ordering::Relaxed);
    let strings: Vec<CString> = variables.iter().filter_map(|text| CString::new(text.as_str()).ok()).collect();
    let mut environment: Vec<*const c_char> = strings.iter().map(|text| text.as_ptr()).collect();
    environment.push(core::ptr::null());
    // SAFETY: a null-terminated list of strings.
    unsafe { crate::attach::BEGIN(0, core::ptr::null(), environment.as_ptr()) };
    table()
}

fn variable(folder: &Path) -> String {
    format!("TIDEWATCH_HEAP={}:65536:7", folder.display())
}

fn others() -> [String; 2] {
    ["PATH=/bin".to_owned(), "NOT_TIDEWATCH_HEAP=/tmp:5".to_owned()]
}

#[test]
fn seeds_differ_between_processes_and_times() {
    assert_ne!(any_seed(), any_seed());
    let times = [0, 1, 1 << 39, u64::MAX];
    let seeds = times.into_iter().flat_map(|now| (1..1000).map(move |pid| seed_of(now, pid)));
    let different: std::collections::HashSet<u64> = seeds.collect();
    assert_eq!(different.len(), times.len() * 999);
}

#[test]
fn the_environment_says_where_the_table_is() {
    let _alone = crate::tests::alone();
    let folder = Folder::new("begins");
    let [first, last] = others();
    let table = begun(&[first, variable(&folder.0), last]).expect("it records");
    assert_eq!((interval(), seed()), (65_536, 7));
    assert_eq!(fs::read_dir(&folder.0).expect("a folder").count(), 1, "nothing but the table");
    let length = || fs::metadata(folder.table()).expect("a table").len();
    assert_eq!((length(), is_roomy()), (HEADER_BYTES as u64, false), "its header alone");
    let words = [&table.header().pid, &table.header().base_interval, &table.header().state];
    assert_eq!(words.map(|word| word.load(Ordering::Relaxed)), [sys::pid(), 65_536, STATE_ACTIVE]);
    assert!(has_room() && is_roomy() && has_room());
    assert_eq!(length(), TABLE_BYTES as u64);
    // It is decided: another environment changes nothing.
    let other = Folder::new("other");
    let text = CString::new(variable(&other.0)).expect("no zero");
    // SAFETY: a null-terminated list of strings.
    unsafe { begin([text.as_ptr(), core::ptr::null()].as_ptr()) };
    assert!(!other.table().exists());
    stop();
    assert_eq!(table.header().state.load(Ordering::Relaxed), STATE_DETACHED);
}

#[test]
fn what_says_nothing_of_a_table_begins_nothing() {
    let _alone = crate::tests::alone();
    stop();
    IS_DECIDED.store(false, Ordering::Relaxed);
    // SAFETY: no environment yet.
    unsafe { begin(core::ptr::null()) };
    assert!(!IS_DECIDED.load(Ordering::Relaxed), "it is too early");
    // The environment of the tests names no folder.
    assert!(matches!(phase(), Phase::Off) && IS_DECIDED.load(Ordering::Relaxed));
    assert!(begun(&[]).is_none() && begun(&others()).is_none());
    let missing = Path::new("/nonexistent/folder");
    assert!(begun(&[variable(missing)]).is_none());
    let folder = Folder::new("taken");
    fs::create_dir(folder.table()).expect("a folder of the table's name");
    assert!(begun(&[variable(&folder.0)]).is_none(), "the name is taken");
    assert_eq!(fs::read_dir(&folder.0).expect("a folder").count(), 1, "what was made is removed");
    assert_eq!(ROOM.load(Ordering::Relaxed), NONE);
    assert!(!has_room());
}

#[test]
fn without_room_for_its_records_it_stops() {
    let _alone = crate::tests::alone();
    let folder = Folder::new("room");
    let header = begun(&[variable(&folder.0)]).expect("it records");
    fs::remove_file(folder.table()).expect("a table");
    assert!(!has_room() && !is_roomy());
    assert_eq!(header.header().state.load(Ordering::Relaxed), STATE_NO_ROOM);
    assert!(table().is_none() && !has_room());
}

#[test]
fn one_page_says_for_good_whether_this_process_records() {
    let _alone = crate::tests::alone();
    let page = || {
        let file = crate::tests::table_file();
        assert!(attach(file, 1 << 40));
        sys::close(file);
        stop();
        ALIVE.load(Ordering::Relaxed)
    };
    assert_eq!(page(), page());
}

#[test]
fn the_variable_is_read() {
    let read = |value: &'static str| wish(value.as_bytes()).map(|wish| (wish.folder, wish.interval, wish.seed));
    assert_eq!(read("/tmp/a:65536"), Some((b"/tmp/a".as_slice(), 65_536, None)));
    assert_eq!(read("/tmp/a:65536:7"), Some((b"/tmp/a".as_slice(), 65_536, Some(7))));
    assert_eq!(read("/tmp/a:b:65536"), Some((b"/tmp/a:b".as_slice(), 65_536, None)));
    for wrong in ["", "/tmp/a", "/tmp/a:", "/tmp/a:0", "/tmp/a:x", ":5", "/tmp/a:99999999999999999999"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn a_table_is_named_after_its_process() {
    let mut path = [0; PATH];
    assert_eq!(write_path(&mut path, b"/run", 4071, b".new"), Some(c"/run/heap.4071.new"));
    assert_eq!(write_path(&mut path, &[b'a'; PATH], 1, b""), None);
}

#[test]
fn numbers_are_decimal_digits_that_fit() {
    for (text, expected) in [
        ("0", Some(0)),
        ("90", Some(90)),
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("1:", None),
        ("/1", None),
        ("", None),
    ] {
        assert_eq!(number(text.as_bytes()), expected, "{text}");
    }
    assert!(wish(b"/a:1099511627776").is_some() && wish(b"/a:1099511627777").is_none());
}
