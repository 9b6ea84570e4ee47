use super::*;

fn fixed() -> Fixed {
    let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    Fixed {
        vars: map(&[("leak", "all"), ("quote", "a\"b\\\n\u{1}")]),
        env: map(&[("TOKEN", "s3cret")]),
        captures: map(&[("port", "4711")]),
    }
}

fn render(source: &str, key: u64) -> String {
    let captured = BTreeMap::from([("id".to_owned(), "i-9".to_owned())]);
    let fixed = fixed();
    let values = Values { fixed: &fixed, key, session: 3, seed: 7, captured: &captured };
    let template = Template::parse(source).expect("parses");
    template.render(&values).expect("renders").into_owned()
}

#[test]
fn names_are_filled_in() {
    for (source, text) in [
        ("plain } text {", "plain } text {"),
        ("{{ op }}", "5"),
        ("{{op}}/{{ session }}", "5/3"),
        ("http://127.0.0.1:{{ port }}/x/{{ id }}", "http://127.0.0.1:4711/x/i-9"),
        ("{{ var.leak }} {{ env.TOKEN }}", "all s3cret"),
        ("PING {{ op }}\n", "PING 5\n"),
        ("{{ op % 2 }}\n", "1\n"),
        ("{{ var.leak | upper }}{% if session == 3 %}!{% endif %}{# gone #}", "ALL!"),
        ("{{ op }}{% raw %}{{ op }}{% endraw %}", "5{{ op }}"),
    ] {
        assert_eq!(render(source, 5), text, "{source}");
    }
}

#[test]
fn a_text_has_the_length_asked_for_and_repeats_with_its_key_only() {
    for source in ["{{ text(120) }}", "{{ text(100 + 20) }}"] {
        let one = render(source, 1);
        assert_eq!(one.len(), 120);
        assert!(one.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b' '), "{one}");
        assert_eq!(one, render(source, 1));
        assert_ne!(one, render(source, 2));
    }
    let twice = render("{{ text(30) }}{{ text(30) }}", 1);
    assert_ne!(twice[..30], twice[30..]);
    assert_eq!(render("{{ text(0) }}", 1), "");
}

#[test]
fn uuids_are_version_4_distinct_and_the_same_for_one_operation() {
    let all: BTreeSet<String> = (0..10_000).map(|key| render("{{ uuid }}", key)).collect();
    assert_eq!(all.len(), 10_000);
    let shape =
        regex::Regex::new("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").expect("regex");
    for uuid in &all {
        assert!(shape.is_match(uuid), "{uuid}");
    }
    assert_eq!(render("{{ uuid }}", 1), render("{{ uuid | lower }}", 1));
}

#[test]
fn json_stays_json_whatever_the_values_hold() {
    let value = serde_json::json!({
        "a \"quoted\" key": "{{ var.quote }}", "n": 5, "deep": [{"t": "x {{ text(3) }}\n"}, null, true],
        "f": "{{ var.quote | replace(\"a\", \"b\") }}",
    });
    let simple = serde_json::json!({"id": "{{ var.quote }}", "o": {"p": {}}});
    for (value, pointer) in [(value, "/f"), (simple, "/id")] {
        let template = Template::parse_json(&value).expect("parses");
        let fixed = fixed();
        let values = Values { fixed: &fixed, key: 1, session: 1, seed: 1, captured: &BTreeMap::new() };
        let text = template.render(&values).expect("renders");
        let back: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let text = back.pointer(pointer).and_then(serde_json::Value::as_str).expect("there");
        assert!(text.ends_with("\"b\\\n\u{1}"), "{text:?}");
    }
}

#[test]
fn mistakes_are_named() {
    for (source, message) in [
        ("{{ op ", "the template does not parse: "),
        ("{% if op %}x", "the template does not parse: "),
        ("{{ op | uper }}", "unknown filter `uper` in a template; did you mean `upper`?"),
        ("{{ txt(5) }}", "unknown variable `txt` in a template; did you mean `text`?"),
        ("{{ text(999999999) }}", "the template does not parse: text(999999999) is longer"),
        ("{{ var.leek }}", "unknown variable `var.leek` in a template; did you mean `var.leak`?"),
        ("{{ sesion }}", "unknown variable `sesion` in a template; did you mean `session`?"),
        ("{{ sesion | int }}", "unknown variable `sesion` in a template; did you mean `session`?"),
        (
            "{{ zzzzzzzz }}",
            "unknown variable `zzzzzzzz` in a template; known are op, session, uuid, text, port, id, var.NAME",
        ),
    ] {
        let known = Known { vars: ["leak".into()].into(), captures: ["id".into()].into() };
        let error = Template::parse(source).and_then(|template| template.check(&known)).expect_err(source).to_string();
        assert!(error.starts_with(message), "{source}: {error}");
    }
}

#[test]
fn a_missing_value_is_an_error_and_never_empty() {
    for source in ["{{ nothing }}", "{{ nothing | upper }}", "{{ env.NONE }}", "{{ var.none ~ 1 }}"] {
        let values = Values { fixed: &fixed(), key: 1, session: 1, seed: 1, captured: &BTreeMap::new() };
        let template = Template::parse(source).expect("parses");
        let error = template.render(&values).expect_err(source);
        assert!(matches!(error, TemplateError::NoValue { .. }), "{error}");
    }
}

#[test]
fn secrets_are_not_in_debug_output() {
    assert!(!format!("{:?}", fixed()).contains("s3cret"));
}

proptest::proptest! {
    #[test]
    fn parsing_never_panics_and_json_values_read_back(text in "\\PC{0,40}") {
        let _ = Template::parse(&text);
        if let Ok(template) = Template::parse_json(&serde_json::Value::String(text.clone()))
            && template.is_static()
        {
            let back: String = serde_json::from_str(template.source()).expect("json");
            proptest::prop_assert_eq!(back, text);
        }
    }
}

/// Why a template is refused, or fails with made-up values.
fn refused(source: &str) -> String {
    let parsed = match Template::parse(source) {
        Ok(parsed) => parsed,
        Err(error) => return error.to_string(),
    };
    let values = Values { fixed: &fixed(), key: 1, session: 1, seed: 1, captured: &BTreeMap::new() };
    match parsed.render(&values) {
        Ok(text) => format!("{} bytes", text.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn costly_templates_are_refused_before_they_cost() {
    let nested = |depth: usize| format!("{{{{ {}op{} }}}}", "(".repeat(depth), ")".repeat(depth));
    let mut wrong = Vec::new();
    let loops = "{% for i in range(99999) %}".repeat(3) + "x" + &"{% endfor %}".repeat(3);
    for (source, says) in [
        (format!("{{{{ op{} }}}}", " | int".repeat(200_000)), "a template has"),
        (format!("{{{{ op{} }}}}", "|e".repeat(20_000)), "words and signs"),
        (format!("{{{{ op{} }}}}", ".a".repeat(20_000)), "words and signs"),
        (format!("{{{{ {}op }}}}", "not ".repeat(10_000)), "words and signs"),
        (format!("{{{{ {}op }}}}", "-".repeat(10_000)), "words and signs"),
        (nested(190), "recursion"),
        ("{% if op %}".repeat(150) + &"{% endif %}".repeat(150), "statements"),
        ("{% if op %}".to_owned() + &"{% elif op %}".repeat(5_000) + "{% endif %}", "statements"),
        (loops, "instructions"),
        ("{{ range(1000000000) | length }}".to_owned(), "too many elements"),
        ("{{ 'x' * 99999999 | length }}".to_owned(), "between numbers only"),
        ("{{ var.leak * 99999999 | list | length }}".to_owned(), "between numbers only"),
        ("{{ text(9999999) | upper }}".to_owned(), "longer than the longest value"),
        ("{{ text(200000) | replace('', text(200000)) }}".to_owned(), "longer than the longest value"),
        ("{{ range(99999) | join(text(9999)) }}".to_owned(), "longer than the longest value"),
        ("{{ '%999999999d' | format(1) }}".to_owned(), "pattern written out"),
        ("{{ var.leak | format(1) }}".to_owned(), "pattern written out"),
        ("{% set a = 'x' %}{% set b = a ~ a %}{{ b }}".to_owned(), "may count"),
        ("{% set a %}{{ op }}{% endset %}".to_owned(), "needs a value"),
        ("{% for a in [op ~ op] %}{% endfor %}".to_owned(), "may not put"),
        ("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(), "recursive"),
        ("{% set n = namespace(a=1) %}".to_owned(), "namespace"),
        ("{% filter upper %}x{% endfilter %}".to_owned(), "not one of the statements"),
        ("{% for i in range(9999) %}{{ text(99999) }}{% endfor %}".to_owned(), "bytes"),
        ("{{ text(60000000) }}{{ text(60000000) }}".to_owned(), "the most is"),
        ("x".repeat(2 << 20), "a template has"),
    ] {
        let began = std::time::Instant::now();
        let told = refused(&source);
        let shown = &source[..source.len().min(60)];
        if !told.contains(says) || began.elapsed() > std::time::Duration::from_secs(5) {
            wrong.push(format!("{shown}: {told} ({:?})", began.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ordinary_templates_are_within_the_bounds() {
    let numbers = "[{% for i in range(10000) %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}]";
    for (source, bytes) in [
        (numbers, "48891 bytes"),
        ("{% set n = op * 10 + 1 %}{{ n }}-{{ n + 1 }}", "5 bytes"),
        ("{% for i in range(op + 2) %}{{ i * 2 }}{% endfor %}", "3 bytes"),
        ("{{ '%05d' | format(op) }}{{ var.leak ~ '-' ~ op }}", "10 bytes"),
        ("{% for part in 'a,b' | split(',') %}{{ part | upper }}{% endfor %}", "2 bytes"),
        ("{{ env.TOKEN | replace('s', 'sss') }}{{ ['a', 'b'] | join('-') }}", "11 bytes"),
        ("{% raw %}{% set %}{{ a * 'b' }}{% endraw %}{{ op | string }}", "23 bytes"),
    ] {
        assert_eq!(refused(source), bytes, "{source}");
    }
}
