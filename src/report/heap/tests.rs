//! Made-up stacks, written and read back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::GzDecoder;
use proptest::prelude::*;

use super::*;

fn frame(function: &str, module: usize, offset: u64) -> StackFrame {
    StackFrame { function: function.to_owned(), module: Some(module), offset, ..StackFrame::default() }
}

/// Innermost first, as `name` or `~name` for what is in line, each in a file of its own.
fn stack(names: &[&str], bytes: f64) -> StackAmount {
    let mut frames = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let placed = if name.starts_with('~') { Placed::InLine } else { Placed::Called };
        let function = name.trim_start_matches('~');
        // Those in line have the address of the one that they were put into.
        let called = names[at..].iter().find(|name| !name.starts_with('~')).unwrap_or(name);
        let offset = 0x1000 + called.bytes().map(u64::from).sum::<u64>();
        let file = Some(format!("src/{function}.rs"));
        frames.push(StackFrame { file, line: Some(at as u32 + 1), placed, ..frame(function, 0, offset) });
    }
    StackAmount { frames, owner: "WorkQueue".to_owned(), bytes, blocks: bytes / 100.0 }
}

fn examples() -> Vec<StackAmount> {
    vec![
        stack(&["malloc", "~push", "add", "serve", "main"], 97_000.0),
        stack(&["malloc", "~grow", "add", "serve", "main"], 2_000.4),
        stack(&["malloc", "~push", "add", "serve", "main"], 1_000.0),
        stack(&["malloc", "serve", "main"], -3_000.0),
        stack(&["calloc", "start", "main"], 0.2),
    ]
}

fn folded(stacks: &[StackAmount]) -> String {
    let mut out = Vec::new();
    write_folded(stacks, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn picture(stacks: &[StackAmount]) -> String {
    let mut out = Vec::new();
    write_flame_graph(stacks, "Growth of the live heap", "scenario <work>", &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn modules() -> Vec<StackModule> {
    vec![
        StackModule { path: "/srv/app".to_owned(), build_id: Some("abcd12".to_owned()) },
        StackModule { path: "/usr/lib/libc.so.6".to_owned(), build_id: None },
    ]
}

fn profile(stacks: &[StackAmount]) -> Vec<u8> {
    let modules = modules();
    let about = Profile { modules: &modules, interval_bytes: 65_536, time_ns: 5, duration_ns: 7 };
    let mut out = Vec::new();
    write_pprof(stacks, &about, &mut out).unwrap();
    out
}

#[test]
fn collapsed_stacks_are_growth_by_names() {
    assert_eq!(folded(&examples()), "main;serve;add;grow;malloc 2000\nmain;serve;add;push;malloc 98000\n");
    assert_eq!(folded(&[]), "");
}

#[test]
fn names_cannot_break_a_line() {
    for (name, shown) in [
        ("a;b", "a:b"),
        ("a\nb 9", "a\u{fffd}b_9"),
        ("sum 1 2.5", "sum_1_2.5"),
        ("vec3", "vec3"),
        ("operator new(unsigned long)", "operator new(unsigned long)"),
        ("  ", "?"),
        ("# remark", "#_remark"),
        ("\u{202e}x", "\u{fffd}x"),
    ] {
        assert_eq!(folded(&[stack(&[name], 7.0)]), format!("{shown} 7\n"), "{name:?}");
    }
}

proptest! {
    #[test]
    fn any_names_are_read_back(names in prop::collection::vec("\\PC{0,12}|[0-9. ;#\\n-]{0,6}", 1..6), bytes in 1_u32..) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = folded(&[stack(&names, f64::from(bytes))]);
        prop_assert_eq!(text.lines().count(), 1);
        let (stack_text, amount) = text.trim_end_matches('\n').rsplit_once(' ').unwrap();
        prop_assert_eq!(amount, bytes.to_string());
        prop_assert_eq!(stack_text.split(';').count(), names.len());
        // A second number would be taken for a difference.
        prop_assert!(!stack_text.rsplit_once(' ').is_some_and(|(_, word)| word.chars().all(|c| c.is_ascii_digit() || c == '.')));
    }

    #[test]
    fn any_growth_is_drawn(
        all in prop::collection::vec((prop::collection::vec("[ab;#0-9 <&\\]\u{1}-]{0,4}", 1..5), prop::num::f64::ANY), 0..8)
    ) {
        let name = |names: &Vec<String>| names.iter().map(String::as_str).collect::<Vec<_>>().to_vec().join("\u{0}");
        let stacks: Vec<StackAmount> = all
            .iter()
            .map(|(names, bytes)| stack(&name(names).split('\u{0}').collect::<Vec<_>>(), *bytes))
            .collect();
        prop_assert!(picture(&stacks).trim_end().ends_with("</svg>"));
        profile(&stacks);
    }
}

#[test]
fn a_flame_graph_shows_growth_and_nothing_of_the_names_is_markup() {
    let mut stacks = examples();
    stacks.push(stack(&["malloc", "</title><script>alert(1)</script>", "<b onload=\"x\">&amp;'"], 50_000.0));
    let svg = picture(&stacks);
    for part in
        ["push (98,000 bytes, 65.33%)", "Growth of the live heap", "scenario &lt;work&gt;", "add (100,000 bytes"]
    {
        assert!(svg.contains(part), "{part}");
    }
    assert!(!svg.contains("<script>alert") && !svg.contains("<b onload") && svg.contains("&lt;script&gt;alert(1)"));
    assert!(!svg.contains("calloc"), "half a byte is no growth");
    assert_eq!(picture(&stacks), svg, "the same bytes again");
}

#[test]
fn modules_have_colours() {
    let mut stacks = examples();
    for frame in stacks.iter_mut().flat_map(|stack| &mut stack.frames).filter(|frame| frame.function == "malloc") {
        frame.module = Some(1);
    }
    stacks[0].frames[2].module = None;
    let svg = picture(&stacks);
    let colour = |name: &str| {
        let (_, rest) = svg.split_once(&format!("<title>{name} (")).unwrap();
        rest.split_once("fill=\"rgb(").unwrap().1.split_once(')').unwrap().0.to_owned()
    };
    let parts = |name: &str| colour(name).split(',').map(|part| part.parse::<i32>().unwrap()).collect::<Vec<_>>();
    // Orange has more red than blue, blue more blue than red, grey the same.
    assert!(parts("main")[0] > parts("main")[2] + 60 && parts("malloc")[2] > parts("malloc")[0] + 40);
    assert!(parts("add")[0] == parts("add")[2] && colour("main") != colour("serve"));
}

#[test]
fn where_nothing_grew_the_picture_says_so() {
    for stacks in [
        &[][..],
        &[stack(&["main"], -5.0)],
        &[stack(&["main"], f64::NAN)],
        &[StackAmount { bytes: 9.0, ..StackAmount::default() }],
    ] {
        let svg = picture(stacks);
        assert!(svg.contains("No call stack grew.") && svg.contains("Growth of the live heap"));
    }
}

/// The fields of a message: numbers, and bytes.
#[derive(Debug, Default)]
struct Decoded {
    numbers: BTreeMap<u64, Vec<u64>>,
    bytes: BTreeMap<u64, Vec<Vec<u8>>>,
}

impl Decoded {
    fn of(mut rest: &[u8]) -> Self {
        let mut all = Self::default();
        while !rest.is_empty() {
            let key = varint(&mut rest);
            if key & 7 == 0 {
                all.numbers.entry(key >> 3).or_default().push(varint(&mut rest));
            } else {
                assert_eq!(key & 7, 2, "no other kind is written");
                let length = varint(&mut rest) as usize;
                let (bytes, after) = rest.split_at(length);
                all.bytes.entry(key >> 3).or_default().push(bytes.to_vec());
                rest = after;
            }
        }
        all
    }

    fn number(&self, field: u64) -> u64 {
        self.numbers.get(&field).map_or(0, |numbers| numbers[0])
    }

    fn packed(&self, field: u64) -> Vec<u64> {
        let mut rest = &self.bytes[&field][0][..];
        std::iter::from_fn(|| (!rest.is_empty()).then(|| varint(&mut rest))).collect()
    }

    fn messages(&self, field: u64) -> Vec<Self> {
        self.bytes.get(&field).into_iter().flatten().map(|bytes| Self::of(bytes)).collect()
    }
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().unwrap();
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

#[test]
fn a_profile_holds_growth_with_what_is_in_line() {
    let packed = profile(&examples());
    assert_eq!(profile(&examples()), packed, "the same bytes again");
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    let all = Decoded::of(&bytes);
    let texts: Vec<String> = all.bytes[&6].iter().map(|text| String::from_utf8(text.clone()).unwrap()).collect();
    let text = |number: u64| texts[number as usize].as_str();
    assert_eq!(texts[0], "");
    let types: Vec<_> = all.messages(1).iter().map(|kind| (text(kind.number(1)), text(kind.number(2)))).collect();
    assert_eq!(types, [("inuse_objects", "count"), ("inuse_space", "bytes")]);
    assert_eq!((text(all.number(14)), all.number(12), all.number(9), all.number(10)), ("inuse_space", 65_536, 5, 7));

    let samples = all.messages(2);
    let values: Vec<Vec<i64>> =
        samples.iter().map(|sample| sample.packed(2).into_iter().map(u64::cast_signed).collect()).collect();
    assert_eq!(values, [[970, 97_000], [20, 2_000], [10, 1_000], [-30, -3_000]]);
    let label = &samples[0].messages(3)[0];
    assert_eq!((text(label.number(1)), text(label.number(2))), ("owner", "WorkQueue"));

    let functions = all.messages(5);
    let functions: BTreeMap<u64, &Decoded> = functions.iter().map(|function| (function.number(1), function)).collect();
    let locations = all.messages(4);
    let locations: BTreeMap<u64, &Decoded> = locations.iter().map(|location| (location.number(1), location)).collect();
    let told: Vec<Vec<(&str, u64)>> = samples[0]
        .packed(1)
        .iter()
        .map(|id| {
            let lines = locations[id].messages(4);
            lines.iter().map(|line| (text(functions[&line.number(1)].number(2)), line.number(2))).collect()
        })
        .collect();
    assert_eq!(told, [vec![("malloc", 1)], vec![("push", 2), ("add", 3)], vec![("serve", 4)], vec![("main", 5)]]);
    assert_eq!(samples[0].packed(1), samples[2].packed(1), "the same place is the same location");
    assert!(functions.values().any(|function| text(function.number(4)) == "src/push.rs"));

    let mappings = all.messages(3);
    let first = locations[&samples[0].packed(1)[0]];
    assert_eq!((first.number(2), text(mappings[0].number(5)), text(mappings[0].number(6))), (1, "/srv/app", "abcd12"));
    let range = mappings[0].number(2)..mappings[0].number(3);
    assert!(range.contains(&first.number(3)) && first.number(3) > range.start + 0x1000);
}
