use std::collections::BTreeSet;

use super::find;
use super::splice::{Mutant, Numbering, splice};

fn spliced(source: &str) -> (String, Vec<Mutant>) {
    let found = find::changes(source).unwrap();
    let constants = BTreeSet::new();
    let mut numbering = Numbering { file: "a.rs", next: 1, is_wanted: &|_, _| true, constants: &constants };
    splice(source, &found, &mut numbering)
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn every_kind_of_change_gets_a_switch() {
    let table = [
        ("fn f() { g() }", "fn f() { if crate::mutant(1) { return ; } g() }"),
        (
            "fn f() -> bool { a }",
            "fn f() -> bool { if crate::mutant(1) { return true; }if crate::mutant(2) { return false; } a }",
        ),
        ("static A: u8 = b + c;", "static A: u8 = b + c;"),
        ("fn f() -> ! { g(!a) }", "fn f() -> ! { g((if crate::mutant(1) { (a) } else { !a })) }"),
        (
            "fn f() -> ! { a == b * c }",
            "fn f() -> ! { (if crate::mutant(1) { (a) != (b * c) } else { a == \
             (if crate::mutant(2) { (b) + (c) } else if crate::mutant(3) { (b) / (c) } else { b * c }) }) }",
        ),
        ("const fn f() -> ! { a && b }", "fn f() -> ! { (if crate::mutant(1) { (a) || (b) } else { a && b }) }"),
        (
            "fn f() -> ! { match a { _ if b => c, _ => d } }",
            "fn f() -> ! { match a { _ if (if crate::mutant(1) { true } else if crate::mutant(2) { false } else { b }) \
             => c, _ => d } }",
        ),
        (
            "fn f() -> ! { if let Some(a) = b && c > 1 {} }",
            "fn f() -> ! { if let Some(a) = b && (if crate::mutant(1) { (c) == (1) } else if crate::mutant(2) { (c) < (1) } \
             else if crate::mutant(3) { (c) >= (1) } else { c > 1 }) {} }",
        ),
        ("#[cfg(test)] mod tests { fn f() { g() } }", "#[cfg(test)] mod tests { fn f() { g() } }"),
        ("impl Debug for A { fn fmt() -> bool { true } }", "impl Debug for A { fn fmt() -> bool { true } }"),
    ];
    for (source, expected) in table {
        assert_eq!(without_spaces(&spliced(source).0), without_spaces(expected), "{source}");
    }
}

#[test]
fn a_mutant_is_found_again_in_the_changed_text() {
    let (text, mutants) = spliced("impl A<u8> { fn f(a: u8) -> ! { a + a } }");
    assert_eq!(
        mutants.iter().map(|one| &text[one.change.clone()]).collect::<Vec<_>>(),
        ["{ (a) - (a) } else ", "{ (a) * (a) } else "]
    );
    assert_eq!((mutants[0].function.as_str(), mutants[0].shown.as_str()), ("A::f", "`a + a` => `-`"));
    assert!(text[mutants[0].switch.clone()].starts_with("(if crate::mutant(1)"));
}

#[test]
fn functions_return_values_of_their_type() {
    let table: [(&str, &[&str]); 8] = [
        ("fn f() -> u8 {}", &["0", "1"]),
        ("fn f() -> Option<&str> {}", &["None", "Some(\"\")", "Some(\"xyzzy\")"]),
        ("fn f() -> io::Result<()> {}", &["Ok(())"]),
        ("fn f() -> Result<Vec<f64>, E> {}", &["Ok(Vec::new())", "Ok(vec![0.0])", "Ok(vec![1.0])", "Ok(vec![-1.0])"]),
        ("fn f() -> (bool, A) {}", &["(true, Default::default(),)", "(false, Default::default(),)"]),
        ("fn f() -> impl Iterator<Item = u8> {}", &[]),
        ("fn f() -> &A {}", &[]),
        ("fn f() {}", &[""]),
    ];
    for (source, expected) in table {
        let function: syn::ItemFn = syn::parse_str(source).unwrap();
        assert_eq!(super::values::of(&function.sig.output), expected, "{source}");
    }
}

#[test]
fn lines_of_a_difference_are_those_of_the_new_file() {
    let diff = "--- a/src/a.rs\n+++ b/src/a.rs\n@@ -3,2 +3,0 @@ fn f\n@@ -9 +7,2 @@\n+++ b/src/b.rs\n@@ -1 +1 @@\n";
    let lines = super::lines_of(diff);
    assert_eq!(lines["src/a.rs"], [7, 8].into());
    assert_eq!(lines["src/b.rs"], [1].into());
}
