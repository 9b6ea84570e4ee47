//! Names that fit into a sentence.

use super::Place;
use super::library::path;

/// Characters of a function's name.
const LONGEST_FUNCTION: usize = 36;
/// Characters of a function's name on a line of its own.
const LONGEST_WHOLE: usize = 80;
/// Characters of a place. Its end says more than its beginning.
const LONGEST_PLACE: usize = 24;

/// The last two parts of a function's path: `WorkQueue::add` of `<app::WorkQueue as Store>::add`.
pub fn short_function(function: &str) -> String {
    let path = path(&tidy_function(function));
    let parts: Vec<&str> = parts(&path).into_iter().filter(|part| *part != "{{closure}}").collect();
    let name = parts[parts.len().saturating_sub(2)..].join("::");
    let name = if name.is_empty() { function } else { &name };
    if name.chars().count() <= LONGEST_FUNCTION {
        return name.to_owned();
    }
    name.chars().take(LONGEST_FUNCTION - 1).chain(['…']).collect()
}

/// A function's name with what stands in long brackets left out: `poll<…>` where the types would fill three lines.
pub fn tidy_function(function: &str) -> String {
    if function.chars().count() <= LONGEST_WHOLE {
        return function.to_owned();
    }
    let mut out = String::new();
    let (mut depth, mut before) = (0_u32, ' ');
    // The type that an implementation is of begins the name: it stays.
    let leading = u32::from(function.starts_with('<'));
    for c in function.chars() {
        match c {
            '<' => {
                depth += 1;
                if depth == leading + 1 {
                    out.push_str("<…>");
                }
            }
            '>' if before != '-' && depth > 0 => depth -= 1,
            _ => {}
        }
        let closes = c == '>' && before != '-' && depth == leading;
        if depth <= leading && !(closes && out.ends_with("<…>")) {
            out.push(c);
        }
        before = c;
    }
    if out.chars().count() <= LONGEST_WHOLE {
        return out;
    }
    out.chars().take(LONGEST_WHOLE - 1).chain(['…']).collect()
}

/// `work_queue.rs:345`: the file without its folders.
pub fn short_place(place: &Place) -> String {
    let file = place.file.rsplit('/').next().unwrap_or(&place.file).to_owned();
    let short = Place { file, line: place.line }.to_string();
    let long = short.chars().count();
    if long <= LONGEST_PLACE {
        return short;
    }
    std::iter::once('…').chain(short.chars().skip(long + 1 - LONGEST_PLACE)).collect()
}

/// The parts of a path, as they stand between `::` outside of brackets.
fn parts(path: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' => depth -= 1,
            b':' if depth == 0 && at >= begin && path[at..].starts_with("::") => {
                parts.push(&path[begin..at]);
                begin = at + 2;
            }
            _ => {}
        }
    }
    parts.push(path.get(begin..).unwrap_or_default());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_known_by_its_last_parts() {
        for (function, shown) in [
            ("<orchestrator::work_queue::WorkQueue as a::Store>::add", "WorkQueue::add"),
            ("orchestrator::work_queue::add::{{closure}}", "work_queue::add"),
            ("app::Map<k::Key, v::Value>::put", "Map<k::Key, v::Value>::put"),
            ("zmalloc", "zmalloc"),
            ("server+0x12", "server+0x12"),
            ("{{closure}}", "{{closure}}"),
            ("app::queue::{closure#0}", "queue::{closure#0}"),
            ("void ns::Queue::add(int)", "Queue::add"),
            ("a::::b", "::b"),
            ("app::Queue::add_one_more_of_all_these_thi", "Queue::add_one_more_of_all_these_thi"),
            ("app::Queue::add_one_more_of_all_these_thin", "Queue::add_one_more_of_all_these_th…"),
        ] {
            assert_eq!(short_function(function), shown);
        }
    }

    #[test]
    fn long_types_are_left_out() {
        let long = "x::Y, ".repeat(40);
        for (function, shown) in [
            (format!("app::poll<{long}>"), "app::poll<…>"),
            (format!("app::Map<{long}>::put<{long}>"), "app::Map<…>::put<…>"),
            (format!("<app::Map<{long}> as core::Trait<{long}>>::put"), "<app::Map<…> as core::Trait<…>>::put"),
            (format!("app::run<fn({long}) -> u8>::go"), "app::run<…>::go"),
            ("app::poll<u8>".into(), "app::poll<u8>"),
        ] {
            assert_eq!(tidy_function(&function), shown);
        }
        // 80 characters stay as they are, 81 do not.
        let fits = format!("app::{}<u8>", "a".repeat(71));
        assert_eq!((fits.chars().count(), tidy_function(&fits)), (80, fits.clone()));
        assert_eq!(tidy_function(&format!("a{fits}")), format!("aapp::{}<…>", "a".repeat(71)));
        let plain = "a".repeat(80);
        assert_eq!(tidy_function(&format!("{plain}<u8>")), format!("{}…", &plain[..79]));
        assert_eq!(tidy_function(&format!("{}<u8>b", &plain[..76])), format!("{}<…>b", &plain[..76]));
        // A sign that closes no bracket stays.
        assert_eq!(tidy_function(&format!("a>b<u8>{}", &plain[..74])), format!("a>b<…>{}", &plain[..74]));
        assert_eq!(tidy_function(&format!("a->b<u8>{}", &plain[..73])), format!("a->b<…>{}", &plain[..73]));
    }

    #[test]
    fn a_place_keeps_its_line() {
        let place = |file: &str| Place { file: file.into(), line: Some(345) };
        assert_eq!(short_place(&place("/home/me/src/work_queue.rs")), "work_queue.rs:345");
        assert_eq!(short_place(&place("src/a_file_of_16_char.rs")), "a_file_of_16_char.rs:345");
        assert_eq!(short_place(&place("src/a_file_of_17_chars.rs")), "…file_of_17_chars.rs:345");
        assert_eq!(short_place(&place("src/a_file_with_a_long_name_indeed.rs")), "…long_name_indeed.rs:345");
    }

    proptest::proptest! {
        #[test]
        fn anything_is_short(text in "\\PC{0,60}", signs in "[<>:{}a() ]{0,40}") {
            for text in [text, signs] {
                proptest::prop_assert!(short_function(&text).chars().count() <= LONGEST_FUNCTION);
                proptest::prop_assert!(tidy_function(&text).chars().count() <= LONGEST_WHOLE);
                let place = Place { file: text, line: Some(u32::MAX) };
                proptest::prop_assert!(short_place(&place).chars().count() <= LONGEST_PLACE);
            }
        }
    }
}
