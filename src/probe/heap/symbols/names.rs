//! Names as people write them, from names as linkers write them.

use std::fmt::{self, Write};

use cpp_demangle::DemangleOptions;

use crate::probe::text::hides;

/// The longest name, in bytes. Templates of templates can be longer; what is lost is said by `…`.
const LONGEST: usize = 2000;

/// The longest name that is demangled. Longer ones are shown as they are.
const LONGEST_MANGLED: usize = 16_000;

/// Whether this is a name as Rust or C++ write it for linkers.
pub(super) fn is_mangled(name: &str) -> bool {
    name.starts_with("_Z") || name.starts_with("_R")
}

/// The name as it stands in the source, without hashes. What is not mangled stays.
pub(super) fn demangled(name: &str) -> String {
    let plain = is_mangled(name).then(|| rust(name).or_else(|| cpp(name))).flatten();
    plain.unwrap_or_else(|| shown(name))
}

fn rust(name: &str) -> Option<String> {
    let name = rustc_demangle::try_demangle(name.get(..LONGEST_MANGLED.min(name.len()))?).ok()?;
    let mut text = Bounded::default();
    let whole = write!(text, "{name:#}").is_ok();
    text.end(whole)
}

fn cpp(name: &str) -> Option<String> {
    if name.len() > LONGEST_MANGLED {
        return None;
    }
    let name = cpp_demangle::BorrowedSymbol::new(name.as_bytes()).ok()?;
    let mut text = Bounded::default();
    let whole = name.structured_demangle(&mut text, &DemangleOptions::new()).is_ok();
    text.end(whole)
}

/// A text from a file: bounded, and without characters that hide or turn what is around them.
pub(super) fn shown(text: &str) -> String {
    let mut bounded = Bounded::default();
    let whole = bounded.write_str(text).is_ok();
    bounded.end(whole).unwrap_or_default()
}

/// Takes text until it is too long.
#[derive(Default)]
struct Bounded {
    text: String,
    is_full: bool,
}

impl Bounded {
    /// The text, if it is whole, or as much as there was room for.
    fn end(mut self, whole: bool) -> Option<String> {
        if self.is_full {
            self.text.push('…');
        }
        (whole || self.is_full).then_some(self.text)
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.text.len() + c.len_utf8() > LONGEST {
                self.is_full = true;
                return Err(fmt::Error);
            }
            self.text.push(if hides(c) { char::REPLACEMENT_CHARACTER } else { c });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_all_kinds() {
        for (mangled, plain) in [
            ("main", "main"),
            ("_start", "_start"),
            ("_ZN5queue5Queue3add17h0123456789abcdefE", "queue::Queue::add"),
            (
                "_ZN60_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..Drop$GT$4drop17h0123456789abcdefE",
                "<alloc::vec::Vec<T> as core::ops::Drop>::drop",
            ),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            ("_ZN4tide5StoreIiE4keepERKi", "tide::Store<int>::keep(int const&)"),
            ("_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back(int const&)"),
            ("_Znwm", "operator new(unsigned long)"),
            // Broken ones stay as they are.
            ("_Z", "_Z"),
            ("_ZN4tide", "_ZN4tide"),
            ("_R", "_R"),
            ("grow\u{1b}[31m\u{202e}", "grow\u{fffd}[31m\u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(demangled(mangled), plain, "{mangled}");
        }
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(demangled(&"x".repeat(LONGEST)), "x".repeat(LONGEST));
        let cut = demangled(&"x".repeat(1_000_000));
        assert!(cut.ends_with('…') && cut.len() <= LONGEST + 4);
        // A short name that stands for one of billions of bytes: each pair holds the one before twice.
        let pairs = (0..40).map(|n| if n < 10 { format!("S{n}_") } else { "S_".to_owned() });
        let doubled = format!("_Z1fI1a{}E", pairs.map(|last| format!("St4pairI{last}{last}E")).collect::<String>());
        assert!(demangled(&doubled).len() <= LONGEST + 4);
        assert!(demangled(&format!("_ZN{}E", "1a".repeat(7000))).len() <= LONGEST + 4);
        assert!(demangled(&format!("_Z1f{}", "P".repeat(15_000))).len() <= 15_010);
        assert!(demangled(&format!("_RNv{}", "C".repeat(15_000))).len() <= 15_010);
    }

    proptest! {
        #[test]
        fn any_text_is_bounded(text in "(_Z|_R|_ZN|)[A-Za-z0-9_$.]{0,200}") {
            let name = demangled(&text);
            prop_assert!(name.len() <= LONGEST + 4 && !name.contains(char::is_control));
        }
    }
}
